"""How decorated steps share their results, rest, and answer calls that are written wrongly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import WorkflowFatalError
from tests.engine.support import Gate, Open, fast, flow, steps_of, types_of, until
from tests.engine.test_semantics_decorated import outcome


async def test_a_run_rests_while_a_dependent_waits(open_well: Open) -> None:
    """A retry wait of a dependency is durable, so the run hibernates behind it."""
    is_open = False

    async def run(event: Any, step: Any) -> Any:
        @step.do("base", {"retries": {"limit": 1, "delay": "1 hour"}})
        async def base() -> int:
            if not is_open:
                raise ValueError("not yet")
            return 1

        @step.do()
        async def user(base: int) -> int:
            return base

        return await user()

    async with open_well([flow(run)], linger_seconds=0) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")

        assert "waiting" == (await instance.status()).status
        await instance.terminate()


@pytest.mark.parametrize("is_concurrent", [False, True])
async def test_a59_a_call_in_flight_is_shared_with_dependents(
    open_well: Open, is_concurrent: bool
) -> None:
    """A dependency that the author's own call is running is not run a second time."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def base() -> int:
            await asyncio.sleep(0.01)
            return 1

        @step.do(concurrent=is_concurrent)
        async def user(base: int) -> int:
            return base + 1

        return await asyncio.gather(base(), user())

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert [1, 2] == await instance.result(10)
        assert ["base-1", "user-1"] == await steps_of(instance, "step_started")


async def test_one_who_gives_up_does_not_cancel_it_for_the_others(open_well: Open) -> None:
    """A step in flight ends for those who still wait for it."""
    gate = Gate(7)

    async def run(event: Any, step: Any) -> Any:
        base = step.do("base")(gate.__call__)
        user = step.do("user", depends=[base])(lambda base: base + 1)
        impatient, patient = asyncio.create_task(base()), asyncio.create_task(user())
        await gate.began.wait()
        impatient.cancel()
        await asyncio.wait([impatient])
        gate.may_end.set()
        return [impatient.cancelled(), await patient]

    assert [True, 8] == await outcome(open_well, run, linger_seconds=None)
    assert 1 == gate.calls


async def test_what_nobody_waits_for_is_cancelled(open_well: Open) -> None:
    """A call that is cancelled cancels its callable, and ends after it."""

    async def run(event: Any, step: Any) -> Any:
        ended: list[str] = []

        @step.do("slow", fast(0))
        async def slow() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append("slow")

        try:
            async with asyncio.timeout(0.05):
                await slow()
        except TimeoutError:
            return ended

    assert ["slow"] == await outcome(open_well, run, linger_seconds=None)


async def test_awaiting_without_a_call_is_explained(open_well: Open) -> None:
    """`await decorated` and `await step.do(function)` say what is missing."""

    async def run(event: Any, step: Any) -> Any:
        @step.do
        async def work() -> int:
            return 1

        async def other() -> int:
            return 2

        messages = []
        for wrong in (work, step.do(other)):
            with pytest.raises(WorkflowFatalError) as caught:
                await wrong
            messages.append(str(caught.value))
        return [*messages, await work()]

    first, second, result = await outcome(open_well, run)
    assert "step 'work'" in first
    assert "await work()" in first
    assert "await step.do(name, callable)" in second
    assert 1 == result


async def test_arguments_are_refused_with_the_reason(open_well: Open) -> None:
    """A decorated function takes no arguments: its dependencies fill the parameters."""

    async def run(event: Any, step: Any) -> Any:
        @step.do()
        async def work(ctx: Any) -> int:
            return 1

        messages = []
        for call in (lambda: work(5), lambda: work(ctx=5)):
            try:
                await call()
            except TypeError as error:
                messages.append(str(error))
        return messages

    first, second = await outcome(open_well, run)
    assert "filled with the results of the steps that it depends on" in first
    assert first == second


async def test_an_empty_name_is_a_name(open_well: Open) -> None:
    """`@step.do("")` does not take the function's name."""

    async def run(event: Any, step: Any) -> Any:
        @step.do("")
        async def work(ctx: Any) -> str:
            return str(ctx.step.name)

        return await work()

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "" == await instance.result(10)
        assert "step_completed" in await types_of(instance)
