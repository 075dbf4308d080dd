"""Call a step's callable once: async in the loop, sync in a thread, both within a time limit."""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import sys
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future
from types import CodeType, CoroutineType, FunctionType, MethodType, coroutine
from typing import Any, NamedTuple

from stepwell.authoring.call import DoCall, StepContext
from stepwell.engine.facts import is_failure
from stepwell.engine.threads import Threads
from stepwell.errors import StepError, WorkflowTimeoutError
from stepwell.model.duration import format_duration


class Shape(NamedTuple):
    """How a callable wants to be called; with how many positional arguments, at least and at most.

    One with keyword-only parameters that have no default needs more than anybody gives.
    """

    is_async: bool
    is_stream: bool
    takes_context: bool
    arguments_min: int
    arguments_max: int


def shape_of(callback: Callable[..., Any]) -> Shape:
    """Tell how a callable wants to be called; remembered by its code, which loops share."""
    function = callback.__func__ if type(callback) is MethodType else callback
    # Whatever else makes it special, such as a __signature__ or __wrapped__, is in its __dict__.
    if type(function) is not FunctionType or function.__dict__:
        return _inspect_shape(callback)
    known = (function.__code__, len(function.__defaults__ or ()), function is callback)
    shape = _SHAPES.get(known)
    if shape is None:
        if len(_SHAPES) >= _SHAPES_MAX:
            _SHAPES.clear()
        shape = _SHAPES[known] = _inspect_shape(callback)
    return shape


def _inspect_shape(callback: Callable[..., Any]) -> Shape:
    try:
        parameters = list(inspect.signature(callback).parameters.values())
    except (TypeError, ValueError):  # some builtins have no signature
        parameters = [_ANY]
    positional = [p for p in parameters if p.kind in _POSITIONAL]
    required = [p for p in positional if p.default is inspect.Parameter.empty]
    takes_context = bool(required) or any(p.name == "ctx" for p in positional)
    needs_more = any(p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters)
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    target: Any = callback
    while isinstance(target, functools.partial):
        target = target.func
    target = target if inspect.isroutine(target) else getattr(target, "__call__", target)  # noqa: B004  (to look at it, not to ask if it is there)
    if inspect.isfunction(target):
        target = inspect.unwrap(target)
    return Shape(
        inspect.iscoroutinefunction(target),
        inspect.isasyncgenfunction(target),
        takes_context,
        _MANY if needs_more else len(required),
        _MANY if takes_any else len(positional),
    )


_MANY = sys.maxsize
_ANY = inspect.Parameter("args", inspect.Parameter.VAR_POSITIONAL)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


_SHAPES: dict[tuple[CodeType, int, bool], Shape] = {}
_SHAPES_MAX = 4096


class FirstTurn:
    """The first turn of an async callable, taken before anything is set up for the step.

    Many callables end in it; they need neither timer nor thread nor attempt loop. One that goes on,
    or fails, is handed to the step's first attempt as it is.
    """

    __slots__ = ("_error", "_waits_for", "_work", "is_done", "value")

    def __init__(self, callback: Callable[..., Any], arguments: tuple[Any, ...] = ()) -> None:
        self._work: Any = None
        self._waits_for: Any = None
        self._error: BaseException | None = None
        self.is_done = False
        self.value: Any = None
        try:
            self._work = callback(*arguments)
            self._waits_for = self._work.send(None)
        except StopIteration as done:
            self.value, self.is_done = done.value, True
        except BaseException as error:
            if not is_failure(error) and not isinstance(error, asyncio.CancelledError):
                raise
            self._error = error  # to be raised by the first attempt

    def fail(self, error: Exception) -> None:
        """Make it a turn that raised this."""
        self._error, self.is_done = error, False

    async def go_on(self, label: str, timeout_ms: int) -> Any:
        """Give what the callable gives in the end, or raise what it raised."""
        if self._error is not None:
            raise self._error
        if self._waits_for is None and self._work.cr_frame is None:
            return self.value
        return await _timed(_resume(self._work, self._waits_for), label, timeout_ms)


class Callback:
    """One step's callable, and the threads of timed-out attempts that have not ended yet."""

    def __init__(self, call: DoCall, threads: Threads, first: FirstTurn | None = None) -> None:
        self._call = call
        self._first = first
        self._threads = threads
        self._lingering: Future[Any] | None = None
        self.began = 0.0  # by the event loop's clock, when the last call began
        self._shape = shape_of(call.callback)

    @property
    def wants_context(self) -> bool:
        """Claim that the callable has a place for the context."""
        return wants_context(self._call, self._shape)

    async def wait_lingering(self, label: str, timeout_ms: int) -> None:
        """Wait until the thread of an earlier attempt has ended: a thread cannot be cancelled.

        Raises:
            WorkflowTimeoutError: it has not within `timeout_ms`.
        """
        if self._lingering is None or self._lingering.done():
            return
        ended = asyncio.wrap_future(self._lingering)
        _, late = await asyncio.wait([ended], timeout=timeout_ms / 1000)
        if late:
            raise WorkflowTimeoutError(
                f"the thread of an earlier attempt of step {label} has not ended within the "
                f"timeout of {format_duration(timeout_ms)}, and no second one is started beside it"
            )

    async def run(self, context: StepContext | None, label: str, timeout_ms: int) -> Any:
        """Call it; an async iterator comes back as it is, not yet drained.

        Raises:
            WorkflowTimeoutError: it took longer than `timeout_ms`.
        """
        first, self._first = self._first, None
        self.began = asyncio.get_running_loop().time()
        if first is not None:
            return await first.go_on(label, timeout_ms)
        arguments = arguments_of(self._call, context)
        if self._shape.is_stream:
            return self._call.callback(*arguments)
        if self._shape.is_async:
            return await within(self._call.callback(*arguments), label, timeout_ms)
        run = contextvars.copy_context().run
        thread = await self._threads.start(timeout_ms, run, _call, self._call.callback, arguments)
        self.began = asyncio.get_running_loop().time()
        return await within(self._result_of(thread), label, timeout_ms)

    async def _result_of(self, thread: Future[Any]) -> Any:
        self._lingering = thread
        result = await asyncio.shield(asyncio.wrap_future(thread))
        return await result if inspect.isawaitable(result) else result  # a lambda may call async


def _call(callback: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """Call it in a thread; what cannot be raised through an await is turned into a StepError."""
    try:
        return callback(*arguments)
    except (StopIteration, GeneratorExit) as error:
        raise StepError(str(error), name=type(error).__name__) from error


def arguments_of(call: DoCall, context: StepContext | None) -> tuple[Any, ...]:
    """Give the arguments of a call: results of dependencies, and the context where it belongs."""
    if context is None:
        return call.arguments
    if call.context_index is None:
        return (*call.arguments, context)
    index = call.context_index
    return (*call.arguments[:index], context, *call.arguments[index:])


def wants_context(call: DoCall, shape: Shape) -> bool:
    """Claim that the callable has a place for the context."""
    return shape.takes_context if call.context_index is None else call.context_index >= 0


async def within(work: Awaitable[Any], label: str, timeout_ms: int) -> Any:
    """Await something, for at most `timeout_ms`; it is cancelled then."""
    if type(work) is CoroutineType:
        return await FirstTurn(lambda: work).go_on(label, timeout_ms)
    return await _timed(work, label, timeout_ms)


async def _timed(work: Awaitable[Any], label: str, timeout_ms: int) -> Any:
    try:
        async with asyncio.timeout(timeout_ms / 1000) as scope:
            return await work
    except TimeoutError as error:
        if scope.expired() and not isinstance(error, WorkflowTimeoutError):
            raise timed_out(label, timeout_ms) from None
        raise


@coroutine
def _resume(work: CoroutineType[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    """Go on with a coroutine that has had its first turn, as `await` would."""
    try:
        while True:
            try:
                sent = yield waits_for
            except GeneratorExit:
                work.close()
                raise
            except BaseException as error:  # noqa: BLE001  (what is thrown in is the coroutine's)
                waits_for = work.throw(error)
            else:
                waits_for = work.send(sent)
    except StopIteration as done:
        return done.value


def timed_out(label: str, timeout_ms: int) -> WorkflowTimeoutError:
    """Make the error of an attempt that took too long."""
    return WorkflowTimeoutError(
        f"an attempt of step {label} took longer than its timeout of {format_duration(timeout_ms)}"
    )
