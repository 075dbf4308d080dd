"""A process of its own that adds pairs of rows to a D1 database, saying each pair that is in.

python d1_process.py FILE NAME PAIRS
"""

from __future__ import annotations

import asyncio
import sys

from stepwell.runtime.d1 import D1Database


async def main(path: str, name: str, pairs: int) -> None:
    """Add so many pairs, the two rows of each in one batch."""
    async with D1Database(path) as database:
        await database.exec("CREATE TABLE IF NOT EXISTS rows (name TEXT, pair INTEGER)")
        add = database.prepare("INSERT INTO rows VALUES (?, ?)")
        for pair in range(pairs):
            await database.batch([add.bind(name, pair), add.bind(name, pair)])
            print(pair, flush=True)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
