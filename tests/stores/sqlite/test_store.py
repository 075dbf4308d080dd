"""What the SQLite store promises beyond the contract: threads, sizes, idleness, long histories."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from stepwell.errors import StoreError
from stepwell.model.command import Append, Create, Finish, Hibernate, Restart
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.model.step import Fact, FactKind, StepKey, StepKind
from stepwell.stores.sqlite import store as store_module
from stepwell.stores.sqlite.statements import Statements
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.testing.cases.bench import ERROR_MS, T0, applied, create, creation, held
from tests.stores.sqlite.support import REF, append, bare, locked, opened, payloads, store_threads

_CLAIMABLE = {
    InstanceStatus.QUEUED,
    InstanceStatus.RUNNING,
    InstanceStatus.WAITING,
    InstanceStatus.ROLLING_BACK,
}


async def test_closing_ends_threads_and_files(tmp_path: Path) -> None:
    """After close no thread lives, and the log has been moved into the file."""
    async with opened(tmp_path / "well.db") as store:
        await create(store, REF)
        assert ["stepwell-reader", "stepwell-writer"] == sorted(store_threads())

    assert [] == store_threads()
    assert ["well.db"] == [path.name for path in tmp_path.iterdir()]


async def test_closing_finishes_what_is_under_way(tmp_path: Path) -> None:
    """Writes that were given before close are done before it returns."""
    path = tmp_path / "well.db"
    store = SQLiteStore(path, synchronous="off")
    await store.open()
    tasks = [
        asyncio.ensure_future(store.apply([creation(Ref("orders", str(number)))], T0))
        for number in range(20)
    ]
    await asyncio.sleep(0)
    await store.close()
    await asyncio.gather(*tasks)
    async with opened(path) as again:
        assert {InstanceStatus.QUEUED: 20} == await again.count_by_status("orders")


async def test_what_workers_ask_often_is_answered_at_once(tmp_path: Path) -> None:
    """The small questions of a worker's loop need no change of thread."""
    async with opened(tmp_path / "well.db") as store:
        reader: Any = store._reader
        reader._pace.note(0.0, is_here=True)
        served, reader._jobs = reader._jobs, SimpleQueue()  # which nobody serves
        async with asyncio.timeout(5):
            assert [] == await store.signals("w")
            assert None is await store.next_ready_ms(["orders"])
            assert [] == await store.pending_events(1, 0)
            assert None is await store.last_fact(1)
            assert None is await store.find(REF)
        reader._jobs = served


async def test_store_that_is_not_open_says_so(tmp_path: Path) -> None:
    """Before open and after close every method says that the store is not open."""
    store = SQLiteStore(tmp_path / "well.db", synchronous="off")
    with pytest.raises(StoreError, match=r"well\.db is not open; call open\(\) first"):
        await store.find(REF)
    await store.open()
    await store.open()
    await store.close()
    with pytest.raises(StoreError, match=r"well\.db is not open"):
        await store.apply([creation(REF)], T0)
    await store.open()
    await create(store, REF)
    await store.close()


async def test_long_histories_do_not_hold_the_event_loop_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many are read in pieces and a long one in pages, and others have their turns between."""
    monkeypatch.setattr(store_module, "_BYTES_OF_ROW", store_module._SHORT_BYTES_MAX // 8)
    async with opened(tmp_path / "well.db") as store:
        leases = [await held(store, Ref("orders", str(number))) for number in range(4)]
        for number, lease in enumerate(leases):
            for _ in range(2 if number < 3 else 20):
                await applied(store, append(lease, str(number)))
        for _ in range(20):  # what was done of late was quick
            await store.last_fact(leases[0].key)
        keys = [lease.key for lease in leases]
        reads = _watch_short_reads(monkeypatch)
        memories = await store.load(keys)

    assert keys == list(memories)
    assert [3, 3, 3, 21] == [len(memory.facts) for memory in memories.values()]
    assert [8, 6, 8, 3, 8, 8, 5] == [rows for rows, _ in reads]
    assert {threading.current_thread()} == {thread for _, thread in reads}


def _watch_short_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> list[tuple[int, threading.Thread]]:
    """Note of each short read how many rows it gave, and in which thread it was."""
    reads: list[tuple[int, threading.Thread]] = []
    read = store_module._read_short

    def watched(cursor: sqlite3.Cursor) -> tuple[list[Any], bool]:
        rows, is_all = read(cursor)
        reads.append((len(rows), threading.current_thread()))
        return rows, is_all

    monkeypatch.setattr(store_module, "_read_short", watched)  # nothing else tells where it was
    return reads


async def test_cancelled_caller_harms_nobody(tmp_path: Path) -> None:
    """A caller that is cancelled while it waits leaves the store as good as before."""
    async with opened(tmp_path / "well.db") as store:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await store.apply([creation(REF)], T0)
        await applied(store, creation(Ref("orders", "b")))


def test_store_may_change_its_loop(tmp_path: Path) -> None:
    """A store that is opened in one event loop can be used and closed in another."""
    store = SQLiteStore(tmp_path / "well.db", synchronous="off")
    asyncio.run(store.open())
    asyncio.run(applied(store, creation(REF)))
    asyncio.run(store.close())

    assert [] == store_threads()


async def test_idle_workers_do_not_write(tmp_path: Path) -> None:
    """Reaping and purging where there is nothing to do need no write lock."""
    path = tmp_path / "well.db"
    async with opened(path, busy_timeout_seconds=0.01) as store:
        await store.beat(worker="worker-1", expires_ms=T0 + 100, now_ms=T0)
        await held(store, REF)
        with locked(path):
            assert 0 == await store.reap(now_ms=T0 + 99, limit=9)
            assert 0 == await store.purge(now_ms=T0 + 99, limit=9)
            assert None is await store.next_ready_ms(["orders"])


async def test_purge_is_bounded_by_facts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One turn of purging stops at many facts, so that writers need not wait long."""
    monkeypatch.setattr(store_module, "_PURGE_FACTS_MAX", 25)
    async with opened(tmp_path / "well.db") as store:
        for number in range(5):
            lease = await held(store, Ref("orders", str(number)))
            facts = tuple(Fact(FactKind.STEP_RAN, T0) for _ in range(11))
            end = Finish(lease=lease, status=InstanceStatus.COMPLETE, facts=facts)
            await applied(store, end)

        purged = [await store.purge(now_ms=T0 + ERROR_MS, limit=99) for _ in range(4)]
        assert [2, 2, 1, 0] == purged


async def test_sleeper_takes_less_than_a_kibibyte(tmp_path: Path) -> None:
    """An instance that sleeps after two steps takes less than 1 KiB of disk with all indexes."""
    path, count = tmp_path / "well.db", 2_000
    async with opened(path) as store:
        batch: list[Create] = [
            creation(Ref("onboarding", f"customer-{number:08}"), params='{"customer":12345678}')
            for number in range(count)
        ]
        await store.apply(batch, T0)
        claims = await store.claim(worker="w", workflows=["onboarding"], limit=count, now_ms=T0)
        await store.apply([_sleep(claim.lease) for claim in claims], T0)

    assert 1024 > path.stat().st_size / count


def _sleep(lease: Lease) -> Hibernate:
    facts = [Fact(FactKind.STARTED, T0)]
    facts += [
        Fact(
            FactKind.STEP_RAN,
            T0,
            step=StepKey(StepKind.DO, f"send welcome mail {ordinal}", 1),
            ordinal=ordinal,
            attempt=1,
            began_ms=T0,
            payload='{"mail":"0123456789abcdef"}',
        )
        for ordinal in (1, 2)
    ]
    sleep = StepKey(StepKind.SLEEP, "cool off", 1)
    facts.append(Fact(FactKind.SLEEP_STARTED, T0, step=sleep, ordinal=3, due_ms=T0 + 10**9))
    return Hibernate(lease=lease, facts=tuple(facts), wake_ms=T0 + 10**9)


async def test_long_history_comes_back(tmp_path: Path) -> None:
    """A history of 20,000 facts, written in batches above every width, comes back in order."""
    async with opened(tmp_path / "well.db") as store:
        lease = await held(store, REF)
        for start in range(0, 20_000, 4_000):
            batch = [append(lease, str(number)) for number in range(start, start + 4_000)]
            await store.apply(batch, T0)

        assert [str(number) for number in range(20_000)] == await payloads(store, lease.key)


async def test_facts_of_one_instance_never_go_back(tmp_path: Path) -> None:
    """Where the newest facts of the file go by a restart, the next ones still have greater ids."""
    async with opened(tmp_path / "well.db") as store:
        seen = 0
        for number in range(3):
            lease = await held(store, Ref("orders", str(number)))
            await applied(store, Append(lease=lease, facts=(Fact(FactKind.STEP_RAN, T0),) * 3))
            before = [fact.id for fact in (await store.load([lease.key]))[lease.key].facts]
            await applied(store, Restart(ref=Ref("orders", str(number))))
            after = [fact.id for fact in (await store.load([lease.key]))[lease.key].facts]

            assert max(before) < min(after)
            assert seen < min(before)
            seen = max(after)


async def test_file_can_be_read_beside_the_store(tmp_path: Path) -> None:
    """Another program may read the file while the store is open."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        await create(store, REF)
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
            (count,) = connection.execute("SELECT count(*) FROM instances").fetchone()
        connection.close()

    assert 1 == count


@pytest.mark.parametrize(
    "change",
    [
        f"ready_ms = {T0 + 1}",
        "ready_ms = NULL",
        "owner = 'other'",
        *[f"status = '{one}'" for one in InstanceStatus if one not in _CLAIMABLE],
    ],
)
async def test_a_claim_looks_at_each_row_itself(tmp_path: Path, change: str) -> None:
    """The statement that claims leaves alone what is not ready, held, or in a status at rest."""
    path = tmp_path / "well.db"
    async with opened(path) as store:
        one = await create(store)
        with bare(path) as connection:
            sql = Statements(connection, T0)
            connection.execute(f"UPDATE instances SET {change}")
            claimed = sql.run("claim", worker="w", keys=json.dumps([one.key]))

    assert [] == claimed
