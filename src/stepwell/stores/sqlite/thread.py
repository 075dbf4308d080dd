"""A connection, the writer's or the readers', and the thread that uses it.

Handing work to a thread and its result back takes as long as a small commit on a good disk, and
longer where the event loop is busy: the thread then waits for the interpreter at every statement.
So short work is done at once in the caller's thread, as long as this connection is free, no lock
has to be waited for, and what was done of late was quick. A slow disk is left to the thread.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

from stepwell.errors import StoreBusy, StoreError
from stepwell.stores.sqlite.faults import translate
from stepwell.stores.sqlite.pace import Pace

T = TypeVar("T")
_Job = tuple[
    Callable[[sqlite3.Connection], Any], bool, asyncio.AbstractEventLoop, "asyncio.Future[Any]"
]


_LEFT: Final = object()


class ConnectionThread:
    """Does work on its connection, one piece after the other, for any event loop."""

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        *,
        place: str,
        name: str,
        busy_timeout_seconds: float,
    ) -> None:
        self._connect = connect
        self._place = place
        self._busy_timeout_ms = round(busy_timeout_seconds * 1000)
        self._wait_ms: int | None = None  # for a lock, as the connection is set now
        self._in_use = threading.Lock()
        self._queueing = threading.Lock()
        self._pace = Pace()
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._connection: sqlite3.Connection | None = None
        self._is_closed = False
        self._on_end: Callable[[], None] = _do_nothing
        self._thread = threading.Thread(target=self._serve, name=name, daemon=True)
        self._thread.start()

    async def call(self, work: Callable[[sqlite3.Connection], T], *, is_short: bool = False) -> T:
        """Run `work`; the driver's errors become ours.

        Once it is queued it is done to its end, even if the caller is cancelled meanwhile. It may
        be begun a second time if it met a lock, so it must not change anything but the database.

        Args:
            work: what to do with the connection, in whatever thread.
            is_short: it takes few statements over few rows.
        """
        if is_short:  # whoever asks again and again must not keep others from their turn
            await asyncio.sleep(0)
        self._check_open()
        if is_short and (result := self._do_here(work)) is not _LEFT:
            return cast("T", result)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        with self._queueing:  # nobody would do what another loop has closed meanwhile
            self._check_open()
            self._jobs.put((work, is_short, loop, future))
        return await future

    async def close(self) -> None:
        """Finish what is queued, close the connection, end the thread."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        with self._queueing:
            if self._is_closed:
                return
            self._is_closed = True
            self._on_end = lambda: _tell(loop, ended, None, None)
            self._jobs.put(None)
        await ended
        self._thread.join()  # it has nothing left to do but to return

    def _check_open(self) -> None:
        if self._is_closed:
            raise StoreError(f"the database {self._place} is closed; open the store again")

    # ---- in whatever thread ------------------------------------------------------------------

    def _do_here(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Give the result of work, or leave it to the thread."""
        if not self._jobs.empty() or not self._pace.is_quick():
            return _LEFT
        if not self._in_use.acquire(blocking=False):
            return _LEFT
        try:
            if self._connection is None:  # not open yet, or closed meanwhile for another loop
                return _LEFT
            began = time.perf_counter()
            result = self._do(work, wait_ms=0)
            self._pace.note(time.perf_counter() - began, is_here=True)
            return result
        except StoreBusy:
            return _LEFT  # the thread may wait for the lock
        finally:
            self._in_use.release()

    def _do(self, work: Callable[[sqlite3.Connection], Any], *, wait_ms: int) -> Any:
        try:
            if self._connection is None:
                self._connection, self._wait_ms = self._connect(), None
            if self._wait_ms != wait_ms:
                self._connection.execute(f"PRAGMA busy_timeout = {wait_ms}")
                self._wait_ms = wait_ms
            return work(self._connection)
        except Exception as error:  # noqa: BLE001  (raised on, as what it means for us)
            self._roll_back()
            ours = translate(error, self._place)
            raise ours from ours.__cause__
        except BaseException:  # a signal's, in the main thread
            self._roll_back()
            raise

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

    # ---- in the thread -----------------------------------------------------------------------

    def _serve(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, is_short, loop, future = job
            _tell(loop, future, *self._outcome_of(work, is_short=is_short))
            del job, work, future  # or a result would live until the next job comes
        with self._in_use:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
        self._on_end()

    def _outcome_of(
        self, work: Callable[[sqlite3.Connection], Any], *, is_short: bool
    ) -> tuple[Any, Exception | None]:
        with self._in_use:
            began = time.perf_counter()
            try:
                return self._do(work, wait_ms=self._busy_timeout_ms), None
            except Exception as error:  # noqa: BLE001  (it is the caller's, who waits elsewhere)
                return None, error
            finally:
                if is_short:
                    self._pace.note(time.perf_counter() - began, is_here=False)


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
