"""Delay functions: how they may answer, and what happens when they do not."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from typing import Any

import pytest

from stepwell.model.limits import DELAY_FUNCTION_SECONDS_MAX
from tests.engine.support import Open, error_of, events_of, flow, on_disk


def retrying(delay: Any, calls: list[int] | None = None, *, failures: int = 1) -> Any:
    """Make a workflow whose step fails some times and asks this function for its delay."""

    async def run(event: Any, step: Any) -> Any:
        def work(ctx: Any) -> int:
            if calls is not None:
                calls.append(ctx.attempt)
            if ctx.attempt <= failures:
                raise ValueError(f"failure {ctx.attempt}")
            return int(ctx.attempt)

        retries = {"limit": 2, "delay": delay, "backoff": "constant"}
        return await step.do("work", {"retries": retries}, work)

    return run


async def delays_of(open_well: Open, delay: Any, *, failures: int = 1) -> list[int]:
    """Give the delays in the log of a step that succeeds in the end."""
    async with open_well([flow(retrying(delay, failures=failures))]) as well:
        instance = await well.workflow("Flow").create()
        assert failures + 1 == await instance.result(10)
        return [event.retry_delay_ms for event in await events_of(instance, "attempt_errored")]


@pytest.mark.parametrize(
    ("answer", "ms"), [(7, 7), (0, 0), ("7 ms", 7), (timedelta(milliseconds=7), 7), (6.6, 7)]
)
async def test_s126_a_sync_answer_is_used(open_well: Open, answer: Any, ms: int) -> None:
    """A sync function's answer is the delay: a number, a text or a timedelta."""
    assert [ms] == await delays_of(open_well, lambda _seen: answer)


async def test_s127_an_async_answer_is_awaited(open_well: Open) -> None:
    """An async function may wait for something before it answers; it is asked at each failure."""

    async def delay(seen: Any) -> str:
        await asyncio.sleep(0)
        return f"{seen.ctx.attempt + 2} ms"

    assert [3, 4] == await delays_of(open_well, delay, failures=2)


async def test_s127_a_future_is_awaited(open_well: Open) -> None:
    """A function may answer with a future or a task."""

    def delay(_seen: Any) -> Any:
        return asyncio.ensure_future(asyncio.sleep(0, 5))

    assert [5] == await delays_of(open_well, delay)


async def refusal(open_well: Open, delay: Any) -> str:
    """Give the error of an instance whose delay function fails after its first attempt."""
    calls: list[int] = []
    async with open_well([flow(retrying(delay, calls))]) as well:
        instance = await well.workflow("Flow").create()
        error = await error_of(instance)
        assert "NonRetryableDelayError" == error["name"]
        assert [1] == calls
        (failed,) = await events_of(instance, "step_errored")
        assert error == failed.error
        return error["message"]


async def test_s128_a_function_that_never_answers(
    open_well: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It fails the step after its five seconds, with a warning that names the step."""
    # The five seconds are no setting: nobody needs another number, except this test.
    monkeypatch.setattr("stepwell.engine.attempts.DELAY_FUNCTION_SECONDS_MAX", 0.02)

    async def delay(_seen: Any) -> None:
        await asyncio.Event().wait()

    message = await refusal(open_well, delay)

    assert 5 == DELAY_FUNCTION_SECONDS_MAX
    assert "work-1 gave no answer within 0.02 seconds" in message
    warnings = [r for r in caplog.records if "did not answer" in r.getMessage()]
    assert ["the delay function of step work-1 did not answer"] == [
        record.getMessage() for record in warnings
    ]


async def test_s129_to_s130_a_function_that_raises(open_well: Open) -> None:
    """Whether it raises at once or later, the step fails with what it raised."""

    def at_once(_seen: Any) -> None:
        raise KeyError("table")

    async def later(_seen: Any) -> None:
        await asyncio.sleep(0)
        raise KeyError("table")

    for delay in (at_once, later):
        assert "KeyError: 'table'" in await refusal(open_well, delay)


async def test_errors_that_look_like_the_engines_own(open_well: Open) -> None:
    """A function's own timeout or cancellation is what it raised, and no other failure."""

    async def times_out(_seen: Any) -> None:
        raise TimeoutError("the service is slow")

    async def cancels(_seen: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel("not needed")
        await future

    assert "TimeoutError: the service is slow" in await refusal(open_well, times_out)
    assert "raised CancelledError" in await refusal(open_well, cancels)


@on_disk
async def test_s131_a_function_that_the_process_does_not_wait_for(
    open_well: Open, caplog: pytest.LogCaptureFixture
) -> None:
    """If the engine stops meanwhile, the retry waits a second; only a debug note tells it."""
    caplog.set_level(logging.DEBUG, "stepwell.engine")
    is_asked = asyncio.Event()

    async def delay(_seen: Any) -> None:
        is_asked.set()
        await asyncio.Event().wait()

    async with open_well([flow(retrying(delay))], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await is_asked.wait()
    notes = [record for record in caplog.records if "delay function" in record.getMessage()]
    assert [logging.DEBUG] == [record.levelno for record in notes]

    async with open_well([flow(retrying(delay))], worker=False) as well:
        instance = await well.workflow("Flow").get("a")
        (failed,) = await events_of(instance, "attempt_errored")
        assert {"name": "ValueError", "message": "failure 1"} == failed.error
        assert [1, 1000] == [failed.attempt, failed.retry_delay_ms]


async def test_a_terminated_instance_is_not_asked_further(open_well: Open) -> None:
    """Terminating while the function runs ends the instance at once, as ever."""
    is_asked = asyncio.Event()

    async def delay(_seen: Any) -> None:
        is_asked.set()
        await asyncio.Event().wait()

    async with open_well([flow(retrying(delay))]) as well:
        instance = await well.workflow("Flow").create()
        await is_asked.wait()
        await instance.terminate()

        assert [] == await events_of(instance, "attempt_errored")
        assert "terminated" == (await instance.status()).status
