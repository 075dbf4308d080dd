"""Exceptions taken apart and made again, without running code of their classes.

An exception's `__init__` may want other arguments than `args`, or do things; so the nearest
built-in base makes the instance from `args`, and attributes are put back one by one. An attribute
that cannot be stored (a response, a connection) is left out; an argument that cannot be stored
means that the exception cannot be made again.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import Any, Final

from stepwell.core.classes import find_class, own_attributes
from stepwell.core.packing import Packer
from stepwell.core.tree import Tree, to_json

MESSAGE_BYTES_MAX: Final = 14 * 1024
ATTRIBUTE_BYTES_MAX: Final = 8 * 1024
_SPARE: Final = 3  # two halves, and room for a few escapes
_SPARE_UNICODE: Final = 14  # each character may need six bytes

# What these keep neither in `args` nor in `__dict__`.
_MEMBERS: Final[dict[type[BaseException], tuple[str, ...]]] = {
    ImportError: ("name", "path"),
    NameError: ("name",),
    AttributeError: ("name",),
}
# These cannot pass through a coroutine: Python turns them into a RuntimeError there.
_NEVER_RAISED: Final = (StopIteration, StopAsyncIteration)


def pack_arguments(error: BaseException, packer: Packer) -> list[Tree] | None:
    """Write the arguments that the exception is made again from; None where that cannot be."""
    arguments = _arguments(error)
    if len(arguments) == 1 and isinstance(arguments[0], str):
        # An error that is nothing but a long text stays an error of its class, with less text.
        text = shortened(arguments[0], MESSAGE_BYTES_MAX)
        packer.has_cut |= text != arguments[0]
        arguments = (text,)
    packed: list[Tree] | None = packer.attempt(lambda: packer.pack_list(arguments, error))
    return packed


def pack_attributes(error: BaseException, packer: Packer) -> dict[str, Tree]:
    """Write those attributes that can be stored, and are not too large beside an error."""
    attributes = own_attributes(error)
    attributes.pop("__notes__", None)
    for kind, names in _MEMBERS.items():
        if isinstance(error, kind):
            attributes.update((name, getattr(error, name)) for name in names)
    packed: dict[str, Tree] = {}
    for name, value in attributes.items():
        work = partial(packer.pack_mapping, {name: value}, error)
        one = packer.attempt(work)
        if one is not None and name in one and len(to_json(one)) <= ATTRIBUTE_BYTES_MAX:
            packed.update(one)
        else:
            packer.has_cut = True
    return packed


def message_of(error: BaseException) -> str:
    """Give the text of an exception, or words that stand for it where it cannot be read."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (__str__ of user code may raise anything)
        return f"(the text of this {type(error).__name__} cannot be read)"


def shortened(text: str, bytes_max: int) -> str:
    """Take out the middle of a text that would be too long as JSON."""
    if len(text) <= bytes_max and len(to_json(text)) <= bytes_max:
        return text
    half = bytes_max // _SPARE if text.isascii() else bytes_max // _SPARE_UNICODE
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def has_same_attributes(one: BaseException, other: BaseException) -> bool:
    """Claim that two exceptions have attributes of the same names."""
    return own_attributes(one).keys() == own_attributes(other).keys()


def rebuild(
    class_path: str, arguments: list[Any], attributes: dict[str, Any], message: str
) -> Exception | None:
    """Make an exception again; None unless it is of that class and has that message."""
    try:
        cls = find_class(class_path)
        if not issubclass(cls, Exception) or issubclass(cls, _NEVER_RAISED):
            return None
        error = _made(cls, arguments)
        for name, value in attributes.items():
            _set(error, name, value)
        return error if str(error) == message and isinstance(error, cls) else None
    except Exception:  # noqa: BLE001  (code of the class, or damaged text: it stays a record)
        return None


def _made(cls: Any, arguments: list[Any]) -> Exception:
    if _is_validation_error(cls):
        title, lines, *rest = arguments
        full_lines = [_full_line(line) for line in lines]
        made: Exception = cls.from_exception_data(title, full_lines, *rest)
        return made
    base = next(kind for kind in cls.__mro__ if kind.__module__ == "builtins")
    error: Exception = base.__new__(cls, *arguments)
    base.__init__(error, *arguments)
    return error


def _set(error: Exception, name: str, value: Any) -> None:
    """Set an attribute past the class's own `__setattr__`, and past a property of that name."""
    try:
        BaseException.__setattr__(error, name, value)
    except AttributeError:
        error.__dict__[name] = value


def _arguments(error: BaseException) -> tuple[Any, ...]:
    if isinstance(error, OSError):
        return tuple(OSError.__reduce__(error)[1])  # `args` lacks the file names
    if _is_validation_error(type(error)):
        parts: Any = error.__reduce__()
        title, lines, *rest = parts[1]
        return (title, [_plain_line(line) for line in lines], *rest)
    return error.args


# ---- pydantic's ValidationError, which only makes itself from its list of problems -----------


_LINE_KEYS: Final = ("type", "loc", "input", "ctx")


def _is_validation_error(cls: type) -> bool:
    module = sys.modules.get("pydantic_core")
    return module is not None and cls is module.ValidationError


def _plain_line(line: dict[str, Any]) -> dict[str, Any]:
    kind = line["type"]
    plain: dict[str, Any] = {key: line[key] for key in _LINE_KEYS if key in line}
    if not isinstance(kind, str):  # a PydanticCustomError
        plain["type"] = [kind.type, kind.message_template, kind.context]
    return plain


def _full_line(line: dict[str, Any]) -> dict[str, Any]:
    kind = line["type"]
    if isinstance(kind, str):
        return line
    return {**line, "type": sys.modules["pydantic_core"].PydanticCustomError(*kind)}
