"""Workflows that between them use every feature, and what a client does with each.

A driver may be run again by the next process: it looks at what is there before it acts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import stepwell
from stepwell import NonRetryableError, Stepwell, WorkflowEntrypoint, WorkflowInstance
from stepwell.errors import InstanceErrored, InstanceTerminated, WorkflowError
from stepwell.testing.faults import FaultyStore

CRASHES = 1


def retries(fails: int = 0) -> dict[str, Any]:
    """Give a config with just enough retries: for the failures, and for the death of a process."""
    return {"retries": {"limit": fails + CRASHES, "delay": 1, "backoff": "constant"}}


@dataclass
class World:
    """What lies outside the store: effects that cannot be undone by forgetting them."""

    effects: list[str] = field(default_factory=list)
    fails: dict[str, int] = field(default_factory=dict)
    store: FaultyStore | None = None

    def touch(self, label: str) -> None:
        """Have an effect, unless this process is dead."""
        if self.store is None or not self.store.killed.is_set():
            self.effects.append(label)

    def check_starts(self) -> None:
        """Hold each callable to as many starts as its failures and crashes account for."""
        for label, starts in Counter(self.effects).items():
            assert starts <= self.fails.get(label, 0) + CRASHES + 1, label


class Crashing(WorkflowEntrypoint[Any, Any]):
    """What the workflows below share."""

    def act(self, label: str, value: Any, fails: int = 0) -> Callable[[Any], Awaitable[Any]]:
        self.env.fails[label] = fails

        async def call(ctx: Any) -> Any:
            self.env.touch(label)
            await asyncio.sleep(0)
            if ctx.attempt <= fails:
                raise ValueError(f"{label} attempt {ctx.attempt}")
            return value

        return call

    def undo(self, label: str) -> Callable[[Any], Awaitable[None]]:
        async def call(seen: Any) -> None:
            self.env.touch(f"undo {label}")

        return call


class Sequence(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        one = await step.do("one", retries(), self.act("one-1", 1))
        two = await step.do("two", retries(2), self.act("two-1", one + 1, fails=2))

        def sync() -> int:
            self.env.touch("sync-1")
            return int(two) + 1

        three = await step.do("sync", retries(), sync)
        again = [await step.do("loop", retries(), self.act(f"loop-{n}", n)) for n in (1, 2)]
        return [one, two, three, again]


class Parallel(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        async def branch(n: int) -> Any:
            first = await step.do(f"a{n}", retries(n % 2), self.act(f"a{n}-1", n, fails=n % 2))
            await step.sleep(f"nap{n}", 2)
            return [first, await step.do(f"b{n}", retries(), self.act(f"b{n}-1", -n))]

        return await asyncio.gather(*(branch(n) for n in range(3)))


class Caught(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        async def hopeless(ctx: Any) -> None:
            self.env.touch("hopeless-1")
            raise NonRetryableError("no use")

        try:
            await step.do("hopeless", retries(), hopeless)
        except NonRetryableError as error:
            await step.do("note", retries(), self.act("note-1", str(error)))
        await step.sleep("nap", 3)
        return await step.do("last", retries(), self.act("last-1", "end"))


class Stubborn(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        async def never() -> None:
            self.env.touch("never-1")
            raise ValueError("not this time")

        self.env.fails["never-1"] = 1
        try:  # the last attempt fails, or a crash has cut it off
            await step.do("never", retries(1), never)
        except Exception:
            return await step.do("last", retries(), self.act("last-1", "gave up"))


class Waits(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        await step.do("ask", retries(), self.act("ask-1", None))
        got = await step.wait_for_event("answer", type="answer", timeout="1 hour")
        try:
            await step.wait_for_event("silence", type="never", timeout=3)
        except stepwell.WorkflowTimeoutError:
            return await step.do("thank", retries(), self.act("thank-1", got.payload))


class Streams(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        async def pieces() -> AsyncIterator[bytes]:
            self.env.touch("pieces-1")
            for n in range(3):
                yield bytes([n]) * 150_000

        stream = await step.do("pieces", retries(), pieces)
        sizes = [len(piece) async for piece in stream]
        return await step.do("sum", retries(), self.act("sum-1", sum(sizes)))


class Undone(Crashing):
    async def run(self, event: Any, step: Any) -> Any:
        for name in ("x", "y"):
            await step.do(
                name, retries(), self.act(f"{name}-1", name),
                rollback=self.undo(f"{name}-1"), rollback_config=retries(),
            )  # fmt: skip
        if event.payload == "fail":
            raise ValueError("after all")
        await step.sleep("long", "1 day")


@dataclass(frozen=True)
class Scenario:
    """A workflow, what a client does with it, and how many effects it has undisturbed."""

    workflow: type[Crashing]
    drive: Callable[[WorkflowInstance], Awaitable[None]] | None = None
    params: Any = None


async def _log(instance: WorkflowInstance) -> set[str]:
    return {event.type for event in await instance.events()}


async def _until(instance: WorkflowInstance, event_type: str) -> None:
    async for event in instance.subscribe():
        if event.type == event_type:
            return


async def _answer(instance: WorkflowInstance) -> None:
    await _until(instance, "wait_started")
    if "wait_completed" not in await _log(instance):
        await instance.send_event(type="answer", payload={"n": 42})


async def _pause_and_resume(instance: WorkflowInstance) -> None:
    await _until(instance, "step_started")
    if "workflow_paused" not in await _log(instance):
        await instance.pause()
    status = (await instance.status()).status
    while status == "waitingForPause":
        await asyncio.sleep(0.001)
        status = (await instance.status()).status
    if status == "paused":
        await instance.resume()


async def _terminate(instance: WorkflowInstance) -> None:
    await _until(instance, "sleep_started")
    if (await instance.status()).status not in {"rollingBack", "terminated"}:
        await instance.terminate(rollback=True)


SCENARIOS = {
    "sequence": Scenario(Sequence),
    "parallel": Scenario(Parallel),
    "caught": Scenario(Caught),
    "stubborn": Scenario(Stubborn),
    "waits": Scenario(Waits, _answer),
    "streams": Scenario(Streams),
    "rollback": Scenario(Undone, None, "fail"),
    "terminate": Scenario(Undone, _terminate),
    "pause": Scenario(Parallel, _pause_and_resume),
}


async def drive(well: Stepwell, scenario: Scenario) -> tuple[Any, ...]:
    """Do all that a client does, from wherever it was left; give how it ended."""
    workflow = well.workflow(scenario.workflow)
    try:
        instance = await workflow.get("a")
    except WorkflowError:
        instance = await workflow.create(id="a", params=scenario.params)
    if scenario.drive is not None and (await instance.status()).status != "complete":
        await scenario.drive(instance)
    try:
        output = await instance.result(10)
    except InstanceErrored as error:
        output = repr(error.__cause__)
    except InstanceTerminated:
        output = "terminated"
    state = await instance.status()
    return state.status, output, state.rollback
