"""Cancelled from inside: a step that user code cuts short, and a run that cancels itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import stepwell
from tests.engine.manual_clock import NO_LAPSE, ManualClock
from tests.engine.processes import REF, killed_at_the_end, let_lease_lapse, stores_of
from tests.engine.support import (
    Open,
    error_of,
    events_of,
    fast,
    flow,
    steps_of,
    until,
    until_step,
)

COLD: dict[str, Any] = {"linger_seconds": 0, "max_warm": 0}


async def _by_wait_for(step: Awaitable[Any]) -> None:
    await asyncio.wait_for(step, 0.03)


async def _by_timeout(step: Awaitable[Any]) -> None:
    async with asyncio.timeout(0.03):
        await step


async def _by_wait(step: Awaitable[Any]) -> None:
    _, late = await asyncio.wait([asyncio.ensure_future(step)], timeout=0.03)
    for task in late:
        task.cancel()
    if late:
        raise TimeoutError


async def _by_sibling(step: Awaitable[Any]) -> None:
    async def fails() -> None:
        await asyncio.sleep(0.03)
        raise TimeoutError

    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(fails())
            tasks.create_task(_as_coroutine(step))
    except* TimeoutError:
        raise TimeoutError from None


async def _as_coroutine(step: Awaitable[Any]) -> None:
    await step


CUTS = [_by_wait_for, _by_timeout, _by_wait, _by_sibling]


def cut_short(cut: Callable[[Awaitable[Any]], Awaitable[None]], calls: list[str]) -> Any:
    """Make a run that cuts a step short, and then rests five times."""

    async def run(event: Any, step: Any) -> Any:
        async def slow() -> None:
            calls.append("slow")
            await asyncio.get_running_loop().create_future()

        calls.append("run")
        try:
            await cut(step.do("slow", fast(2), slow))
        except TimeoutError:
            for n in range(5):
                await step.wait_for_event(f"pause {n}", "on", timeout="1 hour")
            return "went on"

    return run


@pytest.mark.parametrize("cut", CUTS)
async def test_a_step_cut_short_does_not_run_again(
    url: str, cut: Callable[[Awaitable[Any]], Awaitable[None]]
) -> None:
    """A timeout around a step cuts it short: replayed again and again, it is not run anew."""
    calls: list[str] = []
    run = cut_short(cut, calls)
    async with stepwell.open(url, workflows=[flow(run)], **COLD) as well:
        instance = await well.workflow("Flow").create()
        for n in range(5):
            waiting = until_step(instance, "wait_started", f"pause {n}-1")
            await asyncio.wait_for(waiting, 10)
            await instance.send_event("on")

        assert "went on" == await instance.result(10)
        assert 1 == calls.count("slow")
        assert 6 == calls.count("run")
        assert [1] == [
            event.details["attempt"] for event in await events_of(instance, "attempt_started")
        ]
        assert ["slow-1"] == await steps_of(instance, "step_errored")


@pytest.mark.parametrize("cut", CUTS)
async def test_a_step_cut_short_does_not_run_again_after_a_crash(
    open_well: Open, url: str, cut: Callable[[Awaitable[Any]], Awaitable[None]]
) -> None:
    """Its worker dies after a step was cut short: the next one does not run that step anew."""
    calls: list[str] = []
    new_store, run = stores_of(url), cut_short(cut, calls)
    async with killed_at_the_end(open_well, new_store(), [flow(run)]) as well:
        instance = await well.workflow("Flow").create(id=REF.id)
        await asyncio.wait_for(until_step(instance, "wait_started", "pause 0-1"), 10)
    await let_lease_lapse(new_store())
    async with open_well([flow(run)], store=new_store()) as well:
        instance = await well.workflow("Flow").get(REF.id)
        for _ in range(5):
            await instance.send_event("on")

        assert "went on" == await instance.result(10)
        assert 1 == calls.count("slow")


async def test_a_retry_cut_short_burns_no_attempts(url: str) -> None:
    """Cut short between two attempts, a step is not tried a second time at a replay."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        async def fails(ctx: Any) -> None:
            calls.append(ctx.attempt)
            raise ValueError("not yet")

        retries = {"retries": {"limit": 5, "delay": "1 hour", "backoff": "constant"}}
        try:
            await _by_wait_for(step.do("work", retries, fails))
        except TimeoutError:
            await step.wait_for_event("pause", "on", timeout="1 hour")
            return "went on"

    async with stepwell.open(url, workflows=[flow(run)], **COLD) as well:
        instance = await well.workflow("Flow").create()
        await asyncio.wait_for(until_step(instance, "wait_started", "pause-1"), 10)
        await instance.send_event("on")

        assert "went on" == await instance.result(10)
        assert [1] == calls


# ---- a run that cancels itself -------------------------------------------------------------------


async def _in_run(_step: Any) -> None:
    asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
    await asyncio.sleep(0)


async def _in_a_step(step: Any) -> None:
    async def work() -> None:
        await _in_run(step)

    await step.do("work", fast(1), work)


async def _before_a_step(step: Any) -> None:
    asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is one
    await step.sleep("nap", 20)


async def _by_raising(_step: Any) -> None:
    raise asyncio.CancelledError


async def _by_awaiting(_step: Any) -> None:
    task = asyncio.ensure_future(asyncio.sleep(3600))
    task.cancel()
    await task


@pytest.mark.parametrize("cancel", [_in_run, _in_a_step, _before_a_step, _by_raising, _by_awaiting])
async def test_a_run_that_cancels_itself_ends_errored(
    open_well: Open, cancel: Callable[[Any], Awaitable[None]]
) -> None:
    """Its own task cancelled by its own code, an instance ends with an error, after one run."""
    runs: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        runs.append(1)
        await cancel(step)

    async with open_well([flow(run)]) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "cancelled from inside" in error["message"]
        assert [1] == runs


# ---- the end of the process ----------------------------------------------------------------------


@pytest.mark.parametrize("place", ["run", "step", "sleep"])
def test_the_end_of_asyncio_run_fails_no_instance(tmp_path: Path, place: str) -> None:
    """A program ends without closing: asyncio.run cancels every task, which is no failure."""
    url = f"sqlite:///{tmp_path}/well.db"

    async def run(event: Any, step: Any) -> Any:
        async def hang() -> Any:
            began.set()
            await asyncio.get_running_loop().create_future()

        async def sleep() -> Any:
            began.set()
            await step.sleep("nap", "1 hour")

        ways = {"run": hang, "step": lambda: step.do("work", hang), "sleep": sleep}
        return await ways[place]()

    began = asyncio.Event()

    def well_of(**options: Any) -> Any:
        return stepwell.open(url, workflows=[flow(run)], grace_seconds=0.1, **options)

    async def first() -> None:
        # Entered and never left: only the end of asyncio.run ends what is in it.
        opened = well_of(linger_seconds=None)
        well = await opened.__aenter__()
        await well.workflow("Flow").create(id=REF.id)
        await asyncio.wait_for(began.wait(), 10)

    async def second() -> Any:
        async with well_of(worker=False) as well:
            return (await (await well.workflow("Flow").get(REF.id)).status()).status

    asyncio.run(first())

    assert "running" == asyncio.run(second())


@pytest.mark.parametrize("loser", ["sleep", "event"])
async def test_the_loser_of_a_race_loses_again_after_its_time(open_well: Open, loser: str) -> None:
    """A cold replay, when the loser's own time is long past, lets the same branch win."""
    clock = ManualClock()

    async def run(event: Any, step: Any) -> Any:
        async def work() -> str:
            await step.do("one", lambda: 1)
            for _ in range(20):
                await asyncio.sleep(0)  # code of its own, which takes some turns each time
            await step.do("two", lambda: 2)
            return "charged"

        async def late() -> str:
            if loser == "sleep":
                await step.sleep("late", "10 minutes")
            else:
                with suppress(stepwell.WorkflowTimeoutError):
                    await step.wait_for_event("late", type="never", timeout="10 minutes")
            return "refunded"

        racers = [asyncio.ensure_future(work()), asyncio.ensure_future(late())]
        (first,), others = await asyncio.wait(racers, return_when=asyncio.FIRST_COMPLETED)
        for other in others:
            other.cancel()
        await step.do(first.result(), lambda: None)
        await step.sleep("pause", "20 minutes")
        return first.result()

    options = {**COLD, "clock": clock, "lease_seconds": NO_LAPSE}
    async with open_well([flow(run)], **options) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")
        clock.turn(minutes=20)

        assert "charged" == await instance.result(10)
        assert [] == await events_of(instance, "wait_timed_out")
        assert "refunded-1" not in await steps_of(instance, "step_started")


async def test_a_timeout_inside_a_context_manager_fires(open_well: Open) -> None:
    """A timer that an author's own `async with` sets keeps the run from resting, like any other."""

    @asynccontextmanager
    async def limited() -> AsyncIterator[None]:
        async with asyncio.timeout(0.05):
            yield

    async def run(event: Any, step: Any) -> str:
        try:
            async with limited():
                await step.wait_for_event("wait", type="never", timeout="1 hour")
        except TimeoutError:
            return "out of time"
        return "an event"

    async with open_well([flow(run)], **COLD) as well:
        instance = await well.workflow("Flow").create()

        assert "out of time" == await instance.result(10)
