"""Threads of sync steps: what waits for a free one, and what one that never ends holds up."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from tests.engine.support import Open, error_of, events_of, fast, flow, types_of, until_step


async def test_the_timeout_does_not_count_the_wait_for_a_thread(open_well: Open) -> None:
    """A step that waits for a free thread for longer than its timeout still has all of it."""
    may_end = threading.Event()
    ran: list[str] = []

    async def run(event: Any, step: Any) -> str:
        def hold() -> None:
            may_end.wait(10)

        def work() -> str:
            ran.append("work")
            return "done"

        if event.payload == "hold":
            return str(await step.do("hold", fast(0), hold))
        return str(await step.do("work", fast(0, timeout=50), work))

    async with open_well([flow(run)], max_threads=1) as well:
        workflow = well.workflow("Flow")
        first = await workflow.create(id="first", params="hold")
        await until_step(first, "step_started", "hold-1")
        second = await workflow.create(id="second", params="work")
        await until_step(second, "step_started", "work-1")
        await asyncio.sleep(0.15)
        assert [] == ran
        may_end.set()

        assert "done" == await second.result(10)
        assert ["work"] == ran
        assert [] == await events_of(second, "attempt_errored")


async def test_a_thread_that_never_ends_fails_the_next_attempt(open_well: Open) -> None:
    """No second thread is started beside it, and the attempt that waits for it times out."""
    may_end = threading.Event()
    calls: list[int] = []

    async def run(event: Any, step: Any) -> None:
        def work(ctx: Any) -> None:
            calls.append(ctx.attempt)
            may_end.wait(30)

        await step.do("work", fast(1, timeout=50), work)

    async with open_well([flow(run)], grace_seconds=0) as well:
        try:
            instance = await well.workflow("Flow").create(id="a")
            error = await error_of(instance)

            assert "WorkflowTimeoutError" == error["name"]
            assert "has not ended within the timeout of 50 ms" in error["message"]
            assert [1] == calls
            assert 2 == (await types_of(instance)).count("attempt_errored")
        finally:
            may_end.set()
