"""The life of an instance, from create to its end, seen through the public API."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell import NonRetryableError, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from tests.engine.support import Open, fast, types_of, until


class TwoSteps(WorkflowEntrypoint[Any, Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        async def first() -> int:
            return 20

        a = await step.do("first", first)
        b = await step.do("second", lambda: a + 1)
        return {"sum": a + b, "params": event.payload}


async def test_a_workflow_runs_to_its_output(open_well: Open) -> None:
    """A workflow of an async and a sync step completes with what `run` returns."""
    async with open_well([TwoSteps]) as well:
        instance = await well.workflow(TwoSteps).create(id="a", params={"x": 1})

        assert {"sum": 41, "params": {"x": 1}} == await instance.result(10)
        assert "complete" == (await instance.status()).status
        assert {"sum": 41, "params": {"x": 1}} == (await instance.status())["output"]


async def test_e75_log_of_a_step_with_one_failure(open_well: Open) -> None:
    """The event log of one retried step has the documented order."""
    seen: list[int] = []

    class Flaky(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def work(ctx: Any) -> str:
                seen.append(ctx.attempt)
                if ctx.attempt == 1:
                    raise ValueError("not yet")
                return "done"

            return await step.do("work", fast(1), work)

    async with open_well([Flaky]) as well:
        instance = await well.workflow(Flaky).create()

        assert "done" == await instance.result(10)
        assert [1, 2] == seen
        assert [
            "workflow_queued", "workflow_started", "step_started", "attempt_started",
            "attempt_errored", "attempt_started", "attempt_completed", "step_completed",
            "workflow_completed",
        ] == [t for t in await types_of(instance) if t not in {"workflow_waiting",
        "workflow_running"}]  # fmt: skip


async def test_s001_non_retryable_runs_once(open_well: Open) -> None:
    """A NonRetryableError means one attempt, and the workflow fails with it."""
    seen: list[int] = []

    class Once(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            def work(ctx: Any) -> None:
                seen.append(ctx.attempt)
                raise NonRetryableError("no use")

            await step.do("work", work)

    async with open_well([Once]) as well:
        instance = await well.workflow(Once).create()
        with pytest.raises(stepwell.InstanceErrored) as caught:
            await instance.result(10)

        assert [1] == seen
        assert isinstance(caught.value.__cause__, NonRetryableError)
        state = await instance.status()
        assert {"name": "NonRetryableError", "message": "no use"} == state.error


async def test_sleep_then_continue(open_well: Open) -> None:
    """A sleep ends by itself and the workflow goes on."""

    class Naps(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            await step.sleep("nap", 30)
            await step.sleep("nap", "50 ms")
            return "rested"

    async with open_well([Naps]) as well:
        assert "rested" == await (await well.workflow(Naps).create()).result(10)


class Waits(WorkflowEntrypoint[Any, Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
        got = await step.wait_for_event("approval", type="approved", timeout="1 hour")
        return {"got": got.payload, "type": got.type}


async def test_s007_and_s104_and_s360_event_reaches_the_wait(open_well: Open) -> None:
    """An event sent to a waiting instance gives its payload and type to the wait."""
    async with open_well([Waits]) as well:
        instance = await well.workflow(Waits).create()
        await until(instance, "wait_started")
        await instance.send_event(type="approved", payload=[1, 2])

        assert {"got": [1, 2], "type": "approved"} == await instance.result(10)


async def test_s317_early_event_is_kept(open_well: Open) -> None:
    """An event sent before the wait is reached is consumed by it."""
    async with open_well([Waits]) as well:
        instance = await well.workflow(Waits).create()
        await instance.send_event(type="approved", payload="early")

        assert {"got": "early", "type": "approved"} == await instance.result(10)


async def test_parallel_steps(open_well: Open) -> None:
    """Steps under gather and TaskGroup run side by side and give their own results."""

    class Fans(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            async def one(n: int) -> int:
                await asyncio.sleep(0.001)
                return n

            first = await asyncio.gather(
                *(step.do(f"a{n}", lambda n=n: one(n)) for n in range(5))  # type: ignore[misc]
            )
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(step.sleep(f"s{n}", 10 * n)) for n in range(5)]
            return [first, len(tasks)]

    async with open_well([Fans]) as well:
        assert [[0, 1, 2, 3, 4], 5] == await (await well.workflow(Fans).create()).result(10)


async def test_a_branch_that_ended_lets_the_others_rest(open_well: Open) -> None:
    """When the short one of two parallel sleeps has ended, the run gives its lease back."""

    class Two(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            await asyncio.gather(step.sleep("short", 20), step.sleep("long", "1 hour"))

    async with open_well([Two], linger_seconds=0.001) as well:
        instance = await well.workflow(Two).create()
        await until(instance, "sleep_completed")
        await until(instance, "workflow_waiting")

        assert "waiting" == (await instance.status()).status
        await instance.terminate()


async def test_events_in_quick_succession_reach_their_waits(open_well: Open) -> None:
    """Many instances that are told to stay up while they try to rest all get every event."""

    class Relay(WorkflowEntrypoint[Any, Any]):
        async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> Any:
            for n in range(4):
                await step.wait_for_event(f"wait {n}", type=f"t{n}", timeout="1 hour")
            return "through"

    async def drive(well: Any, id_: str) -> Any:
        instance = await well.workflow(Relay).create(id=id_)
        for n in range(4):
            await instance.send_event(type=f"t{n}")
        return await instance.result(20)

    async with open_well([Relay]) as well:
        ends = await asyncio.gather(*(drive(well, f"i{n}") for n in range(40)))

        assert ["through"] * 40 == ends
