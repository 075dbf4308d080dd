"""Migrations of a D1 database: applied once, in order, each as a whole."""

import asyncio
import logging

import pytest

from stepwell.runtime.bindings import D1Binding
from stepwell.runtime.d1 import D1Database
from stepwell.runtime.migrations import apply_migrations
from stepwell.runtime.problems import ProjectError

FILE = "wrangler.jsonc"
BINDING = D1Binding(key="d1_databases[0]", binding="DB", migrations_dir="migrations")
FIRST = "-- people\nCREATE TABLE people (name TEXT); INSERT INTO people VALUES ('Ada');\n"
SECOND = "ALTER TABLE people ADD COLUMN born INTEGER;\nUPDATE people SET born = 1815;\n"


@pytest.fixture
async def db(tmp_path):
    async with D1Database(tmp_path / "d1" / "app.sqlite") as database:
        yield database


@pytest.fixture
def folder(tmp_path):
    write(tmp_path, "0001_people.sql", FIRST)
    return write(tmp_path, "0002_born.sql", SECOND)


def write(root, name, text):
    path = root / "migrations" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path.parent


async def seen(database, table="d1_migrations"):
    return await database.prepare(f"SELECT id, name FROM {table} ORDER BY id").raw()


async def test_applied_in_order(db, tmp_path, folder, caplog):
    """All files run in order of their numbers, and each is remembered and logged."""
    write(tmp_path, "0010_died.sql", "ALTER TABLE people ADD COLUMN died INTEGER")
    write(tmp_path, "README.md", "no SQL")
    caplog.set_level(logging.INFO)

    await apply_migrations(db, BINDING, tmp_path / FILE)

    expected = [[1, "0001_people.sql"], [2, "0002_born.sql"], [3, "0010_died.sql"]]
    assert expected == await seen(db)
    assert [["Ada", 1815, None]] == await db.prepare("SELECT * FROM people").raw()
    assert "database DB: applied migrations/0001_people.sql" == caplog.messages[0]
    assert None is not await db.prepare("SELECT applied_at FROM d1_migrations").first("applied_at")


@pytest.mark.parametrize("names", [("2_a.sql", "10_b.sql"), ("9_a.sql", "extra.sql")])
async def test_order_of_numbers(names, db, tmp_path):
    """A number counts as a number; files without one come last."""
    for name in names:
        write(tmp_path, name, "")

    await apply_migrations(db, BINDING, tmp_path / FILE)

    assert list(names) == [name for _, name in await seen(db)]


async def test_applied_once(db, tmp_path, folder):
    """What has been applied is not applied again; what is new is."""
    await apply_migrations(db, BINDING, tmp_path / FILE)
    write(tmp_path, "0003_more.sql", "INSERT INTO people VALUES ('Grace', 1906)")
    await apply_migrations(db, BINDING, tmp_path / FILE)
    await apply_migrations(db, BINDING, tmp_path / FILE)

    assert 2 == await db.prepare("SELECT count(*) AS n FROM people").first("n")
    assert 3 == len(await seen(db))


async def test_processes_that_start_together(db, tmp_path, folder):
    """Two that find the same files pending apply each once between them."""
    async with D1Database(tmp_path / "d1" / "app.sqlite") as other:
        await asyncio.gather(
            apply_migrations(db, BINDING, tmp_path / FILE),
            apply_migrations(other, BINDING, tmp_path / FILE),
        )

    assert [["Ada", 1815]] == await db.prepare("SELECT * FROM people").raw()


async def test_failing_file(db, tmp_path, folder):
    """A file that fails is an error with its name and reason, and leaves nothing of itself."""
    bad = "INSERT INTO people VALUES ('Joan', 1917);\nINSERT INTO poeple VALUES (1);\n"
    write(tmp_path, "0003_bad.sql", bad)
    write(tmp_path, "0004_never.sql", "DROP TABLE people")

    with pytest.raises(ProjectError, match=r"0003_bad\.sql: .*no such table: poeple"):
        await apply_migrations(db, BINDING, tmp_path / FILE)

    assert [["Ada", 1815]] == await db.prepare("SELECT * FROM people").raw()
    assert ["0001_people.sql", "0002_born.sql"] == [name for _, name in await seen(db)]


async def test_file_with_a_transaction_of_its_own(db, tmp_path):
    """A file that would break its transaction apart is refused."""
    write(tmp_path, "0001_a.sql", "CREATE TABLE a (b); COMMIT; CREATE TABLE c (d);")

    with pytest.raises(ProjectError, match="COMMIT is not allowed"):
        await apply_migrations(db, BINDING, tmp_path / FILE)

    assert [] == await seen(db)


async def test_file_that_is_no_text(db, tmp_path, folder):
    """A file that is not UTF-8 is told by its name."""
    (folder / "0003_bad.sql").write_bytes(b"\xff")

    with pytest.raises(ProjectError, match=r"0003_bad\.sql: cannot be read"):
        await apply_migrations(db, BINDING, tmp_path / FILE)


@pytest.mark.parametrize("name", ["nowhere", "a\0b", "\ud800", "x" * 300])
async def test_folder_that_is_not_there(name, db, tmp_path):
    """A folder that cannot be read is an error of the project file, at its place."""
    binding = D1Binding(key="d1_databases[0]", binding="DB", migrations_dir=name)

    with pytest.raises(ProjectError, match=r"d1_databases\[0\]\.migrations_dir: is .*cannot be"):
        await apply_migrations(db, binding, tmp_path / FILE)


async def test_other_table(db, tmp_path, folder):
    """The table that remembers has the name that the project file gives."""
    binding = D1Binding(
        key="", binding="DB", migrations_dir="migrations", migrations_table="my steps"
    )

    await apply_migrations(db, binding, tmp_path / FILE)
    await apply_migrations(db, binding, tmp_path / FILE)

    assert 2 == len(await seen(db, '"my steps"'))


async def test_none(db, tmp_path, folder):
    """Without a folder in the project file nothing is applied."""
    await apply_migrations(db, D1Binding(key="", binding="DB"), tmp_path / FILE)

    assert 0 == await db.prepare("SELECT count(*) AS n FROM sqlite_master").first("n")
