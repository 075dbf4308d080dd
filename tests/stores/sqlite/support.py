"""What the tests of the SQLite store share."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import Any

from stepwell.model.command import Append
from stepwell.model.instance import Lease, Ref
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.ports.store import Store
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.cases.bench import T0

REF = Ref("orders", "a")


@asynccontextmanager
async def opened(path: Path, **options: Any) -> AsyncIterator[SQLiteStore]:
    """Open a store on a file, without fsync unless told, and close it."""
    store = SQLiteStore(path, **{"synchronous": "off", **options})
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@contextmanager
def bare(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the file as any other program would."""
    with closing(sqlite3.connect(path, isolation_level=None, timeout=0)) as connection:
        yield connection


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the write lock of the file, as another process would."""
    with bare(path) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def said(text: str, ordinal: int = 1) -> tuple[Fact, ...]:
    """Give one fact of a step whose payload is `text`."""
    step = StepKey(StepKind.DO, "step", ordinal)
    return (Fact(FactKind.STEP_RAN, T0, step=step, ordinal=ordinal, payload=text),)


def append(lease: Lease, text: str) -> Append:
    """Give the command that adds one fact."""
    return Append(lease=lease, facts=said(text))


async def payloads(store: Store, key: int) -> list[str | None]:
    """Read the payloads of all facts but the first."""
    return [fact.payload for fact in (await store.load([key]))[key].facts[1:]]


def store_threads() -> list[str]:
    """Name the threads of stores that live."""
    return [one.name for one in threading.enumerate() if one.name.startswith("stepwell-")]
