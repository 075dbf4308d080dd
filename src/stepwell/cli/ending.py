"""The end of the process, also when a thread of the project does not end."""

from __future__ import annotations

import os
import sys
from threading import Timer


def end_process_within(seconds: float) -> None:
    """Let the process end by itself, and end it with exit code 0 if it takes longer.

    Python waits at its exit for threads, and a thread cannot be cancelled: a sync step that sleeps
    for an hour would hold it for an hour. To be called once everything is closed.
    """
    timer = Timer(seconds, _end)
    timer.daemon = True
    timer.start()


def _end() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
