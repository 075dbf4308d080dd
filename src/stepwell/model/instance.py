"""What an instance is, seen from outside: its status words, its row, and who holds it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class InstanceStatus(StrEnum):
    """Where an instance stands; the words are those of Cloudflare Workflows.

    Attributes:
        QUEUED: created, restarted or resumed; waits for a worker.
        RUNNING: a worker runs its code.
        WAITING: it sleeps, waits for an event, or for the next attempt of a step.
        WAITING_FOR_PAUSE: a pause was asked for; steps in flight end first.
        PAUSED: it stands still until somebody resumes it.
        ROLLING_BACK: its steps are being undone, before it ends as errored or terminated.
        COMPLETE: `run` has returned; its output is stored.
        ERRORED: `run` has raised an error, which is stored.
        TERMINATED: somebody has ended it.
    """

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    WAITING_FOR_PAUSE = "waitingForPause"
    PAUSED = "paused"
    ROLLING_BACK = "rollingBack"
    COMPLETE = "complete"
    ERRORED = "errored"
    TERMINATED = "terminated"

    @property
    def is_terminal(self) -> bool:
        """Claim that nothing will happen to the instance by itself any more."""
        return self in TERMINAL


TERMINAL = frozenset({InstanceStatus.COMPLETE, InstanceStatus.ERRORED, InstanceStatus.TERMINATED})

_S = InstanceStatus
_ANY = frozenset({_S.QUEUED, _S.TERMINATED})  # restart and terminate work from everywhere alive

# The allowed status moves, each of which occurs. `queued` is restart, or resume of a pause; what is
# waiting is not held, so it is paused at once. Delete removes the row.
MOVES: dict[InstanceStatus, frozenset[InstanceStatus]] = {
    _S.QUEUED: frozenset({_S.RUNNING, _S.ROLLING_BACK, _S.TERMINATED}),
    _S.RUNNING: _ANY
    | {_S.WAITING, _S.WAITING_FOR_PAUSE, _S.PAUSED, _S.ROLLING_BACK, _S.COMPLETE, _S.ERRORED},
    _S.WAITING: _ANY | {_S.RUNNING, _S.PAUSED, _S.ROLLING_BACK},
    _S.WAITING_FOR_PAUSE: _ANY | {_S.RUNNING, _S.PAUSED, _S.ROLLING_BACK, _S.COMPLETE, _S.ERRORED},
    _S.PAUSED: _ANY | {_S.ROLLING_BACK},
    _S.ROLLING_BACK: _ANY | {_S.ERRORED},
    _S.COMPLETE: frozenset({_S.QUEUED}),
    _S.ERRORED: frozenset({_S.QUEUED}),
    _S.TERMINATED: frozenset({_S.QUEUED}),
}


class TriggerSource(StrEnum):
    """What created an instance."""

    API = "api"
    BINDING = "binding"
    EVENT = "event"
    CRON = "cron"


class Ref(NamedTuple):
    """How people address an instance. A NamedTuple because it is a dictionary key everywhere."""

    workflow: str
    id: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Proof that one worker holds one run: every write of the run carries it.

    `key` is the store's own number of the instance (never used again after a delete), `epoch`
    grows with each claim and with each operator's verb that must shut the holder out.
    """

    key: int
    owner: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """How long a finished instance is kept, in milliseconds."""

    success_ms: int
    error_ms: int


@dataclass(slots=True)
class Instance:
    """The row of an instance: what moves, without payloads. Times are epoch milliseconds.

    Not frozen, for the reason that a `Fact` is not. Nobody changes one.
    """

    key: int
    workflow: str
    id: str
    status: InstanceStatus
    trigger: TriggerSource
    owner: str | None
    epoch: int
    ready_ms: int | None
    paused_ms: int | None
    crashes: int
    created_ms: int
    modified_ms: int
    started_ms: int | None
    ended_ms: int | None

    @property
    def ref(self) -> Ref:
        """The workflow's name and the instance's id."""
        return Ref(self.workflow, self.id)
