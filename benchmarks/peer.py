"""The same workloads on DBOS, with its SQLite default: `python -m benchmarks.peer WORKLOAD …`.

Arguments: the workload, a folder, full|quick|tiny, and the journal mode: `default` leaves the one
that DBOS uses, `wal` switches its file to WAL, which DBOS itself does not.

Durability is made the same as ours: each connection of its engine is set to synchronous=FULL when
it is opened, and one of them is asked before anything is measured.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOS, SetWorkflowID

from benchmarks.quantiles import Numbers, p50, p95
from benchmarks.sizes import BY_NAME, Sizes
from benchmarks.workflows import PARALLEL, STEPS_OF_MANY

# DBOS notices a message of SQLite by polling, once a second by default. Its documented minimum is
# 0.001 s; this serves it better than the default and leaves it the processor for the rest.
_POLL_SECONDS = 0.002
_FULL = 2


@DBOS.step()
async def work() -> dict[str, int]:
    """Do nothing, durably."""
    return {"n": 1}


@DBOS.workflow()
async def sequence(steps: int) -> int:
    """Run steps one after the other."""
    for _ in range(steps):
        await work()
    return steps


@DBOS.workflow()
async def fan_out() -> None:
    """Run 100 steps at once."""
    await asyncio.gather(*(work() for _ in range(PARALLEL)))


@DBOS.workflow()
async def waiter() -> float:
    """Give the moment at which the message was there."""
    await DBOS.recv_async("go", timeout_seconds=60)
    return time.perf_counter()


async def many(sizes: Sizes) -> Numbers:
    """Run instances of ten steps, with each of some concurrencies; keep the best rate."""
    rates = {at: await _rate_at(at, sizes.peer_instances) for at in sizes.peer_concurrency}
    best = max(rates, key=lambda at: rates[at])
    return {"steps_per_second": rates[best], "concurrency": best}


async def _rate_at(concurrency: int, instances: int) -> float:
    gate = asyncio.Semaphore(concurrency)

    async def one() -> None:
        async with gate:
            await (await DBOS.start_workflow_async(sequence, STEPS_OF_MANY)).get_result()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(instances)))
    return instances * STEPS_OF_MANY / (time.perf_counter() - started)


async def single(sizes: Sizes) -> Numbers:
    """Start a workflow of one step and wait for its result."""
    return await _latencies(sizes.peer_singles, lambda: sequence(1))


async def sequential(sizes: Sizes) -> Numbers:
    """Run one workflow of steps that follow each other."""
    started = time.perf_counter()
    await sequence(sizes.peer_sequential)
    return {"steps_per_second": sizes.peer_sequential / (time.perf_counter() - started)}


async def parallel(sizes: Sizes) -> Numbers:
    """Run workflows of 100 parallel steps, one after the other."""
    return await _latencies(sizes.peer_parallels, fan_out)


async def event(sizes: Sizes) -> Numbers:
    """From sending a message to the line after the receive, in one process."""
    times = []
    for number in range(sizes.peer_events):
        with SetWorkflowID(f"waiter-{number}"):
            handle = await DBOS.start_workflow_async(waiter)
        # There is no status that tells that it waits; this is long enough, and not measured.
        await asyncio.sleep(0.2)
        started = time.perf_counter()
        await DBOS.send_async(handle.workflow_id, "word", topic="go")
        times.append(await handle.get_result() - started)
    return {"p50_ms": p50(times) * 1e3, "p95_ms": p95(times) * 1e3}


async def _latencies(count: int, run: Callable[[], Awaitable[Any]]) -> Numbers:
    times = []
    for _ in range(count):
        started = time.perf_counter()
        await run()
        times.append(time.perf_counter() - started)
    return {"p50_ms": p50(times) * 1e3, "p95_ms": p95(times) * 1e3}


WORKLOADS: dict[str, Callable[[Sizes], Awaitable[Numbers]]] = {
    "many": many,
    "single": single,
    "sequential": sequential,
    "parallel": parallel,
    "event": event,
}


def _launch(folder: Path, journal: str) -> DBOS:
    """Start DBOS on a fresh file, durably, and see that it is so."""

    @sqlalchemy.event.listens_for(sqlalchemy.Engine, "connect")
    def make_durable(connection: Any, _record: Any) -> None:
        if journal == "wal":
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    peer = DBOS(
        config={
            "name": "bench",
            "system_database_url": f"sqlite:///{folder / 'peer.db'}",
            "log_level": "ERROR",
            "notification_listener_polling_interval_sec": _POLL_SECONDS,
        }
    )
    DBOS.launch()
    return peer


def _asked(peer: DBOS) -> tuple[str, int]:
    """Ask a connection of DBOS's engine for its journal mode and its durability."""
    with peer._sys_db.engine.connect() as connection:  # noqa: SLF001 - it has no public way
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar_one()
        return mode, connection.exec_driver_sql("PRAGMA synchronous").scalar_one()


async def _measure(name: str, sizes: Sizes) -> Numbers:
    await sequence(1)
    return await WORKLOADS[name](sizes)


def main() -> None:
    """Run what the command line names."""
    name, folder, sizes, journal = sys.argv[1:5]
    peer = _launch(Path(folder), journal)
    try:
        mode, synchronous = _asked(peer)
        if synchronous != _FULL:
            raise RuntimeError(f"DBOS runs with synchronous={synchronous}; it must be {_FULL}")
        found = asyncio.run(_measure(name, BY_NAME[sizes]))
    finally:
        DBOS.destroy()
    print(json.dumps(found | {"is_wal": float(mode == "wal")}))


if __name__ == "__main__":
    main()
