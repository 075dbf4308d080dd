"""Events: buffered for any instance that lives, consumed once, and what they wake."""

from __future__ import annotations

from stepwell.model.command import (
    Append,
    Hibernate,
    Outcome,
    Pause,
    Release,
    SendEvent,
    Terminate,
)
from stepwell.model.event import PendingEvent
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.step import FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    HOSTILE,
    MIB,
    REF,
    T0,
    WORKER,
    applied,
    create,
    do,
    facts,
    finished,
    held,
    memory,
    picture,
    row,
    same,
    step_fact,
    take,
    without_ids,
)


def _event(type_: str = "go", payload: str = "1", ref: Ref = REF) -> SendEvent:
    return SendEvent(ref=ref, type=type_, payload=payload)


async def sent_event_is_pending(store: Store) -> None:
    """An event waits with its type, payload and time of arrival until a run consumes it."""
    made = await create(store)
    await applied(store, _event("go", '{"n":1}'), T0 + 3)
    (event,) = await store.pending_events(made.key, 0)

    same(PendingEvent(id=event.id, type="go", payload='{"n":1}', at_ms=T0 + 3), event)
    same(True, event.id > 0)
    same([event], (await memory(store)).events)


async def events_come_in_order_of_arrival(store: Store) -> None:
    """Ids of events grow in order of arrival, within a batch too, and events are read by them."""
    made = await create(store)
    await store.apply([_event("a"), _event("b"), _event("a")], T0)
    await applied(store, _event("c"), T0)
    events = await store.pending_events(made.key, 0)

    same(["a", "b", "a", "c"], [event.type for event in events])
    same(sorted({event.id for event in events}), [event.id for event in events])
    for place, event in enumerate(events):
        same(events[place + 1 :], await store.pending_events(made.key, event.id))


async def events_belong_to_their_instance(store: Store) -> None:
    """An event is pending for its instance only."""
    first, second = await create(store), await create(store, Ref("orders", "b"))
    await applied(store, _event())

    same(1, len(await store.pending_events(first.key, 0)))
    same([], await store.pending_events(second.key, 0))
    same([], await store.pending_events(second.key + 999, 0))


async def event_for_nobody_is_not_found(store: Store) -> None:
    """An event for an instance that does not exist gives NOT_FOUND."""
    same(Outcome.NOT_FOUND, await do(store, _event()))


async def event_for_a_finished_instance_is_refused(store: Store) -> None:
    """An event for a finished instance gives FINISHED, and is not stored."""
    ended = (InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED)
    for status in ended:
        made = await finished(store, Ref("orders", status.value), status)

        same(Outcome.FINISHED, await do(store, _event(ref=made.ref)))
        same([], await store.pending_events(made.key, 0))


async def event_is_kept_in_every_living_status(store: Store) -> None:
    """An instance that does not wait keeps the event, and its row stays as it was."""
    await create(store, Ref("orders", "queued"))
    lease = await held(store, Ref("refunds", "released"))
    await applied(store, Release(lease=lease))
    await applied(store, Pause(ref=Ref("refunds", "released")))
    await held(store, Ref("bills", "held"))
    await create(store, Ref("bills", "back"))
    await applied(store, Terminate(ref=Ref("bills", "back"), rollback=True))
    refs = [("orders", "queued"), ("refunds", "released"), ("bills", "held"), ("bills", "back")]
    for ref in (Ref(*names) for names in refs):
        before = await row(store, ref)
        await applied(store, _event(ref=ref), T0 + 1)

        same(before, await row(store, ref))
        same(1, len(await store.pending_events(before.key, 0)))


async def awaited_event_makes_ready(store: Store) -> None:
    """An event of an awaited type makes the waiting instance ready now; others do not."""
    lease = await held(store)
    types = ("go", "it's")
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 900, event_types=types))
    await applied(store, _event("Go"), T0 + 1)
    await applied(store, _event("g"), T0 + 2)
    same(T0 + 900, (await row(store)).ready_ms)
    await applied(store, _event("it's"), T0 + 3)

    same(T0 + 3, (await row(store)).ready_ms)
    same(InstanceStatus.WAITING, (await row(store)).status)
    await take(store, now_ms=T0 + 3)


async def awaited_event_wakes_without_end(store: Store) -> None:
    """An instance that waits without a time becomes ready by an event as well."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=None, event_types=("go",)))
    await applied(store, _event(), T0 + 5)

    same(T0 + 5, (await row(store)).ready_ms)


async def every_hostile_type_wakes(store: Store) -> None:
    """An awaited type may hold any text: it is compared to the character."""
    for number, type_ in enumerate(HOSTILE):
        ref = Ref("orders", str(number))
        lease = await held(store, ref)
        types = ("other", type_)
        await applied(store, Hibernate(lease=lease, facts=(), wake_ms=None, event_types=types))
        await applied(store, _event(type_, type_, ref), T0 + 5)
        (event,) = await store.pending_events(lease.key, 0)

        same(T0 + 5, (await row(store, ref)).ready_ms)
        same((type_, type_), (event.type, event.payload))


async def event_never_makes_ready_later(store: Store) -> None:
    """An event for an instance whose wake time is over does not put it off."""
    lease = await held(store)
    wait = Hibernate(lease=lease, facts=(), wake_ms=T0 + 5, event_types=("go",))
    await applied(store, wait)
    await applied(store, _event(), T0 + 50)

    same(T0 + 5, await store.next_ready_ms(["orders"]))


async def forgotten_wait_does_not_wake(store: Store) -> None:
    """Types awaited by an earlier hibernation do not wake a later one."""
    lease = await held(store)
    await applied(store, Hibernate(lease=lease, facts=(), wake_ms=T0 + 1, event_types=("go",)))
    again = await take(store, now_ms=T0 + 1)
    await applied(store, Hibernate(lease=again, facts=(), wake_ms=T0 + 900), T0 + 2)
    await applied(store, _event(), T0 + 3)

    same(T0 + 900, (await row(store)).ready_ms)


async def consumed_event_is_gone(store: Store) -> None:
    """Append with consumed_event stores its facts and takes that event away, no other."""
    lease = await held(store)
    await store.apply([_event("a"), _event("a")], T0)
    first, second = await store.pending_events(lease.key, 0)
    done = step_fact(FactKind.WAIT_COMPLETED, 1, payload="1")
    await applied(store, Append(lease=lease, facts=(done,), consumed_event=second.id))

    same([first], await store.pending_events(lease.key, 0))
    same([done], (await facts(store))[1:])


async def event_is_consumed_once(store: Store) -> None:
    """Consuming an event that is gone gives SUPERSEDED, and no fact of the command is stored."""
    lease = await held(store)
    await applied(store, _event())
    (event,) = await store.pending_events(lease.key, 0)
    done = step_fact(FactKind.WAIT_COMPLETED, 1)
    consume = Append(lease=lease, facts=(done,), consumed_event=event.id)
    await applied(store, consume)
    before = await picture(store, lease.key)

    same(Outcome.SUPERSEDED, await do(store, consume))
    same(before, await picture(store, lease.key))


async def event_is_consumed_once_in_a_batch(store: Store) -> None:
    """Of two commands of one batch that consume the same event the second is SUPERSEDED."""
    lease = await held(store)
    await applied(store, _event())
    (event,) = await store.pending_events(lease.key, 0)
    first = step_fact(FactKind.WAIT_COMPLETED, 1, payload="1")
    second = step_fact(FactKind.WAIT_COMPLETED, 2, payload="2")
    outcomes = await store.apply(
        [
            Append(lease=lease, facts=(first,), consumed_event=event.id),
            Append(lease=lease, facts=(second,), consumed_event=event.id),
        ],
        T0,
    )

    same([Outcome.APPLIED, Outcome.SUPERSEDED], outcomes)
    same([first], (await facts(store))[1:])


async def event_of_another_is_not_consumed(store: Store) -> None:
    """A run cannot consume another instance's event."""
    lease = await held(store)
    other = await create(store, Ref("orders", "b"))
    await applied(store, _event(ref=other.ref))
    events = await store.pending_events(other.key, 0)
    done = step_fact(FactKind.WAIT_COMPLETED, 1)
    consume = Append(lease=lease, facts=(done,), consumed_event=events[0].id)

    same(Outcome.SUPERSEDED, await do(store, consume))
    same(events, await store.pending_events(other.key, 0))
    same(1, len(await facts(store)))


async def holder_hears_of_events(store: Store) -> None:
    """A signal tells the id of the newest unconsumed event, or 0."""
    lease = await held(store)
    (signal,) = await store.signals(WORKER)
    same(0, signal.last_event_id)
    await store.apply([_event("a"), _event("b")], T0)
    newest = (await store.pending_events(lease.key, 0))[-1]
    (signal,) = await store.signals(WORKER)

    same(newest.id, signal.last_event_id)


async def event_ids_are_never_used_again(store: Store) -> None:
    """An event that comes after the newest was consumed has a greater id."""
    lease = await held(store)
    await applied(store, _event())
    (event,) = await store.pending_events(lease.key, 0)
    await applied(store, Append(lease=lease, facts=(), consumed_event=event.id))
    await applied(store, _event())
    (newer,) = await store.pending_events(lease.key, 0)

    same(True, newer.id > event.id)


async def large_event_comes_back(store: Store) -> None:
    """An event's payload of 1 MiB comes back to the character, also from its fact."""
    lease = await held(store)
    payload = '"' + "x\\" * (MIB // 2) + '"'
    await applied(store, _event(payload=payload))
    (event,) = await store.pending_events(lease.key, 0)
    done = step_fact(FactKind.WAIT_COMPLETED, 1, payload=event.payload)
    await applied(store, Append(lease=lease, facts=(done,), consumed_event=event.id))

    same(payload, event.payload)
    same([done], without_ids((await memory(store)).facts)[1:])
