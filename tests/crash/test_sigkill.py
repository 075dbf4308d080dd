"""Real worker processes on one file die by SIGKILL at random moments."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import stepwell
from stepwell.engine.system_clock import SystemClock
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.faults import check_nothing_stranded
from tests.crash.killed_worker import LIMIT, STEPS, Killed

_SCRIPT = Path(__file__).with_name("killed_worker.py")
_TOTAL = sum(n * n for n in range(STEPS))


def _start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(_SCRIPT), str(folder / "well.db"), str(folder / "effects")],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()


async def _stop_between_writes(process: subprocess.Popen[bytes], file: Path) -> None:
    """Stop a worker, but not while it holds the write lock: nobody could go on then."""
    while True:
        process.send_signal(signal.SIGSTOP)
        connection = sqlite3.connect(file, timeout=0.2, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        except sqlite3.OperationalError:
            process.send_signal(signal.SIGCONT)
            await asyncio.sleep(0.01)
        else:
            return
        finally:
            connection.close()


def _effects(folder: Path) -> list[list[str]]:
    file = folder / "effects"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


@pytest.mark.slow
async def test_many_kills(tmp_path: Path) -> None:
    """After many SIGKILLs all instances end right, and no finished step ran again."""
    chance, url = random.Random(7), f"sqlite:///{tmp_path}/well.db"
    async with stepwell.open(url, workflows=[Killed], worker=False) as well:
        work = well.workflow(Killed)
        instances = [await work.create(id=f"i{n}", params=0.05) for n in range(20)]
        workers = [_start(tmp_path), _start(tmp_path)]
        try:
            for kill in range(10):
                await asyncio.sleep(chance.uniform(0.2, 1.2))
                _end(workers[kill % 2])
                workers[kill % 2] = _start(tmp_path)
            outputs = [await instance.result(30) for instance in instances]
        finally:
            for worker in workers:
                _end(worker)
        assert [_TOTAL] * 20 == outputs

    store = SQLiteStore(tmp_path / "well.db")
    await store.open()
    assert {} == await check_nothing_stranded(store, ["Killed"], now_ms=SystemClock().now_ms())
    await store.close()
    passed: set[tuple[str, str]] = set()
    for what, instance, step, _ in _effects(tmp_path):
        if what == "after":  # user code has gone on behind the step, so its result is committed
            passed.add((instance, step))
        else:
            assert (instance, step) not in passed
    starts = Counter(tuple(line[1:3]) for line in _effects(tmp_path) if line[0] == "start")
    assert max(starts.values()) <= LIMIT + 1


async def test_stopped_past_its_lease(tmp_path: Path) -> None:
    """A worker stopped past its lease writes nothing when it goes on: another one has the run."""
    url = f"sqlite:///{tmp_path}/well.db"
    async with stepwell.open(url, workflows=[Killed], worker=False) as well:
        instance = await well.workflow(Killed).create(id="i", params=0.3)
        workers = [_start(tmp_path)]
        try:
            while not _effects(tmp_path):  # noqa: ASYNC110  (another process writes it)
                await asyncio.sleep(0.01)
            await _stop_between_writes(workers[0], tmp_path / "well.db")
            workers.append(_start(tmp_path))
            assert _TOTAL == await instance.result(30)
            events = await instance.events()
            workers[0].send_signal(signal.SIGCONT)
            await asyncio.sleep(0.7)

            assert events == await instance.events()
            _end(workers[1])
            later = await well.workflow(Killed).create(id="later", params=0)
            assert _TOTAL == await later.result(30)
        finally:
            for worker in workers:
                _end(worker)
    pids = {line[3] for line in _effects(tmp_path) if line[:2] == ["after", "later"]}
    assert {str(workers[0].pid)} == pids
