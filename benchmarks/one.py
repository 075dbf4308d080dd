"""Run one workload in this process and print its numbers as JSON.

`python -m benchmarks.one WORKLOAD FOLDER full|quick|tiny`: a process for each, so that none finds
the memory, threads or files of another.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks import processes, rates, rest
from benchmarks.quantiles import Numbers
from benchmarks.sizes import BY_NAME, Sizes

Workload = Callable[[Path, Sizes], Awaitable[Numbers]]

WORKLOADS: dict[str, Workload] = {
    "many": rates.many,
    "single": rates.single,
    "sequential": rates.sequential,
    "history": rates.history,
    "replay": rates.replay,
    "sleepers": rest.sleepers,
    "parallel": rates.parallel,
    "event": rates.event,
    "crash": processes.crash,
    "start": processes.start,
    "idle": rest.idle,
}


async def main() -> None:
    """Run what the command line names."""
    name, folder, sizes = sys.argv[1:4]
    print(json.dumps(await WORKLOADS[name](Path(folder), BY_NAME[sizes])))


if __name__ == "__main__":
    asyncio.run(main())
