"""Notice code that blocks the event loop, and name it: workflow, step, file and line.

A thread looks at a heartbeat that the loop sets. While the loop does not answer, the thread reads
the stack of the loop's thread; the innermost frame outside the standard library and Stepwell is the
author's line, and the asyncio task that is running tells which instance it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import sysconfig
import threading
import time
import traceback
from pathlib import Path

_LOG = logging.getLogger("stepwell.watchdog")
_OWN = str(Path(__file__).parent.parent)
_STDLIB = sysconfig.get_paths()["stdlib"]


class Watchdog:
    """Watches the running event loop from a thread of its own."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat = time.monotonic()
        self._handle: asyncio.TimerHandle | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stepwell-watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._tick()
        self._thread.start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._handle is not None:
            self._handle.cancel()
        self._thread.join()

    def _tick(self) -> None:
        self._beat = time.monotonic()
        self._handle = self._loop.call_later(self._seconds / 4, self._tick)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._seconds / 4):
            beat = self._beat
            if time.monotonic() - beat > self._seconds * 1.25 and beat != reported:
                reported = beat
                self._report(time.monotonic() - beat)

    def _report(self, seconds: float) -> None:
        frame = sys._current_frames().get(self._loop_thread)  # noqa: SLF001  (the only way there is)
        if frame is None:
            return
        stack = traceback.extract_stack(frame)
        own = [f for f in stack if not f.filename.startswith((_OWN, _STDLIB, "<frozen"))]
        place = (own or stack)[-1]
        task = asyncio.current_task(self._loop)
        running = task.get_name() if task is not None else "no task"
        step = next((f.name for f in reversed(own)), place.name)
        _LOG.warning(
            "the event loop has been blocked for %.1f s by %s, line %d, in %s (%s): %s\n"
            "Everything in this process waits. Use await, or make the step's callable sync: "
            "then it runs in a thread.",
            seconds,
            place.filename,
            place.lineno or 0,
            step,
            running,
            (place.line or "").strip(),
        )
