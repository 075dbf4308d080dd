"""A D1 query that does not end: it holds up neither the others nor the closing."""

import asyncio

import pytest

from stepwell.runtime.d1 import D1Database, D1Error

ENDLESS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS n FROM n"
)


@pytest.fixture
async def db(tmp_path):
    async with D1Database(tmp_path / "app.sqlite") as database:
        await database.exec(
            "CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('Ada'), ('Grace')"
        )
        yield database


async def names(database):
    return [name for (name,) in await database.prepare("SELECT name FROM users").raw()]


async def test_cancelled_call_stops_working(db):
    """A query whose caller has given up ends, however long it would take; others go on."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(db.prepare(ENDLESS).first(), 0.05)

    found = await asyncio.wait_for(names(db), 20)

    assert ["Ada", "Grace"] == sorted(found)


async def test_cancelled_batch_changes_nothing(db):
    """A batch that is broken off in one of its statements has had no effect."""
    batch = [db.prepare("DELETE FROM users"), db.prepare(ENDLESS)]
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(db.batch(batch), 0.05)

    assert ["Ada", "Grace"] == sorted(await asyncio.wait_for(names(db), 20))


async def test_close_breaks_off_what_does_not_end(tmp_path):
    """Closing waits a moment for a query and then ends it; its caller is told."""
    database = D1Database(tmp_path / "app.sqlite")
    asking = asyncio.create_task(database.prepare(ENDLESS).first())
    await asyncio.sleep(0)

    await asyncio.wait_for(database.close(), 20)

    with pytest.raises(D1Error, match=r"interrupted \(nobody waits for it"):
        await asking


async def test_close_lets_what_is_under_way_end(tmp_path):
    """A change that was asked for before the closing is made."""
    database = D1Database(tmp_path / "app.sqlite")
    making = asyncio.create_task(database.exec("CREATE TABLE a (b); INSERT INTO a VALUES (1)"))
    await asyncio.sleep(0)
    await database.close()

    assert 2 == (await making).count
