"""Simulated death of a process at a chosen write, and the check that nothing is stranded by it.

A killed process writes nothing more and hands nothing back. `FaultyStore` plays that: from the
chosen write on every call of it hangs, while the inner store stays usable for the next process.
The test then ends the dead process's event loop; `bury` first lets its clean-up fail at once
instead of hanging.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, Literal

from stepwell.core.events import read_detail
from stepwell.core.replay import Progress, StepRecord, fold
from stepwell.errors import StoreError
from stepwell.model.instance import Instance, InstanceStatus
from stepwell.model.limits import FACTS_PAGE_MAX
from stepwell.model.step import StepKind
from stepwell.ports.store import Memory, Store

_WRITES = frozenset({"apply", "claim", "beat", "retire", "reap", "purge"})


class FaultyStore:
    """A store through which a process is killed just before or just after its n-th write.

    It answers every method of `Store`; what it does not name itself goes to the inner store.

    Attributes:
        writes: how many writes have begun, the fatal one included.
        killed: set once the process counts as dead.
    """

    def __init__(
        self,
        inner: Store,
        *,
        crash_at: int | None = None,
        when: Literal["before", "after"] = "before",
    ) -> None:
        """Wrap a store.

        Args:
            inner: where the writes go.
            crash_at: number of the fatal write, from 1; None: none is.
            when: whether the fatal write is lost or is the last thing that happened.
        """
        self._inner = inner
        self._crash_at = crash_at
        self._when = when
        self._is_buried = False
        self.writes = 0
        self.killed = asyncio.Event()

    def bury(self) -> None:
        """Let calls fail at once from now on, so that the dead process can be cleared away."""
        self.killed.set()
        self._is_buried = True

    async def close(self) -> None:
        """Close the inner store: the system closes the files of dead processes too."""
        await self._inner.close()

    def __getattr__(self, name: str) -> Any:
        """Give a method of the inner store, behind the fault."""
        method = getattr(self._inner, name)

        async def call(*args: Any, **named: Any) -> Any:
            await self._die_if_killed()
            is_fatal = False
            if name in _WRITES:
                self.writes += 1
                is_fatal = self.writes == self._crash_at
            if is_fatal and self._when == "before":
                self.killed.set()
            await self._die_if_killed()
            answer = await self._finish(method(*args, **named), is_fatal=is_fatal)
            await self._die_if_killed()
            return answer

        return call

    async def _finish(self, work: Any, *, is_fatal: bool) -> Any:
        try:
            return await work
        finally:
            if is_fatal:
                self.killed.set()

    async def _die_if_killed(self) -> None:
        if self._is_buried:
            raise StoreError("this process is dead; open the store anew")
        if self.killed.is_set():
            await asyncio.get_running_loop().create_future()  # never done: nothing goes on


class WakeSource(StrEnum):
    """What will make somebody go on with an instance."""

    LEASE = "lease"  # its holder, or whoever sees the holder's lease lapse
    READY = "ready"  # a worker claims it at `ready_ms`
    EVENT = "event"  # it waits for an event, and for the end of the wait
    PAUSE = "pause"  # an operator resumes it


class Stranded(AssertionError):
    """Nothing will ever wake this instance."""


def wake_source(
    instance: Instance, memory: Memory, *, now_ms: int, running: Collection[int] | None = None
) -> WakeSource:
    """Name what wakes an instance that has not ended.

    Args:
        instance: the instance.
        memory: its facts and events.
        now_ms: the time.
        running: keys of the instances of which any living worker has a run, where that is known; a
            worker that lives keeps its lease, so what it holds without a run is never looked at.

    Raises:
        Stranded: nothing does, or only a deadline although the awaited event is there.
    """
    if instance.owner is not None:
        if running is not None and instance.key not in running:
            raise Stranded(f"{instance.ref} is held by {instance.owner} without a run: {instance}")
        return WakeSource.LEASE
    if instance.status is InstanceStatus.PAUSED:
        return WakeSource.PAUSE
    if instance.status is InstanceStatus.WAITING_FOR_PAUSE:
        raise Stranded(f"{instance.ref} waits for a pause, but nobody holds it: {instance}")
    if instance.ready_ms is None:
        raise Stranded(f"{instance.ref} is not ready at any time, and not held: {instance}")
    waits = _open_event_types(memory)
    if instance.ready_ms > now_ms and waits & {event.type for event in memory.events}:
        raise Stranded(f"{instance.ref} sleeps on although its event has come: {instance}")
    return WakeSource.EVENT if waits and instance.ready_ms > now_ms else WakeSource.READY


async def check_nothing_stranded(
    store: Store,
    workflows: Sequence[str],
    *,
    now_ms: int,
    running: Collection[int] | None = None,
) -> dict[str, WakeSource]:
    """Walk all instances of these workflows; give the wake-up source of each that has not ended.

    Args:
        store: where they are.
        workflows: names of workflows.
        now_ms: the time.
        running: as of `wake_source`.

    Raises:
        Stranded: an instance has none.
    """
    found: dict[str, WakeSource] = {}
    for workflow in workflows:
        before: int | None = None
        while rows := await store.list_instances(
            workflow, status=None, before_key=before, limit=FACTS_PAGE_MAX
        ):
            alive = [row for row in rows if not row.status.is_terminal]
            memories = await store.load([row.key for row in alive])
            for row in alive:
                memory = memories[row.key]
                found[str(row.ref)] = wake_source(row, memory, now_ms=now_ms, running=running)
            before = rows[-1].key
    return found


def _open_event_types(memory: Memory) -> set[str]:
    records = fold(memory.facts).records.items()
    return {
        _awaited_type(record)
        for key, record in records
        if key.kind is StepKind.WAIT and record.progress is Progress.OPEN
    }


def _awaited_type(record: StepRecord) -> str:
    return str(read_detail(record.start_detail).get("event_type"))
