"""The view of stored values for people and REST clients."""

from __future__ import annotations

import array
import collections
import datetime as dt
import decimal
import fractions
import ipaddress
import json
import math
import pathlib
import re
import types
import uuid
import zoneinfo
from typing import Any

import pytest
from hypothesis import given, settings

from stepwell.core.payload import encode, to_plain
from stepwell.errors import WorkflowInternalError
from tests.core.samples import (
    Colour,
    Frozen,
    Handler,
    Loose,
    Plain,
    Point,
    Right,
    Settings,
    User,
    Word,
)
from tests.core.test_payload_types import values


def plain(value: Any) -> Any:
    """Write a value and show it."""
    return to_plain(encode(value, bytes_max=1024 * 1024, what="it"))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ({"a": [1, None, "x"]}, {"a": [1, None, "x"]}),
        (dt.datetime(2024, 1, 2, 3, 4, 5), "2024-01-02T03:04:05"),
        (dt.datetime(2024, 1, 2, tzinfo=dt.UTC), "2024-01-02T00:00:00+00:00"),
        (
            dt.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
            "2024-07-01T00:00:00+02:00",
        ),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.time(1, 2), "01:02:00"),
        (dt.timedelta(days=1, milliseconds=500), 86_400.5),
        (b"abc", "YWJj"),
        (bytearray(b"abc"), "YWJj"),
        (array.array("B", b"abc"), "YWJj"),
        ((1, (2,)), [1, [2]]),
        ({1}, [1]),
        (frozenset({"a"}), ["a"]),
        (collections.deque([1]), [1]),
        ({1: 2, None: 3, "a": 4, (1, 2): 5}, {"1": 2, "null": 3, "a": 4, "[1, 2]": 5}),
        ({"$": 1}, {"$": 1}),
        (collections.Counter("aa"), {"a": 2}),
        (collections.OrderedDict(a=1), {"a": 1}),
        (collections.defaultdict(list, a=[1]), {"a": [1]}),
        (decimal.Decimal("1.20"), "1.20"),
        (uuid.UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (fractions.Fraction(1, 3), "1/3"),
        (1 - 2j, "1.0-2.0j"),
        (math.nan, "NaN"),
        ([math.inf, -math.inf], ["Infinity", "-Infinity"]),
        (2**3000, 2**3000),
        (pathlib.Path("/a"), "/a"),
        (re.compile("a+"), "a+"),
        (range(1, 5), {"start": 1, "stop": 5, "step": 1}),
        (types.SimpleNamespace(a=1), {"a": 1}),
        (ipaddress.ip_address("::1"), "::1"),
        (Word.YES, "yes"),
        (Colour.RED, [255, 0, 0]),
        (Right.READ | Right.WRITE, 3),
        (Handler.OPEN, "OPEN"),
        (Point(1, (2,)), {"x": 1, "y": [2]}),
        (Frozen(b"a"), {"left": "YQ==", "right": None}),
        (Plain("a"), {"name": "a", "parts": [], "made": 1}),
        (User(name="a"), {"name": "a", "age": 0, "friend": None}),
        (Loose.model_validate({"name": "a", "more": (1,)}), {"name": "a", "more": [1]}),
        (KeyError("k"), {"name": "KeyError", "message": "'k'"}),
    ],
)
def test_what_people_see(value: Any, shown: Any) -> None:
    """Times are ISO text, bytes base64, sets lists, objects objects."""
    assert shown == plain(value)


def test_integers_beyond_decimal_digits_are_shown_in_hexadecimal() -> None:
    """Python itself refuses to write them in decimal."""
    assert hex(10**5000) == plain(10**5000)


def test_secrets_are_hidden() -> None:
    """A secret of pydantic is not shown; an address is."""
    value = Settings.model_validate({"home": "https://a.example/", "token": "t0k3n"})

    shown = plain(value)

    assert {"home": "https://a.example/", "token": "**********", "key": "**********"} == shown


def test_half_characters_are_replaced() -> None:
    """What no one can send is shown as a question mark; whole characters stay."""
    assert "a? 😀" == plain("a\ud800 😀")
    assert ["??"] == plain(["\ud83d\ude00"])
    assert {"?": "\\ud800"} == plain({"\ud800": "\\ud800"})


def test_classes_need_not_be_known() -> None:
    """A value whose class is gone can still be shown."""
    text = '[{"$":"data","c":"gone.module:Gone","v":{"a":{"$":"tuple","v":[1]}}}]'

    assert [{"a": [1]}] == to_plain(text)


def test_unknown_and_damaged_parts_are_shown_as_they_are() -> None:
    """The rest of the value is still shown well."""
    text = '[{"$":"of tomorrow","v":1},{"$":"datetime"},{"$":[]},{"$":"set","v":[1]}]'

    assert [{"$": "of tomorrow", "v": 1}, {"$": "datetime"}, {"$": []}, [1]] == to_plain(text)


def test_a_zone_that_this_machine_does_not_know() -> None:
    """The local time and the name of the zone are shown."""
    text = '{"$":"datetime","v":"2024-01-01T00:00:00","z":"Mars/Olympus"}'

    assert "2024-01-01T00:00:00[Mars/Olympus]" == to_plain(text)


def test_text_that_is_no_json_is_an_error() -> None:
    """The caller decides what to show then."""
    for text in ("", "{", '{"$":"tuple","v":[1}', "[1] 2"):
        with pytest.raises(WorkflowInternalError):
            to_plain(text)


@given(values)
@settings(max_examples=300, deadline=None)
def test_any_view_is_strict_json_of_whole_characters(value: Any) -> None:
    """Whatever is stored can be shown to a REST client."""
    shown = plain(value)

    json.dumps(shown, allow_nan=False, ensure_ascii=False).encode()
