"""What callers of the handles ask for: read and checked before anything is stored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.core import payload
from stepwell.errors import InvalidRequest
from stepwell.model.instance import InstanceStatus
from stepwell.model.limits import Limits


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
        raise InvalidRequest(f"{word!r} is no status; there are {words}") from None


def read_cursor(cursor: str | None) -> int | None:
    """Read the cursor of a page as the key to go on below."""
    if cursor is None:
        return None
    if not cursor.isdecimal():
        raise InvalidRequest(f"{cursor!r} is no cursor; use the `cursor` of the page before")
    return int(cursor)


def check_page_size(limit: object, maximum: int) -> None:
    """Refuse a page size out of range."""
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= maximum:
        raise InvalidRequest(f"limit is {limit!r}; it must be a whole number, 1 to {maximum}")
