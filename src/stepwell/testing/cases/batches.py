"""Batches: all or nothing, each command on its own, and in order where it matters."""

from __future__ import annotations

from typing import Any, cast

from stepwell.errors import StepwellError
from stepwell.model.command import (
    Append,
    Command,
    Delete,
    DropChunks,
    EnterPause,
    Finish,
    Hibernate,
    Outcome,
    Pause,
    PutChunk,
    Release,
    Restart,
    Resume,
    SendEvent,
    SetStatus,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    REF,
    STEP,
    T0,
    WORKER,
    applied,
    creation,
    facts,
    held,
    kinds,
    memory,
    picture,
    row,
    same,
    step_fact,
)

_APPLIED = Outcome.APPLIED
_COMPLETE = InstanceStatus.COMPLETE
_B = Ref("orders", "b")
_EVENT = SendEvent(ref=REF, type="go", payload="1")


async def _outcomes(store: Store, *commands: Command) -> list[Outcome]:
    return await store.apply(commands, T0)


async def empty_batch_is_nothing(store: Store) -> None:
    """A batch of no commands gives no outcomes."""
    same([], await store.apply([], T0))


async def each_command_has_its_outcome(store: Store) -> None:
    """Outcomes come in order of the commands; a refused one harms no other."""
    outcomes = await _outcomes(
        store,
        Delete(ref=_B),
        creation(REF),
        creation(REF),
        creation(_B),
        Resume(ref=_B),
        Terminate(ref=_B),
        Terminate(ref=_B),
        SendEvent(ref=_B, type="go", payload="1"),
    )

    expected = [
        Outcome.NOT_FOUND,
        _APPLIED,
        Outcome.EXISTS,
        _APPLIED,
        Outcome.NOTHING,
        _APPLIED,
        Outcome.FINISHED,
        Outcome.FINISHED,
    ]
    same(expected, outcomes)


async def failing_batch_stores_nothing(store: Store) -> None:
    """A batch that raises has stored nothing, neither before nor after the command at fault."""
    lease = await held(store)
    await applied(store, _EVENT)
    before = await picture(store, lease.key)
    commands: list[Command] = [
        creation(_B),
        Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)),
        SendEvent(ref=REF, type="go", payload="2"),
        PutChunk(lease=lease, step=STEP, ordinal=1, attempt=1, index=0, data=b"x"),
        Restart(ref=REF),
        cast("Command", _Impossible()),
        Delete(ref=REF),
    ]
    same(True, await _raises(store, commands))

    same(before, await picture(store, lease.key))
    same(None, await store.find(_B))
    (signal,) = await store.signals(WORKER)
    same((lease.key, lease.epoch), (signal.key, signal.epoch))
    await applied(store, Append(lease=lease, facts=()))
    await applied(store, creation(_B))
    claims = await store.claim(worker=WORKER, workflows=["orders"], limit=9, now_ms=T0)
    same([_B], [claim.instance.ref for claim in claims])


class _Impossible:
    """No command at all."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


async def _raises(store: Store, commands: list[Command]) -> bool:
    try:
        await store.apply(commands, T0)
    except (StepwellError, TypeError, AttributeError, AssertionError, ValueError):
        return True
    return False


async def append_then_finish(store: Store) -> None:
    """Facts appended before the end are stored before those of the end."""
    lease = await held(store)
    end = Fact(FactKind.COMPLETED, T0)
    outcomes = await _outcomes(
        store,
        Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)),
        Append(lease=lease, facts=(step_fact(FactKind.STEP_FAILED, 2),)),
        Finish(lease=lease, status=_COMPLETE, facts=(end,)),
        Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 3),)),
    )

    same([_APPLIED, _APPLIED, _APPLIED, Outcome.SUPERSEDED], outcomes)
    expected = [FactKind.QUEUED, FactKind.STEP_RAN, FactKind.STEP_FAILED, FactKind.COMPLETED]
    same(expected, await kinds(store))


async def facts_keep_the_order_of_the_batch(store: Store) -> None:
    """Facts of appends and of other commands about one instance are stored in their order."""
    lease = await held(store)
    outcomes = await _outcomes(
        store,
        SetStatus(lease=lease, status=InstanceStatus.RUNNING, facts=(Fact(FactKind.STARTED, T0),)),
        Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1),)),
        Pause(ref=REF),
        Append(lease=lease, facts=(step_fact(FactKind.STEP_FAILED, 2),)),
        Resume(ref=REF),
        Hibernate(lease=lease, facts=(Fact(FactKind.WAITING, T0),), wake_ms=T0 + 1),
        Pause(ref=REF),
    )

    same([_APPLIED] * 7, outcomes)
    expected = [
        FactKind.QUEUED,
        FactKind.STARTED,
        FactKind.STEP_RAN,
        FactKind.PAUSING,
        FactKind.STEP_FAILED,
        FactKind.RUNNING,
        FactKind.WAITING,
        FactKind.PAUSED,
    ]
    same(expected, await kinds(store))


async def create_then_use(store: Store) -> None:
    """An instance created by a batch can be used by the same batch."""
    outcomes = await _outcomes(store, creation(), _EVENT, Pause(ref=REF), Restart(ref=REF), _EVENT)

    same([_APPLIED, _APPLIED, Outcome.NOTHING, _APPLIED, _APPLIED], outcomes)
    same(1, len((await memory(store)).events))
    same([FactKind.QUEUED], await kinds(store))


async def use_then_create(store: Store) -> None:
    """An instance that a batch creates does not exist for the commands before."""
    outcomes = await _outcomes(store, _EVENT, creation(), _EVENT)

    same([Outcome.NOT_FOUND, _APPLIED, _APPLIED], outcomes)
    same(1, len((await memory(store)).events))


async def delete_then_create(store: Store) -> None:
    """An id that a batch deletes can be created anew by the same batch, whatever else it holds."""
    lease = await held(store)
    outcomes = await _outcomes(
        store, creation(_B), Delete(ref=REF), creation(REF, params='"new"'), _EVENT
    )

    same([_APPLIED] * 4, outcomes)
    same(True, (await row(store)).key > lease.key)
    same(['"new"'], [fact.payload for fact in await facts(store)])
    same(1, len((await memory(store)).events))


async def create_then_delete(store: Store) -> None:
    """Creating a taken id and then deleting it leaves nothing."""
    await applied(store, creation())
    outcomes = await _outcomes(store, Delete(ref=_B), creation(), Delete(ref=REF))

    same([Outcome.NOT_FOUND, Outcome.EXISTS, _APPLIED], outcomes)
    same(None, await store.find(REF))


async def create_delete_create(store: Store) -> None:
    """One batch may create, delete and create again: the last one is left."""
    outcomes = await _outcomes(
        store, creation(params="1"), Delete(ref=REF), creation(params="2"), creation(params="3")
    )

    same([_APPLIED, _APPLIED, _APPLIED, Outcome.EXISTS], outcomes)
    same(["2"], [fact.payload for fact in await facts(store)])


async def event_then_hibernate(store: Store) -> None:
    """An event before the hibernation keeps the run awake."""
    lease = await held(store)
    outcomes = await _outcomes(
        store, _EVENT, Hibernate(lease=lease, facts=(), wake_ms=None, event_types=("go",))
    )

    same([_APPLIED, Outcome.STAY], outcomes)
    same(WORKER, (await row(store)).owner)


async def hibernate_then_event(store: Store) -> None:
    """An event after the hibernation wakes the instance."""
    lease = await held(store)
    outcomes = await _outcomes(
        store, Hibernate(lease=lease, facts=(), wake_ms=None, event_types=("go",)), _EVENT
    )

    same([_APPLIED, _APPLIED], outcomes)
    after = await row(store)
    same((InstanceStatus.WAITING, None, T0), (after.status, after.owner, after.ready_ms))


async def event_then_finish(store: Store) -> None:
    """An event before the end is deleted by it; one after the end is refused."""
    lease = await held(store)
    outcomes = await _outcomes(
        store, _EVENT, Finish(lease=lease, status=_COMPLETE, facts=()), _EVENT
    )

    same([_APPLIED, _APPLIED, Outcome.FINISHED], outcomes)
    same([], (await memory(store)).events)


async def pause_then_enter(store: Store) -> None:
    """A pause asked for and entered in one batch is a pause; resumed in between it is none."""
    for between, expected in (
        ((), [_APPLIED, _APPLIED]),
        ((Resume(ref=_B),), [_APPLIED, _APPLIED, Outcome.STAY]),
    ):
        ref = _B if between else REF
        lease = await held(store, ref)
        enter = EnterPause(lease=lease, facts=())

        same(expected, await _outcomes(store, Pause(ref=ref), *between, enter))
    same(InstanceStatus.PAUSED, (await row(store)).status)
    same(InstanceStatus.RUNNING, (await row(store, _B)).status)


async def terminate_then_write(store: Store) -> None:
    """A run's write after a Terminate, Restart or Delete of the same batch is SUPERSEDED."""
    verbs: list[Any] = [Terminate, Restart, Delete]
    for number, verb in enumerate(verbs):
        ref = Ref("orders", str(number))
        lease = await held(store, ref)
        said = (step_fact(FactKind.STEP_RAN, 1),)
        outcomes = await _outcomes(
            store,
            Append(lease=lease, facts=said),
            verb(ref=ref),
            Append(lease=lease, facts=said),
            Release(lease=lease),
        )

        same([_APPLIED, _APPLIED, Outcome.SUPERSEDED, Outcome.SUPERSEDED], outcomes)


async def append_then_restart_from(store: Store) -> None:
    """A step whose fact the batch has just added can be restarted from by the same batch."""
    lease = await held(store)
    said = (step_fact(FactKind.STEP_RAN, 1),)
    outcomes = await _outcomes(
        store,
        Restart(ref=REF, step=STEP),
        Append(lease=lease, facts=said),
        Restart(ref=REF, step=STEP),
    )

    same([Outcome.NOT_FOUND, _APPLIED, _APPLIED], outcomes)
    same([FactKind.QUEUED], await kinds(store))


async def chunks_keep_the_order_of_the_batch(store: Store) -> None:
    """Dropping a step's pieces and putting new ones has the meaning of its order."""
    lease = await held(store)

    def put(index: int) -> PutChunk:
        return PutChunk(lease=lease, step=STEP, ordinal=1, attempt=1, index=index, data=b"x")

    drop = DropChunks(lease=lease, step=STEP)
    same([_APPLIED] * 5, await _outcomes(store, put(0), put(1), drop, put(1), put(2)))

    found = [await store.read_chunk(lease.key, STEP, 1, index) for index in range(3)]
    same([None, b"x", b"x"], found)


async def instances_do_not_disturb_each_other(store: Store) -> None:
    """A large mixed batch about many instances does to each what it would do alone."""
    refs = [Ref("orders", f"{number:03}") for number in range(120)]
    leases = [await held(store, ref) for ref in refs[:30]]
    commands: list[Command] = [creation(ref) for ref in refs[30:]]
    commands += [
        Append(lease=lease, facts=(step_fact(FactKind.STEP_RAN, 1, payload=str(lease.key)),))
        for lease in leases
    ]
    commands += [SendEvent(ref=ref, type="go", payload=ref.id) for ref in reversed(refs)]
    commands += [Finish(lease=lease, status=_COMPLETE, facts=()) for lease in leases[::2]]

    same([_APPLIED] * len(commands), await store.apply(commands, T0))
    for number, ref in enumerate(refs):
        found = await memory(store, ref)
        is_finished = number < 30 and number % 2 == 0
        same([] if is_finished else [ref.id], [event.payload for event in found.events])
        key = (await row(store, ref)).key
        expected = [str(key)] if number < 30 else []
        same(expected, [fact.payload for fact in found.facts[1:]])
