"""Workflows on `env`, against a real Stepwell in memory."""

import asyncio
from contextlib import asynccontextmanager
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowEntrypoint
from stepwell.errors import InstanceAlreadyExists, InvalidRequest, StepwellError
from stepwell.runtime.bound_workflow import BoundWorkflow, WellSlot


class Echo(WorkflowEntrypoint[Any, Any]):
    """Gives its params back."""

    name = "echo"

    async def run(self, event, step):
        return await step.do("echo", lambda: event.payload)


@asynccontextmanager
async def bound(**settings):
    slot = WellSlot()
    async with slot.hold(stepwell.open("sqlite://:memory:", workflows=[Echo], **settings)):
        yield BoundWorkflow("echo", slot)


@pytest.mark.parametrize(
    "arguments",
    [
        ((), {"id": "a", "params": {"n": 1}}),
        (("a", {"n": 1}), {}),
        (({"id": "a", "params": {"n": 1}},), {}),
        (({"id": "a", "params": {"n": 1}, "locationHint": "weur"},), {}),
    ],
)
async def test_create(arguments):
    """Keywords, positions, and Cloudflare's one mapping of options say the same."""
    positions, keywords = arguments
    async with bound() as workflow:
        instance = await workflow.create(*positions, **keywords)

        assert "a" == instance.id
        assert {"n": 1} == await instance.result(timeout=10)


async def test_create_without_anything():
    """Without an id one is made up, with and without a mapping."""
    async with bound() as workflow:
        ids = {(await workflow.create()).id, (await workflow.create({})).id}

    assert 2 == len(ids)


async def test_retention():
    """Retention may come in either spelling."""
    async with bound() as workflow:
        await workflow.create({"id": "a", "retention": {"successRetention": "1 day"}})
        await workflow.create(id="b", retention={"success_retention": "1 day"})

        with pytest.raises(InvalidRequest, match="success_retention"):
            await workflow.create(id="c", retention={"success_retention": "soon"})


async def test_unknown_option():
    """A wrong option is an error that lists the right ones, and guesses at `params`."""
    async with bound() as workflow:
        with pytest.raises(InvalidRequest, match=r"unknown options 'payload'.*did you mean params"):
            await workflow.create({"payload": {"n": 1}})
        with pytest.raises(InvalidRequest, match="item 1 of the batch has unknown options 'Id'"):
            await workflow.create_batch([{"id": "a"}, {"Id": "b"}])
        with pytest.raises(InvalidRequest, match="not both"):
            await workflow.create({"id": "a"}, {"n": 1})
        with pytest.raises(StepwellError, match=r"instance\.not_found"):
            await workflow.get("a")


async def test_batch():
    """A batch creates those that are new; what is no list is refused."""
    async with bound() as workflow:
        await workflow.create(id="a")
        batch = [{"id": "a"}, {"id": "b", "params": 1}, {"id": "c", "locationHint": "weur"}]
        created = await workflow.createBatch(batch)

        assert ["b", "c"] == [instance.id for instance in created]
        with pytest.raises(InvalidRequest, match="a batch is a list"):
            await workflow.create_batch({"id": "d"})
        with pytest.raises(InvalidRequest, match="item 0 of the batch is no mapping"):
            await workflow.create_batch(["d"])


async def test_get_and_delete():
    """Instances are found and deleted; the camelCase twin answers too."""
    async with bound() as workflow:
        await workflow.create(id="a")
        await (await workflow.get("a")).result(timeout=10)
        answer = await workflow.deleteBatch(["a", "b"])

    assert [{"id": "a"}] == answer["deleted"]
    assert ["b"] == [error["id"] for error in answer["errors"]]


async def test_list():
    """Instances are listed, newest first, in pages."""
    async with bound() as workflow:
        for id in ("a", "b", "c"):
            await workflow.create(id=id)
        first = await workflow.list(limit=2)
        rest = await workflow.list(limit=2, cursor=first.cursor)

    assert ["c", "b"] == [instance.id for instance in first]
    assert ["a"] == [instance.id for instance in rest]


async def test_taken_id():
    """An id that is taken is the error of the library."""
    async with bound() as workflow:
        await workflow.create(id="a")
        with pytest.raises(InstanceAlreadyExists):
            await workflow.create({"id": "a"})


async def test_before_opening_and_after_closing():
    """A binding that nothing is open for says so, and when to use it."""
    slot = WellSlot()
    workflow = BoundWorkflow("echo", slot)

    with pytest.raises(StepwellError, match=r"Stepwell is not open\. Use env inside of requests"):
        await workflow.create()
    async with slot.hold(stepwell.open("sqlite://:memory:", workflows=[Echo])):
        await workflow.create()
    with pytest.raises(StepwellError, match="Stepwell is not open"):
        await workflow.create()


async def test_while_opening():
    """What a run asks of a binding while Stepwell is still being opened waits for that."""
    slot, opens = WellSlot(), asyncio.Event()
    workflow = BoundWorkflow("echo", slot)

    @asynccontextmanager
    async def open_slowly():
        async with stepwell.open("sqlite://:memory:", workflows=[Echo]) as well:
            await opens.wait()
            yield well

    async def use():
        async with slot.hold(open_slowly()):
            return await (await workflow.create(params=5)).result(timeout=10)

    using = asyncio.create_task(use())
    await asyncio.sleep(0)
    creating = asyncio.create_task(workflow.create(id="early"))
    await asyncio.sleep(0)
    assert not creating.done()
    opens.set()

    assert "early" == (await creating).id
    assert 5 == await using


async def test_opening_that_fails():
    """When Stepwell cannot be opened, what waits for it is told."""
    slot, fails = WellSlot(), asyncio.Event()

    @asynccontextmanager
    async def fail():
        await fails.wait()
        raise OSError("no disk")
        yield

    async def use():
        async with slot.hold(fail()):
            pass

    using = asyncio.create_task(use())
    await asyncio.sleep(0)
    creating = asyncio.create_task(BoundWorkflow("echo", slot).create())
    await asyncio.sleep(0)
    fails.set()

    with pytest.raises(StepwellError, match="Stepwell is not open"):
        await creating
    with pytest.raises(OSError, match="no disk"):
        await using


async def test_shown_by_its_name():
    """A binding's text tells which workflow it is."""
    assert "<BoundWorkflow 'echo'>" == repr(BoundWorkflow("echo", WellSlot()))
