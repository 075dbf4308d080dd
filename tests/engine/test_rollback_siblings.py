"""Once undoing begins nothing goes forward any more, and a rollback always comes to its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

import stepwell
from stepwell import NonRetryableError, WorkflowInstance
from stepwell.errors import StoreError
from stepwell.model.command import SetStatus
from stepwell.stores.memory import MemoryStore
from tests.engine.support import (
    Open,
    error_of,
    fast,
    flow,
    on_disk,
    steps_of,
    types_of,
    until,
    until_step,
)

COMPLETE = {"outcome": "complete", "error": None}
Sibling = Callable[[Any, list[str], asyncio.Event], Awaitable[Any]]


async def retries(step: Any, acts: list[str], has_begun: asyncio.Event) -> None:
    """Fail at once and wait for the next attempt, which is due while the handler runs."""

    async def work(ctx: Any) -> None:
        acts.append(f"attempt {ctx.attempt}")
        has_begun.set()
        raise ValueError("again")

    retries = {"limit": 3, "delay": 200, "backoff": "constant"}
    await step.do("sibling", {"retries": retries}, work)


async def sleeps(step: Any, acts: list[str], has_begun: asyncio.Event) -> None:
    """Sleep until the handler runs, then go on to a step."""
    asyncio.get_running_loop().call_soon(has_begun.set)
    await step.sleep("nap", 200)
    await step.do("after", lambda: acts.append("after the sleep"))


async def waits(step: Any, acts: list[str], has_begun: asyncio.Event) -> None:
    """Wait for an event until the handler runs, then go on to a step."""
    asyncio.get_running_loop().call_soon(has_begun.set)
    try:
        await step.wait_for_event("wait", type="go", timeout=1000)
    finally:
        acts.append("the wait has ended")
    await step.do("after", lambda: acts.append("after the wait"))


async def works(step: Any, acts: list[str], has_begun: asyncio.Event) -> None:
    """Be in the middle of an attempt."""

    async def work() -> None:
        has_begun.set()
        await asyncio.sleep(0.2)
        acts.append("the attempt went on")

    await step.do("sibling", fast(0), work)
    acts.append("the branch went on")


@pytest.mark.parametrize("sibling", [retries, sleeps, waits, works])
async def test_nothing_forward_happens_during_the_rollback(
    open_well: Open, sibling: Sibling
) -> None:
    """Branches in a retry wait, a sleep, a wait or an attempt end before the first undo."""
    acts: list[str] = []

    async def run(event: Any, step: Any) -> None:
        has_begun = asyncio.Event()

        async def undo(seen: Any) -> None:
            acts.append("undo begins")
            await asyncio.sleep(0.25)
            acts.append("undo ends")

        async def fail() -> None:
            await has_begun.wait()
            raise NonRetryableError("over")

        await step.do("base", lambda: 1, rollback=undo)
        await asyncio.gather(sibling(step, acts, has_begun), step.do("fail", fail))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await error_of(instance)

        assert COMPLETE == (await instance.status()).rollback
        began = acts.index("undo begins")
        assert ["undo begins", "undo ends"] == acts[began:]
        assert {"attempt 1", "the wait has ended"} >= set(acts[:began])


async def test_a_sibling_in_a_thread_has_its_effect_before_the_undo(open_well: Open) -> None:
    """A thread cannot be cancelled: it is waited for, and only then undone."""
    acts: list[str] = []

    async def run(event: Any, step: Any) -> None:
        has_begun, may_end = threading.Event(), threading.Event()

        def work() -> None:
            has_begun.set()
            may_end.wait(5)
            acts.append("effect")

        async def fail() -> None:
            await asyncio.to_thread(has_begun.wait, 5)
            asyncio.get_running_loop().call_later(0.05, may_end.set)
            raise NonRetryableError("over")

        undo = {"rollback": lambda: acts.append("undo")}
        await asyncio.gather(
            step.do("thread", fast(0), work, **undo), step.do("fail", fast(0), fail)
        )

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await error_of(instance)

        assert ["effect", "undo"] == acts


async def test_a_sibling_that_ignores_its_cancellation(
    open_well: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is waited for only so long; then the rollback goes on without it."""
    # A constant of the engine, which nobody can set; five seconds would be long for a test.
    monkeypatch.setattr("stepwell.engine.rollback.SIBLINGS_SECONDS_MAX", 0.02, raising=False)
    undone: list[str] = []
    may_end = asyncio.Event()

    async def run(event: Any, step: Any) -> None:
        has_begun = asyncio.Event()

        async def stubborn() -> None:
            has_begun.set()
            while not may_end.is_set():
                try:
                    await may_end.wait()
                except asyncio.CancelledError:
                    continue

        async def fail() -> None:
            await has_begun.wait()
            raise NonRetryableError("over")

        await step.do("base", lambda: 1, rollback=lambda: undone.append("base"))
        await asyncio.gather(step.do("stubborn", fast(0), stubborn), step.do("fail", fail))

    async with open_well([flow(run)], grace_seconds=0.02) as well:
        try:
            instance = await well.workflow("Flow").create(id="a")
            async with asyncio.timeout(5):
                await until(instance, "workflow_errored")

            assert ["base"] == undone
            assert COMPLETE == (await instance.status()).rollback
        finally:
            may_end.set()


async def test_terminating_twice_runs_each_handler_once(open_well: Open) -> None:
    """A second `terminate(rollback=True)` finds the first one at work and changes nothing."""
    calls: list[str] = []
    may_end = asyncio.Event()
    has_begun = asyncio.Event()

    async def run(event: Any, step: Any) -> None:
        async def undo() -> None:
            calls.append("undo")
            has_begun.set()
            await may_end.wait()

        await step.do("base", lambda: 1, rollback=undo, rollback_config=fast(5))
        await step.sleep("long", "1 day")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "sleep_started")
        await instance.terminate(rollback=True)
        await has_begun.wait()
        await instance.terminate(rollback=True)
        await asyncio.sleep(0.02)
        may_end.set()
        await asyncio.wait_for(until(instance, "workflow_terminated"), 10)

        assert ["undo"] == calls
        assert 1 == (await types_of(instance)).count("rollback_started")


async def test_terminating_a_run_that_sleeps_for_ever(
    open_well: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The replay that looks for handlers ends, and others get their turns meanwhile."""
    # A constant of the engine, which nobody can set; ten thousand calls take a while.
    monkeypatch.setattr("stepwell.engine.steps.STUB_CALLS_MAX", 50, raising=False)
    undone: list[str] = []
    calls = 0

    class Endless(RuntimeError):
        """What ends the test where the loop is blocked for good."""

    async def run(event: Any, step: Any) -> None:
        nonlocal calls
        await step.do("base", lambda: 1, rollback=lambda: undone.append("base"))
        while True:
            calls += 1
            if calls > 1000:
                raise Endless
            await step.sleep("tick", "1 minute")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "sleep_started")
        await instance.terminate(rollback=True)
        await asyncio.wait_for(until(instance, "workflow_terminated"), 10)

        assert ["base"] == undone
        assert calls <= 100


class FailsToBegin(MemoryStore):
    """A memory store that fails once, at the write that begins a rollback."""

    has_failed = False

    async def apply(self, commands: Any, now_ms: int) -> Any:
        """Fail at the first `SetStatus`."""
        if not self.has_failed and any(isinstance(one, SetStatus) for one in commands):
            self.has_failed = True
            raise StoreError("the disk hiccups")
        return await super().apply(commands, now_ms)


async def test_a_store_error_at_the_start_of_a_rollback_strands_nothing() -> None:
    """The run is dropped and taken up again; then it is undone as it should."""
    undone: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("base", lambda: 1, rollback=lambda: undone.append("base"))
        raise ValueError("trigger")

    store = FailsToBegin()
    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert {"name": "ValueError", "message": "trigger"} == await error_of(instance)
        assert store.has_failed
        assert ["base"] == undone


async def test_the_handler_of_a_stream_gets_the_stream(open_well: Open) -> None:
    """Its `output` is the stream that the step gave, which it can read to its end."""
    seen: list[bytes] = []

    async def run(event: Any, step: Any) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b"one"
            yield b"two"

        async def undo(given: Any) -> None:
            seen.append(b"".join([piece async for piece in given.output]))

        await step.do("pieces", pieces, rollback=undo, rollback_config=fast(0))
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await error_of(instance)

        assert [b"onetwo"] == seen
        assert COMPLETE == (await instance.status()).rollback


@on_disk
async def test_the_config_that_a_handler_sees_is_the_stored_one(open_well: Open) -> None:
    """After a change of code `ctx.config` tells under which config the step ran."""
    seen: list[Any] = []

    def version(limit: int) -> Any:
        async def run(event: Any, step: Any) -> None:
            def undo(given: Any) -> None:
                seen.append(given.ctx.config["retries"]["limit"])

            await step.do("base", fast(limit), lambda: 1, rollback=undo, rollback_config=fast(0))
            await step.sleep("long", "1 day")

        return flow(run)

    async with open_well([version(3)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until_step(instance, "sleep_started", "long-1")
    async with open_well([version(7)]) as well:
        later: WorkflowInstance = await well.workflow("Flow").get("a")
        await later.terminate(rollback=True)
        await asyncio.wait_for(until(later, "workflow_terminated"), 10)

        assert [3] == seen
        assert ["base-1"] == await steps_of(later, "rollback_step_completed")
