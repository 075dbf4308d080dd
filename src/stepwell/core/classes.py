"""How classes are named in stored text, and found again.

A class is recorded as `module:qualname`; a generic pydantic model or a type argument as a list:
the origin, then the arguments. A class is only ever recorded if looking that name up gives the
very same class, so that what is stored can be read.
"""

from __future__ import annotations

import functools
import importlib
import operator
import sys
import types
import typing
from typing import Any

ClassRef = str | list[Any]

_UNION = "|"
_TYPING_UNION = "Union"
_NONE = "builtins:NoneType"  # which is not there under this name
_ARGUMENTS_DEPTH_MAX = 10


class ClassNotFound(Exception):
    """A class cannot be recorded, or cannot be found again. The message says why."""


def reference(cls: type) -> ClassRef:
    """Name a class so that `find_class` finds it.

    Raises:
        ClassNotFound: it cannot be found under its name.
    """
    named = _named(cls, 0)
    if isinstance(named, list) and find_class(named) is not cls:
        raise ClassNotFound(f"{cls.__qualname__} cannot be made again from its type arguments")
    return named


def find_class(ref: object) -> Any:
    """Find the class, or the type argument, that `reference` named.

    Raises:
        ClassNotFound: it is not there (any more).
    """
    if isinstance(ref, str):
        return _look_up(ref)
    if not isinstance(ref, list) or not ref[1:]:
        raise ClassNotFound(f"{ref!r} names no class")
    arguments = tuple(find_class(argument) for argument in ref[1:])
    if ref[0] == _UNION:
        return functools.reduce(operator.or_, arguments)
    if ref[0] == _TYPING_UNION:
        return typing.Union[arguments]  # noqa: UP007  (equal to, but not the same as `|`)
    origin = find_class(ref[0])
    try:
        return origin[arguments]
    except TypeError as exc:
        raise ClassNotFound(f"{ref[0]} takes no such type arguments: {exc}") from exc


def own_attributes(value: object) -> dict[str, Any]:
    """Read all attributes an instance holds: its slots and its `__dict__`, set ones only.

    Results of `cached_property` are left out; they come back when asked for.
    """
    cls = type(value)
    found: dict[str, Any] = {}
    for name in _slot_names(cls):
        try:
            found[name] = object.__getattribute__(value, name)
        except AttributeError:  # not set
            continue
    found.update(
        (name, item)
        for name, item in getattr(value, "__dict__", {}).items()
        if name != "__orig_class__"
        and not isinstance(getattr(cls, name, None), functools.cached_property)
    )
    return found


def bare_instance(cls: type, attributes: dict[str, Any]) -> Any:
    """Make an instance that has these attributes, without running any code of its class.

    An attribute is dropped where the class has no place for it (any more).
    """
    value: Any = object.__new__(cls)
    slots = _slot_names(cls)
    place = getattr(value, "__dict__", {})
    for name, item in attributes.items():
        if name in slots:
            object.__setattr__(value, name, item)
        else:
            place[name] = item
    return value


def _named(cls: Any, depth: int) -> ClassRef:
    """Name a class or a type argument."""
    if depth > _ARGUMENTS_DEPTH_MAX:
        raise ClassNotFound("its type arguments are nested too deeply")
    origin, arguments = _generic_parts(cls)
    if origin is not None:
        unions = {types.UnionType: _UNION, typing.Union: _TYPING_UNION}
        name = unions.get(origin) or _named(origin, depth + 1)
        return [name, *(_named(argument, depth + 1) for argument in arguments)]
    if cls is None or cls is types.NoneType:
        return _NONE
    if not isinstance(cls, type):
        raise ClassNotFound(f"its type argument {cls!r} is no class")
    return _checked_path(cls)


def _generic_parts(cls: Any) -> tuple[Any, tuple[Any, ...]]:
    """Tell the origin and the arguments of a generic type; (None, ()) for a plain class."""
    metadata = getattr(cls, "__pydantic_generic_metadata__", None)
    if isinstance(metadata, dict) and metadata.get("origin") is not None:
        return metadata["origin"], metadata["args"]
    return typing.get_origin(cls), typing.get_args(cls)


def _checked_path(cls: type) -> str:
    path = f"{cls.__module__}:{cls.__qualname__}"
    if "<locals>" in cls.__qualname__:
        raise ClassNotFound("the class is defined inside a function")
    module = sys.modules.get(cls.__module__)
    found: Any = module
    for name in cls.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not cls:
        raise ClassNotFound(f"{path} is not this class (any more)")
    return path


def _look_up(path: str) -> Any:
    if path == _NONE:
        return types.NoneType
    module_name, _, qualname = path.partition(":")
    if not module_name or not qualname:
        raise ClassNotFound(f"{path!r} names no class")
    try:
        found: Any = sys.modules.get(module_name) or importlib.import_module(module_name)
        for name in qualname.split("."):
            found = getattr(found, name)
    except Exception as exc:  # importing runs user code, which may raise anything
        raise ClassNotFound(f"{path} cannot be imported ({type(exc).__name__}: {exc})") from exc
    if not isinstance(found, type):
        raise ClassNotFound(f"{path} is no class")
    return found


def _slot_names(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names.extend(
            _mangled(base, name)
            for name in ((slots,) if isinstance(slots, str) else slots)
            if name not in ("__dict__", "__weakref__")
        )
    return names


def _mangled(base: type, name: str) -> str:
    if name.startswith("__") and not name.endswith("__"):
        return f"_{base.__name__.lstrip('_')}{name}"
    return name
