"""How a callable wants to be called, whatever it is made of."""

from __future__ import annotations

import functools
import inspect
from typing import Any

import pytest

from stepwell.engine.callbacks import shape_of


class Thing:
    """A callable object, and its methods."""

    async def __call__(self, first: Any = None) -> Any:
        """Be called."""

    async def bound(self) -> None:
        """Take nothing."""

    async def bound_with(self, ctx: Any) -> None:
        """Take the context."""

    def plain(self) -> None:
        """Be sync."""


async def two(first: Any, second: Any) -> Any:
    """Take two."""


def sync(first: Any) -> Any:
    """Take one."""


async def stream(first: Any) -> Any:
    """Give bytes."""
    yield first


@pytest.mark.parametrize(
    ("callback", "is_async", "takes_context"),
    [
        (functools.partial(two, 1), True, True),
        (functools.partial(two, 1, 2), True, False),
        (functools.partial(functools.partial(two, 1), 2), True, False),
        (functools.partial(sync, 1), False, False),
        (functools.partial(Thing(), 1), True, False),
        (functools.partial(Thing().bound_with), True, True),
        (Thing(), True, False),
        (Thing().bound, True, False),
        (Thing().bound_with, True, True),
        (Thing().plain, False, False),
        (print, False, False),
    ],
)
def test_whether_it_is_async_and_takes_the_context(
    callback: Any, is_async: bool, takes_context: bool
) -> None:
    """Functions, methods, objects and partials of each."""
    shape = shape_of(callback)

    assert is_async is shape.is_async
    assert takes_context is shape.takes_context


def test_a_partial_of_a_stream_is_a_stream() -> None:
    """An async generator function with its arguments bound gives a stream."""
    assert shape_of(functools.partial(stream, b"")).is_stream


def test_a_signature_that_was_set_counts() -> None:
    """Functions that share their code may say that they take different things."""

    def made(signature: inspect.Signature | None) -> Any:
        async def inner(*arguments: Any) -> Any:
            return arguments

        if signature is not None:
            inner.__signature__ = signature  # type: ignore[attr-defined]
        return inner

    of_two, of_sync = map(inspect.signature, (two, sync))

    assert 0 == shape_of(made(None)).arguments_min
    assert 2 == shape_of(made(of_two)).arguments_min
    assert 1 == shape_of(made(of_sync)).arguments_min


def test_a_bound_method_is_looked_at_once() -> None:
    """Each access makes a new method object; its function's code is what is remembered."""
    assert shape_of(Thing().bound) is shape_of(Thing().bound)
    assert shape_of(Thing().bound) != shape_of(Thing.bound)
