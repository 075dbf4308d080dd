"""Facts spelled out as the events of the log.

One fact may stand for several events: a step that succeeded at once is one fact and four events.
The words are those of Cloudflare Workflows' subscriptions, the details have snake_case keys.

Reading the log never fails: where a payload or a detail is damaged or unknown, the events show
what can be shown, because the log is where people look when something is broken.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from stepwell.core.config import public_config
from stepwell.core.payload import to_plain
from stepwell.core.tree import to_json
from stepwell.errors import WorkflowInternalError
from stepwell.model.step import DEFAULT_CONFIG, REDACTED, Fact, FactKind, StepKind

EVENTS_PER_FACT_MAX: Final = 8
UNREADABLE: Final = "[UNREADABLE]"

EVENT_TYPES: Final = (
    "workflow_queued", "workflow_started", "workflow_running", "workflow_waiting",
    "workflow_waiting_for_pause", "workflow_paused", "workflow_completed", "workflow_errored",
    "workflow_terminated",
    "step_started", "step_completed", "step_errored",
    "attempt_started", "attempt_completed", "attempt_errored",
    "sleep_started", "sleep_completed",
    "wait_started", "wait_completed", "wait_timed_out",
    "rollback_started", "rollback_step_started", "rollback_step_completed",
    "rollback_step_errored", "rollback_attempt_started", "rollback_attempt_completed",
    "rollback_attempt_errored", "rollback_completed", "rollback_errored",
)  # fmt: skip

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_KEYS: Final = ("id", "timestamp", "type", "step")

Detail = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEvent(Mapping[str, Any]):
    """One event of the log.

    Its own fields and its details are both attributes and keys: `event.attempt`,
    `event["attempt"]`.

    Attributes:
        id: grows from event to event of one instance; a cursor to go on from.
        timestamp: when it happened, with time zone UTC.
        type: one of `EVENT_TYPES`.
        step: `name-count` of the step it is about; None for the instance itself.
        details: what else there is to say, by type.
    """

    id: int
    timestamp: datetime
    type: str
    step: str | None = None
    details: Detail = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Give the event as one flat object of plain JSON types."""
        stamp = _stamp(self.timestamp)
        own = {"id": self.id, "timestamp": stamp, "type": self.type, "step": self.step}
        return {**self.details, **own}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "details" or name not in self.details:
            raise AttributeError(f"A {self.type} event has no {name!r}.")
        return self.details[name]

    def __getitem__(self, key: str) -> Any:
        return getattr(self, key) if key in _OWN_KEYS else self.details[key]

    def __iter__(self) -> Iterator[str]:
        yield from _OWN_KEYS
        yield from self.details

    def __len__(self) -> int:
        return len(_OWN_KEYS) + len(self.details)


def spell_out(fact: Fact, *, redact: bool = True) -> list[LogEvent]:
    """Give the events that a fact stands for, in order.

    Args:
        fact: as the store gave it.
        redact: show `[REDACTED]` in place of the outputs of sensitive steps.
    """
    spell = _SPELLINGS.get(fact.kind)
    if spell is None:
        return []
    detail = read_detail(fact.detail)
    if detail.get("logged") is False:
        return []
    log = _Log(fact, detail, redact=redact)
    spell(log)
    return log.events


def fact_before(cursor: int) -> int:
    """Give the id after which facts are to be read for all events with an id above `cursor`."""
    return max(cursor // EVENTS_PER_FACT_MAX - 1, 0)


def detail_text(**parts: object) -> str | None:
    """Write the detail of a fact, without parts that are None; None if no part is left."""
    known = {key: value for key, value in parts.items() if value is not None}
    if not known:
        return None
    return to_json(known)


def read_detail(text: str | None) -> Detail:
    """Read the detail of a fact; damaged text reads as empty."""
    if not text:
        return {}
    try:
        detail = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return detail if isinstance(detail, dict) else {}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A detail that is shown even if it is None."""

    worth: Any


class _Log:
    """Gathers the events of one fact."""

    __slots__ = ("_label", "detail", "events", "fact", "is_rollback", "redact")

    def __init__(self, fact: Fact, detail: Detail, *, redact: bool) -> None:
        self.fact = fact
        self.detail = detail
        self.redact = redact
        self.events: list[LogEvent] = []
        self._label = None if fact.step is None else fact.step.label
        self.is_rollback = fact.step is not None and fact.step.kind == StepKind.ROLLBACK

    def add(self, word: str, at_ms: int | None = None, /, **details: Any) -> None:
        """Add an event; at the fact's time if no other is given; details of None are left out."""
        self.events.append(
            LogEvent(
                id=self.fact.id * EVENTS_PER_FACT_MAX + len(self.events),
                timestamp=_time(self.fact.at_ms if at_ms is None else at_ms),
                type=word,
                step=self._label,
                details={
                    key: value.worth if isinstance(value, _Shown) else value
                    for key, value in details.items()
                    if value is not None
                },
            )
        )

    def add_of_step(self, word: str, at_ms: int | None = None, /, **details: Any) -> None:
        """Add an event of a step, or of its rollback."""
        self.add(f"rollback_{word}" if self.is_rollback else word, at_ms, **details)

    def payload(self) -> Any:
        """Show the fact's payload."""
        text = self.fact.payload
        if text is None:
            return None
        try:
            return to_plain(text)
        except WorkflowInternalError:
            return UNREADABLE

    def output(self) -> Any:
        """Show the output of the step: not if it is sensitive, and a stream by its beginning."""
        if self.redact and self.detail.get("sensitive"):
            return REDACTED
        stream = self.detail.get("stream")
        if isinstance(stream, dict):
            return stream.get("preview")
        return self.payload()

    def error(self) -> dict[str, str] | None:
        """Show the error: name and message."""
        error = self.detail.get("error")
        if not isinstance(error, dict):
            return None
        return {"name": str(error.get("name", "Error")), "message": str(error.get("message", ""))}

    def config(self) -> Any:
        """Show the step's configuration."""
        return self.detail.get("config") or public_config(DEFAULT_CONFIG)

    def has_rollback(self) -> bool | None:
        """Claim that the step has a rollback handler; None if it has none."""
        return True if self.detail.get("rollback") else None

    def stream_size(self) -> dict[str, Any] | None:
        """Show how long the stream is that the step returned; None if it returned none."""
        stream = self.detail.get("stream")
        if not isinstance(stream, dict):
            return None
        return {key: stream[key] for key in ("bytes", "chunks") if key in stream}


def _stamp(when: datetime) -> str:
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(ms: int) -> datetime:
    try:
        return _EPOCH + timedelta(milliseconds=ms)
    except (OverflowError, TypeError):  # a damaged row
        return _EPOCH


# ---- what each kind of fact stands for -------------------------------------------------------


def _plainly(word: str) -> Callable[[_Log], None]:
    def spell(log: _Log) -> None:
        log.add(word)

    return spell


def _queued(log: _Log) -> None:
    log.add("workflow_queued", params=log.payload(), trigger=log.detail.get("trigger"))


def _started(log: _Log) -> None:
    log.add("workflow_started", params=log.payload())


def _paused(log: _Log) -> None:
    detail = log.detail
    log.add("workflow_paused", unreached_steps=detail.get("unreached"), new_step=detail.get("new"))


def _resumed(log: _Log) -> None:
    log.add("workflow_queued", resumed=True)


def _completed(log: _Log) -> None:
    unreached = log.detail.get("unreached")
    log.add("workflow_completed", output=_Shown(log.output()), unreached_steps=unreached)


def _errored(log: _Log) -> None:
    log.add("workflow_errored", error=log.error(), rollback=log.detail.get("rollback_outcome"))


def _terminated(log: _Log) -> None:
    log.add(
        "workflow_terminated",
        trigger=log.detail.get("trigger"),
        rollback=log.detail.get("rollback_outcome"),
    )


def _step_ran(log: _Log) -> None:
    began_ms = log.fact.began_ms
    log.add_of_step("step_started", began_ms, config=log.config(), rollback=log.has_rollback())
    log.add_of_step("attempt_started", began_ms, attempt=log.fact.attempt)
    _step_completed(log)


def _step_started(log: _Log) -> None:
    log.add_of_step("step_started", None, config=log.config(), rollback=log.has_rollback())
    _attempt_started(log)


def _attempt_started(log: _Log) -> None:
    log.add_of_step("attempt_started", None, attempt=log.fact.attempt)


def _attempt_failed(log: _Log) -> None:
    fact = log.fact
    delay_ms = None if fact.due_ms is None else max(fact.due_ms - fact.at_ms, 0)
    log.add_of_step(
        "attempt_errored", None, attempt=fact.attempt, error=log.error(), retry_delay_ms=delay_ms
    )


def _step_completed(log: _Log) -> None:
    log.add_of_step("attempt_completed", None, attempt=log.fact.attempt)
    if log.is_rollback:  # what a rollback handler returns is not kept
        log.add_of_step("step_completed")
    else:
        log.add("step_completed", output=_Shown(log.output()), stream=log.stream_size())


def _step_failed(log: _Log) -> None:
    log.add_of_step("attempt_errored", None, attempt=log.fact.attempt, error=log.error())
    log.add_of_step("step_errored", None, error=log.error())


def _step_cancelled(log: _Log) -> None:
    if log.fact.attempt is not None:
        log.add_of_step("attempt_errored", None, attempt=log.fact.attempt, error=log.error())
    log.add_of_step("step_errored", None, error=log.error())


def _sleep_started(log: _Log) -> None:
    log.add("sleep_started", duration_ms=log.detail.get("duration_ms"))


def _wait_started(log: _Log) -> None:
    detail = log.detail
    log.add(
        "wait_started", event_type=detail.get("event_type"), timeout_ms=detail.get("timeout_ms")
    )


def _wait_completed(log: _Log) -> None:
    received_ms = log.fact.began_ms
    log.add(
        "wait_completed",
        event_type=log.detail.get("event_type"),
        payload=_Shown(log.payload()),
        event_timestamp=None if received_ms is None else _stamp(_time(received_ms)),
    )


def _wait_timed_out(log: _Log) -> None:
    log.add("wait_timed_out", error=log.error())


def _rollback_started(log: _Log) -> None:
    log.add("rollback_started", error=log.error(), total_steps=log.detail.get("total"))


def _rollback_ended(word: str) -> Callable[[_Log], None]:
    def spell(log: _Log) -> None:
        total, completed = log.detail.get("total"), log.detail.get("completed")
        log.add(word, total_steps=total, completed_steps=completed)

    return spell


_SPELLINGS: Final[dict[FactKind, Callable[[_Log], None]]] = {
    FactKind.QUEUED: _queued,
    FactKind.STARTED: _started,
    FactKind.RUNNING: _plainly("workflow_running"),
    FactKind.WAITING: _plainly("workflow_waiting"),
    FactKind.PAUSING: _plainly("workflow_waiting_for_pause"),
    FactKind.PAUSED: _paused,
    FactKind.RESUMED: _resumed,
    FactKind.COMPLETED: _completed,
    FactKind.ERRORED: _errored,
    FactKind.TERMINATED: _terminated,
    FactKind.STEP_RAN: _step_ran,
    FactKind.STEP_STARTED: _step_started,
    FactKind.ATTEMPT_STARTED: _attempt_started,
    FactKind.ATTEMPT_FAILED: _attempt_failed,
    FactKind.STEP_COMPLETED: _step_completed,
    FactKind.STEP_FAILED: _step_failed,
    FactKind.STEP_CANCELLED: _step_cancelled,
    FactKind.SLEEP_STARTED: _sleep_started,
    FactKind.SLEEP_COMPLETED: _plainly("sleep_completed"),
    FactKind.WAIT_STARTED: _wait_started,
    FactKind.WAIT_COMPLETED: _wait_completed,
    FactKind.WAIT_TIMED_OUT: _wait_timed_out,
    FactKind.ROLLBACK_STARTED: _rollback_started,
    FactKind.ROLLBACK_COMPLETED: _rollback_ended("rollback_completed"),
    FactKind.ROLLBACK_FAILED: _rollback_ended("rollback_errored"),
}
