"""Errors of steps: which are retried, how they arrive in `run`, and how they end an instance."""

from __future__ import annotations

import asyncio
from typing import Any

from stepwell import NonRetryableError, StepError, WorkflowFatalError
from tests.engine.support import (
    Open,
    error_of,
    events_of,
    fast,
    flow,
    on_disk,
    steps_of,
    types_of,
    until,
)


def failing(times: int, seen: list[int], error: type[Exception] = ValueError) -> Any:
    """Make a callable that fails some times, then gives the number of its attempt."""

    async def work(ctx: Any) -> int:
        seen.append(ctx.attempt)
        if ctx.attempt <= times:
            raise error(f"failure {ctx.attempt}")
        return int(ctx.attempt)

    return work


async def test_s002_non_retryable_keeps_name_and_message(open_well: Open) -> None:
    """Attempt failure and workflow failure carry the NonRetryableError's name and message."""

    async def run(event: Any, step: Any) -> None:
        def work() -> None:
            raise NonRetryableError("card was refused")

        await step.do("pay", work)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        expected = {"name": "NonRetryableError", "message": "card was refused"}

        assert expected == await error_of(instance)
        assert [expected] == [e.error for e in await events_of(instance, "attempt_errored")]
        assert [expected] == [e.error for e in await events_of(instance, "workflow_errored")]


class Refused(NonRetryableError):
    """A subclass that can be imported."""


async def test_e23_subclass_and_empty_message_are_non_retryable(open_well: Open) -> None:
    """A subclass of NonRetryableError is not retried either, nor one without a message."""

    async def run(event: Any, step: Any) -> str:
        for error in (Refused("no"), NonRetryableError()):

            def work(error: Exception = error) -> None:
                raise error

            try:
                await step.do("work", work)
            except NonRetryableError:
                pass
        return "went on"

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "went on" == await instance.result(10)
        assert 2 == len(await events_of(instance, "attempt_started"))


async def test_s003_limit_zero_caught(open_well: Open) -> None:
    """With limit 0 there is one attempt; caught, the workflow completes."""
    seen: list[int] = []

    async def run(event: Any, step: Any) -> str:
        try:
            await step.do("work", fast(0), failing(9, seen))
        except ValueError as error:
            return str(error)
        return "no error"

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "failure 1" == await instance.result(10)
        assert [1] == seen
        assert 1 == len(await events_of(instance, "attempt_errored"))
        assert ["work-1"] == await steps_of(instance, "step_errored")


async def test_s367_non_retryable_caught_by_class(open_well: Open) -> None:
    """A NonRetryableError can be caught as such in `run`, after one attempt."""
    seen: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("work", failing(9, seen, NonRetryableError))
        except NonRetryableError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        assert "failure 1" == await (await well.workflow("Flow").create()).result(10)
        assert [1] == seen


class PaymentRefused(Exception):
    """An importable error with an attribute."""

    def __init__(self, code: int) -> None:
        super().__init__(f"code {code}")
        self.code = code


async def test_s368_step_errors_keep_their_class(open_well: Open) -> None:
    """An importable error arrives as raised: class, message, attributes, notes and cause."""

    async def run(event: Any, step: Any) -> Any:
        def work() -> None:
            error = PaymentRefused(51)
            error.add_note("ask the bank")
            raise error from KeyError("account")

        try:
            await step.do("pay", fast(0), work)
        except PaymentRefused as error:
            seen = [str(error), error.code, error.__notes__, repr(error.__cause__)]
        await step.sleep("nap", 1)
        return seen

    async with open_well([flow(run)]) as well:
        expected = ["code 51", 51, ["ask the bank"], "KeyError('account')"]

        assert expected == await (await well.workflow("Flow").create()).result(10)


async def test_errors_that_cannot_be_imported_become_step_errors(open_well: Open) -> None:
    """An error of a class made inside a function arrives as StepError with its name."""

    async def run(event: Any, step: Any) -> Any:
        class Odd(Exception):
            pass

        def work() -> None:
            raise Odd("strange")

        try:
            await step.do("work", fast(0), work)
        except StepError as error:
            return [error.name, str(error)]

    async with open_well([flow(run)]) as well:
        assert ["Odd", "strange"] == await (await well.workflow("Flow").create()).result(10)


@on_disk
async def test_e13_e14_final_errors_are_stored(open_well: Open) -> None:
    """Replay raises a stored final error, NonRetryable or not, and runs no callable again."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        caught = []
        for name, error in (("a", ValueError("bad")), ("b", NonRetryableError("no use"))):

            def work(name: str = name, error: Exception = error) -> None:
                calls.append(name)
                raise error

            try:
                await step.do(name, fast(0), work)
            except (ValueError, NonRetryableError) as error_:
                caught.append(repr(error_))
        await step.wait_for_event("go", type="go")
        return caught

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "wait_started")
    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.send_event("go")

        expected = ["ValueError('bad')", "NonRetryableError('no use')"]
        assert expected == await instance.result(10)
        assert ["a", "b"] == calls


async def test_e29_uncaught_error_in_run_fails_the_instance(open_well: Open) -> None:
    """An error that leaves `run` is the instance's error; there is no output."""

    async def run(event: Any, step: Any) -> Any:
        raise LookupError("nothing there")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert {"name": "LookupError", "message": "nothing there"} == await error_of(instance)
        assert None is (await instance.status()).output
        assert "workflow_errored" == (await types_of(instance))[-1]


async def test_e30_a_failing_sibling_fails_the_workflow(open_well: Open) -> None:
    """When one of parallel steps fails uncaught the workflow fails; its siblings are cancelled."""
    cut: list[str] = []
    running = asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        async def slow() -> None:
            running.set()
            try:
                await asyncio.Event().wait()
            finally:
                cut.append("slow")

        async def bad() -> None:
            await running.wait()
            raise NonRetryableError("broken")

        await asyncio.gather(step.do("slow", slow), step.do("bad", bad))

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "broken" == error["message"]
        assert ["slow"] == cut


async def test_fatal_errors_are_catchable_in_run(open_well: Open) -> None:
    """A step declared wrongly raises WorkflowFatalError, which `run` may catch."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("work", {"retries": {"limit": 1}}, lambda: 1)
        except WorkflowFatalError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        message = await (await well.workflow("Flow").create()).result(10)

        assert "delay" in message
