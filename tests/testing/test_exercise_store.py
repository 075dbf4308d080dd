"""The conformance kit itself: it runs every case, and it notices a store that breaks a promise."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import getdoc
from typing import Any

import pytest

from stepwell.model.command import Command, Hibernate, Outcome, SendEvent
from stepwell.model.instance import Lease
from stepwell.ports.store import Claim, Memory, Store
from stepwell.stores.memory import MemoryStore
from stepwell.testing import STORE_CASES, StoreCase, exercise_store

_CASES = [case for group in STORE_CASES.values() for case in group]


class Forgetful(MemoryStore):
    """Loads no events."""

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        """Leave the events out."""
        loaded = await super().load(keys)
        return {key: Memory(facts=one.facts, events=[]) for key, one in loaded.items()}


class Unfenced(MemoryStore):
    """Lets a stale lease write as if it were good."""

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Call what is superseded applied."""
        outcomes = await super().apply(commands, now_ms)
        return [Outcome.APPLIED if one is Outcome.SUPERSEDED else one for one in outcomes]


class Unordered(MemoryStore):
    """Does events after everything else of their batch."""

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Move events to the end, and hibernations with them before."""
        late = (Hibernate, SendEvent)
        order = sorted(range(len(commands)), key=lambda place: isinstance(commands[place], late))
        outcomes = await super().apply([commands[place] for place in order], now_ms)
        return [outcomes[order.index(place)] for place in range(len(commands))]


class Greedy(MemoryStore):
    """Claims more than it was asked for."""

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        """Claim one more."""
        return await super().claim(
            worker=worker, workflows=workflows, limit=limit + 1, now_ms=now_ms
        )


class Frozen(MemoryStore):
    """Never raises the epoch that it tells."""

    async def claim(self, **given: Any) -> list[Claim]:
        """Tell epoch 1."""
        claims = await super().claim(**given)
        return [
            Claim(instance=one.instance, lease=Lease(one.lease.key, one.lease.owner, 1))
            for one in claims
        ]


async def test_a_good_store_passes() -> None:
    """exercise_store runs to its end on a store that keeps the contract."""
    made: list[Store] = []

    def make_store() -> Store:
        made.append(MemoryStore())
        return made[-1]

    await exercise_store(make_store)
    assert len(_CASES) == len(made)


@pytest.mark.parametrize("broken", [Forgetful, Unfenced, Unordered, Greedy, Frozen])
async def test_a_broken_store_is_noticed(broken: Callable[[], Store]) -> None:
    """A store that breaks a promise fails, and the failure names case and promise."""
    with pytest.raises(AssertionError) as raised:
        await exercise_store(broken)

    (note,) = raised.value.__notes__
    assert note.startswith("case ")
    assert any(note.endswith(getdoc(case) or "?") for case in _CASES)


@pytest.mark.parametrize("case", _CASES)
def test_each_case_states_its_promise(case: StoreCase) -> None:
    """Each case has a docstring, which is the promise that it holds a store to."""
    assert (getdoc(case) or "").endswith(".")


def test_no_case_is_there_twice() -> None:
    """Cases have names of their own within their noun, and every noun has some."""
    assert len(_CASES) == len({id(case) for case in _CASES})
    assert all(STORE_CASES.values())
