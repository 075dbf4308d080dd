"""Attempts: how often a step is tried, and after which waits."""

from __future__ import annotations

import asyncio
from typing import Any

from stepwell import WorkflowTimeoutError
from stepwell.errors import NonRetryableDelayError
from tests.engine.support import (
    Open,
    error_of,
    events_of,
    fast,
    flow,
    on_disk,
    until_step,
)


def failing(times: int, seen: list[int], error: type[Exception] = ValueError) -> Any:
    """Make a callable that fails some times, then gives the number of its attempt."""

    async def work(ctx: Any) -> int:
        seen.append(ctx.attempt)
        if ctx.attempt <= times:
            raise error(f"failure {ctx.attempt}")
        return int(ctx.attempt)

    return work


async def test_s004_dynamic_delay_is_logged(open_well: Open) -> None:
    """A delay function's answer is the retry delay in the log; then the workflow succeeds."""
    asked: list[tuple[int, str]] = []

    def delay(seen: Any) -> int:
        asked.append((seen.ctx.attempt, str(seen.error)))
        return 15

    async def run(event: Any, step: Any) -> Any:
        config = {"retries": {"limit": 2, "delay": delay, "backoff": "constant"}}
        return await step.do("work", config, failing(1, []))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert 2 == await instance.result(10)
        assert [15] == [e.retry_delay_ms for e in await events_of(instance, "attempt_errored")]
        assert [(1, "failure 1")] == asked


async def test_a27_dynamic_delay_is_multiplied_by_the_backoff(open_well: Open) -> None:
    """An async delay function's answer, also as text, is multiplied by the backoff's factor."""

    async def delay(_seen: Any) -> str:
        return "2 ms"

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", {"retries": {"limit": 3, "delay": delay}}, failing(3, []))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert 4 == await instance.result(10)
        waits = [e.retry_delay_ms for e in await events_of(instance, "attempt_errored")]
        assert [2, 4, 8] == waits


async def test_s005_delay_function_that_raises(open_well: Open) -> None:
    """A delay function that raises ends the step after that attempt, and says why."""
    seen: list[int] = []

    def delay(_seen: Any) -> int:
        raise RuntimeError("table is missing")

    async def run(event: Any, step: Any) -> Any:
        await step.do("work", {"retries": {"limit": 5, "delay": delay}}, failing(9, seen))

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert [1] == seen
        assert "NonRetryableDelayError" == error["name"]
        assert "NonRetryableDelayError" in error["message"]
        assert "table is missing" in error["message"]


async def test_a29_unusable_answers_of_a_delay_function(open_well: Open) -> None:
    """An answer that is no finite, positive duration ends the step; `run` can catch it."""
    answers = [-1, float("inf"), "soon", None, "5 fortnights", True]
    attempts: list[int] = []

    async def run(event: Any, step: Any) -> list[str]:
        caught = []
        for answer in answers:
            config = {"retries": {"limit": 3, "delay": lambda _seen, answer=answer: answer}}
            try:
                await step.do("work", config, failing(9, attempts))
            except NonRetryableDelayError as error:
                caught.append(type(error).__name__)
        return caught

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert ["NonRetryableDelayError"] * len(answers) == await instance.result(10)
        assert [1] * len(answers) == attempts


@on_disk
async def test_a31_delay_function_gone_from_the_code_means_a_second(open_well: Open) -> None:
    """A stored dynamic delay whose function is gone from the code counts as 1,000 ms."""
    began = asyncio.Event()

    def first(event: Any, step: Any) -> Any:
        async def work() -> None:
            began.set()
            await asyncio.Event().wait()

        config = {"retries": {"limit": 2, "delay": lambda _seen: 1, "backoff": "constant"}}
        return step.do("work", config, work)

    def second(event: Any, step: Any) -> Any:
        return step.do("work", fast(2), failing(2, []))

    async with open_well([flow(first)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await began.wait()
    async with open_well([flow(second)]) as well:
        instance = await well.workflow("Flow").get("a")
        await until_step(instance, "attempt_started", "work-1")
        async for event in instance.subscribe(types=["attempt_errored"]):
            if event.error["name"] == "ValueError":
                assert 1000 == event.retry_delay_ms
                break
        await instance.terminate()


async def test_s048_to_s049_attempts_are_numbered(open_well: Open) -> None:
    """With limit 2 the attempts see 1, 2, 3."""
    seen: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", fast(2), failing(2, seen))

    async with open_well([flow(run)]) as well:
        assert 3 == await (await well.workflow("Flow").create()).result(10)
        assert [1, 2, 3] == seen


async def test_s050_the_delay_passes_between_attempts(open_well: Open) -> None:
    """Between two attempts at least the configured delay passes."""

    async def run(event: Any, step: Any) -> Any:
        config = {"retries": {"limit": 1, "delay": 20, "backoff": "constant"}}
        return await step.do("work", config, failing(1, []))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        begun = [e.timestamp for e in await events_of(instance, "attempt_started")]

        assert 2 == len(begun)
        assert (begun[1] - begun[0]).total_seconds() >= 0.02


async def test_a26_waits_by_backoff(open_well: Open) -> None:
    """Linear waits grow by the delay, exponential ones double; exponential is the default."""

    async def run(event: Any, step: Any) -> None:
        linear = {"retries": {"limit": 3, "delay": 3, "backoff": "linear"}}
        await step.do("linear", linear, failing(3, []))
        await step.do("default", {"retries": {"limit": 3, "delay": 3}}, failing(3, []))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        waits = [e.retry_delay_ms for e in await events_of(instance, "attempt_errored")]

        assert [3, 6, 9, 3, 6, 12] == waits


async def test_s056_editing_the_config_changes_nothing(open_well: Open) -> None:
    """The callable's config is a copy: editing its limit gives no further attempts."""
    seen: list[int] = []

    async def run(event: Any, step: Any) -> None:
        async def work(ctx: Any) -> None:
            seen.append(ctx.attempt)
            ctx.config["retries"]["limit"] = 100
            raise ValueError("always")

        await step.do("work", fast(1), work)

    async with open_well([flow(run)]) as well:
        await error_of(await well.workflow("Flow").create())

        assert [1, 2] == seen


async def test_e77_timeout_is_retried_and_logged(open_well: Open) -> None:
    """An attempt that takes too long is cancelled, logged as WorkflowTimeoutError, and retried."""
    cancelled: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> str:
            if ctx.attempt == 1:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    cancelled.append(1)
                    raise
            return "in time"

        return await step.do("work", fast(1, timeout=50), work)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "in time" == await instance.result(10)
        assert [1] == cancelled
        errors = [e.error["name"] for e in await events_of(instance, "attempt_errored")]
        assert ["WorkflowTimeoutError"] == errors


async def test_a32_timeout_of_the_last_attempt_arrives_in_run(open_well: Open) -> None:
    """The last attempt's timeout is a WorkflowTimeoutError, and so a TimeoutError, in `run`."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do(
                "work", asyncio.Event().wait, timeout=10, retries={"limit": 0, "delay": 0}
            )
        except TimeoutError as error:
            return [type(error).__name__, str(error)]

    async with open_well([flow(run)]) as well:
        name, message = await (await well.workflow("Flow").create()).result(10)

        assert WorkflowTimeoutError.__name__ == name
        assert "work-1" in message
        assert "10 ms" in message


async def test_s366_success_on_the_second_attempt(open_well: Open) -> None:
    """With a retry limit of 1 a step may succeed on attempt 2."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("flaky", fast(1))
        async def flaky(ctx: Any) -> int:
            if ctx.attempt < 2:
                raise RuntimeError("not yet")
            return int(ctx.attempt)

        return await flaky()

    async with open_well([flow(run)]) as well:
        assert 2 == await (await well.workflow("Flow").create()).result(10)


@on_disk
async def test_e8_stored_config_wins_on_replay(open_well: Open) -> None:
    """A step already reached keeps its config: raising its limit in code has no effect."""
    began, seen = asyncio.Event(), []

    def first(event: Any, step: Any) -> Any:
        async def work() -> None:
            began.set()
            await asyncio.Event().wait()

        return step.do("work", fast(2), work)

    def second(event: Any, step: Any) -> Any:
        return step.do("work", fast(50), failing(99, seen))

    async with open_well([flow(first)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await began.wait()
    async with open_well([flow(second)]) as well:
        await error_of(await well.workflow("Flow").get("a"))

        assert [2, 3] == seen


@on_disk
async def test_e17_an_interrupted_attempt_counts(open_well: Open) -> None:
    """An attempt cut off by the process's end is used up and shown as failed in the log."""
    began, seen = asyncio.Event(), []

    async def run(event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> int:
            seen.append(ctx.attempt)
            began.set()
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return int(ctx.attempt)

        return await step.do("work", fast(3), work)

    async with open_well([flow(run)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await began.wait()
    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").get("a")

        assert 2 == await instance.result(10)
        assert [1, 2] == seen
        errors = [e.error["name"] for e in await events_of(instance, "attempt_errored")]
        assert ["WorkflowInternalError"] == errors


@on_disk
async def test_e20_no_attempt_beyond_the_limit_after_a_crash(open_well: Open) -> None:
    """An interrupted last attempt is final: never more than limit + 1 attempts start."""
    began, seen = asyncio.Event(), []

    async def run(event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> None:
            seen.append(ctx.attempt)
            began.set()
            await asyncio.Event().wait()

        await step.do("work", fast(0), work)

    async with open_well([flow(run)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await began.wait()
    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").get("a"))

        assert [1] == seen
        assert "WorkflowInternalError" == error["name"]
        assert "work-1" in error["message"]


async def test_a20_retries_of_mapping_and_keyword_merge_key_by_key(open_well: Open) -> None:
    """Keywords win over the mapping, and `retries` is merged key by key."""
    seen: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        config = {"retries": {"limit": 9, "delay": 1, "backoff": "constant"}, "timeout": "1 hour"}

        async def work(ctx: Any) -> Any:
            seen.append(ctx.attempt)
            return ctx.config

        return await step.do("work", config, work, retries={"limit": 3})

    async with open_well([flow(run)]) as well:
        retries = {"limit": 3, "delay": 1, "backoff": "constant"}

        expected = {"retries": retries, "timeout": "1 hour"}
        assert expected == await (await well.workflow("Flow").create()).result(10)
