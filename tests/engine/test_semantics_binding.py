"""A workflow's handle: create, get, delete, batches, and what status tells."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell import InstanceNotFound, InstanceTerminated, WorkflowInstance
from stepwell.errors import InvalidRequest, StoreError
from stepwell.model.command import Delete
from stepwell.stores.memory import MemoryStore
from tests.engine.support import Gate, Open, error_of, flow, steps_of, types_of, until, until_step

CRON_ID = "*/5 * * * 1,3-1700000000000"


async def echo(event: Any, step: Any) -> Any:
    """Give the params back, through a step, and the workflow's name."""
    payload = await step.do("echo", lambda: event.payload)
    return [event.workflow_name, payload]


async def naps(event: Any, step: Any) -> Any:
    """Do a step, then sleep for an hour."""
    await step.do("first", lambda: {"made": event.payload})
    await step.sleep("nap", "1 hour")


async def test_s081_to_s082_and_s344_and_s357_create_with_id_and_params(open_well: Open) -> None:
    """Create gives the id; the workflow sees params and its own name; get finds the same one."""
    async with open_well([flow(echo, name="Echo")]) as well:
        created = await well.workflow("Echo").create(id="my-id", params={"x": [1, None]})
        found = await well.workflow("Echo").get("my-id")

        assert ["my-id", "my-id"] == [created.id, found.id]
        assert ["Echo", {"x": [1, None]}] == await created.result(10)
        assert ["Echo", {"x": [1, None]}] == await found.result(10)


async def test_s083_create_without_id(open_well: Open) -> None:
    """Without an id each instance gets one of its own, by which it is found; it completes."""
    async with open_well([flow(echo)]) as well:
        flows = well.workflow("Flow")
        one, two = await flows.create(), await flows.create()

        assert "" not in {one.id, two.id}
        assert one.id != two.id
        assert ["Flow", {}] == await (await flows.get(one.id)).result(10)
        assert ["Flow", {}] == await two.result(10)


async def test_s358_params_round_trip_through_a_step(open_well: Open) -> None:
    """Nested params come out of a step and of the workflow as they went in."""
    params = {"a": {"b": [1, 2.5, "ü", None, True, {"c": []}]}, "": {}}

    async with open_well([flow(echo)]) as well:
        instance = await well.workflow("Flow").create(params=params)

        assert ["Flow", params] == await instance.result(10)
        assert ["Flow", params] == (await instance.status()).output


@pytest.mark.parametrize("id_", ["given", None])
async def test_s309_to_s310_an_instance_that_sleeps_has_its_first_output(
    open_well: Open, id_: str | None
) -> None:
    """Created with or without an id, it is alive while it sleeps, with its first step's output."""
    async with open_well([flow(naps)]) as well:
        instance = await well.workflow("Flow").create(id=id_, params=7)
        await until(instance, "sleep_started")
        state, steps = await instance.status(), await instance.steps()

        assert state.status in {"running", "waiting"}
        assert None is state.output
        assert [("first-1", {"made": 7}), ("nap-1", None)] == [(s.name, s.output) for s in steps]
        assert [True, None] == [step.success for step in steps]


async def test_s311_get_of_an_unknown_id(open_well: Open) -> None:
    """An id that nobody created is not found, by code and by name."""
    async with open_well([flow(echo)]) as well:
        with pytest.raises(InstanceNotFound, match="'nobody'") as caught:
            await well.workflow("Flow").get("nobody")

        assert "instance.not_found" == caught.value.code


async def test_s096_and_s312_and_s344_and_s359_a_batch(open_well: Open) -> None:
    """A batch of three gives them in order; each is found, and has its own params."""
    async with open_well([flow(echo)]) as well:
        flows = well.workflow("Flow")
        made = await flows.create_batch([{"id": id_, "params": id_ * 2} for id_ in "cab"])
        found = [await flows.get(id_) for id_ in "cab"]

        assert ["c", "a", "b"] == [instance.id for instance in made]
        assert [["Flow", id_ * 2] for id_ in "cab"] == [await one.result(10) for one in made]
        assert [["Flow", id_ * 2] for id_ in "cab"] == [await one.result(10) for one in found]


async def test_s086_and_s346_handles_offer_every_verb(open_well: Open) -> None:
    """Handles of create, get and create_batch are of one class, and each verb of them works."""
    async with open_well([flow(naps)]) as well:
        flows = well.workflow("Flow")
        created, [batched] = await flows.create(id="a"), await flows.create_batch([{"id": "b"}])
        got = await flows.get("a")
        assert [WorkflowInstance] * 3 == [type(one) for one in (created, got, batched)]
        for instance in (got, batched):
            await until(instance, "sleep_started")
            await instance.pause()
            await until(instance, "workflow_paused")
            await instance.send_event("any")
            await instance.resume()
            await instance.restart()
            assert (await instance.status()).status in {"queued", "running", "waiting"}
            await instance.terminate()
            assert "terminated" == (await instance.status()).status
            await instance.delete()
        with pytest.raises(InstanceNotFound):
            await created.status()


async def test_s099_status_while_waiting(url: str) -> None:
    """An instance at rest in a wait is waiting; no output, no error."""

    async def run(event: Any, step: Any) -> None:
        await step.wait_for_event("wait", type="go")

    async with stepwell.open(url, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "workflow_waiting")

        expected = {"status": "waiting", "output": None, "error": None, "rollback": None}
        assert expected == await instance.status()


async def test_s100_to_s101_and_s103_status_after_the_end(open_well: Open) -> None:
    """Complete has an output and no error, errored the other way round, terminated neither."""

    async def run(event: Any, step: Any) -> Any:
        if event.payload == "raise":
            raise KeyError("no such key")
        if event.payload == "sleep":
            await step.sleep("long", "1 hour")
        return {"sum": 3}

    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        complete, errored = await flows.create(), await flows.create(params="raise")
        terminated = await flows.create(params="sleep")
        await complete.result(10)
        error = await error_of(errored)
        await terminated.terminate()

        nothing = {"output": None, "error": None, "rollback": None}
        assert {**nothing, "status": "complete", "output": {"sum": 3}} == await complete.status()
        assert "KeyError" == error["name"]
        assert "no such key" in error["message"]
        assert {**nothing, "status": "errored", "error": error} == await errored.status()
        assert {**nothing, "status": "terminated"} == await terminated.status()


async def test_s088_an_empty_id_is_refused(open_well: Open) -> None:
    """Nothing is found or deleted under an empty id: it is invalid, not unknown."""
    async with open_well([flow(echo)]) as well:
        flows = well.workflow("Flow")
        await flows.create(id="a")
        for attempt in (flows.get(""), flows.delete_batch([""]), flows.delete_batch(["a", ""])):
            with pytest.raises(InvalidRequest, match="cannot exist") as caught:
                await attempt
            assert "instance.invalid_id" == caught.value.code

        assert "a" == (await flows.get("a")).id


async def test_s089_an_id_of_a_schedule_is_merely_not_found(open_well: Open) -> None:
    """An id as schedules make it may be asked for and deleted; there is just none."""
    async with open_well([flow(echo)]) as well:
        flows = well.workflow("Flow")
        with pytest.raises(InstanceNotFound):
            await flows.get(CRON_ID)
        answer = await flows.delete_batch([CRON_ID])

        assert [] == answer["deleted"]
        assert [(CRON_ID, 10400)] == [(error["id"], error["code"]) for error in answer["errors"]]


@pytest.mark.parametrize("verb", ["delete", "terminate", "restart"])
async def test_s090_and_s142_an_instance_that_ends_itself(open_well: Open, verb: str) -> None:
    """An instance that deletes, terminates or restarts itself stops right at that await."""
    notes: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        if notes:
            return "second"
        await step.wait_for_event("wait", type="go")
        notes.append("before")
        me = await well.workflow("Flow").get(event.instance_id)
        await getattr(me, verb)()
        notes.append("after")
        return await step.do("later", lambda: notes.append("later"))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await instance.send_event("go")
        if verb == "restart":
            assert "second" == await instance.result(10)
        else:
            with pytest.raises(InstanceNotFound if verb == "delete" else InstanceTerminated):
                await instance.result(10)

    assert ["before"] == notes


async def test_s141_an_id_is_free_after_deletion(open_well: Open) -> None:
    """An instance deleted in mid-step leaves its id free; the next one knows nothing of it."""
    gate = Gate("old")

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", gate if event.payload == "old" else lambda: event.payload)

    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        old = await flows.create(id="a", params="old")
        await gate.began.wait()
        await old.delete()
        new = await flows.create(id="a", params="new")
        gate.may_end.set()

        assert "new" == await new.result(10)
        assert ["work-1"] == await steps_of(new, "step_completed")
        assert 1 == (await types_of(new)).count("workflow_queued")


async def test_s091_to_s092_and_s143_and_s345_delete_batch(open_well: Open) -> None:
    """All that exist are deleted and gone; each position, twice or missing, is reported."""
    async with open_well([flow(naps)]) as well:
        flows = well.workflow("Flow")
        await flows.create_batch([{"id": id_} for id_ in "abc"])
        answer = await flows.delete_batch(["none", "b", "a", "b", "none"])

        assert [{"id": "b"}, {"id": "a"}, {"id": "b"}] == answer["deleted"]
        message = "workflows.api.error.instance.not_found"
        missing = {"id": "none", "code": 10400, "message": message}
        assert [missing, missing] == answer["errors"]
        for id_ in "ab":
            with pytest.raises(InstanceNotFound):
                await flows.get(id_)
        assert ["c"] == [instance.id for instance in await flows.list()]


class KeepsB(MemoryStore):
    """A memory store that cannot delete the instance `b`."""

    def __init__(self) -> None:
        super().__init__()
        self.tries = 0

    async def apply(self, commands: Any, now_ms: int) -> Any:
        if any(isinstance(command, Delete) and command.ref.id == "b" for command in commands):
            self.tries += 1
            raise StoreError("a secret path is full")
        return await super().apply(commands, now_ms)


async def test_s093_a_failed_deletion_is_reported_without_its_text() -> None:
    """What the store cannot delete is 10001 at each position; others go."""
    store = KeepsB()
    async with stepwell.open("memory://", store=store, workflows=[flow(naps)]) as well:
        flows = well.workflow("Flow")
        await flows.create_batch([{"id": id_} for id_ in "abc"])
        answer = await flows.delete_batch(["a", "b", "c", "b"])

        assert [{"id": "a"}, {"id": "c"}] == answer["deleted"]
        failed = {"id": "b", "code": 10001, "message": "workflows.api.error.internal_server"}
        assert [failed, failed] == answer["errors"]
        assert 2 == store.tries  # once with the others, and once alone
        assert "b" == (await flows.get("b")).id


async def test_s330_one_id_in_two_workflows(open_well: Open) -> None:
    """Instances of one id in two workflows know nothing of each other."""
    async with open_well([flow(naps, name="One"), flow(echo, name="Two")]) as well:
        one = await well.workflow("One").create(id="same", params=1)
        two = await well.workflow("Two").create(id="same", params=2)
        await until(one, "sleep_started")
        assert ["Two", 2] == await two.result(10)
        await two.delete()
        await one.terminate()

        assert "terminated" == (await (await well.workflow("One").get("same")).status()).status
        with pytest.raises(InstanceNotFound):
            await well.workflow("Two").get("same")


async def test_s331_to_s333_verbs_reach_the_third_workflow_alone(open_well: Open) -> None:
    """With three workflows, each verb means the one that it is called on."""

    async def run(event: Any, step: Any) -> Any:
        return (await step.wait_for_event("wait", type="go")).payload

    names = ["One", "Two", "Three"]
    async with open_well([flow(run, name=name) for name in names]) as well:
        one, two, three = [await well.workflow(name).create(id="same") for name in names]
        for instance in (one, two, three):
            await until(instance, "wait_started")
        await three.pause()
        await until(three, "workflow_paused")
        await three.resume()
        await three.restart()
        await until_step(three, "wait_started", "wait-1")
        await three.terminate()
        await asyncio.gather(one.send_event("go", 1), two.send_event("go", 2))

        assert [1, 2] == [await one.result(10), await two.result(10)]
        assert "terminated" == (await three.status()).status
        for instance in (one, two):
            assert "workflow_paused" not in await types_of(instance)
