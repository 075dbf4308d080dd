"""Reads that are asked for while one is under way share the next one.

A thousand callers that each look for one row cost a handful of reads, not a thousand. Nobody waits
for a timer, and nobody is answered by a read that had begun before he asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class GatheredReads(Generic[K, V]):
    """Answers single keys from reads of many."""

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        self._read = read
        self._asked: list[tuple[K, asyncio.Future[V | None]]] = []
        self._task: asyncio.Task[None] | None = None

    def ask(self, key: K) -> asyncio.Future[V | None]:
        """Look for a key; the future gives what is there, or None, or the error of the read."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[V | None] = loop.create_future()
        self._asked.append((key, answer))
        if self._task is None or self._task.done():  # done: its loop has ended, perhaps too early
            self._task = loop.create_task(self._answer_all())
        return answer

    async def _answer_all(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                found = await self._read(list(dict.fromkeys(key for key, _ in asked)))
            except asyncio.CancelledError:
                for _, answer in (*asked, *self._asked):
                    answer.cancel()
                self._asked.clear()
                raise
            except Exception as error:  # noqa: BLE001  (it is the callers', who wait elsewhere)
                for answer in _open(asked):
                    answer.set_exception(error)
            else:
                for answer, key in _open(asked).items():
                    answer.set_result(found.get(key))


def _open(asked: Sequence[tuple[K, asyncio.Future[V | None]]]) -> dict[asyncio.Future[V | None], K]:
    """Leave out callers that have been cancelled meanwhile."""
    return {answer: key for key, answer in asked if not answer.done()}
