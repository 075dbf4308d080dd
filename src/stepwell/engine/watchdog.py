"""Notice code that blocks the event loop, and name it: workflow, step, file and line.

A thread looks at a heartbeat that the loop sets. While the loop does not answer, the thread reads
the stack of the loop's thread; the innermost frame outside of libraries and Stepwell is the
author's line, and Stepwell's own frames around it tell which instance and step it belongs to.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from pathlib import Path
from types import FrameType

from stepwell.engine.hold import Hold
from stepwell.engine.logs import authors_frame
from stepwell.model.instance import Ref
from stepwell.model.step import StepKey

_LOG = logging.getLogger("stepwell.watchdog")
_OWN = str(Path(__file__).parent.parent)


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
        place = authors_frame(traceback.extract_stack(frame))
        ref, step = _find_owner(frame)
        task = asyncio.current_task(self._loop)
        whose = task.get_name() if task is not None else "no task"
        if ref is not None:
            whose = f"{ref.workflow}/{ref.id}, {f'step {step}' if step else 'outside of its steps'}"
        _LOG.warning(
            "the event loop has been blocked for %.1f s by %s, line %d, in %s (%s): %s\n"
            "Everything in this process waits. Use await, or make the step's callable sync: "
            "then it runs in a thread.",
            seconds,
            place.filename,
            place.lineno or 0,
            place.name,
            whose,
            (place.line or "").strip(),
            extra={"workflow": ref and ref.workflow, "instance": ref and ref.id, "step": step},
        )


def _find_owner(frame: FrameType | None) -> tuple[Ref | None, str | None]:
    """Tell the instance and the step that a stack belongs to, each None if it shows none."""
    ref: Ref | None = None
    step: str | None = None
    while frame is not None:
        if frame.f_code.co_filename.startswith(_OWN):
            key, owner = frame.f_locals.get("key"), frame.f_locals.get("self")
            hold = getattr(owner, "hold", None) or getattr(owner, "_hold", None)
            if step is None and isinstance(key, StepKey):
                step = key.label
            if ref is None and isinstance(hold, Hold):
                ref = hold.instance.ref
        frame = frame.f_back
    return ref, step
