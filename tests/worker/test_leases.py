"""The lease of a worker: whom it reaps, under which name it holds, and what it deletes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from stepwell.engine.journal import Journal
from stepwell.engine.local_wakeups import LocalWakeups
from stepwell.engine.services import Services
from stepwell.model.command import Append
from stepwell.model.instance import Ref
from stepwell.model.limits import PURGE_BATCH_MAX, Limits
from stepwell.stores.memory import MemoryStore
from stepwell.testing.cases.bench import (
    ERROR_MS,
    REF,
    T0,
    applied,
    create,
    finished,
    row,
    take,
)
from stepwell.worker.leases import WorkerLease
from stepwell.worker.settings import WorkerSettings

LEASE_MS = 600


class TurnedClock:
    """A clock that only the test turns."""

    def __init__(self) -> None:
        self.now = T0

    def now_ms(self) -> int:
        return self.now

    def call_at(self, when_ms: int, callback: Callable[[], None]) -> Any:
        raise AssertionError("a lease sets no timers")


class LeaseBench:
    """A lease on a memory store, with what it told."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.clock = TurnedClock()
        self.lost: list[str] = []
        self.freed = 0

    def lease(self) -> WorkerLease:
        """Give a lease that is not yet taken."""
        services = Services(
            store=self.store,
            journal=Journal(self.store, self.clock, changes=LocalWakeups(), pokes=LocalWakeups()),
            clock=self.clock,
            limits=Limits(),
            threads=ThreadPoolExecutor(1),
            env=None,
        )
        lease = WorkerLease(
            services,
            WorkerSettings(lease_seconds=LEASE_MS / 1000),
            on_lost=lambda: self.lost.append(lease.worker),
            on_freed=self._hear_of_freed,
        )
        return lease

    async def taken(self) -> WorkerLease:
        """Give a lease that is taken."""
        lease = self.lease()
        await lease.take()
        return lease

    def _hear_of_freed(self) -> None:
        self.freed += 1


@pytest.fixture
def bench() -> LeaseBench:
    return LeaseBench(MemoryStore())


async def test_a_worker_that_slept_keeps_its_runs(bench: LeaseBench) -> None:
    """After a sleep longer than the lease a worker renews it, and frees nothing of its own."""
    lease = await bench.taken()
    await create(bench.store)
    held = await take(bench.store, worker=lease.worker)
    bench.clock.now += 10 * LEASE_MS
    for _ in range(3):
        await lease.reap()

    assert bench.freed == 0
    assert bench.lost == []
    await applied(bench.store, Append(lease=held, facts=()))


async def test_workers_that_slept_together_keep_their_runs(bench: LeaseBench) -> None:
    """After a common sleep each worker has a turn to renew its lease before another reaps."""
    one, two = await bench.taken(), await bench.taken()
    await create(bench.store)
    held = await take(bench.store, worker=two.worker)
    bench.clock.now += 10 * LEASE_MS
    for lease in (one, two, one, two):
        await lease.reap()

    assert bench.freed == 0
    await applied(bench.store, Append(lease=held, facts=()))


async def test_the_dead_are_reaped(bench: LeaseBench) -> None:
    """What a lapsed worker held is free, and the one that looks keeps its own lease."""
    await bench.store.beat(worker="dead", expires_ms=T0 + LEASE_MS // 2, now_ms=T0)
    await create(bench.store)
    await take(bench.store, worker="dead")
    lease = await bench.taken()
    bench.clock.now += LEASE_MS - 1
    await lease.reap()

    assert bench.freed == 1
    assert (await row(bench.store)).owner is None


async def test_a_lost_name_is_replaced_before_anybody_hears(bench: LeaseBench) -> None:
    """Who is told of the loss sees a new name, under which he may claim at once."""
    lease = await bench.taken()
    name = lease.worker
    bench.clock.now += 2 * LEASE_MS
    await bench.store.reap(now_ms=bench.clock.now, limit=9)
    await lease.reap()

    assert bench.lost == [lease.worker]
    assert name != lease.worker


async def test_a_name_is_told_only_once_its_lease_is_there() -> None:
    """While a lease is being taken, the name is still the one before."""

    class ListeningStore(MemoryStore):
        async def beat(self, **options: Any) -> bool:
            seen.append((options["worker"], lease.worker))
            return await super().beat(**options)

    seen: list[tuple[str, str]] = []
    lease = LeaseBench(ListeningStore()).lease()
    before = lease.worker
    await lease.take()

    assert seen == [(lease.worker, before)]


async def test_purge_goes_on_while_there_is_more(bench: LeaseBench) -> None:
    """All that is past its retention goes at one time, however much it is."""
    for number in range(PURGE_BATCH_MAX + 1):
        await finished(bench.store, Ref("orders", str(number)))
    await create(bench.store)
    bench.clock.now += ERROR_MS
    lease = await bench.taken()
    await lease.purge()

    left = await bench.store.list_instances("orders", status=None, before_key=None, limit=9)
    assert [REF] == [one.ref for one in left]


async def test_a_purge_delays_no_beat() -> None:
    """While a purge takes its time, the lease is renewed."""

    class StuckStore(MemoryStore):
        async def purge(self, **_: Any) -> int:
            purging.set()
            await asyncio.Event().wait()
            return 0

        async def beat(self, **options: Any) -> bool:
            if purging.is_set():
                beaten.set()
            return await super().beat(**options)

    purging, beaten = asyncio.Event(), asyncio.Event()
    lease = await LeaseBench(StuckStore()).taken()
    keeping = asyncio.create_task(lease.keep())
    async with asyncio.timeout(10):
        await beaten.wait()
    keeping.cancel()
    await asyncio.wait([keeping])

    assert keeping.cancelled()
