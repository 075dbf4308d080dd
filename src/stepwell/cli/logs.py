"""How the terminal shows what is logged: one line per step, and the rest as it comes."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

_TIME_FORMAT = "%H:%M:%S"
_SECOND_MS = 1000
_DETAILS = ("workflow", "instance", "step", "attempt", "outcome", "duration_ms")


def show_logs(stream: TextIO = sys.stdout, others: TextIO = sys.stderr) -> None:
    """Show logs from now on, from INFO up: Stepwell's own, and on `others` those of the project.

    A project that has set up the root logger itself keeps what it has chosen.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(StepFormatter())
    log = logging.getLogger("stepwell")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False
    root = logging.getLogger()
    if not root.handlers:
        handler = logging.StreamHandler(others)
        handler.setFormatter(ProjectFormatter("%(message)s"))
        root.addHandler(handler)
        root.setLevel(min(root.level, logging.INFO))


class ProjectFormatter(logging.Formatter):
    """Formats a record by its time, level, logger and message; what is usual is left out."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record; a traceback follows below it."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        name = "" if record.name == "root" else f"{record.name}: "
        time = self.formatTime(record, _TIME_FORMAT)
        return f"{time} {level}{name}{super().format(record)}"


class StepFormatter(logging.Formatter):
    """Formats a record about a step by its details, and any other by its message."""

    default_time_format = _TIME_FORMAT
    default_msec_format = ""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line of a record; a traceback follows below it."""
        if all(hasattr(record, name) for name in _DETAILS):
            return f"{self.formatTime(record)} {step_line(record.__dict__, record.getMessage())}"
        return f"{self.formatTime(record)} {super().format(record)}"


def step_line(details: dict[str, object], message: str) -> str:
    """Give the line of one attempt of a step.

    Args:
        details: workflow, instance, step, attempt, outcome, duration_ms.
        message: the record's message; what follows the outcome in it tells the error.
    """
    outcome = str(details["outcome"])
    error = message.partition(f" {outcome}: ")[2]
    attempt = f"attempt {details['attempt']} "
    return (
        f"{details['workflow']}/{details['instance']}  {details['step']}  {attempt}{outcome}"
        f" in {_duration(details['duration_ms'])}{f': {error}' if error else ''}"
    )


def _duration(milliseconds: object) -> str:
    if not isinstance(milliseconds, (int, float)):
        return str(milliseconds)
    if milliseconds < _SECOND_MS:
        return f"{milliseconds:.0f} ms"
    return f"{milliseconds / _SECOND_MS:.1f} s"
