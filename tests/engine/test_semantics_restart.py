"""Restart: from every status, from the top or from a step, and what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell import WorkflowError, WorkflowInstance
from stepwell.errors import InvalidRequest
from tests.engine.support import (
    Gate,
    Open,
    error_of,
    events_of,
    flow,
    steps_of,
    types_of,
    until,
    until_step,
)

Reach = Callable[[WorkflowInstance, Gate], Awaitable[Any]]


async def _complete(instance: WorkflowInstance, gate: Gate) -> None:
    gate.may_end.set()
    await instance.result(10)


async def _error(instance: WorkflowInstance, gate: Gate) -> None:
    gate.result = ValueError("asked for")
    gate.may_end.set()
    await error_of(instance)
    gate.result = "done"


async def _terminate(instance: WorkflowInstance, gate: Gate) -> None:
    await gate.began.wait()
    await instance.terminate()
    gate.may_end.set()


async def _run(instance: WorkflowInstance, gate: Gate) -> None:
    await gate.began.wait()


async def _ask_for_pause(instance: WorkflowInstance, gate: Gate) -> None:
    await gate.began.wait()
    await instance.pause()


async def _pause(instance: WorkflowInstance, gate: Gate) -> None:
    await _ask_for_pause(instance, gate)
    gate.may_end.set()
    await until(instance, "workflow_paused")


REACH: dict[str, Reach] = {
    "complete": _complete,
    "errored": _error,
    "terminated": _terminate,
    "running": _run,
    "paused": _pause,
    "waitingForPause": _ask_for_pause,
}
FRESH = [
    "workflow_queued", "workflow_started", "step_started", "attempt_started", "attempt_completed",
    "step_completed", "workflow_completed",
]  # fmt: skip


@pytest.mark.parametrize("status", REACH)
async def test_s019_to_s023_and_s107_and_s144_restart_from_any_status(
    open_well: Open, status: str
) -> None:
    """Whatever its status, a restarted instance runs from the top to complete, on a fresh log."""
    gate = Gate()

    async def run(event: Any, step: Any) -> Any:
        result = await step.do("work", gate)
        if isinstance(result, Exception):
            raise result
        return [result, event.payload]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(params="kept")
        await REACH[status](instance, gate)
        assert status == (await instance.status()).status
        calls_before, gate.may_end = gate.calls, Gate().may_end
        gate.began.clear()
        await instance.restart()
        assert (await instance.status()).status in {"queued", "running"}
        await gate.began.wait()
        gate.may_end.set()

        assert ["done", "kept"] == await instance.result(10)
        assert calls_before + 1 == gate.calls
        assert FRESH == await types_of(instance)


async def test_e046_and_e056_what_a_restart_forgets_and_keeps(open_well: Open) -> None:
    """A full restart discards events that nobody took yet; params and timestamp stay."""

    async def run(event: Any, step: Any) -> Any:
        await step.wait_for_event("start", type="start")
        got = await step.wait_for_event("wait", type="go")
        return [got.payload, event.payload, event.timestamp]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(params="kept")
        for payload in ("taken", "left", "left over"):
            await instance.send_event("go", payload)
        await instance.send_event("start")
        payload, _, timestamp = await instance.result(10)
        assert "taken" == payload
        await instance.restart()
        await instance.send_event("go", "before the restart")
        await instance.restart()
        await instance.send_event("start")
        await instance.send_event("go", "after it")

        assert ["after it", "kept", timestamp] == await instance.result(10)


# Where to restart from, which callables run again, and whether the wait waits again.
FROM: list[tuple[Any, list[str], bool]] = [
    (None, ["first", "between", "one", "two"], True),
    ("checkpoint", ["one", "two"], False),
    ({"name": "checkpoint"}, ["one", "two"], False),
    ({"name": "checkpoint", "count": 2}, ["two"], False),
    ({"name": "checkpoint", "count": 2, "type": "do"}, ["two"], False),
    ({"name": "checkpoint", "type": "sleep"}, ["between", "one", "two"], True),
    ({"name": "checkpoint", "count": 1, "type": "waitForEvent"}, ["one", "two"], True),
]


@pytest.mark.parametrize(("from_step", "again", "is_awaited"), FROM)
async def test_s025_and_s349_to_s351_restart_from_a_step(
    open_well: Open, from_step: Any, again: list[str], is_awaited: bool
) -> None:
    """A name alone means the first `do`; count and type choose; what began earlier is kept."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        await step.do("first", lambda: calls.append("first"))
        await step.sleep("checkpoint", 1)
        await step.do("between", lambda: calls.append("between"))
        got = await step.wait_for_event("checkpoint", type="go")
        await step.do("checkpoint", lambda: calls.append("one"))
        await step.do("checkpoint", lambda: calls.append("two"))
        return got.payload

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await instance.send_event("go", "old")
        assert "old" == await instance.result(10)
        calls.clear()
        await instance.restart(from_step)
        if is_awaited:
            await instance.send_event("go", "new")

        assert ("new" if is_awaited else "old") == await instance.result(10)
        assert again == calls
        steps = ["first-1", "between-1", "checkpoint-1", "checkpoint-2"]
        assert steps == await steps_of(instance, "step_completed")
        assert ["checkpoint-1"] == await steps_of(instance, "sleep_completed")
        assert ["checkpoint-1"] == await steps_of(instance, "wait_completed")


async def test_e058_a_sibling_that_began_earlier_keeps_its_result(open_well: Open) -> None:
    """Later means begun later: a parallel step that began first and ended last is kept."""
    slow, quick = Gate("slow"), Gate("quick")

    async def run(event: Any, step: Any) -> Any:
        return await asyncio.gather(step.do("slow", slow), step.do("quick", quick))

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await slow.began.wait()
        quick.may_end.set()
        await until_step(instance, "step_completed", "quick-1")
        slow.may_end.set()
        await instance.result(10)
        await instance.restart("quick")

        assert ["slow", "quick"] == await instance.result(10)
        assert [1, 2] == [slow.calls, quick.calls]


async def test_s024_restart_keeps_the_success_of_earlier_steps(open_well: Open) -> None:
    """The first step's result and its success in the log outlive a restart from the second."""
    calls: list[str] = []

    async def run(event: Any, step: Any) -> Any:
        one = await step.do("one", lambda: calls.append("one") or len(calls))
        two = await step.do("two", lambda: calls.append("two") or len(calls))
        return [one, two]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        assert [1, 2] == await instance.result(10)
        await instance.restart("two")

        assert [1, 3] == await instance.result(10)
        assert [1, 3] == [e.output for e in await events_of(instance, "step_completed")]
        assert 1 == (await types_of(instance)).count("workflow_completed")


@pytest.mark.parametrize(
    "from_step",
    ["never", {"name": "work", "count": 2}, {"name": "work", "type": "sleep"}, {"name": "work-1"}],
)
async def test_s026_restart_from_what_never_ran(open_well: Open, from_step: Any) -> None:
    """No step of that name, count and type ran: refused, and the instance stays as it was."""
    gate = Gate()
    gate.may_end.set()

    async with open_well([flow(lambda _event, step: step.do("work", gate))]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        before = await instance.events()
        with pytest.raises(WorkflowError, match="not in the history") as caught:
            await instance.restart(from_step)

        assert "instance.cannot_restart" == caught.value.code
        assert before == await instance.events()
        assert 1 == gate.calls


@pytest.mark.parametrize(
    ("from_step", "word"),
    [
        ({}, "name"), ({"name": 5}, "name"), ({"name": "work", "count": 0}, "count"),
        ({"name": "work", "count": "1"}, "count"), ({"name": "work", "type": "nap"}, "type"),
        ({"name": "work", "cuont": 1}, "cuont"), (5, "mapping"),
    ],
)  # fmt: skip
async def test_a_bad_place_to_restart_from(open_well: Open, from_step: Any, word: str) -> None:
    """A bad or unknown key is refused by its name, and the instance stays as it was."""
    async with open_well([flow(lambda _event, step: step.do("work", lambda: 1))]) as well:
        instance = await well.workflow("Flow").create()
        await instance.result(10)
        with pytest.raises(InvalidRequest, match=word):
            await instance.restart(from_step)

        assert "complete" == (await instance.status()).status
