"""The store that dies with its process: the contract of `ports.store` in plain Python.

An instance is one `_Record`. A batch saves each record before it first touches it; if a command
raises, all that was touched is put back, so a batch is stored as a whole or not at all. Rows are
frozen and every list and fact is copied on its way in and out, so that no caller can change what
is stored. No method gives way to the event loop, hence each is one transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any, assert_never

from stepwell.model.command import (
    Append,
    Command,
    Create,
    Delete,
    DropChunks,
    EnterPause,
    Finish,
    Hibernate,
    Outcome,
    Pause,
    PutChunk,
    Release,
    Restart,
    Resume,
    RunCommand,
    SendEvent,
    SetStatus,
    Terminate,
)
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref, Retention
from stepwell.model.step import Fact, FactKind, StepKey
from stepwell.ports.store import Claim, Memory, Signal

_MOVING = frozenset({InstanceStatus.RUNNING, InstanceStatus.WAITING})
_MAY_REST = _MOVING | {InstanceStatus.ROLLING_BACK}
# What a run writes before it has done anything: a crash after only these came no further.
_NO_PROGRESS = frozenset(
    {
        FactKind.STEP_STARTED,
        FactKind.ATTEMPT_STARTED,
        FactKind.RUNNING,
        FactKind.WAITING,
        FactKind.SLEEP_STARTED,
        FactKind.WAIT_STARTED,
    }
)


@dataclass(frozen=True, slots=True)
class _Chunk:
    step: StepKey
    ordinal: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class _Record:
    """One instance. `facts` may be appended to; every other value is only ever replaced."""

    row: Instance
    retention: Retention
    expires_ms: int | None = None
    wait_types: frozenset[str] = frozenset()
    progress_at_crash: int = 0
    facts: list[Fact] = field(default_factory=list)
    events: tuple[PendingEvent, ...] = ()
    chunks: dict[tuple[StepKey, int, int], _Chunk] = field(default_factory=dict)

    @property
    def progress(self) -> int:
        """Id of the newest fact that shows that a run came further, or 0."""
        kinds = _NO_PROGRESS
        return next((fact.id for fact in reversed(self.facts) if fact.kind not in kinds), 0)


@dataclass(slots=True)
class _Worker:
    expires_ms: int
    is_reaped: bool = False


class MemoryStore:
    """Instances in this process's memory."""

    def __init__(self) -> None:
        self._records: dict[int, _Record] = {}
        self._keys: dict[Ref, int] = {}
        self._held: dict[str, set[int]] = {}
        # A heap of (ready_ms, key) for each workflow; entries that hold no longer are skipped.
        self._ready: dict[str, list[tuple[int, int]]] = {}
        self._workers: dict[str, _Worker] = {}
        self._saved: dict[int, tuple[_Record, int] | None] = {}
        self._last_key = 0
        self._last_fact = 0
        self._last_event = 0

    async def open(self) -> None:
        """Do nothing: there is nothing to connect to."""

    async def close(self) -> None:
        """Do nothing: what is stored stays until the store is let go of."""

    # ---- commands ----------------------------------------------------------------------------

    async def apply(self, commands: Sequence[Command], now_ms: int) -> list[Outcome]:
        """Do all of `commands` in order, or none if one raises."""
        self._saved = {}
        try:
            return [self._do(command, now_ms) for command in commands]
        except BaseException:
            self._put_back()
            raise

    def _do(self, command: Command, now: int) -> Outcome:
        match command:
            case Create():
                return self._create(command, now)
            case SendEvent() | Pause() | Resume() | Terminate() | Restart() | Delete():
                record = self._record_of(command.ref)
                if record is None:
                    return Outcome.NOT_FOUND
                return self._do_for_client(command, record, now)
            case _:
                record = self._held_under(command.lease)
                if record is None:
                    return Outcome.SUPERSEDED
                return self._do_for_run(command, record, now)

    def _do_for_client(
        self,
        command: SendEvent | Pause | Resume | Terminate | Restart | Delete,
        record: _Record,
        now: int,
    ) -> Outcome:
        match command:
            case SendEvent():
                return self._send_event(command, record, now)
            case Pause():
                return self._pause(record, now)
            case Resume():
                return self._resume(record, now)
            case Terminate():
                return self._terminate(command, record, now)
            case Restart():
                return self._restart(command, record, now)
            case Delete():
                return self._delete(record)
            case _:
                assert_never(command)

    def _do_for_run(self, command: RunCommand, record: _Record, now: int) -> Outcome:
        match command:
            case Append():
                return self._append(command, record)
            case Hibernate():
                return self._hibernate(command, record, now)
            case SetStatus():
                return self._set_status(command, record, now)
            case EnterPause():
                return self._enter_pause(command, record, now)
            case Finish():
                return self._finish(command, record, now)
            case Release():
                return self._release(command, record, now)
            case PutChunk():
                return self._put_chunk(command, record)
            case DropChunks():
                return self._drop_chunks(command, record)
            case _:
                assert_never(command)

    # ---- commands of clients -----------------------------------------------------------------

    def _create(self, command: Create, now: int) -> Outcome:
        if command.ref in self._keys:
            return Outcome.EXISTS
        self._last_key += 1
        key = self._last_key
        row = Instance(
            key=key,
            workflow=command.ref.workflow,
            id=command.ref.id,
            status=InstanceStatus.QUEUED,
            trigger=command.trigger,
            owner=None,
            epoch=0,
            ready_ms=now,
            paused_ms=None,
            crashes=0,
            created_ms=now,
            modified_ms=now,
            started_ms=None,
            ended_ms=None,
        )
        self._saved.setdefault(key, None)
        record = _Record(row=row, retention=command.retention)
        self._records[key] = record
        self._index(record)
        queued = Fact(FactKind.QUEUED, now, payload=command.params, detail=command.detail)
        self._add_facts(record, [queued])
        return Outcome.APPLIED

    def _send_event(self, command: SendEvent, record: _Record, now: int) -> Outcome:
        row = record.row
        if row.status.is_terminal:
            return Outcome.FINISHED
        self._last_event += 1
        event = PendingEvent(
            id=self._last_event, type=command.type, payload=command.payload, at_ms=now
        )
        record.events = (*record.events, event)
        is_waiting = row.status is InstanceStatus.WAITING and row.owner is None
        if is_waiting and command.type in record.wait_types:
            ready_ms = now if row.ready_ms is None else min(row.ready_ms, now)
            self._change(record, now, ready_ms=ready_ms)
        return Outcome.APPLIED

    def _pause(self, record: _Record, now: int) -> Outcome:
        if record.row.status not in _MOVING:
            return Outcome.NOTHING
        if record.row.owner is None:
            self._become_paused(record, now, epoch=record.row.epoch + 1)
            self._add_facts(record, [Fact(FactKind.PAUSED, now)])
        else:
            self._change(record, now, status=InstanceStatus.WAITING_FOR_PAUSE)
            self._add_facts(record, [Fact(FactKind.PAUSING, now)])
        return Outcome.APPLIED

    def _resume(self, record: _Record, now: int) -> Outcome:
        row = record.row
        if row.status is InstanceStatus.WAITING_FOR_PAUSE:
            self._change(record, now, status=InstanceStatus.RUNNING)
            self._add_facts(record, [Fact(FactKind.RUNNING, now)])
            return Outcome.APPLIED
        if row.status is not InstanceStatus.PAUSED:
            return Outcome.NOTHING
        lasted_ms = now - row.paused_ms if row.paused_ms is not None else 0
        self._change(
            record,
            now,
            status=InstanceStatus.QUEUED,
            ready_ms=now,
            paused_ms=None,
            epoch=row.epoch + 1,
        )
        self._add_facts(record, [Fact(FactKind.RESUMED, now, due_ms=lasted_ms)])
        return Outcome.APPLIED

    def _terminate(self, command: Terminate, record: _Record, now: int) -> Outcome:
        row = record.row
        if row.status.is_terminal:
            return Outcome.FINISHED
        record.wait_types = frozenset()
        self._change(record, now, owner=None, epoch=row.epoch + 1, paused_ms=None)
        if command.rollback:
            self._change(record, now, status=InstanceStatus.ROLLING_BACK, ready_ms=now)
        else:
            self._end(record, InstanceStatus.TERMINATED, now)
            self._add_facts(record, [Fact(FactKind.TERMINATED, now, detail=command.detail)])
        return Outcome.APPLIED

    def _restart(self, command: Restart, record: _Record, now: int) -> Outcome:
        cut = 0
        if command.step is not None:
            ordinal = _ordinal_of(command.step, record.facts)
            if ordinal is None:
                return Outcome.NOT_FOUND
            cut = ordinal
        else:
            record.events = ()
        first = next(fact for fact in record.facts if fact.kind is FactKind.QUEUED)
        queued = Fact(FactKind.QUEUED, now, payload=first.payload, detail=first.detail)
        kept = [fact for fact in record.facts if fact.ordinal is not None and fact.ordinal < cut]
        record.facts = []
        # What is kept is written anew too: QUEUED stays first, and readers see all of it again.
        self._add_facts(record, [queued, *kept])
        record.chunks = {at: one for at, one in record.chunks.items() if one.ordinal < cut}
        record.wait_types = frozenset()
        record.expires_ms = None
        record.progress_at_crash = 0
        self._change(
            record,
            now,
            status=InstanceStatus.QUEUED,
            owner=None,
            epoch=record.row.epoch + 1,
            ready_ms=now,
            paused_ms=None,
            crashes=0,
            started_ms=None,
            ended_ms=None,
        )
        return Outcome.APPLIED

    def _delete(self, record: _Record) -> Outcome:
        self._unindex(record)
        del self._records[record.row.key]
        return Outcome.APPLIED

    # ---- commands of runs --------------------------------------------------------------------

    def _append(self, command: Append, record: _Record) -> Outcome:
        consumed = command.consumed_event
        if consumed is not None:
            left = tuple(event for event in record.events if event.id != consumed)
            if len(left) == len(record.events):
                return Outcome.SUPERSEDED
            record.events = left
        self._add_facts(record, command.facts)
        return Outcome.APPLIED

    def _hibernate(self, command: Hibernate, record: _Record, now: int) -> Outcome:
        self._add_facts(record, command.facts)
        has_news = any(event.id > command.events_seen for event in record.events)
        if has_news or record.row.status not in _MAY_REST:
            return Outcome.STAY
        is_rolling_back = record.row.status is InstanceStatus.ROLLING_BACK
        record.wait_types = frozenset(command.event_types)
        self._change(
            record,
            now,
            status=InstanceStatus.ROLLING_BACK if is_rolling_back else InstanceStatus.WAITING,
            owner=None,
            ready_ms=command.wake_ms,
            crashes=0,
        )
        return Outcome.APPLIED

    def _set_status(self, command: SetStatus, record: _Record, now: int) -> Outcome:
        self._add_facts(record, command.facts)
        self._change(record, now, status=command.status)
        return Outcome.APPLIED

    def _enter_pause(self, command: EnterPause, record: _Record, now: int) -> Outcome:
        if record.row.status is not InstanceStatus.WAITING_FOR_PAUSE:
            return Outcome.STAY
        self._add_facts(record, command.facts)
        self._become_paused(record, now)
        return Outcome.APPLIED

    def _finish(self, command: Finish, record: _Record, now: int) -> Outcome:
        self._add_facts(record, command.facts)
        self._end(record, command.status, now)
        return Outcome.APPLIED

    def _release(self, command: Release, record: _Record, now: int) -> Outcome:
        self._add_facts(record, command.facts)
        self._hand_back(record, now)
        return Outcome.APPLIED

    def _put_chunk(self, command: PutChunk, record: _Record) -> Outcome:
        chunk = _Chunk(command.step, command.ordinal, bytes(command.data))
        place = (command.step, command.attempt, command.index)
        record.chunks = {**record.chunks, place: chunk}
        return Outcome.APPLIED

    def _drop_chunks(self, command: DropChunks, record: _Record) -> Outcome:
        chunks = record.chunks.items()
        record.chunks = {at: one for at, one in chunks if one.step != command.step}
        return Outcome.APPLIED

    # ---- workers -----------------------------------------------------------------------------

    async def claim(
        self, *, worker: str, workflows: Sequence[str], limit: int, now_ms: int
    ) -> list[Claim]:
        """Take up to `limit` unheld instances that are ready, oldest first."""
        self._saved = {}
        claims: list[Claim] = []
        while len(claims) < limit:
            key = self._pop_ready(workflows, now_ms)
            if key is None:
                break
            claims.append(self._claim_one(self._records[key], worker, now_ms))
        return claims

    def _claim_one(self, record: _Record, worker: str, now: int) -> Claim:
        row = record.row
        is_rolling_back = row.status is InstanceStatus.ROLLING_BACK
        record.wait_types = frozenset()
        self._change(
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
        heads = [self._peek_ready(workflow) for workflow in workflows]
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
        for key in sorted(self._held.get(worker, ())):
            self._hand_back(self._records[key], now_ms)
        self._workers.pop(worker, None)

    async def reap(self, *, now_ms: int, limit: int) -> int:
        """Free up to `limit` instances of workers whose lease has lapsed; tell how many."""
        for worker in self._workers.values():
            worker.is_reaped = worker.is_reaped or worker.expires_ms < now_ms
        living = {name for name, worker in self._workers.items() if not worker.is_reaped}
        lapsed = [key for name, keys in self._held.items() if name not in living for key in keys]
        lapsed = sorted(lapsed)[: max(limit, 0)]
        for key in lapsed:
            self._free(self._records[key], now_ms)
        return len(lapsed)

    def _free(self, record: _Record, now: int) -> None:
        progress = record.progress
        has_progressed = progress > record.progress_at_crash
        record.progress_at_crash = progress
        self._change(
            record,
            now,
            epoch=record.row.epoch + 1,
            crashes=1 if has_progressed else record.row.crashes + 1,
        )
        self._hand_back(record, now)

    async def signals(self, worker: str) -> list[Signal]:
        """Tell the state of every run that the worker holds."""
        return [
            _signal_of(self._records[key]) for key in sorted(self._held.get(worker, ()))
        ]

    async def purge(self, *, now_ms: int, limit: int) -> int:
        """Delete up to `limit` finished instances whose retention is over; tell how many."""
        expired = [
            record
            for record in self._records.values()
            if record.expires_ms is not None and record.expires_ms <= now_ms
        ][: max(limit, 0)]
        for record in expired:
            self._delete(record)
        return len(expired)

    # ---- reading -----------------------------------------------------------------------------

    async def load(self, keys: Sequence[int]) -> dict[int, Memory]:
        """Read the whole memory of instances; keys that do not exist are absent."""
        known = {key: self._records[key] for key in keys if key in self._records}
        return {
            key: Memory(facts=_copies(record.facts), events=list(record.events))
            for key, record in known.items()
        }

    async def pending_events(self, key: int, after_id: int) -> list[PendingEvent]:
        """Read unconsumed events with a greater id, in order."""
        record = self._records.get(key)
        return [event for event in record.events if event.id > after_id] if record else []

    async def find(self, ref: Ref) -> Instance | None:
        """Read one instance's row."""
        key = self._keys.get(ref)
        return None if key is None else self._records[key].row

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
            for record in reversed(self._records.values())
            if record.row.workflow == workflow
            and (status is None or record.row.status is status)
            and (before_key is None or record.row.key < before_key)
        ]
        return rows[: max(limit, 0)]

    async def count_by_status(self, workflow: str) -> dict[InstanceStatus, int]:
        """Count a workflow's instances; a status that none has is absent."""
        rows = (record.row for record in self._records.values())
        return dict(Counter(row.status for row in rows if row.workflow == workflow))

    async def read_facts(self, key: int, *, after_id: int, limit: int) -> list[Fact]:
        """Read facts with a greater id, in order, up to `limit`."""
        record = self._records.get(key)
        newer = [fact for fact in record.facts if fact.id > after_id] if record else []
        return _copies(newer[: max(limit, 0)])

    async def last_fact(self, key: int) -> Fact | None:
        """Read the newest fact."""
        record = self._records.get(key)
        return replace(record.facts[-1]) if record and record.facts else None

    async def read_chunk(self, key: int, step: StepKey, attempt: int, index: int) -> bytes | None:
        """Read one piece of a stream."""
        record = self._records.get(key)
        chunk = record.chunks.get((step, attempt, index)) if record else None
        return chunk.data if chunk else None

    async def change_mark(self) -> object:
        """Give always the same: no other process can change this store."""
        return 0

    # ---- changes that several commands share -------------------------------------------------

    def _become_paused(self, record: _Record, now: int, **changes: Any) -> None:
        paused = InstanceStatus.PAUSED
        self._change(
            record, now, status=paused, paused_ms=now, owner=None, ready_ms=None, **changes
        )

    def _hand_back(self, record: _Record, now: int) -> None:
        if record.row.status is InstanceStatus.WAITING_FOR_PAUSE:
            self._become_paused(record, now)
            self._add_facts(record, [Fact(FactKind.PAUSED, now)])
        else:
            self._change(record, now, owner=None, ready_ms=now)

    def _end(self, record: _Record, status: InstanceStatus, now: int) -> None:
        is_complete = status is InstanceStatus.COMPLETE
        kept_ms = record.retention.success_ms if is_complete else record.retention.error_ms
        record.expires_ms = now + kept_ms
        record.events = ()
        self._change(record, now, status=status, owner=None, ready_ms=None, ended_ms=now)

    def _add_facts(self, record: _Record, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._last_fact += 1
            record.facts.append(replace(fact, id=self._last_fact))

    def _change(self, record: _Record, now: int, **changes: Any) -> None:
        self._unindex(record)
        record.row = replace(record.row, modified_ms=now, **changes)
        self._index(record)

    # ---- finding records, and undoing a batch ------------------------------------------------

    def _record_of(self, ref: Ref) -> _Record | None:
        key = self._keys.get(ref)
        return None if key is None else self._save(self._records[key])

    def _held_under(self, lease: Lease) -> _Record | None:
        record = self._records.get(lease.key)
        if record is None:
            return None
        holder = (record.row.owner, record.row.epoch)
        return self._save(record) if holder == (lease.owner, lease.epoch) else None

    def _save(self, record: _Record) -> _Record:
        if record.row.key not in self._saved:
            self._saved[record.row.key] = (replace(record), len(record.facts))
        return record

    def _put_back(self) -> None:
        for key, saved in self._saved.items():
            if saved is None:
                self._records.pop(key, None)
            else:
                record, facts = saved
                del record.facts[facts:]
                self._records[key] = record
        self._records = dict(sorted(self._records.items()))
        self._keys.clear()
        self._held.clear()
        self._ready.clear()
        for record in self._records.values():
            self._index(record)

    # ---- indexes -----------------------------------------------------------------------------

    def _index(self, record: _Record) -> None:
        row = record.row
        self._keys[row.ref] = row.key
        if row.owner is not None:
            self._held.setdefault(row.owner, set()).add(row.key)
        elif row.ready_ms is not None:
            heappush(self._ready.setdefault(row.workflow, []), (row.ready_ms, row.key))

    def _unindex(self, record: _Record) -> None:
        row = record.row
        del self._keys[row.ref]
        if row.owner is not None:
            keys = self._held[row.owner]
            keys.discard(row.key)
            if not keys:
                del self._held[row.owner]

    def _peek_ready(self, workflow: str) -> tuple[int, int] | None:
        heap = self._ready.get(workflow, [])
        while heap and not self._is_ready(*heap[0]):
            heappop(heap)
        return heap[0] if heap else None

    def _pop_ready(self, workflows: Sequence[str], now: int) -> int | None:
        heads = [(head, name) for name in workflows if (head := self._peek_ready(name))]
        if not heads:
            return None
        (ready_ms, key), workflow = min(heads)
        if ready_ms > now:
            return None
        heappop(self._ready[workflow])
        return key

    def _is_ready(self, ready_ms: int, key: int) -> bool:
        record = self._records.get(key)
        return record is not None and (record.row.owner, record.row.ready_ms) == (None, ready_ms)


def _ordinal_of(step: StepKey, facts: Iterable[Fact]) -> int | None:
    known = (fact.ordinal for fact in facts if fact.step == step)
    return min((ordinal for ordinal in known if ordinal is not None), default=None)


def _signal_of(record: _Record) -> Signal:
    row = record.row
    last = record.events[-1].id if record.events else 0
    return Signal(key=row.key, epoch=row.epoch, status=row.status, last_event_id=last)


def _copies(facts: Iterable[Fact]) -> list[Fact]:
    return [replace(fact) for fact in facts]
