"""What a step's callable and `run` see, what a result may be, and how many steps may run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from stepwell import Limits
from tests.engine.support import Open, error_of, events_of, flow

DEFAULTS = {
    "retries": {"limit": 5, "delay": 10_000, "backoff": "exponential"},
    "timeout": "10 minutes",
}


async def outcome(open_well: Open, run: Any, **options: Any) -> Any:
    """Run one instance to its end; give its output."""
    async with open_well([flow(run)], **options) as well:
        return await (await well.workflow("Flow").create()).result(10)


async def test_s006_context_shows_no_dynamic_delay(open_well: Open) -> None:
    """`delay` is absent from the context's config with a function, and shown if it is a number."""

    async def run(event: Any, step: Any) -> Any:
        dynamic = {"retries": {"limit": 1, "delay": lambda _seen: 1}}
        fixed = {"retries": {"limit": 1, "delay": 1234}}
        return [
            await step.do("dynamic", dynamic, lambda ctx: ctx.config["retries"]),
            await step.do("fixed", fixed, lambda ctx: ctx.config["retries"]),
        ]

    expected = [
        {"limit": 1, "backoff": "exponential"},
        {"limit": 1, "delay": 1234, "backoff": "exponential"},
    ]
    assert expected == await outcome(open_well, run)


async def test_s052_context_has_step_name_and_count(open_well: Open) -> None:
    """The context tells the step's name and the count 1."""

    async def run(event: Any, step: Any) -> Any:
        return await step.do("my step", lambda ctx: [ctx.step.name, ctx.step.count])

    assert ["my step", 1] == await outcome(open_well, run)


async def test_s053_steps_of_one_name_are_counted(open_well: Open) -> None:
    """Two steps of one name get counts 1 and 2; another name begins at 1."""

    async def run(event: Any, step: Any) -> Any:
        return [await step.do(name, lambda ctx: ctx.step.count) for name in ("a", "a", "b")]

    assert [1, 2, 1] == await outcome(open_well, run)


async def test_s054_context_shows_all_defaults(open_well: Open) -> None:
    """Without a config the context shows all defaults; so does the log."""

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", lambda ctx: ctx.config)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()
        shown = await instance.result(10)

        assert DEFAULTS["retries"]["limit"] == shown["retries"]["limit"]  # type: ignore[index]
        assert "exponential" == shown["retries"]["backoff"]
        assert "10 minutes" == shown["timeout"]
        assert [shown] == [e.config for e in await events_of(instance, "step_started")]


async def test_s055_context_shows_what_was_given_over_the_defaults(open_well: Open) -> None:
    """Given values are shown, with exponential for the backoff that was not given."""

    async def run(event: Any, step: Any) -> Any:
        config = {"retries": {"limit": 3, "delay": 500}, "timeout": "5 minutes"}
        return await step.do("work", config, lambda ctx: ctx.config)

    expected = {
        "retries": {"limit": 3, "delay": 500, "backoff": "exponential"},
        "timeout": "5 minutes",
    }
    assert expected == await outcome(open_well, run)


async def test_a5_a_config_of_none_is_an_empty_one(open_well: Open) -> None:
    """`do(name, None, callable)` is `do(name, callable)`."""

    async def run(event: Any, step: Any) -> Any:
        return await step.do("work", None, lambda: "fine")

    assert "fine" == await outcome(open_well, run)


async def test_a7_none_is_a_result(open_well: Open) -> None:
    """A step that returns nothing runs once, and replay knows that it has run."""
    calls: list[int] = []

    async def run(event: Any, step: Any) -> Any:
        result = await step.do("work", lambda: calls.append(1))
        await step.sleep("nap", 1)
        return [result]

    assert [None] == await outcome(open_well, run)
    assert [1] == calls


async def test_s371_datetime_and_none_cross_a_step(open_well: Open) -> None:
    """A datetime stays one and None stays None, also nested; a tuple stays a tuple."""
    when = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
    value = {"when": when, "none": None, "deep": [None, {"t": (1, when)}]}

    async def run(event: Any, step: Any) -> Any:
        got = await step.do("make", lambda: value)
        await step.sleep("nap", 1)
        return got == value

    assert True is await outcome(open_well, run)


async def test_what_user_code_gets_is_what_replay_gives(open_well: Open) -> None:
    """A step's result is a copy: editing it does not change what was stored."""
    made: list[list[int]] = []

    async def run(event: Any, step: Any) -> Any:
        def make() -> list[int]:
            made.append([1])
            return made[-1]

        got = await step.do("make", make)
        return got is not made[-1] and got == [1]

    assert True is await outcome(open_well, run)


async def test_s013_more_steps_than_the_limit_fail(open_well: Open) -> None:
    """With a limit of 3 steps the fourth fails the workflow, saying what to raise."""

    async def run(event: Any, step: Any) -> Any:
        for n in range(4):
            await step.do(f"step {n}", lambda: None)

    async with open_well([flow(run, limits={"steps": 3})]) as well:
        instance = await well.workflow("Flow").create()
        error = await error_of(instance)

        assert "WorkflowFatalError" == error["name"]
        assert "step 3-1" in error["message"]
        assert "limits.steps" in error["message"]
        assert 3 == len(await events_of(instance, "step_completed"))


async def test_s014_exactly_the_limit_succeeds(open_well: Open) -> None:
    """With a limit of 3 steps, three steps and any number of sleeps succeed."""

    async def run(event: Any, step: Any) -> Any:
        for n in range(3):
            await step.do(f"step {n}", lambda: None)
            await step.sleep("nap", 1)
            await step.sleep("nap", 1)
        return "done"

    assert "done" == await outcome(open_well, run, limits={"Flow": {"steps": 3}})


async def test_s015_the_default_limit_applies(open_well: Open) -> None:
    """Without a limit of the workflow's own the default of `Limits` applies."""

    async def run(event: Any, step: Any) -> Any:
        for n in range(3):
            await step.do(f"step {n}", lambda: None)

    async with open_well([flow(run)], maxima=Limits(steps_default=2)) as well:
        error = await error_of(await well.workflow("Flow").create())

        assert "2 steps" in error["message"]
        assert 10_000 == Limits().steps_default


async def test_s363_short_sleeps(open_well: Open) -> None:
    """A sleep of 0 completes, and so does sleep_until a moment ahead."""

    async def run(event: Any, step: Any) -> Any:
        await step.sleep("none", 0)
        ahead = await step.do("when", lambda: datetime.now(UTC) + timedelta(milliseconds=100))
        await step.sleep_until("ahead", ahead)
        return "awake"

    assert "awake" == await outcome(open_well, run)


async def test_s365_event_has_its_fields(open_well: Open) -> None:
    """The event has payload, timestamp, id and workflow name; camelCase and items work too."""

    async def run(event: Any, step: Any) -> Any:
        assert event["payload"] == event.payload
        assert event.instanceId == event.instance_id
        assert event["workflowName"] == event.workflow_name
        assert event.schedule is None
        return [event.payload, event.instance_id, event.workflow_name, event.timestamp]

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create(id="a", params={"x": [1]})
        payload, id_, name, timestamp = await instance.result(10)

        assert [{"x": [1]}, "a", "Flow"] == [payload, id_, name]
        assert None is not timestamp.tzinfo


async def test_a49_run_may_be_sync(open_well: Open) -> None:
    """A workflow whose `run` is a plain function completes with what it returns."""
    assert "plain" == await outcome(open_well, lambda _event, _step: "plain")
