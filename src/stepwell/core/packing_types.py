"""How values of the standard library's types are written, by their exact type."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import fractions
import ipaddress
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections.abc import Callable
from typing import Any, Final

from stepwell.core.packing import Packer
from stepwell.core.tree import FACTORIES, SPLIT_CHARACTER, TAG, Node, Tree, base64_text, type_name

Writer = Callable[[Packer, Any], Tree]

_INT_BITS_MAX: Final = 2_000  # longer ones may not be written in decimal everywhere
_MICROSECOND: Final = dt.timedelta(microseconds=1)


# ---- what JSON has itself --------------------------------------------------------------------


def _itself(_packer: Packer, value: Any) -> Tree:
    return value


def _str(_packer: Packer, value: str) -> Tree:
    if value.isascii() or SPLIT_CHARACTER.search(value) is None:
        return value
    return {TAG: "str", "v": SPLIT_CHARACTER.split(value)}


def _int(_packer: Packer, value: int) -> Tree:
    return value if value.bit_length() <= _INT_BITS_MAX else {TAG: "int", "v": hex(value)}


def _float(_packer: Packer, value: float) -> Tree:
    if value - value == 0:  # neither infinite nor NaN
        return value
    return {TAG: "float", "v": repr(value)}


def _list(packer: Packer, value: list[Any]) -> Tree:
    return packer.pack_list(value, value)


def _dict(packer: Packer, value: dict[Any, Any]) -> Tree:
    return packer.pack_mapping(value, value)


# ---- families of writers ---------------------------------------------------------------------


def _members(tag: str) -> Writer:
    return lambda packer, value: {TAG: tag, "v": packer.pack_list(value, value)}


def _pairs(tag: str) -> Writer:
    return lambda packer, value: {TAG: tag, "v": packer.pack_pairs(value, value)}


def _text(tag: str, write: Callable[[Any], str] = str) -> Writer:
    return lambda _packer, value: {TAG: tag, "v": write(value)}


# ---- bytes -----------------------------------------------------------------------------------


def _memoryview(_packer: Packer, value: memoryview) -> Tree:
    return {TAG: "bytes", "v": base64_text(value.tobytes())}


def _array(_packer: Packer, value: array.array[Any]) -> Tree:
    text = base64_text(value.tobytes())
    return {TAG: "array", "v": text, "t": value.typecode, "n": value.itemsize, "o": sys.byteorder}


# ---- times -----------------------------------------------------------------------------------


def _datetime(packer: Packer, value: dt.datetime) -> Tree:
    tree = {TAG: "datetime", "v": value.replace(tzinfo=None, fold=0).isoformat()}
    return _with_zone(packer, value, tree)


def _time(packer: Packer, value: dt.time) -> Tree:
    tree = {TAG: "time", "v": value.replace(tzinfo=None, fold=0).isoformat()}
    return _with_zone(packer, value, tree)


def _with_zone(packer: Packer, value: dt.datetime | dt.time, tree: Node) -> Tree:
    zone = value.tzinfo
    if value.fold:
        tree["f"] = 1
    if zone is None:
        return tree
    if zone is dt.UTC:
        tree["z"] = [0]
    elif type(zone) is zoneinfo.ZoneInfo and zone.key is not None:
        tree["z"] = zone.key
    else:
        tree["z"] = _fixed_zone(packer, value, zone)
    return tree


def _fixed_zone(packer: Packer, value: dt.datetime | dt.time, zone: dt.tzinfo) -> Tree:
    """Write a zone whose offset is always the same, of whatever package: offset, perhaps name."""
    try:
        offset, name = zone.utcoffset(None), zone.tzname(None)
    except Exception:  # noqa: BLE001  (code of other packages may raise anything)
        offset = name = None
    if offset is None:
        reason = f"its time zone is a {type_name(zone)}; use zoneinfo.ZoneInfo or a UTC offset"
        raise packer.refuse(value, reason)
    microseconds = offset // _MICROSECOND
    if name is None or name == dt.timezone(offset).tzname(None):
        return [microseconds]
    return [microseconds, name]


def _timedelta(_packer: Packer, value: dt.timedelta) -> Tree:
    return {TAG: "timedelta", "v": [value.days, value.seconds, value.microseconds]}


# ---- numbers and others ----------------------------------------------------------------------


def _fraction(packer: Packer, value: fractions.Fraction) -> Tree:
    return {TAG: "fraction", "v": [packer.pack(value.numerator), packer.pack(value.denominator)]}


def _complex(packer: Packer, value: complex) -> Tree:
    return {TAG: "complex", "v": [packer.pack(value.real), packer.pack(value.imag)]}


def _path(_packer: Packer, value: pathlib.PurePath) -> Tree:
    return {TAG: "path", "v": str(value), "c": type(value).__name__}


def _pattern(packer: Packer, value: re.Pattern[Any]) -> Tree:
    return {TAG: "pattern", "v": packer.pack(value.pattern), "f": value.flags}


def _bounds(packer: Packer, value: range | slice) -> Tree:
    bounds = (value.start, value.stop, value.step)
    return {TAG: type(value).__name__, "v": packer.pack_list(bounds, value)}


def _deque(packer: Packer, value: collections.deque[Any]) -> Tree:
    return {TAG: "deque", "v": packer.pack_list(value, value), "n": value.maxlen}


def _defaultdict(packer: Packer, value: collections.defaultdict[Any, Any]) -> Tree:
    tree: Node = {TAG: "defaultdict", "v": packer.pack_pairs(value, value)}
    factory = value.default_factory
    if factory is None:
        return tree
    name = getattr(factory, "__name__", "")
    if FACTORIES.get(name) is not factory:
        known = ", ".join(FACTORIES)
        reason = f"its default_factory cannot be stored (only {known}); convert it with dict(…)"
        raise packer.refuse(value, reason)
    tree["f"] = name
    return tree


def _namespace(packer: Packer, value: types.SimpleNamespace) -> Tree:
    return {TAG: "namespace", "v": packer.pack_mapping(vars(value), value)}


PATHS: Final = (
    pathlib.PurePosixPath,
    pathlib.PureWindowsPath,
    pathlib.PosixPath,
    pathlib.WindowsPath,
)
ADDRESSES: Final = (
    ipaddress.IPv4Address,
    ipaddress.IPv6Address,
    ipaddress.IPv4Network,
    ipaddress.IPv6Network,
    ipaddress.IPv4Interface,
    ipaddress.IPv6Interface,
)

BY_TYPE: Final[dict[type, Writer]] = {
    type(None): _itself,
    bool: _itself,
    int: _int,
    float: _float,
    str: _str,
    list: _list,
    dict: _dict,
    tuple: _members("tuple"),
    set: _members("set"),
    frozenset: _members("frozenset"),
    bytes: _text("bytes", base64_text),
    bytearray: _text("bytearray", base64_text),
    memoryview: _memoryview,
    array.array: _array,
    dt.datetime: _datetime,
    dt.date: _text("date", dt.date.isoformat),
    dt.time: _time,
    dt.timedelta: _timedelta,
    decimal.Decimal: _text("decimal"),
    uuid.UUID: _text("uuid"),
    fractions.Fraction: _fraction,
    complex: _complex,
    re.Pattern: _pattern,
    range: _bounds,
    slice: _bounds,
    collections.deque: _deque,
    collections.OrderedDict: _pairs("ordereddict"),
    collections.Counter: _pairs("counter"),
    collections.defaultdict: _defaultdict,
    types.SimpleNamespace: _namespace,
    **dict.fromkeys(PATHS, _path),
    **{kind: _text(kind.__name__) for kind in ADDRESSES},
}
