"""Waiting for an instance to change."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from typing import Self

from stepwell.client.desk import Desk
from stepwell.model.step import Fact


class Listening:
    """Hears of changes to one instance.

    Its ref hears of its end and of what clients do; its key hears of every write of its run; both
    hear from time to time that anything may have changed.
    """

    def __init__(self, desk: Desk, *topics: Hashable) -> None:
        self._changes = desk.changes
        self._topics = topics
        self._has_changed = False
        self._waiting: asyncio.Future[None] | None = None
        self._end: Fact | None = None

    def _hear(self, _topic: object, end: Fact | None) -> None:
        self._end = end or self._end
        self._has_changed = True
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def __enter__(self) -> Self:
        for topic in self._topics:
            self._changes.listen(topic, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for topic in self._topics:
            self._changes.unlisten(topic, self._hear)

    async def wait(self) -> Fact | None:
        """Wait for a hint; gives the instance's last fact if it was told."""
        if not self._has_changed:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        self._has_changed = False
        return self._end
