"""The codec: values as JSON text (ASCII only) and back, the same in type and worth.

    encode(value)    what a step returned, params, an event's payload -> text
    decode(text)     the same value again
    to_plain(text)   what people and REST clients see of it; no class is looked up for that

Values of plain JSON types, which are most, go through the C encoder after one look at their
types; `packing` writes all others with a tag. There is no pickle: text never makes anything but
values of known types, dataclasses, named tuples, enums, pydantic models and exceptions.
"""

from __future__ import annotations

import json
import json.encoder
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, NoReturn

from stepwell.core.failure import WRITERS, read_tagged
from stepwell.core.packing import Packer
from stepwell.core.plain import read_plain
from stepwell.core.tree import (
    NESTING_MAX,
    TAG,
    Refused,
    TooMany,
    to_json,
    to_unicode_json,
    type_name,
)
from stepwell.errors import NotSerializableError, PayloadTooLargeError, WorkflowInternalError

_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_KEYS: Final = frozenset({str})
_TAG_KEY: Final = f'"{TAG}":'
_HALF_CHARACTER: Final = "\\ud"
_CONSTANTS: Final[dict[str, Any]] = {"null": None, "true": True, "false": False}
_CONSTANT_CHARS_MAX: Final = 5
_KIBIBYTE: Final = 1024

# What `json.loads` uses, without its search for spaces around the text.
_read_plain_json: Callable[[str, int], tuple[Any, int]]
_read_plain_json = json.JSONDecoder().scan_once  # type: ignore[attr-defined]  # typeshed lacks it


def encode(value: Any, *, bytes_max: int, what: str) -> str:
    """Write a value as JSON text of ASCII characters only.

    Args:
        value: what to write.
        bytes_max: how long the text may be.
        what: the name of the value in error messages, e.g. "The result of step 'pay'".

    Raises:
        NotSerializableError: some part of it cannot come back the same.
        PayloadTooLargeError: the text would be longer than `bytes_max`.
    """
    text = _encode_plain(value, bytes_max)
    if text is None:
        text = _encode_any(value, bytes_max, what)
    if len(text) > bytes_max:
        _refuse_size(what, f"takes {_size(len(text))}", bytes_max)
    return text


def decode(text: str) -> Any:
    """Read a value that `encode` wrote.

    Raises:
        WorkflowInternalError: the text is damaged, or a class that it names is not there any more.
    """
    if len(text) <= _CONSTANT_CHARS_MAX and text in _CONSTANTS:
        return _CONSTANTS[text]
    if _TAG_KEY in text:
        return read_tagged(text)
    try:
        value, end = _read_plain_json(text, 0)
    except (ValueError, StopIteration, RecursionError) as exc:
        raise WorkflowInternalError(f"A stored value is damaged: {text[:60]!a}.") from exc
    if end != len(text):
        raise WorkflowInternalError(f"A stored value is damaged: {text[end : end + 60]!a} is left.")
    return value


def to_plain(text: str) -> Any:
    """Show a stored value in plain JSON types, for logs, events and REST.

    Times become ISO text, bytes base64, sets and tuples lists, dataclasses and models objects,
    NaN and the infinities text. What is read here need not be known here: no class is looked up.

    Raises:
        WorkflowInternalError: the text is damaged.
    """
    value = read_plain(text) if _TAG_KEY in text else decode(text)
    if _HALF_CHARACTER not in text or _has_whole_characters(value):
        return value
    # Half characters cannot be sent to anybody; a question mark can.
    return json.loads(to_unicode_json(value).encode("utf-8", "replace"))


def _encode_plain(value: Any, room: int) -> str | None:
    """Write a value of plain JSON types the fast way; None if it must be done with care."""
    kind = type(value)
    write = _PLAIN_WRITERS.get(kind)
    if write is None:
        return None
    if (kind is dict or kind is list) and _room_left(value, room, NESTING_MAX - 1) < 0:
        return None
    try:
        text = write(value)
    except ValueError:  # NaN, an infinity, or an integer too long for decimal digits
        return None
    # What JSON would not give back: a dict that looks like a tag, and half characters that meet.
    # (Characters beyond 16 bits are two halves in JSON, so these need a second look.)
    if _TAG_KEY in text or (_HALF_CHARACTER in text and not _has_whole_characters(value)):
        return None
    return text


def _has_whole_characters(value: Any) -> bool:
    """Claim that no text in a plain value holds half a character."""
    try:
        to_unicode_json(value).encode()
    except UnicodeEncodeError:
        return False
    return True


def _float_text(value: float) -> str:
    return float.__repr__(value) if value - value == 0 else to_json(value)


_PLAIN_WRITERS: Final[Mapping[type, Callable[[Any], str]]] = {
    type(None): lambda _value: "null",
    bool: lambda value: "true" if value else "false",
    int: int.__repr__,
    float: _float_text,
    str: json.encoder.encode_basestring_ascii,
    dict: to_json,
    list: to_json,
}


def _room_left(value: Any, room: int, depth: int) -> int:
    """Look through a dict or list; below 0 unless all in it is of exactly the plain JSON types.

    The members are checked without a line of Python for each. `room` bounds how many parts are
    looked at, as in `Packer`.
    """
    members: Collection[Any]
    if type(value) is dict:
        if not _KEYS.issuperset(map(type, value)):
            return -1
        members = value.values()
    elif type(value) is list:
        members = value
    else:
        return -1
    room -= len(value) + 1
    if _SCALARS.issuperset(map(type, members)):
        return room
    if depth <= 0:
        return -1
    for member in members:
        if type(member) not in _SCALARS:
            room = _room_left(member, room, depth - 1)
            if room < 0:
                return -1
    return room


def _encode_any(value: Any, bytes_max: int, what: str) -> str:
    """Write a value of any known type."""
    packer = Packer(WRITERS, bytes_max)
    try:
        return to_json(packer.pack(value))
    except Refused as exc:
        message = f"{_capital(what)} cannot be stored: {exc.path} is of type {exc.type_name}"
        raise NotSerializableError(
            f"{message}; {exc.reason}.", path=exc.path, type_name=exc.type_name
        ) from exc
    except RecursionError as exc:
        raise NotSerializableError(
            f"{_capital(what)} cannot be stored: it is nested too deeply for the stack left here.",
            type_name=type_name(value),
        ) from exc
    except TooMany:
        _refuse_size(what, "has more parts than that", bytes_max)


def _refuse_size(what: str, size: str, bytes_max: int) -> NoReturn:
    raise PayloadTooLargeError(
        f"{_capital(what)} {size}, and at most {_size(bytes_max)} can be stored. Put large data "
        "into a file, a bucket or a table, and keep only its name here."
    )


def _capital(what: str) -> str:
    return what[:1].upper() + what[1:]


def _size(count: int) -> str:
    """Show a number of bytes to people."""
    if count < _KIBIBYTE:
        return f"{count} bytes"
    if count < _KIBIBYTE**2:
        return f"{count / _KIBIBYTE:.1f} KiB ({count:,} bytes)"
    return f"{count / _KIBIBYTE**2:.2f} MiB ({count:,} bytes)"
