"""What the program's log says of instances and steps."""

from __future__ import annotations

import logging
import sysconfig
import traceback
from typing import Any

import pytest

import stepwell
from stepwell import NonRetryableError
from stepwell.engine.logs import authors_frame
from tests.engine.support import flow, until

_SOON = {"retries": {"limit": 1, "delay": 0}}


def _messages(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == level]


async def test_a_failed_attempt_is_seen_by_default(caplog: pytest.LogCaptureFixture) -> None:
    """A warning names instance, step, attempt, the author's line, the error, and what comes."""

    def parse() -> None:
        raise KeyError("titel")

    async def run(event: Any, step: Any) -> Any:
        await step.do("parse it", _SOON, parse)

    async with stepwell.open("memory://", workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "workflow_errored")
    first, second = _messages(caplog, logging.WARNING)

    line = parse.__code__.co_firstlineno + 1
    place = f"KeyError('titel') at test_logs.py:{line} in parse"
    assert first == f"Flow/a parse it-1 attempt 1 failed: {place}; next in 0 ms"
    assert second == f"Flow/a parse it-1 attempt 2 failed for good: {place}"


async def test_the_error_of_an_instance_comes_with_its_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The traceback begins at the author's `run`, not in frames of Stepwell."""

    async def run(event: Any, step: Any) -> Any:
        raise NonRetryableError("no way")

    async with stepwell.open("memory://", workflows=[flow(run)]) as well:
        await until(await well.workflow("Flow").create(id="a"), "workflow_errored")
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]

    assert record.getMessage().startswith("Flow/a failed: NonRetryableError('no way')")
    assert record.exc_info is not None
    trace = record.exc_info[2]
    assert trace is not None
    assert trace.tb_frame.f_code.co_filename == __file__


async def test_a_rollback_is_not_logged_as_its_step(caplog: pytest.LogCaptureFixture) -> None:
    """An attempt to undo a step says so."""
    caplog.set_level(logging.INFO, "stepwell.engine")

    async def run(event: Any, step: Any) -> Any:
        await step.do("reserve", lambda: 1, rollback=lambda: None)
        raise NonRetryableError("stop")

    async with stepwell.open("memory://", workflows=[flow(run)]) as well:
        await until(await well.workflow("Flow").create(id="a"), "workflow_errored")
    steps = [m for m in _messages(caplog, logging.INFO) if "attempt 1 completed" in m]

    assert ["Flow/a reserve-1 attempt 1 completed", steps[1]] == steps
    assert "Flow/a rollback of reserve-1 attempt 1 completed" == steps[1]


async def test_life_of_an_instance_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Start, wait, waking and end each have a line."""
    caplog.set_level(logging.INFO, "stepwell.engine")

    async def run(event: Any, step: Any) -> Any:
        await step.wait_for_event("ok", type="approved")

    async with stepwell.open("memory://", workflows=[flow(run)], max_warm=0) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, "workflow_waiting")
        await instance.send_event("approved")
        await instance.result(10)
    lines = _messages(caplog, logging.INFO)

    assert lines[0] == "Flow/a starts"
    assert lines[1].startswith("Flow/a waits for event 'approved' until ")
    assert lines[2:] == ["Flow/a goes on", "Flow/a complete"]


class Rude(Exception):
    """An error that cannot even be written down."""

    def __repr__(self) -> str:
        raise ValueError("no")


async def test_an_error_without_a_repr_is_retried_as_any_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What the log cannot show changes nothing of what happens."""
    caplog.set_level(logging.INFO, "stepwell.engine")
    tries: list[int] = []

    async def rude() -> str:
        tries.append(1)
        if len(tries) < 2:
            raise Rude
        return "fine"

    async def run(event: Any, step: Any) -> Any:
        return await step.do("rude", _SOON, rude)

    async with stepwell.open("memory://", workflows=[flow(run)]) as well:
        assert "fine" == await (await well.workflow("Flow").create()).result(10)
    assert "<Rude without a repr>" in caplog.text


def test_the_authors_line_is_outside_of_libraries() -> None:
    """The innermost frame that is no library's is named; without one, the library's is."""
    library = sysconfig.get_paths()["purelib"] + "/package/module.py"
    author, inside = (traceback.FrameSummary(file, 1, "f") for file in ("/code/flow.py", library))

    assert author == authors_frame([inside, author, inside])
    assert inside == authors_frame([inside])
