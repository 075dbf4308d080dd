"""`SQLiteStore`: the store contract over one file.

One writer thread and one reader thread, each with its own connection, so that a read never waits
for an fsync and the event loop waits for neither. Every write is BEGIN IMMEDIATE … COMMIT. Several
processes may share the file: SQLite's own lock orders their writes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stepwell.errors import InvalidRequest
from stepwell.model.command import Command, Outcome
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref
from stepwell.model.limits import DAY_MS
from stepwell.model.step import Fact, StepKey
from stepwell.ports.store import Claim, Memory, Signal
from stepwell.stores.rows import read_event, read_facts, read_instance
from stepwell.stores.sqlite.batch import Batch
from stepwell.stores.sqlite.connection import connect, migrate
from stepwell.stores.sqlite.queries import load_queries
from stepwell.stores.sqlite.thread import ConnectionThread

T = TypeVar("T")
_LEVELS = {"full": "FULL", "normal": "NORMAL", "off": "OFF", "extra": "EXTRA"}
_KEY_MAX = 2**63 - 1
_Stat = tuple[int, int, int, int]


class SQLiteStore:
    """Instances in one SQLite file."""

    def __init__(
        self, path: Path, *, synchronous: str = "full", busy_timeout_seconds: float = 5.0
    ) -> None:
        """Prepare a store; nothing is opened yet.

        Args:
            path: of the file; its folder must exist.
            synchronous: "full" (a committed step survives power loss), "normal" (the crash of a
                process only), "off".
            busy_timeout_seconds: how long a write waits for another process's lock.
        """
        if synchronous not in _LEVELS:
            raise InvalidRequest(
                f"synchronous={synchronous!r} is unknown; there are {', '.join(_LEVELS)}"
            )
        self._path = path
        self._level = _LEVELS[synchronous]
        self._busy_timeout_seconds = busy_timeout_seconds
        self._queries = load_queries()
        self._writer: ConnectionThread | None = None
        self._reader: ConnectionThread | None = None
        self._seen: _Stat | None = None
        self._mark = 0

    # ---- life --------------------------------------------------------------------------------

    async def open(self) -> None:
        """Open the file, creating it if it is missing, and bring its schema up to date."""
        place, seconds = str(self._path), self._busy_timeout_seconds

        def for_writing() -> sqlite3.Connection:
            return connect(self._path, level=self._level, timeout_seconds=seconds)

        def for_reading() -> sqlite3.Connection:
            return connect(self._path, level=self._level, timeout_seconds=seconds, is_reader=True)

        self._writer = ConnectionThread(for_writing, place, "stepwell-writer")
        self._reader = ConnectionThread(for_reading, place, "stepwell-reader")
        try:
            await self._writer.call(lambda connection: migrate(connection, self._path))
        except BaseException:  # whatever it was, no thread may stay behind
            await self.close()
            raise

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        threads, self._writer, self._reader = (self._writer, self._reader), None, None
        for thread in threads:
            if thread is not None:
                await thread.close()

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("BEGIN IMMEDIATE")
            result = work(connection)
            connection.execute("COMMIT")
            return result

        assert self._writer is not None, "the store is not open"
        return await self._writer.call(transaction)

    async def _write_lightly(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Write what may be lost with the machine: leases and claims die with it anyway."""

        def transaction(connection: sqlite3.Connection) -> T:
            connection.execute("PRAGMA synchronous = NORMAL")
            try:
                connection.execute("BEGIN IMMEDIATE")
                result = work(connection)
                connection.execute("COMMIT")
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
            finally:
                connection.execute(f"PRAGMA synchronous = {self._level}")
            return result

        assert self._writer is not None, "the store is not open"
        return await self._writer.call(transaction)

    async def _read(self, query: str, /, **parameters: Any) -> list[Any]:
        statement = self._queries[query]
        assert self._reader is not None, "the store is not open"
        return await self._reader.call(
            lambda connection: connection.execute(statement, parameters).fetchall()
        )

    # ---- writing -----------------------------------------------------------------------------

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Do all commands in one transaction."""
        return await self._write(
            lambda connection: Batch(connection, self._queries, now_ms).apply(commands)
        )

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        """Take what is ready, oldest first."""

        def work(connection: sqlite3.Connection) -> list[Any]:
            ready: list[tuple[int, int]] = []
            for workflow in workflows:
                found = connection.execute(
                    self._queries["ready_keys"],
                    {"workflow": workflow, "now": now_ms, "limit": limit},
                )
                ready.extend((ready_ms, key) for key, ready_ms in found)
            keys = [key for _, key in sorted(ready)[:limit]]
            if not keys:
                return []
            parameters = {"rows": json.dumps(keys), "worker": worker, "now": now_ms}
            rows = connection.execute(self._queries["claim"], parameters).fetchall()
            place = {key: position for position, key in enumerate(keys)}
            return sorted(rows, key=lambda row: place[row[0]])

        instances = [read_instance(row) for row in await self._write_lightly(work)]
        return [Claim(instance=one, lease=Lease(one.key, worker, one.epoch)) for one in instances]

    async def beat(self, *, worker: str, expires_ms: int, now_ms: int) -> bool:
        """Create or renew the worker's lease."""
        parameters = {"worker": worker, "expires": expires_ms, "now": now_ms}
        rows = await self._write_lightly(
            lambda connection: connection.execute(self._queries["beat"], parameters).fetchall()
        )
        return bool(rows)

    async def retire(self, *, worker: str, now_ms: int) -> None:
        """Hand back all that the worker holds, and remove its lease."""

        def work(connection: sqlite3.Connection) -> None:
            batch = Batch(connection, self._queries, now_ms)
            held = connection.execute(self._queries["held_keys"], {"worker": worker}).fetchall()
            for (key,) in held:
                batch.release(key)
            batch.flush()
            connection.execute(self._queries["retire_worker"], {"worker": worker})

        await self._write(work)

    async def reap(self, *, now_ms: int, limit: int) -> int:
        """Free instances of workers whose lease has lapsed."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(self._queries["mark_lapsed"], {"now": now_ms})
            connection.execute(self._queries["forget_lapsed"], {"before": now_ms - DAY_MS})
            lapsed = connection.execute(self._queries["lapsed_keys"], {"limit": limit}).fetchall()
            if not lapsed:
                return 0
            parameters = {"rows": json.dumps([key for (key,) in lapsed]), "now": now_ms}
            freed = connection.execute(self._queries["free_lapsed"], parameters).fetchall()
            batch = Batch(connection, self._queries, now_ms)
            for key, status in freed:
                if status == InstanceStatus.PAUSED.value:
                    batch.note_paused(key)
            batch.flush()
            return len(freed)

        # Workers ask often and mostly in vain: look first, without the write lock.
        ((is_any,),) = await self._read("is_any_lapsed", now=now_ms)
        return await self._write(work) if is_any else 0

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete finished instances whose retention is over."""

        def work(connection: sqlite3.Connection) -> int:
            parameters = {"now": now_ms, "limit": limit}
            keys = connection.execute(self._queries["expired_keys"], parameters).fetchall()
            batch = Batch(connection, self._queries, now_ms)
            for (key,) in keys:
                batch.delete(key)
            return len(keys)

        return await self._write(work)

    # ---- reading -----------------------------------------------------------------------------

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        """Read the whole memory of instances."""
        parameters = {"rows": json.dumps(list(keys))}

        def work(connection: sqlite3.Connection) -> tuple[list[Any], list[Any], list[Any]]:
            connection.execute("BEGIN")  # one snapshot for the three reads
            try:
                known = connection.execute(self._queries["load_keys"], parameters).fetchall()
                facts = connection.execute(self._queries["load_facts"], parameters).fetchall()
                events = connection.execute(self._queries["load_events"], parameters).fetchall()
            finally:
                connection.execute("COMMIT")
            return known, facts, events

        assert self._reader is not None, "the store is not open"
        known, facts, events = await self._reader.call(work)
        found = {key: Memory(facts=[], events=[]) for (key,) in known}
        for row, fact in zip(facts, read_facts(facts), strict=True):
            if row[0] in found:
                found[row[0]].facts.append(fact)
        for row in events:
            if row[0] in found:
                found[row[0]].events.append(read_event(row))
        return found

    async def next_ready_ms(self, workflows: Sequence[str]) -> int | None:
        """Tell the earliest ready_ms."""
        statement = self._queries["next_ready"]

        def work(connection: sqlite3.Connection) -> list[int | None]:
            return [
                connection.execute(statement, {"workflow": workflow}).fetchone()[0]
                for workflow in workflows
            ]

        assert self._reader is not None, "the store is not open"
        found = await self._reader.call(work)
        return min((ready_ms for ready_ms in found if ready_ms is not None), default=None)

    async def signals(self, worker: str) -> list[Signal]:
        """Tell the state of what the worker holds."""
        return [
            Signal(key=key, epoch=epoch, status=InstanceStatus(status), last_event_id=last)
            for key, epoch, status, last in await self._read("signals", worker=worker)
        ]

    async def pending_events(self, key: int, after_id: int) -> list[PendingEvent]:
        """Read unconsumed events."""
        rows = await self._read("pending_events", key=key, after=after_id)
        return [read_event(row) for row in rows]

    async def find(self, ref: Ref) -> Instance | None:
        """Read one instance's row."""
        rows = await self._read("find", workflow=ref.workflow, id=ref.id)
        return read_instance(rows[0]) if rows else None

    async def list_instances(
        self, workflow: str, *, status: InstanceStatus | None, before_key: int | None, limit: int
    ) -> list[Instance]:
        """Read rows, newest first."""
        before = _KEY_MAX if before_key is None else before_key
        if status is None:
            rows = await self._read("list_all", workflow=workflow, before=before, limit=limit)
        else:
            rows = await self._read(
                "list_by_status",
                workflow=workflow,
                status=status.value,
                before=before,
                limit=limit,
            )
        return [read_instance(row) for row in rows]

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        """Count a workflow's instances."""
        rows = await self._read("count_by_status", workflow=workflow)
        return {InstanceStatus(status): count for status, count in rows}

    async def read_facts(self, key: int, *, after_id: int, limit: int) -> list[Fact]:
        """Read facts in order."""
        return read_facts(await self._read("read_facts", key=key, after=after_id, limit=limit))

    async def last_fact(self, key: int) -> Fact | None:
        """Read the newest fact."""
        facts = read_facts(await self._read("last_fact", key=key))
        return facts[0] if facts else None

    async def read_chunk(self, key: int, step: StepKey, attempt: int, index: int) -> bytes | None:
        """Read one piece of a stream."""
        rows = await self._read(
            "read_chunk",
            key=key,
            step_kind=step.kind.value,
            name=step.name,
            count=step.count,
            attempt=attempt,
            position=index,
        )
        return rows[0][0] if rows else None

    async def change_mark(self) -> object:
        """Give SQLite's counter of other connections' commits, asked only if the files moved."""
        stat = self._stat()
        if stat != self._seen:
            self._seen = stat
            assert self._writer is not None, "the store is not open"
            self._mark = await self._writer.call(
                lambda connection: connection.execute("PRAGMA data_version").fetchone()[0]
            )
        return self._mark

    def _stat(self) -> _Stat:
        try:
            wal = Path(f"{self._path}-wal").stat()
            main = self._path.stat()
        except OSError:
            return (0, 0, 0, 0)
        return (wal.st_mtime_ns, wal.st_size, main.st_mtime_ns, main.st_size)
