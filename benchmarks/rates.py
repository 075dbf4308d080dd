"""Workloads that ask how fast Stepwell works: each gives named numbers."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import stepwell
from benchmarks import workflows
from benchmarks.quantiles import Numbers, p50, p95
from benchmarks.sizes import Sizes
from stepwell import WorkflowInstance
from stepwell.client.client import Stepwell

_BATCH = 100


def open_in(folder: Path, **settings: Any) -> AbstractAsyncContextManager[Stepwell]:
    """Open the one database of a folder, as an author would."""
    return stepwell.open(f"sqlite:///{folder / 'bench.db'}", workflows=workflows.ALL, **settings)


async def many(folder: Path, sizes: Sizes) -> Numbers:
    """Create instances in batches and wait for all of them: steps per second."""
    rates = []
    async with open_in(folder) as well:
        for round_ in range(sizes.rounds):
            started = time.perf_counter()
            await run_many(well, f"round-{round_}", sizes.instances)
            seconds = time.perf_counter() - started
            rates.append(sizes.instances * workflows.STEPS_OF_MANY / seconds)
    return {"steps_per_second": p50(rates), "best": max(rates)}


async def run_many(well: Stepwell, prefix: str, count: int) -> None:
    """Run `count` instances of ten steps to their end."""
    workflow = well.workflow(workflows.Sequence)
    instances: list[WorkflowInstance] = []
    for first in range(0, count, _BATCH):
        instances += await workflow.create_batch(
            [
                {"id": f"{prefix}-{number}", "params": {"steps": workflows.STEPS_OF_MANY}}
                for number in range(first, min(first + _BATCH, count))
            ]
        )
    await asyncio.gather(*(instance.result() for instance in instances))


async def single(folder: Path, sizes: Sizes) -> Numbers:
    """Create an instance of one step and wait for its result, one after the other."""
    times = []
    async with open_in(folder) as well:
        workflow = well.workflow(workflows.Single)
        for _ in range(sizes.singles):
            started = time.perf_counter()
            await (await workflow.create(params={})).result()
            times.append(time.perf_counter() - started)
    return {"p50_ms": p50(times) * 1e3, "p95_ms": p95(times) * 1e3}


async def sequential(folder: Path, sizes: Sizes) -> Numbers:
    """Run one instance of steps that follow each other: steps per second."""
    async with open_in(folder) as well:
        workflow = well.workflow(workflows.Sequence)
        started = time.perf_counter()
        await (await workflow.create(params={"steps": sizes.sequential})).result()
        return {"steps_per_second": sizes.sequential / (time.perf_counter() - started)}


async def history(folder: Path, sizes: Sizes) -> Numbers:
    """Run one long instance: the cost of a step in the half before each mark."""
    wanted = sorted({mark for end in sizes.marks for mark in (end // 2, end)})
    params = {"steps": sizes.marks[-1], "marks": wanted}
    async with open_in(folder) as well:
        at = await (await well.workflow(workflows.Sequence).create(params=params)).result()
    found = {
        f"ms_at_{end}": (at[str(end)] - at[str(end // 2)]) / (end - end // 2) * 1e3
        for end in sizes.marks
    }
    first, last = found[f"ms_at_{sizes.marks[0]}"], found[f"ms_at_{sizes.marks[-1]}"]
    return found | {"last_by_first": last / first}


async def replay(folder: Path, sizes: Sizes) -> Numbers:
    """Fold and run again, in a second open, an instance whose steps are all recorded."""
    async with open_in(folder) as well:
        params = {"steps": sizes.recorded}
        instance = await well.workflow(workflows.Recorded).create(id="long", params=params)
        await wait_until_waiting(instance)
    async with open_in(folder) as well:
        instance = await well.workflow(workflows.Recorded).get("long")
        started = time.perf_counter()
        await instance.send_event(type="go")
        await instance.result()
        return {"steps_per_second": sizes.recorded / (time.perf_counter() - started)}


async def parallel(folder: Path, sizes: Sizes) -> Numbers:
    """Run instances of 100 parallel steps, one after the other, creation included."""
    times = []
    async with open_in(folder) as well:
        workflow = well.workflow(workflows.Parallel)
        for _ in range(sizes.parallels):
            started = time.perf_counter()
            await (await workflow.create(params={})).result()
            times.append(time.perf_counter() - started)
    return {"p50_ms": p50(times) * 1e3, "p95_ms": p95(times) * 1e3}


async def event(folder: Path, sizes: Sizes) -> Numbers:
    """From sending an event to the line after `wait_for_event`, in one process."""
    times = []
    async with open_in(folder) as well:
        workflow = well.workflow(workflows.Waiter)
        for _ in range(sizes.events):
            instance = await workflow.create(params={})
            await wait_until_waiting(instance)
            started = time.perf_counter()
            await instance.send_event(type="go")
            times.append(await instance.result() - started)
    return {"p50_ms": p50(times) * 1e3, "p95_ms": p95(times) * 1e3}


async def wait_until_waiting(instance: WorkflowInstance) -> None:
    """Wait until an instance waits for its event, outside of what is measured."""
    while (await instance.status())["status"] != "waiting":  # noqa: ASYNC110 - no such event
        await asyncio.sleep(0.002)
