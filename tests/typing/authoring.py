"""What type checkers make of the authoring surface; checked by mypy and pyright, never run."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, assert_type

import stepwell
from stepwell import (
    RetriesDict,
    StepConfigDict,
    StepContext,
    WorkflowEntrypoint,
    WorkflowEvent,
    WorkflowStep,
    blocking,
)


@dataclass
class Order:
    """Params of the workflow."""

    id: int


async def load() -> Order:
    """Answer asynchronously."""
    return Order(1)


def count(ctx: StepContext) -> int:
    """Answer synchronously."""
    return ctx.attempt


async def read() -> AsyncIterator[bytes]:
    """Give bytes."""
    yield b""


class Shop(WorkflowEntrypoint[None, Order]):
    """Uses every form."""

    async def run(self, event: WorkflowEvent[Order], step: WorkflowStep) -> str:
        """Each call has the type that its callable returns."""
        assert_type(event.payload, Order)
        assert_type(await step.do("load", load), Order)
        assert_type(await step.do("count", count), int)
        assert_type(await step.do("lambda", lambda: "text"), str)
        assert_type(await step.do("config", {"timeout": "1 minute"}, load), Order)
        assert_type(await step.do("none", None, count, sensitive="output"), int)
        assert_type(await step.do("stream", read), AsyncIterator[bytes])
        assert_type(await step.do("saga", load, rollback=lambda undo: undo.output), Order)

        @step.do("decorated", {"timeout": 1000})
        async def decorated(ctx: StepContext) -> list[int]:
            return [ctx.attempt]

        @step.do(depends=[decorated])
        def dependent(decorated: list[int]) -> int:
            return len(decorated)

        assert_type(await decorated(), list[int])
        assert_type(await dependent(), int)

        @step.do
        async def bare() -> bytes:
            return b""

        @step.do
        def bare_and_sync(bare: bytes) -> str:
            return str(bare)

        assert_type(await bare(), bytes)
        assert_type(await bare_and_sync(), str)
        received = await step.wait_for_event("wait", type="go", timeout="1 hour")
        return received.type


class Parallel(WorkflowEntrypoint):
    """Leaves its type arguments out, which mean Any."""

    async def run(self, event: WorkflowEvent, step: WorkflowStep) -> Any:
        """What runs side by side keeps its types."""
        assert_type(event.payload, Any)
        two = await asyncio.gather(step.do("load", load), step.do("count", {}, count))
        assert_type(two, tuple[Order, int])
        many = await asyncio.gather(*(step.do("load", load) for _ in range(3)))
        assert_type(many, list[Order])
        async with asyncio.TaskGroup() as group:
            assert_type(await group.create_task(step.do("count", count)), int)
        step.do("forgotten", load)  # type: ignore[unused-coroutine]
        return two


async def configure(step: WorkflowStep) -> None:
    """A mistake in a configuration is found before it runs."""
    retries: RetriesDict = {"limit": 3, "delay": "1 second", "backoff": "linear"}
    config: StepConfigDict = {"retries": retries, "timeout": timedelta(minutes=1)}
    assert_type(await step.do("a", config, count), int)
    assert_type(await step.do("b", count, retries={"limit": 1, "delay": lambda _: 5}), int)
    await step.do("c", {"retries": {"limt": 3, "delay": 1}}, count)  # type: ignore[call-overload]
    await step.do("d", {"retries": {"limit": 3}}, count)  # type: ignore[call-overload]
    await step.do("e", {"tiemout": 3}, count)  # type: ignore[call-overload]
    await step.do("f", count, sensitive="all")  # type: ignore[call-overload]
    await step.do("g", count, tiemout=5)  # type: ignore[call-overload]


async def use() -> None:
    """The client's side is typed as well."""
    async with stepwell.open("sqlite://:memory:", workflows=[Shop]) as well:
        instance = await well.workflow(Shop).create(id="a", params=Order(1))
        assert_type(instance.id, str)
        await instance.terminate(rollback=True)


async def choose() -> None:
    """The options of `open` have types: wrong ones are found by the checker."""
    url = "sqlite://:memory:"
    async with stepwell.open(url, worker=False, lease_seconds=2, linger_seconds=None) as well:
        assert_type(well, stepwell.Stepwell)
    stepwell.open(url, lease_seconds="10")  # type: ignore[arg-type]  # a mistake
    stepwell.open(url, synchronous="ful")  # type: ignore[arg-type]  # a mistake
    stepwell.open(url, max_runing=1)  # type: ignore[call-arg]  # a mistake


def choose_without_await() -> None:
    """So have those of the blocking `open`."""
    with blocking.open("sqlite://:memory:", workflows=[Shop], max_threads=2) as well:
        assert_type(well.workflow(Shop).get("a").id, str)
    blocking.open("sqlite://:memory:", max_threads="2")  # type: ignore[arg-type]  # a mistake
    blocking.open("sqlite://:memory:", threads=2)  # type: ignore[call-arg]  # a mistake


def block() -> None:
    """The submodules, and the names that annotations need, come with `import stepwell`."""
    with stepwell.blocking.open("sqlite://:memory:", workflows=[Shop]) as well:
        state: stepwell.InstanceState = well.workflow(Shop).create().status()
        assert_type(state["status"], Any)


def decide(failed: stepwell.DelayInput) -> int:
    """A delay function, typed."""
    return 5 if isinstance(failed.error, stepwell.errors.WorkflowTimeoutError) else 10
