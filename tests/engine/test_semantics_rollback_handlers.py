"""Rollback handlers: their forms, and what happens when one fails."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from stepwell import NonRetryableError, WorkflowFatalError
from tests.engine.support import Open, error_of, events_of, fast, flow, steps_of, types_of


def undone_by(handler: Any, **options: Any) -> Any:
    """Make a workflow with one step, which this handler undoes."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", lambda: 5, rollback=handler, **options)
        raise ValueError("trigger")

    return run


async def test_a18_a_handler_may_take_nothing(open_well: Open) -> None:
    """A handler without parameters is called without, be it sync, async or a method."""
    calls: list[str] = []

    async def later() -> None:
        await asyncio.sleep(0)
        calls.append("async")

    class Ledger:
        def undo(self) -> None:
            calls.append("method")

    async def run(event: Any, step: Any) -> None:
        for handler in (lambda: calls.append("sync"), later, Ledger().undo):
            await step.do("work", lambda: 5, rollback=handler)
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "trigger" == (await error_of(instance))["message"]
        assert ["method", "async", "sync"] == calls
        assert {"outcome": "complete", "error": None} == (await instance.status()).rollback


async def test_a17_forms_of_handlers_that_take_their_argument(open_well: Open) -> None:
    """A parameter with a default, `*args` and a builtin method get what a handler gets."""
    outputs: list[Any] = []

    async def run(event: Any, step: Any) -> None:
        def with_default(seen: Any = None) -> None:
            outputs.append(seen)

        def with_star(*seen: Any) -> None:
            outputs.extend(seen)

        for handler in (with_default, with_star, outputs.append):
            await step.do("work", lambda: 5, rollback=handler)
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        await error_of(await well.workflow("Flow").create())

        assert ["work-3", "work-2", "work-1"] == [seen.step_name for seen in outputs]
        assert [5, 5, 5] == [seen.output for seen in outputs]


def two(_first: Any, _second: Any) -> None:
    """Need two arguments."""


def keyword(_seen: Any, *, reason: str) -> None:
    """Need a keyword."""


def generator(_seen: Any) -> Iterator[int]:
    """Do nothing when called."""
    yield 1


async def async_generator(_seen: Any) -> AsyncIterator[int]:
    """Do nothing when called."""
    yield 1


@pytest.mark.parametrize(
    ("handler", "word"),
    [
        ("text", "is str"),
        (two, "the one argument"),
        (keyword, "the one argument"),
        (generator, "generator"),
        (async_generator, "generator"),
    ],
)
async def test_a18_unusable_handlers_are_refused_before_the_step(
    open_well: Open, handler: Any, word: str
) -> None:
    """What could not undo the step is refused, catchable, before the step runs."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("work", lambda: calls.append(1), rollback=handler)
        except WorkflowFatalError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        message = await instance.result(10)

        assert "the rollback of step work-1" in message
        assert word in message
        assert [] == calls
        assert [] == await instance.steps()


async def test_a_sync_handler_runs_in_a_thread(open_well: Open) -> None:
    """A sync handler may block: it runs beside the event loop, as a sync step does."""
    loop_thread, threads = threading.get_ident(), []

    async with open_well(
        [flow(undone_by(lambda _seen: threads.append(threading.get_ident())))]
    ) as (well):
        await error_of(await well.workflow("Flow").create())

        assert [True] == [thread != loop_thread for thread in threads]


async def test_e65_a_failing_handler_is_tried_again_by_its_config(open_well: Open) -> None:
    """A handler that fails once is tried again, and then the older steps are undone too."""
    calls: list[str] = []

    def flaky(seen: Any) -> None:
        calls.append(seen.step_name)
        if len(calls) == 1:
            raise OSError("busy")

    async def run(event: Any, step: Any) -> None:
        await step.do("a", lambda: 1, rollback=lambda seen: calls.append(seen.step_name))
        await step.do("b", lambda: 1, rollback=flaky, rollback_config=fast(1))
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "trigger" == (await error_of(instance))["message"]
        assert ["b-1", "b-1", "a-1"] == calls
        failed = await events_of(instance, "rollback_attempt_errored")
        assert [("b-1", 1, 1)] == [(e.step, e.attempt, e.retry_delay_ms) for e in failed]
        assert ["b-1", "a-1"] == await steps_of(instance, "rollback_step_completed")
        assert {"outcome": "complete", "error": None} == (await instance.status()).rollback


async def test_e66_a_handler_that_gives_up_ends_the_rollback(open_well: Open) -> None:
    """After its last attempt the rollback has failed: what it was, and how far it came."""
    calls: list[int] = []

    def broken(_seen: Any) -> None:
        calls.append(1)
        raise OSError(f"stuck {len(calls)}")

    async def run(event: Any, step: Any) -> None:
        for name in ("a", "b"):
            await step.do(name, lambda: 1, rollback=broken, rollback_config=fast(2))
        await step.do("c", lambda: 1, rollback=lambda: None)
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "trigger" == (await error_of(instance))["message"]
        assert 3 == len(calls)
        assert ["c-1", "b-1"] == await steps_of(instance, "rollback_step_started")
        assert ["b-1"] == await steps_of(instance, "rollback_step_errored")
        counts = [
            (event.total_steps, event.completed_steps)
            for event in await events_of(instance, "rollback_errored")
        ]
        assert [(3, 1)] == counts
        error = {"name": "OSError", "message": "stuck 3"}
        assert {"outcome": "failed", "error": error} == (await instance.status()).rollback


async def test_a_handler_that_must_not_be_retried(open_well: Open) -> None:
    """A NonRetryableError ends the handler after one attempt, whatever its config says."""
    calls: list[int] = []

    def refuse() -> None:
        calls.append(1)
        raise NonRetryableError("already shipped")

    async with open_well([flow(undone_by(refuse, rollback_config=fast(5)))]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        assert [1] == calls
        error = {"name": "NonRetryableError", "message": "already shipped"}
        assert {"outcome": "failed", "error": error} == (await instance.status()).rollback


async def test_a_handler_that_takes_too_long(open_well: Open) -> None:
    """The timeout of the rollback_config holds for each of the handler's attempts."""
    calls: list[int] = []

    async def slow(_seen: Any) -> None:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()

    async with open_well([flow(undone_by(slow, rollback_config=fast(1, timeout=30)))]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        failed = await events_of(instance, "rollback_attempt_errored")
        assert ["WorkflowTimeoutError"] == [event.error["name"] for event in failed]
        assert 2 == len(calls)
        assert {"outcome": "complete", "error": None} == (await instance.status()).rollback


async def test_e70_a_step_inside_a_handler_is_refused(open_well: Open) -> None:
    """A handler that calls a step fails with a fatal error, and that step never starts."""

    async def run(event: Any, step: Any) -> None:
        async def undo() -> None:
            await step.do("inner", lambda: 1)

        await step.do("work", lambda: 5, rollback=undo, rollback_config=fast(3))
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        state = await instance.status()
        assert "WorkflowFatalError" == state.rollback["error"]["name"]
        assert "inner-1" in state.rollback["error"]["message"]
        assert ["work-1"] == await steps_of(instance, "step_started")
        assert 1 == (await types_of(instance)).count("rollback_attempt_errored")
