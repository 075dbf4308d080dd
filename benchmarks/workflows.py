"""The workflows that are measured."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stepwell import WorkflowEntrypoint, WorkflowEvent, WorkflowStep

Event = WorkflowEvent[dict[str, Any]]
PARALLEL = 100
STEPS_OF_MANY = 10


async def work() -> dict[str, int]:
    """Do nothing: what is measured is everything around it."""
    return {"n": 1}


class Single(WorkflowEntrypoint[None, dict[str, Any]]):
    async def run(self, event: Event, step: WorkflowStep) -> dict[str, int]:
        return await step.do("only", work)


class Sequence(WorkflowEntrypoint[None, dict[str, Any]]):
    """`steps` steps; gives the seconds since its start at each step of `marks`."""

    async def run(self, event: Event, step: WorkflowStep) -> dict[str, float]:
        marks = set(event.payload.get("marks", ()))
        seconds: dict[str, float] = {}
        started = time.perf_counter()
        for number in range(event.payload["steps"]):
            await step.do(f"step {number}", work)
            if number + 1 in marks:
                seconds[str(number + 1)] = time.perf_counter() - started
        return seconds


class Recorded(WorkflowEntrypoint[None, dict[str, Any]]):
    """`steps` steps, then a wait: what follows the event replays all of them."""

    async def run(self, event: Event, step: WorkflowStep) -> int:
        for number in range(event.payload["steps"]):
            await step.do(f"step {number}", work)
        await step.wait_for_event("the end", type="go", timeout="1 day")
        return int(event.payload["steps"])


class Parallel(WorkflowEntrypoint[None, dict[str, Any]]):
    async def run(self, event: Event, step: WorkflowStep) -> None:
        await asyncio.gather(*(step.do(f"step {number}", work) for number in range(PARALLEL)))


class Waiter(WorkflowEntrypoint[None, dict[str, Any]]):
    """Gives the moment at which it went on, of this process's clock."""

    async def run(self, event: Event, step: WorkflowStep) -> float:
        await step.wait_for_event("the word", type="go", timeout="1 hour")
        return time.perf_counter()


class Sleeper(WorkflowEntrypoint[None, dict[str, Any]]):
    """Sleeps until `due`, a timestamp; gives by how many seconds it was late."""

    async def run(self, event: Event, step: WorkflowStep) -> float:
        due: float | None = event.payload.get("due")
        if due is None:
            await step.sleep("for long", timedelta(days=100))
            return 0.0
        await step.sleep_until("due", datetime.fromtimestamp(due, UTC))
        return time.time() - due


class Logged(WorkflowEntrypoint[None, dict[str, Any]]):
    """Steps for ever, each a line `instance step process time` in the file `log`."""

    async def run(self, event: Event, step: WorkflowStep) -> None:
        number = 0
        while number < event.payload["steps"]:
            await step.do(f"step {number}", self._note_of(event, number))
            number += 1

    def _note_of(self, event: Event, number: int) -> Any:
        async def note() -> int:
            await asyncio.sleep(0.02)
            line = f"{event.instance_id} {number} {os.getpid()} {time.time()}\n"
            # One short write in append mode: processes do not mix their lines.
            with Path(event.payload["log"]).open("a") as log:  # noqa: ASYNC230 - as short as it gets
                log.write(line)
            return os.getpid()

        return note


ALL = [Single, Sequence, Recorded, Parallel, Waiter, Sleeper, Logged]
