"""Stepwell for scripts: `with stepwell.blocking.open(url, …) as well`, and no `await` anywhere."""

from __future__ import annotations

from typing import Any

from stepwell.client.blocking import (
    BlockingInstance,
    BlockingPage,
    BlockingStepwell,
    BlockingWorkflow,
)
from stepwell.wiring import open as _open

__all__ = ["BlockingInstance", "BlockingPage", "BlockingStepwell", "BlockingWorkflow", "open"]


def open(url: str, **options: Any) -> BlockingStepwell:
    """Open a database of workflows; takes what `stepwell.open` takes."""
    return BlockingStepwell(_open(url, **options))
