"""What a step is: its key, its configuration, and what one line of history says of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import NamedTuple


class StepKind(StrEnum):
    """The families of steps; a name counts separately in each."""

    DO = "do"
    SLEEP = "sleep"
    WAIT = "waitForEvent"
    ROLLBACK = "rollback"

    __hash__ = str.__hash__  # Enum's own runs in Python, at every lookup of a step's key


class StepKey(NamedTuple):
    """Which step: kind, name, and the number of this call among those of that name.

    A NamedTuple, not a dataclass: it is hashed at every step of every replay.
    """

    kind: StepKind
    name: str
    count: int  # type: ignore[assignment]  # hides tuple.count, which nobody asks of a key

    @property
    def label(self) -> str:
        """The step as people see it: `name-count`."""
        return f"{self.name}-{self.count}"


class Backoff(StrEnum):
    """How the wait grows from one retry to the next."""

    CONSTANT = "constant"
    LINEAR = "linear"
    EXPONENTIAL = "exponential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and how fast a failed step is tried again.

    `limit` counts retries: attempts = limit + 1. `delay` is kept as the author wrote it
    (milliseconds or text), for display; `delay_ms` is its value, None when a function decides
    ("[dynamic]").
    """

    limit: int = 5
    delay: int | float | str = 10_000
    delay_ms: int | None = 10_000
    backoff: Backoff = Backoff.EXPONENTIAL
    max_delay_ms: int | None = None
    jitter: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepConfig:
    """The whole configuration of a `do` step, merged over the defaults."""

    retries: Retries = Retries()
    timeout: int | float | str = "10 minutes"
    timeout_ms: int = 600_000
    is_sensitive: bool = False
    may_overlap: bool = False


DEFAULT_CONFIG = StepConfig()
DYNAMIC_DELAY = "[dynamic]"
REDACTED = "[REDACTED]"


class FactKind(IntEnum):
    """What one line of history records. The numbers are stored: never renumber, only add."""

    QUEUED = 1
    STARTED = 2
    RUNNING = 3
    WAITING = 4
    PAUSING = 5
    PAUSED = 6
    RESUMED = 7
    COMPLETED = 8
    ERRORED = 9
    TERMINATED = 10
    STEP_RAN = 20
    STEP_STARTED = 21
    ATTEMPT_STARTED = 22
    ATTEMPT_FAILED = 23
    STEP_COMPLETED = 24
    STEP_FAILED = 25
    STEP_CANCELLED = 26
    SLEEP_STARTED = 30
    SLEEP_COMPLETED = 31
    WAIT_STARTED = 40
    WAIT_COMPLETED = 41
    WAIT_TIMED_OUT = 42
    ROLLBACK_STARTED = 50
    ROLLBACK_COMPLETED = 51
    ROLLBACK_FAILED = 52


@dataclass(slots=True)
class Fact:
    """One line of an instance's history; the history is only appended to.

    One line may stand for several events of the log: STEP_RAN is a whole step that succeeded at
    once (step started, attempt started, attempt completed, step completed). `core.events` spells
    them out. A fact with `step.kind == ROLLBACK` is about the rollback of the step of that name.

    Not frozen: a frozen instance costs three times as much to make, and facts are made at every
    step. Nobody changes one.

    Attributes:
        kind: what happened.
        at_ms: when, epoch milliseconds.
        step: the step it is about; None for the instance itself.
        ordinal: number of the step in order of their start (from 1); the same in all facts
            of one step. Rollbacks run in descending order of it, a restart cuts by it.
        attempt: number of the attempt, from 1.
        began_ms: when the attempt began, for facts that end one.
        due_ms: when the sleep, the wait or the pause before the next attempt ends; for RESUMED,
            by how many milliseconds open timers move.
        payload: stored value (text of `core.payload`): params, result, output, event.
        detail: further facts as JSON text, e.g. error, config; see `core.events`.
        id: the store's growing number; 0 before it is stored.
    """

    kind: FactKind
    at_ms: int
    step: StepKey | None = None
    ordinal: int | None = None
    attempt: int | None = None
    began_ms: int | None = None
    due_ms: int | None = None
    payload: str | None = None
    detail: str | None = None
    id: int = 0
