"""The records of a `MemoryStore`: changed in steps that can be put back, found by what they are.

An instance is one `Record`. A batch saves each record before it first touches it, so that all it
touched can be put back. Rows are frozen, and facts are copied on their way in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from typing import Any

from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, Lease, Ref, Retention
from stepwell.model.step import Fact, FactKind, StepKey

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
class Chunk:
    """One piece of a stream, and whose it is."""

    step: StepKey
    ordinal: int
    data: bytes


@dataclass(slots=True, kw_only=True)
class Record:
    """One instance. `facts` may be appended to; every other value is only ever replaced."""

    row: Instance
    retention: Retention
    expires_ms: int | None = None
    wait_types: frozenset[str] = frozenset()
    progress_at_crash: int = 0
    facts: list[Fact] = field(default_factory=list)
    events: tuple[PendingEvent, ...] = ()
    chunks: dict[tuple[StepKey, int, int], Chunk] = field(default_factory=dict)

    @property
    def progress(self) -> int:
        """Id of the newest fact that shows that a run came further, or 0."""
        kinds = _NO_PROGRESS
        return next((fact.id for fact in reversed(self.facts) if fact.kind not in kinds), 0)


class Table:
    """All records, with the indexes that claims and signals need."""

    def __init__(self) -> None:
        self.records: dict[int, Record] = {}
        self._keys: dict[Ref, int] = {}
        self._held: dict[str, set[int]] = {}
        # Heaps of (ready_ms, key) by workflow, of new instances and of others; entries that hold no
        # longer are skipped.
        self._ready: dict[tuple[str, bool], list[tuple[int, int]]] = {}
        self._saved: dict[int, tuple[Record, int] | None] = {}
        self._last_key = 0
        self._last_fact = 0

    # ---- finding -----------------------------------------------------------------------------

    def find(self, ref: Ref) -> Record | None:
        """Give the record of an instance."""
        key = self._keys.get(ref)
        return None if key is None else self.records[key]

    def held_under(self, lease: Lease) -> Record | None:
        """Give the record of a run whose lease is still good."""
        record = self.records.get(lease.key)
        if record is None:
            return None
        holder = (record.row.owner, record.row.epoch)
        return record if holder == (lease.owner, lease.epoch) else None

    def resting_since(self, lease: Lease) -> Record | None:
        """Give the record of an instance that nobody has touched since this lease ended in rest."""
        record = self.records.get(lease.key)
        if record is None or record.row.status is not InstanceStatus.WAITING:
            return None
        now_held = (record.row.owner, record.row.epoch)
        return record if now_held == (None, lease.epoch) else None

    def held_by(self, worker: str) -> list[Record]:
        """Give what a worker holds, in order of key."""
        return [self.records[key] for key in sorted(self._held.get(worker, ()))]

    @property
    def owners(self) -> list[str]:
        """Name all who hold something."""
        return list(self._held)

    # ---- changing ----------------------------------------------------------------------------

    def new_key(self) -> int:
        """Give a key that no instance ever had."""
        self._last_key += 1
        return self._last_key

    def add(self, record: Record) -> None:
        """Take in a new record."""
        self._saved.setdefault(record.row.key, None)
        self.records[record.row.key] = record
        self._index(record)

    def remove(self, record: Record) -> None:
        """Forget a record."""
        self._unindex(record)
        del self.records[record.row.key]

    def become_paused(self, record: Record, now: int, **changes: Any) -> None:
        """Pause now, with nobody holding it."""
        paused = InstanceStatus.PAUSED
        self.change(record, now, status=paused, paused_ms=now, owner=None, ready_ms=None, **changes)

    def hand_back(self, record: Record, now: int) -> None:
        """Let the holder go: ready now, or paused if a pause was asked for."""
        if record.row.status is InstanceStatus.WAITING_FOR_PAUSE:
            self.become_paused(record, now)
            self.add_facts(record, [Fact(FactKind.PAUSED, now)])
        else:
            self.change(record, now, owner=None, ready_ms=now)

    def end(self, record: Record, status: InstanceStatus, now: int) -> None:
        """Enter a terminal status."""
        is_complete = status is InstanceStatus.COMPLETE
        kept_ms = record.retention.success_ms if is_complete else record.retention.error_ms
        record.expires_ms = now + kept_ms
        record.events = ()
        self.change(record, now, status=status, owner=None, ready_ms=None, ended_ms=now)

    def add_facts(self, record: Record, facts: Iterable[Fact]) -> None:
        """Copy facts to the end of the history."""
        for fact in facts:
            self._last_fact += 1
            record.facts.append(replace(fact, id=self._last_fact))

    def change(self, record: Record, now: int, **changes: Any) -> None:
        """Replace values of the row."""
        self._unindex(record)
        record.row = replace(record.row, modified_ms=now, **changes)
        self._index(record)

    # ---- undoing a batch ---------------------------------------------------------------------

    def begin(self) -> None:
        """Forget what an earlier batch saved: it is stored for good."""
        self._saved = {}

    def save(self, record: Record) -> None:
        """Note what a record is, before a command of this batch touches it."""
        if record.row.key not in self._saved:
            self._saved[record.row.key] = (replace(record), len(record.facts))

    def put_back(self) -> None:
        """Undo all that was touched since `begin`."""
        for key, saved in self._saved.items():
            if saved is None:
                self.records.pop(key, None)
            else:
                record, facts = saved
                del record.facts[facts:]
                self.records[key] = record
        self.records = dict(sorted(self.records.items()))
        self._keys.clear()
        self._held.clear()
        self._ready.clear()
        for record in self.records.values():
            self._index(record)

    # ---- indexes -----------------------------------------------------------------------------

    def _index(self, record: Record) -> None:
        row = record.row
        self._keys[row.ref] = row.key
        if row.owner is not None:
            self._held.setdefault(row.owner, set()).add(row.key)
        elif row.ready_ms is not None:
            heap = self._ready.setdefault((row.workflow, row.started_ms is None), [])
            heappush(heap, (row.ready_ms, row.key))

    def _unindex(self, record: Record) -> None:
        row = record.row
        del self._keys[row.ref]
        if row.owner is not None:
            keys = self._held[row.owner]
            keys.discard(row.key)
            if not keys:
                del self._held[row.owner]

    def peek_ready(self, workflow: str, *, is_new: bool) -> tuple[int, int] | None:
        """Give ready_ms and key of what became ready first, among new ones or others, or None."""
        heap = self._ready.get((workflow, is_new), [])
        while heap and not self._is_ready(*heap[0], is_new=is_new):
            heappop(heap)
        return heap[0] if heap else None

    def pop_ready(self, workflows: Sequence[str], now: int) -> int | None:
        """Take the key of what comes first of all that is ready by now: new ones last."""
        for is_new in (False, True):
            heads = [
                (head, name) for name in workflows if (head := self.peek_ready(name, is_new=is_new))
            ]
            (ready_ms, key), workflow = min(heads, default=((now + 1, 0), ""))
            if ready_ms <= now:
                heappop(self._ready[workflow, is_new])
                return key
        return None

    def _is_ready(self, ready_ms: int, key: int, *, is_new: bool) -> bool:
        record = self.records.get(key)
        if record is None:
            return False
        row = record.row
        return (row.owner, row.ready_ms, row.started_ms is None) == (None, ready_ms, is_new)
