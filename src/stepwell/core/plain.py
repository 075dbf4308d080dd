"""The view of stored values for people: plain JSON types only, and no class is looked up.

So a log can be read where the code that wrote it is not installed, or has changed since.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from stepwell.core.packing_types import ADDRESSES
from stepwell.core.tree import TAG, Node
from stepwell.core.unpacking import read_datetime, read_time
from stepwell.errors import WorkflowInternalError

HIDDEN_SECRET: Final = "**********"  # noqa: S105  (what is shown in place of one)
_FLOATS: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def read_plain(text: str) -> Any:
    """Read stored text that has tags in it.

    Raises:
        WorkflowInternalError: the text is damaged.
    """
    try:
        return _read(text)
    except (ValueError, RecursionError) as exc:
        raise WorkflowInternalError(f"A stored value is damaged ({exc}).") from exc


def _show(node: Node) -> Any:
    """Show one JSON object, whose parts are shown already."""
    tag = node.get(TAG)
    if tag is None:
        return node
    view = _VIEWS.get(tag) if isinstance(tag, str) else None
    if view is None:
        return node
    try:
        return view(node)
    except Exception:  # noqa: BLE001  (better shown as it is stored than not at all)
        return node


_read: Final = json.JSONDecoder(object_hook=_show).decode


def _value(node: Node) -> Any:
    return node["v"]


def _object(node: Node) -> Node:
    """Show pairs, or an object, as an object."""
    pairs = node["v"]
    if isinstance(pairs, dict):
        return pairs
    return {_key(key): value for key, value in pairs}


def _key(key: Any) -> str:
    return key if isinstance(key, str) else json.dumps(key)


def _bounds(node: Node) -> Node:
    return dict(zip(("start", "stop", "step"), node["v"], strict=True))


def _seconds(node: Node) -> float:
    days, seconds, microseconds = node["v"]
    return float(days * 86_400 + seconds + microseconds / 1_000_000)


def _datetime(node: Node) -> str:
    try:
        return read_datetime(node).isoformat()
    except (ValueError, LookupError):  # a zone that this machine does not know
        return f"{node['v']}[{node['z']}]"


def _fraction(node: Node) -> str:
    numerator, denominator = node["v"]
    return f"{numerator}/{denominator}"


def _complex(node: Node) -> str:
    real, imaginary = node["v"]
    return f"{real}{'' if str(imaginary).startswith('-') else '+'}{imaginary}j"


def _model(node: Node) -> Node:
    return {**node["v"], **node.get("x", {})}


def _error(node: Node) -> Node:
    return {"name": node["v"]["name"], "message": node["v"]["message"]}


def _enum(node: Node) -> Any:
    return node["v"] if "v" in node else node["n"]


def _numpy_scalar(node: Node) -> Any:
    return node["v"] if "v" in node else node["b"]


def _numpy_array(node: Node) -> Node:
    return {"dtype": node["d"], "shape": node["n"], "base64": node["v"]}


_VIEWS: Final[dict[str, Callable[[Node], Any]]] = {
    **dict.fromkeys(
        (
            "int", "tuple", "set", "frozenset", "deque", "bytes", "bytearray", "array", "date",
            "decimal", "uuid", "path", "pattern", "named", "data", "namespace", "url",
            *(kind.__name__ for kind in ADDRESSES),
        ),
        _value,
    ),
    **dict.fromkeys(("dict", "ordereddict", "counter", "defaultdict"), _object),
    **dict.fromkeys(("range", "slice"), _bounds),
    "str": lambda node: "".join(node["v"]),
    "float": lambda node: _FLOATS[node["v"]],
    "datetime": _datetime,
    "time": lambda node: read_time(node).isoformat(),
    "timedelta": _seconds,
    "fraction": _fraction,
    "complex": _complex,
    "enum": _enum,
    "model": _model,
    "error": _error,
    "secret": lambda _node: HIDDEN_SECRET,
    "npscalar": _numpy_scalar,
    "ndarray": _numpy_array,
}  # fmt: skip
