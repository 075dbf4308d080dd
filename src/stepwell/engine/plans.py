"""What a step declares to undo it, checked before the step runs."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

from stepwell.authoring.call import DoCall, RollbackHandler
from stepwell.core.config import ResolvedConfig, config_from_detail, resolve_config
from stepwell.core.events import read_detail
from stepwell.core.replay import StepRecord
from stepwell.engine.callbacks import shape_of
from stepwell.errors import WorkflowFatalError
from stepwell.model.limits import Limits
from stepwell.model.step import StepConfig, StepKey


@dataclass(slots=True)
class RollbackPlan:
    """A started step that declared a rollback: what to call, and what to tell it."""

    key: StepKey
    handler: RollbackHandler
    config: ResolvedConfig
    forward: StepConfig
    ordinal: int = 0
    attempt: int = 1
    payload: str | None = None
    stream: dict[str, Any] | None = None
    has_started: bool = False


def make_plan(
    call: DoCall, key: StepKey, record: StepRecord | None, limits: Limits
) -> RollbackPlan:
    """Read what a step declares; what history knows of the step wins over the code.

    Raises:
        WorkflowFatalError: the handler or its config is wrong.
    """
    if record is None:
        forward = resolve_config(call.config, call.options, limits, call.name).config
    else:
        forward = config_from_detail(read_detail(record.start_detail).get("config"))
    plan = RollbackPlan(
        key,
        _checked_handler(call.rollback, key),
        resolve_config(call.rollback_config, None, limits, call.name, "rollback_config"),
        forward,
    )
    if record is not None:
        plan.ordinal = record.ordinal
        plan.attempt = max(record.attempts, 1)
        plan.payload = record.payload
        plan.stream = read_detail(record.end_detail).get("stream")
        plan.has_started = True
    return plan


def _checked_handler(handler: RollbackHandler | None, key: StepKey) -> RollbackHandler:
    """Refuse what could not be called as a rollback handler, or would do nothing."""
    if not callable(handler):
        raise WorkflowFatalError(
            f"the rollback of step {key.label} is {type(handler).__name__}; give a callable"
        )
    shape = shape_of(handler)
    if shape.arguments_min > 1:
        raise WorkflowFatalError(
            f"the rollback of step {key.label} needs more than the one argument that it gets "
            "(ctx, error and output of the step in one); let it take that one, or none"
        )
    if shape.is_stream or inspect.isgeneratorfunction(handler):
        raise WorkflowFatalError(
            f"the rollback of step {key.label} is a generator function, and calling one runs "
            "nothing; give a plain or an async function"
        )
    return handler
