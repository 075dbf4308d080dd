"""What passes between an author's call of a step and the engine: plain values."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, Literal, Required, TypedDict

from typing_extensions import TypeVar

from stepwell.errors import WorkflowFatalError

T = TypeVar("T", default=Any)
Duration = int | float | str | timedelta
# What a call of a step gives. Not Coroutine[Any, Any, T]: with an Any in it, mypy does not choose
# among the overloads of asyncio.gather. Not a subclass: checkers would miss a missing await.
Call = Coroutine[object, object, T]


class RetriesDict(TypedDict, total=False):
    """How often and how fast a failed step is tried again.

    Keys:
        limit: number of retries; attempts = limit + 1.
        delay: before the first retry, or a function that decides each delay.
        backoff: how the delay grows (default: exponential).
        max_delay: which no delay exceeds.
        jitter: share of each delay, from 0 to 1, that chance may take off.
    """

    limit: Required[int]
    delay: Required[Duration | Callable[[DelayInput], Any]]
    backoff: Literal["constant", "linear", "exponential"]
    max_delay: Duration | None
    jitter: float


class StepConfigDict(TypedDict, total=False):
    """The configuration of a step.

    Keys:
        retries: of failed attempts.
        timeout: of each attempt.
        sensitive: the output is not shown in logs.
        overlap: the next attempt need not wait for the thread of one that timed out.
    """

    retries: RetriesDict
    timeout: Duration
    sensitive: Literal["output"] | None
    overlap: bool


class RollbackConfigDict(TypedDict, total=False):
    """The configuration of a rollback handler."""

    retries: RetriesDict
    timeout: Duration


@dataclass(frozen=True, slots=True, kw_only=True)
class StepName:
    """Name of a step, and the number of this call among those of that name (from 1)."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepContext:
    """What a step's callable may ask for (its parameter `ctx`).

    Attributes:
        step: `.name` and `.count`.
        attempt: number of this attempt, from 1.
        config: the merged configuration, a copy; `delay` is absent when a function decides.
    """

    step: StepName
    attempt: int
    config: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DelayInput:
    """What a dynamic delay function gets: the failed attempt's context, and its error."""

    ctx: StepContext
    error: Exception


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackInput(Generic[T]):
    """What a rollback handler gets.

    Attributes:
        ctx: context of the forward step (its last attempt's number).
        error: what triggered the rollback.
        output: the forward step's result; None if it failed or was interrupted.
    """

    ctx: StepContext
    error: Exception
    output: T | None

    @property
    def step_name(self) -> str:
        """Give `name-count` of the forward step."""
        return f"{self.ctx.step.name}-{self.ctx.step.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """An event that a `wait_for_event` received.

    Attributes:
        payload: what the sender gave.
        timestamp: when it was accepted (UTC).
        type: the event's type.
    """

    payload: Any
    timestamp: datetime
    type: str

    def __getitem__(self, name: str) -> Any:
        """Answer item access, as Cloudflare's Python events do."""
        if name in {"payload", "timestamp", "type"}:
            return getattr(self, name)
        raise KeyError(name)


# Not typed by the step's result: mypy would then take what a lambda leaves open for the result.
RollbackHandler = Callable[[RollbackInput[Any]], Any] | Callable[[], Any]


class StepOptions(TypedDict, total=False):
    """Options of `step.do`, as keywords; the first four may also stand in the config mapping."""

    retries: RetriesDict | None
    timeout: Duration | None
    sensitive: Literal["output"] | None
    overlap: bool | None
    rollback: RollbackHandler | None
    rollback_config: RollbackConfigDict | None


@dataclass(slots=True)
class DoCall:
    """One call of `step.do`, parsed.

    Attributes:
        name: as given.
        callback: what to run; `arguments` come first, then the context where it asks for it.
        config: mapping as given, or None.
        options: keywords as given (without rollback and rollback_config), or None.
        rollback: handler, or None.
        rollback_config: mapping, or None.
        arguments: results of dependencies (decorator form), else empty.
        context_index: where in the arguments the context goes; None: the callback's signature
            decides; -1: nowhere.
    """

    name: str
    callback: Callable[..., Any]
    config: StepConfigDict | None = None
    options: dict[str, Any] | None = None
    rollback: RollbackHandler | None = None
    rollback_config: RollbackConfigDict | None = None
    arguments: tuple[Any, ...] = ()
    context_index: int | None = None


def needs_arguments(call: DoCall) -> WorkflowFatalError:
    """Make the error of a callable that cannot be called with what a step gives."""
    return WorkflowFatalError(
        f"the callable of step {call.name!r} needs more arguments than a step gives, which is "
        "the step context or nothing; bind them with a lambda or functools.partial"
    )
