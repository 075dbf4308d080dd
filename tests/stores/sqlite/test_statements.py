"""The named statements: every one is used, is right for the schema, and is found by an index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import stepwell.stores.sqlite
from stepwell.stores.sqlite.statements import ROWS_MAX, Statements, load_schema, queries

_SOURCES = Path(stepwell.stores.sqlite.__file__).parent.glob("*.py")
_SOURCE = "\n".join(path.read_text("utf-8") for path in _SOURCES)
# What looks at many instances on purpose: only where something is held, or for a count.
_MAY_SCAN = {"lapsed_keys", "is_any_lapsed", "find_any", "what_it_is", "commits_of_others"}


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    """Give an empty database with our schema."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as one:
        one.executescript(load_schema())
        yield one


def _parameters(statement: str) -> list[object] | dict[str, object]:
    names = re.findall(r":(\w+)", statement)
    if names:
        return {name: "[1]" if name == "keys" else 1 for name in names}
    return [1] * statement.count("?")


@pytest.mark.parametrize("name", queries())
def test_statement_fits_the_schema(name: str, connection: sqlite3.Connection) -> None:
    """Each statement can be prepared on the schema as it is."""
    statement = queries()[name]

    assert connection.execute(f"EXPLAIN {statement}", _parameters(statement)).fetchall()


@pytest.mark.parametrize("name", queries())
def test_statement_is_used(name: str) -> None:
    """Each statement is named in the code: none is left over."""
    assert f'"{name}"' in _SOURCE


@pytest.mark.parametrize("name", sorted(set(queries()) - _MAY_SCAN))
def test_statement_scans_no_table(name: str, connection: sqlite3.Connection) -> None:
    """No statement looks through a whole table that grows: each has its index."""
    statement = queries()[name]
    rows = connection.execute(f"EXPLAIN QUERY PLAN {statement}", _parameters(statement))
    plan = [detail for *_, detail in rows]

    assert [] == [step for step in plan if re.match(r"SCAN (instances|facts|events|chunks)", step)]
    assert [] == [step for step in plan if "AUTOMATIC" in step]
    # A restart writes anew what it reads, so it has to put that aside.
    assert [] == [step for step in plan if "TEMP B-TREE" in step and name != "write_anew"]


@pytest.mark.parametrize("count", [0, 1, 2, 3, 5, ROWS_MAX - 1, ROWS_MAX, ROWS_MAX + 1, 2_500])
def test_any_number_of_rows_goes(count: int, connection: sqlite3.Connection) -> None:
    """A statement over rows gives for each row what it gives for one, and nothing for no row."""
    sql = Statements(connection, 7)
    rows = [("orders", str(number), "api", 1, 2, 7) for number in range(count)]
    made = sql.run_rows("create_instances", rows)
    found = sql.run_rows("find_refs", [row[:2] for row in rows])
    leases = [(place, key, 0, "nobody") for place, (key, *_) in enumerate(made, start=1)]
    stale = sql.run_rows("stale_leases", leases)

    assert [str(number) for number in range(count)] == [id_ for *_, id_ in made]
    assert [key for key, *_ in made] == list(range(1, count + 1))
    assert sorted(key for key, *_ in made) == sorted(row[2] for row in found)
    assert [place for place, *_ in leases] == [place for (place,) in stale]


def test_empty_text_and_none_stay_apart(connection: sqlite3.Connection) -> None:
    """What is None is stored as NULL, and empty text as empty text."""
    sql = Statements(connection, 7)
    sql.run_rows("insert_facts", [(1, 20, 7, *[None] * 7, "", None)])
    ((payload, detail),) = connection.execute("SELECT payload, detail FROM facts")

    assert ("", None) == (payload, detail)
