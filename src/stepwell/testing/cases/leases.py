"""Workers: their leases, what becomes of the runs of one that died, and how crashes count."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import Append, Hibernate, Pause, Release, Resume
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Signal, Store
from stepwell.testing.cases.bench import (
    OTHER_WORKER,
    REF,
    T0,
    WORKER,
    applied,
    create,
    facts,
    held,
    kinds,
    row,
    same,
    step_fact,
    take,
)

_NO_PROGRESS = (
    FactKind.STEP_STARTED,
    FactKind.ATTEMPT_STARTED,
    FactKind.RUNNING,
    FactKind.WAITING,
    FactKind.SLEEP_STARTED,
    FactKind.WAIT_STARTED,
)


async def _beat(store: Store, worker: str = WORKER, expires_ms: int = T0 + 100) -> bool:
    return await store.beat(worker=worker, expires_ms=expires_ms, now_ms=T0)


async def _crash(store: Store, *said: FactKind, now_ms: int = T0) -> int:
    lease = await take(store, now_ms=now_ms)
    await applied(store, Append(lease=lease, facts=tuple(Fact(kind, now_ms) for kind in said)))
    same(1, await store.reap(now_ms=now_ms, limit=9))
    return (await row(store)).crashes


async def living_worker_is_not_reaped(store: Store) -> None:
    """While its lease lasts a worker keeps its runs, and each beat makes it last longer."""
    same(True, await _beat(store))
    lease = await held(store)
    same(0, await store.reap(now_ms=T0 + 99, limit=9))
    same(True, await _beat(store, expires_ms=T0 + 200))

    same(0, await store.reap(now_ms=T0 + 199, limit=9))
    await applied(store, Append(lease=lease, facts=()))


async def lapsed_worker_is_reaped(store: Store) -> None:
    """A run of a lapsed worker: nobody holds it, a new epoch, ready now, one crash."""
    await _beat(store)
    lease = await held(store)
    before = await row(store)
    same(1, await store.reap(now_ms=T0 + 101, limit=9))

    after = await row(store)
    expected = replace(
        before,
        owner=None,
        epoch=lease.epoch + 1,
        ready_ms=T0 + 101,
        crashes=1,
        modified_ms=after.modified_ms,
    )
    same(expected, after)
    same([FactKind.QUEUED], await kinds(store))
    same([], await store.signals(WORKER))
    await take(store, worker=OTHER_WORKER, now_ms=T0 + 101)


async def reaped_worker_learns_it(store: Store) -> None:
    """A worker whose lapse was seen by reap is told so at each beat; its row stays reaped."""
    await _beat(store)
    await store.reap(now_ms=T0 + 101, limit=9)

    for _ in range(2):
        late = {"expires_ms": T0 + 900, "now_ms": T0 + 102}
        same(False, await store.beat(worker=WORKER, **late))
    same(True, await store.beat(worker=OTHER_WORKER, expires_ms=T0 + 900, now_ms=T0 + 102))


async def late_worker_may_go_on_if_nobody_saw_it(store: Store) -> None:
    """A lease that lapsed, but was not reaped meanwhile, can be renewed."""
    await _beat(store)
    lease = await held(store)

    late = T0 + 500
    same(True, await store.beat(worker=WORKER, expires_ms=late + 100, now_ms=late))
    same(0, await store.reap(now_ms=late + 50, limit=9))
    await applied(store, Append(lease=lease, facts=()))


async def reaped_worker_holds_nothing_that_lasts(store: Store) -> None:
    """What a reaped worker claims afterwards is freed by the next reap."""
    await _beat(store)
    await store.reap(now_ms=T0 + 101, limit=9)
    await held(store, now_ms=T0 + 102)

    same(1, await store.reap(now_ms=T0 + 103, limit=9))


async def owner_without_lease_is_lapsed(store: Store) -> None:
    """An instance whose owner never had a lease, or has one no more, is freed."""
    await held(store)

    same(1, await store.reap(now_ms=T0, limit=9))
    same(None, (await row(store)).owner)


async def reap_keeps_its_limit(store: Store) -> None:
    """At most `limit` instances are freed at a time; the rest by later reaps."""
    await _beat(store)
    for number in range(5):
        await create(store, Ref("orders", str(number)))
    await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0)

    freed = [await store.reap(now_ms=T0 + 101, limit=2) for _ in range(4)]
    same([2, 2, 1, 0], freed)
    same(False, await _beat(store))


async def reap_frees_only_the_lapsed(store: Store) -> None:
    """Runs of living workers, and what nobody holds, stay as they are."""
    await _beat(store)
    await _beat(store, OTHER_WORKER, T0 + 900)
    await held(store, Ref("orders", "dead"))
    await held(store, Ref("orders", "living"), worker=OTHER_WORKER)
    await create(store, Ref("orders", "free"))
    others = [Ref("orders", "living"), Ref("orders", "free")]
    before = [await row(store, ref) for ref in others]

    same(1, await store.reap(now_ms=T0 + 101, limit=9))
    same(before, [await row(store, ref) for ref in others])


async def crashes_without_progress_add_up(store: Store) -> None:
    """Crashes count up as long as a run adds only facts that show no progress."""
    await create(store)
    counted = [await _crash(store, *_NO_PROGRESS) for _ in range(4)]

    same([1, 2, 3, 4], counted)


async def progress_begins_the_count_anew(store: Store) -> None:
    """A fact of any other kind since the last crash makes the next crash the first."""
    await create(store)
    for kind in FactKind:
        await _crash(store)
        await _crash(store)
        expected = 1 if kind not in _NO_PROGRESS else 1 + (await row(store)).crashes

        same(expected, await _crash(store, kind, FactKind.STEP_STARTED))


async def progress_counts_once(store: Store) -> None:
    """A fact of progress counts for the crash after it, and for no later one."""
    await create(store)
    await _crash(store)
    counted = [await _crash(store, FactKind.STEP_RAN), await _crash(store), await _crash(store)]

    same([1, 2, 3], counted)


async def release_is_no_crash(store: Store) -> None:
    """A run that is handed back keeps its count."""
    await create(store)
    await _crash(store)
    lease = await take(store)
    await applied(store, Release(lease=lease))

    same(1, (await row(store)).crashes)


async def hibernation_begins_the_count_anew(store: Store) -> None:
    """After a hibernation the next crash is the first, progress or not."""
    await create(store)
    await _crash(store)
    await _crash(store)
    lease = await take(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0))

    same(1, await _crash(store))


async def reaped_run_that_was_to_pause_is_paused(store: Store) -> None:
    """A waitingForPause run of a lapsed worker is paused by reap, with fact PAUSED."""
    lease = await held(store)
    await applied(store, Pause(ref=REF), T0 + 1)
    same(1, await store.reap(now_ms=T0 + 5, limit=9))

    after = await row(store)
    same((InstanceStatus.PAUSED, None, lease.epoch + 1), (after.status, after.owner, after.epoch))
    same((T0 + 5, None), (after.paused_ms, after.ready_ms))
    same([Fact(FactKind.PAUSED, T0 + 5)], (await facts(store))[2:])
    await applied(store, Resume(ref=REF), T0 + 7)
    same(2, (await facts(store))[-1].due_ms)


async def retired_worker_hands_back(store: Store) -> None:
    """Retire hands back all that the worker holds, as Release does: ready now, same epoch."""
    await _beat(store)
    await _beat(store, OTHER_WORKER)
    lease = await held(store)
    await held(store, Ref("orders", "pausing"))
    await applied(store, Pause(ref=Ref("orders", "pausing")))
    await held(store, Ref("orders", "other"), worker=OTHER_WORKER)
    await store.retire(worker=WORKER, now_ms=T0 + 4)

    after = await row(store)
    expected = (InstanceStatus.RUNNING, None, lease.epoch, T0 + 4, 0)
    same(expected, (after.status, after.owner, after.epoch, after.ready_ms, after.crashes))
    pausing = await row(store, Ref("orders", "pausing"))
    same((InstanceStatus.PAUSED, T0 + 4, None), (pausing.status, pausing.paused_ms, pausing.owner))
    same(FactKind.PAUSED, (await kinds(store, Ref("orders", "pausing")))[-1])
    same(OTHER_WORKER, (await row(store, Ref("orders", "other"))).owner)


async def retired_worker_may_come_again(store: Store) -> None:
    """Retire removes the lease: a later beat makes a new one. Retiring twice is fine."""
    await _beat(store)
    for _ in range(2):
        await store.retire(worker=WORKER, now_ms=T0)

    same(True, await _beat(store))


async def signals_tell_what_is_held(store: Store) -> None:
    """A worker is told of each run that it holds, and of no other."""
    mine = await held(store, Ref("orders", "mine"))
    await held(store, Ref("orders", "theirs"), worker=OTHER_WORKER)
    await create(store, Ref("orders", "free"))

    expected = Signal(
        key=mine.key, epoch=mine.epoch, status=InstanceStatus.RUNNING, last_event_id=0
    )
    same([expected], await store.signals(WORKER))
    same([], await store.signals("nobody"))


async def worker_names_may_hold_anything(store: Store) -> None:
    """A worker's name is compared to the character."""
    name = 'host\'s "box"\\ 漢字 :1'
    await store.beat(worker=name, expires_ms=T0 + 100, now_ms=T0)
    lease: Lease = await held(store, worker=name)
    await applied(store, Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)))

    same(name, (await row(store)).owner)
    same(0, await store.reap(now_ms=T0 + 50, limit=9))
    same([lease.key], [signal.key for signal in await store.signals(name)])
