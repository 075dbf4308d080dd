"""One lease per worker: a row that it renews, and the reaper that frees what dead ones held."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import socket
import uuid
from collections.abc import Callable

from stepwell.engine.services import Services
from stepwell.errors import StoreError
from stepwell.model.limits import PURGE_BATCH_MAX, REAP_BATCH_MAX
from stepwell.worker.settings import WorkerSettings

_LOG = logging.getLogger("stepwell.worker")
_PURGE_EVERY_BEATS = 12
_PURGE_PAUSE_SECONDS = 0.05
_REAP_SECONDS_MAX = 1.25
_RETRY_SECONDS = 0.1


class WorkerLease:
    """Takes, renews and gives up this worker's lease; reaps and purges on the way."""

    def __init__(
        self,
        services: Services,
        settings: WorkerSettings,
        *,
        on_lost: Callable[[], None],
        on_freed: Callable[[], None],
    ) -> None:
        self._store = services.store
        self._clock = services.clock
        self._lease_ms = round(settings.lease_seconds * 1000)
        self._beat_seconds = settings.lease_seconds / 3
        self._on_lost = on_lost
        self._on_freed = on_freed
        self.expires_ms = 0
        self._renewing = asyncio.Lock()
        self.worker = _new_name()

    async def take(self) -> None:
        """Take a lease under a new name, which is told only once the lease is there."""
        worker = _new_name()
        await self._beat(worker)
        self.worker = worker

    async def keep(self) -> None:
        """Renew the lease, and delete what is past its retention, for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._purge_for_ever())
            while True:
                await _sleep(self._beat_seconds)
                await self._renew()

    async def reap_others(self) -> None:
        """Free, for ever, what lapsed leases held: within a second or two of their lapse."""
        while True:
            await _sleep(min(self._beat_seconds, _REAP_SECONDS_MAX))
            try:
                await self.reap()
            except Exception as error:  # noqa: BLE001  (the reaper must outlive any single failure)
                _LOG.warning("lapsed leases are not looked for: %s", error)

    async def reap(self) -> None:
        """Free once what lapsed leases held; never by a time at which our own has lapsed.

        It has if the event loop was blocked, or the machine asleep, for longer than a lease. Then
        others may have slept as well: all get this turn to renew theirs.
        """
        now_ms = self._clock.now_ms()
        if now_ms >= self.expires_ms:
            await self._renew()
            return
        freed = await self._store.reap(now_ms=now_ms, limit=REAP_BATCH_MAX)
        if freed:
            _LOG.warning("instances go on whose worker has stopped without a word: %d", freed)
            self._on_freed()

    async def purge(self) -> None:
        """Delete all that is past its retention, batch by batch."""
        is_more = True
        while is_more:
            now_ms = self._clock.now_ms()
            is_more = await self._store.purge(now_ms=now_ms, limit=PURGE_BATCH_MAX) > 0
            await asyncio.sleep(_PURGE_PAUSE_SECONDS)  # others wait for the write lock

    async def give_up(self) -> None:
        """Remove the lease; what is still held is handed back."""
        try:
            await self._store.retire(worker=self.worker, now_ms=self._clock.now_ms())
        except StoreError as error:
            _LOG.warning("the lease of worker %s has to lapse by itself: %s", self.worker, error)

    async def _purge_for_ever(self) -> None:
        await _sleep(self._beat_seconds)  # the first moments belong to what is ready
        while True:
            try:
                await self.purge()
            except Exception as error:  # noqa: BLE001  (as above)
                _LOG.warning("what is past its retention is not deleted: %s", error)
            await _sleep(self._beat_seconds * _PURGE_EVERY_BEATS)

    @property
    def is_good(self) -> bool:
        """Claim that the lease has not lapsed, by the clock."""
        return self._clock.now_ms() < self.expires_ms

    async def ensure(self) -> None:
        """Wait until the lease is good; runs start nothing new before that.

        A lapsed lease is not lost yet: as long as nobody has reaped it, what is under way counts.
        """
        while not self.is_good:
            await self._renew(unless_good=True)
            if not self.is_good:
                await asyncio.sleep(_RETRY_SECONDS)

    async def _renew(self, *, unless_good: bool = False) -> None:
        async with self._renewing:
            if unless_good and self.is_good:
                return
            try:
                is_kept = await self._beat(self.worker)
            except Exception as error:  # noqa: BLE001  (the lease must outlive any single failure)
                _LOG.warning("the lease of worker %s is not renewed: %s", self.worker, error)
                return
            if not is_kept:
                # Whoever hears of the loss claims at once: let him do so under a name that lasts.
                await self._take_another()
                self._lose()

    async def _beat(self, worker: str) -> bool:
        now_ms = self._clock.now_ms()
        expires_ms = now_ms + self._lease_ms
        is_kept = await self._store.beat(worker=worker, expires_ms=expires_ms, now_ms=now_ms)
        if is_kept:
            self.expires_ms = expires_ms
        return is_kept

    def _lose(self) -> None:
        _LOG.warning("the lease of this worker had lapsed; its runs go on elsewhere")
        self._on_lost()

    async def _take_another(self) -> None:
        try:
            await self.take()
        except Exception as error:  # noqa: BLE001  (the next beat tries again)
            _LOG.warning("no new lease yet: %s", error)


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds * (0.8 + 0.2 * random.random()))  # noqa: S311  (spreads load)


def _new_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
