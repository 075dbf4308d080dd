"""Where work on a connection is done: at once where it is quick, else in its thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from stepwell.errors import StoreBusy, StoreError
from stepwell.stores.sqlite.thread import ConnectionThread

WARM_UPS = 100  # a machine may be busy: enough for the average to forget a slow start


@asynccontextmanager
async def opened(path: Path, timeout: float = 5.0) -> AsyncIterator[ConnectionThread]:
    """Open a connection whose work has been quick so far."""

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous = OFF")  # no test is about the disk
        return connection

    thread = ConnectionThread(connect, place=str(path), name="test", busy_timeout_seconds=timeout)
    try:
        await thread.call(lambda connection: connection.execute("CREATE TABLE t (n)"))
        for _ in range(WARM_UPS):
            await thread.call(where, is_short=True)
        yield thread
    finally:
        await thread.close()


def where(_: Any) -> threading.Thread:
    """Tell which thread does the work."""
    return threading.current_thread()


def write(connection: sqlite3.Connection) -> threading.Thread:
    """Write a row, and tell which thread does it."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.execute("COMMIT")
    return threading.current_thread()


async def test_short_work_is_done_at_once(tmp_path: Path) -> None:
    """Short work needs no change of thread; other work leaves the event loop alone."""
    async with opened(tmp_path / "a.db") as connection:
        assert threading.current_thread() is await connection.call(where, is_short=True)
        assert threading.current_thread() is not await connection.call(where)


async def test_a_slow_disk_is_left_to_the_thread(tmp_path: Path) -> None:
    """Where work has been slow, the event loop is not held up by more of it."""
    async with opened(tmp_path / "a.db") as connection:
        await connection.call(lambda _: time.sleep(0.2), is_short=True)

        assert threading.current_thread() is not await connection.call(where, is_short=True)

        for _ in range(100):  # and once it is quick again
            await connection.call(where, is_short=True)
        assert threading.current_thread() is await connection.call(where, is_short=True)


async def test_long_work_says_nothing_of_the_disk(tmp_path: Path) -> None:
    """What reads a lot takes long on any disk: short work stays where it is."""
    async with opened(tmp_path / "a.db") as connection:
        await connection.call(lambda _: time.sleep(0.2))

        assert threading.current_thread() is await connection.call(where, is_short=True)


async def test_short_work_waits_its_turn(tmp_path: Path) -> None:
    """What is under way in the thread, or queued for it, comes first."""
    order: list[str] = []

    def slow(_: Any) -> None:
        time.sleep(0.05)
        order.append("queued")

    async with opened(tmp_path / "a.db") as connection:
        queued = asyncio.ensure_future(connection.call(slow))
        await asyncio.sleep(0.01)
        await connection.call(lambda _: order.append("short"), is_short=True)
        await queued

    assert ["queued", "short"] == order


async def test_nobody_waits_for_a_lock_in_the_event_loop(tmp_path: Path) -> None:
    """While another process writes, the wait is the thread's; the loop goes on."""
    path = tmp_path / "a.db"
    async with opened(path) as connection:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.1, other.rollback)  # only a free loop gets there

        assert threading.current_thread() is not await connection.call(write, is_short=True)
        other.close()


async def test_a_lock_that_stays_is_an_error(tmp_path: Path) -> None:
    """The thread waits as long as it was told, also after work that did not wait at all."""
    path = tmp_path / "a.db"
    async with opened(path, timeout=0.2) as connection:
        assert threading.current_thread() is await connection.call(write, is_short=True)
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()

        with pytest.raises(StoreBusy):
            await connection.call(write, is_short=True)

        assert time.monotonic() - began >= 0.15
        other.close()
        await connection.call(write, is_short=True)


async def test_an_error_at_once_leaves_no_transaction(tmp_path: Path) -> None:
    """What fails in the caller's thread is rolled back there, and becomes one of our errors."""

    def fail(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("INSERT INTO no_such_table VALUES (1)")

    async with opened(tmp_path / "a.db") as connection:
        with pytest.raises(StoreError, match="refused a statement"):
            await connection.call(fail, is_short=True)
        await connection.call(write, is_short=True)

        assert [(1,)] == await connection.call(
            lambda one: one.execute("SELECT count(*) FROM t").fetchall()
        )


async def test_an_interrupt_leaves_no_transaction(tmp_path: Path) -> None:
    """A signal may end the work in the main thread: it is rolled back, the connection is free."""

    def interrupted(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        raise _Stop

    async with opened(tmp_path / "a.db") as connection:
        with pytest.raises(_Stop):
            await connection.call(interrupted, is_short=True)

        assert threading.current_thread() is await connection.call(write, is_short=True)


class _Stop(BaseException):
    """What a signal handler may raise."""


async def test_asking_again_and_again_lets_others_come(tmp_path: Path) -> None:
    """A loop of short work gives every other task its turns."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with opened(tmp_path / "a.db") as connection:
        counting = asyncio.create_task(count())
        for _ in range(50):
            await connection.call(where, is_short=True)
        counting.cancel()

    assert turns >= 50


async def test_work_that_came_too_late_is_refused(tmp_path: Path) -> None:
    """A connection that closes while short work lets others come first answers it all the same."""
    async with opened(tmp_path / "a.db") as connection:
        late = asyncio.ensure_future(connection.call(where, is_short=True))
        await connection.close()

        async with asyncio.timeout(5):
            (answer,) = await asyncio.gather(late, return_exceptions=True)
        assert answer is threading.current_thread() or isinstance(answer, StoreError)
        with pytest.raises(StoreError, match="is closed"):
            await connection.call(where, is_short=True)


class _ClosedFirst:
    """A lock that one loop takes only after another one has closed the connection."""

    def __init__(self, connection: ConnectionThread) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self.release = self._lock.release

    def acquire(self, *, blocking: bool) -> bool:
        """Close, then take it."""
        closing = threading.Thread(target=lambda: asyncio.run(self._connection.close()))
        closing.start()
        closing.join()
        return self._lock.acquire(blocking=blocking)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()


async def test_what_another_loop_has_closed_stays_closed(tmp_path: Path) -> None:
    """Short work opens no second connection, and waits for no thread that has ended."""
    async with opened(tmp_path / "a.db") as connection:
        anyhow: Any = connection
        anyhow._in_use = _ClosedFirst(connection)

        with pytest.raises(StoreError, match="is closed"):
            async with asyncio.timeout(5):
                await connection.call(where, is_short=True)
        assert anyhow._connection is None
