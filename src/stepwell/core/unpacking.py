"""JSON trees back into values: the other direction of `packing`.

The JSON reader hands over each object after its parts, so a reader finds its parts ready made. A
class named in the text is only used if it is of the kind that the text says, and none of its code
is run.
"""

from __future__ import annotations

import array
import base64
import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import importlib
import json
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

from stepwell.core.classes import ClassNotFound, bare_instance, find_class
from stepwell.core.packing_families import is_secret, is_url
from stepwell.core.packing_types import ADDRESSES, PATHS
from stepwell.core.tree import FACTORIES, TAG, Node
from stepwell.errors import WorkflowInternalError

ReadError = Callable[[Node], Any]


def text_reader(read_error: ReadError) -> Callable[[str], Any]:
    """Give the function that reads stored text; `read_error` restores an exception."""

    def read_object(node: Node) -> Any:
        tag = node.get(TAG)
        if tag is None:
            return node
        if tag == "error":
            return read_error(node)
        reader = _READERS.get(tag)
        if reader is None:
            raise WorkflowInternalError(
                f"A stored value is of the unknown kind {tag!r}; has a newer Stepwell written it?"
            )
        return reader(node)

    read = json.JSONDecoder(object_hook=read_object).decode

    def read_text(text: str) -> Any:
        try:
            return read(text)
        except ClassNotFound as exc:
            raise WorkflowInternalError(
                f"A stored value cannot be read: {exc}. Keep the class where it was when the value "
                "was stored, or leave an alias there."
            ) from exc
        except WorkflowInternalError:
            raise
        except Exception as exc:  # damaged text, or code of the class (a default, a validator)
            raise WorkflowInternalError(
                f"A stored value is damaged ({type(exc).__name__}: {exc})."
            ) from exc

    return read_text


def _read_array(node: Node) -> Any:
    value = array.array(node["t"])
    if value.itemsize != node["n"]:
        raise ValueError(f"array type {node['t']!r} has another size on this machine")
    value.frombytes(base64.b64decode(node["v"]))
    if node["o"] != sys.byteorder:
        value.byteswap()
    return value


def read_datetime(node: Node) -> dt.datetime:
    """Read a date with time, and zone if it has one."""
    value = dt.datetime.fromisoformat(node["v"])
    return value.replace(tzinfo=_zone(node), fold=node.get("f", 0))


def read_time(node: Node) -> dt.time:
    """Read a time of day, and its zone if it has one."""
    value = dt.time.fromisoformat(node["v"])
    return value.replace(tzinfo=_zone(node), fold=node.get("f", 0))


def _zone(node: Node) -> dt.tzinfo | None:
    zone = node.get("z")
    if zone is None:
        return None
    if isinstance(zone, str):
        return zoneinfo.ZoneInfo(zone)
    if zone == [0]:
        return dt.UTC
    return dt.timezone(dt.timedelta(microseconds=zone[0]), *zone[1:])


def _read_enum(node: Node) -> Any:
    cls = _class_of(node, lambda cls: issubclass(cls, enum.Enum), "an enum")
    name = node.get("n")
    if name is not None and name in cls.__members__:
        return cls.__members__[name]
    return cls(node["v"])


def _read_named(node: Node) -> Any:
    cls = _class_of(
        node, lambda cls: issubclass(cls, tuple) and hasattr(cls, "_fields"), "a named tuple"
    )
    fields = {**cls._field_defaults, **node["v"]}
    return tuple.__new__(cls, [fields[name] for name in cls._fields])


def _read_data(node: Node) -> Any:
    cls = _class_of(node, dataclasses.is_dataclass, "a dataclass")
    attributes = dict(node["v"])
    for field in dataclasses.fields(cls):
        if field.name not in attributes:  # a field that the code has got since
            if field.default is not dataclasses.MISSING:
                attributes[field.name] = field.default
            elif field.default_factory is not dataclasses.MISSING:
                attributes[field.name] = field.default_factory()
    return bare_instance(cls, attributes)


def _read_model(node: Node) -> Any:
    base = importlib.import_module("pydantic").BaseModel
    cls = _class_of(node, lambda cls: issubclass(cls, base), "a pydantic model")
    fields = dict(node["v"])
    for name, field in cls.model_fields.items():
        if name not in fields and not field.is_required():
            takes_data = getattr(field, "default_factory_takes_validated_data", False)
            more = {"validated_data": fields} if takes_data else {}  # pydantic 2.10 brought it
            fields[name] = field.get_default(call_default_factory=True, **more)
    private = node.get("p")
    if cls.__private_attributes__:
        private = {**_private_defaults(cls), **(private or {})}
    model = object.__new__(cls)
    base.__setstate__(
        model,
        {
            "__dict__": fields,
            "__pydantic_fields_set__": set(node["s"]),
            "__pydantic_extra__": node.get("x"),
            "__pydantic_private__": private,
        },
    )
    return model


def _private_defaults(cls: Any) -> Node:
    undefined = sys.modules["pydantic_core"].PydanticUndefined
    found = {name: item.get_default() for name, item in cls.__private_attributes__.items()}
    return {name: item for name, item in found.items() if item is not undefined}


def _read_numpy_scalar(node: Node) -> Any:
    numpy = importlib.import_module("numpy")
    dtype = numpy.dtype(node["d"])
    if "b" in node:
        return numpy.frombuffer(base64.b64decode(node["b"]), dtype)[0]
    return dtype.type(node["v"])


def _read_numpy_array(node: Node) -> Any:
    numpy = importlib.import_module("numpy")
    flat = numpy.frombuffer(base64.b64decode(node["v"]), numpy.dtype(node["d"]))
    return flat.reshape(node["n"]).copy()


def _read_secret(node: Node) -> Any:
    return _class_of(node, is_secret, "a secret of pydantic")(node["v"])


def _read_url(node: Node) -> Any:
    return _class_of(node, is_url, "an address of pydantic")(node["v"])


def _class_of(node: Node, fits: Callable[[Any], bool], kind: str) -> Any:
    """Find the class a node names, and hold it to its kind before anything is made of it."""
    cls = find_class(node["c"])
    if not fits(cls):
        raise ClassNotFound(f"{node['c']} is not {kind}")
    return cls


def _of_value(make: Callable[[Any], Any]) -> Callable[[Node], Any]:
    return lambda node: make(node["v"])


def _spread(make: Callable[..., Any]) -> Callable[[Node], Any]:
    return lambda node: make(*node["v"])


_PATHS: Final = {kind.__name__: kind for kind in PATHS}

_READERS: Final[dict[str, Callable[[Node], Any]]] = {
    "str": _of_value("".join),
    "int": _of_value(lambda text: int(text, 16)),
    "float": _of_value(float),
    "dict": _of_value(dict),
    "tuple": _of_value(tuple),
    "set": _of_value(set),
    "frozenset": _of_value(frozenset),
    "bytes": _of_value(base64.b64decode),
    "bytearray": _of_value(lambda text: bytearray(base64.b64decode(text))),
    "array": _read_array,
    "datetime": read_datetime,
    "date": _of_value(dt.date.fromisoformat),
    "time": read_time,
    "timedelta": _spread(dt.timedelta),
    "decimal": _of_value(decimal.Decimal),
    "uuid": _of_value(uuid.UUID),
    "fraction": _spread(fractions.Fraction),
    "complex": _spread(complex),
    "path": lambda node: _PATHS[node["c"]](node["v"]),
    "pattern": lambda node: re.compile(node["v"], node["f"]),
    "range": _spread(range),
    "slice": _spread(slice),
    "deque": lambda node: collections.deque(node["v"], node["n"]),
    "ordereddict": _of_value(collections.OrderedDict),
    "counter": _of_value(lambda pairs: collections.Counter(dict(pairs))),
    "defaultdict": lambda node: collections.defaultdict(
        FACTORIES.get(node.get("f", "")), node["v"]
    ),
    "namespace": lambda node: types.SimpleNamespace(**node["v"]),
    "enum": _read_enum,
    "named": _read_named,
    "data": _read_data,
    "model": _read_model,
    "npscalar": _read_numpy_scalar,
    "ndarray": _read_numpy_array,
    "secret": _read_secret,
    "url": _read_url,
    **{kind.__name__: _of_value(kind) for kind in ADDRESSES},
}
