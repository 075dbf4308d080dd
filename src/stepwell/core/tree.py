"""What stored trees look like, how they become text, and how a value that cannot be one is named.

A tree is what JSON can hold. A JSON object with the key `$` stands for a value of another type,
and `$` says which; `packing` writes them, `unpacking` reads them, `plain` shows them to people.
"""

from __future__ import annotations

import base64
import json.encoder
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

Tree = Any
Node = dict[str, Any]

TAG: Final = "$"
NESTING_MAX: Final = 100

# What the factory of a defaultdict may be.
FACTORIES: Final = {
    kind.__name__: kind for kind in (list, dict, set, tuple, int, float, str, bool, bytes)
}

# Two halves of a character side by side: JSON would read them as the one character.
SPLIT_CHARACTER: Final = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")

_KEY_CHARS_MAX: Final = 40


class Refused(Exception):
    """A value cannot be written; `path` says where it is inside the whole."""

    def __init__(self, reason: str, *, path: str, type_name: str) -> None:
        self.reason = reason
        self.path = path
        self.type_name = type_name
        super().__init__(reason)


class TooMany(Exception):
    """The value has more parts than its text may have characters."""


def type_name(value: object) -> str:
    """Name the type of a value as people write it."""
    cls = type(value)
    if cls.__module__ == "builtins":
        return cls.__qualname__
    return f"{cls.__module__}.{cls.__qualname__}"


def path_text(keys: Sequence[object]) -> str:
    """Write the way to a part of a value as people do: `$.items[3].owner`."""
    parts = ["$"]
    for key in keys:
        if isinstance(key, str) and key.isidentifier():
            parts.append(f".{key}")
        else:
            parts.append(f"[{_shown(key)}]")
    return "".join(parts)


def _shown(key: object) -> str:
    try:
        text = ascii(key)
    except Exception:  # noqa: BLE001  (__repr__ of user code may raise anything)
        text = f"a {type_name(key)}"
    return text if len(text) <= _KEY_CHARS_MAX else f"{text[: _KEY_CHARS_MAX - 3]}..."


def base64_text(data: bytes | bytearray) -> str:
    """Write bytes as text."""
    return base64.b64encode(data).decode("ascii")


def _never(value: object) -> object:
    raise TypeError(f"a {type(value).__name__} is no part of a tree")


def text_writer(make: Callable[..., Any] | None, *, is_ascii: bool) -> Callable[[Tree], str]:
    """Give the function that writes a tree as compact JSON; it refuses NaN and infinity.

    `json.dumps` makes its C encoder anew at each call, which costs more than a small value does.

    Args:
        make: what makes a C encoder; None in interpreters that have none.
        is_ascii: escape all other characters.
    """
    if make is None:
        return json.JSONEncoder(
            ensure_ascii=is_ascii,
            check_circular=False,
            allow_nan=False,
            separators=(",", ":"),
            default=_never,
        ).encode
    markers = indent = None
    sort_keys = skip_keys = allow_nan = False
    escape = json.encoder.encode_basestring_ascii if is_ascii else json.encoder.encode_basestring
    write = make(markers, _never, escape, indent, ":", ",", sort_keys, skip_keys, allow_nan)
    return lambda tree: "".join(write(tree, 0))


_MAKE: Final = getattr(json.encoder, "c_make_encoder", None)

to_json: Final = text_writer(_MAKE, is_ascii=True)
to_unicode_json: Final = text_writer(_MAKE, is_ascii=False)
