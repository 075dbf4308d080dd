"""`SQLiteStore`: the store contract over one file.

Two connections, one that writes and one that reads, each with a thread: a read never waits for an
fsync, and the event loop waits for nothing that takes long (`thread` says when it does so itself).
Every write is BEGIN IMMEDIATE … COMMIT. Several processes may share the file: SQLite's own lock
orders their writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby, product
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeVar

from stepwell.errors import InvalidRequest, StoreError
from stepwell.model.command import Command, Delete, DropChunks, Outcome, Restart, size_of
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref
from stepwell.model.limits import DAY_MS
from stepwell.model.step import Fact, StepKey
from stepwell.ports.store import Claim, Memory, Signal
from stepwell.stores.gathered import GatheredReads
from stepwell.stores.rows import read_event, read_facts, read_instance, read_status
from stepwell.stores.sqlite.batch import Batch, step_columns
from stepwell.stores.sqlite.change_mark import ChangeMark
from stepwell.stores.sqlite.connection import connect, connect_for_reading, migrate
from stepwell.stores.sqlite.statements import Statements, queries
from stepwell.stores.sqlite.thread import ConnectionThread

T = TypeVar("T")
_LEVELS = {"full": "FULL", "normal": "NORMAL", "off": "OFF", "extra": "EXTRA"}
_LIGHT_LEVELS = {"NORMAL", "OFF"}
_KEY_MAX = 2**63 - 1
_REAPED_KEPT_MS = 30 * DAY_MS
_PURGE_FACTS_MAX = 20_000
_SHORT_BYTES_MAX = 1024 * 1024
_BYTES_OF_ROW = 512  # a row without text takes as long to read as one with this much
_OF_HISTORIES = {Delete, Restart, DropChunks}


class SQLiteStore:
    """Instances in one SQLite file."""

    def __init__(
        self, path: Path | str, *, synchronous: str = "full", busy_timeout_seconds: float = 5.0
    ) -> None:
        """Prepare a store; nothing is opened yet.

        Args:
            path: of the file; its folder must exist.
            synchronous: "full" (a committed step survives power loss), "normal" (it survives the
                crash of a process), "off" (for tests), "extra" (as SQLite defines it).
            busy_timeout_seconds: how long a write waits for another process's lock.

        Raises:
            InvalidRequest: there is no such level.
        """
        if synchronous not in _LEVELS:
            raise InvalidRequest(
                f"synchronous={synchronous!r} is unknown; there are {', '.join(_LEVELS)}"
            )
        self._path = Path(path)
        self._level = _LEVELS[synchronous]
        self._busy_timeout_seconds = busy_timeout_seconds
        self._writer: ConnectionThread | None = None
        self._reader: ConnectionThread | None = None
        self._mark = ChangeMark(self._path)
        self._finding = GatheredReads(self._find_all)

    # ---- life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, creating it if it is missing, and bring its schema up to date."""
        if self._writer is not None:
            return
        place, path, seconds = str(self._path), self._path, self._busy_timeout_seconds

        def for_writing() -> sqlite3.Connection:
            return connect(path, level=self._level, timeout_seconds=seconds)

        def for_reading() -> sqlite3.Connection:
            return connect_for_reading(path, timeout_seconds=seconds)

        self._writer = ConnectionThread(
            for_writing, place=place, name="stepwell-writer", busy_timeout_seconds=seconds
        )
        self._reader = ConnectionThread(
            for_reading, place=place, name="stepwell-reader", busy_timeout_seconds=seconds
        )
        try:
            await self._writer.call(lambda connection: migrate(connection, path))
            await self._read("find_any")
        except BaseException:  # whatever it was, no thread may stay behind
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        # The writer last: who closes last moves the log into the file.
        threads, self._reader, self._writer = (self._reader, self._writer), None, None
        for thread in threads:
            if thread is not None:
                await thread.close()

    def _opened(self, thread: ConnectionThread | None) -> ConnectionThread:
        if thread is None:
            raise StoreError(f"the database {self._path} is not open; call open() first")
        return thread

    async def _write(self, work: Callable[[sqlite3.Connection], T], *, is_short: bool = False) -> T:
        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
            return result

        return await self._opened(self._writer).call(transaction, is_short=is_short)

    async def _write_lightly(
        self, work: Callable[[sqlite3.Connection], T], *, is_short: bool = False
    ) -> T:
        """Write what may be lost with the machine, without an fsync of its own.

        Power that goes takes the workers along, so what they had claimed is free again anyway.
        """
        if self._level in _LIGHT_LEVELS:
            return await self._write(work, is_short=is_short)

        def transaction(connection: sqlite3.Connection) -> T:
            try:
                connection.execute("PRAGMA synchronous = NORMAL")
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:  # or the level could not be set back
                    connection.execute("ROLLBACK")
                raise
            finally:
                connection.execute(f"PRAGMA synchronous = {self._level}")
            return result

        return await self._opened(self._writer).call(transaction, is_short=is_short)

    async def _read(self, query: str, /, **parameters: Any) -> list[Any]:
        return await self._opened(self._reader).call(_fetch(query, parameters))

    async def _look_up(self, query: str, /, **parameters: Any) -> list[Any]:
        """Read what few rows answer."""
        return await self._opened(self._reader).call(_fetch(query, parameters), is_short=True)

    # ---- writing -----------------------------------------------------------------------------

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        if not commands:
            return []
        return await self._write(
            lambda connection: Batch(connection, now_ms).apply(commands),
            is_short=_is_short(commands),
        )

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        if limit < 1:  # for SQLite a limit below zero is none
            return []

        def work(connection: sqlite3.Connection) -> list[Any]:
            sql = Statements(connection, now_ms)
            ready: list[tuple[int, int, int]] = []
            for workflow, is_new in product(dict.fromkeys(workflows), (0, 1)):
                ready += sql.run("ready_keys", workflow=workflow, is_new=is_new, limit=limit)
            places = {key: place for place, (*_, key) in enumerate(sorted(ready)[:limit])}
            if not places:
                return []
            rows = sql.run("claim", worker=worker, keys=json.dumps(list(places)))
            return sorted(rows, key=lambda row: places[row[0]])

        instances = map(read_instance, await self._write_lightly(work, is_short=True))
        return [Claim(instance=one, lease=Lease(one.key, worker, one.epoch)) for one in instances]

    async def beat(self, *, worker: str, expires_ms: int, now_ms: int) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            sql = Statements(connection, now_ms)
            return bool(sql.run("beat", worker=worker, expires=expires_ms))

        return await self._write_lightly(work)

    async def retire(self, *, worker: str, now_ms: int) -> None:
        def work(connection: sqlite3.Connection) -> None:
            sql = Statements(connection, now_ms)
            held = sql.run("held_keys", worker=worker)
            Batch(connection, now_ms).hand_back([key for (key,) in held])
            sql.run("retire_worker", worker=worker)

        await self._write(work)

    async def reap(self, *, now_ms: int, limit: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            sql = Statements(connection, now_ms)
            sql.run("mark_lapsed")
            sql.run("forget_lapsed", before=now_ms - _REAPED_KEPT_MS)
            lapsed = sql.run("lapsed_keys", limit=max(limit, 0))
            sql.run_rows("free_lapsed", lapsed)
            Batch(connection, now_ms).hand_back([key for (key,) in lapsed])
            return len(lapsed)

        # Workers ask often and mostly in vain: look first, without the write lock.
        ((is_any,),) = await self._read("is_any_lapsed", now=now_ms)
        return await self._write_lightly(work) if is_any else 0

    async def purge(self, *, now_ms: int, limit: int) -> int:
        def work(connection: sqlite3.Connection) -> int:
            keys: list[int] = []
            facts = 0
            expired = Statements(connection, now_ms).run("expired_keys", limit=max(limit, 0))
            for key, count in expired:
                facts += count
                if keys and facts > _PURGE_FACTS_MAX:
                    break  # long histories: others wait for the write lock
                keys.append(key)
            Batch(connection, now_ms).delete(keys)
            return len(keys)

        ((is_any,),) = await self._read("is_any_expired", now=now_ms)
        return await self._write(work) if is_any else 0

    # ---- reading -----------------------------------------------------------------------------

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        parameters = {"keys": json.dumps(list(keys))}

        def work(connection: sqlite3.Connection) -> tuple[list[Any], bool, list[Any]]:
            connection.execute("BEGIN")  # one snapshot for both reads
            facts, is_all = _read_short(connection.execute(queries()["load_facts"], parameters))
            events = connection.execute(queries()["load_events"], parameters).fetchall()
            connection.execute("COMMIT")
            return facts, is_all, events

        facts, is_all, events = await self._opened(self._reader).call(work, is_short=True)
        if not is_all and len(keys) > 1:  # in pieces, between which others have their turns
            half = len(keys) // 2
            return {**await self.load(keys[:half]), **await self.load(keys[half:])}
        while not is_all:  # one long history; who holds it is the only one to add to it
            more, is_all = await self._read_on(keys[0], facts[-1][1])
            facts += more
        mail = {key: [read_event(row) for row in rows] for key, rows in _by_key(events)}
        # Every instance has a fact, since it was queued.
        return {
            key: Memory(facts=read_facts(rows), events=mail.get(key, []))
            for key, rows in _by_key(facts)
        }

    async def _read_on(self, key: int, after_id: int) -> tuple[list[Any], bool]:
        place = {"key": key, "after": after_id, "limit": _KEY_MAX}
        return await self._opened(self._reader).call(
            lambda connection: _read_short(connection.execute(queries()["read_facts"], place)),
            is_short=True,
        )

    async def next_ready_ms(self, workflows: Sequence[str]) -> int | None:
        statement = queries()["next_ready"]

        def work(connection: sqlite3.Connection) -> list[int | None]:
            return [
                connection.execute(statement, {"workflow": name, "is_new": is_new}).fetchone()[0]
                for name, is_new in product(workflows, (0, 1))
            ]

        found = await self._opened(self._reader).call(work, is_short=True)
        return min((ready_ms for ready_ms in found if ready_ms is not None), default=None)

    async def signals(self, worker: str) -> list[Signal]:
        return [
            Signal(key=key, epoch=epoch, status=read_status(status), last_event_id=last)
            for key, epoch, status, last in await self._look_up("signals", worker=worker)
        ]

    async def pending_events(self, key: int, after_id: int) -> list[PendingEvent]:
        rows = await self._look_up("pending_events", key=key, after=after_id)
        return [read_event(row) for row in rows]

    async def find(self, ref: Ref) -> Instance | None:
        return await self._finding.ask(ref)

    async def _find_all(self, refs: Sequence[Ref]) -> dict[Ref, Instance]:
        def work(connection: sqlite3.Connection) -> list[Any]:
            return Statements(connection).run_rows("find", refs)

        rows = await self._opened(self._reader).call(work, is_short=True)
        return {one.ref: one for one in map(read_instance, rows)}

    async def list_instances(
        self, workflow: str, *, status: InstanceStatus | None, before_key: int | None, limit: int
    ) -> list[Instance]:
        place = {"before": _KEY_MAX if before_key is None else before_key, "limit": max(limit, 0)}
        if status is None:
            rows = await self._read("list_all", workflow=workflow, **place)
        else:
            rows = await self._read("list_by_status", workflow=workflow, status=status, **place)
        return [read_instance(row) for row in rows]

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        rows = await self._read("count_by_status", workflow=workflow)
        return {read_status(status): count for status, count in rows}

    async def read_facts(self, key: int, *, after_id: int, limit: int) -> list[Fact]:
        place = {"after": after_id, "limit": max(limit, 0)}
        return read_facts(await self._read("read_facts", key=key, **place))

    async def last_fact(self, key: int) -> Fact | None:
        facts = read_facts(await self._look_up("last_fact", key=key))
        return facts[0] if facts else None

    async def read_chunk(self, key: int, step: StepKey, attempt: int, index: int) -> bytes | None:
        rows = await self._read(
            "read_chunk", key=key, attempt=attempt, position=index, **step_columns(step)
        )
        return rows[0][0] if rows else None

    async def change_mark(self) -> object:
        """Give SQLite's own counter of other connections' commits, asked only if files moved."""
        return await self._mark.read(self._opened(self._writer))


def _is_short(commands: Sequence[Command]) -> bool:
    """Claim that a batch is written in a moment: no long history goes with it, nor much data."""
    is_small = sum(map(size_of, commands)) <= _SHORT_BYTES_MAX
    return is_small and all(type(command) not in _OF_HISTORIES for command in commands)


def _fetch(query: str, parameters: dict[str, Any]) -> Callable[[sqlite3.Connection], list[Any]]:
    """Read all rows: a cursor left open would hold on to an old state of the file."""
    statement = queries()[query]
    return lambda connection: connection.execute(statement, parameters).fetchall()


def _read_short(cursor: sqlite3.Cursor) -> tuple[list[Any], bool]:
    """Read facts' rows, as many as a short read may; tell whether these were all."""
    rows: list[Any] = []
    room = _SHORT_BYTES_MAX
    for row in cursor:
        rows.append(row)
        room -= _BYTES_OF_ROW + len(row[-2] or "") + len(row[-1] or "")
        if room <= 0:
            cursor.close()  # or it would hold on to this state of the file
            return rows, False
    return rows, True


def _by_key(rows: Iterable[Any]) -> Iterable[tuple[int, Iterable[Any]]]:
    """Group rows, in order of their first column, by it."""
    return groupby(rows, itemgetter(0))
