"""Rows of SQL stores to and from model values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from stepwell.errors import HistoryTooNew
from stepwell.model.event import PendingEvent
from stepwell.model.instance import Instance, InstanceStatus, TriggerSource
from stepwell.model.step import Fact, FactKind, StepKey, StepKind

Row = Sequence[Any]
_FACT_KINDS = {int(kind): kind for kind in FactKind}
_STEP_KINDS = {str(kind): kind for kind in StepKind}
_STATUSES = {str(status): status for status in InstanceStatus}
_TRIGGERS = {str(trigger): trigger for trigger in TriggerSource}


def fact_row(key: int, fact: Fact) -> tuple[Any, ...]:
    """Give a fact as the columns of `facts` after its id.

    With plain values for enum members: a driver takes several times as long to bind a subclass.
    """
    step = fact.step
    if step is None:
        return (
            key, fact.kind._value_, fact.at_ms, None, None, None, fact.ordinal, fact.attempt,
            fact.began_ms, fact.due_ms, fact.payload, fact.detail,
        )  # fmt: skip
    return (
        key, fact.kind._value_, fact.at_ms, step[0]._value_, step[1], step[2], fact.ordinal,
        fact.attempt, fact.began_ms, fact.due_ms, fact.payload, fact.detail,
    )  # fmt: skip


def read_facts(rows: Iterable[Row]) -> list[Fact]:
    """Give facts from rows of (key, id, kind, at_ms, step_kind, …).

    Raises:
        HistoryTooNew: one is of a kind that this version does not know.
    """
    try:
        return _read_facts(rows)
    except KeyError as error:
        raise _too_new("a fact or step of kind", error.args[0]) from error


def _read_facts(rows: Iterable[Row]) -> list[Fact]:
    facts, kinds, steps = [], _FACT_KINDS, _STEP_KINDS
    for _, id_, kind, at, step, name, count, ordinal, attempt, began, due, payload, detail in rows:
        key = None if step is None else StepKey(steps[step], name, count)
        facts.append(Fact(kinds[kind], at, key, ordinal, attempt, began, due, payload, detail, id_))
    return facts


def read_event(row: Row) -> PendingEvent:
    """Give a pending event from a row of (key, id, type, payload, at_ms)."""
    return PendingEvent(id=row[1], type=row[2], payload=row[3], at_ms=row[4])


def read_status(word: str) -> InstanceStatus:
    """Give a status from its word.

    Raises:
        HistoryTooNew: this version does not know it.
    """
    status = _STATUSES.get(word)
    if status is None:
        raise _too_new("the status", word)
    return status


def read_instance(row: Row) -> Instance:
    """Give an instance from a row of its columns in the order of `Instance`'s fields.

    Raises:
        HistoryTooNew: its status or trigger is one that this version does not know.
    """
    key, workflow, id_, status, trigger, *rest = row
    if trigger not in _TRIGGERS:
        raise _too_new("the trigger", trigger)
    return Instance(key, workflow, id_, read_status(status), _TRIGGERS[trigger], *rest)


def _too_new(what: str, word: object) -> HistoryTooNew:
    return HistoryTooNew(
        f"the database has {what} {word!r}, which this Stepwell does not know; a newer one wrote "
        "it: upgrade this process"
    )
