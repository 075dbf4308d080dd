"""Rollback whose handlers are not in memory any more: a replay that runs nothing finds them."""

from __future__ import annotations

import asyncio
from typing import Any

from stepwell import WorkflowInstance
from tests.engine.support import (
    Gate,
    Open,
    error_of,
    events_of,
    fast,
    flow,
    on_disk,
    steps_of,
    types_of,
    until,
)


class Undone:
    """Rollback handlers that note what they were told."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.seen: list[Any] = []

    def __call__(self, seen: Any) -> None:
        """Note it."""
        self.order.append(seen.step_name)
        self.seen.append(seen)


async def leave(open_well: Open, run: Any, event_type: str, *, paused: bool = False) -> None:
    """Run the instance Flow/a up to an event of its log, in a process that then ends."""
    async with open_well([flow(run)], grace_seconds=0) as well:
        instance = await well.workflow("Flow").create(id="a")
        await until(instance, event_type)
        if paused:
            await instance.pause()
            await until(instance, "workflow_paused")


async def terminated(open_well: Open, run: Any, **expected: Any) -> list[str]:
    """Ask for a termination with rollback, and run it in yet another process; give the log."""
    async with open_well([flow(run)], worker=False) as well:
        await (await well.workflow("Flow").get("a")).terminate(rollback=True)
    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").get("a")
        await until(instance, "workflow_terminated")
        state = await instance.status()
        assert {"status": "terminated", **expected}.items() <= state.items()
        return await types_of(instance)


COMPLETE = {"outcome": "complete", "error": None}


async def test_s034_parallel_steps_are_undone_by_their_start(open_well: Open) -> None:
    """Of two overlapping steps the later started is undone first, though it ended first."""
    undone, slow, quick = Undone(), Gate(), Gate()

    async def run(event: Any, step: Any) -> None:
        async def second() -> None:
            await slow.began.wait()
            await step.do("second", fast(0), quick, rollback=undone)
            slow.may_end.set()

        quick.may_end.set()
        await asyncio.gather(step.do("first", fast(0), slow, rollback=undone), second())
        raise ValueError("too late")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        assert ["second-1", "first-1"] == await steps_of(instance, "step_completed")
        assert ["second-1", "first-1"] == undone.order


async def test_s034_and_the_other_way_round(open_well: Open) -> None:
    """Of two overlapping steps the later started is undone first, though it ended last too."""
    undone, early, late = Undone(), Gate(), Gate()

    async def run(event: Any, step: Any) -> None:
        async def second() -> None:
            await early.began.wait()
            await step.do("second", fast(0), late, rollback=undone)

        async def first() -> None:
            await step.do("first", fast(0), early, rollback=undone)
            late.may_end.set()

        both = asyncio.gather(first(), second())
        await late.began.wait()
        early.may_end.set()
        await both
        raise ValueError("too late")

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        await error_of(instance)

        assert ["first-1", "second-1"] == await steps_of(instance, "step_completed")
        assert ["second-1", "first-1"] == undone.order


async def test_e63a_a_sibling_in_flight_is_cancelled_and_undone(open_well: Open) -> None:
    """A step still in flight when another fails is cancelled first, and undone with the rest."""
    undone, order = Undone(), []
    began = asyncio.Event()

    async def run(event: Any, step: Any) -> None:
        async def work() -> None:
            began.set()
            try:
                await asyncio.Event().wait()
            finally:
                order.append("cancelled")

        async def fail() -> None:
            await began.wait()
            raise ValueError("trigger")

        def undo(seen: Any) -> None:
            order.append("undone")
            undone(seen)

        await asyncio.gather(
            step.do("slow", fast(3), work, rollback=undo),
            step.do("bad", fast(0), fail, rollback=undone),
        )

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        assert {"name": "ValueError", "message": "trigger"} == await error_of(instance)
        assert ["cancelled", "undone"] == order
        assert ["bad-1", "slow-1"] == undone.order
        assert [None, None] == [seen.output for seen in undone.seen]
        assert COMPLETE == (await instance.status()).rollback


@on_disk
async def test_s041_handlers_are_found_again_by_replay(open_well: Open) -> None:
    """A process that never ran the steps undoes them, newest first, and runs nothing else."""
    undone, calls = Undone(), []

    async def run(event: Any, step: Any) -> None:
        for name in ("a", "b"):
            await step.do(name, lambda name=name: calls.append(name), rollback=undone)
        await step.sleep("long", "1 hour")
        await step.do("never", lambda: calls.append("never"), rollback=undone)

    await leave(open_well, run, "sleep_started")
    types = await terminated(open_well, run, rollback=COMPLETE)

    assert ["a", "b"] == calls
    assert ["b-1", "a-1"] == undone.order
    assert ["Terminated"] * 2 == [type(seen.error).__name__ for seen in undone.seen]
    assert 1 == types.count("rollback_completed")
    assert ["rollback_completed", "workflow_terminated"] == types[-2:]


@on_disk
async def test_e68_a_stub_replay_gives_stored_results(open_well: Open) -> None:
    """Handlers that depend on a step's result, or follow a wait, are found with what is stored."""
    undone: list[Any] = []

    async def run(event: Any, step: Any) -> None:
        number = await step.do("number", lambda: 5)
        await step.do(
            "use", lambda: "made", rollback=lambda seen: undone.append([number, seen.output])
        )
        await step.wait_for_event("wait", type="go", timeout="1 hour")

    await leave(open_well, run, "wait_started")
    await terminated(open_well, run, rollback=COMPLETE)

    assert [[5, "made"]] == undone


@on_disk
async def test_s042_a_step_that_was_cut_off_is_undone(open_well: Open) -> None:
    """A step that had started and never ended is undone; its output is None."""
    undone, gate = Undone(), Gate()

    async def run(event: Any, step: Any) -> None:
        await step.do("work", fast(2), gate, rollback=undone)

    async with open_well([flow(run)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await gate.began.wait()
    types = await terminated(open_well, run, rollback=COMPLETE)

    assert 1 == gate.calls
    assert ["work-1"] == undone.order
    assert [None] == [seen.output for seen in undone.seen]
    assert "step_completed" not in types


@on_disk
async def test_s043_code_that_does_not_reach_the_step_any_more(open_well: Open) -> None:
    """A step to be undone that the code does not reach fails the rollback, which stops there."""
    undone = Undone()

    async def before(event: Any, step: Any) -> None:
        for name in ("kept", "gone"):
            await step.do(name, lambda: 1, rollback=undone)
        await step.sleep("long", "1 hour")

    async def after(event: Any, step: Any) -> None:
        await step.do("kept", lambda: 1, rollback=undone)

    await leave(open_well, before, "sleep_started")
    types = await terminated(open_well, after)

    assert [] == undone.order
    ends = [type_ for type_ in types if type_.startswith("rollback_")]
    assert ["rollback_step_errored", "rollback_errored"] == ends[-2:]
    async with open_well([], worker=False) as well:
        state = await (await well.workflow("Flow").get("a")).status()
        assert "failed" == state.rollback["outcome"]
        assert "RollbackMissing" == state.rollback["error"]["name"]
        assert "gone-1" in state.rollback["error"]["message"]


def failing_and_caught(undone: Any, **options: Any) -> Any:
    """Make a workflow whose step with rollback fails; it catches that, and sleeps."""

    async def run(event: Any, step: Any) -> None:
        def work() -> None:
            raise ValueError("broken")

        try:
            await step.do("work", work, rollback=undone, **options)
        except ValueError:
            await step.sleep("long", "1 hour")

    return run


@on_disk
async def test_s044_a_caught_failure_is_undone(open_well: Open) -> None:
    """A step that failed and was caught is undone when the instance is terminated later."""
    undone = Undone()
    run = failing_and_caught(undone, **fast(1))

    await leave(open_well, run, "sleep_started")
    await terminated(open_well, run, rollback=COMPLETE)

    assert ["work-1"] == undone.order
    assert [None] == [seen.output for seen in undone.seen]
    assert [2] == [seen.ctx.attempt for seen in undone.seen]


@on_disk
async def test_s045_the_handler_sees_no_dynamic_delay(open_well: Open) -> None:
    """The handler's config has no delay where a function decides it: never the stored marker."""
    undone = Undone()
    retries = {"limit": 1, "delay": lambda _seen: 1, "backoff": "constant"}
    run = failing_and_caught(undone, retries=retries, timeout="1 minute")

    await leave(open_well, run, "sleep_started")
    await terminated(open_well, run, rollback=COMPLETE)

    expected = {"retries": {"limit": 1, "backoff": "constant"}, "timeout": "1 minute"}
    assert [expected] == [seen.ctx.config for seen in undone.seen]


@on_disk
async def test_s046_a_paused_instance_is_undone(open_well: Open) -> None:
    """A paused instance whose handlers are lost is undone and terminated without a resume."""
    undone = Undone()

    async def run(event: Any, step: Any) -> None:
        await step.do("work", lambda: 7, rollback=undone)
        await step.sleep("long", "1 hour")

    await leave(open_well, run, "sleep_started", paused=True)
    types = await terminated(open_well, run, rollback=COMPLETE)

    assert [7] == [seen.output for seen in undone.seen]
    assert 1 == types.count("rollback_completed")
    assert "workflow_paused" in types


@on_disk
async def test_e65_finished_handlers_do_not_run_again(open_well: Open) -> None:
    """A rollback that the process did not survive goes on with the handler it was cut off in."""
    undone, gate = Undone(), Gate()

    async def undo_a(seen: Any) -> None:
        undone(seen)
        await gate()

    async def run(event: Any, step: Any) -> None:
        await step.do("a", lambda: 1, rollback=undo_a, rollback_config=fast(1))
        await step.do("b", lambda: 2, rollback=undone)
        raise ValueError("trigger")

    async with open_well([flow(run)], grace_seconds=0) as well:
        await well.workflow("Flow").create(id="a")
        await gate.began.wait()
    gate.may_end.set()
    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").get("a")

        assert {"name": "ValueError", "message": "trigger"} == await error_of(instance)
        assert ["b-1", "a-1", "a-1"] == undone.order
        assert ["trigger"] * 3 == [str(seen.error) for seen in undone.seen]
        assert COMPLETE == (await instance.status()).rollback
        assert [2] == await completed_counts(instance)


async def completed_counts(instance: WorkflowInstance) -> list[int]:
    """Give how many steps each rollback in the log has undone."""
    return [event.completed_steps for event in await events_of(instance, "rollback_completed")]
