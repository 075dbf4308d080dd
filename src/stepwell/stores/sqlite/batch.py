"""Apply a batch of commands inside one transaction, with few statements.

Statement calls are what costs, so commands of one kind share one; `rounds` says which may. A round:

    1  stale leases are found; their commands are SUPERSEDED and take no part
    2  what runs add: facts, consumed events, pieces of streams
    3  all other kinds, the frequent ones together, the rare ones one by one
    4  the facts of all of them: one statement
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, assert_never

from stepwell.model.command import (
    CLIENT_COMMANDS,
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
    SendEvent,
    SetStatus,
    Terminate,
    Wake,
)
from stepwell.model.instance import TERMINAL, InstanceStatus, Ref
from stepwell.model.step import Fact, FactKind, StepKey
from stepwell.stores.rows import fact_row, read_status
from stepwell.stores.sqlite.rounds import ADDING, cut
from stepwell.stores.sqlite.statements import Statements

_S = InstanceStatus
_NEED_A_ROW = CLIENT_COMMANDS - {Create}
_WITHOUT_LEASE = CLIENT_COMMANDS | {Wake}
_to_json = json.JSONEncoder(separators=(",", ":")).encode
Indexed = list[tuple[int, Any]]
Outcomes = list[Outcome]


class _Found(NamedTuple):
    """What a client's command needs to know of its instance."""

    key: int
    status: InstanceStatus
    is_held: bool
    paused_ms: int | None


class Batch:
    """One batch in one open transaction."""

    def __init__(self, connection: sqlite3.Connection, now_ms: int) -> None:
        self._sql = Statements(connection, now_ms)
        self._now = now_ms
        self._facts: list[tuple[Any, ...]] = []

    def apply(self, commands: Sequence[Command]) -> Outcomes:
        """Do all commands; gives their outcomes."""
        outcomes = [Outcome.APPLIED] * len(commands)
        found = self._find_refs(commands)
        rounds = cut(commands, {ref: one.key for ref, one in found.items()})
        for number, places in enumerate(rounds):
            members = [(place, commands[place]) for place in places]
            if number > 0:
                found = self._find_refs(command for _, command in members)
            self._do_round(members, found, outcomes)
        return outcomes

    def _do_round(self, members: Indexed, found: Mapping[Ref, _Found], outcomes: Outcomes) -> None:
        groups: dict[type, Indexed] = {}
        for member in self._leave_out_stale(members, outcomes):
            groups.setdefault(type(member[1]), []).append(member)
        for kind in sorted(groups, key=lambda kind: kind not in ADDING):
            some = groups[kind]
            if kind is Append:
                self._append(some, outcomes)
            elif kind is Create:
                self._create(some, outcomes)
            elif kind is Finish:
                self._finish(some)
            elif kind is Hibernate:
                self._hibernate(some, outcomes)
            elif kind is SendEvent:
                self._send_events(some, found, outcomes)
            elif kind is Release:
                self._release(some)
            elif kind in CLIENT_COMMANDS:
                for place, command in some:
                    outcomes[place] = self._do_for_client(command, found.get(command.ref))
            else:
                for place, command in some:
                    outcomes[place] = self._do_for_run(command)
        self._write_facts()

    # ---- what every round does ---------------------------------------------------------------

    def _find_refs(self, commands: Iterable[Any]) -> dict[Ref, _Found]:
        refs = {command.ref: None for command in commands if type(command) in _NEED_A_ROW}
        if not refs:
            return {}
        return {
            Ref(workflow, id_): _Found(key, read_status(status), bool(is_held), paused_ms)
            for workflow, id_, key, status, is_held, paused_ms in self._sql.run_rows(
                "find_refs", list(refs)
            )
        }

    def _leave_out_stale(self, members: Indexed, outcomes: Outcomes) -> Indexed:
        leases = []
        for position, (_, command) in enumerate(members, start=1):
            if type(command) not in _WITHOUT_LEASE:
                lease = command.lease
                leases.append((position, lease.key, lease.epoch, lease.owner))
        if not leases:
            return members
        stale = [
            members[position - 1] for (position,) in self._sql.run_rows("stale_leases", leases)
        ]
        if not stale:
            return members
        for place, _ in stale:
            outcomes[place] = Outcome.SUPERSEDED
        left_out = {place for place, _ in stale}
        return [member for member in members if member[0] not in left_out]

    def _note(self, key: int, facts: Iterable[Fact]) -> None:
        self._facts.extend([fact_row(key, fact) for fact in facts])

    def _note_one(self, key: int, kind: FactKind, **more: Any) -> None:
        self._facts.append(fact_row(key, Fact(kind, self._now, **more)))

    def _write_facts(self) -> None:
        if self._facts:
            facts, self._facts = self._facts, []
            self._sql.run_rows("insert_facts", facts)

    # ---- frequent kinds, all of a round at once ----------------------------------------------

    def _append(self, members: Indexed, outcomes: Outcomes) -> None:
        wanted = [
            (command.consumed_event, command.lease.key)
            for _, command in members
            if command.consumed_event is not None
        ]
        taken = {id_ for (id_,) in self._sql.run_rows("take_events", wanted)}
        facts = self._facts
        for place, command in members:
            consumed = command.consumed_event
            if consumed is not None:
                if consumed not in taken:
                    outcomes[place] = Outcome.SUPERSEDED
                    continue
                taken.remove(consumed)  # the next one that wants it comes too late
            key = command.lease.key
            facts.extend([fact_row(key, fact) for fact in command.facts])

    def _create(self, members: Indexed, outcomes: Outcomes) -> None:
        rows = []
        for _, command in members:
            kept = command.retention
            rows.append((*command.ref, command.trigger, kept.success_ms, kept.error_ms, self._now))
        keys = {
            (workflow, id_): key
            for key, workflow, id_ in self._sql.run_rows("create_instances", rows)
        }
        for place, command in members:
            key = keys.get(command.ref)
            if key is None:
                outcomes[place] = Outcome.EXISTS
            else:
                self._note_one(key, FactKind.QUEUED, payload=command.params, detail=command.detail)

    def _finish(self, members: Indexed) -> None:
        rows, keys = [], []
        for _, command in members:
            key = command.lease.key
            self._note(key, command.facts)
            rows.append((key, command.status, self._now))
            keys.append((key,))
        self._sql.run_rows("finish_instances", rows)
        self._sql.run_rows("drop_events", keys)

    def _hibernate(self, members: Indexed, outcomes: Outcomes) -> None:
        rows = []
        for _, command in members:
            key, types = command.lease.key, _to_json(command.event_types)
            self._note(key, command.facts)
            rows.append((key, command.wake_ms, types, command.events_seen, self._now))
        rested = {key for (key,) in self._sql.run_rows("hibernate_instances", rows)}
        for place, command in members:
            if command.lease.key not in rested:
                outcomes[place] = Outcome.STAY

    def _send_events(
        self, members: Indexed, found: Mapping[Ref, _Found], outcomes: Outcomes
    ) -> None:
        sent, types = [], []
        for place, command in members:
            instance = found.get(command.ref)
            if instance is None:
                outcomes[place] = Outcome.NOT_FOUND
            elif instance.status in TERMINAL:
                outcomes[place] = Outcome.FINISHED
            else:
                sent.append((instance.key, command.type, command.payload, self._now))
                types.append((instance.key, command.type, self._now))
        self._sql.run_rows("insert_events", sent)
        self._sql.run_rows("wake_for_events", types)

    def _release(self, members: Indexed) -> None:
        for _, command in members:
            self._note(command.lease.key, command.facts)
        self.hand_back([command.lease.key for _, command in members])

    def hand_back(self, keys: Iterable[int]) -> None:
        """Let the holders go: ready now, or paused if a pause was asked for."""
        rows = [(key, self._now) for key in keys]
        for key, status in self._sql.run_rows("hand_back", rows):
            if status == _S.PAUSED:
                self._note_one(key, FactKind.PAUSED)
        self._write_facts()

    def delete(self, keys: Iterable[int]) -> None:
        """Remove instances and all they stored."""
        rows = [(key,) for key in keys]
        for query in ("drop_facts", "drop_chunks", "drop_events", "drop_instances"):
            self._sql.run_rows(query, rows)

    # ---- rare kinds, one by one --------------------------------------------------------------

    def _do_for_run(
        self, command: SetStatus | EnterPause | PutChunk | DropChunks | Wake
    ) -> Outcome:
        key = command.lease.key
        match command:
            case SetStatus():
                self._sql.run("set_status", key=key, status=command.status)
                self._note(key, command.facts)
            case EnterPause():
                if not self._sql.run("enter_pause", key=key):
                    return Outcome.STAY
                self._note(key, command.facts)
            case PutChunk():
                self._sql.run(
                    "put_chunk",
                    key=key,
                    attempt=command.attempt,
                    position=command.index,
                    ordinal=command.ordinal,
                    data=command.data,
                    **step_columns(command.step),
                )
            case DropChunks():
                self._sql.run("drop_step_chunks", key=key, **step_columns(command.step))
            case Wake():
                epoch = command.lease.epoch
                if not self._sql.run("wake_resting", key=key, epoch=epoch):
                    return Outcome.SUPERSEDED
            case _:
                assert_never(command)
        return Outcome.APPLIED

    def _do_for_client(
        self, command: Pause | Resume | Terminate | Restart | Delete, found: _Found | None
    ) -> Outcome:
        if found is None:
            return Outcome.NOT_FOUND
        match command:
            case Pause():
                return self._pause(found)
            case Resume():
                return self._resume(found)
            case Terminate():
                return self._terminate(command, found)
            case Restart():
                return self._restart(command, found)
            case Delete():
                self.delete([found.key])
                return Outcome.APPLIED
            case _:
                assert_never(command)

    def _pause(self, found: _Found) -> Outcome:
        if found.status not in {_S.RUNNING, _S.WAITING}:
            return Outcome.NOTHING
        if found.is_held:
            self._sql.run("set_status", key=found.key, status=_S.WAITING_FOR_PAUSE)
            self._note_one(found.key, FactKind.PAUSING)
        else:
            self._sql.run("pause_unheld", key=found.key)
            self._note_one(found.key, FactKind.PAUSED)
        return Outcome.APPLIED

    def _resume(self, found: _Found) -> Outcome:
        if found.status is _S.PAUSED:
            self._sql.run("resume_paused", key=found.key)
            self._note_resumed(found)
        elif found.status is _S.WAITING_FOR_PAUSE:
            self._sql.run("set_status", key=found.key, status=_S.RUNNING)
            self._note_one(found.key, FactKind.RUNNING)
        else:
            return Outcome.NOTHING
        return Outcome.APPLIED

    def _note_resumed(self, found: _Found) -> None:
        """Say that timers move by the pause that ends now."""
        paused_ms = self._now if found.paused_ms is None else found.paused_ms
        self._note_one(found.key, FactKind.RESUMED, due_ms=self._now - paused_ms)

    def _terminate(self, command: Terminate, found: _Found) -> Outcome:
        if found.status in TERMINAL:
            return Outcome.FINISHED
        if command.rollback and found.status is _S.ROLLING_BACK:
            return Outcome.NOTHING
        if command.rollback:
            self._sql.run("begin_rollback", key=found.key)
        else:
            self._sql.run("terminate", key=found.key)
            self._sql.run_rows("drop_events", [(found.key,)])
            self._note_one(found.key, FactKind.TERMINATED, detail=command.detail)
        return Outcome.APPLIED

    def _restart(self, command: Restart, found: _Found) -> Outcome:
        key, ordinal = found.key, 0
        if command.step is not None:
            ((first,),) = self._sql.run("step_ordinal", key=key, **step_columns(command.step))
            if first is None:
                return Outcome.NOT_FOUND
            ordinal = first
        if found.status is _S.PAUSED:
            self._note_resumed(found)
            self._write_facts()
        ((newest,),) = self._sql.run("newest_fact", key=key)
        self._sql.run("queue_again", key=key)
        self._sql.run("write_anew", key=key, ordinal=ordinal)
        # Only now, so that new ids are above all that this instance ever had.
        self._sql.run("drop_facts_until", key=key, newest=newest)
        self._sql.run("drop_chunks_from", key=key, ordinal=ordinal)
        if command.step is None:
            self._sql.run_rows("drop_events", [(key,)])
        self._sql.run("restart", key=key)
        return Outcome.APPLIED


def step_columns(step: StepKey) -> dict[str, Any]:
    """Give a step as the parameters of a query."""
    return {"step_kind": step.kind, "name": step.name, "count": step.count}
