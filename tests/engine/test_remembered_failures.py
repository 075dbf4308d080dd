"""A failure that is remembered strikes no earlier than it did when it happened."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell import NonRetryableError
from stepwell.errors import StoreError
from stepwell.model.command import SetStatus
from stepwell.stores.memory import MemoryStore
from tests.engine.support import error_of, flow, steps_of, until, until_step


class FailsToBegin(MemoryStore):
    """A memory store that cannot write, the first time, that a rollback begins."""

    has_failed = False

    async def apply(self, commands: Any, now_ms: int) -> Any:
        if not self.has_failed and any(isinstance(one, SetStatus) for one in commands):
            self.has_failed = True
            raise StoreError("not now")
        return await super().apply(commands, now_ms)


async def _nested(depth: int, work: Any) -> None:
    """Await work behind so many gathers: each needs a turn of the event loop to begin."""
    if depth == 0:
        await work()
    else:
        await asyncio.gather(_nested(depth - 1, work))


@pytest.mark.parametrize("depth", [1, 3, 12])
async def test_branches_behind_a_remembered_failure_can_be_undone(depth: int) -> None:
    """A replay whose first branch fails at once still learns how to undo what lies deep inside."""
    undone: list[str] = []
    go_on = asyncio.Event()

    async def fails() -> None:
        await go_on.wait()
        raise NonRetryableError("no")

    async def run(event: Any, step: Any) -> Any:
        async def deep() -> None:
            await step.do("deep", lambda: 1, rollback=lambda: undone.append("deep"))
            go_on.set()

        await asyncio.gather(step.do("fails", fails), _nested(depth, deep))

    store = FailsToBegin()
    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_errored")

        assert store.has_failed
        assert ["deep"] == undone
        assert ["deep-1"] == await steps_of(instance, "rollback_step_completed")
        assert [] == await steps_of(instance, "rollback_step_errored")


async def test_a_failure_that_is_cancelled_while_it_is_remembered_is_over() -> None:
    """What fails later waits for no failure of a branch that a race has ended meanwhile."""

    async def fails() -> None:
        raise NonRetryableError("no")

    async def run(event: Any, step: Any) -> Any:
        async def loses() -> None:
            await asyncio.gather(step.do("bad", fails), return_exceptions=True)
            await step.wait_for_event("never", type="never")

        wins = asyncio.create_task(step.wait_for_event("ok", type="ok"))
        loser = asyncio.create_task(loses())
        await asyncio.wait({loser, wins}, return_when=asyncio.FIRST_COMPLETED)
        loser.cancel()
        await step.sleep("nap", 30)
        await step.do("worse", fails)

    async with stepwell.open(
        "memory://", workflows=[flow(run)], linger_seconds=0, max_warm=0
    ) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "never-1")
        await instance.send_event("ok")

        assert "no" == (await error_of(instance))["message"]
