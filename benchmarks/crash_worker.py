"""A worker process to kill: `python -m benchmarks.crash_worker FOLDER LEASE_SECONDS`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from benchmarks.rates import open_in


async def main() -> None:
    """Work until killed."""
    async with open_in(Path(sys.argv[1]), lease_seconds=float(sys.argv[2])):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
