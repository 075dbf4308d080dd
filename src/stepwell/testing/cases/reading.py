"""Reading: rows, histories, pages, and values that belong to the reader."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from stepwell.model.command import Append, Delete
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Store
from stepwell.testing.cases.bench import (
    HOSTILE,
    MIB,
    REF,
    T0,
    applied,
    create,
    facts,
    finished,
    held,
    memory,
    same,
    step_fact,
)


async def _page(
    store: Store,
    before_key: int | None = None,
    limit: int = 2,
    status: InstanceStatus | None = None,
) -> list[str]:
    rows = await store.list_instances("orders", status=status, before_key=before_key, limit=limit)
    return [one.id for one in rows]


async def what_is_missing_is_none(store: Store) -> None:
    """What does not exist is read as None, or as nothing."""
    same(None, await store.find(REF))
    same({}, await store.load([1, 2**40]))
    same({}, await store.load([]))
    same([], await store.read_facts(1, after_id=0, limit=9))
    same(None, await store.last_fact(1))
    same([], await store.pending_events(1, 0))
    same(None, await store.read_chunk(1, StepKey(StepKind.DO, "a", 1), 1, 0))
    same([], await _page(store))
    same(0, sum((await store.count_by_status("orders")).values()))


async def fact_comes_back_whole(store: Store) -> None:
    """Every value of a fact of every kind comes back, and what is None stays None."""
    lease = await held(store)
    said: list[Fact] = []
    for number, kind in enumerate(FactKind):
        said.append(Fact(kind, T0 + number))
        step = StepKey(list(StepKind)[number % len(StepKind)], "name", number + 1)
        whole = Fact(
            kind,
            T0 + number,
            step=step,
            ordinal=number + 1,
            attempt=2,
            began_ms=T0 - 1,
            due_ms=2**50,
            payload="p",
            detail="d",
        )
        said.append(whole)
    await applied(store, Append(lease=lease, facts=tuple(said)))
    found = (await facts(store))[1:]

    same(said, found)
    same([type(one.kind) for one in said], [type(one.kind) for one in found])
    steps = [one.step for one in found if one.step is not None]
    same({StepKey}, {type(step) for step in steps})
    same({StepKind}, {type(step.kind) for step in steps})


async def hostile_facts_come_back(store: Store) -> None:
    """Names of steps, payloads and details come back to the character, large ones too."""
    lease = await held(store)
    texts = [*HOSTILE, "", "\\" * MIB, "\U0001f9d7" * (MIB // 4)]
    said = [
        Fact(
            FactKind.STEP_RAN, T0, StepKey(StepKind.DO, text[:256], 1), 1, payload=text, detail=text
        )
        for text in texts
    ]
    await applied(store, Append(lease=lease, facts=tuple(said)))

    same(said, (await facts(store))[1:])


async def ids_of_facts_grow(store: Store) -> None:
    """Facts are in order of an id that grows, whatever id they came with."""
    lease = await held(store)
    for number in (3, 1, 2):
        one, two = step_fact(FactKind.STEP_RAN, number), step_fact(FactKind.STEP_RAN, number + 5)
        one.id = 10 - number
        await applied(store, Append(lease=lease, facts=(one, two)))
    found = (await memory(store)).facts

    same([None, 3, 8, 1, 6, 2, 7], [fact.ordinal for fact in found])
    same(sorted({fact.id for fact in found}), [fact.id for fact in found])
    same(True, found[0].id > 0)


async def history_is_read_in_pages(store: Store) -> None:
    """read_facts gives the facts after an id, in order, up to the limit; load gives all."""
    lease = await held(store)
    said = tuple(step_fact(FactKind.STEP_RAN, number) for number in range(1, 8))
    await applied(store, Append(lease=lease, facts=said))
    whole = (await memory(store)).facts
    pages: list[list[Fact]] = []
    after = 0
    while page := await store.read_facts(lease.key, after_id=after, limit=3):
        pages.append(page)
        after = page[-1].id

    same([3, 3, 2], [len(page) for page in pages])
    same(whole, [fact for page in pages for fact in page])
    same([], await store.read_facts(lease.key, after_id=0, limit=0))
    same(whole[-1], await store.last_fact(lease.key))


async def histories_are_kept_apart(store: Store) -> None:
    """Facts belong to their instance, though ids are given in turn."""
    first, second = await held(store), await held(store, Ref("orders", "b"))
    for number in range(1, 4):
        for lease in (first, second):
            one = step_fact(FactKind.STEP_RAN, number, payload=str(lease.key))
            await applied(store, Append(lease=lease, facts=(one,)))
    loaded = await store.load([second.key, first.key, second.key + 99])

    same({first.key, second.key}, set(loaded))
    for lease in (first, second):
        expected = [str(lease.key)] * 3
        same(expected, [fact.payload for fact in loaded[lease.key].facts][1:])
        page = await store.read_facts(lease.key, after_id=0, limit=99)
        same(loaded[lease.key].facts, page)


async def list_is_newest_first(store: Store) -> None:
    """list_instances gives rows of one workflow by key, newest first, below before_key."""
    made = [await create(store, Ref("orders", str(number)), T0 - number) for number in range(5)]
    await create(store, Ref("refunds", "x"))

    same(["4", "3"], await _page(store))
    same(["2", "1"], await _page(store, made[3].key))
    same(["0"], await _page(store, made[1].key))
    same([], await _page(store, made[0].key))
    same(["4", "3", "2", "1", "0"], await _page(store, limit=99))
    same([], await _page(store, limit=0))


async def pages_are_stable(store: Store) -> None:
    """What is created or deleted between two pages neither repeats nor hides another row."""
    made = [await create(store, Ref("orders", str(number))) for number in range(4)]
    first = await _page(store)
    await create(store, Ref("orders", "new"))
    await applied(store, Delete(ref=Ref("orders", "2")))

    same(["3", "2"], first)
    same(["1", "0"], await _page(store, made[2].key))


async def list_can_be_of_one_status(store: Store) -> None:
    """list_instances with a status gives the rows of that status only, in pages too."""
    for number in range(4):
        await finished(store, Ref("orders", f"done-{number}"))
        await create(store, Ref("orders", f"queued-{number}"), T0 + 9)
    complete = InstanceStatus.COMPLETE
    first = await store.list_instances("orders", status=complete, before_key=None, limit=3)

    same(["done-3", "done-2", "done-1"], [one.id for one in first])
    same(["done-0"], await _page(store, first[-1].key, 3, complete))
    same([], await _page(store, status=InstanceStatus.PAUSED))
    queued = await _page(store, None, 9, InstanceStatus.QUEUED)
    same(["queued-3", "queued-2", "queued-1", "queued-0"], queued)


async def listed_row_is_the_found_row(store: Store) -> None:
    """list_instances and find give the same row."""
    made = await finished(store)
    listed = await store.list_instances("orders", status=None, before_key=None, limit=1)

    same([made], listed)
    same(InstanceStatus, type(listed[0].status))


async def instances_are_counted(store: Store) -> None:
    """count_by_status counts the instances of one workflow by status."""
    for number in range(3):
        await finished(store, Ref("orders", f"done-{number}"))
    await create(store, Ref("orders", "queued"), T0 + 9)
    await create(store, Ref("refunds", "queued"))
    counted = await store.count_by_status("orders")

    expected = {InstanceStatus.COMPLETE: 3, InstanceStatus.QUEUED: 1}
    same(expected, {status: count for status, count in counted.items() if count})


async def readers_cannot_change_what_is_stored(store: Store) -> None:
    """Lists and facts that were read belong to the reader; those that were given, to the giver."""
    lease = await held(store)
    mine = step_fact(FactKind.STEP_RAN, 1, payload="mine")
    await applied(store, Append(lease=lease, facts=(mine,)))
    before = await memory(store)
    _spoil(mine)
    for found in (
        (await memory(store)).facts,
        await store.read_facts(lease.key, after_id=0, limit=9),
    ):
        for one in found:
            _spoil(one)
        found.clear()
    last = await store.last_fact(lease.key)
    _spoil(last)
    (await memory(store)).events.append("no event")  # type: ignore[arg-type]  # a rude reader

    same(before, await memory(store))


def _spoil(fact: Any) -> None:
    for one in fields(fact):
        setattr(fact, one.name, None)


async def change_mark_can_be_asked(store: Store) -> None:
    """change_mark gives a value that can be compared; without a change it may stay the same."""
    mark = await store.change_mark()

    same(True, mark == mark)  # noqa: PLR0124  (a NaN would be no mark)


async def closing_twice_is_fine(store: Store) -> None:
    """close may be called again."""
    await create(store)
    await store.close()
    await store.close()
