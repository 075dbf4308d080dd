"""Strict mode: changed code is paused before it does anything new."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest

import stepwell
from stepwell import InvalidRequest, NonRetryableError, WorkflowFatalError, WorkflowInstance
from stepwell.engine import strict
from tests.engine.processes import REF, stores_of
from tests.engine.support import Open, error_of, events_of, flow, until, until_step

PATIENCE_SECONDS = 0.3


@pytest.fixture(autouse=True)
def _is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "STRICT_PATIENCE_SECONDS", PATIENCE_SECONDS)


async def before(event: Any, step: Any) -> Any:
    """Be the code with which the instance began."""
    await step.do("kept", lambda: 1)
    await step.do("gone", lambda: 2)
    return (await step.wait_for_event("ok", type="ok", timeout="1 hour")).payload


class Changed:
    """An instance that began with `before`, and what later code does with it."""

    def __init__(self, open_well: Open, url: str) -> None:
        self._open, self.new_store = open_well, stores_of(url)

    async def begin(
        self, run: Callable[[Any, Any], Any] = before, until: str = "wait_started", of: str = "ok"
    ) -> None:
        """Run to the wait, or to another event of a step."""
        async with self._open([flow(run, strict=True)], store=self.new_store()) as well:
            await until_step(await well.workflow("Flow").create(id="a"), until, of + "-1")

    async def go_on(
        self, run: Callable[[Any, Any], Any], look: Callable[[WorkflowInstance], Any], **more: Any
    ) -> None:
        """Send the event, go on with this code, and look at what comes of it."""
        workflow = flow(run, **{"strict": True, **more})
        async with self._open([workflow], store=self.new_store()) as well:
            instance = await well.workflow("Flow").get("a")
            if (await instance.status()).status == "paused":
                await instance.resume()
            else:
                await instance.send_event("ok", "fine")
            await look(instance)


@pytest.fixture
def changed(open_well: Open, url: str) -> Changed:
    """Give an instance to change the code of."""
    return Changed(open_well, url)


async def until_paused(instance: WorkflowInstance) -> Any:
    """Wait until the instance has been paused by strict mode; give the event."""
    await until(instance, "workflow_paused")
    assert "paused" == (await instance.status()).status
    return (await events_of(instance, "workflow_paused"))[-1]


async def test_a_new_step_does_not_run_before_what_is_recorded(changed: Changed) -> None:
    """The instance is paused with the difference; the new step has not run, and may never."""
    ran: list[str] = []

    async def after(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1)
        await step.do("new", lambda: ran.append("new"))
        return (await step.wait_for_event("ok", type="ok")).payload

    async def look(instance: WorkflowInstance) -> None:
        paused = await until_paused(instance)
        assert ["gone-1", "ok-1"] == sorted(paused.unreached_steps)
        assert "new-1" == paused.new_step

    await changed.begin()
    await changed.go_on(after, look)
    assert [] == ran

    async def end(instance: WorkflowInstance) -> None:
        assert "fine" == await instance.result(10)

    await changed.go_on(before, end)  # with the old code it goes on as if nothing had been


async def test_a_new_sleep_or_wait_is_a_difference_too(changed: Changed) -> None:
    """So is a step that is now reached in another kind."""

    async def after(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1)
        await step.sleep("gone", "1 hour")

    async def look(instance: WorkflowInstance) -> None:
        paused = await until_paused(instance)
        assert ["gone-1", "ok-1"] == sorted(paused.unreached_steps)
        assert "gone-1" == paused.new_step

    await changed.begin()
    await changed.go_on(after, look)


@pytest.mark.parametrize("fails", [False, True])
async def test_the_end_is_not_reached_without_what_is_recorded(
    changed: Changed, fails: bool
) -> None:
    """Code that ends, well or badly, before it has called all that is recorded is paused."""

    async def after(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1)
        if fails:
            raise NonRetryableError("no use")
        return "ended"

    async def look(instance: WorkflowInstance) -> None:
        paused = await until_paused(instance)
        assert ["gone-1", "ok-1"] == sorted(paused.unreached_steps)
        assert "new_step" not in paused.details

    await changed.begin()
    await changed.go_on(after, look)


async def test_who_gives_strict_mode_up_goes_on(changed: Changed) -> None:
    """Resumed without strict mode, the instance takes the new code as it is."""

    async def after(event: Any, step: Any) -> Any:
        await step.do("new", lambda: 3)
        return "new code"

    async def look(instance: WorkflowInstance) -> None:
        await until_paused(instance)

    async def end(instance: WorkflowInstance) -> None:
        assert "new code" == await instance.result(10)

    await changed.begin()
    await changed.go_on(after, look)
    await changed.go_on(after, end, strict=False)


async def test_new_steps_after_all_that_is_recorded_run(changed: Changed) -> None:
    """Code may grow behind what has been recorded."""

    async def after(event: Any, step: Any) -> Any:
        await before(event, step)
        return await step.do("more", lambda: "more")

    async def look(instance: WorkflowInstance) -> None:
        assert "more" == await instance.result(10)

    await changed.begin()
    await changed.go_on(after, look)


async def test_branches_may_come_in_any_order(changed: Changed) -> None:
    """A branch that comes to something new waits for one that is slow to come to what is known."""

    async def run(event: Any, step: Any) -> Any:
        async def slow() -> None:
            await asyncio.sleep(0.1)  # work of its own, at every replay
            await step.do("slow", lambda: 1)
            await asyncio.sleep(0.1)
            await step.do("slower", lambda: 1)

        async def quick() -> Any:
            await step.wait_for_event("ok", type="ok")
            return await step.do("new", lambda: "new")

        _, result = await asyncio.gather(slow(), quick())
        return result

    async def look(instance: WorkflowInstance) -> None:
        assert "new" == await instance.result(10)
        assert [] == await events_of(instance, "workflow_paused")

    async def begun(event: Any, step: Any) -> Any:
        await step.do("slow", lambda: 1)
        await step.do("slower", lambda: 1)
        await step.wait_for_event("ok", type="ok")

    await changed.begin(begun)
    await changed.go_on(run, look)


async def test_code_that_cancels_a_step_again_after_long_is_no_difference(
    changed: Changed,
) -> None:
    """A timer of the code's own, longer than the patience, has to run out at every replay."""

    async def run(event: Any, step: Any) -> Any:
        async def give_up() -> None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(step.do("slow", asyncio.Event().wait), 0.8)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(step.sleep("long", "1 hour"), 0.8)
            await step.do("after", lambda: 1)

        async def quick() -> Any:
            await step.wait_for_event("ok", type="ok")
            return await step.do("new", lambda: "new")

        gone_on = asyncio.ensure_future(quick())
        await give_up()
        await step.sleep("nap", 30)
        return await gone_on

    async def look(instance: WorkflowInstance) -> None:
        assert "new" == await instance.result(10)
        assert [] == await events_of(instance, "workflow_paused")

    await changed.begin(run, "sleep_completed", "nap")
    await changed.go_on(run, look)


async def test_nothing_new_runs_once_undoing_has_begun(changed: Changed) -> None:
    """What waits for others to come to what is recorded is refused if they fail meanwhile."""
    ran: list[str] = []

    async def fails(event: Any, step: Any) -> Any:
        async def come_to_new() -> None:
            with contextlib.suppress(WorkflowFatalError):
                await step.do("new", lambda: ran.append("new"))

        coming = asyncio.create_task(come_to_new())
        await step.wait_for_event("ok", type="ok")
        await asyncio.sleep(0.1)
        await step.do("kept", lambda: 1, rollback=lambda _: asyncio.wait([coming]))
        raise NonRetryableError("no use")

    async def begun(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1, rollback=lambda _: None)
        await step.wait_for_event("ok", type="ok")

    async def look(instance: WorkflowInstance) -> None:
        assert "no use" == (await error_of(instance))["message"]

    await changed.begin(begun)
    await changed.go_on(fails, look)
    assert [] == ran


async def test_a_run_that_is_over_does_not_pause_its_successor(
    changed: Changed, open_well: Open
) -> None:
    """Another worker has got the instance meanwhile, and runs it with code of its own."""
    called, store = asyncio.Event(), changed.new_store()

    async def after(event: Any, step: Any) -> Any:
        called.set()
        await step.do("new", lambda: 3)

    await changed.begin()
    await store.open()
    async with open_well([flow(after, strict=True)], store=changed.new_store()) as well:
        await (await well.workflow("Flow").get("a")).send_event("ok", "fine")
        await called.wait()
        await asyncio.sleep(PATIENCE_SECONDS / 3)  # the hint of the event has been followed
        row = await store.find(REF)
        assert row is not None
        await store.beat(worker=str(row.owner), expires_ms=1, now_ms=0)
        await store.reap(now_ms=row.modified_ms, limit=10)
        await store.beat(worker="other", expires_ms=row.modified_ms + 60_000, now_ms=0)
        now_ms = row.modified_ms + 60_000
        claims = await store.claim(worker="other", workflows=["Flow"], limit=1, now_ms=now_ms)
        assert 1 == len(claims)
        await asyncio.sleep(3 * PATIENCE_SECONDS)

        row = await store.find(REF)
        assert row is not None
        assert ("other", "running") == (row.owner, row.status)
    await store.close()


async def test_a_failure_stays_one(open_well: Open) -> None:
    """Unchanged code that fails, replayed with its failed steps, is no difference."""

    async def run(event: Any, step: Any) -> Any:
        async def fail() -> None:
            raise NonRetryableError("no use")

        await asyncio.gather(
            step.do("good", lambda: 1), step.do("bad", fail), return_exceptions=True
        )
        await step.sleep("nap", 30)
        await step.do("bad", fail)

    async with open_well([flow(run, strict=True)]) as well:
        instance = await well.workflow("Flow").create()

        assert "no use" == (await error_of(instance))["message"]


async def test_strict_is_true_or_false() -> None:
    """Anything else is refused, and named."""
    workflow = flow(before, strict="yes")
    with pytest.raises(InvalidRequest, match=r"strict of workflow 'Flow' is 'yes'"):
        async with stepwell.open("sqlite://:memory:", workflows=[workflow]):
            pass
