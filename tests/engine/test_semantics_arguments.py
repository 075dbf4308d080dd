"""What a Python program may hand over: mappings, sequences, models, in place of plain dicts."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pydantic
import pytest

from stepwell import NotSerializableError, WorkflowEntrypoint, blocking
from stepwell.errors import InvalidRequest
from stepwell.runtime.bound_workflow import BoundWorkflow, WellSlot
from tests.engine.support import Open, flow


class Signup(pydantic.BaseModel):
    """Params as a model."""

    name: str
    tags: list[str] = []


@dataclass
class Place:
    """Params as a dataclass."""

    city: str


class Pair(NamedTuple):
    """Params as a named tuple."""

    left: int
    right: int


class Record(dict[str, Any]):
    """A dict of a program's own kind, as web frameworks and SDKs give them."""


class Word(str):
    """Text of a program's own kind."""

    __slots__ = ()


class Rows(list[Any]):
    """A list of a program's own kind."""


async def twice(event: Any, step: Any) -> Any:
    """Give the params and an event's payload back, each through a step."""
    params = await step.do("params", lambda: event.payload)
    got = await step.wait_for_event("wait", type="go")
    return [params, await step.do("payload", lambda: got.payload)]


VALUES: list[Any] = [
    Signup(name="Ada", tags=["x"]),
    Place("Delft"),
    Pair(1, 2),
    OrderedDict(b=1, a=2),
    {"rows": (1, {2, 3}), "model": Signup(name="Ada")},
    b"\x00\xff",
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
async def test_s369_values_arrive_as_what_they_are(open_well: Open, value: Any) -> None:
    """Models and collections as params and payloads come back equal and of the same type."""
    async with open_well([flow(twice)]) as well:
        flows = well.workflow("Flow")
        created, [batched] = (
            await flows.create(params=value),
            await flows.create_batch([{"params": value}]),
        )
        for instance in (created, batched):
            await instance.send_event("go", value)
            result = await instance.result(10)

            assert [value, value] == result
            assert [type(value)] * 2 == [type(one) for one in result]


class Declared(WorkflowEntrypoint[Any, Signup]):
    """A workflow that declares what its params are."""

    async def run(self, event: Any, step: Any) -> Any:
        return [type(event.payload).__name__, event.payload.name, event.payload.tags]


@pytest.mark.parametrize(
    "given",
    [
        {"name": "Ada", "tags": ["x"]},
        Record(name="Ada", tags=Rows("x")),
        OrderedDict(name="Ada", tags=("x",)),
        MappingProxyType({"name": Word("Ada"), "tags": ["x"]}),
        Signup(name="Ada", tags=["x"]),
    ],
    ids=lambda given: type(given).__name__,
)
async def test_s369_params_become_the_declared_type(open_well: Open, given: Any) -> None:
    """Whatever mapping the params come in, `run` gets the model that the workflow declares."""
    async with open_well([Declared]) as well:
        instance = await well.workflow(Declared).create(params=given)

        assert ["Signup", "Ada", ["x"]] == await instance.result(10)


@pytest.mark.parametrize("value", [Record(a=1), Rows([1]), Word("x"), {"deep": [Record()]}])
async def test_s369_what_would_lose_its_class_is_refused(open_well: Open, value: Any) -> None:
    """Without a declared type nothing is quietly made plain: the error says how to do it."""
    async with open_well([flow(twice)]) as well:
        flows = well.workflow("Flow")
        instance = await flows.create(id="a")
        for attempt in (flows.create(id="b", params=value), instance.send_event("go", value)):
            with pytest.raises(NotSerializableError, match="would come back as that; convert it"):
                await attempt

        assert ["a"] == [one.id for one in await flows.list()]


OPTIONS: list[Mapping[str, Any]] = [
    {"id": "a", "params": 1},
    Record(id="a", params=1),
    MappingProxyType({"id": "a", "params": 1}),
    UserDict({"id": Word("a"), "params": 1}),
    OrderedDict(params=1, id="a"),
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: type(options).__name__)
async def test_s369_options_in_any_mapping(open_well: Open, options: Any) -> None:
    """Options of create, items of a batch and events may be any mapping, in any sequence."""
    slot = WellSlot()
    async with slot.hold(open_well([flow(twice)])) as well:
        created = await BoundWorkflow("Flow", slot).create(options)
        assert [] == await well.workflow("Flow").create_batch((options,))
        await created.send_event(type(options)({"type": "go", "payload": "by mapping"}))
        assert ("a", str) == (created.id, type(created.id))
        assert [1, "by mapping"] == await created.result(10)
        answer = await well.workflow("Flow").delete_batch(UserList([Word("a"), "none"]))
        assert [{"id": "a"}] == answer["deleted"]
        [batched] = await well.workflow("Flow").create_batch(UserList([options]))
        await batched.sendEvent(Word("go"), 2)

        assert [1, 2] == await batched.result(10)


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (({"type": "go", "paylod": 1},), "paylod"),
        (({"type": "go"}, "beside"), "beside"),
        (({},), "Event type NoneType"),
        (({"type": 5, "payload": 1},), "Event type int"),
        ((["go", 1],), "Event type list"),
    ],
)
async def test_a_bad_mapping_of_an_event(open_well: Open, arguments: Any, word: str) -> None:
    """An event in one mapping has a type, perhaps a payload, and nothing else."""
    async with open_well([flow(twice)]) as well:
        instance = await well.workflow("Flow").create()
        with pytest.raises(InvalidRequest, match=word):
            await instance.send_event(*arguments)
        await instance.send_event({"type": "go"})

        assert [{}, None] == await instance.result(10)


def test_s369_the_blocking_handles_take_them_too() -> None:
    """An event in one mapping reaches the wait through the handles without `await` as well."""
    with blocking.open("sqlite://:memory:", workflows=[flow(twice)]) as well:
        instance = well.workflow("Flow").create(params=OrderedDict(a=1))
        instance.send_event({"type": "go", "payload": Pair(1, 2)})

        assert [OrderedDict(a=1), Pair(1, 2)] == instance.result(10)
