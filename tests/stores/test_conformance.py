"""Every store of Stepwell keeps every promise of the contract."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from stepwell.ports.store import Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing import STORE_CASES, StoreCase, run_store_case

_CASES = [
    pytest.param(case, id=f"{noun}-{getattr(case, '__name__', '')}")
    for noun, group in STORE_CASES.items()
    for case in group
]


@pytest.fixture(params=["memory", "sqlite"])
def make_store(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Store]:
    """Give what makes a fresh store."""
    if request.param == "memory":
        return MemoryStore
    return lambda: SQLiteStore(tmp_path / "well.db", synchronous="off")


@pytest.mark.parametrize("case", _CASES)
async def test_store_keeps_the_promise(case: StoreCase, make_store: Callable[[], Store]) -> None:
    """Each case of the conformance kit holds on each store."""
    await run_store_case(case, make_store)
