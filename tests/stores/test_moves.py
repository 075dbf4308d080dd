"""The drawn status moves are the moves: a store makes no other, and each of them occurs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

from stepwell.model.command import Finish, SetStatus
from stepwell.model.instance import MOVES, Instance, InstanceStatus
from stepwell.ports.store import Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from tests.stores.test_store_machine import _REFS, _T0, _WORKERS, Recipe, Side, _aim, _recipe

Move = tuple[InstanceStatus, InstanceStatus]
_DRAWN = {(before, after) for before, afters in MOVES.items() for after in afters}
_SECOND_MS = 1_000


class Walk:
    """Random verbs on one store, one by one, with all the moves that they made."""

    def __init__(self, store: Store, seed: int) -> None:
        self._side = Side(store)
        self._random = Random(seed)
        self._now = _T0
        self.moves: set[Move] = set()

    async def go(self, steps: int) -> None:
        """Take so many steps."""
        for _ in range(steps):
            before = await self._rows()
            await self._take_a_step(list(before.values()))
            after = await self._rows()
            both = before.keys() & after.keys()
            pairs = {(before[key].status, after[key].status) for key in both}
            self.moves |= {(one, other) for one, other in pairs if one is not other}

    async def _rows(self) -> dict[int, Instance]:
        rows = [await self._side.store.find(ref) for ref in _REFS]
        return {row.key: replace(row) for row in rows if row is not None}

    async def _take_a_step(self, rows: list[Instance]) -> None:
        self._now += 1
        worker = self._random.choice(_WORKERS)
        store = self._side.store
        match self._random.randint(0, 7):
            case 0 | 1:
                expires_ms = self._now + _SECOND_MS
                await store.beat(worker=worker, expires_ms=expires_ms, now_ms=self._now)
                await self._side.claim(worker, self._now)
            case 2 if self._random.random() < 0.2:
                self._now += self._random.choice([0, 2 * _SECOND_MS])
                await store.reap(now_ms=self._now, limit=9)
            case 3 if self._random.random() < 0.2:
                await store.retire(worker=worker, now_ms=self._now)
            case _:
                recipe = _recipe(self._random)
                if _could_be_sent(recipe, rows):
                    await self._side.apply([recipe], self._now)


def _could_be_sent(recipe: Recipe, rows: list[Instance]) -> bool:
    """Tell whether a run sends this: a store takes whatever status a run names."""
    if recipe.kind not in {Finish, SetStatus}:
        return True
    statuses = {row.ref: row.status for row in rows}
    ref = _aim(recipe, [row.ref for row in rows if row.owner is not None]).ref
    return dict(recipe.values)["status"] in MOVES[statuses.get(ref, InstanceStatus.QUEUED)]


async def test_every_move_is_drawn_and_occurs() -> None:
    """Whatever verbs come, only moves of MOVES are made, and in the end every one of them."""
    walk = Walk(MemoryStore(), seed=1)
    await walk.go(40_000)

    assert _DRAWN == walk.moves


async def test_sqlite_makes_drawn_moves_only(tmp_path: Path) -> None:
    """The same holds for SQLite, as far as a shorter walk shows."""
    store = SQLiteStore(tmp_path / "well.db", synchronous="off")
    await store.open()
    walk = Walk(store, seed=2)
    await walk.go(1_000)
    await store.close()

    assert set() == walk.moves - _DRAWN
    assert len(walk.moves) > len(_DRAWN) // 2
