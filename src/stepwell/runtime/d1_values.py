"""What goes into a D1 statement and what comes out: parameters and results."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from stepwell.errors import D1Error

D1Value: TypeAlias = int | float | str | bytes | None

_INTEGER_MAX = 2**63 - 1
_SHOWN_CHARS_MAX = 500
_QUOTED_NEAR = re.compile(r'near "(?P<token>.+?)": syntax error', re.DOTALL)
_UNKNOWN_NAME = re.compile(r"(?:no such (?:table|column|function)|ambiguous column name): (\S+)")
_ADVICE: dict[type, str] = {
    dict: "store it as text with json.dumps(…)",
    list: "store it as text with json.dumps(…)",
    tuple: "bind its items one by one, or store it as text with json.dumps(…)",
    set: "store it as text with json.dumps(sorted(…))",
}


class _Fields:
    """Lets the fields of a dataclass be read as items too."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        if name not in self.__dataclass_fields__:  # type: ignore[attr-defined]  # of subclasses
            raise KeyError(name)
        return getattr(self, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class D1Meta(_Fields):
    """What a statement did.

    Attributes:
        duration: milliseconds that the database took.
        changes: rows that were inserted, changed or deleted.
        last_row_id: the rowid of the row inserted last.
        changed_db: claim that anything changed, the schema included.
        rows_read: rows that the statement gave back or changed. (SQLite does not tell how many
            it looked at, which is what Cloudflare counts.)
        rows_written: the same as `changes`.
        size_after: bytes of the database afterwards.
    """

    duration: float
    changes: int
    last_row_id: int
    changed_db: bool
    rows_read: int
    rows_written: int
    size_after: int


@dataclass(frozen=True, slots=True, kw_only=True)
class D1Result(_Fields):
    """Rows as dictionaries, and what the statement did."""

    results: list[dict[str, D1Value]]
    success: bool
    meta: D1Meta


@dataclass(frozen=True, slots=True, kw_only=True)
class D1ExecResult(_Fields):
    """How many statements `exec` ran, and how many milliseconds they took."""

    count: int
    duration: float


def check_parameter(index: int, value: object) -> D1Value:
    """Give a bound value as the database stores it; `index` counts from 1, as `?1` does.

    Raises:
        D1Error: a database cannot store such a value.
    """
    match value:
        case None | str():
            return value
        case bool() | int():
            if not -_INTEGER_MAX - 1 <= value <= _INTEGER_MAX:
                raise _refused(index, f"the integer {value}", "it does not fit into 64 bits")
            return int(value)
        case float():
            if math.isnan(value):
                raise _refused(index, "not a number", "bind None for a missing number")
            return value
        case bytes() | bytearray() | memoryview():
            return bytes(value)
    kind = type(value)
    advice = _ADVICE.get(kind, "bind None, a bool, a number, a text or bytes")
    if hasattr(value, "isoformat"):
        advice = "bind its text with .isoformat()"
    raise _refused(index, f"of type {kind.__qualname__}", advice)


def sql_error(reason: str, sql: str, *, where: str = "") -> D1Error:
    """Make the error for a statement that failed, with its text and the place if it is plain."""
    shown = _shortened(" ".join(sql.split()))
    message = f"D1_ERROR: {where}{_shortened(reason)}{_place(reason, sql)} in: {shown}"
    return D1Error(message, reason=reason, sql=sql)


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}…"


def _refused(index: int, what: str, advice: str) -> D1Error:
    return D1Error(f"D1_TYPE_ERROR: parameter {index} is {what}; {advice}")


def _place(reason: str, sql: str) -> str:
    """Find what the database complains of; SQLite tells the word, this tells where it stands."""
    found = _QUOTED_NEAR.search(reason) or _UNKNOWN_NAME.search(reason)
    if found is None:
        return ""
    word = found.group(1)
    places = [match.start() for match in re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", sql)]
    if len(places) != 1:
        return ""
    before = sql[: places[0]]
    line = before.count("\n") + 1
    return f" (line {line}, column {len(before) - (before.rfind(chr(10)) + 1) + 1})"
