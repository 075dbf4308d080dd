"""A worker process that dies in the first turn of a step: `dying_worker.py DATABASE LIMIT`."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import Any

import stepwell
from stepwell import WorkflowEntrypoint
from tests.crash.killed_worker import note
from tests.engine.support import fast


class Dying(WorkflowEntrypoint[Any, Any]):
    """One step, which kills its process, or fails where it may not do that."""

    async def run(self, event: Any, step: Any) -> Any:
        async def work(ctx: Any) -> None:
            note(self.env["starts"], f"{ctx.attempt} {os.getpid()}")
            if self.env["dies"]:
                os._exit(9)
            raise ValueError("alive, and failed")

        return await step.do("work", fast(event.payload), work)


async def main(database: str, limit: int) -> None:
    """Create the instance, and work until it kills this process."""
    env = {"starts": f"{database}.starts", "dies": True}
    async with stepwell.open(f"sqlite:///{database}", workflows=[Dying], env=env) as well:
        instance = await well.workflow(Dying).create(id="a", params=limit)
        await instance.result(30)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
