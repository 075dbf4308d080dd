"""Durations as people write them, in whole milliseconds.

A number is milliseconds. A text is one or more pairs of amount and unit: `"5 seconds"`,
`"1.5 hours"`, `"1 hour 30 minutes"`, or short `"90s"`, `"1h 30m"`, `"500ms"`; a text that is only
a number is milliseconds too. Upper and lower case are the same.

`m` is minutes here. Cloudflare reads `"30 m"` as 30 milliseconds, and takes every unit that it
does not know for milliseconds as well; Stepwell refuses a unit that it does not know.
"""

from __future__ import annotations

import math
import re
from datetime import timedelta
from functools import lru_cache
from typing import Final

SECOND_MS: Final = 1_000
MINUTE_MS: Final = 60 * SECOND_MS
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS

UNITS_MS: Final[dict[str, int]] = {
    "year": 31_557_600_000,  # 365.25 days
    "month": 30 * DAY_MS,
    "week": 7 * DAY_MS,
    "day": DAY_MS,
    "hour": HOUR_MS,
    "minute": MINUTE_MS,
    "second": SECOND_MS,
    "ms": 1,
}
SHORT_UNITS_MS: Final[dict[str, int]] = {
    "w": 7 * DAY_MS,
    "d": DAY_MS,
    "h": HOUR_MS,
    "m": MINUTE_MS,
    "s": SECOND_MS,
}

_WORDS_MS = {
    **UNITS_MS,
    **{f"{unit}s": amount for unit, amount in UNITS_MS.items() if unit != "ms"},
    **SHORT_UNITS_MS,
}
_NUMBER = r"[0-9]+(?:\.[0-9]*)?(?:e[+-]?[0-9]+)?|\.[0-9]+(?:e[+-]?[0-9]+)?"
_ONLY_NUMBER = re.compile(rf"\s*({_NUMBER})\s*", re.IGNORECASE)
_PAIR = re.compile(rf"\s*({_NUMBER})\s*([^\W\d_]+)", re.IGNORECASE)
_MILLISECOND = timedelta(milliseconds=1)
_TEXT_CHARS_MAX = 200
_SHOWN_CHARS_MAX = 60
_ALLOWED = (
    "write a number of milliseconds, or an amount and a unit such as '30 seconds', "
    "'1 hour 30 minutes' or '1h 30m'; units are "
    f"{', '.join(UNITS_MS)} (also in the plural) and {', '.join(SHORT_UNITS_MS)}"
)


class InvalidDuration(ValueError):
    """The value is no duration."""


def parse_duration(value: float | str | timedelta, *, what: str = "duration") -> int:
    """Tell how many milliseconds a duration is.

    Args:
        value: milliseconds, a text as in the head of this module, or a timedelta.
        what: the name of the value in the error message.

    Returns:
        The nearest whole number of milliseconds, never negative.

    Raises:
        InvalidDuration: it is no duration, or a negative or infinite one.
    """
    amount = _milliseconds(value)
    if amount is None:
        raise InvalidDuration(f"{what} {_shown(value)} is no duration: {_ALLOWED}.")
    if not isinstance(amount, int) and not math.isfinite(amount):
        raise InvalidDuration(f"{what} {_shown(value)} is not finite: {_ALLOWED}.")
    if amount < 0:
        raise InvalidDuration(f"{what} {_shown(value)} is negative: {_ALLOWED}.")
    return round(amount)


def format_duration(ms: int) -> str:
    """Write milliseconds so that people can read them and `parse_duration` gives the same back."""
    parts = []
    rest = ms
    for unit in ("day", "hour", "minute", "second"):
        count, rest = divmod(rest, UNITS_MS[unit])
        if count:
            parts.append(f"{count} {unit}{'' if count == 1 else 's'}")
    if rest or not parts:
        parts.append(f"{rest} ms")
    return " ".join(parts)


def _milliseconds(value: object) -> float | None:
    """Tell the milliseconds of any value, not rounded or checked; None where it is no duration."""
    match value:
        case bool():
            return None
        case int() | float():
            return value
        case str():
            return _parse_text(value)
        case timedelta():
            return value / _MILLISECOND
        case _:
            return None


@lru_cache(maxsize=1024)
def _parse_text(text: str) -> int | float | None:
    """Tell the milliseconds a text means; None where it is no duration."""
    if len(text) > _TEXT_CHARS_MAX:
        return None
    if number := _ONLY_NUMBER.fullmatch(text):
        return _amount(number[1])
    total: int | float = 0
    end = 0
    while pair := _PAIR.match(text, end):
        unit_ms = _WORDS_MS.get(pair[2].lower())
        if unit_ms is None:
            return None
        total += _amount(pair[1]) * unit_ms
        end = pair.end()
    if end == 0 or text[end:].strip():
        return None
    return total


def _amount(text: str) -> int | float:
    return int(text) if text.isdigit() else float(text)


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001  (any object may be given, and its __repr__ raise anything)
        text = f"of type {type(value).__name__}"
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[: _SHOWN_CHARS_MAX - 3]}..."
