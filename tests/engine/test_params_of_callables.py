"""A step's callable that cannot be called is refused at once, not tried again and again."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell import WorkflowFatalError
from tests.engine.support import Open, events_of, flow


@pytest.mark.parametrize("wrong", [lambda a, b: 1, lambda *, url: 1])
async def test_a_callable_that_needs_more_is_refused(open_well: Open, wrong: Any) -> None:
    """A step gives its context or nothing; more parameters are the author's mistake."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("x", wrong)
        except WorkflowFatalError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        instance = await well.workflow("Flow").create()

        message = await instance.result(5)
        assert "the callable of step 'x' needs more arguments" in message
        assert "functools.partial" in message
        assert [] == await events_of(instance, "step_started")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timeout": 0}, "The config of step 'x' is not allowed: timeout is 0"),
        (
            {"retries": {"limit": 3}},
            "without 'delay'; give both, as in retries={'limit': 3, 'delay': '10 seconds'}.",
        ),
        (
            {"rollback": lambda: 1, "rollback_config": {"timeout": 0}},
            "The rollback_config of step 'x' is not allowed: timeout is 0",
        ),
    ],
)
async def test_a_refused_config_names_its_step(
    open_well: Open, options: dict[str, Any], problem: str
) -> None:
    """Of many steps the wrong one is found."""

    async def run(event: Any, step: Any) -> Any:
        try:
            await step.do("x", lambda: 1, **options)
        except WorkflowFatalError as error:
            return str(error)

    async with open_well([flow(run)]) as well:
        assert problem in await (await well.workflow("Flow").create()).result(5)
