"""Several processes, or several stores of one process, on one file."""

from __future__ import annotations

import asyncio
import multiprocessing
from asyncio import run
from multiprocessing.queues import Queue
from pathlib import Path

import pytest

from stepwell.errors import StoreError
from stepwell.model.command import Append, Create, Finish, Outcome, SendEvent
from stepwell.model.instance import InstanceStatus, Ref
from stepwell.stores.sqlite.change_mark import ChangeMark
from stepwell.testing.cases.bench import T0, applied, create, creation, held, row
from tests.stores.sqlite.support import REF, append, opened, payloads

_INSTANCES = 300


def _claim_all(path: Path, worker: str, claimed: Queue[tuple[str, str]]) -> None:
    async def work() -> None:
        async with opened(path) as store:
            while claims := await store.claim(
                worker=worker, workflows=["orders"], limit=7, now_ms=T0
            ):
                outcomes = await store.apply(
                    [
                        Finish(lease=claim.lease, status=InstanceStatus.COMPLETE, facts=())
                        for claim in claims
                    ],
                    T0,
                )
                assert {Outcome.APPLIED} == set(outcomes)
                for claim in claims:
                    claimed.put((worker, claim.instance.id))
        claimed.put((worker, ""))

    run(work())


async def test_processes_never_claim_one_twice(tmp_path: Path) -> None:
    """Processes that claim from one file at once share the instances, and hold none twice."""
    path, spawning = tmp_path / "well.db", multiprocessing.get_context("spawn")
    async with opened(path) as store:
        batch = [creation(Ref("orders", f"{number:03}")) for number in range(_INSTANCES)]
        await store.apply(batch, T0)
    claimed: Queue[tuple[str, str]] = spawning.Queue()
    processes = [
        spawning.Process(target=_claim_all, args=(path, f"w{number}", claimed))
        for number in range(3)
    ]
    for process in processes:
        process.start()
    ids: list[str] = []
    running = len(processes)
    while running:
        _, id_ = claimed.get()
        if id_:
            ids.append(id_)
        else:
            running -= 1
    for process in processes:
        process.join()

    assert [f"{number:03}" for number in range(_INSTANCES)] == sorted(ids)
    assert [0] * len(processes) == [process.exitcode for process in processes]


async def test_stores_of_one_file_see_the_same(tmp_path: Path) -> None:
    """What one store has written is what the other reads, claims, and fences by."""
    path = tmp_path / "well.db"
    async with opened(path) as one, opened(path) as two:
        lease = await held(one, REF)
        assert await row(one) == await row(two)
        await applied(two, append(lease, "by two"))
        await applied(one, append(lease, "by one"))
        assert ["by two", "by one"] == await payloads(two, lease.key)
        assert 1 == await two.reap(now_ms=T0, limit=9)
        await applied(two, SendEvent(ref=REF, type="go", payload="1"))
        late = await one.apply([append(lease, "late"), Append(lease=lease, facts=())], T0)

        assert [Outcome.SUPERSEDED] * 2 == late
        assert 1 == len(await one.pending_events(lease.key, 0))


async def test_stores_may_write_at_once(tmp_path: Path) -> None:
    """Writers of one file wait for each other, and no write is lost."""
    path = tmp_path / "well.db"
    async with opened(path) as one, opened(path) as two:
        batches: list[list[Create]] = [
            [creation(Ref("orders", f"{batch}-{number}")) for number in range(5)]
            for batch in range(20)
        ]
        outcomes = await asyncio.gather(
            *(store.apply(batch, T0) for batch in batches for store in (one, two))
        )
        found = await one.count_by_status("orders")

    applied_ = sum(some.count(Outcome.APPLIED) for some in outcomes)
    assert (100, {InstanceStatus.QUEUED: 100}) == (applied_, found)


# ---- change_mark -------------------------------------------------------------------------------


async def test_mark_moves_with_commits_of_others(tmp_path: Path) -> None:
    """Each look after a commit of another store gives another mark."""
    path = tmp_path / "well.db"
    async with opened(path) as one, opened(path) as two:
        for number in range(30):  # many within one tick of the file's times
            before = await one.change_mark()
            await create(two, Ref("orders", str(number)))

            assert before != await one.change_mark()


async def test_mark_stays_with_own_commits(tmp_path: Path) -> None:
    """A store's own commits and reads, and looking, leave the mark as it is."""
    async with opened(tmp_path / "well.db") as store:
        before = await store.change_mark()
        for number in range(5):
            await create(store, Ref("orders", str(number)))
            await store.claim(worker="w", workflows=["orders"], limit=1, now_ms=T0)

            assert before == await store.change_mark()


async def test_mark_does_not_ask_while_files_rest(tmp_path: Path) -> None:
    """While the files stay as they are the mark costs no query."""
    async with opened(tmp_path / "well.db") as store:
        await create(store, REF)
        for _ in range(3):
            await store.change_mark()
        writer = store._writer
        assert writer is not None
        asked: list[str] = []
        await writer.call(lambda connection: connection.set_trace_callback(asked.append))
        await store.change_mark()
        await writer.call(lambda connection: connection.set_trace_callback(None))

    assert [] == asked


async def test_mark_that_cannot_be_looked_at_is_an_error_of_ours(tmp_path: Path) -> None:
    """What the system refuses at the look is told as a StoreError that names the file."""
    (tmp_path / "no-folder").touch()
    async with opened(tmp_path / "well.db") as store:
        store._mark = ChangeMark(tmp_path / "no-folder" / "well.db")
        with pytest.raises(StoreError, match="no-folder"):
            await store.change_mark()
