"""The one place that names a backend: from a URL and settings to a working Stepwell."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Unpack

from stepwell.client.client import Stepwell
from stepwell.client.desk import Desk
from stepwell.client.registry import Overrides, WorkflowClasses, define
from stepwell.engine.journal import Journal
from stepwell.engine.local_wakeups import LocalWakeups
from stepwell.engine.services import Services
from stepwell.engine.system_clock import SystemClock
from stepwell.engine.threads import ThreadPool
from stepwell.engine.watch import Watch
from stepwell.engine.watchdog import Watchdog
from stepwell.errors import InvalidRequest
from stepwell.ports.store import Store
from stepwell.settings import Options, Settings, read_settings
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore
from stepwell.worker.loop import Worker

_WATCH_SECONDS = 0.05


@asynccontextmanager
async def open(
    url: str,
    *,
    workflows: WorkflowClasses = (),
    env: Any = None,
    limits: Overrides | None = None,
    retention: Overrides | None = None,
    **options: Unpack[Options],
) -> AsyncIterator[Stepwell]:
    """Open a database of workflows, and by default run them in this event loop.

    Args:
        url: `sqlite:///path/to/file.db`, or `sqlite://:memory:` for one that dies with the process.
        workflows: classes, or a mapping name → class. Without any, nothing runs here: instances can
            be created under any name, unchecked, and wait for a worker that knows it.
        env: what workflows get as `self.env`.
        limits: per workflow name, e.g. `{"billing": {"steps": 100}}`.
        retention: per workflow name, `{"success_retention": …, "error_retention": …}`.
        **options: see `Settings`, which says what each one does.

    Raises:
        InvalidRequest: the URL, a workflow or a setting is wrong.
        StoreError: the database cannot be used.
    """
    chosen = read_settings(options)
    definitions = define(
        workflows, limits=chosen.maxima, steps=limits or {}, retention=retention or {}
    )
    clock = chosen.clock or SystemClock()
    store = chosen.store or _store_for(url, chosen)
    async with AsyncExitStack() as stack:
        await store.open()
        stack.push_async_callback(store.close)
        watch = Watch(store)
        await watch.begin()
        pokes, changes = LocalWakeups(), LocalWakeups()
        journal = Journal(store, clock, changes=changes, pokes=pokes)
        stack.push_async_callback(journal.close)
        desk = Desk(
            store=store,
            journal=journal,
            limits=chosen.maxima,
            changes=changes,
            definitions=definitions,
        )
        stack.callback(desk.close)
        heard: list[Callable[[], None]] = []
        if chosen.worker and definitions:
            threads = ThreadPool(chosen.max_threads)
            stack.callback(threads.close)
            services = Services(
                store=store,
                journal=journal,
                clock=clock,
                limits=chosen.maxima,
                threads=threads,
                env=env,
                linger_ms=chosen.linger_ms,
            )
            worker = Worker(services, definitions, settings=chosen.for_worker, pokes=pokes)
            heard.append(worker.on_outside_change)
            if chosen.blocking_seconds is not None:
                watchdog = Watchdog(chosen.blocking_seconds)
                watchdog.start()
                stack.callback(watchdog.stop)
            await worker.start()
            stack.push_async_callback(worker.stop)
        _start_watch(stack, watch, heard, changes)
        yield Stepwell(desk)


def _start_watch(
    stack: AsyncExitStack,
    watch: Watch,
    listeners: list[Callable[[], None]],
    changes: LocalWakeups,
) -> None:
    def anything_may_have_changed() -> None:
        changes.publish(None)

    heard = [*listeners, anything_may_have_changed]
    watching = watch.watch(_WATCH_SECONDS, heard, on_poll=anything_may_have_changed)
    task = asyncio.get_running_loop().create_task(watching)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


def _store_for(url: str, settings: Settings) -> Store:
    if url in {"sqlite://:memory:", "sqlite:///:memory:", "memory://"}:
        return MemoryStore()
    if url.startswith("sqlite:///") and len(url) > len("sqlite:///"):
        return SQLiteStore(
            Path(url.removeprefix("sqlite:///")),
            synchronous=settings.synchronous,
            busy_timeout_seconds=settings.busy_timeout_seconds,
        )
    raise InvalidRequest(
        f"{url!r} is no database that Stepwell can open; use sqlite:///relative/path.db, "
        "sqlite:////absolute/path.db or sqlite://:memory:"
    )
