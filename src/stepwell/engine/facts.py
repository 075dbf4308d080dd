"""Errors on their way into facts and back."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from stepwell.core import failure
from stepwell.core.events import detail_text, read_detail
from stepwell.errors import RunDropped, WorkflowInternalError

# What is no failure of user code, whoever raises it: the run or the process ends.
NO_FAILURES: Final = (RunDropped, asyncio.CancelledError, KeyboardInterrupt, GeneratorExit)


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
