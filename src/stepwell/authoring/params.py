"""The declared type of a workflow's params, and their validation against it.

    class Onboarding(WorkflowEntrypoint[Env, Signup]):                 # here
        async def run(self, event: WorkflowEvent[Signup], step): ...   # or here

Whatever pydantic understands is a type to validate with: models, dataclasses, TypedDicts, unions,
`list[int]`. Without a declared type, or with one that pydantic has no schema for, params are taken
as they are. They are validated once, where they are given, since a validator may change its value.
"""

from __future__ import annotations

import inspect
import json
import sys
import types
import typing
from typing import Any, Final, TypeVar

import pydantic

from stepwell.errors import InvalidRequest

NO_TYPE: Final = Any
_CODE: Final = "workflow.invalid_params"
_PROBLEMS_SHOWN_MAX: Final = 20


class ParamsCodec:
    """Validates params against one declared type. The validator is built when first needed."""

    def __init__(self, declared: Any) -> None:
        self.declared = declared
        self._adapter: pydantic.TypeAdapter[Any] | None = None
        self._is_built = False

    @property
    def adapter(self) -> pydantic.TypeAdapter[Any] | None:
        """The validator; None if there is nothing to validate against."""
        if not self._is_built:
            self._adapter = params_adapter(self.declared)
            self._is_built = True
        return self._adapter

    def validate(self, value: Any) -> Any:
        """Turn params into the declared type.

        Raises:
            InvalidRequest: `workflow.invalid_params`, with each problem and its place.
        """
        return validate_params(self.adapter, value)


def declared_params_type(cls: type, entrypoint_origin: type, event_origin: type) -> Any:
    """Find the type that a workflow declares for its params.

    Args:
        cls: the workflow's class.
        entrypoint_origin: the generic base; its second parameter is the type of the params.
        event_origin: the generic event; its only parameter is the type of the params.

    Returns:
        The type, or `NO_TYPE` if there is none.
    """
    match _base_arguments(cls, entrypoint_origin):
        case (_, declared) if _is_type(declared):
            return declared
    annotation = _event_annotation(cls)
    if typing.get_origin(annotation) is event_origin:
        declared = typing.get_args(annotation)[0]
        if _is_type(declared):
            return declared
    return NO_TYPE


def params_adapter(declared: Any) -> pydantic.TypeAdapter[Any] | None:
    """Build the validator of a type; None for a type that says nothing, or nothing to pydantic."""
    if not _is_type(declared):
        return None
    try:
        return pydantic.TypeAdapter(declared)
    except pydantic.errors.PydanticSchemaGenerationError:
        return None
    except pydantic.errors.PydanticUserError as exc:
        if exc.code != "typed-dict-version":
            raise
        # Before Python 3.12 pydantic cannot look into a TypedDict of `typing`.
        return pydantic.TypeAdapter(dict[str, Any]) if typing.is_typeddict(declared) else None


def validate_params(adapter: pydantic.TypeAdapter[Any] | None, value: Any) -> Any:
    """Turn params into the declared type; None means that none were given.

    Params of REST clients and events are JSON, where a strict model cannot find a date or a set:
    so what fails as Python values is tried as JSON too.

    Raises:
        InvalidRequest: `workflow.invalid_params`, with each problem and its place.
    """
    if adapter is None:
        return {} if value is None else value
    if value is None:
        return _validate_absent(adapter)
    if value == {} and _takes_nothing(adapter):  # what Cloudflare gives where nothing was given
        return None
    try:
        return adapter.validate_python(value)
    except pydantic.ValidationError as problems:
        try:
            return adapter.validate_json(json.dumps(value))
        except (pydantic.ValidationError, TypeError, ValueError, RecursionError):
            raise _invalid(problems) from problems


def _validate_absent(adapter: pydantic.TypeAdapter[Any]) -> Any:
    """Take params that were not given as None where the type allows it, else as an empty object."""
    try:
        return adapter.validate_python(None)
    except pydantic.ValidationError:
        pass
    try:
        return adapter.validate_python({})
    except pydantic.ValidationError as problems:
        raise _invalid(problems) from problems


def _takes_nothing(adapter: pydantic.TypeAdapter[Any]) -> bool:
    return bool(adapter.core_schema["type"] == "none")


def _invalid(problems: pydantic.ValidationError) -> InvalidRequest:
    found = problems.errors(include_url=False, include_input=False, include_context=False)
    lines = [f"{_place(one['loc'])}: {one['msg']}" for one in found[:_PROBLEMS_SHOWN_MAX]]
    if len(found) > _PROBLEMS_SHOWN_MAX:
        lines.append(f"and {len(found) - _PROBLEMS_SHOWN_MAX} more")
    return InvalidRequest(
        f"The params do not fit {problems.title}: {'; '.join(lines)}.", code=_CODE
    )


def _place(location: tuple[int | str, ...]) -> str:
    place = "params"
    for key in location:
        place += f"[{key}]" if isinstance(key, int) else f".{key}"
    return place


# ---- finding the type ------------------------------------------------------------------------


def _is_type(declared: Any) -> bool:
    """Claim that a type argument says something."""
    return declared not in (Any, object) and not isinstance(declared, TypeVar)


def _base_arguments(cls: type, wanted: type) -> tuple[Any, ...]:
    """Tell the type arguments that a class gives to a generic base, through all bases between."""
    if cls is wanted:
        return tuple(getattr(cls, "__parameters__", ()))
    for base in cls.__dict__.get("__orig_bases__", cls.__bases__):
        origin = typing.get_origin(base) or base
        if not isinstance(origin, type) or not issubclass(origin, wanted):
            continue
        arguments = _base_arguments(origin, wanted)
        parameters = getattr(origin, "__parameters__", ())
        given = dict(zip(parameters, typing.get_args(base), strict=False))
        return tuple(_substituted(argument, given, cls) for argument in arguments)
    return ()


def _substituted(argument: Any, given: dict[Any, Any], cls: type) -> Any:
    """Put given types in the place of type variables, also inside `list[T]`."""
    if isinstance(argument, TypeVar):
        argument = given.get(argument, argument)
    if isinstance(argument, typing.ForwardRef):
        return _resolved(argument, vars(sys.modules[cls.__module__]), cls)
    inner = getattr(argument, "__parameters__", ())
    if inner and not isinstance(argument, type):
        return argument[tuple(given.get(variable, variable) for variable in inner)]
    return argument


def _event_annotation(cls: type) -> Any:
    """Resolve the annotation of the event, the first parameter of `run` after self."""
    run: Any = inspect.unwrap(getattr(cls, "run", cls))
    if not isinstance(run, types.FunctionType):
        return None
    names = run.__code__.co_varnames[1 : run.__code__.co_argcount]
    if not names or names[0] not in run.__annotations__:
        return None
    return _resolved(run.__annotations__[names[0]], run.__globals__, cls)


def _resolved(annotation: Any, names: dict[str, Any], cls: type) -> Any:
    """Resolve one annotation; None where it cannot be.

    One alone, because others of the same function may name what only a type checker knows.
    """

    def probe() -> None:
        """Carry the annotation."""

    probe.__annotations__ = {"it": annotation}
    try:
        return typing.get_type_hints(probe, names, dict(vars(cls)))["it"]
    except Exception:  # noqa: BLE001  (an annotation may hold any expression)
        return None
