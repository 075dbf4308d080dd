"""D1: what its methods give, and that what they change is all there or not at all."""

import asyncio
import json
import math
import sqlite3
import threading
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.errors import D1Error
from stepwell.runtime.d1 import D1Database

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL)"


@pytest.fixture
async def db(tmp_path):
    async with D1Database(tmp_path / "d1" / "app.sqlite") as database:
        await database.exec(f"{USERS}; INSERT INTO users (name) VALUES ('Ada'), ('Grace')")
        yield database


async def names(database):
    return [row["name"] for row in (await database.prepare("SELECT name FROM users").all()).results]


async def error_of(awaitable):
    with pytest.raises(D1Error) as caught:
        await awaitable
    return caught.value


class TestReading:
    async def test_all(self, db):
        """`all` gives every row as a dictionary."""
        result = await db.prepare("SELECT * FROM users ORDER BY id").all()

        assert [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}] == result.results
        assert result.success

    async def test_no_rows(self, db):
        """Without rows the list is empty."""
        assert [] == (await db.prepare("SELECT * FROM users WHERE id = 9").all()).results

    async def test_first(self, db):
        """`first` gives the first row, one column of it, or None without a row."""
        query = db.prepare("SELECT * FROM users WHERE id = ?")

        assert {"id": 2, "name": "Grace"} == await query.bind(2).first()
        assert "Grace" == await query.bind(2).first("name")
        assert None is await query.bind(9).first()
        assert None is await query.bind(9).first("name")

    async def test_first_of_unknown_column(self, db):
        """A column that the rows do not have is an error which lists those they have."""
        error = await error_of(db.prepare("SELECT * FROM users").first("email"))

        assert "there is no column 'email' (there are: id, name)" == error.reason

    async def test_raw(self, db):
        """`raw` gives rows as lists, and on request the names of the columns before them."""
        query = db.prepare("SELECT id, name FROM users ORDER BY id")

        assert [[1, "Ada"], [2, "Grace"]] == await query.raw()
        assert [["id", "name"], [1, "Ada"], [2, "Grace"]] == await query.raw(column_names=True)

    async def test_raw_keeps_columns_of_one_name(self, db):
        """Two columns of one name stay two in `raw`."""
        assert [[1, 2]] == await db.prepare("SELECT 1 AS a, 2 AS a").raw()

    async def test_result_reads_as_attributes_and_as_items(self, db):
        """A result and its meta answer to both spellings, and become JSON."""
        result = await db.prepare("SELECT 1 AS one").run()

        assert result["results"] == result.results == [{"one": 1}]
        assert result["meta"]["changes"] == result.meta.changes == 0
        assert [{"one": 1}] == json.loads(json.dumps(asdict(result)))["results"]
        with pytest.raises(KeyError):
            result["__class__"]


class TestChanging:
    async def test_run(self, db):
        """`run` changes the database and says what it did."""
        result = await db.prepare("INSERT INTO users (name) VALUES (?)").bind("Joan").run()

        meta = result.meta
        assert (1, 3, True) == (meta.changes, meta.last_row_id, meta.changed_db)
        assert (1, 1) == (meta.rows_read, meta.rows_written)
        assert meta.size_after > 0
        assert meta.duration >= 0
        assert ["Ada", "Grace", "Joan"] == sorted(await names(db))

    async def test_returning(self, db):
        """A change can give rows, and is made once."""
        statement = db.prepare("UPDATE users SET name = name || '!' RETURNING name")

        assert "Ada!" == await statement.first("name")
        assert ["Ada!", "Grace!"] == sorted(await names(db))

    async def test_upsert(self, db):
        """An upsert counts as one change."""
        upsert = db.prepare(
            "INSERT INTO users (id, name) VALUES (?1, ?2) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name"
        )

        result = await upsert.bind(1, "Ada Lovelace").run()

        assert 1 == result.meta.changes
        assert "Ada Lovelace" == await db.prepare("SELECT name FROM users WHERE id=1").first("name")

    @pytest.mark.parametrize(
        ("sql", "changed"),
        [
            ("SELECT 1", False),
            ("UPDATE users SET name = 'x' WHERE id = 9", False),
            ("CREATE TABLE other (id)", True),
            ("CREATE TABLE IF NOT EXISTS users (id)", False),
            ("-- words\n/* more */ DROP TABLE users", True),
            ("DELETE FROM users", True),
        ],
    )
    async def test_changed_db(self, sql, changed, db):
        """`changed_db` tells whether anything changed, the schema included."""
        assert changed is (await db.prepare(sql).run()).meta.changed_db

    async def test_foreign_keys_hold(self, db):
        """References are checked, as D1 does."""
        await db.exec("CREATE TABLE pets (id INTEGER, owner INTEGER REFERENCES users (id))")

        error = await error_of(db.prepare("INSERT INTO pets VALUES (1, 99)").run())

        assert "FOREIGN KEY constraint failed" == error.reason

    async def test_full_text_search(self, db):
        """FTS5 is there."""
        await db.exec(
            "CREATE VIRTUAL TABLE notes USING fts5(body);"
            "INSERT INTO notes VALUES ('a drip line'), ('a stair robot')"
        )

        found = db.prepare("SELECT body FROM notes WHERE notes MATCH ?").bind("robot")

        assert "a stair robot" == await found.first("body")


class TestParameters:
    @pytest.mark.parametrize(
        ("value", "stored"),
        [
            (None, None),
            (True, 1),
            (False, 0),
            (-(2**63), -(2**63)),
            (2**63 - 1, 2**63 - 1),
            (1.5, 1.5),
            (math.inf, math.inf),
            ("", ""),
            ("ä\0€", "ä\0€"),
            (b"\0\xff", b"\0\xff"),
            (bytearray(b"ab"), b"ab"),
            (memoryview(b"ab"), b"ab"),
        ],
    )
    async def test_types(self, value, stored, db):
        """Each type that SQLite has arrives as it was given, a bool as 1 or 0."""
        actual = await db.prepare("SELECT ? AS value").bind(value).first("value")

        assert (type(stored), stored) == (type(actual), actual)

    @given(value=st.none() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary())
    def test_any_value_comes_back(self, value):
        """Whatever is bound comes back the same."""

        async def round_trip():
            async with D1Database(":memory:") as database:
                return await database.prepare("SELECT ? AS value").bind(value).first("value")

        try:
            encodable = not isinstance(value, str) or bool(value.encode()) or not value
        except UnicodeEncodeError:
            encodable = False
        if encodable:
            assert value == asyncio.run(round_trip())

    @pytest.mark.parametrize(
        ("value", "words"),
        [
            ({"a": 1}, "parameter 2 is of type dict; store it as text with json.dumps"),
            ([1], "parameter 2 is of type list; store it as text with json.dumps"),
            (datetime(2026, 1, 1, tzinfo=UTC), "type datetime; bind its text with .isoformat()"),
            (Decimal(1), "type Decimal; bind None, a bool, a number, a text or bytes"),
            (2**63, "parameter 2 is the integer 9223372036854775808; it does not fit"),
            (math.nan, "parameter 2 is not a number; bind None"),
        ],
    )
    async def test_unsupported_type(self, value, words, db):
        """A value that cannot be stored is refused by its number, with what to do instead."""
        with pytest.raises(D1Error) as caught:
            db.prepare("SELECT ?, ?").bind(1, value)

        assert words in str(caught.value)

    @pytest.mark.parametrize("values", [(), (1,), (1, 2, 3)])
    async def test_wrong_number(self, values, db):
        """Too few or too many parameters are told with both numbers."""
        error = await error_of(db.prepare("SELECT ?, ?").bind(*values).all())

        expected = f"the statement has 2 parameters, but {len(values)} were bound"
        assert expected == error.reason

    async def test_numbered(self, db):
        """A numbered parameter may stand more than once."""
        row = await db.prepare("SELECT ?2 AS b, ?1 AS a, ?2 AS c").bind(1, 2).first()

        assert {"b": 2, "a": 1, "c": 2} == row

    async def test_bind_leaves_the_statement_as_it_was(self, db):
        """Binding gives a new statement; the old one can be bound again."""
        query = db.prepare("SELECT ? AS value")
        one, two = query.bind(1), query.bind(2)

        assert [1, 2] == [await one.first("value"), await two.first("value")]
        assert () == query.values

    async def test_text_of_a_statement_hides_its_values(self, db):
        """The text of a statement does not show what is bound."""
        assert "hunter2" not in repr(db.prepare("SELECT ?").bind("hunter2"))


class TestErrors:
    @pytest.mark.parametrize(
        ("sql", "reason", "place"),
        [
            ("SELECT *\n FRM users", 'near "FRM": syntax error', "line 2, column 2"),
            ("SELECT * FROM userz", "no such table: userz", "line 1, column 15"),
            ("SELECT nam FROM users", "no such column: nam", "line 1, column 8"),
            ("SELECT lost(1)", "no such function: lost", "line 1, column 8"),
            ("INSERT INTO users (name) VALUES ('Ada')", "UNIQUE constraint failed: users.name", ""),
            ("SELECT a FROM (SELECT 1 AS a, 2 AS a) WHERE a.b", "no such column: a.b", "column 45"),
            ("SELECT 1; SELECT 2", "more than one statement; use batch([…]) or exec(…)", ""),
            ("", "there is no SQL statement", ""),
            (" -- only words", "there is no SQL statement", ""),
            ("SELECT 'open", 'unrecognized token: "\'open"', ""),
        ],
    )
    async def test_sql_error(self, sql, reason, place, db):
        """An error tells the database's reason, the place where it is plain, and the statement."""
        error = await error_of(db.prepare(sql).all())

        assert reason in error.reason
        assert place in str(error)
        assert " ".join(sql.split()) in str(error)
        assert str(error).startswith("D1_ERROR: ")
        assert sql == error.sql

    @pytest.mark.parametrize(
        "sql",
        [
            "BEGIN",
            "commit",
            " End",
            "ROLLBACK",
            "SAVEPOINT a",
            "/* */ RELEASE a",
            "VACUUM",
            "ATTACH 'other' AS other",
            "DETACH other",
        ],
    )
    async def test_statements_about_the_connection(self, sql, db):
        """What would reach into the statements of others is refused, in a batch too."""
        alone = await error_of(db.prepare(sql).run())
        together = await error_of(db.batch([db.prepare("DELETE FROM users"), db.prepare(sql)]))

        assert "is not allowed; " in alone.reason
        assert "is not allowed; " in together.reason
        assert ["Ada", "Grace"] == sorted(await names(db))

    async def test_long_statement_is_shortened(self, db):
        """A very long statement does not fill the message; it is there as a whole as `sql`."""
        sql = f"SELECT {'x' * 100_000}"

        error = await error_of(db.prepare(sql).all())

        assert len(str(error)) < 2_000
        assert sql == error.sql

    async def test_prepare_takes_text(self, db):
        """Something else than SQL as text is refused at once."""
        with pytest.raises(D1Error, match="SQL as a string, not int"):
            db.prepare(5)

    async def test_half_a_character(self, db):
        """A text that no encoding can store is an error of the statement."""
        error = await error_of(db.prepare("SELECT ?").bind("\ud800").all())

        assert "surrogates not allowed" in error.reason

    async def test_file_that_is_no_database(self, tmp_path):
        """A file that holds something else is told with its path."""
        path = tmp_path / "app.sqlite"
        path.write_text("no database " * 100, encoding="utf-8")

        async with D1Database(path) as database:
            error = await error_of(database.prepare("SELECT 1").all())

        assert f"{str(path)!r} cannot be opened: file is not a database" in str(error)

    async def test_folder_that_cannot_be_made(self, tmp_path):
        """A folder that cannot be made is told with the path."""
        (tmp_path / "d1").touch()

        async with D1Database(tmp_path / "d1" / "app.sqlite") as database:
            error = await error_of(database.prepare("SELECT 1").all())

        assert "cannot be opened" in str(error)

    async def test_after_closing(self, tmp_path):
        """A closed database says so; closing again does nothing."""
        database = D1Database(tmp_path / "app.sqlite")
        await database.close()
        await database.close()

        error = await error_of(database.prepare("SELECT 1").all())

        assert "is closed" in str(error)


class TestBatch:
    async def test_results_in_order(self, db):
        """A batch gives one result for each statement."""
        add = db.prepare("INSERT INTO users (name) VALUES (?)")

        results = await db.batch([add.bind("Joan"), db.prepare("SELECT count(*) AS n FROM users")])

        assert [1, 0] == [result.meta.changes for result in results]
        assert [{"n": 3}] == results[1].results

    async def test_all_or_nothing(self, db):
        """When one statement fails none has had an effect, and the error tells which it was."""
        add = db.prepare("INSERT INTO users (name) VALUES (?)")

        error = await error_of(db.batch([add.bind("Joan"), add.bind("Ada"), add.bind("Mary")]))

        assert "batch statement 1: UNIQUE constraint failed: users.name" in str(error)
        assert ["Ada", "Grace"] == sorted(await names(db))

    @pytest.mark.parametrize("clause", ["OR ROLLBACK", "OR FAIL", "OR ABORT"])
    async def test_conflict_clauses_do_not_break_it(self, clause, db):
        """Also where SQLite rolls back by itself nothing is left, and the next batch works."""
        add = db.prepare(f"INSERT {clause} INTO users (name) VALUES (?)")

        await error_of(db.batch([add.bind("Joan"), add.bind("Ada")]))
        await db.batch([add.bind("Mary")])

        assert ["Ada", "Grace", "Mary"] == sorted(await names(db))

    async def test_deferred_reference_fails_at_the_end(self, db):
        """What fails only when the transaction ends leaves nothing either."""
        await db.exec(
            "CREATE TABLE pets (owner INTEGER REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)"
        )

        error = await error_of(db.batch([db.prepare("INSERT INTO pets VALUES (99)")]))

        assert "FOREIGN KEY constraint failed" == error.reason
        assert 0 == await db.prepare("SELECT count(*) AS n FROM pets").first("n")

    async def test_empty(self, db):
        """An empty batch does nothing."""
        assert [] == await db.batch([])

    async def test_what_is_no_statement(self, db):
        """An item that is no statement, or is one of another database, is refused before all."""
        async with D1Database(":memory:") as other:
            first = await error_of(db.batch([db.prepare("DELETE FROM users"), "SELECT 1"]))
            second = await error_of(db.batch([other.prepare("SELECT 1")]))

        assert "item 1 of the batch is no statement but a str" in str(first)
        assert "item 0 of the batch is of another database" in str(second)
        assert ["Ada", "Grace"] == sorted(await names(db))


class TestExec:
    async def test_script(self, db):
        """A script of several statements runs, semicolons in strings and triggers included."""
        script = """
        -- the first; of three
        INSERT INTO users (name) VALUES ('a;b');
        CREATE TRIGGER shout AFTER INSERT ON users BEGIN
            UPDATE users SET name = upper(new.name) WHERE id = new.id;
        END;
        INSERT INTO users (name) VALUES ('c'); ; /* the end; */
        """

        result = await db.exec(script)

        assert 3 == result.count == result["count"]
        assert result.duration >= 0
        assert ["Ada", "C", "Grace", "a;b"] == sorted(await names(db))

    async def test_nothing(self, db):
        """A script without statements runs none."""
        assert 0 == (await db.exec("-- nothing\n;")).count

    async def test_all_or_nothing(self, db):
        """When a statement fails, those before it have had no effect either."""
        error = await error_of(db.exec("DELETE FROM users; CREATE TABLE a (b); SELEC 1"))

        assert 'statement 2: near "SELEC": syntax error' in str(error)
        assert ["Ada", "Grace"] == sorted(await names(db))


class TestSharing:
    async def test_tasks(self, tmp_path):
        """Many tasks may use one database at once; each batch counts once."""
        async with D1Database(tmp_path / "app.sqlite") as database:
            await database.exec("CREATE TABLE counts (n); INSERT INTO counts VALUES (0)")
            add = database.prepare("UPDATE counts SET n = n + 1")
            await asyncio.gather(*(database.batch([add, add]) for _ in range(50)))

            assert 100 == await database.prepare("SELECT n FROM counts").first("n")

    async def test_event_loops_of_other_threads(self, db):
        """A thread with an event loop of its own may use it too."""
        found = []
        thread = threading.Thread(target=lambda: found.extend(asyncio.run(names(db))))
        thread.start()
        await asyncio.to_thread(thread.join)

        assert ["Ada", "Grace"] == sorted(found)

    async def test_two_on_one_file(self, db, tmp_path):
        """What one connection writes another on the same file reads at once."""
        async with D1Database(tmp_path / "d1" / "app.sqlite") as other:
            await other.prepare("INSERT INTO users (name) VALUES ('Joan')").run()

            assert "Joan" in await names(db)

    async def test_cancelled_call(self, db):
        """A cancelled call leaves the database usable."""
        slow = db.prepare(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) "
            "SELECT count(*) AS total FROM n"
        )

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(slow.first(), 0.001)

        assert ["Ada", "Grace"] == sorted(await names(db))

    async def test_locked_by_another(self, db, tmp_path):
        """A file that another process holds for too long is an error that says so."""
        path = tmp_path / "d1" / "app.sqlite"
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")

        async with D1Database(path, busy_seconds_max=0.05) as database:
            alone = await error_of(database.prepare("DELETE FROM users").run())
            together = await error_of(database.batch([database.prepare("DELETE FROM users")]))
        holder.close()

        assert "database is locked (another process" in alone.reason
        assert "database is locked (another process" in together.reason
        assert ["Ada", "Grace"] == sorted(await names(db))
