"""Code that changes under a running instance: what it no longer reaches is reported."""

from __future__ import annotations

from typing import Any

from tests.engine.processes import stores_of
from tests.engine.support import Open, events_of, flow, until


async def test_unreached_steps_are_reported(open_well: Open, url: str) -> None:
    """Steps that were recorded and that the new code does not call stand in the last event."""

    async def before(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1)
        await step.do("gone", lambda: 2)
        await step.do("kept", lambda: 3)
        return await step.wait_for_event("ok", type="ok")

    async def after(event: Any, step: Any) -> Any:
        await step.do("kept", lambda: 1)
        await step.do("new", lambda: 4)
        return (await step.wait_for_event("ok", type="ok")).payload

    new_store = stores_of(url)
    async with open_well([flow(before)], store=new_store()) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "wait_started")
    async with open_well([flow(after)], store=new_store()) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.send_event("ok", "fine")
        assert "fine" == await instance.result(10)
        end = (await instance.events())[-1]

    assert ["gone-1", "kept-2"] == sorted(end.unreached_steps)


async def test_unchanged_code_reports_nothing(open_well: Open) -> None:
    """A replay that reaches every recorded step says nothing of it."""

    async def run(event: Any, step: Any) -> Any:
        await step.do("one", lambda: 1)
        await step.sleep("nap", 20)
        return await step.do("two", lambda: 2)

    async with open_well([flow(run)], max_warm=0) as well:
        instance = await well.workflow("Flow").create()
        assert 2 == await instance.result(10)
        (end,) = await events_of(instance, "workflow_completed")

    assert "unreached_steps" not in end.details
