"""The store that dies with its process: the contract of `ports.store` in plain Python.

Every list and fact is copied on its way out, so that no caller can change what is stored. No
method gives way to the event loop, hence each is one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from stepwell.model.command import Command, Outcome
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, StepKey
from stepwell.ports.store import Claim, Memory, Signal
from stepwell.stores.memory.commands import Commands
from stepwell.stores.memory.table import Record, Table


@dataclass(slots=True)
class _Worker:
    expires_ms: int
    is_reaped: bool = False


class MemoryStore:
    """Instances in this process's memory."""

    def __init__(self) -> None:
        self._table = Table()
        self._commands = Commands(self._table)
        self._workers: dict[str, _Worker] = {}

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: what is stored stays until the store is let go of."""

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Do all of `commands` in order, or none if one raises."""
        self._table.begin()
        try:
            return [self._commands.do(command, now_ms) for command in commands]
        except BaseException:
            self._table.put_back()
            raise

    # ---- workers -----------------------------------------------------------------------------

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        """Take up to `limit` unheld instances that are ready, oldest first."""
        claims: list[Claim] = []
        while len(claims) < limit:
            key = self._table.pop_ready(workflows, now_ms)
            if key is None:
                break
            claims.append(self._claim_one(self._table.records[key], worker, now_ms))
        return claims

    def _claim_one(self, record: Record, worker: str, now: int) -> Claim:
        row = record.row
        is_rolling_back = row.status is InstanceStatus.ROLLING_BACK
        record.wait_types = frozenset()
        self._table.change(
            record,
            now,
            status=InstanceStatus.ROLLING_BACK if is_rolling_back else InstanceStatus.RUNNING,
            owner=worker,
            epoch=row.epoch + 1,
            ready_ms=None,
            started_ms=now if row.started_ms is None else row.started_ms,
        )
        return Claim(instance=record.row, lease=Lease(row.key, worker, record.row.epoch))

    async def next_ready_ms(self, workflows: Sequence[str]) -> int | None:
        """Tell the earliest ready_ms among unheld instances of these workflows."""
        heads = [
            self._table.peek_ready(workflow, is_new=is_new)
            for workflow in workflows
            for is_new in (False, True)
        ]
        return min((head[0] for head in heads if head is not None), default=None)

    async def beat(self, *, worker: str, expires_ms: int, now_ms: int) -> bool:
        """Create or renew the worker's lease; False if it was reaped."""
        known = self._workers.setdefault(worker, _Worker(expires_ms))
        if known.is_reaped:
            return False
        known.expires_ms = expires_ms
        return True

    async def retire(self, *, worker: str, now_ms: int) -> None:
        """Hand back all that the worker holds, and remove its lease."""
        for record in self._table.held_by(worker):
            self._table.hand_back(record, now_ms)
        self._workers.pop(worker, None)

    async def reap(self, *, now_ms: int, limit: int) -> int:
        """Free up to `limit` instances of workers whose lease has lapsed; tell how many."""
        for worker in self._workers.values():
            worker.is_reaped = worker.is_reaped or worker.expires_ms < now_ms
        living = {name for name, worker in self._workers.items() if not worker.is_reaped}
        owners = [name for name in self._table.owners if name not in living]
        lapsed = [record for name in owners for record in self._table.held_by(name)]
        freed = lapsed[: max(limit, 0)]
        for record in freed:
            self._free(record, now_ms)
        return len(freed)

    def _free(self, record: Record, now: int) -> None:
        progress = record.progress
        has_progressed = progress > record.progress_at_crash
        record.progress_at_crash = progress
        self._table.change(
            record,
            now,
            epoch=record.row.epoch + 1,
            crashes=1 if has_progressed else record.row.crashes + 1,
        )
        self._table.hand_back(record, now)

    async def signals(self, worker: str) -> list[Signal]:
        """Tell the state of every run that the worker holds."""
        return [_signal_of(record) for record in self._table.held_by(worker)]

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete up to `limit` finished instances whose retention is over; tell how many."""
        expired = [
            record
            for record in self._table.records.values()
            if record.expires_ms is not None and record.expires_ms <= now_ms
        ][: max(limit, 0)]
        for record in expired:
            self._table.remove(record)
        return len(expired)

    # ---- reading -----------------------------------------------------------------------------

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        """Read the whole memory of instances; keys that do not exist are absent."""
        known = {key: self._table.records[key] for key in keys if key in self._table.records}
        return {
            key: Memory(facts=_copies(record.facts), events=list(record.events))
            for key, record in known.items()
        }

    async def pending_events(self, key: int, after_id: int) -> list[PendingEvent]:
        """Read unconsumed events with a greater id, in order."""
        record = self._table.records.get(key)
        return [event for event in record.events if event.id > after_id] if record else []

    async def find(self, ref: Ref) -> Instance | None:
        """Read one instance's row."""
        record = self._table.find(ref)
        return None if record is None else record.row

    async def list_instances(
        self,
        workflow: str,
        *,
        status: InstanceStatus | None,
        before_key: int | None,
        limit: int,
    ) -> list[Instance]:
        """Read rows, newest first, those with a key below `before_key`."""
        rows = [
            record.row
            for record in reversed(self._table.records.values())
            if record.row.workflow == workflow
            and (status is None or record.row.status is status)
            and (before_key is None or record.row.key < before_key)
        ]
        return rows[: max(limit, 0)]

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        """Count a workflow's instances; a status that none has is absent."""
        rows = (record.row for record in self._table.records.values())
        return dict(Counter(row.status for row in rows if row.workflow == workflow))

    async def read_facts(self, key: int, *, after_id: int, limit: int) -> list[Fact]:
        """Read facts with a greater id, in order, up to `limit`."""
        record = self._table.records.get(key)
        newer = [fact for fact in record.facts if fact.id > after_id] if record else []
        return _copies(newer[: max(limit, 0)])

    async def last_fact(self, key: int) -> Fact | None:
        """Read the newest fact."""
        record = self._table.records.get(key)
        return replace(record.facts[-1]) if record and record.facts else None

    async def read_chunk(self, key: int, step: StepKey, attempt: int, index: int) -> bytes | None:
        """Read one piece of a stream."""
        record = self._table.records.get(key)
        chunk = record.chunks.get((step, attempt, index)) if record else None
        return chunk.data if chunk else None

    async def change_mark(self) -> object:
        """Give always the same: no other process can change this store."""
        return 0


def _signal_of(record: Record) -> Signal:
    row = record.row
    last = record.events[-1].id if record.events else 0
    return Signal(key=row.key, epoch=row.epoch, status=row.status, last_event_id=last)


def _copies(facts: Iterable[Fact]) -> list[Fact]:
    return [replace(fact) for fact in facts]
