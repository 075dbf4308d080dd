"""Pausing and resuming, with and without a holder."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import (
    Append,
    EnterPause,
    Hibernate,
    Outcome,
    Pause,
    Release,
    Resume,
    SetStatus,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    REF,
    T0,
    WORKER,
    applied,
    create,
    do,
    facts,
    finished,
    held,
    kinds,
    picture,
    row,
    same,
    step_fact,
    take,
)

_PAUSED = InstanceStatus.PAUSED
_WAITING_FOR_PAUSE = InstanceStatus.WAITING_FOR_PAUSE


async def _paused_by_worker(store: Store) -> Lease:
    lease = await held(store)
    await applied(store, Pause(ref=REF), T0 + 1)
    said = (Fact(FactKind.PAUSED, T0 + 2),)
    await applied(store, EnterPause(lease=lease, facts=said), T0 + 2)
    return lease


async def pause_of_a_held_run_is_asked_for(store: Store) -> None:
    """A held run becomes waitingForPause with fact PAUSING; its holder goes on and is told."""
    lease = await held(store)
    before = await row(store)
    await applied(store, Pause(ref=REF), T0 + 1)

    expected = replace(before, status=_WAITING_FOR_PAUSE, modified_ms=T0 + 1)
    same(expected, replace(await row(store), modified_ms=T0 + 1))
    same([Fact(FactKind.PAUSING, T0 + 1)], (await facts(store))[1:])
    (signal,) = await store.signals(WORKER)
    same((lease.key, lease.epoch, _WAITING_FOR_PAUSE), (signal.key, signal.epoch, signal.status))


async def pause_of_a_waiting_instance_is_at_once(store: Store) -> None:
    """An unheld waiting instance is paused at once: no wake time, a new epoch, fact PAUSED."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 9, event_types=("go",)))
    before = await row(store)
    await applied(store, Pause(ref=REF), T0 + 1)

    after = await row(store)
    expected = replace(
        before,
        status=_PAUSED,
        paused_ms=T0 + 1,
        ready_ms=None,
        epoch=before.epoch + 1,
        modified_ms=after.modified_ms,
    )
    same(expected, after)
    same([Fact(FactKind.PAUSED, T0 + 1)], (await facts(store))[1:])


async def pause_of_a_released_run_is_at_once(store: Store) -> None:
    """An unheld running instance is paused at once."""
    await applied(store, Release(lease=await held(store)))
    await applied(store, Pause(ref=REF), T0 + 1)

    after = await row(store)
    same((_PAUSED, T0 + 1, None), (after.status, after.paused_ms, after.ready_ms))


async def held_waiting_run_is_asked_too(store: Store) -> None:
    """A run that holds its lease with status waiting is asked to pause, as a running one is."""
    lease = await held(store)
    await applied(store, SetStatus(lease=lease, status=InstanceStatus.WAITING))
    await applied(store, Pause(ref=REF))

    same(_WAITING_FOR_PAUSE, (await row(store)).status)


async def pause_of_anything_else_is_nothing(store: Store) -> None:
    """Queued, paused, pausing, rollingBack and finished instances: NOTHING, and no change."""
    await create(store, Ref("queued", "a"))
    for workflow in ("pausing", "paused"):
        lease = await held(store, Ref(workflow, "a"))
        await applied(store, Pause(ref=Ref(workflow, "a")))
    await applied(store, EnterPause(lease=lease, facts=()))
    await create(store, Ref("rolling", "a"))
    await applied(store, Terminate(ref=Ref("rolling", "a"), rollback=True))
    await finished(store, Ref("complete", "a"))
    for workflow in ("queued", "pausing", "paused", "rolling", "complete"):
        ref = Ref(workflow, "a")
        before = (await row(store, ref), await facts(store, ref))

        same(Outcome.NOTHING, await do(store, Pause(ref=ref), T0 + 9))
        same(before, (await row(store, ref), await facts(store, ref)))


async def verbs_on_nobody_are_not_found(store: Store) -> None:
    """Pause and Resume of an instance that does not exist give NOT_FOUND."""
    same(Outcome.NOT_FOUND, await do(store, Pause(ref=REF)))
    same(Outcome.NOT_FOUND, await do(store, Resume(ref=REF)))


async def worker_enters_the_pause(store: Store) -> None:
    """EnterPause stores its facts, gives the lease back, and notes since when it is paused."""
    await _paused_by_worker(store)

    after = await row(store)
    same((_PAUSED, None, None), (after.status, after.owner, after.ready_ms))
    same(T0 + 2, after.paused_ms)
    same([FactKind.QUEUED, FactKind.PAUSING, FactKind.PAUSED], await kinds(store))
    same([], await store.signals(WORKER))


async def resume_before_the_pause_keeps_the_run(store: Store) -> None:
    """EnterPause after a Resume gives STAY: no fact is stored and the lease is good still."""
    lease = await held(store)
    await applied(store, Pause(ref=REF))
    await applied(store, Resume(ref=REF))
    before = await picture(store, lease.key)
    enter = EnterPause(lease=lease, facts=(Fact(FactKind.PAUSED, T0),))

    same(Outcome.STAY, await do(store, enter))
    same(before, await picture(store, lease.key))
    await applied(store, Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)))


async def enter_pause_unasked_is_stay(store: Store) -> None:
    """EnterPause that nobody asked for gives STAY."""
    lease = await held(store)

    same(Outcome.STAY, await do(store, EnterPause(lease=lease, facts=())))
    same(WORKER, (await row(store)).owner)


async def resumed_instance_is_queued(store: Store) -> None:
    """Resume of a paused instance: queued, ready now, a new epoch; RESUMED tells how long."""
    await _paused_by_worker(store)
    before = await row(store)
    await applied(store, Resume(ref=REF), T0 + 50)

    after = await row(store)
    same((InstanceStatus.QUEUED, T0 + 50, None), (after.status, after.ready_ms, after.paused_ms))
    same(before.epoch + 1, after.epoch)
    same(before.started_ms, after.started_ms)
    same([Fact(FactKind.RESUMED, T0 + 50, due_ms=48)], (await facts(store))[-1:])
    await take(store, now_ms=T0 + 50)


async def resume_of_a_pausing_run_takes_the_pause_back(store: Store) -> None:
    """Resume of waitingForPause: running, fact RUNNING, same lease; the holder is told."""
    lease = await held(store)
    await applied(store, Pause(ref=REF), T0 + 1)
    await applied(store, Resume(ref=REF), T0 + 2)

    after = await row(store)
    expected = (InstanceStatus.RUNNING, WORKER, lease.epoch)
    same(expected, (after.status, after.owner, after.epoch))
    same([Fact(FactKind.RUNNING, T0 + 2)], (await facts(store))[-1:])
    (signal,) = await store.signals(WORKER)
    same(InstanceStatus.RUNNING, signal.status)


async def resume_of_anything_else_is_nothing(store: Store) -> None:
    """Resume of what is not paused gives NOTHING and changes nothing."""
    await create(store, Ref("queued", "a"))
    await held(store, Ref("running", "a"))
    lease = await held(store, Ref("waiting", "a"))
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 9))
    await create(store, Ref("rolling", "a"))
    await applied(store, Terminate(ref=Ref("rolling", "a"), rollback=True))
    await finished(store, Ref("complete", "a"))
    for workflow in ("queued", "running", "waiting", "rolling", "complete"):
        ref = Ref(workflow, "a")
        before = (await row(store, ref), await facts(store, ref))

        same(Outcome.NOTHING, await do(store, Resume(ref=ref), T0 + 9))
        same(before, (await row(store, ref), await facts(store, ref)))


async def release_of_a_pausing_run_pauses_it(store: Store) -> None:
    """A waitingForPause run that is handed back is paused, with fact PAUSED after its own."""
    lease = await held(store)
    await applied(store, Pause(ref=REF), T0 + 1)
    said = (step_fact(FactKind.STEP_RAN, 1),)
    await applied(store, Release(lease=lease, facts=said), T0 + 2)

    after = await row(store)
    expected = (_PAUSED, None, None, T0 + 2)
    same(expected, (after.status, after.owner, after.ready_ms, after.paused_ms))
    kept = [FactKind.QUEUED, FactKind.PAUSING, FactKind.STEP_RAN, FactKind.PAUSED]
    same(kept, await kinds(store))


async def every_pause_is_measured_anew(store: Store) -> None:
    """A second pause lasts from its own beginning."""
    await _paused_by_worker(store)
    await applied(store, Resume(ref=REF), T0 + 10)
    lease = await take(store, now_ms=T0 + 10)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=None), T0 + 20)
    await applied(store, Pause(ref=REF), T0 + 30)
    await applied(store, Resume(ref=REF), T0 + 35)

    lasted = [one.due_ms for one in await facts(store) if one.kind is FactKind.RESUMED]
    same([8, 5], lasted)
