"""Closing a well ends, whatever its store does, and leaves nothing of user code behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell.errors import StoreBusy, StoreError, StoreFull
from stepwell.model.instance import Ref
from stepwell.stores.memory import MemoryStore
from tests.engine.support import Gate, Open, fast, flow, until

CLOSE_SECONDS = 5


class Refusing(MemoryStore):
    """A memory store that refuses every write from some moment on."""

    def __init__(self, error: StoreError) -> None:
        super().__init__()
        self.error = error
        self.is_refusing = False

    async def apply(self, commands: Any, now_ms: int) -> Any:
        """Refuse, or do it."""
        self._check()
        return await super().apply(commands, now_ms)

    async def beat(self, **options: Any) -> Any:
        """Refuse, or do it."""
        self._check()
        return await super().beat(**options)

    async def retire(self, **options: Any) -> Any:
        """Refuse, or do it."""
        self._check()
        return await super().retire(**options)

    def _check(self) -> None:
        if self.is_refusing:
            raise self.error


@pytest.mark.parametrize("ends", [False, True], ids=["in flight", "has ended"])
@pytest.mark.parametrize("error", [StoreBusy("locked"), StoreFull("full")])
async def test_closing_on_a_store_that_takes_nothing_ends(error: StoreError, *, ends: bool) -> None:
    """A locked or full store does not hold up the close; the lease then has to lapse by itself."""
    store, gate = Refusing(error), Gate()

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", fast(2), gate)

    async def process() -> None:
        async with stepwell.open(
            "memory://", store=store, workflows=[flow(run)], grace_seconds=0.02
        ) as well:
            await well.workflow("Flow").create(id="a")
            await gate.began.wait()
            store.is_refusing = True
            if ends:
                gate.may_end.set()

    closing = asyncio.create_task(process())
    _, late = await asyncio.wait({closing}, timeout=CLOSE_SECONDS)
    store.is_refusing = False
    assert set() == late
    await closing
    row = await store.find(Ref("Flow", "a"))
    assert row is not None
    assert row.owner is not None  # nothing could be written, so nothing is lost but time


async def test_closing_waits_for_what_user_code_does_at_its_end(open_well: Open) -> None:
    """A `finally` that awaits something comes to its end before the close does."""
    acts: list[str] = []
    has_begun = asyncio.Event()

    async def run(event: Any, step: Any) -> None:
        async def work() -> None:
            try:
                has_begun.set()
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0.02)
                acts.append("step cleared up")

        try:
            await step.do("work", fast(0), work)
        finally:
            await asyncio.sleep(0.02)
            acts.append("run cleared up")

    async with open_well([flow(run)], grace_seconds=0.3) as well:
        await well.workflow("Flow").create(id="a")
        await has_begun.wait()

    assert ["step cleared up", "run cleared up"] == acts


def run_tasks() -> list[str]:
    """Give the names of the tasks of runs."""
    return [t.get_name() for t in asyncio.all_tasks() if t.get_name().startswith("stepwell ")]


async def test_closing_leaves_no_task_of_a_run(open_well: Open) -> None:
    """Runs in a step, asleep, waiting, and with a long `finally` have all ended after it."""
    gate = Gate()

    async def run(event: Any, step: Any) -> None:
        try:
            match event.payload:
                case "step":
                    await step.do("work", fast(0), gate)
                case "sleep":
                    await step.sleep("long", "1 day")
                case "wait":
                    await step.wait_for_event("wait", type="go", timeout="1 day")
        finally:
            await asyncio.sleep(0.01)

    async with open_well([flow(run)], grace_seconds=0.1) as well:
        workflow = well.workflow("Flow")
        await workflow.create(id="step", params="step")
        await until(await workflow.create(id="sleep", params="sleep"), "sleep_started")
        await until(await workflow.create(id="wait", params="wait"), "wait_started")
        await gate.began.wait()

    assert [] == run_tasks()


class Hesitant(MemoryStore):
    """A memory store that is asked for mail and does not answer."""

    def __init__(self) -> None:
        super().__init__()
        self.was_asked = asyncio.Event()

    async def pending_events(self, key: int, after_id: int) -> Any:
        """Say that it was asked, and hang."""
        self.was_asked.set()
        await asyncio.Event().wait()


async def test_a_warm_run_that_was_just_to_be_woken_is_dropped() -> None:
    """A stop that cuts its claim short leaves neither its task nor its lease behind."""
    ended: list[str] = []

    async def run(event: Any, step: Any) -> None:
        try:
            await step.sleep("nap", 50)
        finally:
            ended.append(event.instance_id)

    store = Hesitant()
    async with stepwell.open(
        "memory://", store=store, workflows=[flow(run)], linger_seconds=0, grace_seconds=0.1
    ) as well:
        await well.workflow("Flow").create(id="a")
        async with asyncio.timeout(10):
            await store.was_asked.wait()

    assert [] == run_tasks()
    assert ["a"] == ended
    row = await store.find(Ref("Flow", "a"))
    assert row is not None
    assert row.owner is None
