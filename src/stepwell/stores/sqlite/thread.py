"""A thread with one connection: the writer's, or the readers'."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from stepwell.stores.sqlite.faults import translate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
_Job = tuple[Work, asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class ConnectionThread:
    """Does work on its connection, one piece after the other, for any event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], place: str, name: str) -> None:
        self._connect = connect
        self._place = place
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._connection: sqlite3.Connection | None = None
        self._thread.start()

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the thread; the driver's errors become ours."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, loop, future))
        return await future

    async def close(self) -> None:
        """Finish what is queued, close the connection, end the thread."""
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, loop, future = job
            result: Any = None
            error: Exception | None = None
            try:
                if self._connection is None:
                    self._connection = self._connect()
                result = work(self._connection)
            except sqlite3.Error as failure:
                self._roll_back()
                error = translate(failure, self._place)
                error.__cause__ = failure
            except Exception as failure:  # noqa: BLE001  (it is the caller's, in another thread)
                self._roll_back()
                error = failure
            try:
                loop.call_soon_threadsafe(_resolve, future, result, error)
            except RuntimeError:  # the caller's loop is closed: nobody waits for this any more
                continue
        if self._connection is not None:
            self._connection.close()

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                # A connection in an unknown state is worth nothing; the next call opens another.
                connection.close()
                self._connection = None


def _resolve(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
