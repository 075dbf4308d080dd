"""Fencing: a run whose lease is no longer good writes nothing."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import (
    Append,
    Delete,
    EnterPause,
    Finish,
    Hibernate,
    Outcome,
    Pause,
    PutChunk,
    Release,
    Restart,
    RunCommand,
    SendEvent,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    OTHER_WORKER,
    REF,
    STEP,
    T0,
    applied,
    create,
    do,
    finished,
    held,
    kinds,
    picture,
    run_commands,
    same,
    step_fact,
    take,
)


async def _refuses_all(store: Store, lease: Lease) -> None:
    before = await picture(store, lease.key)
    commands = run_commands(lease)
    for command in commands:
        same(Outcome.SUPERSEDED, await do(store, command, T0 + 3))
        same(before, await picture(store, lease.key))
    same([Outcome.SUPERSEDED] * len(commands), await store.apply(commands, T0 + 3))
    same(before, await picture(store, lease.key))


async def _rich(store: Store) -> Lease:
    lease = await held(store)
    put = PutChunk(lease=lease, step=STEP, ordinal=1, attempt=1, index=0, data=b"kept")
    await applied(store, put)
    await applied(store, Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)))
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    return lease


async def older_epoch_is_superseded(store: Store) -> None:
    """Every command of an earlier claim of the same worker is SUPERSEDED and stores nothing."""
    stale = await _rich(store)
    await applied(store, Release(lease=stale))
    await take(store)

    await _refuses_all(store, stale)


async def future_epoch_is_superseded(store: Store) -> None:
    """Every command with an epoch that never was is SUPERSEDED and stores nothing."""
    lease = await _rich(store)

    await _refuses_all(store, replace(lease, epoch=lease.epoch + 1))


async def wrong_owner_is_superseded(store: Store) -> None:
    """Every command of another worker is SUPERSEDED and stores nothing."""
    lease = await _rich(store)

    await _refuses_all(store, replace(lease, owner=OTHER_WORKER))
    await _refuses_all(store, replace(lease, owner=""))


async def unheld_is_superseded(store: Store) -> None:
    """Every command about an instance that nobody holds is SUPERSEDED and stores nothing."""
    stale = await _rich(store)
    await applied(store, Release(lease=stale))

    await _refuses_all(store, stale)


async def deleted_is_superseded(store: Store) -> None:
    """Every command about a deleted instance is SUPERSEDED and stores nothing."""
    stale = await _rich(store)
    await applied(store, Delete(ref=REF))

    await _refuses_all(store, stale)


async def unknown_key_is_superseded(store: Store) -> None:
    """Every command about a key that never was is SUPERSEDED and stores nothing."""
    lease = await _rich(store)

    await _refuses_all(store, replace(lease, key=lease.key + 1_000))


async def successor_of_deleted_is_safe(store: Store) -> None:
    """The lease of a deleted instance does not fit a new one of the same id, even at its epoch."""
    stale = await _rich(store)
    await applied(store, Delete(ref=REF))
    fresh = await held(store)

    same(stale.epoch, fresh.epoch)
    before = await picture(store, fresh.key)
    await _refuses_all(store, stale)
    same(before, await picture(store, fresh.key))


async def terminate_shuts_the_holder_out(store: Store) -> None:
    """After Terminate every command of the holder is SUPERSEDED, with and without rollback."""
    stale = await _rich(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    await _refuses_all(store, stale)
    await applied(store, Terminate(ref=REF))

    await _refuses_all(store, stale)


async def restart_shuts_the_holder_out(store: Store) -> None:
    """After Restart every command of the holder is SUPERSEDED, also once the same worker claims."""
    stale = await _rich(store)
    await applied(store, Restart(ref=REF))
    await _refuses_all(store, stale)
    await take(store)

    await _refuses_all(store, stale)


async def reap_shuts_the_holder_out(store: Store) -> None:
    """After a reap every command of the lapsed holder is SUPERSEDED."""
    stale = await _rich(store)
    same(1, await store.reap(now_ms=T0 + 1, limit=9))

    await _refuses_all(store, stale)


async def finished_is_superseded(store: Store) -> None:
    """A run cannot write after its own end."""
    made = await finished(store)

    await _refuses_all(store, Lease(made.key, "worker-1", made.epoch))


async def giving_back_twice_is_superseded(store: Store) -> None:
    """A command that gives the lease back is SUPERSEDED when it is delivered a second time."""
    said = (Fact(FactKind.WAITING, T0),)
    for number in range(4):
        ref = Ref("orders", str(number))
        lease = await held(store, ref)
        giving_back: list[RunCommand] = [
            Hibernate(lease=lease, facts=said, wake_ms=T0 + 10),
            Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=said),
            Release(lease=lease, facts=said),
            EnterPause(lease=lease, facts=said),
        ]
        if number == 3:
            await applied(store, Pause(ref=ref))
        await applied(store, giving_back[number])
        before = await picture(store, lease.key)

        same(Outcome.SUPERSEDED, await do(store, giving_back[number], T0 + 1))
        same(before, await picture(store, lease.key))


async def lease_outlives_client_commands(store: Store) -> None:
    """Events and a pause that was asked for leave the lease good."""
    lease = await held(store)
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    await applied(store, Pause(ref=REF))

    await applied(store, Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)))


async def stale_command_harms_no_other(store: Store) -> None:
    """A SUPERSEDED command amid a batch leaves all others applied, in order."""
    lease = await held(store)
    other = await create(store, Ref("orders", "b"))
    said = [step_fact(FactKind.STEP_RAN, number) for number in (1, 2, 3)]
    outcomes = await store.apply(
        [
            Append(lease=lease, facts=(said[0],)),
            Append(lease=Lease(other.key, "nobody", 0), facts=(said[1],)),
            Append(lease=lease, facts=(said[2],)),
        ],
        T0,
    )

    same([Outcome.APPLIED, Outcome.SUPERSEDED, Outcome.APPLIED], outcomes)
    same([FactKind.QUEUED, FactKind.STEP_RAN, FactKind.STEP_RAN], await kinds(store))
    same([FactKind.QUEUED], await kinds(store, Ref("orders", "b")))
