"""What engine tests share: opening a well on each store and in each mode of hibernation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from stepwell import InstanceErrored, Stepwell, WorkflowEntrypoint, WorkflowInstance
from stepwell.ports.store import Store
from stepwell.stores.memory import MemoryStore
from stepwell.stores.sqlite.store import SQLiteStore

Open = Callable[..., AbstractAsyncContextManager[Stepwell]]

# For tests that open their database twice.
on_disk = pytest.mark.parametrize("url", ["sqlite"], indirect=True)


def store_of(url: str) -> Store:
    """Make a store such as `stepwell.open` makes of this URL."""
    if url == "sqlite://:memory:":
        return MemoryStore()
    return SQLiteStore(Path(url.removeprefix("sqlite:///")))


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


def flow(
    run: Callable[[Any, Any], Any], name: str = "Flow", **attributes: Any
) -> type[WorkflowEntrypoint[Any, Any]]:
    """Make a workflow class of an async function of event and step."""

    def method(_self: Any, event: Any, step: Any) -> Any:
        return run(event, step)

    return type(name, (WorkflowEntrypoint,), {"run": method, **attributes})


async def error_of(instance: WorkflowInstance) -> dict[str, str]:
    """Wait until the instance has failed; give its error."""
    with pytest.raises(InstanceErrored):
        await instance.result(10)
    error = (await instance.status()).error
    assert error is not None
    return dict(error)


async def events_of(instance: WorkflowInstance, *types: str) -> list[Any]:
    """Give the events of these types from an instance's log."""
    return [event for event in await instance.events() if event.type in types]


async def steps_of(instance: WorkflowInstance, *types: str) -> list[str | None]:
    """Give the steps that the events of these types are about."""
    return [event.step for event in await events_of(instance, *types)]


async def until_step(instance: WorkflowInstance, event_type: str, step: str) -> None:
    """Wait until the log has an event of this type about this step."""
    async for event in instance.subscribe():
        if (event.type, event.step) == (event_type, step):
            return
    raise AssertionError(f"{instance} ended without {event_type} of {step}")


class Gate:
    """A step callable that says when it began, and ends when it may."""

    def __init__(self, result: Any = "done") -> None:
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()
        self.result = result
        self.calls = 0

    async def __call__(self) -> Any:
        """Wait for leave; give the result."""
        self.calls += 1
        self.began.set()
        await self.may_end.wait()
        return self.result
