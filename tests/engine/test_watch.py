"""The watch over what other processes change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

import stepwell
from stepwell import WorkflowEntrypoint
from stepwell.engine.watch import Watch
from stepwell.stores.memory import MemoryStore


class MarkedStore(MemoryStore):
    """A store whose marks are given; an error among them is raised. The last one stays."""

    def __init__(self, *marks: object) -> None:
        super().__init__()
        self.marks = list(marks)
        self.calls: list[str] = []

    async def change_mark(self) -> object:
        self.calls.append("change_mark")
        mark = self.marks.pop(0) if len(self.marks) > 1 else self.marks[0]
        if isinstance(mark, Exception):
            raise mark
        return mark

    async def beat(self, **options: Any) -> bool:
        self.calls.append("beat")
        return await super().beat(**options)


async def _watch_until(
    store: MarkedStore, is_enough: Callable[[], bool], *listeners: Callable[[], None]
) -> None:
    enough = asyncio.Event()

    def look() -> None:
        if is_enough():
            enough.set()

    class Looking(Watch):
        async def _look(self) -> object:
            look()
            return await super()._look()

    watch = Looking(store)
    await watch.begin()
    watching = asyncio.create_task(watch.watch(0, listeners, on_poll=look))
    async with asyncio.timeout(10):
        await enough.wait()
    assert not watching.done()
    watching.cancel()
    await asyncio.wait([watching])


def _warnings(caplog: pytest.LogCaptureFixture) -> Sequence[str]:
    return [record.message for record in caplog.records]


async def test_a_change_right_after_the_beginning_is_told() -> None:
    """What changes between the beginning and the first look is told."""
    heard: list[int] = []
    await _watch_until(MarkedStore(1, 2), lambda: bool(heard), lambda: heard.append(1))

    assert heard == [1]


async def test_the_mark_is_noted_before_anything_is_served() -> None:
    """`open` notes the mark before its worker begins."""
    flow = type("Flow", (WorkflowEntrypoint,), {"run": lambda _self, _event, _step: None})
    store = MarkedStore(1)
    async with stepwell.open("memory://", store=store, workflows=[flow]):
        pass

    assert store.calls[:2] == ["change_mark", "beat"]


@pytest.mark.parametrize("error", [PermissionError("no"), KeyError("a defect")])
async def test_a_watch_outlives_failures(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever fails, the watch goes on, says so once, and tells the next change."""
    heard: list[int] = []
    store = MarkedStore(1, error, error, error, 2)
    await _watch_until(store, lambda: bool(heard), lambda: heard.append(1))

    assert heard == [1]
    assert len(_warnings(caplog)) == 1


async def test_a_watch_outlives_its_listeners(caplog: pytest.LogCaptureFixture) -> None:
    """A listener that fails keeps no other from hearing, nor itself from hearing again."""
    heard: list[int] = []

    def fail() -> None:
        raise RuntimeError("cannot hear")

    await _watch_until(MarkedStore(1, 2, 3), lambda: len(heard) > 1, fail, lambda: heard.append(1))

    assert heard == [1, 1]
    assert len(_warnings(caplog)) == 2
