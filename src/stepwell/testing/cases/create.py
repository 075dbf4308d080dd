"""Creating instances, and deleting them."""

from __future__ import annotations

from dataclasses import replace

from stepwell.model.command import Delete, Outcome
from stepwell.model.instance import Instance, InstanceStatus, Ref, TriggerSource
from stepwell.model.step import Fact, FactKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    HOSTILE,
    MIB,
    REF,
    T0,
    applied,
    create,
    creation,
    do,
    facts,
    finished,
    held,
    picture,
    row,
    same,
)


async def new_instance_is_queued_and_ready(store: Store) -> None:
    """A new instance is queued, unheld, never claimed, and ready now."""
    made = await create(store)

    expected = Instance(
        key=made.key,
        workflow=REF.workflow,
        id=REF.id,
        status=InstanceStatus.QUEUED,
        trigger=TriggerSource.API,
        owner=None,
        epoch=0,
        ready_ms=T0,
        paused_ms=None,
        crashes=0,
        created_ms=T0,
        modified_ms=T0,
        started_ms=None,
        ended_ms=None,
    )
    same(expected, made)


async def first_fact_is_queued(store: Store) -> None:
    """The history begins with QUEUED, which carries params and detail."""
    await applied(store, creation(params='{"n":1}', detail='{"schedule":"x"}'))

    expected = Fact(FactKind.QUEUED, T0, payload='{"n":1}', detail='{"schedule":"x"}')
    same([expected], await facts(store))


async def every_trigger_is_kept(store: Store) -> None:
    """What created an instance can be read again, whatever it was."""
    for trigger in TriggerSource:
        ref = Ref("orders", trigger.value)
        await applied(store, replace(creation(ref), trigger=trigger))

        same(trigger, (await row(store, ref)).trigger)


async def taken_id_is_refused(store: Store) -> None:
    """Creating an id that is taken gives EXISTS and changes nothing, also once it has ended."""
    for ref, made in (
        (REF, await create(store)),
        (Ref("orders", "ended"), await finished(store, Ref("orders", "ended"))),
    ):
        before = await picture(store, (await row(store, ref)).key)

        same(Outcome.EXISTS, await do(store, creation(ref, params='"new"'), T0 + 5))
        same(before, await picture(store, made.key))


async def ids_count_per_workflow(store: Store) -> None:
    """The same id in another workflow is another instance."""
    first = await create(store, Ref("orders", "a"))
    second = await create(store, Ref("refunds", "a"))

    same(True, first.key != second.key)
    same("refunds", second.workflow)


async def ids_are_compared_exactly(store: Store) -> None:
    """Ids that differ in case, in spaces or in composition are different."""
    ids = ["a", "A", "a ", " a", "é", "e\u0301", "ı", "I", "a%", "a_"]
    made = [await create(store, Ref("orders", id_)) for id_ in ids]

    same(len(ids), len({one.key for one in made}))
    same(ids, [one.id for one in made])


async def hostile_text_comes_back(store: Store) -> None:
    """Names, ids, params and details come back to the character, whatever they hold."""
    for text in HOSTILE:
        ref = Ref(text, text)
        await applied(store, creation(ref, params=text, detail=text))

        same(ref, (await row(store, ref)).ref)
        same([Fact(FactKind.QUEUED, T0, payload=text, detail=text)], await facts(store, ref))
        listed = await store.list_instances(text, status=None, before_key=None, limit=10)
        same([ref], [one.ref for one in listed])


async def large_params_come_back(store: Store) -> None:
    """Params of 1 MiB come back to the character."""
    text = '"' + "\\ué🧗" * (MIB // 8) + '"'
    await applied(store, creation(params=text))

    same(text, (await facts(store))[0].payload)


async def absent_params_detail_is_none(store: Store) -> None:
    """A detail that was not given is None, not empty text; and empty text is not None."""
    await applied(store, creation(params="", detail=None))

    same([Fact(FactKind.QUEUED, T0, payload="", detail=None)], await facts(store))


async def delete_removes_everything(store: Store) -> None:
    """A deleted instance is gone with all that it stored, and its id is free again."""
    made = await finished(store)
    await applied(store, Delete(ref=REF))

    same(None, await store.find(REF))
    same({}, await store.load([made.key]))
    same([], await store.read_facts(made.key, after_id=0, limit=10))
    same(None, await store.last_fact(made.key))
    same([], await store.pending_events(made.key, 0))
    same(0, (await store.count_by_status("orders")).get(InstanceStatus.COMPLETE, 0))
    await applied(store, creation())


async def delete_works_in_any_status(store: Store) -> None:
    """A held instance may be deleted; its holder has no run left."""
    lease = await held(store)
    await applied(store, Delete(ref=REF))

    same([], await store.signals(lease.owner))
    same([], await store.claim(worker="w", workflows=["orders"], limit=9, now_ms=T0 + 9))
    same(None, await store.next_ready_ms(["orders"]))


async def deleting_twice_is_not_found(store: Store) -> None:
    """Deleting what does not exist gives NOT_FOUND."""
    await create(store)

    same(Outcome.APPLIED, await do(store, Delete(ref=REF)))
    same(Outcome.NOT_FOUND, await do(store, Delete(ref=REF)))


async def keys_are_never_used_again(store: Store) -> None:
    """An instance that takes the place of a deleted one has a key that no other ever had."""
    seen: list[int] = []
    for _ in range(3):
        seen.append((await create(store)).key)
        await applied(store, Delete(ref=REF))

    same(sorted(set(seen)), seen)
    same([Outcome.APPLIED], await store.apply([creation()], T0))
    same(True, (await row(store)).key > max(seen))
