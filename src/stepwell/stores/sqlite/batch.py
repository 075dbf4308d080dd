"""Apply a batch of commands inside one transaction, with few statements.

Commands of one kind go together in one statement. That may change the order between commands, which
matters only where two of them touch the same instance; so the batch is cut into rounds: a command
goes into a later round than an earlier command about the same instance, unless both only append
facts. Nearly every batch is one round. Within a round:

    1  stale leases are found; their commands are SUPERSEDED and take no part
    2  consumed events, hibernations, finishes, creations, sent events: one statement per kind
    3  what is rare goes one by one
    4  all facts of the round: one statement
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stepwell.model.command import (
    Append,
    ClientCommand,
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
)
from stepwell.model.instance import TERMINAL, InstanceStatus
from stepwell.model.step import Fact, FactKind
from stepwell.stores.rows import fact_row

_APPLIED = Outcome.APPLIED
_S = InstanceStatus
_dumps = json.JSONEncoder(separators=(",", ":")).encode
Indexed = list[tuple[int, Any]]


@dataclass(slots=True)
class _Found:
    """What a client's command needs to know of its instance."""

    key: int
    status: InstanceStatus
    is_held: bool
    paused_ms: int | None


class Batch:
    """One batch in one open transaction."""

    def __init__(
        self, connection: sqlite3.Connection, queries: Mapping[str, str], now_ms: int
    ) -> None:
        self._connection = connection
        self._queries = queries
        self._now = now_ms
        self._facts: list[tuple[Any, ...]] = []

    def apply(self, commands: Sequence[Command]) -> list[Outcome]:
        """Do all commands; gives their outcomes."""
        outcomes: list[Outcome | None] = [None] * len(commands)
        found = self._find_refs(enumerate(commands))
        for number, members in enumerate(_rounds(commands, found)):
            pairs = [(index, commands[index]) for index in members]
            known = found if number == 0 else self._find_refs(pairs)
            self._round(pairs, known, outcomes)
        return [outcome if outcome is not None else _APPLIED for outcome in outcomes]

    def _round(
        self, pairs: Indexed, found: Mapping[int, _Found], outcomes: list[Outcome | None]
    ) -> None:
        groups: dict[type, Indexed] = {}
        for pair in self._drop_stale(pairs, outcomes):
            groups.setdefault(type(pair[1]), []).append(pair)
        for kind, members in groups.items():
            if kind is Append:
                self._append(members, outcomes)
            elif kind is Create:
                self._create(members, outcomes)
            elif kind is Finish:
                self._finish(members)
            elif kind is Hibernate:
                self._hibernate(members, outcomes)
            elif kind is SendEvent:
                self._send_events(members, found, outcomes)
            else:
                for index, command in members:
                    outcomes[index] = self._rare(command, found.get(index))
        self._write_facts()

    # ---- what every round does ---------------------------------------------------------------

    def _find_refs(self, pairs: Iterable[tuple[int, Command]]) -> dict[int, _Found]:
        wanted = [
            (index, command.ref) for index, command in pairs if isinstance(command, ClientCommand)
        ]
        if not wanted:
            return {}
        rows = self._many("find_refs", [ref for _, ref in wanted])
        return {
            wanted[position][0]: _Found(key, InstanceStatus(status), bool(is_held), paused_ms)
            for position, key, status, is_held, paused_ms in rows
        }

    def _drop_stale(self, pairs: Indexed, outcomes: list[Outcome | None]) -> Indexed:
        held = [pair for pair in pairs if not isinstance(pair[1], ClientCommand)]
        if not held:
            return pairs
        leases = [(c.lease.key, c.lease.epoch, c.lease.owner) for _, c in held]
        stale = {held[position][0] for (position,) in self._many("stale_leases", leases)}
        if not stale:
            return pairs
        for index in stale:
            outcomes[index] = Outcome.SUPERSEDED
        return [pair for pair in pairs if pair[0] not in stale]

    def _note(self, key: int, facts: Iterable[Fact]) -> None:
        self._facts.extend([fact_row(key, fact) for fact in facts])

    def _note_one(self, key: int, kind: FactKind, **more: Any) -> None:
        self._facts.append(fact_row(key, Fact(kind, self._now, **more)))

    def _write_facts(self) -> None:
        if self._facts:
            facts, self._facts = self._facts, []
            self._many("insert_facts", facts)

    def _many(self, name: str, rows: Sequence[Any]) -> list[Any]:
        parameters = {"rows": _dumps(rows), "now": self._now}
        return self._connection.execute(self._queries[name], parameters).fetchall()

    def _one(self, query: str, /, **parameters: Any) -> list[Any]:
        statement = self._queries[query]
        return self._connection.execute(statement, {"now": self._now, **parameters}).fetchall()

    # ---- frequent kinds, all of a round at once ----------------------------------------------

    def _append(self, members: Indexed, outcomes: list[Outcome | None]) -> None:
        consuming = [(c.consumed_event, c.lease.key) for _, c in members if c.consumed_event]
        taken = {id_ for (id_,) in self._many("take_events", consuming)} if consuming else set()
        facts = self._facts
        for index, command in members:
            if command.consumed_event is not None and command.consumed_event not in taken:
                outcomes[index] = Outcome.SUPERSEDED
                continue
            taken.discard(command.consumed_event)
            key = command.lease.key
            facts.extend([fact_row(key, fact) for fact in command.facts])

    def _create(self, members: Indexed, outcomes: list[Outcome | None]) -> None:
        rows = [
            (*c.ref, c.trigger.value, c.retention.success_ms, c.retention.error_ms)
            for _, c in members
        ]
        keys = {(workflow, id_): key for key, workflow, id_ in self._many("create_instances", rows)}
        for index, command in members:
            key = keys.pop(tuple(command.ref), None)
            if key is None:
                outcomes[index] = Outcome.EXISTS
            else:
                self._note_one(key, FactKind.QUEUED, payload=command.params, detail=command.detail)

    def _finish(self, members: Indexed) -> None:
        for _, command in members:
            self._note(command.lease.key, command.facts)
        self._many("finish_instances", [(c.lease.key, c.status.value) for _, c in members])
        self._many("drop_events", [(c.lease.key,) for _, c in members])

    def _hibernate(self, members: Indexed, outcomes: list[Outcome | None]) -> None:
        rows = [(c.lease.key, c.wake_ms, _dumps(c.event_types), c.events_seen) for _, c in members]
        rested = {key for (key,) in self._many("hibernate_instances", rows)}
        for index, command in members:
            self._note(command.lease.key, command.facts)
            if command.lease.key not in rested:
                outcomes[index] = Outcome.STAY

    def _send_events(
        self, members: Indexed, found: Mapping[int, _Found], outcomes: list[Outcome | None]
    ) -> None:
        sent: list[tuple[int, str, str]] = []
        for index, command in members:
            instance = found.get(index)
            if instance is None:
                outcomes[index] = Outcome.NOT_FOUND
            elif instance.status in TERMINAL:
                outcomes[index] = Outcome.FINISHED
            else:
                sent.append((instance.key, command.type, command.payload))
        if sent:
            self._many("add_events", sent)
            self._many("wake_for_events", sent)

    # ---- rare kinds, one by one --------------------------------------------------------------

    def _rare(self, command: Any, found: _Found | None) -> Outcome:
        match command:
            case SetStatus():
                self._one("set_status", key=command.lease.key, status=command.status.value)
                self._note(command.lease.key, command.facts)
            case EnterPause():
                return self._enter_pause(command)
            case Release():
                self._release(command)
            case PutChunk():
                self._put_chunk(command)
            case DropChunks():
                step = command.step
                self._one(
                    "drop_step_chunks",
                    key=command.lease.key,
                    step_kind=step.kind.value,
                    name=step.name,
                    count=step.count,
                )
            case _:
                return Outcome.NOT_FOUND if found is None else self._client(command, found)
        return _APPLIED

    def _enter_pause(self, command: EnterPause) -> Outcome:
        changed = self._connection.execute(
            self._queries["enter_pause"], {"key": command.lease.key, "now": self._now}
        ).rowcount
        if not changed:
            return Outcome.STAY
        self._note(command.lease.key, command.facts)
        return _APPLIED

    def _release(self, command: Release) -> None:
        self._note(command.lease.key, command.facts)
        self.release(command.lease.key)
        self._write_facts()

    def release(self, key: int) -> None:
        """Hand one instance back; one that was to pause is paused."""
        ((status,),) = self._one("release", key=key)
        if status == _S.PAUSED.value:
            self._note_one(key, FactKind.PAUSED)

    def _put_chunk(self, command: PutChunk) -> None:
        self._one(
            "put_chunk",
            key=command.lease.key,
            step_kind=command.step.kind.value,
            name=command.step.name,
            count=command.step.count,
            attempt=command.attempt,
            position=command.index,
            ordinal=command.ordinal,
            data=command.data,
        )

    def _client(self, command: Any, found: _Found) -> Outcome:
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
                self.delete(found.key)
                return _APPLIED
            case _:
                raise TypeError(f"no store knows the command {type(command).__name__}")

    def _pause(self, found: _Found) -> Outcome:
        if found.status not in {_S.RUNNING, _S.WAITING}:
            return Outcome.NOTHING
        if found.is_held:
            self._one("set_status", key=found.key, status=_S.WAITING_FOR_PAUSE.value)
            self._note_one(found.key, FactKind.PAUSING)
        else:
            self._one("pause_unheld", key=found.key)
            self._note_one(found.key, FactKind.PAUSED)
        return _APPLIED

    def _resume(self, found: _Found) -> Outcome:
        if found.status is _S.PAUSED:
            self._one("resume_paused", key=found.key)
            paused_ms = self._now if found.paused_ms is None else found.paused_ms
            self._note_one(found.key, FactKind.RESUMED, due_ms=self._now - paused_ms)
        elif found.status is _S.WAITING_FOR_PAUSE:
            self._one("set_status", key=found.key, status=_S.RUNNING.value)
            self._note_one(found.key, FactKind.RUNNING)
        else:
            return Outcome.NOTHING
        return _APPLIED

    def _terminate(self, command: Terminate, found: _Found) -> Outcome:
        if found.status in TERMINAL:
            return Outcome.FINISHED
        if command.rollback:
            self._one("begin_rollback", key=found.key)
        else:
            self._one("terminate", key=found.key)
            self._many("drop_events", [(found.key,)])
            self._note_one(found.key, FactKind.TERMINATED, detail=command.detail)
        return _APPLIED

    def _restart(self, command: Restart, found: _Found) -> Outcome:
        key, ordinal, kept = found.key, 0, []
        if command.step is not None:
            kind, name, count = command.step
            ((first,),) = self._one(
                "step_ordinal", key=key, step_kind=kind.value, name=name, count=count
            )
            if first is None:
                return Outcome.NOT_FOUND
            ordinal = first
            kept = self._one("facts_before", key=key, ordinal=ordinal)
        queued = self._one("first_queued", key=key)
        self._one("drop_facts", key=key)
        self._one("drop_chunks", key=key, ordinal=ordinal)
        self._one("restart", key=key)
        if command.step is None:
            self._many("drop_events", [(key,)])
        for payload, detail in queued:
            self._note_one(key, FactKind.QUEUED, payload=payload, detail=detail)
        self._facts.extend((key, *row) for row in kept)
        return _APPLIED

    def delete(self, key: int) -> None:
        """Remove an instance and all it stored."""
        self._one("drop_facts", key=key)
        self._one("drop_chunks", key=key, ordinal=0)
        self._many("drop_events", [(key,)])
        self._one("drop_instance", key=key)

    def note_paused(self, key: int) -> None:
        """Write that an instance was paused on behalf of a worker that is gone."""
        self._note_one(key, FactKind.PAUSED)

    def flush(self) -> None:
        """Write what the single operations have noted."""
        self._write_facts()


def _rounds(commands: Sequence[Command], found: Mapping[int, _Found]) -> list[list[int]]:
    """Cut a batch into rounds; gives the positions of each round's commands."""
    rounds: list[list[int]] = [[]]
    last: dict[Any, tuple[int, bool]] = {}
    for index, command in enumerate(commands):
        if isinstance(command, ClientCommand):
            instance = found.get(index)
            identity: Any = command.ref if instance is None else instance.key
        else:
            identity = command.lease.key
        is_append = type(command) is Append
        before = last.get(identity)
        number = 0
        if before is not None:
            number = before[0] if is_append and before[1] else before[0] + 1
        last[identity] = (number, is_append)
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(index)
    return rounds
