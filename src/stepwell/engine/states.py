"""Whether a run may go on, and how it left."""

from __future__ import annotations

import asyncio
from enum import Enum
from typing import Any

from stepwell.errors import WorkflowInternalError


class RunState(Enum):
    """Whether a run may go on."""

    LIVE = "live"
    RESTING = "resting"  # giving the lease back; not yet known whether it was applied
    RESTED = "rested"
    OVER = "over"


class Exit(Enum):
    """How a run left its worker's hands."""

    ENDED = "ended"
    RESTED = "rested"
    PAUSED = "paused"
    DROPPED = "dropped"


def current_task() -> asyncio.Task[Any]:
    """Give the task that calls a step.

    Raises:
        WorkflowInternalError: there is none.
    """
    task = asyncio.current_task()
    if task is None:
        raise WorkflowInternalError("a step was called outside of any asyncio task")
    return task
