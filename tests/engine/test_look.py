"""One look at what a task waits for: quiet, or about to move."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell.engine.quiet import Look


async def _forever() -> None:
    await asyncio.get_running_loop().create_future()


async def _at_once() -> None:
    return


async def _waits_in_group(*members: Awaitable[Any]) -> None:
    async with asyncio.TaskGroup() as tasks:
        for member in members:
            tasks.create_task(member)  # type: ignore[arg-type]  # all are coroutines


async def _waits_under_timeout(member: asyncio.Task[Any], seconds: float | None) -> None:
    async with asyncio.timeout(seconds):
        await member


async def _waits_after_timeout(member: asyncio.Task[Any]) -> None:
    async with asyncio.timeout(3600):
        await asyncio.sleep(0)
    await member


async def _waits_for(member: asyncio.Task[Any]) -> None:
    await member


Make = Callable[[asyncio.Task[Any], asyncio.Task[Any]], Awaitable[Any]]
# Each of a parked task and one that has ended.
QUIET: dict[str, Make] = {
    "the parked task": lambda parked, _: parked,
    "a task": lambda parked, _: _waits_for(parked),
    "gather": asyncio.gather,
    "wait for all": lambda parked, ended: asyncio.wait([parked, ended]),
    "wait for an exception": lambda parked, _: asyncio.wait(
        [parked], return_when=asyncio.FIRST_EXCEPTION
    ),
    "group": lambda parked, _: _waits_in_group(_waits_for(parked)),
    "timeout of None": lambda parked, _: _waits_under_timeout(parked, None),
    "a timeout that is over": lambda parked, _: _waits_after_timeout(parked),
    "wait_for without timeout": lambda parked, _: asyncio.wait_for(parked, None),
}
RESTLESS: dict[str, Make] = {
    "what has ended": lambda _, ended: ended,
    "gather of what has ended": lambda _, ended: asyncio.gather(ended),
    "a future": lambda *_: _forever(),
    "gather with a future": lambda parked, _: asyncio.gather(parked, _forever()),
    "group with a future": lambda parked, _: _waits_in_group(_waits_for(parked), _forever()),
    "timeout": lambda parked, _: _waits_under_timeout(parked, 3600),
    "wait with timeout": lambda parked, _: asyncio.wait([parked], timeout=3600),
    "wait_for": lambda parked, _: asyncio.wait_for(parked, 3600),
    "sleep": lambda *_: asyncio.sleep(3600),
}


@pytest.mark.parametrize("what", [*QUIET, *RESTLESS])
async def test_what_is_quiet(what: str) -> None:
    """Quiet is what waits for parked tasks alone, without a timer, and is not just to be told."""
    parked, ended = asyncio.create_task(_forever()), asyncio.create_task(_at_once())
    for _ in range(3):
        await asyncio.sleep(0)
    future = asyncio.ensure_future({**QUIET, **RESTLESS}[what](parked, ended))
    for _ in range(3):
        await asyncio.sleep(0)

    assert (what in QUIET) == Look({parked}).is_quiet(future)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.gather(parked, future, return_exceptions=True)
