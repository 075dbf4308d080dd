"""Whatever user code raises fails the attempt or the instance; nothing stays held without a run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from stepwell.model.instance import Ref
from stepwell.ports.store import Store
from tests.engine.processes import stores_of
from tests.engine.support import Open, error_of, fast, flow, steps_of, types_of


class Panic(BaseException):
    """What some libraries raise so that no `except Exception` of their users catches it."""


async def free(store: Store, id_: str) -> bool:
    """Claim that nobody holds the instance."""
    row = await store.find(Ref("Flow", id_))
    return row is not None and row.owner is None


async def async_step(step: Any) -> None:
    async def work() -> None:
        raise Panic("panic")

    await step.do("work", fast(1), work)


async def late_async_step(step: Any) -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise Panic("panic")

    await step.do("work", fast(1), work)


async def sync_step(step: Any) -> None:
    def work() -> None:
        raise Panic("panic")

    await step.do("work", fast(1), work)


@pytest.mark.parametrize("program", [async_step, late_async_step, sync_step])
async def test_a_step_that_raises_a_base_exception_fails_its_attempts(
    open_well: Open, store: Store, program: Callable[[Any], Awaitable[None]]
) -> None:
    """It is tried again like any failure, and then raised in `run` as one that can be caught."""

    async def run(event: Any, step: Any) -> str:
        if event.payload != "catch":
            await program(step)
        try:
            await program(step)
        except Exception as error:
            return f"caught {error}"
        return "nothing raised"

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        error = await error_of(instance)
        other = await well.workflow("Flow").create(id="b", params="catch")

        assert "caught panic" == await other.result(10)
        assert {"name": "Panic", "message": "panic"} == error
        types = await types_of(instance)
        assert (2, 1) == (types.count("attempt_errored"), types.count("step_errored"))
        assert await free(store, "a")


async def test_a_sync_step_that_raises_stop_iteration_fails(open_well: Open, store: Store) -> None:
    """No future can hold StopIteration; it fails the attempt all the same."""

    async def run(event: Any, step: Any) -> None:
        await step.do("work", fast(1), lambda: next(iter(())))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert "StopIteration" == (await error_of(instance))["name"]
        assert 2 == (await types_of(instance)).count("attempt_errored")
        assert await free(store, "a")


async def test_generator_exit_of_a_step_is_a_failure_like_any(
    open_well: Open, store: Store
) -> None:
    """Only the interpreter ends a coroutine with it, and not while its loop runs."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> None:
        def work(ctx: Any) -> None:
            calls.append(ctx.attempt)
            raise GeneratorExit

        await step.do("work", fast(1), work)

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert "GeneratorExit" == (await error_of(instance))["name"]
        assert [1, 2] == calls
        assert await free(store, "a")


async def test_generator_exit_of_run_fails_the_instance(open_well: Open, store: Store) -> None:
    """It does not run again and again."""
    runs: list[int] = []

    async def run(event: Any, step: Any) -> None:
        runs.append(1)
        raise GeneratorExit

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert "GeneratorExit" == (await error_of(instance))["name"]
        assert [1] == runs
        assert await free(store, "a")


async def test_run_that_raises_a_base_exception_fails_the_instance(
    open_well: Open, store: Store
) -> None:
    """The instance ends errored with that error, and what it did is undone."""
    undone: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("work", lambda: 1, rollback=lambda seen: undone.append(str(seen.error)))
        raise Panic("panic")

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert {"name": "Panic", "message": "panic"} == await error_of(instance)
        assert ["panic"] == undone
        assert await free(store, "a")


async def test_a_handler_that_raises_a_base_exception_fails_the_rollback(
    open_well: Open, store: Store
) -> None:
    """The rollback ends as failed, after its attempts, and the instance as errored."""

    async def run(event: Any, step: Any) -> None:
        def undo() -> None:
            raise Panic("stuck")

        await step.do("work", lambda: 1, rollback=undo, rollback_config=fast(1))
        raise ValueError("trigger")

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")

        assert {"name": "ValueError", "message": "trigger"} == await error_of(instance)
        stuck = {"name": "Panic", "message": "stuck"}
        assert {"outcome": "failed", "error": stuck} == (await instance.status()).rollback
        assert await free(store, "a")


async def test_a_delay_function_that_raises_a_base_exception_ends_the_step(
    open_well: Open, store: Store
) -> None:
    """It ends the instance; no attempt starts whose delay nobody knows."""

    async def run(event: Any, step: Any) -> None:
        def delay(seen: Any) -> int:
            raise Panic("no idea")

        def work() -> None:
            raise ValueError("failed")

        await step.do("work", {"retries": {"limit": 3, "delay": delay}}, work)

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        error = await error_of(instance)

        assert "no idea" in error["message"]
        types = await types_of(instance)
        assert (1, 1) == (types.count("attempt_started"), types.count("step_errored"))
        assert await free(store, "a")


async def test_a_child_of_a_group_that_raises_a_base_exception(
    open_well: Open, store: Store
) -> None:
    """The group cancels the other child, which is recorded; the instance leaves neither behind."""

    async def run(event: Any, step: Any) -> None:
        async def work() -> None:
            raise Panic("panic")

        async with asyncio.TaskGroup() as group:
            group.create_task(step.sleep("long", "1 day"))
            group.create_task(step.do("work", fast(0), work))

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        error = await error_of(instance)

        assert error["name"].endswith("ExceptionGroup")
        assert ["work-1", "long-1"] == await steps_of(instance, "step_errored")
        assert await free(store, "a")


async def test_a_group_around_a_base_exception_of_plain_code(open_well: Open, store: Store) -> None:
    """A child that is no step fails the group in the same way."""

    async def run(event: Any, step: Any) -> None:
        async def plain() -> None:
            raise Panic("panic")

        async with asyncio.TaskGroup() as group:
            group.create_task(step.sleep("long", "1 day"))
            group.create_task(plain())

    async with open_well([flow(run)], store=store) as well:
        instance = await well.workflow("Flow").create(id="a")
        error = await error_of(instance)

        assert error["name"].endswith("ExceptionGroup")
        assert await free(store, "a")


def test_keyboard_interrupt_is_not_swallowed(open_well: Open, url: str) -> None:
    """An interrupt in user code ends the program, and is no failure of its step."""
    make_store = stores_of(url)
    calls: list[int] = []

    async def run(event: Any, step: Any) -> int:
        async def work() -> int:
            calls.append(1)
            if len(calls) == 1:
                raise KeyboardInterrupt
            return len(calls)

        return int(await step.do("work", fast(1), work))

    async def process() -> int:
        async with open_well([flow(run)], store=make_store()) as well:
            workflow = well.workflow("Flow")
            instance = await (workflow.get("a") if calls else workflow.create(id="a"))
            output = int(await instance.result(10))
            assert 0 == (await types_of(instance)).count("step_errored")
            return output

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(process())
    assert 2 == asyncio.run(process())
