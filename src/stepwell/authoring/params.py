"""The declared type of a workflow's params, and their validation against it.

    class Onboarding(WorkflowEntrypoint[Env, Signup]):                 # here
        async def run(self, event: WorkflowEvent[Signup], step): ...   # or here

Whatever pydantic understands is a type to validate with: models, dataclasses, TypedDicts, unions,
`list[int]`. Without a declared type, or with one that pydantic has no schema for, params are taken
as they are. They are validated once, where they are given, since a validator may change its value.
"""

from __future__ import annotations

import contextlib
import inspect
import itertools
import json
import sys
import types
import typing
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal, TypeVar

import pydantic

from stepwell.authoring.typed_dicts import with_readable_dicts
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

    Raises:
        InvalidRequest: the declaration cannot be resolved, or the two places contradict each other.
    """
    declared = NO_TYPE
    match _base_arguments(cls, entrypoint_origin):
        case (_, argument) if _is_type(argument):
            declared = argument
    if isinstance(declared, _Unresolved):
        raise _unresolvable(cls, declared, "the params of its base")
    annotation = _event_annotation(cls)
    if isinstance(annotation, _Unresolved):
        if declared is NO_TYPE and not annotation.names_only(event_origin):
            raise _unresolvable(cls, annotation, "the event of its run")
        return declared
    at_run = _event_params(annotation, event_origin)
    if declared is NO_TYPE:
        return at_run
    if _contradict(declared, at_run):
        raise InvalidRequest(
            f"workflow class {_class_name(cls)} declares its params twice, and differently: "
            f"{_type_name(declared)} in its base, {_type_name(at_run)} at the event of run; "
            "let both say the same"
        )
    return declared


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
    return pydantic.TypeAdapter(with_readable_dicts(declared))


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
    # Cloudflare gives an empty object where nothing was given.
    if isinstance(value, dict) and not value and _takes_nothing(adapter):
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


@dataclass(frozen=True, slots=True)
class _Unresolved:
    """An annotation with a name that is not known at run time, and why it cannot be resolved."""

    annotation: Any
    reason: str

    def names_only(self, wanted: type) -> bool:
        """Claim that it is the text of this class's name, without any type argument."""
        return str(self.annotation).rpartition(".")[2] == wanted.__name__


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
    if _has_text(argument):
        return _resolved(argument, vars(sys.modules[cls.__module__]), cls)
    inner = getattr(argument, "__parameters__", ())
    if inner and not isinstance(argument, type):
        return argument[tuple(given.get(variable, variable) for variable in inner)]
    return argument


def _has_text(argument: Any) -> bool:
    """Claim that a type is written as text somewhere."""
    if isinstance(argument, typing.ForwardRef | str):
        return True
    origin, inner = typing.get_origin(argument), typing.get_args(argument)
    if origin is Literal:
        return False
    return any(map(_has_text, inner[:1] if origin is Annotated else inner))


def _event_annotation(cls: type) -> Any:
    """Resolve the annotation of the event, the first parameter of `run` after self."""
    run: Any = inspect.unwrap(getattr(cls, "run", cls))
    if not isinstance(run, types.FunctionType):
        return None
    names = run.__code__.co_varnames[1 : run.__code__.co_argcount]
    if not names or names[0] not in run.__annotations__:
        return None
    known = dict(run.__globals__)
    for name, cell in zip(run.__code__.co_freevars, run.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # not bound yet
            known[name] = cell.cell_contents
    return _resolved(run.__annotations__[names[0]], known, cls)


def _event_params(annotation: Any, event_origin: type) -> Any:
    """Take the type of the params out of `WorkflowEvent[…]`."""
    if typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    if typing.get_origin(annotation) is not event_origin:
        return NO_TYPE
    at_run = typing.get_args(annotation)[0]
    is_open = bool(getattr(at_run, "__parameters__", ())) and not isinstance(at_run, type)
    return at_run if _is_type(at_run) and not is_open else NO_TYPE


def _resolved(annotation: Any, names: dict[str, Any], cls: type) -> Any:
    """Resolve one annotation.

    One alone, because others of the same function may name what only a type checker knows.
    """

    def probe() -> None:
        """Carry the annotation."""

    probe.__annotations__ = {"it": annotation}
    try:
        hints = typing.get_type_hints(probe, names, dict(vars(cls)), include_extras=True)
    except Exception as error:  # noqa: BLE001  (an annotation may hold any expression)
        return _Unresolved(annotation, str(error))
    return hints["it"]


def _contradict(one: Any, other: Any) -> bool:
    """Claim that no value fits both types; of what is no plain class nothing is claimed."""
    kinds = (_kinds(one), _kinds(other))
    if not all(kinds):
        return False
    return not any(
        issubclass(mine, theirs) or issubclass(theirs, mine)
        for mine, theirs in itertools.product(*kinds)
    )


def _kinds(declared: Any) -> tuple[type, ...]:
    """Give the classes that a value of this type may have; none where that cannot be said."""
    if not _is_type(declared):
        return ()
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if origin is Annotated:
        return _kinds(arguments[0])
    if origin in (types.UnionType, typing.Union):
        members = [_kinds(argument) for argument in arguments]
        return tuple(itertools.chain(*members)) if all(members) else ()
    kind = dict if typing.is_typeddict(declared) else origin or declared
    if kind is None:
        kind = types.NoneType
    is_protocol = getattr(kind, "_is_protocol", False)
    return (kind,) if isinstance(kind, type) and not is_protocol else ()


def _unresolvable(cls: type, unresolved: _Unresolved, where: str) -> InvalidRequest:
    return InvalidRequest(
        f"workflow class {_class_name(cls)} declares {where} as {unresolved.annotation!r}, which "
        f"cannot be resolved at run time ({unresolved.reason}); import that name outside of "
        "TYPE_CHECKING, or give the type itself as WorkflowEntrypoint[Env, Params]"
    )


def _class_name(cls: type) -> str:
    return f"{cls.__module__}.{cls.__qualname__}"


def _type_name(declared: Any) -> str:
    return declared.__qualname__ if isinstance(declared, type) else str(declared)
