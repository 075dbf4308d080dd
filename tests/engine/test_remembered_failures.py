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
from tests.engine.support import flow, steps_of, until


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
