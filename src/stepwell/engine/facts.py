"""Errors on their way into facts and back."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from stepwell.core import failure
from stepwell.core.events import detail_text, read_detail
from stepwell.errors import RunDropped, WorkflowInternalError

_ENDINGS: Final = (RunDropped, asyncio.CancelledError, KeyboardInterrupt)


def is_failure(error: BaseException) -> bool:
    """Claim that what user code raised is its failure, and not the end of the run or the process.

    GeneratorExit is an end only where the interpreter closes a coroutine: no loop runs any more.
    """
    if isinstance(error, GeneratorExit):
        return asyncio._get_running_loop() is not None  # noqa: SLF001  (it alone does not raise)
    return not isinstance(error, _ENDINGS)


def error_detail(error: BaseException, **more: Any) -> str | None:
    """Give the detail text of a fact that records an error."""
    return detail_text(error=failure.to_dict(failure.capture(error)), **more)


def error_of(detail: str | None) -> Exception:
    """Give the error that a fact records, as user code sees it."""
    recorded = read_detail(detail).get("error")
    if recorded is None:
        return WorkflowInternalError("the stored error of this step cannot be read")
    return failure.restore(failure.from_dict(recorded))


def restore_error(error: BaseException, detail: str | None) -> Exception:
    """Give the error to raise live: the same object if replay would raise its equal."""
    if isinstance(error, Exception) and failure.restores_to_same_class(error):
        return error
    return error_of(detail)
