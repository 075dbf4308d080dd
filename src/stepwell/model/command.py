"""Commands: every write that Stepwell asks of a store, as a frozen value, and what became of it.

A store applies a batch of them as one transaction and answers each with an `Outcome`; one refused
command never harms another of its batch. Commands of a run carry its `Lease`: where the instance
has another owner or epoch by now the outcome is SUPERSEDED and nothing is stored. Commands of
clients carry a `Ref`. Time is never asked by a store: `apply` gets `now_ms`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple, get_args

from stepwell.model.instance import InstanceStatus, Lease, Ref, Retention, TriggerSource
from stepwell.model.step import Fact, StepKey


class Outcome(Enum):
    """What became of a command."""

    APPLIED = "applied"
    SUPERSEDED = "superseded"  # a run's write: the lease is no longer good
    STAY = "stay"  # Hibernate: an event came meanwhile, or a pause; the run stays claimed
    EXISTS = "exists"  # Create: the id is taken
    NOT_FOUND = "not found"  # no such instance; Restart with a step: no such step
    FINISHED = "finished"  # the instance has ended, and the verb makes no sense then
    NOTHING = "nothing"  # allowed, and there was nothing to do


# ---- by clients ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Create:
    """A new instance: status queued, ready now, first fact QUEUED with `params` as payload.

    Outcome: APPLIED or EXISTS.
    """

    ref: Ref
    params: str
    trigger: TriggerSource
    retention: Retention
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SendEvent:
    """Buffer an event; if the instance waits unclaimed for that type, make it ready now.

    Outcome: APPLIED, NOT_FOUND, FINISHED.
    """

    ref: Ref
    type: str
    payload: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """Ask for a pause.

    Held by a worker and running/waiting: status waitingForPause with fact PAUSING (the worker
    pauses when its steps in flight have ended). Not held and running/waiting: paused at once,
    fact PAUSED, paused_ms = now, ready_ms = None, epoch + 1. Else NOTHING (also when finished).
    """

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Resume:
    """End a pause.

    paused: queued, ready now, epoch + 1, fact RESUMED with due_ms = now - paused_ms (what open
    timers move by). waitingForPause: running, fact RUNNING; the holder is told by `signals`.
    Else NOTHING.
    """

    ref: Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class Terminate:
    """End an instance from outside.

    Finished already: FINISHED. Else the holder is shut out (owner None, epoch + 1) and:
    without `rollback`: terminated now, with fact TERMINATED (`detail`), pending events deleted,
    expiry set by the error retention. With `rollback`: status rollingBack, ready now: a worker
    claims it, runs the rollback handlers and ends it as terminated. With `rollback` while it is
    rolling back already: NOTHING, so that no handler is cut off and run again.
    """

    ref: Ref
    rollback: bool = False
    detail: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """Run again from the top, or from one step.

    From any status: the holder is shut out (owner None, epoch + 1), status queued, ready now,
    started_ms, ended_ms, expiry and paused_ms None, crashes 0; pending events deleted.
    Without `step`: every fact and chunk goes, except that a QUEUED fact is written anew (params
    and detail of the first one kept).
    With `step`: NOT_FOUND and nothing changes if no fact of that step exists. Else facts and
    chunks with an ordinal >= the step's go, and facts without ordinal except a QUEUED one (written
    anew, as above, but kept first: it has the smallest id) and each RESUMED after a kept fact that
    has a due_ms, which it moved; a paused instance counts as resumed now. Pending events stay.
    What is kept is written anew, with new ids, so a reader that follows the log sees it all again.
    """

    ref: Ref
    step: StepKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove an instance and all it stored, in any status; its holder is shut out by that.

    Outcome: APPLIED or NOT_FOUND.
    """

    ref: Ref


# ---- by the run that holds the lease ---------------------------------------------------------


class Append(NamedTuple):
    """Add facts to the history; with `consumed_event`, also delete that pending event.

    All of it or nothing: if the event is gone already, the outcome is SUPERSEDED. (A NamedTuple,
    since one is made at every step, and a frozen dataclass takes three times as long to make.)
    """

    lease: Lease
    facts: tuple[Fact, ...]
    consumed_event: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hibernate:
    """Give the lease back until `wake_ms`, or until an event of one of `event_types` comes.

    Applied only if the status is running (or rollingBack/waiting) and no pending event has an id
    above `events_seen`; else STAY, and the facts of the command are stored all the same.
    Applied: owner None, status waiting (a rollingBack instance keeps its status), ready_ms =
    wake_ms, crashes = 0.
    """

    lease: Lease
    facts: tuple[Fact, ...]
    wake_ms: int | None
    event_types: tuple[str, ...] = ()
    events_seen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SetStatus:
    """Record a status that the run reached and keeps its lease in.

    One of running, rollingBack, waitingForPause.
    """

    lease: Lease
    status: InstanceStatus
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EnterPause:
    """The run's steps in flight have ended: status paused, paused_ms = now, lease given back.

    Applied only while the status is waitingForPause; if a Resume came first: STAY (the facts are
    not stored then).
    """

    lease: Lease
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Finish:
    """The end: a terminal status, lease given back, ended_ms = now, expiry by retention class.

    complete uses the success retention, errored and terminated the error retention. Pending
    events are deleted.
    """

    lease: Lease
    status: InstanceStatus
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """Hand a run back unfinished (graceful shutdown): owner None, ready now.

    A waitingForPause instance becomes paused instead (nothing is in flight any more).
    """

    lease: Lease
    facts: tuple[Fact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """Make an instance ready now that rests since this lease was given back.

    Applied only while it is waiting, unheld, and at the lease's epoch: nobody has touched it. Else
    SUPERSEDED.
    """

    lease: Lease


@dataclass(frozen=True, slots=True, kw_only=True)
class PutChunk:
    """Store one piece of a byte stream that a step returned."""

    lease: Lease
    step: StepKey
    ordinal: int
    attempt: int
    index: int
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DropChunks:
    """Remove the pieces of a step's stream: what a failed or crashed attempt left."""

    lease: Lease
    step: StepKey


ClientCommand = Create | SendEvent | Pause | Resume | Terminate | Restart | Delete
# A good lease is what makes them valid; `Wake` asks for one that has just been given back.
HolderCommand = (
    Append | Hibernate | SetStatus | EnterPause | Finish | Release | PutChunk | DropChunks
)
RunCommand = HolderCommand | Wake
Command = ClientCommand | RunCommand

# By type: asking a union about each of a thousand commands takes as long as storing them.
CLIENT_COMMANDS: frozenset[type] = frozenset(get_args(ClientCommand))


def size_of(command: Command) -> int:
    """Estimate how many bytes a command stores."""
    size = _BYTES_OF_ANY
    if isinstance(command, (Append, Finish)):
        for fact in command.facts:
            if isinstance(fact.payload, str):
                size += len(fact.payload)
    elif isinstance(command, Create):
        size += len(command.params)
    elif isinstance(command, SendEvent):
        size += len(command.payload)
    elif isinstance(command, PutChunk):
        size += len(command.data)
    return size


_BYTES_OF_ANY = 256
