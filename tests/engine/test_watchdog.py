"""The watchdog: code that blocks the event loop is named in the log."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

import stepwell
from tests.engine.support import error_of, fast, flow

SECONDS = 0.05
TURNS_MAX = 10


class Reports(logging.Handler):
    """Gathers the watchdog's reports about code of this file."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []
        self.is_there = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a report about this file; others only tell how busy the machine is."""
        if __file__ in record.getMessage():
            self.records.append(record)
            self.is_there.set()

    def block(self) -> bool:
        """Block the event loop until it is reported, or for a while."""
        return self.is_there.wait(2)


@pytest.fixture
def reports() -> Iterator[Reports]:
    """Listen to the watchdog's log."""
    handler, log = Reports(), logging.getLogger("stepwell.watchdog")
    log.addHandler(handler)
    yield handler
    log.removeHandler(handler)


async def block_until_reported(reports: Reports) -> None:
    """Block the event loop until it is reported.

    The loop gets a turn in between: one report is made for each of its turns, and a busy machine
    may have caused that one.
    """
    for _ in range(TURNS_MAX):
        if reports.block():
            return
        await asyncio.sleep(SECONDS)


def block_on() -> None:
    """Block the event loop for several of the watchdog's looks."""
    threading.Event().wait(SECONDS * 4)


async def one_report(run: Any, reports: Reports) -> logging.LogRecord:
    """Run a workflow that blocks, to its end; give the first report about it."""
    async with stepwell.open(
        "memory://", workflows=[flow(run)], blocking_seconds=SECONDS, linger_seconds=None
    ) as well:
        instance = await well.workflow("Flow").create(id="a")
        assert "done" == await instance.result(30)
    return reports.records[0]


def owner_of(record: logging.LogRecord) -> list[Any]:
    """Give the workflow, instance and step that a report is about."""
    return [getattr(record, name) for name in ("workflow", "instance", "step")]


async def test_a_blocking_step_is_named(reports: Reports) -> None:
    """The warning names workflow, instance, step, file, line, function, and says what to do."""

    async def run(event: Any, step: Any) -> str:
        async def work() -> str:
            await block_until_reported(reports)
            return "done"

        return str(await step.do("work", work))

    record = await one_report(run, reports)
    text = record.getMessage()

    line = Reports.block.__code__.co_firstlineno + 2
    assert "WARNING" == record.levelname
    assert f"by {__file__}, line {line}, in block " in text
    assert "(Flow/a, step work-1)" in text
    assert "return self.is_there.wait(2)" in text
    assert "make the step's callable sync" in text
    assert ["Flow", "a", "work-1"] == owner_of(record)


async def test_a_step_that_blocks_later_on_is_named(reports: Reports) -> None:
    """A step that has waited before, in a task of its own, and is a later attempt, is named too."""

    async def run(event: Any, step: Any) -> str:
        async def work(ctx: Any) -> None:
            if ctx.attempt == 1:
                raise ValueError("once more")
            await asyncio.sleep(0)
            await block_until_reported(reports)

        async def other() -> None:
            await asyncio.sleep(0)

        await asyncio.gather(
            step.do("work", fast(1), work), step.do("other", other), step.do("other", other)
        )
        return "done"

    assert ["Flow", "a", "work-1"] == owner_of(await one_report(run, reports))


async def test_blocking_between_steps_is_named(reports: Reports) -> None:
    """Code of `run` that blocks outside of any step is named without a step."""

    async def run(event: Any, step: Any) -> str:
        await step.do("before", lambda: 1)
        await block_until_reported(reports)
        return "done"

    record = await one_report(run, reports)

    assert ["Flow", "a", None] == owner_of(record)
    assert "(Flow/a, outside of its steps)" in record.getMessage()


async def test_a_blocking_rollback_handler_is_named(reports: Reports) -> None:
    """A rollback handler that blocks is named by the step that it undoes."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", lambda: 1, rollback=lambda: block_until_reported(reports))
        raise ValueError("trigger")

    async with stepwell.open("memory://", workflows=[flow(run)], blocking_seconds=SECONDS) as well:
        await error_of(await well.workflow("Flow").create(id="a"))

    assert ["Flow", "a", "work-1"] == owner_of(reports.records[0])


async def test_code_that_is_no_workflow_is_named_by_its_task(reports: Reports) -> None:
    """Other code in the same event loop is named as well, by its task."""

    async def run(event: Any, step: Any) -> str:
        return "done"

    async with stepwell.open("memory://", workflows=[flow(run)], blocking_seconds=SECONDS):
        await asyncio.create_task(block_until_reported(reports), name="the web server")

    assert [None, None, None] == owner_of(reports.records[0])
    assert "(the web server)" in reports.records[0].getMessage()


async def test_one_blocking_is_reported_once(reports: Reports) -> None:
    """However long the event loop is blocked, one warning tells it."""

    async def run(event: Any, step: Any) -> str:
        async def work() -> str:
            await block_until_reported(reports)
            block_on()
            return "done"

        return str(await step.do("work", work))

    await one_report(run, reports)

    assert 1 == len(reports.records)


async def test_sync_steps_block_nothing(reports: Reports) -> None:
    """A sync step that takes long is no reason for a warning: it has a thread."""
    is_over = threading.Event()

    async def run(event: Any, step: Any) -> str:
        await asyncio.gather(
            step.do("long", lambda: is_over.wait(5)), step.sleep("nap", SECONDS * 4000)
        )
        return "done"

    async with stepwell.open(
        "memory://", workflows=[flow(run)], blocking_seconds=SECONDS, linger_seconds=None
    ) as well:
        instance = await well.workflow("Flow").create()
        async for _ in instance.subscribe(types=["sleep_completed"]):
            is_over.set()
            break
        assert "done" == await instance.result(10)

    assert [] == reports.records


@pytest.mark.parametrize("blocking_seconds", [None, 30.0])
async def test_the_limit_is_the_setting(reports: Reports, blocking_seconds: float | None) -> None:
    """Shorter blocking than the setting, and any with None, is not reported."""

    async def run(event: Any, step: Any) -> str:
        block_on()
        return "done"

    async with stepwell.open(
        "memory://", workflows=[flow(run)], blocking_seconds=blocking_seconds
    ) as well:
        assert "done" == await (await well.workflow("Flow").create()).result(10)

    assert [] == reports.records


async def test_closing_ends_the_thread(reports: Reports) -> None:
    """After the well is closed no watchdog thread is left."""
    async with stepwell.open("memory://", workflows=[flow(lambda _event, _step: "done")]):
        assert 1 == watchdogs()

    assert 0 == watchdogs()


def watchdogs() -> int:
    """Count the watchdog threads."""
    return sum(thread.name == "stepwell-watchdog" for thread in threading.enumerate())
