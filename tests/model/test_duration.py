"""Durations: what people may write, and what it means."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.model.duration import InvalidDuration, format_duration, parse_duration


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (0, 0),
        (1000, 1000),
        (1.4, 1),
        (1.6, 2),
        (10**20, 10**20),
        ("1001", 1001),
        ("1.5", 2),
        (" 20 ", 20),
        ("1e3", 1000),
        (str(10**30), 10**30),
    ],
)
def test_a_number_is_milliseconds(value: float | str, ms: int) -> None:
    """Numbers, and texts that are only a number, are milliseconds, rounded to whole ones."""
    assert ms == parse_duration(value)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1 year", 31_557_600_000),
        ("2 years", 63_115_200_000),
        ("1 month", 2_592_000_000),
        ("1 week", 604_800_000),
        ("1 day", 86_400_000),
        ("24 hours", 86_400_000),
        ("1.5 hours", 5_400_000),
        (".5 seconds", 500),
        ("10 minutes", 600_000),
        ("5 second", 5_000),
        ("1e3 seconds", 1_000_000),
        ("20 ms", 20),
        ("1 Second", 1_000),
        ("3  DAYS", 259_200_000),
    ],
)
def test_a_text_is_amount_and_unit(text: str, ms: int) -> None:
    """Unit words may be plural or not, in any case, with decimal amounts."""
    assert ms == parse_duration(text)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1h", 3_600_000),
        ("90s", 90_000),
        ("1h 30m", 5_400_000),
        ("1h30m", 5_400_000),
        ("1 hour 30 minutes", 5_400_000),
        ("500ms", 500),
        ("2w", 1_209_600_000),
        ("1d12h", 129_600_000),
        ("10seconds", 10_000),
        ("30m", 1_800_000),
        ("30 m", 1_800_000),
        ("1M", 60_000),
    ],
)
def test_short_and_compound_forms(text: str, ms: int) -> None:
    """Short units and several pairs are understood; `m` is minutes."""
    assert ms == parse_duration(text)


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (timedelta(0), 0),
        (timedelta(days=1, milliseconds=5), 86_400_005),
        (timedelta(microseconds=1_600), 2),
        (timedelta.max, 86_400_000_000_000_000),
    ],
)
def test_a_timedelta_is_a_duration(value: timedelta, ms: int) -> None:
    """A timedelta is rounded to whole milliseconds."""
    assert ms == parse_duration(value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "soon",
        "10 sec",
        "5 min",
        "3 fortnights",
        "1 hour and 30 minutes",
        "1h 30",
        "h",
        "1 µs",
        "-5 seconds",
        "- 5",
        "+5",
        "Infinity seconds",
        "nan",
        "1_000",
        "0x10",
        "٣ seconds",
        "1" * 201,
        True,
        False,
        None,
        [],
        b"5",
    ],
)
def test_what_is_no_duration_is_refused_with_the_units(value: object) -> None:
    """Unknown units, signs, empty texts and other types are errors that list the units."""
    with pytest.raises(InvalidDuration, match=r"year, month, week, day, hour, minute, second, ms"):
        parse_duration(value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "value", [-1, -0.5, math.inf, -math.inf, math.nan, "1e999", timedelta(seconds=-1)]
)
def test_negative_and_infinite_durations_are_refused(value: float | str | timedelta) -> None:
    """Negative, infinite and undefined amounts are errors."""
    with pytest.raises(InvalidDuration, match=r"negative|not finite"):
        parse_duration(value)


def test_the_error_names_the_thing_and_shortens_the_value() -> None:
    """The message begins with what was parsed, and shows the beginning of a long value."""
    with pytest.raises(InvalidDuration, match=r"^timeout 'xxx.*\.\.\. is no duration") as caught:
        parse_duration("x" * 10_000, what="timeout")

    assert 500 > len(str(caught.value))


def test_a_value_that_cannot_be_shown_is_refused_too() -> None:
    """An integer too long for decimal digits is named by its type."""
    with pytest.raises(InvalidDuration, match="of type int is negative"):
        parse_duration(-(10**5_000))


def test_an_invalid_duration_is_a_value_error() -> None:
    """Callers that know nothing of Stepwell catch ValueError."""
    assert issubclass(InvalidDuration, ValueError)


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1_000, "1 second"),
        (90_000, "1 minute 30 seconds"),
        (86_400_000, "1 day"),
        (2 * 86_400_000 + 3_600_000 + 5, "2 days 1 hour 5 ms"),
    ],
)
def test_format_duration(ms: int, text: str) -> None:
    """A duration is written in the units that people use, without empty ones."""
    assert text == format_duration(ms)


@given(st.integers(min_value=0, max_value=10**15))
def test_what_is_formatted_is_parsed_to_the_same(ms: int) -> None:
    """parse_duration(format_duration(ms)) gives ms back."""
    assert ms == parse_duration(format_duration(ms))


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    """No text whatever raises anything but InvalidDuration, or gives a negative number."""
    try:
        ms = parse_duration(text)
    except InvalidDuration:
        return
    assert type(ms) is int
    assert ms >= 0
