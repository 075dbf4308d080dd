"""Handles: what subscribing from a cursor gives, and batches of deletions."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowEntrypoint, WorkflowEvent, WorkflowInstance, WorkflowStep
from stepwell.core.events import EVENTS_PER_FACT_MAX
from stepwell.model.command import Delete
from stepwell.stores.memory import MemoryStore


class Quick(WorkflowEntrypoint[Any, Any]):
    async def run(self, event: WorkflowEvent[Any], step: WorkflowStep) -> int:
        return await step.do("work", lambda: 1)


class CountingStore(MemoryStore):
    """A memory store that counts the batches in which something is deleted."""

    def __init__(self) -> None:
        super().__init__()
        self.deletions: list[int] = []

    async def apply(self, commands: Any, now_ms: int) -> Any:
        deletions = sum(isinstance(command, Delete) for command in commands)
        if deletions:
            self.deletions.append(deletions)
        return await super().apply(commands, now_ms)


async def _take(instance: WorkflowInstance, cursor: int) -> list[int]:
    async with asyncio.timeout(10):
        return [event.id async for event in instance.subscribe(cursor=cursor)]


async def test_subscribing_goes_on_after_any_cursor() -> None:
    """From each event, and from between events, exactly those with a greater id come."""
    async with stepwell.open("memory://", workflows=[Quick]) as well:
        instance = await well.workflow(Quick).create()
        await instance.result(10)
        ids = [event.id for event in await instance.events()]
        for cursor in range(ids[-1] + 1):
            assert await _take(instance, cursor) == [id_ for id_ in ids if id_ > cursor]


async def test_what_starts_shows_the_params(url: str) -> None:
    """Params are stored once; whoever reads from behind where they are sees them all the same."""
    async with stepwell.open(url, workflows=[Quick]) as well:
        instance = await well.workflow(Quick).create(params={"n": 1})
        await instance.result(10)
        queued, started, *_ = await instance.events()
        (again, *_) = [event async for event in instance.subscribe(cursor=queued.id)]

    assert ("workflow_queued", {"n": 1}) == (queued.type, queued.params)
    assert ("workflow_started", {"n": 1}) == (started.type, started.params)
    assert again == started


@pytest.mark.parametrize("beyond", [1, EVENTS_PER_FACT_MAX, 20, 10**12])
async def test_a_cursor_beyond_the_end_ends(beyond: int) -> None:
    """Subscribing beyond the end of a finished instance gives nothing, and ends."""
    async with stepwell.open("memory://", workflows=[Quick]) as well:
        instance = await well.workflow(Quick).create()
        await instance.result(10)
        last = (await instance.events())[-1].id

        assert await _take(instance, last + beyond) == []


async def test_a_cursor_beyond_what_there_is_waits_for_the_end() -> None:
    """While the instance goes on, such a cursor waits, and ends with it."""
    async with stepwell.open("memory://", workflows=[Quick]) as well:
        instance = await well.workflow(Quick).create()
        taking = asyncio.create_task(_take(instance, 10**12))
        await instance.result(10)

        assert await taking == []


async def test_a_batch_of_deletions_is_one_write() -> None:
    """All of a batch are deleted together, each told in its place, also one named twice."""
    store = CountingStore()
    async with stepwell.open("memory://", store=store) as well:
        workflow = well.workflow("orders")
        for id_ in "abc":
            await workflow.create(id=id_)
        done = await workflow.delete_batch(["a", "missing", "b", "c", "a"])

    assert store.deletions == [4]
    assert [one["id"] for one in done["deleted"]] == ["a", "b", "c", "a"]
    assert [one["id"] for one in done["errors"]] == ["missing"]
