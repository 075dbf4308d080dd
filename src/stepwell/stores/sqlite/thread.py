"""A thread with one connection: the writer's, or the readers'."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from stepwell.errors import StoreError
from stepwell.stores.sqlite.faults import translate

T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class ConnectionThread:
    """Does work on its connection, one piece after the other, for any event loop."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], place: str, name: str) -> None:
        self._connect = connect
        self._place = place
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._on_end: Callable[[], None] = _do_nothing
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the thread; the driver's errors become ours.

        Once it is queued it is done to its end, even if the caller is cancelled meanwhile.
        """
        if self._is_closed:
            raise StoreError(f"the database {self._place} is closed; open the store again")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put((work, loop, future))
        return await future

    async def close(self) -> None:
        """Finish what is queued, close the connection, end the thread."""
        if self._is_closed:
            return
        self._is_closed = True
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        self._on_end = lambda: _tell(loop, ended, None, None)
        self._jobs.put(None)
        await ended
        self._thread.join()  # it has nothing left to do but to return

    # ---- in the thread -----------------------------------------------------------------------

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            self._do(*job)
            del job  # or a result would live until the next job comes
        if self._connection is not None:
            self._connection.close()
        self._on_end()

    def _do(
        self,
        work: Callable[[sqlite3.Connection], Any],
        loop: asyncio.AbstractEventLoop,
        future: asyncio.Future[Any],
    ) -> None:
        result: Any = None
        error: Exception | None = None
        try:
            if self._connection is None:
                self._connection = self._connect()
            result = work(self._connection)
        except Exception as failure:  # noqa: BLE001  (it is the caller's, who waits elsewhere)
            self._roll_back()
            error = translate(failure, self._place)
        _tell(loop, future, result, error)

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            # A connection in an unknown state is worth nothing; the next call opens another.
            connection.close()
            self._connection = None


def _do_nothing() -> None:
    pass


def _tell(
    loop: asyncio.AbstractEventLoop,
    future: asyncio.Future[Any],
    result: Any,
    error: Exception | None,
) -> None:
    try:
        loop.call_soon_threadsafe(_resolve, future, result, error)
    except RuntimeError:
        return  # that loop is closed: nobody waits for this any more


def _resolve(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
