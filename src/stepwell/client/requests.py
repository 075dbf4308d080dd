"""What callers of the handles ask for: read and checked before anything is stored."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

from stepwell.core import payload
from stepwell.core.events import EVENT_TYPES
from stepwell.core.shown import shown
from stepwell.errors import InvalidRequest
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import Limits

# Keys of instances and ids of events are numbers of 64 bits in every store.
_ID_MAX = 2**63 - 1
_CURSOR = re.compile("[0-9]{1,19}")
_A_TYPE = "step_completed"


def check_id_is_text(id: object) -> None:
    """Refuse an id that is no text, which may be params in the wrong place."""
    if id is not None and not isinstance(id, str):
        raise InvalidRequest(
            f"Instance id {shown(id)} is not allowed: it is of type {type(id).__name__}, not text; "
            "did you mean create(params=…)? Choose another id, or leave it out to get one.",
            code="instance.invalid_id",
        )


def read_event(given: str | Mapping[str, Any], payload: Any) -> tuple[Any, Any]:
    """Give type and payload of an event, which may come apart or in one mapping."""
    if not isinstance(given, Mapping):
        return given, payload
    unknown = sorted(map(str, set(given) - {"type", "payload"}))
    if unknown or payload is not None:
        what = f"has unknown keys {unknown}" if unknown else "stands beside a payload"
        raise InvalidRequest(f"the event {what}; give a type and a payload, or a mapping of both")
    return given.get("type"), given.get("payload")


def encode_event(value: Any, limits: Limits, type_: str) -> str:
    """Encode the payload of an event."""
    return payload.encode(
        value, bytes_max=limits.event_bytes_max, what=f"the payload of event {type_!r}"
    )


def read_status(word: str | None) -> InstanceStatus | None:
    """Read a status word to filter by."""
    if word is None:
        return None
    try:
        return InstanceStatus(word)
    except ValueError:
        words = ", ".join(InstanceStatus)
        raise InvalidRequest(f"{shown(word)} is no status; there are {words}") from None


def read_cursor(cursor: object) -> int | None:
    """Read the cursor of a page as the key to go on below."""
    if cursor is None:
        return None
    if isinstance(cursor, str) and _CURSOR.fullmatch(cursor) and int(cursor) <= _ID_MAX:
        return int(cursor)
    raise InvalidRequest(f"{shown(cursor)} is no cursor; use the `cursor` of the page before")


def read_event_id(cursor: object) -> int:
    """Read the cursor of a subscription: the id of the event to go on after; None: from the top."""
    if cursor is None:
        return 0
    if isinstance(cursor, int) and not isinstance(cursor, bool) and cursor <= _ID_MAX:
        return cursor
    raise InvalidRequest(
        f"{shown(cursor)} is no cursor of a subscription; "
        "give the `id` of an event, a whole number, to hear of those after it"
    )


def read_event_types(types: object) -> frozenset[str] | None:
    """Read the types of event to hear of; None: all."""
    if types is None:
        return None
    if isinstance(types, (str, bytes, Mapping)) or not isinstance(types, Iterable):
        raise InvalidRequest(f"types is {shown(types)}; give a list of types such as {_A_TYPE!r}")
    given = list(types)
    unknown = [type_ for type_ in given if type_ not in EVENT_TYPES]
    if unknown:
        raise InvalidRequest(
            f"there are no events of type {shown(unknown[0])}; there are {', '.join(EVENT_TYPES)}"
        )
    return frozenset(given)


def read_retention(retention: object, what: str) -> Mapping[str, Any] | None:
    """Give the retention of an instance if it is a mapping; its keys are for others to check."""
    if retention is None or isinstance(retention, Mapping):
        return retention
    raise InvalidRequest(
        f"{what} is {shown(retention)}; give a mapping of durations, "
        "{'success_retention': '3 days', 'error_retention': '30 days'}, or one of the two"
    )


def check_seconds(timeout: object) -> None:
    """Refuse a timeout that is no number of seconds."""
    if timeout is not None and not _is_number(timeout):
        raise InvalidRequest(
            f"timeout is {shown(timeout)}; give a number of seconds, or None to wait for ever"
        )


def _is_number(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    try:
        return not math.isnan(value)
    except OverflowError:  # a whole number that no clock can count to
        return False


def check_page_size(limit: object, maximum: int) -> None:
    """Refuse a page size out of range."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= maximum:
        raise InvalidRequest(f"limit is {shown(limit)}; it must be a whole number, 1 to {maximum}")
