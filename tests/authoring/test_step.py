"""How calls of `step.do` are read, and what is said of wrong ones."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import WorkflowFatalError, WorkflowStep
from stepwell.authoring.call import DoCall


class Driver:
    """Keeps what it is asked to do."""

    def __init__(self) -> None:
        self.calls: list[DoCall] = []

    async def do(self, call: DoCall) -> Any:
        """Keep it."""
        self.calls.append(call)


async def fetch(url: str) -> str:
    """Answer."""
    return url


def step() -> Any:
    """Give a step object that does nothing."""
    driver: Any = Driver()
    return WorkflowStep(driver)


async def test_a_coroutine_is_no_callable() -> None:
    """A call in the place of the function is named, and its coroutine is closed."""
    for call in (
        lambda: step().do("x", fetch("u")),
        lambda: step().do("x", {"timeout": 1}, fetch("u")),
        lambda: step().do(fetch("u")),
    ):
        with pytest.raises(WorkflowFatalError, match=r"got a coroutine .* lambda: fetch"):
            call()


async def test_other_awaitables_are_no_callables() -> None:
    """A future has begun already; it cannot be tried again."""
    future: Any = asyncio.get_running_loop().create_future()

    with pytest.raises(WorkflowFatalError, match=r"got Future .* the function that makes it"):
        step().do("x", future)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ((5,), r"step\.do\('x'\) got int where the callable belongs; use step\.do\(name,"),
        (("text",), "got str"),
        (({}, 5), "got int"),
        ((fetch, "url"), "got str .* arguments go in a lambda or functools.partial"),
    ],
)
def test_what_is_no_callable_is_named(given: tuple[Any, ...], problem: str) -> None:
    """The message says what came, and what to write."""
    with pytest.raises(WorkflowFatalError, match=problem):
        step().do("x", *given)
