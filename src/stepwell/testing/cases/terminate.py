"""Ending an instance from outside."""

from __future__ import annotations

from stepwell.model.command import (
    EnterPause,
    Finish,
    Outcome,
    Pause,
    SendEvent,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    ERROR_MS,
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
    memory,
    picture,
    row,
    same,
    take,
)


async def terminated_instance_has_ended(store: Store) -> None:
    """Terminate of a held run: terminated now, nobody holds it, a new epoch, fact TERMINATED."""
    lease = await held(store)
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    await applied(store, Terminate(ref=REF, detail='{"by":"me"}'), T0 + 4)

    after = await row(store)
    expected = (InstanceStatus.TERMINATED, None, lease.epoch + 1, None, T0 + 4)
    same(expected, (after.status, after.owner, after.epoch, after.ready_ms, after.ended_ms))
    same([Fact(FactKind.TERMINATED, T0 + 4, detail='{"by":"me"}')], (await facts(store))[1:])
    same([], (await memory(store)).events)
    same([], await store.signals(WORKER))


async def terminated_instance_is_kept_as_an_error(store: Store) -> None:
    """A terminated instance is kept for the error retention."""
    await create(store)
    await applied(store, Terminate(ref=REF), T0)

    same(0, await store.purge(now_ms=T0 + ERROR_MS - 1, limit=9))
    same(1, await store.purge(now_ms=T0 + ERROR_MS, limit=9))


async def second_rollback_changes_nothing(store: Store) -> None:
    """Terminate with rollback, of an instance that is rolling back, leaves its holder alone."""
    await held(store)
    await applied(store, Terminate(ref=REF, rollback=True), T0 + 1)
    lease = await take(store, now_ms=T0 + 1)
    before = await row(store)

    same(Outcome.NOTHING, await do(store, Terminate(ref=REF, rollback=True), T0 + 2))
    same(before, await row(store))
    same(Outcome.APPLIED, await do(store, Terminate(ref=REF), T0 + 3))
    same(Outcome.SUPERSEDED, await do(store, EnterPause(lease=lease, facts=())))


async def finished_instance_stays_finished(store: Store) -> None:
    """Terminate of a finished instance gives FINISHED and changes nothing, with rollback too."""
    for status in (InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED):
        made = await finished(store, Ref("orders", status.value), status)
        before = await picture(store, made.key)
        for rollback in (False, True):
            command = Terminate(ref=made.ref, rollback=rollback)

            same(Outcome.FINISHED, await do(store, command, T0 + 1))
            same(before, await picture(store, made.key))


async def terminating_twice_is_finished(store: Store) -> None:
    """Terminate that is delivered twice gives FINISHED the second time, with one fact."""
    await create(store)
    await applied(store, Terminate(ref=REF))

    same(Outcome.FINISHED, await do(store, Terminate(ref=REF), T0 + 1))
    same([FactKind.QUEUED, FactKind.TERMINATED], await kinds(store))


async def terminate_of_nobody_is_not_found(store: Store) -> None:
    """Terminate of an instance that does not exist gives NOT_FOUND."""
    same(Outcome.NOT_FOUND, await do(store, Terminate(ref=REF)))
    same(Outcome.NOT_FOUND, await do(store, Terminate(ref=REF, rollback=True)))


async def rollback_is_left_to_a_worker(store: Store) -> None:
    """Terminate with rollback: rollingBack, ready now, holder shut out, no end yet, no fact."""
    lease = await held(store)
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    await applied(store, Terminate(ref=REF, rollback=True), T0 + 4)

    after = await row(store)
    expected = (InstanceStatus.ROLLING_BACK, None, lease.epoch + 1, T0 + 4, None)
    same(expected, (after.status, after.owner, after.epoch, after.ready_ms, after.ended_ms))
    same([FactKind.QUEUED], await kinds(store))


async def worker_ends_a_rollback_as_terminated(store: Store) -> None:
    """A worker claims a rollingBack instance and may end it as terminated."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    lease = await take(store, now_ms=T0 + 1)
    said = (Fact(FactKind.TERMINATED, T0 + 2),)
    end = Finish(lease=lease, status=InstanceStatus.TERMINATED, facts=said)
    await applied(store, end, T0 + 2)

    after = await row(store)
    same((InstanceStatus.TERMINATED, T0 + 2), (after.status, after.ended_ms))


async def rollback_can_be_cut_short(store: Store) -> None:
    """Terminate without rollback ends an instance that is rolling back."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    await applied(store, Terminate(ref=REF), T0 + 1)

    same(InstanceStatus.TERMINATED, (await row(store)).status)


async def paused_instance_can_be_ended(store: Store) -> None:
    """A paused instance is terminated, or rolled back, and is not paused any more."""
    for rollback, status in (
        (False, InstanceStatus.TERMINATED),
        (True, InstanceStatus.ROLLING_BACK),
    ):
        ref = Ref("orders", status.value)
        lease = await held(store, ref)
        await applied(store, Pause(ref=ref))
        await applied(store, EnterPause(lease=lease, facts=()))
        await applied(store, Terminate(ref=ref, rollback=rollback), T0 + 1)

        after = await row(store, ref)
        same((status, None), (after.status, after.paused_ms))
