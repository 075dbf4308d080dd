"""What the terminal shows of the log."""

from __future__ import annotations

import io
import logging
import re

import pytest

from stepwell.cli.logs import StepFormatter, show_logs, step_line

DETAILS = {
    "workflow": "billing",
    "instance": "a",
    "step": "charge-1",
    "attempt": 2,
    "outcome": "completed",
    "duration_ms": 12,
}


@pytest.fixture
def streams():
    """Two streams that show logs, with the root logger as it is when nobody has set it up."""
    logs = [logging.getLogger("stepwell"), logging.getLogger()]
    before = [(log.handlers, log.level, log.propagate) for log in logs]
    logs[1].handlers = []
    logs[1].setLevel(logging.WARNING)
    streams = io.StringIO(), io.StringIO()
    show_logs(*streams)
    yield streams
    for log, (handlers, level, propagate) in zip(logs, before, strict=True):
        log.handlers, log.propagate = handlers, propagate
        log.setLevel(level)


@pytest.fixture
def stream(streams):
    return streams[0]


def test_line_of_a_step():
    """The line of a step says where, what, which attempt, how it ended, and how long it took."""
    line = step_line(DETAILS, "billing/a charge-1 attempt 2 completed")

    assert "billing/a  charge-1  attempt 2 completed in 12 ms" == line


def test_line_of_a_failure():
    """The line of a failed attempt says the error too."""
    details = {**DETAILS, "outcome": "failed", "duration_ms": 3400}

    line = step_line(details, "billing/a charge-1 attempt 2 failed: ValueError('no card')")

    assert "billing/a  charge-1  attempt 2 failed in 3.4 s: ValueError('no card')" == line


def test_step_record(stream):
    """A step's record of the engine becomes one line with the time of day."""
    logging.getLogger("stepwell.engine").info("charge-1 completed", extra=DETAILS)

    assert re.fullmatch(
        r"\d\d:\d\d:\d\d billing/a  charge-1  attempt 2 completed in 12 ms\n", stream.getvalue()
    )


def test_other_record(stream):
    """What is not about a step is shown as it is, from INFO up."""
    log = logging.getLogger("stepwell.worker")
    log.debug("too quiet")
    log.warning("freed %d instances", 3)

    assert re.fullmatch(r"\d\d:\d\d:\d\d freed 3 instances\n", stream.getvalue())


def test_traceback(stream):
    """The traceback of an error is shown below its line."""
    try:
        raise ValueError("no card")
    except ValueError:
        logging.getLogger("stepwell.engine").exception("it failed")

    assert "it failed\nTraceback (most recent call last):" in stream.getvalue()
    assert "ValueError: no card\n" in stream.getvalue()


def test_shown_once(stream, capsys):
    """A line is not shown a second time by what the project does with the root logger."""
    logging.getLogger("stepwell.engine").info("charge-1 completed", extra=DETAILS)

    assert 1 == stream.getvalue().count("charge-1")
    assert "charge-1" not in capsys.readouterr().err


def test_logs_of_the_project(streams):
    """What the project logs is shown from INFO up, with the time, and what is not usual."""
    logging.info("an order came in")  # noqa: LOG015 - as a project may write it
    logging.getLogger("shop").debug("too quiet")
    logging.getLogger("shop").warning("only %d left", 3)

    first, second = streams[1].getvalue().splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d an order came in", first)
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING shop: only 3 left", second)
    assert "" == streams[0].getvalue()


def test_root_logger_of_the_project_is_left_alone(streams):
    """A project that has set up the root logger keeps its handlers and its level."""
    root, own = logging.getLogger(), logging.NullHandler()
    root.handlers = [own]
    root.setLevel(logging.ERROR)

    show_logs(*streams)

    assert [own] == root.handlers
    assert logging.ERROR == root.level


def test_formatter_leaves_the_record_alone():
    """Other handlers find the record as it was."""
    record = logging.makeLogRecord({"msg": "done", **DETAILS})

    StepFormatter().format(record)

    assert "done" == record.getMessage()
