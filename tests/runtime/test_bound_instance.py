"""Instances from a binding on `env`: the verbs in both dialects."""

from contextlib import asynccontextmanager
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowEntrypoint
from stepwell.errors import InvalidRequest, WorkflowError
from stepwell.runtime.bound_workflow import BoundWorkflow, WellSlot

EFFECTS: list[str] = []


class Order(WorkflowEntrypoint[Any, Any]):
    name = "order"

    async def run(self, event, step):
        await step.do("one", lambda: EFFECTS.append("one"))
        await step.do(
            "two", lambda: EFFECTS.append("two"), rollback=lambda _: EFFECTS.append("undo")
        )
        return await step.wait_for_event("ok", type="ok", timeout="1 day")


@asynccontextmanager
async def waiting():
    """An instance that has done its steps and waits."""
    EFFECTS.clear()
    slot = WellSlot()
    async with slot.hold(stepwell.open("sqlite://:memory:", workflows=[Order])):
        instance = await BoundWorkflow("order", slot).create(id="a")
        await until(instance, "wait_started")
        yield instance


async def until(instance, type_):
    async for event in instance.subscribe():
        if event.type == type_:
            return


@pytest.mark.parametrize(
    ("arguments", "undone"),
    [
        (((), {}), 0),
        (((), {"rollback": True}), 1),
        ((({"rollback": True},), {}), 1),
        ((({"rollback": False},), {}), 0),
        ((({},), {}), 0),
    ],
)
async def test_terminate(arguments, undone):
    """Rollback is asked for by keyword or in Cloudflare's options."""
    positions, keywords = arguments
    async with waiting() as instance:
        await instance.terminate(*positions, **keywords)
        with pytest.raises(stepwell.InstanceTerminated):
            await instance.result(timeout=30)

    assert undone == EFFECTS.count("undo")


@pytest.mark.parametrize(
    ("argument", "again"),
    [
        (None, ["one", "two"]),
        ({}, ["one", "two"]),
        ("two", ["two"]),
        ({"name": "two"}, ["two"]),
        ({"from": {"name": "two"}}, ["two"]),
        ({"from": {"name": "two", "count": 1, "type": "do"}}, ["two"]),
    ],
)
async def test_restart(argument, again):
    """A step to restart from is given by its name or in Cloudflare's options."""
    async with waiting() as instance:
        EFFECTS.clear()
        await instance.restart(argument)
        await instance.send_event({"type": "ok", "payload": 1})
        await instance.result(timeout=30)

    assert again == EFFECTS


async def test_wrong_options():
    """An option that a verb does not have is refused, and nothing happens."""
    async with waiting() as instance:
        with pytest.raises(InvalidRequest, match="unknown options 'rolback'; there is 'rollback'"):
            await instance.terminate({"rolback": True})
        with pytest.raises(InvalidRequest, match="True or False, not 'yes'"):
            await instance.terminate({"rollback": "yes"})
        with pytest.raises(InvalidRequest, match="a mapping, not True"):
            await instance.terminate(True)
        with pytest.raises(InvalidRequest, match="unknown options 'step'; there is 'from'"):
            await instance.restart({"step": "two"})
        with pytest.raises(InvalidRequest, match="a mapping, not 5"):
            await instance.restart(5)
        with pytest.raises(InvalidRequest, match="not both"):
            await instance.restart({"from": {"name": "two"}}, from_step="two")
        with pytest.raises(WorkflowError, match="cannot_restart"):
            await instance.restart({"from": {"name": "three"}})

        assert "waiting" == (await instance.status()).status


async def test_everything_else_is_the_instance_itself():
    """What is not about options is the library's own; the text and the names are too."""
    async with waiting() as instance:
        assert ("a", "order") == (instance.id, instance.workflow_name)
        assert "<WorkflowInstance order/a>" == repr(instance)
        assert {"pause", "resume", "terminate", "subscribe"} <= set(dir(instance))
        assert not hasattr(instance, "_nothing")
