"""What engine tests share: opening a well on each store and in each mode of hibernation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from stepwell import Stepwell, WorkflowInstance

Open = Callable[..., AbstractAsyncContextManager[Stepwell]]


def fast(limit: int, **more: Any) -> dict[str, Any]:
    """Give a config with `limit` retries and next to no delay."""
    return {"retries": {"limit": limit, "delay": 1, "backoff": "constant"}, **more}


async def types_of(instance: WorkflowInstance) -> list[str]:
    """Give the types of an instance's event log."""
    return [event.type for event in await instance.events()]


async def until(instance: WorkflowInstance, event_type: str) -> None:
    """Wait until the log has an event of this type."""
    async for event in instance.subscribe():
        if event.type == event_type:
            return
    raise AssertionError(f"{instance} ended without {event_type}")
