"""A process that runs one analysis in a folder, and may kill itself when a step's work is done.

    python invention_process.py FOLDER KILL_AT

At the KILL_AT-th step of this process it dies by SIGKILL, between the step's work and the storing
of its result: the worst moment. With 0 it runs to the end and writes the report.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

from invention.corpus import load_conversations
from invention.models import AnalysisParams
from invention.repository import Analyses
from invention.workflow import InventionAnalysis

import stepwell
from stepwell.runtime.d1 import D1Database


class DeadlyEnv:
    """An environment whose effects log is a trap for the n-th step that wants to write to it."""

    RETRY_DELAY = "1 ms"

    def __init__(self, folder: Path, kill_at: int) -> None:
        self.DB = D1Database(folder / "d1.db")
        self._log = folder / "effects.log"
        self._left = kill_at

    @property
    def EFFECTS_LOG(self) -> str:
        """Give the log; asked between a step's work and the line for it."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return str(self._log)


async def main(folder: Path, kill_at: int) -> None:
    """Start the analysis, or go on with it, and wait for its end."""
    env = DeadlyEnv(folder, kill_at)
    url = f"sqlite:///{folder / 'stepwell.db'}"
    async with stepwell.open(
        url, workflows=[InventionAnalysis], env=env, lease_seconds=1.0
    ) as well:
        workflow = well.workflow(InventionAnalysis)
        try:
            instance = await workflow.get("analysis")
        except stepwell.InstanceNotFound:
            params = AnalysisParams(conversation=load_conversations()["smart-drip"])
            instance = await workflow.create(id="analysis", params=params)
        await instance.result(timeout=30)
        report = await (await Analyses.open(env.DB)).report("analysis")
    await env.DB.close()
    (folder / "report.md").write_text(report or "")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
