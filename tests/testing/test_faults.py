"""The check that nothing is stranded finds what is."""

from __future__ import annotations

import pytest

from stepwell.stores.memory import MemoryStore
from stepwell.testing.cases.bench import REF, T0, held, row
from stepwell.testing.faults import Stranded, WakeSource, check_nothing_stranded


async def test_whoever_holds_an_instance_wakes_it() -> None:
    """A holder counts where nothing is known of its runs, and where it has this one."""
    store = MemoryStore()
    await held(store)
    key = (await row(store)).key

    for running in (None, {key}):
        found = await check_nothing_stranded(store, [REF.workflow], now_ms=T0, running=running)
        assert {str(REF): WakeSource.LEASE} == found


async def test_a_holder_without_a_run_wakes_nothing() -> None:
    """A living worker that holds an instance but has no run of it is caught."""
    store = MemoryStore()
    await held(store)

    with pytest.raises(Stranded, match="without a run"):
        await check_nothing_stranded(store, [REF.workflow], now_ms=T0, running=())
