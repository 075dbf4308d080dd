"""Stores cannot be told apart: the same verbs give the same outcomes and leave the same state.

Two properties. A state machine lets random verbs loose on MemoryStore and SQLiteStore side by side.
And a random list of commands as one batch on SQLite, where a batch is few statements, leaves what
the same commands leave one by one on memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from stepwell.model.command import (
    Append,
    Command,
    Create,
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
    Wake,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref, Retention, TriggerSource
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Memory, Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore

T = TypeVar("T")
_T0 = 1_000_000
_WORKFLOWS = ("orders", "refunds")
_WORKERS = ("w1", "w2", "w3")
_REFS = tuple(Ref(workflow, id_) for workflow in _WORKFLOWS for id_ in ("a", "b"))
_STEPS = tuple(StepKey(StepKind.DO, name, 1) for name in "xyz")
_TYPES = ("go", "it's")
_ALL = 1_000_000


# ---- recipes: commands that do not yet know the leases and events that each store gave --------


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A command to be made: `ref` stands for the lease, `age` for how stale it is."""

    kind: type[Any]
    ref: Ref
    age: int = 0
    values: tuple[tuple[str, Any], ...] = ()
    consumes: int | None = None
    has_seen: bool = False


_PAYLOADS = (None, "1", '"it\'s \\\\u0000 漢"')
_FACTS: list[tuple[Fact, ...]] = [
    (),
    *[
        (Fact(kind, _T0, step=step, ordinal=place, attempt=1, payload=payload),)
        for kind in (FactKind.STEP_RAN, FactKind.STEP_STARTED)
        for place, step in enumerate(_STEPS, start=1)
        for payload in _PAYLOADS
    ],
    *[
        (Fact(FactKind.SLEEP_STARTED, _T0, step=step, ordinal=place, due_ms=_T0 + 20),)
        for place, step in enumerate(_STEPS, start=1)
    ],
    (Fact(FactKind.WAITING, _T0), Fact(FactKind.STEP_FAILED, _T0, step=_STEPS[0], ordinal=1)),
]
_RUNS_ON = [InstanceStatus.RUNNING, InstanceStatus.ROLLING_BACK]
_ENDS = [InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED]
_CHOICES: dict[type[Any], dict[str, Sequence[Any]]] = {
    Create: {
        "params": ["{}", '"p"'],
        "trigger": list(TriggerSource),
        "retention": [Retention(success_ms=0, error_ms=20), Retention(success_ms=9, error_ms=3)],
    },
    SendEvent: {"type": _TYPES, "payload": ["1", '"2"']},
    Pause: {},
    Resume: {},
    Terminate: {"rollback": [False, True, True], "detail": [None, "{}"]},
    Restart: {"step": [None, *_STEPS]},
    Delete: {},
    Append: {"facts": _FACTS},
    Hibernate: {
        "facts": _FACTS,
        "wake_ms": [None, _T0, _T0 + 8, _T0 + 30],
        "event_types": [(), ("go",), _TYPES],
    },
    SetStatus: {"facts": _FACTS, "status": _RUNS_ON},
    EnterPause: {"facts": _FACTS},
    Finish: {"facts": _FACTS, "status": _ENDS},
    Release: {"facts": _FACTS},
    Wake: {},
    PutChunk: {"step": _STEPS, "attempt": [1, 2], "index": [0, 1], "data": [b"", b"\0x", b"y"]},
    DropChunks: {"step": _STEPS},
}
_CLIENTS = (Create, SendEvent, Pause, Resume, Terminate, Restart, Delete)
# Verbs that end or remove come seldom, or little else would happen.
_SELDOM = {Finish, Delete, Terminate, Restart}
_OFTEN = [Append, Append, SendEvent, Hibernate, Pause]
_KINDS: list[type[Any]] = [
    *_SELDOM,
    *[kind for kind in _CHOICES if kind not in _SELDOM] * 2,
    *_OFTEN * 2,
]


def _recipe(random: Random) -> Recipe:
    kind = random.choice(_KINDS)
    values = {name: random.choice(choices) for name, choices in _CHOICES[kind].items()}
    if kind is PutChunk:
        values["ordinal"] = _STEPS.index(values["step"]) + 1
    return Recipe(
        kind=kind,
        ref=random.choice(_REFS),
        age=int(random.random() < 0.1),
        values=tuple(values.items()),
        consumes=random.choice([None, 0, 1]) if kind is Append else None,
        has_seen=random.random() < 0.6,
    )


def _batch(least: int, most: int) -> st.SearchStrategy[list[Recipe]]:
    """Give lists of recipes, drawn from a seed: that mixes verbs far better."""
    return st.randoms(use_true_random=True).map(
        lambda random: [_recipe(random) for _ in range(random.randint(least, most))]
    )


_CREATIONS = [
    Recipe(
        kind=Create,
        ref=ref,
        values=(
            ("params", "{}"),
            ("trigger", TriggerSource.API),
            ("retention", Retention(success_ms=5, error_ms=9)),
        ),
    )
    for ref in _REFS[:3]
]


def _aim(recipe: Recipe, held: Sequence[Ref]) -> Recipe:
    """Turn a run's command to a run that is held, if there is one: else little would happen."""
    if recipe.kind in _CLIENTS or recipe.age or not held:
        return recipe
    return replace(recipe, ref=held[_REFS.index(recipe.ref) % len(held)])


# ---- one store, seen so that it can be compared ------------------------------------------------


class Side:
    """A store, with the leases it gave; what it shows has no ids of the store's own choosing."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.leases: dict[Ref, Lease] = {}

    async def commands(self, recipes: Sequence[Recipe]) -> list[Command]:
        """Make the commands of recipes, all against the state as it is now."""
        rows = [(ref, await self.store.find(ref)) for ref in _REFS]
        held = [ref for ref, row in rows if row is not None and row.owner is not None]
        aimed = [_aim(recipe, held) for recipe in recipes]
        memories = {ref: await self._memory(ref) for ref in _REFS}
        return [self._command(recipe, memories[recipe.ref]) for recipe in aimed]

    def _command(self, recipe: Recipe, memory: Memory) -> Command:
        values = dict(recipe.values)
        if recipe.kind in _CLIENTS:
            command: Command = recipe.kind(ref=recipe.ref, **values)
            return command
        events = memory.events
        lease = self.leases.get(recipe.ref, Lease(_ALL, "w1", 1))
        values["lease"] = replace(lease, epoch=lease.epoch - recipe.age)
        if recipe.consumes is not None:
            has_it = recipe.consumes < len(events)
            values["consumed_event"] = events[recipe.consumes].id if has_it else _ALL
        if recipe.kind is Hibernate and recipe.has_seen and events:
            values["events_seen"] = events[-1].id
        run_command: Command = recipe.kind(**values)
        return run_command

    async def apply(self, recipes: Sequence[Recipe], now_ms: int) -> list[Outcome]:
        """Apply recipes as one batch."""
        return await self.store.apply(await self.commands(recipes), now_ms)

    async def apply_singly(self, recipes: Sequence[Recipe], now_ms: int) -> list[Outcome]:
        """Apply recipes one by one, made against the state before the first, as a batch is."""
        commands = await self.commands(recipes)
        return [(await self.store.apply([command], now_ms))[0] for command in commands]

    async def claim(self, worker: str, now_ms: int) -> list[object]:
        """Claim all that is ready; gives refs, epochs and statuses.

        Not their order: keys, which decide between equally old ones, are the store's own choice.
        """
        claims = await self.store.claim(
            worker=worker, workflows=_WORKFLOWS, limit=_ALL, now_ms=now_ms
        )
        for claim in claims:
            self.leases[claim.instance.ref] = claim.lease
        rows = sorted((claim.instance for claim in claims), key=lambda row: row.ref)
        return [(row.ref, row.epoch, row.status, row.ready_ms, row.owner) for row in rows]

    async def picture(self) -> list[object]:
        """Tell all that the store shows of every instance."""
        shown: list[object] = [await self._picture_of(ref) for ref in _REFS]
        for workflow in _WORKFLOWS:
            rows = await self.store.list_instances(workflow, status=None, before_key=None, limit=99)
            shown.append(sorted(row.id for row in rows))
            shown.append(await self.store.count_by_status(workflow))
            shown.append(await self.store.next_ready_ms([workflow]))
        return shown

    async def _picture_of(self, ref: Ref) -> object:
        row = await self.store.find(ref)
        if row is None:
            return None
        found = await self._memory(ref)
        page = await self.store.read_facts(row.key, after_id=0, limit=_ALL)
        pending = await self.store.pending_events(row.key, 0)
        places = [
            (step, attempt, index) for step in _STEPS for attempt in (1, 2) for index in (0, 1)
        ]
        chunks = [await self.store.read_chunk(row.key, *place) for place in places]
        assert found.facts == page
        assert found.events == pending
        assert found.facts[-1] == await self.store.last_fact(row.key)
        facts = [replace(fact, id=0) for fact in page]
        events = [replace(event, id=0) for event in pending]
        return replace(row, key=0), facts, events, chunks

    async def signals(self, worker: str) -> list[object]:
        """Tell what a worker is told, by ref instead of key, with the newest event's place."""
        told: dict[int, Any] = {one.key: one for one in await self.store.signals(worker)}
        shown: list[object] = []
        for ref in _REFS:
            row = await self.store.find(ref)
            signal = told.pop(row.key, None) if row else None
            if signal is not None:
                ids = [0, *(event.id for event in (await self._memory(ref)).events)]
                place = ids.index(signal.last_event_id)
                shown.append((ref, signal.epoch, signal.status, place == len(ids) - 1))
        assert not told
        return shown

    async def _memory(self, ref: Ref) -> Memory:
        row = await self.store.find(ref)
        if row is None:
            return Memory(facts=[], events=[])
        return (await self.store.load([row.key]))[row.key]


class Sides:
    """Both stores, in an event loop of their own."""

    def __init__(self) -> None:
        self._folder = TemporaryDirectory()
        self._runner = asyncio.Runner()
        path = Path(self._folder.name) / "well.db"
        self.memory = Side(MemoryStore())
        self.sqlite = Side(SQLiteStore(path, synchronous="off"))
        for side in (self.memory, self.sqlite):
            self.run(side.store.open())

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(work)

    def both(self, work: Callable[[Side], Awaitable[T]]) -> tuple[T, T]:
        """Do the same to both; gives both answers."""

        async def pair() -> tuple[T, T]:
            return await work(self.memory), await work(self.sqlite)

        return self.run(pair())

    def agree(self, work: Callable[[Side], Awaitable[T]]) -> T:
        """Do the same to both and claim that both answer the same."""
        expected, actual = self.both(work)
        assert expected == actual
        return expected

    def close(self) -> None:
        """Close both stores and the loop."""
        for side in (self.memory, self.sqlite):
            self.run(side.store.close())
        self._runner.close()
        self._folder.cleanup()


# ---- the properties ----------------------------------------------------------------------------


class StoreMachine(RuleBasedStateMachine):
    """Random verbs on both stores."""

    def __init__(self) -> None:
        super().__init__()
        self.sides = Sides()
        self._now = _T0

    def teardown(self) -> None:
        """Close the stores."""
        self.sides.close()

    @initialize()
    def begin(self) -> None:
        """Most instances exist and are held when verbs begin."""
        self.sides.agree(lambda side: side.apply(_CREATIONS, self._now))
        self.beat("w1", 10)
        self.claim("w1")

    @rule(recipes=_batch(1, 12))
    def apply(self, recipes: list[Recipe]) -> None:
        """A batch has the same outcomes."""
        self.sides.agree(lambda side: side.apply(recipes, self._now))

    @rule(recipes=_batch(1, 12), worker=st.sampled_from(_WORKERS))
    def claim_and_apply(self, recipes: list[Recipe], worker: str) -> None:
        """A batch has the same outcomes when all that is ready runs."""
        self.beat(worker, 10)
        self.claim(worker)
        self.apply(recipes)

    @rule(recipes=_batch(1, 12), ms=st.integers(1, 12))
    def crash_and_apply(self, recipes: list[Recipe], ms: int) -> None:
        """A batch has the same outcomes when all that ran has crashed."""
        self.pass_time(ms + 10)
        self.reap()
        self.claim_and_apply(recipes, "w3")

    @rule(worker=st.sampled_from(_WORKERS))
    def claim(self, worker: str) -> None:
        """A claim gives the same runs."""
        self.sides.agree(lambda side: side.claim(worker, self._now))

    @rule(ms=st.integers(1, 12))
    def pass_time(self, ms: int) -> None:
        """Time goes on."""
        self._now += ms

    @rule(worker=st.sampled_from(_WORKERS), ms=st.integers(1, 15))
    def beat(self, worker: str, ms: int) -> None:
        """A beat gives the same answer."""
        now = self._now
        self.sides.agree(
            lambda side: side.store.beat(worker=worker, expires_ms=now + ms, now_ms=now)
        )

    @rule(worker=st.sampled_from(_WORKERS))
    def retire(self, worker: str) -> None:
        """A worker goes."""
        self.sides.agree(lambda side: side.store.retire(worker=worker, now_ms=self._now))

    @rule()
    def reap(self) -> None:
        """As many runs are freed."""
        self.sides.agree(lambda side: side.store.reap(now_ms=self._now, limit=99))

    @rule()
    def purge(self) -> None:
        """As many instances are purged."""
        self.sides.agree(lambda side: side.store.purge(now_ms=self._now, limit=99))

    @invariant()
    def both_show_the_same(self) -> None:
        """All that can be read is the same."""
        self.sides.agree(Side.picture)
        for worker in _WORKERS:
            self.sides.agree(lambda side, name=worker: side.signals(name))  # type: ignore[misc]


_SETTINGS = settings(
    max_examples=15,
    stateful_step_count=15,
    phases=[Phase.generate],  # shrinking takes minutes here, and cannot shrink what a seed gives
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


def test_stores_cannot_be_told_apart() -> None:
    """Any sequence of verbs has the same outcomes on both stores, and leaves the same state."""
    run_state_machine_as_test(StoreMachine, settings=_SETTINGS)


@pytest.mark.parametrize("seed", range(12))
def test_stores_agree_on_a_long_walk(seed: int) -> None:
    """Long lives of many verbs are the same on both stores."""
    random, machine = Random(seed), StoreMachine()
    try:
        machine.begin()
        for _ in range(25):
            _take_a_step(machine, random)
            expected, actual = machine.sides.both(Side.picture)
            assert expected == actual
    finally:
        machine.teardown()


def _take_a_step(machine: StoreMachine, random: Random) -> None:
    recipes = [_recipe(random) for _ in range(random.randint(1, 12))]
    worker = random.choice(_WORKERS)
    match random.randint(0, 9):
        case 0 | 1 | 2 | 3:
            machine.claim_and_apply(recipes, worker)
        case 4 | 5 | 6:
            machine.apply(recipes)
        case 7:
            machine.crash_and_apply(recipes, random.randint(1, 12))
        case 8:
            machine.retire(worker)
        case _:
            machine.pass_time(random.randint(1, 12))
            machine.purge()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    batches=st.lists(_batch(4, 20), min_size=1, max_size=4),
)
def test_a_batch_is_its_commands_one_by_one(
    batches: list[list[Recipe]],
) -> None:
    """A batch on SQLite leaves what its commands leave one by one on memory."""
    sides = Sides()
    try:
        sides.agree(lambda side: side.apply(_CREATIONS, _T0))
        for place, batch in enumerate(batches):
            now = _T0 + place
            sides.agree(lambda side: side.claim("w1", now))  # noqa: B023  (called at once)
            expected = sides.run(sides.memory.apply_singly(batch, now))
            actual = sides.run(sides.sqlite.apply(batch, now))

            assert expected == actual
            sides.agree(Side.picture)
    finally:
        sides.close()
