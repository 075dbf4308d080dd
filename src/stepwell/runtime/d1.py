"""D1 over SQLite: the database that a project finds on `env`.

    user = await env.DB.prepare("SELECT * FROM users WHERE id = ?").bind(7).first()

Each database has one thread and one connection, on which statements run one after another, so any
number of tasks, threads and event loops of a process may share it; other processes may use the
same file. A statement is atomic by itself, a `batch` or an `exec` as a whole: whenever the process
dies, either all of it is in the file or nothing. What was answered has reached the disk.

A call that is cancelled, as by a step's timeout, does not wait any longer. A statement that runs on
for it is broken off and changes nothing, unless it was at its end; so is, after a short grace, what
runs when the database is closed. So no query, however long, holds up the others or the process.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar, overload

from stepwell.errors import D1Error
from stepwell.runtime.d1_script import first_word, refusal, split_script
from stepwell.runtime.d1_values import (
    D1ExecResult,
    D1Meta,
    D1Result,
    D1Value,
    check_parameter,
    sql_error,
)

__all__ = [
    "D1Database",
    "D1ExecResult",
    "D1Meta",
    "D1PreparedStatement",
    "D1Result",
    "D1Value",
]

_OPEN_TRIES_MAX = 50
_OPEN_PAUSE_SECONDS = 0.1
_CLOSE_GRACE_SECONDS = 1.0
# How often a running statement asks whether it is still wanted: a millisecond or so.
_STEPS_BETWEEN_LOOKS = 50_000
_SCHEMA_WORDS = frozenset({"CREATE", "DROP", "ALTER"})
_BINDINGS = re.compile(r"current statement uses (\d+), and there (?:are|is) (\d+) supplied")
_ONE_STATEMENT = "You can only execute one statement at a time"
_FAULTS = (sqlite3.Error, sqlite3.Warning, UnicodeError, ValueError)
_T = TypeVar("_T")


class D1Database:
    """A database file. Opened when first used.

    Args:
        path: the file, or ":memory:" for a database that dies with this object.
        busy_seconds_max: how long a statement waits for another process to let the file go.
    """

    def __init__(self, path: Path | str, *, busy_seconds_max: float = 10.0) -> None:
        self._path = path
        self._busy_seconds_max = busy_seconds_max
        self._connection: sqlite3.Connection | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="stepwell-d1")
        self._is_closed = False
        self._is_grace_over = False
        self._call = _Call()

    def __repr__(self) -> str:
        return f"<D1Database {str(self._path)!r}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def prepare(self, sql: str) -> D1PreparedStatement:
        """Make a statement of one piece of SQL, with `?` or `?1` for each parameter."""
        if not isinstance(sql, str):
            raise D1Error(f"D1_ERROR: prepare() takes SQL as a string, not {type(sql).__name__}")
        return D1PreparedStatement(database=self, sql=sql)

    async def batch(self, statements: Sequence[D1PreparedStatement]) -> list[D1Result]:
        """Run statements as one transaction: all of them, or, when one fails, none.

        Raises:
            D1Error: a statement failed; the message tells which. Nothing was changed.
        """
        statements = list(statements)
        for index, statement in enumerate(statements):
            self._check_own(index, statement)
        answers = await self._submit(lambda: self._run_together(statements, "batch statement"))
        return [answer.result() for answer in answers]

    async def exec(self, sql: str) -> D1ExecResult:
        """Run a script of statements without parameters as one transaction.

        Raises:
            D1Error: a statement failed; the message tells which. Nothing was changed.
        """
        statements = [self.prepare(text) for text in split_script(self.prepare(sql).sql)]
        answers = await self._submit(lambda: self._run_together(statements, "statement"))
        duration = sum(answer.meta.duration for answer in answers)
        return D1ExecResult(count=len(answers), duration=duration)

    async def execute(self, statement: D1PreparedStatement) -> Answer:
        """Run a statement; its own verbs, such as `first`, say what to make of the answer."""
        return await self._submit(lambda: self._run_one(self._connect(), statement))

    async def close(self) -> None:
        """Close the file after what is under way, if that ends soon; a second time does nothing."""
        if self._is_closed:
            return
        closing = asyncio.wrap_future(self._thread.submit(self._disconnect))
        self._is_closed = True
        self._thread.shutdown(wait=False)
        try:
            await asyncio.wait([closing], timeout=_CLOSE_GRACE_SECONDS)
        finally:
            self._is_grace_over = True
        await closing

    def _check_own(self, index: int, statement: object) -> None:
        if not isinstance(statement, D1PreparedStatement):
            kind = type(statement).__name__
            raise D1Error(f"D1_ERROR: item {index} of the batch is no statement but a {kind}")
        if statement.database is not self:
            raise D1Error(f"D1_ERROR: item {index} of the batch is of another database")

    async def _submit(self, job: Callable[[], _T]) -> _T:
        if self._is_closed:
            raise D1Error(f"D1_ERROR: the database {str(self._path)!r} is closed")
        call = _Call()
        try:
            return await asyncio.wrap_future(self._thread.submit(self._perform, call, job))
        except asyncio.CancelledError:
            call.is_given_up = True
            raise

    # From here on: only on the database's own thread.

    def _perform(self, call: _Call, job: Callable[[], _T]) -> _T:
        self._call = call
        return job()

    def _is_unwanted(self) -> bool:
        # Not Connection.interrupt(): called from outside, it may hit between two statements,
        # where it has no effect, or the next call's statement, which is not meant.
        return self._call.is_given_up or self._is_grace_over

    def _run_together(self, statements: list[D1PreparedStatement], what: str) -> list[Answer]:
        connection = self._connect()
        _control(connection, "BEGIN IMMEDIATE", what)
        try:
            answers = [
                self._run_one(connection, statement, where=f"{what} {index}: ")
                for index, statement in enumerate(statements)
            ]
            _control(connection, "COMMIT", what)
        except BaseException:
            # SQLite has rolled back by itself after some errors.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return answers

    def _run_one(
        self, connection: sqlite3.Connection, statement: D1PreparedStatement, where: str = ""
    ) -> Answer:
        sql, refused = statement.sql, refusal(statement.sql)
        if refused is not None:
            raise sql_error(refused, sql, where=where)
        is_schema = first_word(sql) in _SCHEMA_WORDS
        before = connection.total_changes
        schema = _pragma(connection, "schema_version") if is_schema else 0
        began = time.perf_counter()
        try:
            cursor = connection.execute(sql, statement.values)
            rows = cursor.fetchall()
        except _FAULTS as error:
            raise sql_error(_reason(error), sql, where=where) from error
        duration = (time.perf_counter() - began) * 1000
        changes = connection.total_changes - before
        meta = D1Meta(
            duration=duration,
            changes=changes,
            last_row_id=cursor.lastrowid or 0,
            changed_db=changes > 0
            or (is_schema and schema != _pragma(connection, "schema_version")),
            rows_read=max(len(rows), changes),
            rows_written=changes,
            size_after=_pragma(connection, "page_count") * _pragma(connection, "page_size"),
        )
        columns = [column[0] for column in cursor.description or ()]
        return Answer(columns=columns, rows=rows, meta=meta)

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            try:
                self._connection = _open(self._path, self._busy_seconds_max)
                self._connection.set_progress_handler(self._is_unwanted, _STEPS_BETWEEN_LOOKS)
            except (OSError, sqlite3.Error) as error:
                raise D1Error(
                    f"D1_ERROR: the database {str(self._path)!r} cannot be opened: {error}"
                ) from error
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()


class _Call:
    """One job for the thread; given up when nobody waits for its answer any more."""

    __slots__ = ("is_given_up",)

    def __init__(self) -> None:
        self.is_given_up = False


@dataclass(frozen=True, slots=True, kw_only=True)
class D1PreparedStatement:
    """SQL with its parameters; may be run any number of times."""

    database: D1Database
    sql: str
    values: tuple[D1Value, ...] = ()

    def __repr__(self) -> str:
        return f"<D1PreparedStatement {self.sql!r}>"  # the values may be secret

    def bind(self, *values: object) -> D1PreparedStatement:
        """Give a copy of the statement that has these parameters.

        Raises:
            D1Error: a value is of a type that a database cannot store.
        """
        checked = tuple(check_parameter(index, value) for index, value in enumerate(values, 1))
        return replace(self, values=checked)

    async def all(self) -> D1Result:
        """Run it, and give all rows."""
        answer = await self.database.execute(self)
        return answer.result()

    async def run(self) -> D1Result:
        """Run it; the same as `all`, in the word that suits a change."""
        return await self.all()

    @overload
    async def first(self, column: None = None) -> dict[str, D1Value] | None: ...
    @overload
    async def first(self, column: str) -> D1Value: ...
    async def first(self, column: str | None = None) -> dict[str, D1Value] | D1Value:
        """Run it, and give the first row, or one column of it; None without a row.

        Raises:
            D1Error: the rows have no such column.
        """
        answer = await self.database.execute(self)
        if column is not None and column not in answer.columns:
            known = ", ".join(answer.columns) or "none"
            raise sql_error(f"there is no column {column!r} (there are: {known})", self.sql)
        if not answer.rows:
            return None
        row = dict(zip(answer.columns, answer.rows[0], strict=True))
        return row if column is None else row[column]

    async def raw(self, *, column_names: bool = False) -> list[list[D1Value]]:
        """Run it, and give rows as lists; on request the names of the columns come first."""
        answer = await self.database.execute(self)
        rows = [list(row) for row in answer.rows]
        return [list(answer.columns), *rows] if column_names else rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a statement gave, as it came."""

    columns: list[str]
    rows: list[tuple[D1Value, ...]]
    meta: D1Meta

    def result(self) -> D1Result:
        """Give the rows as dictionaries."""
        rows = [dict(zip(self.columns, row, strict=True)) for row in self.rows]
        return D1Result(results=rows, success=True, meta=self.meta)


def _open(path: Path | str, busy_seconds_max: float) -> sqlite3.Connection:
    if str(path) != ":memory:":
        Path(path).parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path, timeout=busy_seconds_max, isolation_level=None)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL. SQLite does not wait for its turn here, when processes start together."""
    for tries_left in reversed(range(_OPEN_TRIES_MAX)):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or not tries_left:
                raise
            time.sleep(_OPEN_PAUSE_SECONDS)


def _control(connection: sqlite3.Connection, sql: str, what: str) -> None:
    try:
        connection.execute(sql)
    except sqlite3.Error as error:
        raise sql_error(_reason(error), sql, where=f"around each {what}: ") from error


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    row: tuple[int] = connection.execute(f"PRAGMA {name}").fetchone()
    return row[0]


def _reason(error: Exception) -> str:
    text = str(error)
    count = _BINDINGS.search(text)
    if count is not None:
        return f"the statement has {count[1]} parameters, but {count[2]} were bound"
    if text.startswith(_ONE_STATEMENT):
        return "this is more than one statement; use batch([…]) or exec(…)"
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname == "SQLITE_BUSY":
        return f"{text} (another process holds the file for too long)"
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname == "SQLITE_INTERRUPT":
        return f"{text} (nobody waits for it any more, or the database is being closed)"
    return text
