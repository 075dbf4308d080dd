"""What the program's log is told of instances and their steps: one line for each thing.

A failure names the author's line, since the error of a step that is retried for minutes is what
one looks for first. Frames of Stepwell, of the standard library and of installed packages are left
out.
"""

from __future__ import annotations

import logging
import sysconfig
import traceback
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from stepwell.core.shown import shown
from stepwell.model.duration import format_duration
from stepwell.model.instance import Ref
from stepwell.model.step import StepKey, StepKind

_LOG = logging.getLogger("stepwell.engine")
_ERROR_CHARS_MAX = 1_000
_OWN = str(Path(__file__).parent.parent)
_LIBRARIES = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"], "<frozen")


def is_detailed() -> bool:
    """Claim that anybody wants to know of each step that succeeds."""
    return _LOG.isEnabledFor(logging.INFO)


def log_attempt(
    ref: Ref,
    key: StepKey,
    attempt: int,
    outcome: str,
    *,
    duration_ms: int,
    error: BaseException | None = None,
    next_ms: int | None = None,
) -> None:
    """Tell how an attempt ended.

    Args:
        ref: of the instance.
        key: of the step, or of its rollback.
        attempt: its number.
        outcome: in a word or two.
        duration_ms: how long it took.
        error: what it failed with.
        next_ms: in how many milliseconds the next attempt comes, if one does.
    """
    level = logging.INFO if error is None else logging.WARNING
    if not _LOG.isEnabledFor(level):
        return
    label = f"rollback of {key.label}" if key.kind is StepKind.ROLLBACK else key.label
    why = "" if error is None else f": {shown(error, _ERROR_CHARS_MAX)}{_place(error)}"
    then = "" if next_ms is None else f"; next in {format_duration(next_ms)}"
    _LOG.log(
        level,
        "%s/%s %s attempt %d %s%s%s",
        *ref,
        label,
        attempt,
        outcome,
        why,
        then,
        extra={
            "workflow": ref.workflow,
            "instance": ref.id,
            "step": label,
            "step_kind": str(key.kind),
            "attempt": attempt,
            "outcome": outcome,
            "duration_ms": duration_ms,
            "error": None if error is None else shown(error, _ERROR_CHARS_MAX),
        },
    )


def log_instance(ref: Ref, what: str, *, error: BaseException | None = None) -> None:
    """Tell what has become of an instance; with its error and traceback if it has failed."""
    level = logging.INFO if error is None else logging.ERROR
    if not _LOG.isEnabledFor(level):
        return
    why = "" if error is None else f": {shown(error, _ERROR_CHARS_MAX)}"
    seen = None if error is None else (type(error), error, without_own(error.__traceback__))
    extra = {"workflow": ref.workflow, "instance": ref.id, "what": what}
    _LOG.log(level, "%s/%s %s%s", *ref, what, why, exc_info=seen, extra=extra)


def without_own(trace: TracebackType | None) -> TracebackType | None:
    """Leave out of a traceback the frames of Stepwell, and of the standard library around them."""
    kept: list[TracebackType] = []
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith((_OWN, *_LIBRARIES)):
            kept.append(trace)
        trace = trace.tb_next
    shown_trace: TracebackType | None = None
    for one in reversed(kept):
        shown_trace = TracebackType(shown_trace, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return shown_trace


def authors_frame(frames: Sequence[traceback.FrameSummary]) -> traceback.FrameSummary:
    """Give the innermost frame of the author's; else of libraries, else of Stepwell."""
    theirs = [frame for frame in frames if not frame.filename.startswith(_OWN)]
    authors = [frame for frame in theirs if not frame.filename.startswith(_LIBRARIES)]
    return (authors or theirs or frames)[-1]


def _place(error: BaseException) -> str:
    """Say where in the author's code an error was raised, as ` at file:line in function`."""
    frames = traceback.extract_tb(error.__traceback__)
    if all(frame.filename.startswith(_OWN) for frame in frames):
        return ""
    place = authors_frame(frames)
    return f" at {Path(place.filename).name}:{place.lineno} in {place.name}"
