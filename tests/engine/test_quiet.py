"""When a run may rest: only when nothing of its own is about to move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import stepwell
from stepwell import NonRetryableError
from tests.engine.support import Open, error_of, flow, until, until_step

Branch = Callable[[Any], Awaitable[Any]]
Shape = Callable[[Any, Branch], Awaitable[Any]]


async def long_wait(step: Any) -> Any:
    """Be the branch beside: parked for an hour."""
    return await step.wait_for_event("long", "never", timeout="1 hour")


# ---- how the other branch ends -------------------------------------------------------------------


async def ends_in_one_turn(step: Any) -> Any:
    """End with a step that never suspends."""

    async def work() -> str:
        return "ended"

    return await step.do("work", work)


async def ends_in_a_thread(step: Any) -> Any:
    """End with a sync step."""
    return await step.do("work", lambda: "ended")


async def ends_after_an_event(step: Any) -> Any:
    """End long after both branches were parked."""
    return (await step.wait_for_event("go", "go", timeout="1 hour")).payload


async def fails_in_a_step(step: Any) -> Any:
    """Fail with a step that may not be retried."""

    async def work() -> None:
        raise NonRetryableError("no use")

    return await step.do("work", work)


async def fails_after_a_sleep(step: Any) -> Any:
    """Fail between two steps."""
    await step.sleep("nap", 20)
    raise NonRetryableError("no use")


async def fails_after_an_event(step: Any) -> Any:
    """Fail long after both branches were parked."""
    await step.wait_for_event("go", "go", timeout="1 hour")
    raise NonRetryableError("no use")


ENDS: list[Branch] = [ends_in_one_turn, ends_in_a_thread, ends_after_an_event]
FAILS: list[Branch] = [fails_in_a_step, fails_after_a_sleep, fails_after_an_event]


# ---- how the two are waited for together ---------------------------------------------------------


async def gather(step: Any, branch: Branch) -> Any:
    """Wait for both, or for the first failure."""
    await asyncio.gather(long_wait(step), branch(step))


async def nested_gather(step: Any, branch: Branch) -> Any:
    """Wait with one gather inside the other."""

    async def inner() -> None:
        await asyncio.gather(step.sleep("longer", "2 hours"), branch(step))

    await asyncio.gather(long_wait(step), inner())


async def group(step: Any, branch: Branch) -> Any:
    """Wait in a TaskGroup."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(long_wait(step))
        tasks.create_task(branch(step))


async def nested_group(step: Any, branch: Branch) -> Any:
    """Wait with one TaskGroup inside the other."""

    async def inner() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(step.sleep("longer", "2 hours"))
            tasks.create_task(branch(step))

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(long_wait(step))
        tasks.create_task(inner())


async def _wait(step: Any, branch: Branch, return_when: str) -> Any:
    tasks = {asyncio.create_task(long_wait(step)), asyncio.create_task(branch(step))}
    done, going = await asyncio.wait(tasks, return_when=return_when)
    for task in going:
        task.cancel()
    for task in done:
        await task


async def first_completed(step: Any, branch: Branch) -> Any:
    """Wait for the first to end."""
    await _wait(step, branch, asyncio.FIRST_COMPLETED)


async def first_exception(step: Any, branch: Branch) -> Any:
    """Wait for the first to fail."""
    await _wait(step, branch, asyncio.FIRST_EXCEPTION)


async def await_task(step: Any, branch: Branch) -> Any:
    """Wait for one task alone, and leave the other."""
    long = asyncio.create_task(long_wait(step))
    try:
        await asyncio.create_task(branch(step))
    finally:
        long.cancel()


SHAPES: list[Shape] = [
    gather, nested_gather, group, nested_group, first_completed, first_exception, await_task,
]  # fmt: skip


async def _send_go(instance: Any, branch: Branch) -> None:
    if branch in {ends_after_an_event, fails_after_an_event}:
        await until_step(instance, "wait_started", "go-1")
        await instance.send_event("go", "ended")


@pytest.mark.parametrize("branch", FAILS)
@pytest.mark.parametrize("shape", SHAPES)
async def test_a_failure_beside_a_long_wait_is_told_at_once(
    open_well: Open, shape: Shape, branch: Branch
) -> None:
    """A branch fails beside one that is parked for an hour: caught or not, its run goes on."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await shape(step, branch)
        except* NonRetryableError:
            if event.payload == "uncaught":
                raise
        return await step.do("after", lambda: "went on")

    async with open_well([flow(run)]) as well:
        caught = await well.workflow("Flow").create(params="caught")
        uncaught = await well.workflow("Flow").create(params="uncaught")
        for instance in (caught, uncaught):
            await _send_go(instance, branch)

        assert "went on" == await caught.result(10)
        assert "ExceptionGroup" == (await error_of(uncaught))["name"]


async def test_a_failure_may_come_just_when_all_seems_quiet(open_well: Open) -> None:
    """Naps end in every moment around the two looks before a rest: no run stands still."""

    async def run(event: Any, step: Any) -> Any:
        async def fail() -> None:
            await step.sleep("nap", event.payload)
            raise NonRetryableError("no use")

        await asyncio.gather(step.sleep("long", "1 hour"), fail())

    async with open_well([flow(run)]) as well:
        params = [{"params": number % 20} for number in range(100)]
        instances = await well.workflow("Flow").create_batch(params)

        for instance in instances:
            assert "no use" == (await error_of(instance))["message"]


async def test_a_failure_comes_through_gathers_of_gathers(open_well: Open) -> None:
    """Each gather takes a turn of the loop to hear of a failure inside; the run waits for all."""

    async def run(event: Any, step: Any) -> Any:
        nested: Any = asyncio.create_task(fails_in_a_step(step))
        for depth in range(12):
            nested = asyncio.gather(nested, step.sleep(f"long {depth}", "1 hour"))
        await nested

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "no use" == (await error_of(instance))["message"]


@pytest.mark.parametrize("branch", ENDS)
@pytest.mark.parametrize("shape", [first_completed, await_task])
async def test_an_end_beside_a_long_wait_is_told_at_once(
    open_well: Open, shape: Shape, branch: Branch
) -> None:
    """A branch ends beside one that is parked for an hour: who waits for it goes on."""

    async def run(event: Any, step: Any) -> Any:
        await shape(step, branch)
        return await step.do("after", lambda: "went on")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await _send_go(instance, branch)

        assert "went on" == await instance.result(10)


async def _inner_gather(step: Any, branch: Branch) -> None:
    await asyncio.gather(branch(step), step.do("other", lambda: 1))


async def _inner_group(step: Any, branch: Branch) -> None:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(branch(step))


async def _inner_task(step: Any, branch: Branch) -> None:
    await asyncio.create_task(branch(step))


async def _inner_wait_for(step: Any, branch: Branch) -> None:
    await asyncio.wait_for(branch(step), 600)


@pytest.mark.parametrize("branch", ENDS)
@pytest.mark.parametrize("inner", [_inner_gather, _inner_group, _inner_task, _inner_wait_for])
async def test_a_branch_goes_on_beside_a_long_wait(
    open_well: Open, inner: Shape, branch: Branch
) -> None:
    """What a branch waits for inside itself ends: its next step runs beside the parked one."""

    async def run(event: Any, step: Any) -> Any:
        async def moves() -> Any:
            await inner(step, branch)
            await step.do("second", lambda: "went on")

        waited, _ = await asyncio.gather(
            step.wait_for_event("long", "end", timeout="1 hour"), moves()
        )
        return waited.payload

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await _send_go(instance, branch)
        await asyncio.wait_for(until_step(instance, "step_completed", "second-1"), 10)
        await instance.send_event("end", "all")

        assert "all" == await instance.result(10)


# ---- timeouts ------------------------------------------------------------------------------------


async def _timeout(step: Any) -> Any:
    async with asyncio.timeout(0.05):
        await long_wait(step)


async def _timeout_at_a_distance(step: Any) -> Any:
    async def far() -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(long_wait(step))

    async with asyncio.timeout(0.05):
        await far()


async def _timeout_of_another_branch(step: Any) -> Any:
    await asyncio.gather(step.sleep("longer", "2 hours"), _timeout(step))


async def _wait_for(step: Any) -> Any:
    await asyncio.wait_for(long_wait(step), 0.05)


async def _wait_with_timeout(step: Any) -> Any:
    _, going = await asyncio.wait({asyncio.create_task(long_wait(step))}, timeout=0.05)
    if going:
        going.pop().cancel()
        raise TimeoutError


@pytest.mark.parametrize(
    "limit",
    [_timeout, _timeout_at_a_distance, _timeout_of_another_branch, _wait_for, _wait_with_timeout],
)
async def test_a_timeout_around_a_long_wait_fires(
    open_well: Open, limit: Callable[[Any], Awaitable[Any]]
) -> None:
    """Timers of asyncio around a parked step are wound up for nobody else: they fire."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await limit(step)
        except TimeoutError:
            return "timed out"

    async with open_well([flow(run)]) as well:
        assert "timed out" == await (await well.workflow("Flow").create()).result(10)


# ---- rest ----------------------------------------------------------------------------------------


async def test_work_beside_the_body_of_a_group_is_no_rest(open_well: Open) -> None:
    """A group's body stands at a long wait while its child does work of its own: no rest."""
    may_end, has_ended = asyncio.Event(), asyncio.Event()

    async def run(event: Any, step: Any) -> Any:
        async def work() -> None:
            await may_end.wait()
            has_ended.set()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(work())
            return (await step.wait_for_event("wait", "go", timeout="1 hour")).payload

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "wait_started")
        assert "running" == (await instance.status()).status
        may_end.set()
        await asyncio.wait_for(has_ended.wait(), 10)
        await instance.send_event("go", "on")

        assert "on" == await instance.result(10)


async def _rests_in_gather(step: Any) -> Any:
    return await asyncio.gather(long_wait(step), ends_after_an_event(step))


async def _rests_in_group(step: Any) -> Any:
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(ends_after_an_event(step))
        await long_wait(step)


async def _rests_in_wait(step: Any) -> Any:
    tasks = [asyncio.create_task(ends_after_an_event(step)), asyncio.create_task(_one_turn(step))]
    await asyncio.wait(tasks, return_when=asyncio.ALL_COMPLETED)


async def _one_turn(step: Any) -> Any:
    return await step.do("other", lambda: 1)


@pytest.mark.parametrize("rest", [_rests_in_gather, _rests_in_group, _rests_in_wait])
@pytest.mark.parametrize("max_warm", [0, 1000])
async def test_a_run_of_only_parked_steps_rests(
    url: str, rest: Callable[[Any], Awaitable[Any]], max_warm: int
) -> None:
    """Where all that a run waits for are parked steps, however it waits, it gives its lease up."""

    async def run(event: Any, step: Any) -> Any:
        return await rest(step)

    options: Any = {"linger_seconds": 0, "max_warm": max_warm}
    async with stepwell.open(url, workflows=[flow(run)], **options) as well:
        instance = await well.workflow("Flow").create()
        await asyncio.wait_for(until(instance, "workflow_waiting"), 10)

        assert "waiting" == (await instance.status()).status


# ---- a run at rest that goes on by itself --------------------------------------------------------


async def test_a_cancelled_wait_of_a_resting_run_goes_on(url: str) -> None:
    """Something that nobody could see cancels the wait of a run at rest: it gets its lease back."""
    naps: list[asyncio.Task[Any]] = []

    async def run(event: Any, step: Any) -> Any:
        naps.append(asyncio.create_task(step.sleep("nap", "1 hour")))
        try:
            await naps[0]
        except asyncio.CancelledError:
            return await step.do("after", lambda: "went on")

    async with stepwell.open(url, workflows=[flow(run)], linger_seconds=0) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")
        naps[0].cancel()

        assert "went on" == await instance.result(10)
        assert 1 == len(naps)


async def test_a_step_of_a_resting_run_wakes_it(url: str) -> None:
    """A side task calls a step while its run is at rest: the step runs, once, and the run lives."""
    may_call = asyncio.Event()
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        calls.append("run")

        async def side() -> Any:
            await may_call.wait()
            return await step.do("side", lambda: calls.append("side"))

        beside = asyncio.create_task(side())
        await step.wait_for_event("wait", "go", timeout="1 hour")
        await beside
        return await step.do("after", lambda: "went on")

    async with stepwell.open(url, workflows=[flow(run)], linger_seconds=0) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")
        may_call.set()
        await asyncio.wait_for(until_step(instance, "step_completed", "side-1"), 10)
        await instance.send_event("go")

        assert "went on" == await instance.result(10)
        assert ["run", "side"] == calls


async def test_a_return_of_a_resting_run_ends_it(url: str) -> None:
    """The code of a run at rest returns, or raises: the instance ends so, without a step."""
    naps: dict[str, asyncio.Task[Any]] = {}

    async def run(event: Any, step: Any) -> Any:
        naps[event.payload] = asyncio.create_task(step.sleep("nap", "1 hour"))
        try:
            await naps[event.payload]
        except asyncio.CancelledError:
            if event.payload == "raise":
                raise ValueError("asked for") from None
            return "returned"

    async with stepwell.open(url, workflows=[flow(run)], linger_seconds=0) as well:
        flows = well.workflow("Flow")
        returns, raises = await flows.create(params="return"), await flows.create(params="raise")
        for instance in (returns, raises):
            await until(instance, "workflow_waiting")
        for nap in naps.values():
            nap.cancel()

        assert "returned" == await returns.result(10)
        assert "ValueError" == (await error_of(raises))["name"]
