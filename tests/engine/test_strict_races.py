"""Strict mode where branches race, fail, or outlive their run."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stepwell import NonRetryableError
from stepwell.engine import strict
from tests.engine.processes import stores_of
from tests.engine.support import Open, error_of, events_of, fast, flow, types_of, until, until_step


@pytest.fixture(autouse=True)
def _is_impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict, "STRICT_PATIENCE_SECONDS", 0.3)


async def fail() -> None:
    """Fail for good."""
    raise NonRetryableError("no use")


async def test_a_loser_that_had_failed_before_is_no_difference(open_well: Open) -> None:
    """A race that a replay decides while its loser is about to fail again is the same code."""

    async def run(event: Any, step: Any) -> Any:
        async def loses() -> None:
            await asyncio.gather(step.do("bad", fail), return_exceptions=True)
            await step.do("then", lambda: 1)
            await step.wait_for_event("never", type="never")

        wins = asyncio.create_task(step.wait_for_event("ok", type="ok"))
        loser = asyncio.create_task(loses())
        await asyncio.wait({loser, wins}, return_when=asyncio.FIRST_COMPLETED)
        loser.cancel()
        await asyncio.gather(loser, return_exceptions=True)
        await step.sleep("nap", 30)
        return await step.do("new", lambda: "new")

    async with open_well([flow(run, strict=True)]) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "never-1")
        await instance.send_event("ok")

        assert "new" == await instance.result(5)


async def test_a_failing_end_waits_for_slow_branches(open_well: Open) -> None:
    """Code that fails while a branch has yet to come to what is known is not paused at once."""

    async def run(event: Any, step: Any) -> Any:
        def not_now() -> None:
            raise ValueError("not now")

        async def slow() -> None:
            await step.do("one", lambda: 1)
            await asyncio.sleep(0.05)  # work of its own, at every replay
            await step.do("two", lambda: 2)
            await step.sleep("long", "1 hour")

        config = fast(1)
        config["retries"]["delay"] = 150
        await asyncio.gather(step.do("fails", config, not_now), slow())

    async with open_well([flow(run, strict=True)]) as well:
        instance = await well.workflow("Flow").create()

        assert "not now" == (await error_of(instance))["message"]
        assert [] == await events_of(instance, "workflow_paused")


async def test_what_was_held_back_does_not_run_beside_an_undo(open_well: Open, url: str) -> None:
    """A new step that waits for another branch when that fails is refused, not begun."""
    ran: list[str] = []

    async def undo() -> None:
        await asyncio.sleep(0.1)
        ran.append("undo")

    async def before(event: Any, step: Any) -> Any:
        await step.do("first", lambda: 1, rollback=undo)
        await asyncio.gather(
            step.do("known", lambda: 1), step.wait_for_event("ok", type="ok", timeout="1 hour")
        )

    async def after(event: Any, step: Any) -> Any:
        async def fails() -> None:
            await step.wait_for_event("ok", type="ok")
            await asyncio.sleep(0.005)
            await step.do("known", lambda: 1)
            raise NonRetryableError("no use")

        await step.do("first", lambda: 1, rollback=undo)
        await asyncio.gather(step.do("new", lambda: ran.append("new")), fails())

    new_store = stores_of(url)
    async with open_well([flow(before)], store=new_store()) as well:
        await until_step(await well.workflow("Flow").create(id="a"), "step_completed", "known-1")
    async with open_well([flow(after, strict=True)], store=new_store()) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.send_event("ok")
        assert "no use" == (await error_of(instance))["message"]

    assert ["undo"] == ran


async def test_a_run_that_is_over_pauses_nothing(open_well: Open, url: str) -> None:
    """A forgotten branch of a run that was shut out leaves its successor alone."""
    code = "old"

    async def run(event: Any, step: Any) -> Any:
        if code != "restarted":
            branch = asyncio.create_task(step.do(code, lambda: 1))
            await step.wait_for_event("wait", type="never")
            await branch
        return (await step.wait_for_event("ok", type="ok")).payload

    new_store, workflow = stores_of(url), flow(run, strict=True)
    async with open_well([workflow], store=new_store()) as well:
        await until_step(await well.workflow("Flow").create(id="a"), "step_completed", "old-1")
    async with open_well([workflow], store=new_store(), linger_seconds=None) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.pause()
        await until(instance, "workflow_paused")
        code = "new"
        await instance.resume()
        await until(instance, "workflow_running")
        await asyncio.sleep(0.05)
        code = "restarted"
        await instance.restart()
        await asyncio.sleep(0.5)

        assert "workflow_waiting_for_pause" not in await types_of(instance)
        await instance.send_event("ok", "fine")
        assert "fine" == await instance.result(5)


async def test_own_work_may_take_longer_than_the_patience(
    open_well: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A branch that works between two recorded steps at every replay is waited for."""
    monkeypatch.setattr(strict, "STRICT_PATIENCE_SECONDS", 0.1)

    async def run(event: Any, step: Any) -> Any:
        async def works() -> Any:
            await asyncio.sleep(0.5)  # no step: such as loading a model
            await step.do("slow", lambda: 1)
            return await step.wait_for_event("go", type="go", timeout="1 hour")

        async def naps() -> Any:
            await step.sleep("nap", 900)
            return await step.do("new", lambda: "new")

        return (await asyncio.gather(works(), naps()))[1]

    async with open_well([flow(run, strict=True)], max_warm=0) as well:
        instance = await well.workflow("Flow").create()
        await until_step(instance, "wait_started", "go-1")
        await until_step(instance, "sleep_completed", "nap-1")
        await instance.send_event("go")

        assert "new" == await instance.result(10)
        assert [] == await events_of(instance, "workflow_paused")
