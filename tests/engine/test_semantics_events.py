"""Events: who gets them, when they wait, and which are refused."""

from __future__ import annotations

import re
from typing import Any

import pytest

from stepwell import Limits, NotSerializableError, WorkflowError, WorkflowTimeoutError
from stepwell.errors import InvalidRequest, PayloadTooLargeError
from tests.engine.manual_clock import NO_LAPSE, ManualClock
from tests.engine.processes import REF, killed_at_the_end, let_lease_lapse, stores_of
from tests.engine.support import Open, flow, steps_of, until, until_step


async def waits_once(event: Any, step: Any) -> Any:
    """Do a step, wait for an event, do another step."""
    await step.do("before", lambda: 1)
    got = await step.wait_for_event("wait", type="go", timeout="1 hour")
    return await step.do("after", lambda: got.payload)


async def test_s008_an_event_revives_an_instance_whose_worker_died(
    open_well: Open, url: str
) -> None:
    """A worker dies while the instance waits; the event comes, and another one goes on."""
    new_store = stores_of(url)
    async with killed_at_the_end(open_well, new_store(), [flow(waits_once)]) as well:
        await until(await well.workflow("Flow").create(id="a"), "wait_started")
    await let_lease_lapse(new_store())
    async with open_well([flow(waits_once)], store=new_store()) as well:
        instance = await well.workflow("Flow").get("a")
        await instance.send_event("go", "on")

        assert "on" == await instance.result(10)
        assert ["before-1", "after-1"] == await steps_of(instance, "step_completed")
        assert ["wait-1"] == await steps_of(instance, "wait_completed")


async def test_s008_an_event_sent_while_no_worker_lives(open_well: Open, url: str) -> None:
    """An event that comes while no process works is there when the next one does."""
    new_store = stores_of(url)
    async with killed_at_the_end(open_well, new_store(), [flow(waits_once)]) as well:
        await until(await well.workflow("Flow").create(id="a"), "wait_started")
    async with open_well([flow(waits_once)], store=new_store(), worker=False) as well:
        await (await well.workflow("Flow").get("a")).send_event("go", "late")
    await let_lease_lapse(new_store())
    async with open_well([flow(waits_once)], store=new_store()) as well:
        assert "late" == await (await well.workflow("Flow").get("a")).result(10)


async def test_s009_a_wait_that_timed_out_swallows_no_event(open_well: Open) -> None:
    """Of three waits for one type the second times out; the event after that is the third's."""
    clock = ManualClock()

    async def run(event: Any, step: Any) -> Any:
        got = [(await step.wait_for_event("first", "go", timeout="10 minutes")).payload]
        try:
            await step.wait_for_event("second", "go", timeout="10 minutes")
        except WorkflowTimeoutError as error:
            got.append(type(error).__name__)
        got.append((await step.wait_for_event("third", "go", timeout="10 minutes")).payload)
        return got

    async with open_well([flow(run)], clock=clock, lease_seconds=NO_LAPSE) as well:
        instance = await well.workflow("Flow").create()
        await instance.send_event("go", 1)
        await until_step(instance, "wait_started", "second-1")
        clock.turn(minutes=10)
        await until_step(instance, "wait_started", "third-1")
        await instance.send_event("go", 3)

        assert [1, "WorkflowTimeoutError", 3] == await instance.result(10)
        assert ["first-1", "third-1"] == await steps_of(instance, "wait_completed")
        assert ["second-1"] == await steps_of(instance, "wait_timed_out")


async def test_e041_a_deadline_that_passed_in_the_dark_wins(open_well: Open, url: str) -> None:
    """The wait's time ran out while no worker lived: a late event does not win, then or later."""
    clock, new_store = ManualClock(), stores_of(url)

    async def run(event: Any, step: Any) -> Any:
        try:
            return await step.wait_for_event("wait", "go", timeout="10 minutes")
        except WorkflowTimeoutError:
            return (await step.wait_for_event("again", "go", timeout="10 minutes")).payload

    options = {"clock": clock, "lease_seconds": NO_LAPSE}
    async with killed_at_the_end(open_well, new_store(), [flow(run)], **options) as well:
        await until(await well.workflow("Flow").create(id="a"), "wait_started")
    await let_lease_lapse(new_store())
    clock.turn(minutes=10)
    async with open_well([flow(run)], store=new_store(), worker=False, **options) as well:
        await (await well.workflow("Flow").get("a")).send_event("go", "late")
    async with open_well([flow(run)], store=new_store(), **options) as well:
        instance = await well.workflow("Flow").get("a")

        assert "late" == await instance.result(10)
        assert ["wait-1"] == await steps_of(instance, "wait_timed_out")
        assert ["again-1"] == await steps_of(instance, "wait_completed")


async def test_s105_two_waits_of_different_types(open_well: Open) -> None:
    """Two waits of different types get their events in turn, in whatever order these come."""

    async def run(event: Any, step: Any) -> Any:
        one = await step.wait_for_event("one", type="t1")
        two = await step.wait_for_event("two", type="t2")
        return [one.type, one.payload, two.type, two.payload]

    async with open_well([flow(run)]) as well:
        flows = well.workflow("Flow")
        instance, turned = await flows.create(), await flows.create()
        await until_step(instance, "wait_started", "one-1")
        await instance.send_event("t1", "x")
        await until_step(instance, "wait_started", "two-1")
        await instance.send_event("t2", "y")
        await turned.send_event("t2", "y")
        await turned.send_event("t1", "x")

        assert ["t1", "x", "t2", "y"] == await instance.result(10)
        assert ["t1", "x", "t2", "y"] == await turned.result(10)


async def test_e037_to_e039_one_event_is_for_one_wait(open_well: Open) -> None:
    """Events of one type go, oldest first, to one wait each; other types stay untouched."""

    async def run(event: Any, step: Any) -> Any:
        await step.wait_for_event("start", type="start")
        return [(await step.wait_for_event(f"w{n}", type="go")).payload for n in range(3)]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        for type_, payload in (("go", 0), ("other", "no"), ("go", 1), ("go", 2), ("go", 3)):
            await instance.send_event(type_, payload)
        await instance.send_event("start")

        assert [0, 1, 2] == await instance.result(10)


REFUSED: list[tuple[str, Any, type[Exception], str]] = [
    ("go", {"rows": [1, object()]}, NotSerializableError, "The payload of event 'go'"),
    ("go", "x" * 200, PayloadTooLargeError, "The payload of event 'go'"),
    ("go.now", 1, InvalidRequest, "workflow.invalid_event_type"),
    ("", 1, InvalidRequest, "workflow.invalid_event_type"),
    ("x" * 101, 1, InvalidRequest, "workflow.invalid_event_type"),
]


@pytest.mark.parametrize(("type_", "payload", "error", "word"), REFUSED)
async def test_a_refused_event_leaves_nothing(
    open_well: Open, url: str, type_: str, payload: Any, error: type[Exception], word: str
) -> None:
    """A payload that cannot be stored, or a bad type, is refused by name, and nothing is stored."""
    store, maxima = stores_of(url)(), Limits(event_bytes_max=100)
    async with open_well([flow(waits_once)], store=store, maxima=maxima) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "wait_started")
        with pytest.raises(error, match=re.escape(word)):
            await instance.send_event(type_, payload)
        row = await store.find(REF)
        assert row is not None
        assert [] == await store.pending_events(row.key, 0)
        await instance.send_event("go", "good")

        assert "good" == await instance.result(10)


async def test_a_refused_payload_names_path_and_type(open_well: Open) -> None:
    """The error for what cannot be stored tells where it is and of which type."""
    async with open_well([flow(waits_once)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(NotSerializableError) as caught:
            await instance.send_event("go", {"rows": [1, object()]})

        assert "object" == caught.value.type_name
        assert "rows" in caught.value.path
        assert "1" in caught.value.path


async def test_e044_no_event_to_a_finished_instance(open_well: Open) -> None:
    """A complete and a terminated instance take no more events."""
    async with open_well([flow(waits_once)]) as well:
        flows = well.workflow("Flow")
        complete, terminated = await flows.create(), await flows.create()
        await complete.send_event("go")
        await complete.result(10)
        await terminated.terminate()
        for instance in (complete, terminated):
            with pytest.raises(WorkflowError, match="no more events") as caught:
                await instance.send_event("go")
            assert "instance.in_finite_state" == caught.value.code
