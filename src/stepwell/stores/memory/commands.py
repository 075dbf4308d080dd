"""What each command does to a `MemoryStore`: one method for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from stepwell.model.command import (
    Append,
    Command,
    Create,
    Delete,
    DropChunks,
    EnterPause,
    Finish,
    Hibernate,
    HolderCommand,
    Outcome,
    Pause,
    PutChunk,
    Release,
    Restart,
    Resume,
    SendEvent,
    SetStatus,
    Terminate,
    Wake,
)
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus
from stepwell.model.step import Fact, FactKind, StepKey
from stepwell.stores.memory.table import Chunk, Record, Table

_MOVING = frozenset({InstanceStatus.RUNNING, InstanceStatus.WAITING})
_MAY_REST = _MOVING | {InstanceStatus.ROLLING_BACK}


class Commands:
    """Does commands on a table, one after the other."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._last_event = 0

    def do(self, command: Command, now: int) -> Outcome:
        """Do one command."""
        match command:
            case Create():
                return self._create(command, now)
            case SendEvent() | Pause() | Resume() | Terminate() | Restart() | Delete():
                record = self._table.find(command.ref)
                if record is None:
                    return Outcome.NOT_FOUND
                self._table.save(record)
                return self._do_for_client(command, record, now)
            case Wake():
                return self._wake(command, now)
            case _:
                record = self._table.held_under(command.lease)
                if record is None:
                    return Outcome.SUPERSEDED
                self._table.save(record)
                return self._do_for_run(command, record, now)

    def _do_for_client(
        self,
        command: SendEvent | Pause | Resume | Terminate | Restart | Delete,
        record: Record,
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

    def _do_for_run(self, command: HolderCommand, record: Record, now: int) -> Outcome:
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
        if self._table.find(command.ref) is not None:
            return Outcome.EXISTS
        row = Instance(
            key=self._table.new_key(),
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
        record = Record(row=row, retention=command.retention)
        self._table.add(record)
        queued = Fact(FactKind.QUEUED, now, payload=command.params, detail=command.detail)
        self._table.add_facts(record, [queued])
        return Outcome.APPLIED

    def _send_event(self, command: SendEvent, record: Record, now: int) -> Outcome:
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
            self._table.change(record, now, ready_ms=ready_ms)
        return Outcome.APPLIED

    def _pause(self, record: Record, now: int) -> Outcome:
        if record.row.status not in _MOVING:
            return Outcome.NOTHING
        if record.row.owner is None:
            self._table.become_paused(record, now, epoch=record.row.epoch + 1)
            self._table.add_facts(record, [Fact(FactKind.PAUSED, now)])
        else:
            self._table.change(record, now, status=InstanceStatus.WAITING_FOR_PAUSE)
            self._table.add_facts(record, [Fact(FactKind.PAUSING, now)])
        return Outcome.APPLIED

    def _resume(self, record: Record, now: int) -> Outcome:
        row = record.row
        if row.status is InstanceStatus.WAITING_FOR_PAUSE:
            self._table.change(record, now, status=InstanceStatus.RUNNING)
            self._table.add_facts(record, [Fact(FactKind.RUNNING, now)])
            return Outcome.APPLIED
        if row.status is not InstanceStatus.PAUSED:
            return Outcome.NOTHING
        resumed = _resumed(record, now)
        self._table.change(
            record,
            now,
            status=InstanceStatus.QUEUED,
            ready_ms=now,
            paused_ms=None,
            epoch=row.epoch + 1,
        )
        self._table.add_facts(record, [resumed])
        return Outcome.APPLIED

    def _terminate(self, command: Terminate, record: Record, now: int) -> Outcome:
        row = record.row
        if row.status.is_terminal:
            return Outcome.FINISHED
        if command.rollback and row.status is InstanceStatus.ROLLING_BACK:
            return Outcome.NOTHING
        record.wait_types = frozenset()
        self._table.change(record, now, owner=None, epoch=row.epoch + 1, paused_ms=None)
        if command.rollback:
            self._table.change(record, now, status=InstanceStatus.ROLLING_BACK, ready_ms=now)
        else:
            self._table.end(record, InstanceStatus.TERMINATED, now)
            self._table.add_facts(record, [Fact(FactKind.TERMINATED, now, detail=command.detail)])
        return Outcome.APPLIED

    def _restart(self, command: Restart, record: Record, now: int) -> Outcome:
        cut = 0
        if command.step is not None:
            ordinal = _ordinal_of(command.step, record.facts)
            if ordinal is None:
                return Outcome.NOT_FOUND
            cut = ordinal
        else:
            record.events = ()
        if record.row.status is InstanceStatus.PAUSED:
            self._table.add_facts(record, [_resumed(record, now)])
        first = next(fact for fact in record.facts if fact.kind is FactKind.QUEUED)
        queued = Fact(FactKind.QUEUED, now, payload=first.payload, detail=first.detail)
        kept = _kept(record.facts, cut)
        record.facts = []
        # What is kept is written anew too: QUEUED stays first, and readers see all of it again.
        self._table.add_facts(record, [queued, *kept])
        record.chunks = {at: one for at, one in record.chunks.items() if one.ordinal < cut}
        record.wait_types = frozenset()
        record.expires_ms = None
        record.progress_at_crash = 0
        self._table.change(
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

    def _delete(self, record: Record) -> Outcome:
        self._table.remove(record)
        return Outcome.APPLIED

    # ---- commands of runs --------------------------------------------------------------------

    def _append(self, command: Append, record: Record) -> Outcome:
        consumed = command.consumed_event
        if consumed is not None:
            left = tuple(event for event in record.events if event.id != consumed)
            if len(left) == len(record.events):
                return Outcome.SUPERSEDED
            record.events = left
        self._table.add_facts(record, command.facts)
        return Outcome.APPLIED

    def _hibernate(self, command: Hibernate, record: Record, now: int) -> Outcome:
        self._table.add_facts(record, command.facts)
        has_news = any(event.id > command.events_seen for event in record.events)
        if has_news or record.row.status not in _MAY_REST:
            return Outcome.STAY
        is_rolling_back = record.row.status is InstanceStatus.ROLLING_BACK
        record.wait_types = frozenset(command.event_types)
        self._table.change(
            record,
            now,
            status=InstanceStatus.ROLLING_BACK if is_rolling_back else InstanceStatus.WAITING,
            owner=None,
            ready_ms=command.wake_ms,
            crashes=0,
        )
        return Outcome.APPLIED

    def _set_status(self, command: SetStatus, record: Record, now: int) -> Outcome:
        self._table.add_facts(record, command.facts)
        self._table.change(record, now, status=command.status)
        return Outcome.APPLIED

    def _enter_pause(self, command: EnterPause, record: Record, now: int) -> Outcome:
        if record.row.status is not InstanceStatus.WAITING_FOR_PAUSE:
            return Outcome.STAY
        self._table.add_facts(record, command.facts)
        self._table.become_paused(record, now)
        return Outcome.APPLIED

    def _finish(self, command: Finish, record: Record, now: int) -> Outcome:
        self._table.add_facts(record, command.facts)
        self._table.end(record, command.status, now)
        return Outcome.APPLIED

    def _release(self, command: Release, record: Record, now: int) -> Outcome:
        self._table.add_facts(record, command.facts)
        self._table.hand_back(record, now)
        return Outcome.APPLIED

    def _wake(self, command: Wake, now: int) -> Outcome:
        record = self._table.resting_since(command.lease)
        if record is None:
            return Outcome.SUPERSEDED
        self._table.save(record)
        self._table.change(record, now, ready_ms=now)
        return Outcome.APPLIED

    def _put_chunk(self, command: PutChunk, record: Record) -> Outcome:
        chunk = Chunk(command.step, command.ordinal, bytes(command.data))
        place = (command.step, command.attempt, command.index)
        record.chunks = {**record.chunks, place: chunk}
        return Outcome.APPLIED

    def _drop_chunks(self, command: DropChunks, record: Record) -> Outcome:
        chunks = record.chunks.items()
        record.chunks = {at: one for at, one in chunks if one.step != command.step}
        return Outcome.APPLIED


def _ordinal_of(step: StepKey, facts: Iterable[Fact]) -> int | None:
    known = (fact.ordinal for fact in facts if fact.step == step)
    return min((ordinal for ordinal in known if ordinal is not None), default=None)


def _resumed(record: Record, now: int) -> Fact:
    """Say that timers move by the pause that ends now."""
    paused_ms = now if record.row.paused_ms is None else record.row.paused_ms
    return Fact(FactKind.RESUMED, now, due_ms=now - paused_ms)


def _kept(facts: Iterable[Fact], cut: int) -> list[Fact]:
    """Give the facts of steps below `cut`, with the pauses that moved a timer of theirs."""
    kept: list[Fact] = []
    has_timer = False
    for fact in facts:
        if fact.ordinal is not None and fact.ordinal < cut:
            kept.append(fact)
            has_timer = has_timer or fact.due_ms is not None
        elif fact.kind is FactKind.RESUMED and has_timer:
            kept.append(fact)
    return kept
