"""Find out whether a run waits only for durable things, so that it may be put to rest.

A run may rest only when none of its code is doing anything of its own, or is just about to: an HTTP
call between two steps must not be cut off because a parallel branch sleeps for a week, nor may a
branch that has what it waited for be left standing. asyncio has no question for that, so this
module follows what the run's task waits for: a parked step call, another task, a `gather`, a
`TaskGroup`, `asyncio.wait`. A timer of asyncio's around such a wait is work: nobody would wind it
up again after a rest. Whatever this module does not know counts as work too: the run stays claimed.

What has ended is never quiet by itself: somebody is about to be told. Only among the members of a
group may some have ended while others are parked.
"""

from __future__ import annotations

import asyncio
import gc
import inspect
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from contextlib import asynccontextmanager
from types import FrameType
from typing import Any


async def _nothing() -> AsyncIterator[None]:
    yield


_OWN_EXIT: Any = type(asynccontextmanager(_nothing)()).__aexit__
_Futures = Collection[asyncio.Future[Any]]


class Look:
    """One look at what a run's task waits for.

    Attributes:
        ended: the members of groups that have ended. Those who wait for the group may be about to
            be told of one, so a run rests only if the next look finds no other.
    """

    def __init__(self, parked: _Futures) -> None:
        self._parked = parked
        self.ended: set[asyncio.Future[Any]] = set()

    def is_quiet(self, future: asyncio.Future[Any]) -> bool:
        """Tell whether a task, or a `gather`, waits for nothing but parked tasks."""
        if future.done():
            return False
        if not isinstance(future, asyncio.Task):
            children = getattr(future, "_children", None)  # the future that asyncio.gather gives
            return children is not None and self._are_quiet(children)
        if not all(self._lets_rest(coroutine) for coroutine in _chain(future)):
            return False
        if future in self._parked:
            return True
        waiter = getattr(future, "_fut_waiter", None)
        if waiter is None or waiter.done():
            return False
        if isinstance(waiter, asyncio.Task) or hasattr(waiter, "_children"):
            return self.is_quiet(waiter)
        return self._waits_for_tasks(future)

    def _are_quiet(self, members: Iterable[asyncio.Future[Any]]) -> bool:
        """Tell it of those that are waited for together: some still wait, and all of these quietly.

        One that has failed is left to the next look: by then its group knows, if it is to know.
        """
        going = []
        for member in members:
            if member.done():
                self.ended.add(member)
            else:
                going.append(member)
        return bool(going) and all(map(self.is_quiet, going))

    def _lets_rest(self, coroutine: Any) -> bool:
        """Look at the `async with` blocks in which a coroutine stands: they lie on its stack."""
        for manager in _entered(gc.get_referents(coroutine)):
            if isinstance(manager, asyncio.Timeout) and manager.when() is not None:
                return False
            if isinstance(manager, asyncio.TaskGroup) and not self._is_group_quiet(manager):
                return False
        return True

    def _is_group_quiet(self, group: asyncio.TaskGroup) -> bool:
        tasks: Iterable[asyncio.Task[Any]] = getattr(group, "_tasks", ())
        return all(map(self.is_quiet, tasks))

    def _waits_for_tasks(self, task: asyncio.Task[Any]) -> bool:
        """Tell it of a task that waits inside asyncio, by the frame that waits there."""
        *_, innermost = _chain(task)
        frame: FrameType | None = innermost.cr_frame
        if frame is None or "asyncio" not in frame.f_code.co_filename:
            return False
        held = frame.f_locals
        match frame.f_code.co_name:
            case "__aexit__" | "_aexit":
                group = held.get("self")
                return isinstance(group, asyncio.TaskGroup) and self._is_group_quiet(group)
            case "_wait":
                awaited: _Futures = held["fs"]
                is_for_any = held.get("return_when") != asyncio.ALL_COMPLETED
                if is_for_any and any(one.done() for one in awaited):
                    return False
                return held.get("timeout") is None and self._are_quiet(awaited)
            case "wait_for":
                return held.get("timeout") is None and self.is_quiet(held["fut"])
            case _:
                return False


def _chain(task: asyncio.Task[Any]) -> Iterator[Any]:
    """Give a task's coroutines, from the outermost to the one that waits."""
    coroutine: Any = task.get_coro()
    while inspect.iscoroutine(coroutine):
        yield coroutine
        coroutine = coroutine.cr_await


def _entered(referents: list[Any]) -> Iterator[Any]:
    """Give the timeouts and task groups whose exit a coroutine has yet to call."""
    exits: set[Any] = {asyncio.Timeout.__aexit__, asyncio.TaskGroup.__aexit__}
    for one in referents:
        if getattr(one, "__func__", None) in exits:
            yield one.__self__
        elif getattr(one, "__func__", None) is _OWN_EXIT:  # written with @asynccontextmanager
            yield from _entered(gc.get_referents(one.__self__.gen))
        elif inspect.isfunction(one) and one in exits:  # newer interpreters keep the two apart
            yield from (other for other in referents if hasattr(other, "__aexit__"))
