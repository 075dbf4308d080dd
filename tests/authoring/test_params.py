"""The declared type of params: where it is found, and what does not fit it."""

from __future__ import annotations

import dataclasses
import datetime as dt
import types
from typing import Annotated, Any, Generic, TypedDict, TypeVar

import pydantic
import pytest

from stepwell.authoring.params import (
    NO_TYPE,
    ParamsCodec,
    declared_params_type,
    params_adapter,
    validate_params,
)
from stepwell.errors import InvalidRequest

Env = TypeVar("Env")
Params = TypeVar("Params")
Item = TypeVar("Item")
Positive = Annotated[int, pydantic.Field(gt=0)]


class Event(Generic[Params]):
    """Stands for the event."""


class Entrypoint(Generic[Env, Params]):
    """Stands for the base of all workflows."""

    async def run(self, event: Event[Params], step: Any) -> Any:
        """Do the work."""


class Signup(pydantic.BaseModel):
    """Params of a workflow."""

    email: str
    age: int = 0


@dataclasses.dataclass
class Order:
    """Params as a dataclass."""

    id: int
    lines: list[str] = dataclasses.field(default_factory=list)


class Settings(TypedDict):
    """Params as a TypedDict."""

    colour: str


class Palette(Settings, total=False):
    """Params as a TypedDict with a base, optional keys, and itself inside."""

    sizes: list[int]
    inner: Palette


class Strict(pydantic.BaseModel, strict=True):
    """Params that take nothing but their own types."""

    when: dt.datetime
    tags: set[int]


class ByBase(Entrypoint[dict[str, str], Signup]):
    """Declares its params in its base."""


class ByText(Entrypoint[Any, "Signup"]):
    """Declares its params in its base, as text."""


class Child(ByBase):
    """Inherits the declaration."""


class Listing(Entrypoint[Any, list[Item]], Generic[Item]):
    """Leaves a part open."""


class Orders(Listing[Order]):
    """Closes it."""


class Swapped(Entrypoint[Item, Params], Generic[Params, Item]):
    """Names its parameters in another order."""


class OfSwapped(Swapped[Signup, Any]):
    """Uses them so."""


class ByEvent(Entrypoint):  # type: ignore[type-arg]
    """Declares its params at `run`."""

    async def run(self, event: Event[Signup], step: Undefined) -> Nowhere:  # type: ignore[name-defined]  # noqa: F821
        """Do the work; the other annotations are known to nobody here."""


class Bare(Entrypoint):  # type: ignore[type-arg]
    """Declares nothing."""

    async def run(self, event: Event, step: Any) -> Any:  # type: ignore[type-arg]
        """Do the work."""


class Broken(Entrypoint):  # type: ignore[type-arg]
    """Declares what cannot be read."""

    async def run(self, event: Event[Gone], step: Any) -> Any:  # type: ignore[name-defined]  # noqa: F821
        """Do the work."""


class BrokenBase(Entrypoint[Any, "list[Gone]"]):  # type: ignore[name-defined]
    """Declares what cannot be read, in its base."""


class Opposed(Entrypoint[Any, int]):
    """Declares two things."""

    async def run(self, event: Event[str], step: Any) -> Any:  # type: ignore[override]
        """Do the work."""


class ByInnerText(Entrypoint[Any, list["Signup"]]):
    """Declares its params in its base, partly as text."""


class Noted(Entrypoint):  # type: ignore[type-arg]
    """Adds a rule to the type."""

    async def run(self, event: Event[Positive], step: Any) -> Any:
        """Do the work."""


class Hidden(Entrypoint[Any, Signup]):
    """Has an event whose class only a type checker knows."""

    async def run(self, event: Nowhere[Signup], step: Any) -> Any:  # type: ignore[name-defined]  # noqa: F821
        """Do the work."""


class Unnamed(Entrypoint):  # type: ignore[type-arg]
    """Imports the event for type checkers alone, and says nothing of its params."""

    async def run(self, event: nowhere.Event, step: Any) -> Any:  # type: ignore[name-defined]  # noqa: F821
        """Do the work."""


class Alike(Entrypoint[Any, Settings]):
    """Says the same in other words."""

    async def run(self, event: Event[dict[str, Any]], step: Any) -> Any:  # type: ignore[override]
        """Do the work."""


class Wider(Entrypoint[Any, int]):
    """Takes more than it gets."""

    async def run(self, event: Event[int | str], step: Any) -> Any:  # type: ignore[override]
        """Do the work."""


class Short(Entrypoint):  # type: ignore[type-arg]
    """Has a `run` of another shape."""

    async def run(self) -> Any:  # type: ignore[override]
        """Do the work."""


@pytest.mark.parametrize(
    ("cls", "declared"),
    [
        (ByBase, Signup),
        (ByText, Signup),
        (Child, Signup),
        (Orders, list[Order]),
        (OfSwapped, Signup),
        (ByEvent, Signup),
        (Bare, NO_TYPE),
        (ByInnerText, list[Signup]),
        (Noted, Positive),
        (Hidden, Signup),
        (Unnamed, NO_TYPE),
        (Alike, Settings),
        (Wider, int),
        (Short, NO_TYPE),
        (Entrypoint, NO_TYPE),
        (int, NO_TYPE),
    ],
)
def test_where_the_type_is_declared(cls: type, declared: Any) -> None:
    """In the base, through bases between, or at `run`; else there is none."""
    assert declared == declared_params_type(cls, Entrypoint, Event)


@pytest.mark.parametrize(
    ("cls", "problem"),
    [
        (Broken, r"test_params\.Broken declares the event of its run as 'Event\[Gone\]'.*'Gone'"),
        (BrokenBase, r"test_params\.BrokenBase declares the params of its base as .*Gone"),
        (Opposed, r"test_params\.Opposed .* differently: int in its base, str at the event"),
    ],
)
def test_a_declaration_that_cannot_be_kept_is_refused(cls: type, problem: str) -> None:
    """A type that nobody would validate against is no silent promise."""
    with pytest.raises(InvalidRequest, match=problem):
        declared_params_type(cls, Entrypoint, Event)


def test_a_type_of_the_function_around_is_found() -> None:
    """A class inside a function is known where `run` uses it."""

    class Inner(pydantic.BaseModel):
        size: int

    class Local(Entrypoint):  # type: ignore[type-arg]
        async def run(self, event: Event[Inner], step: Any) -> Any:
            return Inner

    assert Inner is declared_params_type(Local, Entrypoint, Event)


@pytest.mark.parametrize(
    ("value", "place"),
    [
        ({"colour": 1}, "params.colour"),
        ({}, "params.colour"),
        ({"colour": "red", "sizes": ["x"]}, r"params.sizes\[0\]"),
        ({"colour": "red", "inner": {"colour": "red", "sizes": 1}}, "params.inner.sizes"),
    ],
)
@pytest.mark.parametrize("wrap", ["Palette", "list[Palette]", "dict[str, Palette | None]"])
def test_a_typed_dict_of_typing_is_validated(wrap: str, value: Any, place: str) -> None:
    """A TypedDict is looked into on every Python, wherever in the type it stands."""
    declared = eval(wrap)
    whole = {"Palette": value, "list[Palette]": [value]}.get(wrap, {"a": value})

    with pytest.raises(InvalidRequest, match=place.removeprefix("params")):
        ParamsCodec(declared).validate(whole)


@pytest.mark.parametrize("declared", [Any, object])
def test_types_that_say_nothing(declared: Any) -> None:
    """Any and object mean no validation."""
    cls = types.new_class("Said", (Entrypoint[Any, declared],))

    assert NO_TYPE is declared_params_type(cls, Entrypoint, Event)
    assert params_adapter(declared) is None


def test_a_class_that_pydantic_cannot_check_means_no_validation() -> None:
    """Params of a plain class are taken as they are."""

    class Opaque:
        pass

    value = Opaque()

    assert value is ParamsCodec(Opaque).validate(value)


def test_a_mistake_in_the_type_is_told() -> None:
    """What the author got wrong in the declared type itself is not hidden."""
    tagged = Annotated[Signup | Strict, pydantic.Field(discriminator="kind")]

    with pytest.raises(pydantic.errors.PydanticUserError, match="kind"):
        params_adapter(tagged)


def test_without_a_type_params_are_taken_as_they_are() -> None:
    """None becomes an empty dict; anything else is untouched."""
    codec = ParamsCodec(NO_TYPE)
    value = object()

    assert {} == codec.validate(None)
    assert value is codec.validate(value)


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        (Signup, {"email": "a", "age": "7"}, Signup(email="a", age=7)),
        (Order, {"id": 1}, Order(1)),
        (Settings, {"colour": "red"}, {"colour": "red"}),
        (list[Settings], [{"colour": "red"}], [{"colour": "red"}]),
        (list[Order], [{"id": 1, "lines": ["a"]}], [Order(1, ["a"])]),
        (int | None, None, None),
        (None, None, None),
        (None, {}, None),
        (dict, None, {}),
        (dict[str, int], {"a": "1"}, {"a": 1}),
        (Signup | Order, {"id": 3}, Order(3)),
    ],
)
def test_params_become_the_declared_type(declared: Any, value: Any, expected: Any) -> None:
    """Models, dataclasses, TypedDicts, lists, unions and options."""
    found = ParamsCodec(declared).validate(value)

    assert expected == found
    assert type(expected) is type(found)


def test_an_instance_of_the_type_passes() -> None:
    """What is a model already stays the same object."""
    value = Signup(email="a")

    assert value is ParamsCodec(Signup).validate(value)


def test_a_value_that_cannot_be_compared_passes() -> None:
    """Params are not asked whether they equal anything."""

    class Odd(pydantic.BaseModel):
        __hash__ = None  # type: ignore[assignment]

        def __eq__(self, other: object) -> bool:
            raise ValueError("ambiguous")

    value = Odd()

    assert value is ParamsCodec(Odd).validate(value)


def test_a_strict_model_reads_json() -> None:
    """Dates and sets, which JSON has only as texts and lists, fit a strict model."""
    found = ParamsCodec(Strict).validate({"when": "2024-01-01T00:00:00Z", "tags": [1]})

    assert Strict(when=dt.datetime(2024, 1, 1, tzinfo=dt.UTC), tags={1}) == found


def test_absent_params_of_a_model_with_defaults() -> None:
    """None stands for an empty object where None itself does not fit."""

    class Easy(pydantic.BaseModel):
        size: int = 3

    assert Easy() == ParamsCodec(Easy).validate(None)


def test_each_problem_is_listed_with_its_place() -> None:
    """The error has the code that clients know, and says all that is wrong, without the values."""
    value = [{"id": "secret", "lines": [1, "b", 2]}, {}]

    with pytest.raises(InvalidRequest) as caught:
        ParamsCodec(list[Order]).validate(value)

    message = str(caught.value)
    assert "workflow.invalid_params" == caught.value.code
    assert "params[0].id: Input should be a valid integer" in message
    assert "params[0].lines[0]: Input should be a valid string" in message
    assert "params[0].lines[2]" in message
    assert "params[1].id: Field required" in message
    assert "secret" not in message


def test_missing_params_are_named() -> None:
    """Params that were not given at all are told what is missing."""
    with pytest.raises(InvalidRequest, match=r"do not fit Signup: params\.email: Field required"):
        ParamsCodec(Signup).validate(None)


def test_the_list_of_problems_is_bounded() -> None:
    """A thousand problems do not make a thousand lines."""
    with pytest.raises(InvalidRequest, match=r"; and 980 more\.") as caught:
        validate_params(params_adapter(list[int]), ["x"] * 1000)

    assert 3_000 > len(str(caught.value))


def test_the_validator_is_built_once_and_late() -> None:
    """Building it costs time, which a program that starts no instance need not spend."""
    codec = ParamsCodec(Signup)

    assert codec.adapter is codec.adapter
