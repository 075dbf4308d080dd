"""Call a step's callable once: async in the loop, sync in a thread, both within a time limit."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Awaitable, Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from types import CodeType, CoroutineType, FunctionType, coroutine
from typing import Any, NamedTuple

from stepwell.authoring.call import DoCall, StepContext
from stepwell.errors import WorkflowTimeoutError
from stepwell.model.duration import format_duration


class Shape(NamedTuple):
    """How a callable wants to be called."""

    is_async: bool
    is_stream: bool
    takes_context: bool


def shape_of(callback: Callable[..., Any]) -> Shape:
    """Tell how a callable wants to be called; remembered by its code, which loops share."""
    if type(callback) is not FunctionType or hasattr(callback, "__wrapped__"):
        return _inspect_shape(callback)
    known = (callback.__code__, len(callback.__defaults__ or ()))
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
        parameters = []
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    takes_context = any(
        p.kind in positional and (p.default is inspect.Parameter.empty or p.name == "ctx")
        for p in parameters
    )
    target = callback if inspect.isroutine(callback) else getattr(callback, "__call__", callback)  # noqa: B004  (to look at it, not to ask if it is there)
    if inspect.isfunction(target):
        target = inspect.unwrap(target)
    target = getattr(target, "func", target)  # functools.partial
    return Shape(
        inspect.iscoroutinefunction(target), inspect.isasyncgenfunction(target), takes_context
    )


_SHAPES: dict[tuple[CodeType, int], Shape] = {}
_SHAPES_MAX = 4096


class Callback:
    """One step's callable, and the threads of timed-out attempts that have not ended yet."""

    def __init__(self, call: DoCall, threads: ThreadPoolExecutor) -> None:
        self._call = call
        self._threads = threads
        self._lingering: Future[Any] | None = None
        self._shape = shape_of(call.callback)

    @property
    def wants_context(self) -> bool:
        """Claim that the callable has a place for the context."""
        index = self._call.context_index
        return self._shape.takes_context if index is None else index >= 0

    async def wait_lingering(self) -> None:
        """Wait until the thread of an earlier attempt has ended: a thread cannot be cancelled."""
        if self._lingering is not None:
            await asyncio.wait([asyncio.wrap_future(self._lingering)])
            self._lingering = None

    async def run(self, context: StepContext | None, label: str, timeout_ms: int) -> Any:
        """Call it; an async iterator comes back as it is, not yet drained.

        Raises:
            WorkflowTimeoutError: it took longer than `timeout_ms`.
        """
        arguments = self._arguments(context)
        if self._shape.is_stream:
            return self._call.callback(*arguments)
        if self._shape.is_async:
            return await within(self._call.callback(*arguments), label, timeout_ms)
        result = await within(self._in_thread(arguments), label, timeout_ms)
        if inspect.isawaitable(result):  # e.g. a lambda that calls an async function
            return await within(result, label, timeout_ms)
        return result

    def _arguments(self, context: StepContext | None) -> tuple[Any, ...]:
        call = self._call
        if context is None:
            return call.arguments
        if call.context_index is None:
            return (*call.arguments, context)
        index = call.context_index
        return (*call.arguments[:index], context, *call.arguments[index:])

    async def _in_thread(self, arguments: tuple[Any, ...]) -> Any:
        run = contextvars.copy_context().run
        thread = self._threads.submit(run, self._call.callback, *arguments)
        self._lingering = thread
        try:
            result = await asyncio.shield(asyncio.wrap_future(thread))
        except asyncio.CancelledError:
            thread.cancel()  # it may not have begun
            raise
        except BaseException:
            self._lingering = None
            raise
        self._lingering = None
        return result


async def within(work: Awaitable[Any], label: str, timeout_ms: int) -> Any:
    """Await something, for at most `timeout_ms`; it is cancelled then.

    A coroutine gets its first turn at once: many finish in it, and need no timer.
    """
    if type(work) is CoroutineType:
        try:
            waits_for = work.send(None)
        except StopIteration as done:
            return done.value
        work = _resume(work, waits_for)
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
