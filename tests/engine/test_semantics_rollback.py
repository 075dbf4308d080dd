"""Rollback: which steps are undone, in which order, and what is reported of it."""

from __future__ import annotations

from typing import Any

from tests.engine.support import Open, error_of, events_of, fast, flow, steps_of, types_of, until


def undo_into(order: list[str]) -> Any:
    """Make a rollback handler that notes the step it undoes."""
    return lambda seen: order.append(seen.step_name)


async def test_s033_rollbacks_run_newest_first(open_well: Open) -> None:
    """Three steps and then an error: rollbacks succeed in order 3, 2, 1."""
    order: list[str] = []

    async def run(event: Any, step: Any) -> None:
        for name in ("a", "b", "c"):
            await step.do(name, lambda: 1, rollback=undo_into(order))
        raise ValueError("too late")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "too late" == (await error_of(instance))["message"]
        assert ["c-1", "b-1", "a-1"] == order
        assert order == await steps_of(instance, "rollback_attempt_completed")
        assert "rollback_errored" not in await types_of(instance)
        assert {"outcome": "complete", "error": None} == (await instance.status()).rollback
        last = (await events_of(instance, "workflow_errored"))[0]
        assert {"outcome": "complete"} == last.rollback


async def test_s035_rollback_config_is_logged(open_well: Open) -> None:
    """The rollback step's start shows exactly the given rollback_config."""

    async def run(event: Any, step: Any) -> None:
        await step.do(
            "a", lambda: 1, rollback=lambda _seen: None, rollback_config=fast(1, timeout="1 minute")
        )
        raise ValueError("no")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)
        started = await events_of(instance, "rollback_step_started")

        assert [fast(1, timeout="1 minute")] == [event.config for event in started]


async def test_s036_to_s037_what_a_handler_gets(open_well: Open) -> None:
    """The handler gets the trigger error, the output (None if it failed) and the context."""
    seen: list[Any] = []

    def undo(given: Any) -> None:
        step = given.ctx.step
        seen.append([step.name, step.count, given.output, str(given.error)])

    async def run(event: Any, step: Any) -> None:
        await step.do("good", lambda: 5, rollback=undo)

        def bad() -> None:
            raise ValueError("broken")

        await step.do("bad", fast(0), bad, rollback=undo)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        assert [["bad", 1, None, "broken"], ["good", 1, 5, "broken"]] == seen
        assert ["bad-1"] == await steps_of(instance, "step_errored")


async def test_s038_only_steps_with_a_rollback(open_well: Open) -> None:
    """Of three steps only the one with a handler is undone; the start counts 1."""
    order: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("a", lambda: 1)
        await step.do("b", lambda: 1, rollback=undo_into(order))
        await step.do("c", lambda: 1)
        raise ValueError("no")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        assert ["b-1"] == order
        assert [1] == [e.total_steps for e in await events_of(instance, "rollback_started")]


async def test_s039_the_first_failing_handler_ends_the_rollback(open_well: Open) -> None:
    """A handler that finally fails stops the rollback; the instance's error stays the first one."""
    order: list[str] = []

    async def run(event: Any, step: Any) -> None:
        def bad(_seen: Any) -> None:
            raise OSError("stuck")

        await step.do("a", lambda: 1, rollback=undo_into(order))
        await step.do("b", lambda: 1, rollback=bad, rollback_config=fast(1))
        await step.do("c", lambda: 1, rollback=undo_into(order))
        raise ValueError("trigger")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert "trigger" == (await error_of(instance))["message"]
        assert ["c-1"] == order
        types = await types_of(instance)
        assert 2 == types.count("rollback_attempt_errored")
        assert 1 == types.count("rollback_errored")
        assert "rollback_completed" not in types
        state = await instance.status()
        error = {"name": "OSError", "message": "stuck"}
        assert {"outcome": "failed", "error": error} == state.rollback
        last = (await events_of(instance, "workflow_errored"))[0]
        assert {"outcome": "failed", "error": error} == last.rollback


async def test_s040_to_s041_terminate_with_rollback(open_well: Open) -> None:
    """A sleeping instance is rolled back and then terminated, in each mode of hibernation."""
    order: list[str] = []

    async def run(event: Any, step: Any) -> None:
        await step.do("a", lambda: 1, rollback=undo_into(order))
        await step.sleep("long", "1 hour")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await until(instance, "sleep_started")
        await instance.terminate(rollback=True)
        await until(instance, "workflow_terminated")

        assert ["a-1"] == order
        assert 1 == (await types_of(instance)).count("rollback_completed")
        assert "terminated" == (await instance.status()).status


async def test_s047_success_rolls_nothing_back(open_well: Open) -> None:
    """A workflow that succeeds has no rollback in its log."""

    async def run(event: Any, step: Any) -> Any:
        return await step.do("a", lambda: 1, rollback=lambda _seen: None)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert 1 == await instance.result(10)
        assert "rollback_started" not in await types_of(instance)
