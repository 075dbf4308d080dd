"""TypedDicts of `typing` made again as those that pydantic can look into before Python 3.12.

Until then `typing.TypedDict` forgets which keys of a base were required, so pydantic refuses it
wherever it occurs, also inside `list[Settings]`. The one of `typing_extensions` has the same
meaning and is accepted.
"""

from __future__ import annotations

import types
import typing
from typing import Annotated, Any, Literal

import typing_extensions

_QUALIFIERS = (
    typing.Required,
    typing.NotRequired,
    typing_extensions.Required,
    typing_extensions.NotRequired,
)


def with_readable_dicts(declared: Any) -> Any:
    """Give a type in which each TypedDict is one of `typing_extensions`."""
    return _remade(declared, {})


def _remade(declared: Any, known: dict[Any, Any]) -> Any:
    if typing.is_typeddict(declared):
        return known.get(declared) or _dict_like(declared, known)
    origin, arguments = typing.get_origin(declared), typing.get_args(declared)
    if not arguments or origin is Literal:
        return declared
    if origin is Annotated:
        first, *notes = arguments
        return Annotated[(_remade(first, known), *notes)]
    remade = tuple(_remade(argument, known) for argument in arguments)
    if all(one is other for one, other in zip(remade, arguments, strict=True)):
        return declared
    if origin in (types.UnionType, typing.Union):
        return typing.Union[remade]  # noqa: UP007  (of any number)
    return origin[remade[0] if len(remade) == 1 else remade]


def _dict_like(declared: Any, known: dict[Any, Any]) -> Any:
    """Make the twin of a TypedDict; it is known before its fields are, which may name it."""
    make: Any = typing_extensions.TypedDict
    twin: Any = make(declared.__name__, {})
    known[declared] = twin
    fields = {}
    for name, hint in typing.get_type_hints(declared, include_extras=True).items():
        origin = typing.get_origin(hint)
        if origin in _QUALIFIERS:
            fields[name] = origin[_remade(typing.get_args(hint)[0], known)]
        elif name in declared.__required_keys__:
            fields[name] = typing.Required[_remade(hint, known)]
        else:
            fields[name] = typing.NotRequired[_remade(hint, known)]
    twin.__annotations__ = fields
    twin.__required_keys__ = frozenset(
        name for name, hint in fields.items() if "NotRequired" not in str(typing.get_origin(hint))
    )
    twin.__optional_keys__ = frozenset(fields) - twin.__required_keys__
    twin.__module__, twin.__doc__ = declared.__module__, declared.__doc__
    if hasattr(declared, "__pydantic_config__"):
        twin.__pydantic_config__ = declared.__pydantic_config__
    return twin
