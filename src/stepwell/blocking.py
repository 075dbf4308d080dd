"""Stepwell for scripts: `with stepwell.blocking.open(url, …) as well`, and no `await` anywhere."""

from __future__ import annotations

from typing import Any, Unpack

from stepwell.client.blocking import (
    BlockingInstance,
    BlockingPage,
    BlockingStepwell,
    BlockingWorkflow,
)
from stepwell.client.registry import Overrides, WorkflowClasses
from stepwell.settings import Options
from stepwell.wiring import open as _open

__all__ = ["BlockingInstance", "BlockingPage", "BlockingStepwell", "BlockingWorkflow", "open"]


def open(
    url: str,
    *,
    workflows: WorkflowClasses = (),
    env: Any = None,
    limits: Overrides | None = None,
    retention: Overrides | None = None,
    **options: Unpack[Options],
) -> BlockingStepwell:
    """Open a database of workflows; takes what `stepwell.open` takes."""
    opened = _open(url, workflows=workflows, env=env, limits=limits, retention=retention, **options)
    return BlockingStepwell(opened)
