"""Fold an instance's facts into what replay needs: one record for each step.

This is the whole of "replay by key lookup": the newest fact of a step says how far it is, and a
step call whose record is finished answers from it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from stepwell.core.events import read_detail
from stepwell.model.step import Fact, FactKind, StepKey, StepKind


class Progress(Enum):
    """How far a step is."""

    OPEN = "open"  # started; its last attempt may have been interrupted, or a wait is running
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"  # by the code around it, as it does again at a replay


@dataclass(slots=True)
class StepRecord:
    """What history says of one step.

    Attributes:
        ordinal: number of the step among all of the instance, in order of their start.
        progress: how far it is.
        attempts: number of the last attempt that is known to have started.
        is_attempt_open: that attempt has neither failed nor succeeded.
        due_ms: when a sleep, a wait, or the pause before the next attempt ends.
        payload: stored result, or the received event's payload.
        began_ms: for a finished wait, when the event was accepted.
        start_detail: detail text of the start (config, flags), None for all defaults.
        end_detail: detail text of the end (error, stream, event type).
        ended_by: id of the fact that ended it, for one that was more than a single fact.
        begun_by: id of its first fact.
    """

    ordinal: int
    progress: Progress = Progress.OPEN
    attempts: int = 0
    is_attempt_open: bool = False
    due_ms: int | None = None
    payload: str | None = None
    began_ms: int | None = None
    start_detail: str | None = None
    end_detail: str | None = None
    ended_by: int = 0
    begun_by: int = 0


@dataclass(slots=True)
class History:
    """An instance's past, folded.

    Attributes:
        records: the record of each step that has started.
        params: stored params.
        has_valid_params: whoever created the instance knew the workflow, and has validated them.
        is_started: the instance has begun before.
        rollback_detail: detail of ROLLBACK_STARTED, once rolling back has begun.
        last_ordinal: the highest ordinal given so far.
    """

    records: dict[StepKey, StepRecord] = field(default_factory=dict)
    params: str = "null"
    has_valid_params: bool = False
    is_started: bool = False
    rollback_detail: str | None = None
    last_ordinal: int = 0

    def next_ordinal(self) -> int:
        """Number a step that starts now."""
        self.last_ordinal += 1
        return self.last_ordinal


_START = frozenset({FactKind.STEP_STARTED, FactKind.SLEEP_STARTED, FactKind.WAIT_STARTED})
_DONE = frozenset({FactKind.STEP_COMPLETED, FactKind.SLEEP_COMPLETED, FactKind.WAIT_COMPLETED})
_FAILED = frozenset({FactKind.STEP_FAILED, FactKind.WAIT_TIMED_OUT})


def fold(facts: Iterable[Fact]) -> History:
    """Fold facts, in order of id, into a history."""
    history = History()
    records = history.records
    ran, done = FactKind.STEP_RAN, Progress.DONE
    for fact in facts:
        if fact.kind is ran:  # by far the most frequent fact
            records[fact.step] = StepRecord(  # type: ignore[index]  # a step fact has a step
                fact.ordinal or 0,
                done,
                fact.attempt or 1,
                False,  # noqa: FBT003  (positional: keywords double the time of a replay)
                None,
                fact.payload,
                None,
                fact.detail,
                fact.detail,
                fact.id,
                fact.id,
            )
        elif fact.step is None:
            _fold_instance(history, fact)
        else:
            _fold_step(records, fact.step, fact)
    history.last_ordinal = max((record.ordinal for record in records.values()), default=0)
    return history


def _fold_instance(history: History, fact: Fact) -> None:
    match fact.kind:
        case FactKind.QUEUED:
            history.params = fact.payload or "null"
            history.has_valid_params = read_detail(fact.detail).get("is_validated") is True
        case FactKind.STARTED:
            history.is_started = True
        case FactKind.RESUMED:
            _shift_timers(history.records.values(), fact.due_ms or 0)
        case FactKind.ROLLBACK_STARTED:
            history.rollback_detail = fact.detail
        case _:
            pass


def _shift_timers(records: Iterable[StepRecord], by_ms: int) -> None:
    """Move what was running when the instance was paused later by the length of the pause."""
    for record in records:
        if record.progress is Progress.OPEN and record.due_ms is not None:
            record.due_ms += by_ms


def _fold_step(records: dict[StepKey, StepRecord], key: StepKey, fact: Fact) -> None:
    record = records.get(key)
    if record is None:
        record = records[key] = StepRecord(fact.ordinal or 0, begun_by=fact.id)
    kind = fact.kind
    if kind in _START:
        record.start_detail = fact.detail
        record.due_ms = fact.due_ms
        record.attempts = fact.attempt or 0
        record.is_attempt_open = fact.attempt is not None
    elif kind is FactKind.ATTEMPT_STARTED:
        record.attempts = fact.attempt or record.attempts + 1
        record.is_attempt_open = True
        record.due_ms = None
    elif kind is FactKind.ATTEMPT_FAILED:
        record.attempts = fact.attempt or record.attempts
        record.is_attempt_open = False
        record.due_ms = fact.due_ms
    elif kind is FactKind.STEP_CANCELLED:
        record.progress = Progress.CANCELLED
        record.is_attempt_open = False
    elif kind in _DONE or kind in _FAILED:
        record.progress = Progress.DONE if kind in _DONE else Progress.FAILED
        record.attempts = fact.attempt or record.attempts
        record.is_attempt_open = False
        record.due_ms = None
        record.payload = fact.payload
        record.began_ms = fact.began_ms
        record.end_detail = fact.detail
        record.ended_by = fact.id


def rollback_key(key: StepKey) -> StepKey:
    """Give the key under which the rollback of a `do` step is recorded."""
    return StepKey(StepKind.ROLLBACK, key.name, key.count)
