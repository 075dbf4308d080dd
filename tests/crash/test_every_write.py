"""A process dies just before and just after every single write; the next one goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import pytest

import stepwell
from stepwell.engine.system_clock import SystemClock
from stepwell.errors import StoreError
from stepwell.model.instance import Ref
from stepwell.model.limits import Limits
from stepwell.model.step import FactKind, StepKind
from stepwell.ports.store import Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.faults import FaultyStore, check_nothing_stranded
from tests.crash.programs import SCENARIOS, Scenario, World, drive

_ENDED = {FactKind.STEP_RAN, FactKind.STEP_COMPLETED, FactKind.STEP_FAILED}
_MODES: dict[str, dict[str, Any]] = {
    "hibernates": {"linger_seconds": 0, "max_warm": 0},
    "stays": {"linger_seconds": None},
}
MakeStore = Callable[[], Store]


def _open(scenario: Scenario, store: Any, world: World, mode: str) -> Any:
    return stepwell.open(
        "sqlite://:memory:", workflows=[scenario.workflow], env=world, store=store,
        maxima=Limits(wait_ms_min=1), blocking_seconds=None, grace_seconds=0, **_MODES[mode],
    )  # fmt: skip


async def _live(scenario: Scenario, store: FaultyStore, world: World, mode: str) -> Any:
    """Be a process: until the end of the work, or until it is killed. Gives None then."""
    world.store = store

    async def work() -> Any:
        async with _open(scenario, store, world, mode) as well:
            return await drive(well, scenario)

    working, dying = asyncio.create_task(work()), asyncio.create_task(store.killed.wait())
    await asyncio.wait({working, dying}, return_when=asyncio.FIRST_COMPLETED)
    if working.done():
        dying.cancel()
        return await working
    store.bury()
    # Again and again: clean-up may wait for a write that died with the journal's own task.
    while not working.done():
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.wait({working}, timeout=0.05)
    with suppress(asyncio.CancelledError, StoreError):
        await working
    return None


async def _committed(store: Store, scenario: Scenario) -> set[str]:
    """Give the labels of steps and rollbacks whose end is in the store."""
    row = await store.find(Ref(scenario.workflow.__name__, "a"))
    memory = (await store.load([row.key])).get(row.key) if row is not None else None
    return {
        ("undo " if fact.step.kind is StepKind.ROLLBACK else "") + fact.step.label
        for fact in (memory.facts if memory is not None else ())
        if fact.kind in _ENDED and fact.step is not None
    }


async def _look_after_crash(store: Store, scenario: Scenario) -> set[str]:
    """Check the store as the next process finds it; let the dead one's lease lapse."""
    await store.open()
    try:
        now_ms = SystemClock().now_ms()
        workflows = [scenario.workflow.__name__]
        await check_nothing_stranded(store, workflows, now_ms=now_ms)
        row = await store.find(Ref(scenario.workflow.__name__, "a"))
        if row is not None and row.owner is not None:
            await store.beat(worker=row.owner, expires_ms=1, now_ms=0)
        await store.reap(now_ms=now_ms, limit=10)
        found = await check_nothing_stranded(store, workflows, now_ms=now_ms)
        assert "lease" not in found.values()
        return await _committed(store, scenario)
    finally:
        await store.close()


def _crash_and_recover(
    scenario: Scenario, make_store: MakeStore, mode: str, point: tuple[int, Any]
) -> tuple[bool, Any, World]:
    """Kill one process at this write and let another go on; tell whether it came to that."""
    world = World()

    async def first() -> Any:
        crash_at, when = point
        store = FaultyStore(make_store(), crash_at=crash_at, when=when)
        return await _live(scenario, store, world, mode)

    async def second() -> Any:
        return await _live(scenario, FaultyStore(make_store()), world, mode)

    ended = asyncio.run(first())
    if ended is not None:
        return False, ended, world
    committed = asyncio.run(_look_after_crash(make_store(), scenario))
    before = len(world.effects)
    ended = asyncio.run(second())
    assert [] == sorted(committed & set(world.effects[before:])), "committed, and ran again"
    return True, ended, world


def _check_every_write(
    scenario: Scenario, fresh: Callable[[], MakeStore], mode: str, when: Literal["before", "after"]
) -> int:
    _, expected, calm = _crash_and_recover(scenario, fresh(), mode, (0, when))
    writes = 0
    has_crashed = True
    while has_crashed:
        writes += 1
        try:
            has_crashed, ended, world = _crash_and_recover(scenario, fresh(), mode, (writes, when))
            assert expected == ended
            assert set(calm.effects) == set(world.effects)
            world.check_starts()
        except BaseException as error:
            error.add_note(f"killed {when} write {writes}")
            raise
    return writes - 1


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("mode", list(_MODES))
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_memory(name: str, mode: str, when: Literal["before", "after"]) -> None:
    """Killed at any write, a workflow ends the same; no committed step runs again."""

    def fresh() -> MakeStore:
        store = MemoryStore()
        return lambda: store

    assert _check_every_write(SCENARIOS[name], fresh, mode, when) >= 5


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("name", list(SCENARIOS))
def test_sqlite(name: str, when: Literal["before", "after"], tmp_path: Path) -> None:
    """The same on a file, which each process opens for itself."""
    files = iter(range(10_000))

    def fresh() -> MakeStore:
        path = tmp_path / f"{next(files)}.db"
        return lambda: SQLiteStore(path, synchronous="off")

    assert _check_every_write(SCENARIOS[name], fresh, "hibernates", when) >= 5
