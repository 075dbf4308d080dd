"""Several lives of one database in one test: its store for each, and the death of a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from stepwell import Stepwell
from stepwell.errors import StoreError
from stepwell.model.instance import Ref
from stepwell.ports.store import Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.faults import FaultyStore
from tests.engine.support import Open

REF = Ref("Flow", "a")


def stores_of(url: str) -> Callable[[], Store]:
    """Give what makes the store of each process: a handle on one file, or the one in memory."""
    if url == "sqlite://:memory:":
        memory = MemoryStore()
        return lambda: memory
    return lambda: SQLiteStore(Path(url.removeprefix("sqlite:///")))


@asynccontextmanager
async def killed_at_the_end(
    open_well: Open, store: Store, workflows: Any, **options: Any
) -> AsyncIterator[Stepwell]:
    """Open a well whose process dies at the end: it writes nothing more, and hands nothing back."""
    mortal = FaultyStore(store)
    with suppress(StoreError):
        async with open_well(workflows, store=mortal, grace_seconds=0, **options) as well:
            yield well
            mortal.bury()


async def let_lease_lapse(store: Store, ref: Ref = REF) -> None:
    """Do what time and any living worker do: the dead holder's lease lapses and is reaped."""
    await store.open()
    row = await store.find(ref)
    assert row is not None
    if row.owner is not None:
        await store.beat(worker=row.owner, expires_ms=1, now_ms=0)
    await store.reap(now_ms=row.modified_ms, limit=10)
    await store.close()
