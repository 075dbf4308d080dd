"""A process that is killed in the middle of a write: each batch is there whole, or not at all."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from asyncio import run
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from stepwell.model.command import Append, Command, SendEvent
from stepwell.model.instance import Lease, Ref
from stepwell.testing.cases.bench import T0, creation
from tests.stores.sqlite.support import bare, opened, said

_INSTANCES = 20
_REFS = [Ref("orders", str(number)) for number in range(_INSTANCES)]


def _write_until_killed(path: Path, told: Connection) -> None:
    async def work() -> None:
        async with opened(path, synchronous="full") as store:
            await store.apply([creation(ref) for ref in _REFS], T0)
            claims = await store.claim(worker="w", workflows=["orders"], limit=99, now_ms=T0)
            leases = [claim.lease for claim in claims]
            number = 0
            while True:
                told.send(number)  # batch `number` may be there from now on, all before it must be
                await store.apply(_batch(leases, number), T0)
                number += 1

    run(work())


def _batch(leases: list[Lease], number: int) -> list[Command]:
    text = json.dumps([number, "x" * 500])
    appends = [Append(lease=lease, facts=said(text, number + 1)) for lease in leases]
    return [*appends, *(SendEvent(ref=ref, type="go", payload=text) for ref in _REFS)]


@pytest.mark.parametrize("batches", [1, 3, 40])
async def test_killed_batch_is_whole_or_absent(tmp_path: Path, batches: int) -> None:
    """After SIGKILL the file is sound; acknowledged batches are there, the last whole or not."""
    path = tmp_path / "well.db"
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_write_until_killed, args=(path, theirs))
    process.start()
    theirs.close()
    started = 0
    while started < batches:
        started = ours.recv()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    while ours.poll():
        try:
            started = ours.recv()
        except EOFError:
            break
    ours.close()

    with bare(path) as connection:
        assert [("ok",)] == connection.execute("PRAGMA integrity_check").fetchall()
    async with opened(path) as store:
        rows = await store.list_instances("orders", status=None, before_key=None, limit=99)
        memories = await store.load([row.key for row in rows])
    seen = {
        (len(memory.facts) - 1, len(memory.events), memory.facts[-1].payload)
        for memory in memories.values()
    }
    assert _INSTANCES == len(memories)
    ((facts, events, _),) = seen
    assert facts == events
    assert facts in {started, started + 1}


async def test_killed_worker_holds_nothing_back(tmp_path: Path) -> None:
    """What a killed process held is freed when its lease is over, and another one can go on."""
    path = tmp_path / "well.db"
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=_write_until_killed, args=(path, theirs))
    process.start()
    theirs.close()
    while ours.recv() < 1:
        pass
    process.kill()
    process.join()
    ours.close()
    async with opened(path) as store:
        freed = await store.reap(now_ms=T0 + 1, limit=99)
        claims = await store.claim(worker="v", workflows=["orders"], limit=99, now_ms=T0 + 1)

    assert (_INSTANCES, _INSTANCES) == (freed, len(claims))
