"""The `step` object that `run(event, step)` gets: the author's side of every durable operation.

It only parses how it was called (three forms of `do`, keywords or dicts) and hands one `DoCall`
on to a `StepDriver`, which the engine implements. The decorator form with its dependencies lives in
`authoring.decorated`.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar, overload

from typing_extensions import Unpack

from stepwell.authoring.call import (
    Call,
    DoCall,
    Duration,
    ReceivedEvent,
    StepConfigDict,
    StepOptions,
)
from stepwell.authoring.decorated import DecoratedStep, StepRegistry
from stepwell.errors import WorkflowFatalError

T = TypeVar("T")


class StepDriver(Protocol):
    """What the engine does for a `WorkflowStep`."""

    def do(self, call: DoCall) -> Coroutine[Any, Any, Any]:
        """Run or replay a step."""

    def sleep(self, name: str, duration: Duration) -> Coroutine[Any, Any, None]:
        """Sleep for a duration."""

    def sleep_until(self, name: str, when: datetime | float | str) -> Coroutine[Any, Any, None]:
        """Sleep until a point in time."""

    def wait_for_event(
        self, name: str, event_type: str, timeout: Duration
    ) -> Coroutine[Any, Any, ReceivedEvent]:
        """Wait for an event."""


class WorkflowStep:
    """The durable operations of one run: do, sleep, sleep_until and wait_for_event.

    Each result is on disk before the next line of `run` goes on. When `run` is started again, after
    a long wait or a crash, a call that is on disk answers from there and does nothing. A call is
    recognised by its name, and by its number among the calls of that name (a loop may call one
    name many times); so a name must say the same thing in each run.
    """

    __slots__ = ("_driver", "_registry")

    def __init__(self, driver: StepDriver) -> None:
        self._driver = driver
        self._registry: StepRegistry | None = None

    @overload
    def do(
        self,
        name: str,
        callback: Callable[..., Awaitable[T]],
        /,
        **options: Unpack[StepOptions],
    ) -> Call[T]: ...
    @overload
    def do(
        self, name: str, callback: Callable[..., T], /, **options: Unpack[StepOptions]
    ) -> Call[T]: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict | None,
        callback: Callable[..., Awaitable[T]],
        /,
        **options: Unpack[StepOptions],
    ) -> Call[T]: ...
    @overload
    def do(
        self,
        name: str,
        config: StepConfigDict | None,
        callback: Callable[..., T],
        /,
        **options: Unpack[StepOptions],
    ) -> Call[T]: ...
    @overload
    def do(self, function: Callable[..., Awaitable[T]], /) -> Callable[[], Call[T]]: ...
    @overload
    def do(self, function: Callable[..., T], /) -> Callable[[], Call[T]]: ...
    @overload
    def do(
        self,
        name: str | None = None,
        config: StepConfigDict | None = None,
        *,
        depends: list[Any] | None = None,
        concurrent: bool = False,
        **options: Unpack[StepOptions],
    ) -> StepDecorator: ...

    def do(self, name: Any = None, config: Any = None, callback: Any = None, **options: Any) -> Any:
        """Run a callable once, durably; or decorate a function to be such a step.

        Forms:
            `await step.do("name", callable)`
            `await step.do("name", {"retries": …}, callable)`
            `@step.do`, or `@step.do("name", {…}, depends=[…])`, then `await function()`

        Args:
            name: of the step, at most 256 characters.
            config: `retries` (`limit`, `delay`, `backoff`, `max_delay`, `jitter`), `timeout`,
                `sensitive`, `overlap`; each also as a keyword.
            callback: sync or async; gets the `StepContext` if it has a parameter for it. An async
                iterator of bytes is stored in pieces and comes back as an async iterator.
            **options: the config's keys, `rollback`, `rollback_config`, and for the decorator
                `depends` and `concurrent`.

        Returns:
            What the callable returned, at once and at every replay.

        Raises:
            WorkflowFatalError: the step is declared wrongly.
            Exception: what the callable raised at its last attempt.
        """
        if callback is None and callable(config):
            config, callback = None, config
        if callback is None and (config is None or isinstance(config, Mapping)):
            return self._decorator(name, config, options)
        if not callable(callback):
            raise _no_callable(name, config, callback)
        if not options:
            return self._driver.do(DoCall(name, callback, config))
        return self._driver.do(_parse(name, callback, config, options))

    def _decorator(self, name: Any, config: Any, options: dict[str, Any]) -> Any:
        if inspect.isawaitable(name):
            raise _no_callable(None, None, name)
        if callable(name):  # @step.do without parentheses
            return self._registered(name, None, config, options)
        return StepDecorator(self, name, config, options)

    def _registered(
        self, function: Callable[..., Any], name: str | None, config: Any, options: dict[str, Any]
    ) -> DecoratedStep:
        options = dict(options)
        depends = options.pop("depends", None)
        is_concurrent = options.pop("concurrent", False)
        if name is None:
            name = getattr(function, "__name__", None)  # a partial has none, and is refused below
        call = _parse(name, function, config, options)
        registry = self._registry = self._registry or StepRegistry()
        decorated = DecoratedStep(
            call, self._driver.do, registry, depends=depends, is_concurrent=is_concurrent
        )
        registry.register(call.name, decorated)
        return decorated

    async def sleep(self, name: str, duration: Duration) -> None:
        """Sleep for `duration` (milliseconds, text such as "3 days", or a timedelta).

        The time of waking is fixed when the sleep is first reached. At most 365 days.
        """
        await self._driver.sleep(name, duration)

    async def sleep_until(self, name: str, when: datetime | float | str) -> None:
        """Sleep until `when` (datetime, epoch milliseconds, or ISO 8601 text); naive means UTC.

        Raises:
            ValueError: the time is already past when the step is first reached.
        """
        await self._driver.sleep_until(name, when)

    sleepUntil = sleep_until  # noqa: N815  (Cloudflare's spelling)

    async def wait_for_event(
        self, name: str, type: str, timeout: Duration = "24 hours"
    ) -> ReceivedEvent:
        """Wait for an event of this type sent to the instance; an early one counts.

        Raises:
            WorkflowTimeoutError: none came within `timeout` (1 second to 365 days).
        """
        return await self._driver.wait_for_event(name, type, timeout)

    waitForEvent = wait_for_event  # noqa: N815  (Cloudflare's spelling)


class StepDecorator:
    """What `step.do("name")` gives: call it with the function."""

    __slots__ = ("_config", "_name", "_options", "_step")

    def __init__(
        self, step: WorkflowStep, name: str | None, config: Any, options: dict[str, Any]
    ) -> None:
        self._step = step
        self._name = name
        self._config = config
        self._options = options

    def __await__(self) -> Any:
        """Refuse: a step without anything to call was awaited."""
        raise WorkflowFatalError(
            f"step.do({self._name!r}) has no callable; use step.do(name, callable), "
            "or decorate a function with it and await that function's call"
        )

    @overload
    def __call__(self, function: Callable[..., Awaitable[T]]) -> Callable[[], Call[T]]: ...
    @overload
    def __call__(self, function: Callable[..., T]) -> Callable[[], Call[T]]: ...

    def __call__(self, function: Any) -> Any:
        """Register the function under the step's name; nothing runs yet."""
        if not callable(function):
            raise WorkflowFatalError(
                f"step.do({self._name!r}) decorates a function, not {type(function).__name__}"
            )
        return self._step._registered(function, self._name, self._config, self._options)  # noqa: SLF001  (its own other half)


def _parse(name: Any, callback: Any, config: Any, options: dict[str, Any]) -> DoCall:
    rest = dict(options)
    rollback = rest.pop("rollback", None)
    rollback_config = rest.pop("rollback_config", None)
    return DoCall(name, callback, config, rest or None, rollback, rollback_config)


def _no_callable(name: Any, config: Any, callback: Any) -> WorkflowFatalError:
    """Make the error of something else in the place of the callable; says what was meant."""
    given = config if callback is None else callback
    kind, hint = type(given).__name__, "use step.do(name, callable) or a config before the callable"
    if inspect.iscoroutine(given):
        function = given.__name__
        given.close()  # else Python warns that nobody awaited it
        kind, hint = "a coroutine", f"pass the function itself, or lambda: {function}(…)"
    elif inspect.isawaitable(given):
        hint = "pass the function that makes it"
    elif callable(config):
        hint = "arguments go in a lambda or functools.partial"
    return WorkflowFatalError(f"step.do({name!r}) got {kind} where the callable belongs; {hint}")
