"""Find out whether a run waits only for durable things, so that it may be put to rest.

A run may rest only when none of its code is doing anything of its own: an HTTP call between two
steps must not be cut off because a parallel branch sleeps for a week. asyncio has no question for
that, so this module follows what the run's task waits for: a parked step call, another task, a
`gather`, a `TaskGroup`, `asyncio.wait`. Whatever it does not know counts as work, and the run stays
claimed: that costs memory, never correctness.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Collection, Iterable
from typing import Any

# Innermost coroutines that only wait for tasks, and the local variable that holds these.
_WAITERS = {"_wait": "fs", "wait_for": "fut"}


def is_quiet(task: asyncio.Future[Any], parked: Collection[asyncio.Future[Any]]) -> bool:
    """Tell whether this task waits for nothing but parked tasks (or is done)."""
    if task.done() or task in parked:
        return True
    if not isinstance(task, asyncio.Task):
        children = getattr(task, "_children", None)  # the future that asyncio.gather gives
        return children is not None and _are_quiet(children, parked)
    waiter = getattr(task, "_fut_waiter", None)
    if waiter is None:
        return False
    if isinstance(waiter, asyncio.Task) or hasattr(waiter, "_children"):
        return is_quiet(waiter, parked)
    return _waits_structurally(task, parked)


def _are_quiet(tasks: Iterable[Any], parked: Collection[asyncio.Future[Any]]) -> bool:
    return all(is_quiet(task, parked) for task in tasks)


def _waits_structurally(task: asyncio.Task[Any], parked: Collection[asyncio.Future[Any]]) -> bool:
    coroutine: Any = task.get_coro()
    while inspect.iscoroutine(getattr(coroutine, "cr_await", None)):
        coroutine = coroutine.cr_await
    frame = getattr(coroutine, "cr_frame", None)
    if frame is None:
        return False
    name = frame.f_code.co_name
    if name == "__aexit__":  # asyncio's and anyio's TaskGroup
        tasks = getattr(frame.f_locals.get("self"), "_tasks", None)
    elif name in _WAITERS and frame.f_code.co_filename.endswith("tasks.py"):
        tasks = frame.f_locals.get(_WAITERS[name])
        tasks = [tasks] if isinstance(tasks, asyncio.Future) else tasks
    else:
        tasks = None
    return tasks is not None and len(tasks) > 0 and _are_quiet(tasks, parked)
