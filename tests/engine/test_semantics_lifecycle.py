"""Pause, terminate, delete: the verbs on an instance, and when they refuse."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import InstanceNotFound, WorkflowError
from tests.engine.support import (
    Gate,
    Open,
    error_of,
    flow,
    on_disk,
    steps_of,
    types_of,
    until,
    until_step,
)


async def test_s016_to_s018_terminate_of_a_finished_instance(open_well: Open) -> None:
    """A complete, an errored and a terminated instance refuse to be terminated."""

    async def run(event: Any, step: Any) -> None:
        if event.payload == "fail":
            raise ValueError("asked for")
        if event.payload == "sleep":
            await step.sleep("long", "1 hour")

    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        complete, errored = await flows.create(), await flows.create(params="fail")
        terminated = await flows.create(params="sleep")
        await terminated.terminate()
        await complete.result(10)
        await error_of(errored)
        for instance in (complete, errored, terminated):
            with pytest.raises(WorkflowError, match="finite state") as caught:
                await instance.terminate()
            assert "instance.cannot_terminate" == caught.value.code


async def test_s027_and_s108_to_s109_pause_lets_the_step_in_flight_end(open_well: Open) -> None:
    """The step in flight ends, then the status is paused; the next step does not run."""
    gate, second = Gate(), Gate()
    second.may_end.set()

    async def run(event: Any, step: Any) -> Any:
        await step.do("first", gate)
        return await step.do("second", second)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        await instance.pause()
        assert "waitingForPause" == (await instance.status()).status
        gate.may_end.set()
        await until(instance, "workflow_paused")

        assert "paused" == (await instance.status()).status
        assert ["first-1"] == await steps_of(instance, "step_completed")
        assert 0 == second.calls
        await instance.resume()
        assert "done" == await instance.result(10)
        assert [1, 1] == [gate.calls, second.calls]


async def test_s028_pause_waits_for_parallel_steps(open_well: Open) -> None:
    """Both parallel steps in flight end before the pause; the following one does not run."""
    one, two, after = Gate(), Gate(), Gate()

    async def run(event: Any, step: Any) -> None:
        await asyncio.gather(step.do("one", one), step.do("two", two))
        await step.do("after", after)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await one.began.wait()
        await two.began.wait()
        await instance.pause()
        one.may_end.set()
        await until_step(instance, "step_completed", "one-1")
        two.may_end.set()
        await until(instance, "workflow_paused")

        assert ["one-1", "two-1"] == await steps_of(instance, "step_completed")
        assert 0 == after.calls


async def test_s031_pause_during_a_wait(open_well: Open) -> None:
    """Paused while it waits, resumed, then sent the event: the instance completes."""

    async def run(event: Any, step: Any) -> Any:
        await step.do("first", lambda: 1)
        return (await step.wait_for_event("go", type="go")).payload

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "wait_started")
        await instance.pause()
        await until(instance, "workflow_paused")
        await instance.resume()
        await instance.send_event("go", "now")

        assert "now" == await instance.result(10)
        assert ["first-1"] == await steps_of(instance, "step_started")


async def test_s087_and_s061_delete(open_well: Open) -> None:
    """A deleted instance is gone; its id is free again."""

    async def run(event: Any, step: Any) -> str:
        return "done"

    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        instance = await flows.create(id="a")
        await instance.result(10)

        assert None is await instance.delete()  # type: ignore[func-returns-value]
        with pytest.raises(InstanceNotFound, match="'a'"):
            await flows.get("a")
        assert "done" == await (await flows.create(id="a")).result(10)


async def test_s106_terminate_during_a_wait(open_well: Open) -> None:
    """Terminated while it waits, an instance starts no later step."""

    async def run(event: Any, step: Any) -> None:
        await step.wait_for_event("go", type="go")
        await step.do("later", lambda: 1)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "wait_started")
        await instance.terminate()

        assert "terminated" == (await instance.status()).status
        assert "workflow_terminated" == (await types_of(instance))[-1]
        assert [] == await steps_of(instance, "step_started")


@on_disk
async def test_s134_instances_survive_a_reopening(open_well: Open) -> None:
    """Status, output, error and log of every instance are the same in the next process."""

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "fail":
            raise ValueError("broken")
        if event.payload == "wait":
            await step.wait_for_event("wait", type="go", timeout="1 hour")
        return await step.do("work", lambda: {"kept": event.payload})

    async with open_well([flow(run)]) as well:
        workflow = well.workflow("Flow")
        done = await workflow.create(id="done", params="done")
        await done.result(10)
        failed = await workflow.create(id="fail", params="fail")
        await error_of(failed)
        await until(await workflow.create(id="wait", params="wait"), "wait_started")
        states = [await done.status(), await failed.status()]
        log = await types_of(done)
    async with open_well([flow(run)], worker=False) as well:
        workflow = well.workflow("Flow")
        done, failed = await workflow.get("done"), await workflow.get("fail")
        assert states == [await done.status(), await failed.status()]
        assert {"kept": "done"} == states[0].output
        assert log == await types_of(done)
    async with open_well([flow(run)]) as well:
        waiting = await well.workflow("Flow").get("wait")
        await waiting.send_event("go")
        assert {"kept": "wait"} == await waiting.result(10)
