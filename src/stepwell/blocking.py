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
    """Open a database of workflows, and by default run them in a thread of this process.

    The thread lives as long as the `with` block. `blocking.open(url)` without workflows, and
    `worker=False` with some, run nothing here: what is created waits for another process that
    has the workflow and a worker. With workflows given, `workflow(name)` takes only theirs and
    checks params; without, a misspelt name is not noticed.

    The arguments are those of `stepwell.open`.

    Raises:
        InvalidRequest: on entering, if the URL, a workflow or a setting is wrong.
        StoreError: on entering, if the database cannot be used.
    """
    opened = _open(url, workflows=workflows, env=env, limits=limits, retention=retention, **options)
    return BlockingStepwell(opened)
