"""Giving a lease back until a time or an event comes; and handing it back unfinished."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import (
    Append,
    Hibernate,
    Outcome,
    Pause,
    Release,
    Resume,
    SendEvent,
    SetStatus,
    Terminate,
    Wake,
)
from stepwell.model.instance import InstanceStatus
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
    held,
    row,
    same,
    step_fact,
    take,
)

_SAID = (Fact(FactKind.WAITING, T0 + 1),)


async def hibernating_instance_waits(store: Store) -> None:
    """Hibernate: facts stored, lease given back, status waiting, ready at wake_ms, same epoch."""
    lease = await held(store)
    before = await row(store)
    await applied(store, Hibernate(lease=lease, facts=_SAID, wake_ms=T0 + 60), T0 + 1)

    after = await row(store)
    expected = replace(
        before,
        status=InstanceStatus.WAITING,
        owner=None,
        ready_ms=T0 + 60,
        modified_ms=after.modified_ms,
    )
    same(expected, after)
    same(list(_SAID), (await facts(store))[1:])
    same([], await store.signals(WORKER))


async def woken_run_has_the_next_epoch(store: Store) -> None:
    """The claim right after a hibernation has the very next epoch."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 1))

    same(lease.epoch + 1, (await take(store, now_ms=T0 + 1)).epoch)


async def resting_run_may_be_wanted_back(store: Store) -> None:
    """Wake: an instance that rests since this lease is ready now, and its epoch stays."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 60))

    same(Outcome.APPLIED, await do(store, Wake(lease=lease), T0 + 1))
    same(lease.epoch + 1, (await take(store, now_ms=T0 + 1)).epoch)


async def only_a_resting_run_is_wanted_back(store: Store) -> None:
    """Wake of what is held, was claimed since, is paused or is gone: SUPERSEDED, and no change."""
    lease = await held(store)
    before = await row(store)
    same(Outcome.SUPERSEDED, await do(store, Wake(lease=lease)))
    same(before, await row(store))
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 60))
    await applied(store, Pause(ref=REF))
    same(Outcome.SUPERSEDED, await do(store, Wake(lease=lease)))
    await applied(store, Resume(ref=REF))
    again = await take(store)
    await applied(store, Hibernate(lease=again, facts=(), wake_ms=T0 + 60))
    before = await row(store)
    same(Outcome.SUPERSEDED, await do(store, Wake(lease=lease)))
    same(before, await row(store))
    same(Outcome.SUPERSEDED, await do(store, Wake(lease=replace(lease, key=lease.key + 99))))


async def hibernation_forgets_crashes(store: Store) -> None:
    """A run that got as far as hibernating has 0 crashes."""
    await held(store)
    await store.reap(now_ms=T0, limit=9)
    lease = await take(store)
    same(1, (await row(store)).crashes)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 1))

    same(0, (await row(store)).crashes)


async def unseen_event_keeps_the_run(store: Store) -> None:
    """An event that the run has not seen gives STAY, whatever its type; facts are stored."""
    lease = await held(store)
    await applied(store, SendEvent(ref=REF, type="other", payload="1"))
    before = await row(store)
    rest = Hibernate(lease=lease, facts=_SAID, wake_ms=T0 + 60, event_types=("go",))

    same(Outcome.STAY, await do(store, rest, T0 + 1))
    same(before, await row(store))
    same(list(_SAID), (await facts(store))[1:])
    await applied(store, Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)))


async def seen_event_lets_the_run_rest(store: Store) -> None:
    """Events up to events_seen do not hold a run awake; the next one does."""
    lease = await held(store)
    for _ in range(2):
        await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    first, second = await store.pending_events(lease.key, 0)
    rest = Hibernate(lease=lease, facts=(), wake_ms=T0 + 60, events_seen=first.id)

    same(Outcome.STAY, await do(store, rest))
    same(Outcome.APPLIED, await do(store, replace(rest, events_seen=second.id)))


async def consumed_event_lets_the_run_rest(store: Store) -> None:
    """Only pending events hold a run awake."""
    lease = await held(store)
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    (event,) = await store.pending_events(lease.key, 0)
    await applied(store, Append(lease=lease, facts=(), consumed_event=event.id))

    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 60))


async def pause_keeps_the_run(store: Store) -> None:
    """A run that is to pause gets STAY and keeps its lease; facts are stored."""
    lease = await held(store)
    await applied(store, Pause(ref=REF), T0)
    before = await row(store)

    same(Outcome.STAY, await do(store, Hibernate(lease=lease, facts=_SAID, wake_ms=T0 + 60)))
    same(before, await row(store))
    same(list(_SAID), (await facts(store))[2:])


async def pause_taken_back_lets_the_run_rest(store: Store) -> None:
    """After Pause and Resume a run may hibernate."""
    lease = await held(store)
    await applied(store, Pause(ref=REF))
    await applied(store, Resume(ref=REF))

    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 60))


async def rolling_back_run_keeps_its_status(store: Store) -> None:
    """A rollingBack run hibernates as rollingBack, and is claimed at its wake_ms."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    lease = await take(store)
    await applied(store, Hibernate(lease=lease, facts=_SAID, wake_ms=T0 + 60))

    after = await row(store)
    same((InstanceStatus.ROLLING_BACK, None, T0 + 60), (after.status, after.owner, after.ready_ms))
    await take(store, now_ms=T0 + 60)
    same(InstanceStatus.ROLLING_BACK, (await row(store)).status)


async def status_of_a_run_is_recorded(store: Store) -> None:
    """SetStatus records the status and its facts; the lease stays as it was."""
    lease = await held(store)
    before = await row(store)
    said = (Fact(FactKind.ROLLBACK_STARTED, T0 + 1),)
    turn = SetStatus(lease=lease, status=InstanceStatus.ROLLING_BACK, facts=said)
    await applied(store, turn, T0 + 1)

    after = await row(store)
    expected = replace(before, status=InstanceStatus.ROLLING_BACK, modified_ms=after.modified_ms)
    same(expected, after)
    same(list(said), (await facts(store))[1:])
    await applied(store, SetStatus(lease=lease, status=InstanceStatus.RUNNING), T0 + 2)
    same(InstanceStatus.RUNNING, (await row(store)).status)


async def released_run_is_ready_at_once(store: Store) -> None:
    """Release: facts stored, nobody holds it, ready now; status and epoch as they were."""
    lease = await held(store)
    before = await row(store)
    said = (step_fact(FactKind.STEP_RAN, 1),)
    await applied(store, Release(lease=lease, facts=said), T0 + 3)

    after = await row(store)
    expected = replace(before, owner=None, ready_ms=T0 + 3, modified_ms=after.modified_ms)
    same(expected, after)
    same(list(said), (await facts(store))[1:])
    same(lease.epoch + 1, (await take(store, now_ms=T0 + 3)).epoch)
