"""How values are written whose class is an author's own: enums, dataclasses, models and others.

numpy and pydantic are only looked at where the program has imported them already.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import pathlib
import sys
import types
import uuid
from typing import Any, Final

from stepwell.core.classes import own_attributes
from stepwell.core.packing import Packer
from stepwell.core.tree import TAG, Node, Tree, base64_text

_BUILTIN_BASES: Final = (
    dict, list, tuple, set, frozenset, str, int, float, complex, bytes, bytearray,
)  # fmt: skip
_PLAIN_BASES: Final = (
    dt.datetime, dt.date, dt.time, dt.timedelta, decimal.Decimal, fractions.Fraction, uuid.UUID,
    pathlib.PurePath, collections.deque,
)  # fmt: skip
_MODEL_INTERNALS: Final = frozenset(
    {"__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__"}
)
# numpy scalars that a Python value stands for exactly; others (long double, times) go as bytes.
_NUMPY_ITEM_BYTES_MAX: Final = {"b": 1, "i": 8, "u": 8, "f": 8, "c": 16}
_NUMPY_TEXT: Final = "US"


def pack_by_family(packer: Packer, value: Any) -> Tree:
    """Write a value by what it is.

    Raises:
        Refused: it is none of the families that come back the same.
    """
    for is_member, write in _FAMILIES:
        if is_member(value):
            return write(packer, value)
    raise packer.refuse(value, _advice(value))


def _is_enum(value: Any) -> bool:
    return isinstance(value, enum.Enum)


def _enum(packer: Packer, value: enum.Enum) -> Tree:
    """Write a member by its name; its value stands by it for people, and for flags without name."""
    tree: Node = {TAG: "enum", "c": packer.name_class(value)}
    if value.name not in type(value).__members__:
        tree["v"] = packer.pack(value.value)
        return tree
    tree["n"] = value.name
    shown = packer.attempt(lambda: [packer.pack(value.value)])
    if shown is not None:
        tree["v"] = shown[0]
    return tree


def _is_named_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and hasattr(type(value), "_fields")


def _named_tuple(packer: Packer, value: Any) -> Tree:
    if getattr(value, "__dict__", None):
        reason = "it is a named tuple with attributes of its own; use a dataclass"
        raise packer.refuse(value, reason)
    fields = dict(zip(type(value)._fields, value, strict=True))
    return {TAG: "named", "c": packer.name_class(value), "v": packer.pack_mapping(fields, value)}


def _is_model(value: Any) -> bool:
    base = getattr(sys.modules.get("pydantic.main"), "BaseModel", None)
    return base is not None and isinstance(value, base)


def _model(packer: Packer, value: Any) -> Tree:
    attributes = own_attributes(value).items()
    fields = {name: item for name, item in attributes if name not in _MODEL_INTERNALS}
    tree: Node = {
        TAG: "model",
        "c": packer.name_class(value),
        "v": packer.pack_mapping(fields, value),
        "s": sorted(value.__pydantic_fields_set__),
    }
    extra, private = value.__pydantic_extra__, value.__pydantic_private__
    if extra is not None:
        tree["x"] = packer.pack_mapping(extra, value)
    if private is not None:
        unset = sys.modules["pydantic_core"].PydanticUndefined
        known = {name: item for name, item in private.items() if item is not unset}
        tree["p"] = packer.pack_mapping(known, value)
    return tree


def _is_dataclass(value: Any) -> bool:
    return dataclasses.is_dataclass(type(value)) and not isinstance(value, _BUILTIN_BASES)


def _dataclass(packer: Packer, value: Any) -> Tree:
    fields = packer.pack_mapping(own_attributes(value), value)
    return {TAG: "data", "c": packer.name_class(value), "v": fields}


def _is_numpy_scalar(value: Any) -> bool:
    base = getattr(sys.modules.get("numpy"), "generic", None)
    return base is not None and isinstance(value, base)


def _numpy_scalar(packer: Packer, value: Any) -> Tree:
    dtype = value.dtype
    _refuse_numpy_objects(packer, value)
    is_exact = dtype.itemsize <= _NUMPY_ITEM_BYTES_MAX.get(dtype.kind, 0)
    if is_exact or dtype.kind in _NUMPY_TEXT:
        return {TAG: "npscalar", "d": dtype.str, "v": packer.pack(value.item())}
    return {TAG: "npscalar", "d": dtype.str, "b": base64_text(value.tobytes())}


def _is_numpy_array(value: Any) -> bool:
    kind = getattr(sys.modules.get("numpy"), "ndarray", None)
    return kind is not None and type(value) is kind


def _numpy_array(packer: Packer, value: Any) -> Tree:
    _refuse_numpy_objects(packer, value)
    text = base64_text(value.tobytes())
    return {TAG: "ndarray", "v": text, "d": value.dtype.str, "n": list(value.shape)}


def _refuse_numpy_objects(packer: Packer, value: Any) -> None:
    if value.dtype.hasobject or value.dtype.names:
        raise packer.refuse(value, "its dtype has objects or fields; use lists, or plain columns")


def is_secret(cls: Any) -> bool:
    """Claim that a class is one of pydantic's secrets."""
    return cls.__module__ == "pydantic.types" and cls.__name__ in ("SecretStr", "SecretBytes")


def _is_secret(value: Any) -> bool:
    return is_secret(type(value))


def _secret(packer: Packer, value: Any) -> Tree:
    secret = packer.pack(value.get_secret_value())
    return {TAG: "secret", "c": packer.name_class(value), "v": secret}


def is_url(cls: Any) -> bool:
    """Claim that a class is one of pydantic's addresses."""
    return cls.__module__.startswith("pydantic") and hasattr(cls, "unicode_string")


def _is_url(value: Any) -> bool:
    return is_url(type(value))


def _url(packer: Packer, value: Any) -> Tree:
    return {TAG: "url", "c": packer.name_class(value), "v": str(value)}


_FAMILIES: Final = (
    (_is_enum, _enum),
    (_is_named_tuple, _named_tuple),
    (_is_model, _model),
    (_is_dataclass, _dataclass),
    (_is_numpy_scalar, _numpy_scalar),
    (_is_numpy_array, _numpy_array),
    (_is_secret, _secret),
    (_is_url, _url),
)


def _advice(value: Any) -> str:
    """Say what to do about a value that cannot be stored."""
    if isinstance(value, collections.abc.Awaitable):
        return "await it, and store what it gives"
    if isinstance(value, collections.abc.Iterator | collections.abc.AsyncIterator):
        return "it gives its items only once; store a list of them"
    if isinstance(value, type | types.ModuleType) or callable(value):
        return "code is not stored; store a name, and look it up where it is needed"
    base = next(
        (kind for kind in (*_BUILTIN_BASES, *_PLAIN_BASES) if isinstance(value, kind)), None
    )
    if base is None:
        return "make it a dataclass, a pydantic model or plain types, or store what it is made from"
    remedy = f"make a plain {base.__name__} of it, or use a dataclass"
    if base in _BUILTIN_BASES:
        remedy = f"convert it with {base.__name__}(…), or use a dataclass"
    return f"it is a subclass of {base.__name__}, and would come back as that; {remedy}"
