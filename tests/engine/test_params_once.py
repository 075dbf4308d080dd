"""Params are validated once: where they are given, or else where the workflow is known."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import pydantic
import pytest
import typing_extensions

import stepwell
from stepwell import InstanceErrored, WorkflowEntrypoint, WorkflowEvent, WorkflowStep
from stepwell.errors import InvalidRequest
from tests.engine.support import Open, on_disk

Cents = Annotated[int, pydantic.BeforeValidator(lambda euros: round(euros * 100))]


class Price(pydantic.BaseModel):
    """What a validator changes."""

    price: Cents


class Alias(typing_extensions.TypedDict):
    """What comes in under another name."""

    order_id: Annotated[int, pydantic.Field(validation_alias="orderId")]


class Shop(WorkflowEntrypoint[Any, Price]):
    """Takes euros, works with cents."""

    async def run(self, event: WorkflowEvent[Price], step: WorkflowStep) -> int:
        """Give the cents, before and after a rest."""
        await step.sleep("rest", 1)
        return event.payload.price


class Text(WorkflowEntrypoint[Any, pydantic.Json[Any]]):
    """Takes JSON text."""

    async def run(self, event: Any, step: WorkflowStep) -> Any:
        """Give what the text says."""
        return event.payload


class Aliased(WorkflowEntrypoint[Any, Alias]):
    """Takes an alias."""

    async def run(self, event: Any, step: WorkflowStep) -> Any:
        """Give it back."""
        return event.payload


class Maybe(WorkflowEntrypoint[Any, int | None]):
    """May go without a number."""

    async def run(self, event: Any, step: WorkflowStep) -> Any:
        """Give what came."""
        return [event.payload]


class Nothing(WorkflowEntrypoint[None, None]):
    """Takes no params."""

    async def run(self, event: Any, step: WorkflowStep) -> Any:
        """Give what came."""
        return [event.payload]


class Plain(WorkflowEntrypoint[Any, Any]):
    """Says nothing of its params."""

    async def run(self, event: Any, step: WorkflowStep) -> Any:
        """Give what came."""
        return [event.payload]


@pytest.mark.parametrize(
    ("workflow", "params", "output"),
    [
        (Shop, {"price": 1.5}, 150),
        (Text, '{"a": 1}', {"a": 1}),
        (Aliased, {"orderId": 3}, {"order_id": 3}),
        (Maybe, None, [None]),
        (Maybe, 3, [3]),
        (Nothing, None, [None]),
        (Nothing, {}, [None]),
        (Plain, None, [{}]),
    ],
)
async def test_what_create_has_validated_is_what_runs(
    open_well: Open, workflow: Any, params: Any, output: Any
) -> None:
    """A validator that changes its value is applied once, not again at each run."""
    async with open_well([workflow]) as well:
        instance = await well.workflow(workflow).create(params=params)

        assert output == await instance.result(10)
        await instance.restart()
        assert output == await instance.result(10)
        queued = (await instance.events())[0]
        assert {"id", "timestamp", "type", "step", "params", "trigger"} >= set(queued)


@on_disk
@pytest.mark.parametrize(
    ("workflow", "params", "output"),
    [(Shop, {"price": 1.5}, 150), (Maybe, None, [None]), (Plain, None, [{}])],
)
async def test_what_nobody_has_validated_is_validated_at_run(
    open_well: Open, url: str, workflow: Any, params: Any, output: Any
) -> None:
    """A client that does not know the workflow leaves it to the worker."""
    async with stepwell.open(url) as client:
        instance = await client.workflow(workflow.__name__).create("a", params)
        async with open_well([workflow]):
            assert output == await instance.result(10)


@on_disk
async def test_what_does_not_fit_at_run_ends_the_instance(open_well: Open, url: str) -> None:
    """Params that no client has validated, and that do not fit, are the instance's error."""
    async with stepwell.open(url) as client:
        instance = await client.workflow("Nothing").create("a", {"some": 1})
        async with open_well([Nothing]):
            with pytest.raises(InstanceErrored, match="do not fit"):
                await instance.result(10)


@pytest.mark.parametrize(
    "run",
    [
        5,
        lambda _self: 1,
        lambda _self, event: 1,
        lambda _self, event, step, more: 1,
        staticmethod(lambda event: 1),
    ],
)
async def test_a_run_that_cannot_be_called_is_refused(run: Any) -> None:
    """What would fail at every instance fails when the workflow is given to `open`."""
    workflow = type("Wrong", (WorkflowEntrypoint,), {"run": run})

    with pytest.raises(InvalidRequest, match=r"Wrong cannot be called with event and step"):
        async with stepwell.open("sqlite://:memory:", workflows=[workflow]):
            pass


@pytest.mark.parametrize(
    "run",
    [
        lambda _self, event, step: 1,
        lambda *arguments: 1,
        lambda _self, event, step, more=1: 1,
        staticmethod(lambda event, step: 1),
        functools.partial(print, "a"),
    ],
)
async def test_a_run_of_another_shape_is_taken(run: Any) -> None:
    """Whatever takes event and step will do."""
    workflow = type("Right", (WorkflowEntrypoint,), {"run": run})

    async with stepwell.open("sqlite://:memory:", workflows=[workflow]) as well:
        assert ["Right"] == list(well.workflows)


async def test_a_declaration_that_cannot_be_read_is_refused_by_open() -> None:
    """No instance is created whose params nobody would validate."""

    class Wrong(WorkflowEntrypoint[Any, int]):
        async def run(self, event: WorkflowEvent[str], step: WorkflowStep) -> None:  # type: ignore[override]
            """Do nothing."""

    with pytest.raises(InvalidRequest, match="differently: int in its base, str at the event"):
        async with stepwell.open("sqlite://:memory:", workflows=[Wrong]):
            pass
