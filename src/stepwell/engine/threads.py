"""Threads for sync callables: a bounded number for the whole process, known by run.

A callable waits for a free thread before it begins, and its time limit runs from then on. A thread
cannot be cancelled: one whose attempt was given up keeps its place until it has ended.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

_LOG = logging.getLogger("stepwell.engine")


class ThreadPool:
    """The threads of one process."""

    def __init__(self, size: int) -> None:
        """Prepare up to `size` threads; none is started yet."""
        self._executor = ThreadPoolExecutor(size, thread_name_prefix="stepwell-step")
        self._free = asyncio.Semaphore(size)

    async def start(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Wait for a free thread and begin a call in it."""
        loop = asyncio.get_running_loop()
        await self._free.acquire()

        def ended(_: object) -> None:
            try:
                loop.call_soon_threadsafe(self._free.release)
            except RuntimeError:
                return  # the loop is closed: nobody waits for a thread any more

        try:
            thread = self._executor.submit(function, *arguments)
        except BaseException:
            self._free.release()
            raise
        thread.add_done_callback(ended)
        return thread

    def close(self) -> None:
        """Start no more calls; those that run are left to end by themselves."""
        self._executor.shutdown(wait=False, cancel_futures=True)


class Threads:
    """The threads in which one run's callables execute."""

    def __init__(self, pool: ThreadPool) -> None:
        self._pool = pool
        self._until: dict[Future[Any], float] = {}

    async def start(
        self, timeout_ms: int, function: Callable[..., Any], *arguments: Any
    ) -> Future[Any]:
        """Wait for a free thread and begin a call in it, which should end within `timeout_ms`."""
        thread = await self._pool.start(function, *arguments)
        self._until = {one: until for one, until in self._until.items() if not one.done()}
        self._until[thread] = asyncio.get_running_loop().time() + timeout_ms / 1000
        return thread

    @property
    def is_running(self) -> bool:
        """Claim that a thread has not ended yet."""
        return not all(thread.done() for thread in self._until)

    async def wait_all(self) -> None:
        """Wait until all have ended, or should have."""
        running = {one: until for one, until in self._until.items() if not one.done()}
        if not running:
            return
        seconds = max(running.values()) - asyncio.get_running_loop().time()
        waits = [asyncio.wrap_future(thread) for thread in running]
        _, late = await asyncio.wait(waits, timeout=max(seconds, 0))
        if late:
            _LOG.warning("%d threads of given-up attempts are still running", len(late))
