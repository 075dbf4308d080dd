"""Handles of workflows and instances: what they accept, and how they say no."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import stepwell
from stepwell import InstanceNotFound, WorkflowError
from stepwell.errors import InvalidRequest, WorkflowNotFound
from tests.engine.support import flow


async def nothing(event: Any, step: Any) -> str:
    """Do nothing."""
    return "done"


@pytest.mark.parametrize("params", [{"x": 1}, ["x"], 5])
async def test_params_in_the_place_of_the_id(url: str, params: Any) -> None:
    """Params given where the id stands are recognised, and no instance exists."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        with pytest.raises(InvalidRequest, match="did you mean create\\(params=…\\)") as caught:
            await well.workflow("Flow").create(params)

        assert "instance.invalid_id" == caught.value.code
        assert [] == await well.workflow("Flow").list()


AGAIN: list[tuple[Any, list[str]]] = [
    ("create user-1", ["one", "two"]), ("create user-2", ["two"]), ("nap", ["two"]),
    ("nap-1", ["two"]), ({"name": "create user", "count": 2}, ["two"]),
]  # fmt: skip


@pytest.mark.parametrize(("from_step", "again"), AGAIN)
async def test_a_restart_takes_what_steps_shows(url: str, from_step: Any, again: list[str]) -> None:
    """The label of a step, and the name of a sleep, say where to restart."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("create user", lambda: calls.append("one"))
        await step.sleep("nap", 1)
        await step.do("create user", lambda: calls.append("two"))

    async with stepwell.open(url, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        calls.clear()
        await instance.restart(from_step)
        await instance.result(10)

        assert again == calls


async def test_each_step_can_be_handed_to_restart(url: str) -> None:
    """A step's view has its name and count apart, in the words that a restart takes."""

    async def run(event: Any, step: Any) -> None:
        for _ in range(2):
            await step.do("page-1", lambda: None)
        await step.sleep("nap", 1)

    async with stepwell.open(url, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        steps = await instance.steps()
        apart = [(step.name, step.step_name, step.count) for step in steps]
        expected = [("page-1-1", "page-1", 1), ("page-1-2", "page-1", 2), ("nap-1", "nap", 1)]
        assert expected == apart
        for step in steps:
            await instance.restart({"name": step.step_name, "count": step.count, "type": step.type})
            await instance.result(10)

        assert apart == [(step.name, step.step_name, step.count) for step in await instance.steps()]


async def test_s026_a_missing_step_names_those_near_it(url: str) -> None:
    """A step that is not in the history is refused with those called nearly so; nothing runs."""

    async def run(event: Any, step: Any) -> None:
        await step.do("create user", lambda: None)

    async with stepwell.open(url, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        near = r"'create usr' is not in the history .*near it: 'create user' \(do, count 1\)"
        with pytest.raises(WorkflowError, match=near) as caught:
            await instance.restart("create usr")
        assert "instance.cannot_restart" == caught.value.code
        assert "complete" == (await instance.status()).status
        await instance.delete()
        for from_step in (None, "create usr"):
            with pytest.raises(InstanceNotFound):
                await instance.restart(from_step)


async def test_a_result_that_does_not_come_in_time(url: str) -> None:
    """The TimeoutError names the instance and its status; the instance goes on."""

    async def run(event: Any, step: Any) -> Any:
        return (await step.wait_for_event("wait", "go")).payload

    async with stepwell.open(url, workflows=[flow(run)], linger_seconds=0) as well:
        instance = await well.workflow("Flow").create("slow")
        async for event in instance.subscribe():
            if event.type == "workflow_waiting":
                break
        late = r"Flow/slow has not ended within 0\.01 seconds; it goes on, now waiting"
        with pytest.raises(TimeoutError, match=late):
            await instance.result(timeout=0.01)
        await instance.pause()
        with pytest.raises(TimeoutError, match=r"seconds; it is paused\. resume\(\) it"):
            await instance.result(timeout=0.5)
        await instance.resume()
        await instance.send_event("go", 5)

        assert 5 == await instance.result(timeout=10)


@pytest.mark.parametrize("timeout", [0, -1])
async def test_a_result_that_is_there_needs_no_time(url: str, timeout: float) -> None:
    """What has ended gives its result, however little time there is."""
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)

        assert "done" == await instance.result(timeout)


async def test_the_client_shows_its_workflows(url: str) -> None:
    """The repr of the client names the workflows it was opened with."""
    async with stepwell.open(url, workflows=[flow(nothing), flow(nothing, "Other")]) as well:
        assert "<Stepwell of Flow, Other>" == repr(well)
    async with stepwell.open(url) as well:
        assert "<Stepwell without workflows>" == repr(well)


async def test_without_a_worker_instances_wait_for_one(tmp_path: Path) -> None:
    """Where no workflow is given any name is good, and nothing runs before a worker knows it."""
    url = f"sqlite:///{tmp_path}/well.db"
    async with stepwell.open(url) as well:
        await well.workflow("Flow").create("a")
    async with stepwell.open(url, workflows=[flow(nothing)], worker=False) as well:
        with pytest.raises(WorkflowNotFound, match="no workflow 'Flaw' here; there are: Flow"):
            well.workflow("Flaw")
        assert "queued" == (await (await well.workflow("Flow").get("a")).status()).status
    async with stepwell.open(url, workflows=[flow(nothing)]) as well:
        assert "done" == await (await well.workflow("Flow").get("a")).result(10)
