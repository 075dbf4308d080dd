"""How the terminal shows what Stepwell logs: one line per step, and the rest as it comes."""

from __future__ import annotations

import logging
import sys
from typing import TextIO

_SECOND_MS = 1000
_DETAILS = ("workflow", "instance", "step", "attempt", "outcome", "duration_ms")


def show_logs(stream: TextIO = sys.stdout) -> None:
    """Show Stepwell's own log on a stream from now on, from INFO up."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(StepFormatter())
    log = logging.getLogger("stepwell")
    log.handlers = [handler]
    log.setLevel(logging.INFO)
    log.propagate = False


class StepFormatter(logging.Formatter):
    """Formats a record about a step by its details, and any other by its message."""

    default_time_format = "%H:%M:%S"
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
