"""A worker process for the SIGKILL test: `killed_worker.py DATABASE EFFECTS`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import stepwell
from stepwell import WorkflowEntrypoint

LIMIT = 30
STEPS = 6


def note(path: str, line: str) -> None:
    """Append a line in one write, so that lines of several processes never mix."""
    file = os.open(path, os.O_APPEND | os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(file, f"{line}\n".encode())
    os.close(file)


class Killed(WorkflowEntrypoint[Any, Any]):
    """Some steps with an effect on disk each, and naps between them."""

    async def run(self, event: Any, step: Any) -> Any:
        config = {"retries": {"limit": LIMIT, "delay": 1, "backoff": "constant"}}

        def work(n: int) -> Any:
            async def call(ctx: Any) -> int:
                note(self.env, f"start {event.instance_id} {n} {os.getpid()}")
                await asyncio.sleep(event.payload)
                return n * n

            return call

        total = 0
        for n in range(STEPS):
            total += await step.do(f"s{n}", config, work(n))
            await step.sleep("nap", 20)
            note(self.env, f"after {event.instance_id} {n} {os.getpid()}")
        return total


async def main(database: str, effects: str) -> None:
    """Work until killed."""
    async with stepwell.open(
        f"sqlite:///{database}", workflows=[Killed], env=effects, lease_seconds=1
    ):
        await asyncio.Event().wait()


if __name__ == "__main__":
    assert Path(sys.argv[1]).parent.is_dir()
    asyncio.run(main(sys.argv[1], sys.argv[2]))
