"""Hints: what somebody waits for is told at once, without the slow poll behind it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import stepwell
from stepwell.engine import watch
from stepwell.model.command import Finish
from stepwell.stores.memory import MemoryStore
from tests.engine.support import Gate, flow, until


class LooksAtTheEnd(MemoryStore):
    """A memory store whose worker, once armed, looks around between an end and its answer."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False
        self.has_ended = asyncio.Event()
        self.has_looked = asyncio.Event()

    async def apply(self, commands: Any, now_ms: int) -> Any:
        outcomes = await super().apply(commands, now_ms)
        if any(isinstance(command, Finish) for command in commands):
            self.has_ended.set()
            await self.has_looked.wait()
        return outcomes

    async def signals(self, worker: str) -> Any:
        if self.is_armed:
            await self.has_ended.wait()
            self.has_looked.set()
        return await super().signals(worker)


async def test_an_end_that_the_worker_sees_first_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker sees in the store that a run is over before the run hears of its own write."""
    # Without the poll nothing but the hint can end the wait.
    monkeypatch.setattr(watch, "_POLL_SECONDS", 3600.0)
    gate, store = Gate(), LooksAtTheEnd()

    async def run(event: Any, step: Any) -> Any:
        return await gate()

    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        store.is_armed = True
        await instance.send_event("look")
        gate.may_end.set()

        assert "done" == await instance.result(10)
        assert store.has_looked.is_set()


class OldNews(MemoryStore):
    """A memory store whose answer about signals, once armed, comes late."""

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False
        self.has_looked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_look_again = asyncio.Event()

    async def signals(self, worker: str) -> Any:
        if self.has_looked.is_set():
            await self.may_look_again.wait()
        found = await super().signals(worker)
        if self.is_armed:
            self.has_looked.set()
            await self.may_answer.wait()
        return found


async def test_old_news_call_no_pause_off() -> None:
    """A worker that read `running` just before a pause starts nothing because of that."""
    gate, store = Gate(), OldNews()
    second: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        await step.do("first", gate)
        await step.do("second", lambda: second.append(1))

    async with stepwell.open("memory://", store=store, workflows=[flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await gate.began.wait()
        store.is_armed = True
        await instance.send_event("look")
        await store.has_looked.wait()
        await instance.pause()
        store.may_answer.set()
        for _ in range(20):
            await asyncio.sleep(0)
        gate.may_end.set()
        await until(instance, "workflow_paused")

        assert [] == second
        store.may_look_again.set()
        await instance.resume()
        await instance.result(10)
        assert [1] == second
