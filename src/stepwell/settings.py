"""The options of `open`: their types for callers, and one value that is known to be good."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, get_args

from stepwell.errors import InvalidRequest
from stepwell.model.limits import SETTING_COUNT_MAX, SETTING_SECONDS_MAX, Limits
from stepwell.ports.clock import Clock
from stepwell.ports.store import Store
from stepwell.worker.settings import WorkerSettings

Synchronous = Literal["full", "normal", "off", "extra"]


class Options(TypedDict, total=False):
    """What `open` takes beside the workflows; `Settings` says what each one does."""

    worker: bool
    synchronous: Synchronous
    busy_timeout_seconds: float
    lease_seconds: float
    max_running: int
    max_warm: int
    max_threads: int
    grace_seconds: float
    linger_seconds: float | None
    blocking_seconds: float | None
    maxima: Limits
    clock: Clock | None
    store: Store | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of `open`, each within its range.

    Attributes:
        worker: run the workflows here; False: only talk to the database.
        synchronous: "full": a committed step survives power loss; "normal": only a crash of the
            process; "off"; "extra": as SQLite defines it.
        busy_timeout_seconds: how long a write waits for another process's lock.
        lease_seconds: how long after its last sign of life a worker counts as dead.
        max_running: instances held at once.
        max_warm: resting runs kept in memory; 0 drops a run at every park.
        max_threads: for sync steps.
        grace_seconds: how long a graceful stop waits for steps in flight.
        linger_seconds: a park that ends within it stays claimed; 0: every park hibernates,
            None: none does.
        blocking_seconds: a warning names code that blocks the event loop for longer; None: off.
        maxima: of what may be stored and run.
        clock: for tests; None: the machine's.
        store: for tests; None: the one that the URL names.

    Raises:
        InvalidRequest: a value is none that the option can have.
    """

    worker: bool = True
    synchronous: Synchronous = "full"
    busy_timeout_seconds: float = 5.0
    lease_seconds: float = 10.0
    max_running: int = 1000
    max_warm: int = 1000
    max_threads: int = 32
    grace_seconds: float = 10.0
    linger_seconds: float | None = 1.0
    blocking_seconds: float | None = 1.0
    maxima: Limits = field(default_factory=Limits)
    clock: Clock | None = None
    store: Store | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.worker, bool):
            raise _refusal("worker", self.worker, "True or False")
        if self.synchronous not in get_args(Synchronous):
            raise _refusal("synchronous", self.synchronous, " or ".join(get_args(Synchronous)))
        if not isinstance(self.maxima, Limits):
            raise _refusal("maxima", self.maxima, "a stepwell.Limits")
        for name, allowed in _RANGES.items():
            allowed.check(name, getattr(self, name))

    @property
    def for_worker(self) -> WorkerSettings:
        """What the worker is told."""
        return WorkerSettings(
            lease_seconds=self.lease_seconds,
            max_running=self.max_running,
            max_warm=self.max_warm,
            grace_seconds=self.grace_seconds,
        )

    @property
    def linger_ms(self) -> int | None:
        """What runs are told: -1: every park hibernates; None: none does."""
        if self.linger_seconds is None:
            return None
        return round(self.linger_seconds * 1000) if self.linger_seconds > 0 else -1


def read_settings(options: Mapping[str, Any]) -> Settings:
    """Check the options that somebody gave.

    Raises:
        InvalidRequest: there is no such option, or a value is none that it can have.
    """
    unknown = sorted(set(options) - set(Options.__annotations__))
    if unknown:
        known = ", ".join(sorted(Options.__annotations__))
        raise InvalidRequest(f"stepwell.open has no option {', '.join(unknown)}; there are {known}")
    return Settings(**options)


@dataclass(frozen=True, slots=True)
class _Range:
    """Numbers that an option can have."""

    least: float
    is_whole: bool = False
    may_be_none: bool = False

    def check(self, name: str, value: Any) -> None:
        if value is None and self.may_be_none:
            return
        most = SETTING_COUNT_MAX if self.is_whole else SETTING_SECONDS_MAX
        is_number = isinstance(value, int if self.is_whole else int | float)
        # True is a number to Python, and NaN is on neither side of any.
        if isinstance(value, bool) or not (is_number and self.least <= value <= most):
            noun = "a whole number" if self.is_whole else "a number"
            rest = ", or None" if self.may_be_none else ""
            raise _refusal(name, value, f"{noun} from {self.least} to {most}{rest}")


_RANGES = {
    "busy_timeout_seconds": _Range(0),
    "lease_seconds": _Range(0.01),
    "max_running": _Range(1, is_whole=True),
    "max_warm": _Range(0, is_whole=True),
    "max_threads": _Range(1, is_whole=True),
    "grace_seconds": _Range(0),
    "linger_seconds": _Range(0, may_be_none=True),
    "blocking_seconds": _Range(0.001, may_be_none=True),
}


def _refusal(name: str, value: object, allowed: str) -> InvalidRequest:
    return InvalidRequest(f"{name} is {value!r:.80}; it must be {allowed}")
