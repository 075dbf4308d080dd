"""Handles outlive what they work with: after that, each says so in one way."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest

import stepwell
import stepwell.blocking
from stepwell import StepwellError
from tests.engine.support import flow

CLOSED = "stepwell is closed"


async def waits(event: Any, step: Any) -> Any:
    """Wait for an event."""
    return (await step.wait_for_event("wait", "go")).payload


async def test_each_verb_says_that_it_is_closed(url: str) -> None:
    """After the end of `async with`, whatever the store, each verb raises the same error."""
    async with stepwell.open(url, workflows=[flow(waits)]) as well:
        flows = well.workflow("Flow")
        instance = await flows.create("a")
    calls = [
        lambda: flows.create("b"), lambda: flows.create_batch([{}]), lambda: flows.get("a"),
        flows.list, lambda: flows.delete_batch(["a"]), lambda: well.count_by_status("Flow"),
        instance.status, instance.result, lambda: instance.result(1), instance.pause,
        instance.resume, instance.restart, lambda: instance.restart("x"), instance.terminate,
        instance.delete, lambda: instance.send_event("go"), instance.steps, instance.events,
        lambda: anext(aiter(instance.subscribe())),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StepwellError, match=CLOSED) as caught:
            await call()
        assert StepwellError is type(caught.value)


async def test_who_waits_is_told_that_it_closes(url: str) -> None:
    """Whoever waits for a result or an event when it closes does not wait for ever."""
    async with stepwell.open(url, workflows=[flow(waits)]) as well:
        instance = await well.workflow("Flow").create("a")
        events = instance.subscribe()
        async for event in events:
            if event.type == "workflow_started":
                break
        result = asyncio.create_task(instance.result())
        seen = asyncio.create_task(_last(events))
        await asyncio.sleep(0)
    for task in (result, seen):
        with pytest.raises(StepwellError, match=CLOSED):
            await asyncio.wait_for(task, 10)


async def _last(events: Any) -> Any:
    async for event in events:
        last = event
    return last


async def test_steps_may_use_handles_while_it_closes(url: str) -> None:
    """A step that ends within the grace period still finds the instances of others."""
    found: list[str] = []
    began, closes = asyncio.Event(), asyncio.Event()

    async def run(event: Any, step: Any) -> None:
        async def look() -> None:
            began.set()
            await closes.wait()
            found.append((await other.status()).status)

        await step.do("look", look)

    async with stepwell.open(url, workflows=[flow(run), flow(waits, "Other")]) as well:
        other = await well.workflow("Other").create()
        await well.workflow("Flow").create()
        await began.wait()
        closes.set()  # the step has its turn again at the first await of the end

    assert 1 == len(found)


def test_each_blocking_verb_says_that_it_is_closed(url: str) -> None:
    """The same without `await`; nothing is left over that warns later."""
    with stepwell.blocking.open(url, workflows=[flow(waits)]) as well:
        flows = well.workflow("Flow")
        instance = flows.create("a")
        log = instance.subscribe()
        next(log)
    calls = [
        lambda: flows.create("b"), flows.list, instance.status, instance.result, instance.delete,
        lambda: instance.send_event("go"), lambda: next(instance.subscribe()), lambda: next(log),
        lambda: well.workflow("Flow"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(StepwellError, match=CLOSED):
            call()
    gc.collect()


def test_a_blocking_client_is_entered_once(url: str) -> None:
    """Entering it a second time, open or closed, is refused; what is open stays so."""
    well = stepwell.blocking.open(url, workflows=[flow(waits)])
    with pytest.raises(StepwellError, match="is not open"):
        well.workflow("Flow")
    with well:
        with pytest.raises(StepwellError, match="for another"), well:
            pass
        assert "a" == well.workflow("Flow").create("a").id
    with pytest.raises(StepwellError, match="for another"), well:
        pass


def test_another_thread_that_waits_is_told(url: str) -> None:
    """A thread that waits for a result when another closes does not wait for ever."""
    told: list[BaseException] = []

    def wait() -> None:
        try:
            instance.result()
        except StepwellError as error:
            told.append(error)

    with stepwell.blocking.open(url, workflows=[flow(waits)]) as well:
        instance = well.workflow("Flow").create("a")
        thread = threading.Thread(target=wait)
        thread.start()
        for event in instance.subscribe():
            if event.type == "workflow_started":
                break
    thread.join(10)

    assert not thread.is_alive()
    assert [True] == [CLOSED in str(error) for error in told]
