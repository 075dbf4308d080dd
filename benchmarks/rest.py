"""Workloads that ask what Stepwell costs while nothing happens: sleepers, and an idle worker."""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import workflows
from benchmarks.quantiles import Numbers, p50, p95
from benchmarks.rates import open_in
from benchmarks.sizes import Sizes
from stepwell.client.client import Stepwell
from stepwell.model.instance import InstanceStatus
from stepwell.stores.sqlite.store import SQLiteStore

_BATCH = 100
# Longer than the time for which a short sleep keeps its place in memory.
_LEAD_SECONDS = 2.0


async def sleepers(folder: Path, sizes: Sizes) -> Numbers:
    """Put many instances to sleep; then, among them, see how late due ones start."""
    async with open_in(folder) as well:
        # As many first as fill SQLite's page cache and the place for warm runs: both are bounded,
        # and belong to no sleeper.
        await _put_to_sleep(well, "warm", sizes.sleepers_before)
        memory_before = _memory_bytes()
        await _put_to_sleep(well, "night", sizes.sleepers)
        memory = max(0, _memory_bytes() - memory_before)
    disk = (folder / "bench.db").stat().st_size / (sizes.sleepers + sizes.sleepers_before)
    async with open_in(folder) as well:
        late = await _lateness(well, sizes)
    return {
        "disk_bytes_each": disk,
        "memory_bytes_each": memory / sizes.sleepers,
        "late_p50_ms": p50(late) * 1e3,
        "late_p95_ms": p95(late) * 1e3,
    }


async def _put_to_sleep(well: Stepwell, prefix: str, count: int) -> None:
    workflow = well.workflow(workflows.Sleeper)
    asleep_before = await _asleep(well)
    for first in range(0, count, _BATCH):
        numbers = range(first, min(first + _BATCH, count))
        await workflow.create_batch([{"id": f"{prefix}-{n}", "params": {}} for n in numbers])
    while await _asleep(well) < asleep_before + count:  # noqa: ASYNC110 - no such event
        await asyncio.sleep(0.02)


async def _asleep(well: Stepwell) -> int:
    return (await well.count_by_status("Sleeper")).get(InstanceStatus.WAITING, 0)


async def _lateness(well: Stepwell, sizes: Sizes) -> list[float]:
    workflow = well.workflow(workflows.Sleeper)
    first = time.time() + _LEAD_SECONDS
    instances = [
        await workflow.create(params={"due": first + number / sizes.due * sizes.due_spread_seconds})
        for number in range(sizes.due)
    ]
    return [await instance.result() for instance in instances]


def _memory_bytes() -> int:
    gc.collect()
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS:"))
    return int(resident.split()[1]) * 1024


class CountedStore:
    """A store that counts the calls of each of its methods."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.calls: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        """Give the method, with a counter before it."""
        found = getattr(self._store, name)
        return self._counted(name, found) if callable(found) else found

    def _counted(self, name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            self.calls[name] += 1
            return method(*arguments, **keywords)

        return call


async def idle(folder: Path, sizes: Sizes) -> Numbers:
    """Count what a worker with nothing to do asks its store.

    `change_mark` stands apart: in SQLite it looks at file times, and asks the database only after
    they have moved.
    """
    store = CountedStore(SQLiteStore(folder / "bench.db"))
    async with open_in(folder, store=store) as well:
        await (await well.workflow(workflows.Single).create(params={})).result()
        await asyncio.sleep(0.3)
        store.calls.clear()
        await asyncio.sleep(sizes.idle_seconds)
        calls = Counter(store.calls)
    looks = calls.pop("change_mark", 0)
    return {
        "calls_per_second": calls.total() / sizes.idle_seconds,
        "looks_per_second": looks / sizes.idle_seconds,
    }
