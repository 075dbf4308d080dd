"""What passes between an author's call of a step and the engine: plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypedDict, TypeVar

from stepwell.errors import WorkflowFatalError

T = TypeVar("T")
Duration = int | float | str | timedelta
Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepName:
    """Name of a step and the how-manieth call of that name this is (from 1)."""

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


RollbackHandler = Callable[[RollbackInput[Any]], Any] | Callable[[], Any]


class StepOptions(TypedDict, total=False):
    """Options of `step.do`, as keywords; the first four may also stand in the config mapping."""

    retries: Mapping[str, Any]
    timeout: Duration
    sensitive: str | None
    overlap: bool
    rollback: RollbackHandler
    rollback_config: Config


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
    config: Config | None = None
    options: dict[str, Any] | None = None
    rollback: RollbackHandler | None = None
    rollback_config: Config | None = None
    arguments: tuple[Any, ...] = ()
    context_index: int | None = None


def needs_arguments(call: DoCall) -> WorkflowFatalError:
    """Make the error of a callable that cannot be called with what a step gives."""
    return WorkflowFatalError(
        f"the callable of step {call.name!r} needs more arguments than a step gives, which is "
        "the step context or nothing; bind them with a lambda or functools.partial"
    )
