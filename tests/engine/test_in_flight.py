"""Steps that are called from within another: they belong to its attempt."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell.engine.in_flight import InFlight
from tests.engine.support import Gate, Open, flow, steps_of, until, until_step


async def _by_task(work: Any) -> Any:
    return await asyncio.create_task(work)


async def _by_gather(work: Any) -> Any:
    return (await asyncio.gather(work))[0]


async def _directly(work: Any) -> Any:
    return await work


WAYS = [_directly, _by_task, _by_gather]


@pytest.mark.parametrize("is_early", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_a_pause_waits_for_the_steps_inside_a_step(
    open_well: Open, way: Any, is_early: bool
) -> None:
    """They begin, sleep and get their events while the pause is coming: the outer step needs them.

    So they do where the outer callable has made their tasks before it waited for anything.
    """
    gate = Gate()

    async def run(event: Any, step: Any) -> Any:
        async def inner() -> Any:
            await gate()
            await step.do("inner", lambda: 1)
            await step.sleep("nap", 20)
            return (await step.wait_for_event("go", type="go", timeout="1 hour")).payload

        async def outer() -> Any:
            if not is_early:
                await asyncio.sleep(0)
            return await way(inner())

        result = await step.do("outer", outer, timeout="30 seconds")
        await step.do("after", lambda: 2)
        return result

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        await instance.pause()
        gate.may_end.set()
        await until_step(instance, "wait_started", "go-1")
        await instance.send_event("go", "went")
        await until(instance, "workflow_paused")
        assert ["inner-1", "outer-1"] == sorted(
            map(str, await steps_of(instance, "step_completed"))
        )
        await instance.resume()

        assert "went" == await instance.result(10)


async def test_what_an_attempt_leaves_behind_belongs_to_it_no_more() -> None:
    """A task that goes on after its attempt belongs to the one around it, if that is in flight."""
    in_flight, may_look = InFlight(), asyncio.Event()

    async def look() -> bool:
        await may_look.wait()
        return in_flight.is_around

    async def attempt() -> asyncio.Task[bool]:
        here = in_flight.enter()
        behind = asyncio.create_task(look())
        in_flight.leave(here)
        return behind

    alone = await attempt()
    outer = in_flight.enter()
    inside = await attempt()
    may_look.set()

    assert not await alone
    assert await inside
    in_flight.leave(outer)
    assert not in_flight.is_around
    assert not in_flight
