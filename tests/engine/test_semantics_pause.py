"""Pause and resume: what still ends, what does not begin, and how time stands still."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import WorkflowTimeoutError
from stepwell.engine import watch
from tests.engine.manual_clock import NO_LAPSE, ManualClock
from tests.engine.processes import REF, stores_of
from tests.engine.support import Gate, Open, fast, flow, steps_of, types_of, until, until_step


async def test_s029_and_s110_resume_before_the_pause_is_reached(open_well: Open) -> None:
    """Resumed while a slow step still keeps the pause off, everything goes on to its end."""
    quick, slow = Gate("quick"), Gate("slow")

    async def run(event: Any, step: Any) -> Any:
        both = await asyncio.gather(step.do("quick", quick), step.do("slow", slow))
        return [*both, await step.do("after", lambda: "after")]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await quick.began.wait()
        await slow.began.wait()
        await instance.pause()
        quick.may_end.set()
        await until_step(instance, "step_completed", "quick-1")
        assert "waitingForPause" == (await instance.status()).status
        await instance.resume()
        assert "running" == (await instance.status()).status
        slow.may_end.set()

        assert ["quick", "slow", "after"] == await instance.result(10)
        assert [1, 1] == [quick.calls, slow.calls]
        assert ["after-1", "quick-1", "slow-1"] == sorted(
            str(name) for name in await steps_of(instance, "step_completed")
        )
        assert "workflow_paused" not in await types_of(instance)


async def test_s029_resume_lets_a_step_begin_that_was_held_back(open_well: Open) -> None:
    """A step that the coming pause held back begins after the resume, and not before."""
    slow, after = Gate("slow"), Gate("after")
    after.may_end.set()

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "probe":
            return "probed"

        async def branch() -> Any:
            await reached.wait()
            return await step.do("after", after)

        return await asyncio.gather(step.do("slow", slow), branch())

    reached = asyncio.Event()
    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        instance = await flows.create()
        await slow.began.wait()
        await instance.pause()
        reached.set()
        await (await flows.create(params="probe")).result(10)
        assert 0 == after.calls
        await instance.resume()
        await after.began.wait()
        slow.may_end.set()

        assert ["slow", "after"] == await instance.result(10)


async def test_s030_a_sleep_stands_still_while_paused(open_well: Open) -> None:
    """Paused in its sleep at once; after the resume only the rest of the sleep is left."""
    clock = ManualClock()
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "probe":
            return "probed"
        await step.do("first", lambda: calls.append("first"))
        await step.sleep("nap", "10 minutes")
        await step.do("last", lambda: calls.append("last"))
        return "rested"

    async with open_well([flow(run)], clock=clock, lease_seconds=NO_LAPSE) as well:
        flows = well.workflow("Flow")
        instance = await flows.create()
        await until(instance, "sleep_started")
        clock.turn(minutes=4)
        await instance.pause()
        await until(instance, "workflow_paused")
        assert "paused" == (await instance.status()).status
        clock.turn(minutes=100)
        await instance.resume()
        await until(instance, "workflow_running")
        clock.turn(minutes=5)
        await (await flows.create(params="probe")).result(10)
        assert [] == await steps_of(instance, "sleep_completed")
        clock.turn(minutes=1)

        assert "rested" == await instance.result(10)
        assert ["first", "last"] == calls


async def test_e051_a_wait_does_not_time_out_while_paused(open_well: Open) -> None:
    """The timeout of a wait moves by the length of the pause; it passes afterwards."""
    clock = ManualClock()

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "probe":
            return "probed"
        try:
            return (await step.wait_for_event("wait", "go", timeout="10 minutes")).payload
        except WorkflowTimeoutError:
            return "timed out"

    async with open_well([flow(run)], clock=clock, lease_seconds=NO_LAPSE) as well:
        flows = well.workflow("Flow")
        reached, missed = await flows.create(), await flows.create()
        for instance in (reached, missed):
            await until(instance, "wait_started")
            await instance.pause()
            await until(instance, "workflow_paused")
        clock.turn(minutes=100)
        for instance in (reached, missed):
            await instance.resume()
            await until(instance, "workflow_running")
        clock.turn(minutes=9)
        await (await flows.create(params="probe")).result(10)
        assert [] == await steps_of(missed, "wait_timed_out")
        await reached.send_event("go", "in time")
        assert "in time" == await reached.result(10)
        clock.turn(minutes=1)

        assert "timed out" == await missed.result(10)


async def test_s032_a_pause_that_a_dead_worker_did_not_reach(
    open_well: Open, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Waiting for its pause when its worker died, an instance is paused without running."""
    # What another process does is found by the poll alone.
    monkeypatch.setattr(watch, "_POLL_SECONDS", 0.02)
    new_store = stores_of(url)
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        calls.append(1)
        return "done"

    store = new_store()
    async with open_well([flow(run)], store=store, worker=False) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await store.beat(worker="dead", expires_ms=1, now_ms=0)
        now_ms = (await store.find(REF)).created_ms  # type: ignore[union-attr]
        await store.claim(worker="dead", workflows=["Flow"], limit=1, now_ms=now_ms)
        await instance.pause()
        assert "waitingForPause" == (await instance.status()).status
    async with open_well([flow(run)], store=new_store(), lease_seconds=0.5) as well:
        instance = await well.workflow("Flow").get(REF.id)
        await until(instance, "workflow_paused")

        assert "paused" == (await instance.status()).status
        assert [] == calls
        await instance.resume()
        assert "done" == await instance.result(10)
        assert [1] == calls


async def test_e049_a_failed_attempt_is_not_retried_before_the_pause(open_well: Open) -> None:
    """The attempt in flight fails while a pause is coming: the pause comes before the retry."""
    began, may_fail = asyncio.Event(), asyncio.Event()
    attempts: list[int] = []

    async def work(ctx: Any) -> str:
        attempts.append(ctx.attempt)
        if ctx.attempt == 1:
            began.set()
            await may_fail.wait()
            raise ValueError("not yet")
        return "done"

    async with open_well([flow(lambda _event, step: step.do("work", fast(1), work))]) as well:
        instance = await well.workflow("Flow").create()
        await began.wait()
        await instance.pause()
        may_fail.set()
        await until(instance, "workflow_paused")
        assert [1] == attempts
        await instance.resume()

        assert "done" == await instance.result(10)
        assert [1, 2] == attempts


async def test_s108_pause_during_the_last_step(open_well: Open) -> None:
    """A pause during the last step is reached when it ends, and the end comes after the resume."""
    ends: list[Any] = []
    gates = {"return": Gate("result"), "raise": Gate()}

    async def run(event: Any, step: Any) -> Any:
        async def work() -> Any:
            result = await gates[event.payload]()
            if event.payload == "raise":
                raise ValueError("no use")
            return result

        try:
            ends.append(await step.do("last", fast(0), work))
        except ValueError as error:
            ends.append(str(error))
        return ends[-1]

    async with open_well([flow(run)]) as well:
        for how, end in (("return", "result"), ("raise", "no use")):
            instance = await well.workflow("Flow").create(params=how)
            await gates[how].began.wait()
            await instance.pause()
            gates[how].may_end.set()
            await until(instance, "workflow_paused")
            assert "paused" == (await instance.status()).status
            assert end not in ends
            await instance.resume()

            assert end == await instance.result(10)
            assert 1 == gates[how].calls


async def test_b12_pause_and_resume_where_there_is_nothing_to_do(open_well: Open) -> None:
    """Pause twice, resume of what runs, both on a finished instance: nothing happens."""
    gate = Gate()

    async with open_well([flow(lambda _event, step: step.do("work", gate))]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        await instance.resume()
        assert "running" == (await instance.status()).status
        await instance.pause()
        await instance.pause()
        gate.may_end.set()
        await until(instance, "workflow_paused")
        await instance.pause()
        await instance.resume()
        assert "done" == await instance.result(10)
        await instance.pause()
        await instance.resume()

        assert "complete" == (await instance.status()).status
        assert 1 == (await types_of(instance)).count("workflow_paused")
        assert 1 == gate.calls
