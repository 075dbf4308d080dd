"""D1 among real processes: sharing a file, and dying while writing it."""

import subprocess
import sys
from pathlib import Path

import pytest

from stepwell.runtime.d1 import D1Database

SCRIPT = Path(__file__).with_name("d1_process.py")


def start(path, name, pairs):
    command = [sys.executable, str(SCRIPT), str(path), name, str(pairs)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def counts_by_pair(path):
    async with D1Database(path) as database:
        query = "SELECT name, pair, count(*) AS n FROM rows GROUP BY name, pair"
        return [row["n"] for row in (await database.prepare(query).all()).results]


async def test_processes_that_start_together(tmp_path):
    """Processes that make and fill one new file at once all get in, and nothing is lost."""
    path = tmp_path / "d1" / "app.sqlite"
    processes = [start(path, name, 20) for name in "abc"]
    codes = [process.wait() for process in processes]
    for process in processes:
        process.stdout.close()

    assert [0, 0, 0] == codes
    assert [2] * 60 == await counts_by_pair(path)


@pytest.mark.parametrize("seen", [0, 3, 17])
async def test_killed_while_writing(seen, tmp_path):
    """After a kill -9 each batch is in the file as a whole or not at all, the answered ones are."""
    path = tmp_path / "app.sqlite"
    process = start(path, "a", 100_000)
    for _ in range(seen + 1):
        process.stdout.readline()
    process.kill()
    answered = seen + 1 + len(process.stdout.readlines())
    process.stdout.close()
    process.wait()

    counts = await counts_by_pair(path)

    assert {2} == set(counts)
    assert len(counts) in {answered, answered + 1}
