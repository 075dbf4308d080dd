"""Running again, from the top or from one step."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import (
    Append,
    EnterPause,
    Outcome,
    Pause,
    PutChunk,
    Restart,
    Resume,
    SendEvent,
    SetStatus,
    Terminate,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    ERROR_MS,
    REF,
    T0,
    applied,
    create,
    creation,
    do,
    facts,
    finished,
    held,
    kinds,
    memory,
    named,
    picture,
    row,
    same,
    step_fact,
    take,
)

_QUEUED_AGAIN = Fact(FactKind.QUEUED, T0 + 9, payload='{"n":1}', detail='"cron"')


async def _three_steps(store: Store) -> Lease:
    await applied(store, creation(params='{"n":1}', detail='"cron"'))
    lease = await take(store)
    said = [
        Fact(FactKind.STARTED, T0),
        step_fact(FactKind.STEP_RAN, 1, named("a")),
        step_fact(FactKind.STEP_STARTED, 3, named("c")),
        step_fact(FactKind.STEP_RAN, 2, named("b")),
        step_fact(FactKind.STEP_COMPLETED, 3, named("c")),
        Fact(FactKind.WAITING, T0),
        step_fact(FactKind.ROLLBACK_STARTED, 1, StepKey(StepKind.ROLLBACK, "a", 1)),
    ]
    await applied(store, Append(lease=lease, facts=tuple(said)))
    for ordinal, name in enumerate("abc", start=1):
        put = PutChunk(
            lease=lease, step=named(name), ordinal=ordinal, attempt=1, index=0, data=name.encode()
        )
        await applied(store, put)
    await applied(store, SendEvent(ref=REF, type="go", payload="1"))
    return lease


async def _chunks(store: Store, key: int) -> list[bytes | None]:
    return [await store.read_chunk(key, named(name), 1, 0) for name in "abc"]


async def restart_forgets_the_run(store: Store) -> None:
    """Restart keeps params and detail, written anew; facts, chunks and events are gone."""
    lease = await _three_steps(store)
    await applied(store, Restart(ref=REF), T0 + 9)

    same([_QUEUED_AGAIN], await facts(store))
    same([], (await memory(store)).events)
    same([None, None, None], await _chunks(store, lease.key))


async def restarted_instance_is_queued(store: Store) -> None:
    """A restarted instance is as a new one, but for key, creation and a grown epoch."""
    made = await create(store)
    lease = await take(store)
    await applied(store, SetStatus(lease=lease, status=InstanceStatus.ROLLING_BACK))
    await applied(store, Restart(ref=REF), T0 + 9)

    after = await row(store)
    expected = replace(made, epoch=lease.epoch + 1, ready_ms=T0 + 9, modified_ms=after.modified_ms)
    same(expected, after)
    same(True, (await take(store, now_ms=T0 + 9)).epoch > lease.epoch + 1)


async def restart_works_from_the_end(store: Store) -> None:
    """A finished instance can be restarted: its end, and with it its expiry, is forgotten."""
    for status in (InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED):
        made = await finished(store, Ref("orders", status.value), status)
        await applied(store, Restart(ref=made.ref), T0 + 1)

        after = await row(store, made.ref)
        expected = (InstanceStatus.QUEUED, T0 + 1, None, None, made.epoch + 1)
        state = (after.status, after.ready_ms, after.started_ms, after.ended_ms, after.epoch)
        same(expected, state)
    same(0, await store.purge(now_ms=T0 + 10 * ERROR_MS, limit=9))


async def restart_works_from_a_pause(store: Store) -> None:
    """A paused instance can be restarted, and is not paused any more."""
    lease = await held(store)
    await applied(store, Pause(ref=REF))
    await applied(store, EnterPause(lease=lease, facts=()))
    await applied(store, Restart(ref=REF), T0 + 1)

    after = await row(store)
    same((InstanceStatus.QUEUED, None, T0 + 1), (after.status, after.paused_ms, after.ready_ms))


async def restart_works_from_the_queue(store: Store) -> None:
    """A queued instance can be restarted, and any number of times, with one QUEUED fact."""
    await applied(store, creation(params='{"n":1}', detail='"cron"'))
    for _ in range(3):
        await applied(store, Restart(ref=REF), T0 + 9)

    same([_QUEUED_AGAIN], await facts(store))
    same(3, (await row(store)).epoch)


async def restart_works_from_a_rollback(store: Store) -> None:
    """A rollingBack instance can be restarted."""
    await create(store)
    await applied(store, Terminate(ref=REF, rollback=True))
    await applied(store, Restart(ref=REF), T0 + 1)

    same(InstanceStatus.QUEUED, (await row(store)).status)


async def restart_forgets_crashes(store: Store) -> None:
    """Restart begins to count crashes anew."""
    for number in range(2):
        if number == 0:
            await held(store)
        else:
            await take(store, now_ms=T0 + 1)
        await store.reap(now_ms=T0 + 1, limit=9)
    same(2, (await row(store)).crashes)
    await applied(store, Restart(ref=REF))

    same(0, (await row(store)).crashes)


async def restart_of_nobody_is_not_found(store: Store) -> None:
    """Restart of an instance that does not exist gives NOT_FOUND."""
    same(Outcome.NOT_FOUND, await do(store, Restart(ref=REF)))
    same(Outcome.NOT_FOUND, await do(store, Restart(ref=REF, step=named("a"))))


async def restart_from_a_step_keeps_earlier_ones(store: Store) -> None:
    """Restart from a step cuts by ordinal: QUEUED first, then facts of earlier steps, in order."""
    await _three_steps(store)
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    kept = [
        step_fact(FactKind.STEP_RAN, 1, named("a")),
        step_fact(FactKind.ROLLBACK_STARTED, 1, StepKey(StepKind.ROLLBACK, "a", 1)),
    ]
    same([_QUEUED_AGAIN, *kept], await facts(store))
    found = (await memory(store)).facts
    same(sorted({fact.id for fact in found}), [fact.id for fact in found])


async def restart_from_the_last_step_keeps_the_rest(store: Store) -> None:
    """A step whose facts lie between those of others is cut out whole."""
    lease = await _three_steps(store)
    await applied(store, Restart(ref=REF, step=named("c")), T0 + 9)

    steps = [(fact.step.name, fact.kind) for fact in await facts(store) if fact.step]
    expected = [
        ("a", FactKind.STEP_RAN),
        ("b", FactKind.STEP_RAN),
        ("a", FactKind.ROLLBACK_STARTED),
    ]
    same(expected, steps)
    same([b"a", b"b", None], await _chunks(store, lease.key))


async def restart_from_a_step_keeps_events(store: Store) -> None:
    """Restart from a step keeps pending events, and chunks of earlier steps only."""
    lease = await _three_steps(store)
    before = (await memory(store)).events
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    same(before, (await memory(store)).events)
    same([b"a", None, None], await _chunks(store, lease.key))


async def restart_from_an_unknown_step_changes_nothing(store: Store) -> None:
    """A step of which there is no fact gives NOT_FOUND, and nothing changes."""
    lease = await _three_steps(store)
    before = await picture(store, lease.key)
    for step in (
        StepKey(StepKind.DO, "a", 2),
        StepKey(StepKind.SLEEP, "a", 1),
        named("A"),
        named("z"),
    ):
        same(Outcome.NOT_FOUND, await do(store, Restart(ref=REF, step=step), T0 + 9))
        same(before, await picture(store, lease.key))


async def restart_from_a_step_keeps_the_shift_of_timers(store: Store) -> None:
    """Pauses that moved a kept timer stay in the history after it; other pauses go."""
    lease = await held(store)
    asleep = replace(step_fact(FactKind.SLEEP_STARTED, 1, named("nap")), due_ms=T0 + 50)
    for number, fact in enumerate([step_fact(FactKind.STEP_STARTED, 2, named("b")), asleep]):
        await applied(store, Append(lease=lease, facts=(fact,)))
        lease = await _pause_and_resume(store, lease, lasts_ms=number + 1)
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    moved = Fact(FactKind.RESUMED, T0 + 2, due_ms=2)
    same([asleep, moved], (await facts(store))[1:])
    same(FactKind.QUEUED, (await kinds(store))[0])


async def restart_from_a_step_ends_a_pause(store: Store) -> None:
    """A restart from a step moves kept timers by the pause that it ends, as a resume does."""
    lease = await held(store)
    asleep = replace(step_fact(FactKind.SLEEP_STARTED, 1, named("nap")), due_ms=T0 + 50)
    said = (asleep, step_fact(FactKind.STEP_STARTED, 2, named("b")))
    await applied(store, Append(lease=lease, facts=said))
    await applied(store, Pause(ref=REF), T0 + 1)
    await applied(store, EnterPause(lease=lease, facts=()), T0 + 2)
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    same([asleep, Fact(FactKind.RESUMED, T0 + 9, due_ms=7)], (await facts(store))[1:])


async def restart_without_timers_keeps_no_pause(store: Store) -> None:
    """Where no kept step has a due time, no pause is kept; nor after a restart from the top."""
    lease = await held(store)
    asleep = replace(step_fact(FactKind.SLEEP_STARTED, 2, named("nap")), due_ms=T0 + 50)
    said = (step_fact(FactKind.STEP_RAN, 1, named("a")), asleep)
    await applied(store, Append(lease=lease, facts=said))
    await _pause_and_resume(store, lease, lasts_ms=5)
    await applied(store, Restart(ref=REF, step=named("nap")), T0 + 9)

    same([FactKind.QUEUED, FactKind.STEP_RAN], await kinds(store))
    await applied(store, Restart(ref=REF), T0 + 9)
    same([FactKind.QUEUED], await kinds(store))


async def _pause_and_resume(store: Store, lease: Lease, *, lasts_ms: int) -> Lease:
    await applied(store, Pause(ref=REF))
    await applied(store, EnterPause(lease=lease, facts=()))
    await applied(store, Resume(ref=REF), T0 + lasts_ms)
    return await take(store, now_ms=T0 + lasts_ms)


async def restart_from_a_step_queues_the_instance(store: Store) -> None:
    """Restart from a step shuts the holder out and queues, as a whole restart does."""
    lease = await _three_steps(store)
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    after = await row(store)
    expected = (InstanceStatus.QUEUED, None, lease.epoch + 1, T0 + 9, None)
    same(expected, (after.status, after.owner, after.epoch, after.ready_ms, after.started_ms))


async def restart_from_a_step_can_be_repeated(store: Store) -> None:
    """A second restart from the same step finds it only once it has run again."""
    await _three_steps(store)
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)

    same(Outcome.NOT_FOUND, await do(store, Restart(ref=REF, step=named("b")), T0 + 9))
    lease = await take(store, now_ms=T0 + 9)
    again = step_fact(FactKind.STEP_RAN, 2, named("b"))
    await applied(store, Append(lease=lease, facts=(again,)))
    await applied(store, Restart(ref=REF, step=named("b")), T0 + 9)
    same(_QUEUED_AGAIN, (await facts(store))[0])


async def restart_touches_no_other(store: Store) -> None:
    """Restart leaves facts, events and chunks of other instances."""
    await _three_steps(store)
    other = await held(store, Ref("orders", "b"))
    put = PutChunk(lease=other, step=named("a"), ordinal=1, attempt=1, index=0, data=b"b")
    await applied(store, put)
    await applied(store, SendEvent(ref=Ref("orders", "b"), type="go", payload="2"))
    before = (await picture(store, other.key), await _chunks(store, other.key))
    await applied(store, Restart(ref=REF, step=named("a")), T0 + 9)
    await applied(store, Restart(ref=REF), T0 + 9)

    same(before, (await picture(store, other.key), await _chunks(store, other.key)))
