"""Opening the file: schema, migrations, and files that are not ours or not new enough."""

from __future__ import annotations

import multiprocessing
import re
import sqlite3
from asyncio import run
from contextlib import closing
from pathlib import Path
from sqlite3 import connect
from typing import Any

import pytest

from stepwell.errors import (
    InvalidRequest,
    SchemaTooNew,
    StoreCorrupt,
    StoreError,
    StoreReadOnly,
)
from stepwell.stores.sqlite.connection import APPLICATION_ID, check_version
from stepwell.stores.sqlite.statements import load_migrations, load_schema
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.cases.bench import create
from tests.stores.sqlite.support import REF, bare, opened, store_threads


def _schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return {name: re.sub(r"--[^\n]*|\s+", " ", sql).replace("  ", " ") for name, sql in rows}


async def test_migrations_lead_to_the_schema(tmp_path: Path) -> None:
    """All migrations, one after the other, make exactly what schema.sql describes."""
    async with opened(tmp_path / "well.db"):
        pass
    with bare(tmp_path / "well.db") as ours, closing(connect(":memory:")) as described:
        described.executescript(load_schema())

        assert _schema_of(described) == _schema_of(ours)


def test_migrations_are_numbered_without_gaps() -> None:
    """Versions count from 1, and each has something to do."""
    migrations = load_migrations()

    assert list(range(1, len(migrations) + 1)) == [number for number, _ in migrations]
    assert all("CREATE" in script or "ALTER" in script for _, script in migrations)


async def test_file_says_whose_it_is(tmp_path: Path) -> None:
    """The file carries our application id, the schema's version, and a write-ahead log."""
    async with opened(tmp_path / "well.db"):
        pass
    with bare(tmp_path / "well.db") as connection:
        found = [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("application_id", "user_version", "journal_mode")
        ]

    assert [APPLICATION_ID, load_migrations()[-1][0], "wal"] == found


async def test_what_was_stored_is_there_again(tmp_path: Path) -> None:
    """A file that is opened again holds what it held, and its schema is left as it is."""
    async with opened(tmp_path / "well.db") as store:
        made = await create(store, REF)
    async with opened(tmp_path / "well.db") as store:
        assert made == await store.find(REF)


async def test_newer_schema_is_refused(tmp_path: Path) -> None:
    """A file that a newer Stepwell has upgraded is refused by name, and left as it is."""
    path = tmp_path / "well.db"
    async with opened(path):
        pass
    with bare(path) as connection:
        connection.execute("PRAGMA user_version = 9999")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew, match=rf"{path} has schema version 9999"):
        await SQLiteStore(path).open()

    assert before == path.read_bytes()
    assert [] == store_threads()


async def test_foreign_database_is_refused(tmp_path: Path) -> None:
    """Another program's database is refused, and not even its journal mode is changed."""
    path = tmp_path / "theirs.db"
    with bare(path) as connection:
        connection.execute("CREATE TABLE theirs (id INTEGER)")
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=rf"{path} is the database of another program"):
        await SQLiteStore(path).open()

    assert before == path.read_bytes()
    assert [] == store_threads()


async def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    """A file that is no database is refused by name, and left as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear sir or madam, " * 500)
    before = path.read_bytes()
    with pytest.raises(StoreCorrupt, match=f"{path} is no SQLite database"):
        await SQLiteStore(path).open()

    assert before == path.read_bytes()
    assert [] == store_threads()


async def test_damaged_page_is_told(tmp_path: Path) -> None:
    """Reading a damaged page says that the file is damaged and what to do."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        await create(store, REF)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\x99" * (path.stat().st_size - 4096))
    with pytest.raises(StoreCorrupt, match=rf"{path} is damaged; restore it"):
        async with opened(path) as store:
            await store.find(REF)

    assert [] == store_threads()


async def test_empty_file_becomes_a_database(tmp_path: Path) -> None:
    """An empty file, as `mktemp` leaves it, is taken as new."""
    path = tmp_path / "well.db"
    path.touch()
    async with opened(path) as store:
        made = await create(store, REF)

        assert made == await store.find(REF)


async def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A path in a folder that does not exist is refused, and the folder is named."""
    with pytest.raises(StoreReadOnly, match=rf"folder {tmp_path / 'gone'} .* does not exist"):
        await SQLiteStore(tmp_path / "gone" / "well.db").open()

    assert [] == store_threads()


async def test_folder_is_no_file(tmp_path: Path) -> None:
    """A folder in the place of the file is refused by name."""
    with pytest.raises(
        StoreReadOnly, match=f"{tmp_path} cannot be opened; check that it is a file"
    ):
        await SQLiteStore(tmp_path).open()


def test_old_sqlite_is_refused() -> None:
    """An SQLite without what Stepwell needs is refused with both versions."""
    with pytest.raises(StoreError, match=r"has SQLite 3\.37\.2, and Stepwell needs 3\.38\.0"):
        check_version((3, 37, 2))
    check_version((3, 38, 0))


def test_unknown_level_is_refused(tmp_path: Path) -> None:
    """A durability that does not exist is refused with those that do."""
    with pytest.raises(InvalidRequest, match="'sometimes' is unknown; there are full, normal, off"):
        SQLiteStore(tmp_path / "well.db", synchronous="sometimes")


@pytest.mark.parametrize(
    ("level", "number"), [("off", 0), ("normal", 1), ("full", 2), ("extra", 3)]
)
async def test_level_is_what_commits_have(tmp_path: Path, level: str, number: int) -> None:
    """Commits have the durability asked for, also after a claim has made do with less."""
    async with opened(tmp_path / "well.db", synchronous=level) as store:
        await store.claim(worker="w", workflows=["orders"], limit=1, now_ms=1)
        assert store._writer is not None
        found = await store._writer.call(lambda c: c.execute("PRAGMA synchronous").fetchone()[0])

    assert number == found


def _open_and_create(path: Path, number: int) -> None:
    async def work() -> None:
        async with opened(path) as store:
            await create(store, REF._replace(id=str(number)))

    run(work())


async def test_processes_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    """Of many processes that meet a new file one makes the schema, and all can use it."""
    path, spawning = tmp_path / "well.db", multiprocessing.get_context("spawn")
    processes = [
        spawning.Process(target=_open_and_create, args=(path, number)) for number in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()

    assert [0] * 4 == [process.exitcode for process in processes]
    async with opened(path) as store:
        rows = await store.list_instances("orders", status=None, before_key=None, limit=9)
    assert ["0", "1", "2", "3"] == sorted(row.id for row in rows)


@pytest.mark.parametrize(
    ("level", "lightly", "usually"),
    [("off", 0, 0), ("normal", 1, 1), ("full", 1, 2), ("extra", 1, 3)],
)
async def test_light_writes_are_never_slower(
    level: str, lightly: int, usually: int, tmp_path: Path
) -> None:
    """What may be lost with the machine is written at the lower of NORMAL and the chosen level."""

    def find(connection: sqlite3.Connection) -> int:
        (number,) = connection.execute("PRAGMA synchronous").fetchone()
        return int(number)

    async with opened(tmp_path / "well.db", synchronous=level) as store:
        assert lightly == await store._write_lightly(find)
        assert usually == await store._write(find)


class _Stop(BaseException):
    """What a signal handler may raise."""


class _Interrupted:
    """A connection whose user is interrupted just after he has lowered its level."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def execute(self, statement: str, *parameters: Any) -> Any:
        """Do it, and stop if that was it."""
        cursor = self._connection.execute(statement, *parameters)
        if statement.endswith("NORMAL"):
            raise _Stop
        return cursor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


async def test_an_interrupted_light_write_leaves_no_lower_level(tmp_path: Path) -> None:
    """What follows a signal in the midst of a light write is as durable as ever."""
    async with opened(tmp_path / "well.db", synchronous="full") as store:
        writer: Any = store._writer
        writer._pace.note(0.0, is_here=True)
        connection, writer._connection = writer._connection, _Interrupted(writer._connection)
        with pytest.raises(_Stop):
            await store._write_lightly(lambda _: None, is_short=True)
        writer._connection = connection

        assert (2,) == connection.execute("PRAGMA synchronous").fetchone()
