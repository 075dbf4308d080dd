"""The codec: every known type comes back equal, and of the same type."""

from __future__ import annotations

import array
import collections
import copy
import datetime as dt
import decimal
import fractions
import ipaddress
import math
import os
import pathlib
import re
import subprocess
import sys
import types
import uuid
import zoneinfo
from typing import Any, Literal, Optional

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepwell.core.payload import decode, encode, to_plain
from stepwell.errors import NotSerializableError, WorkflowInternalError
from tests.core.samples import (
    Admin,
    Box,
    BrokenZone,
    Checked,
    Child,
    Circle,
    Colour,
    Frozen,
    Hidden,
    Level,
    Loose,
    MovingZone,
    Names,
    OpenPoint,
    Outer,
    Page,
    Plain,
    Point,
    Right,
    Settings,
    SteadyZone,
    Stranger,
    User,
    Validated,
    Word,
)

BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")


def again(value: Any) -> Any:
    """Write a value and read it back."""
    return decode(encode(value, bytes_max=1024 * 1024, what="it"))


def assert_same(value: Any) -> None:
    """Assert that a value comes back equal and of its type, alone and inside others."""
    for found in (again(value), again([value])[0], again({"k": (value,)})["k"][0]):
        assert type(value) is type(found)
        assert value == found


VALUES: list[Any] = [
    None, True, False, 0, -1, 2**63, 0.1, 1e300, 5e-324, 1.0, "", "ä😀\x00\u2028", [], {}, [[]],
    (), (1,), ((), [()]), set(), {1, "a", None}, frozenset(), frozenset({(1, 2)}),
    {frozenset({1})}, b"", bytes(range(256)), bytearray(b"ab"),
    {None: 1, 2: 3, 2.5: 4, (1, "a"): 5, b"k": 6, "s": 7},
    array.array("h", [1, -2]), array.array("d", [0.1]), array.array("B", b"ab"),
    dt.date(2024, 2, 29), dt.date.min, dt.date.max,
    dt.time(1, 2, 3, 4), dt.time(1, tzinfo=dt.UTC), dt.time(1, fold=1),
    dt.timedelta(0), dt.timedelta(days=-1, microseconds=1), dt.timedelta.max, dt.timedelta.min,
    dt.datetime(2024, 1, 1), dt.datetime(2024, 1, 1, 1, 2, 3, 4),
    dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), dt.datetime(1, 1, 1),
    dt.datetime(2024, 1, 1, tzinfo=dt.UTC),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=-3, seconds=5, microseconds=7))),
    dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET")),
    dt.datetime(2024, 7, 1, tzinfo=BERLIN),
    decimal.Decimal("1.20"), decimal.Decimal("-0"), decimal.Decimal("Infinity"),
    decimal.Decimal("1E+1000"),
    uuid.UUID(int=5), fractions.Fraction(1, 3), fractions.Fraction(10**5000, 7),
    1 + 2j, complex(-0.0, math.inf),
    Colour.RED, Colour.BLUE, Word.YES, Level.HIGH, Right.READ, Right.READ | Right.EXECUTE, Right(0),
    re.IGNORECASE | re.MULTILINE,
    pathlib.Path("/a/b"), pathlib.PurePosixPath("a"), pathlib.PureWindowsPath("C:\\a"),
    re.compile("a(b)", re.IGNORECASE | re.DOTALL), re.compile(b"a"), re.compile("(?i)x"),
    range(5), range(1, 10**30, -3), slice(1, None, "x"),
    collections.deque([1, 2]), collections.deque([1, 2], maxlen=2), collections.deque(),
    collections.OrderedDict([("b", 1), ("a", 2)]), collections.Counter("hello"),
    collections.defaultdict(list, {"a": [1]}), collections.defaultdict(None, {1: 2}),
    types.SimpleNamespace(a=1, b=[2]),
    ipaddress.ip_address("10.0.0.1"), ipaddress.ip_address("::1"),
    ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_interface("10.0.0.1/8"),
    Point(1), Point(1, [Point(2)]), OpenPoint(3),
    Plain("a", [1, {2}]), Frozen(1, Frozen((2,))), Box([1]), Box[int](3),
    Outer.Inner(4), Checked(1, {"a"}),
    User(name="a"), User(name="a", friend=User(name="b", age=3)),
    Admin(name="c", rights=frozenset({"x"})), User(name="a", friend=Admin(name="c")),
    Loose.model_validate({"name": "a", "more": {1}}), Validated(code="x"),
    Names(["a"]), Page[int](items=[1], first=2), Page[User](items=[User(name="a")]),
    Page[Page[int]](items=[Page[int](items=[])]), Page[list[int] | None](items=[[1], None]),
    Page[Optional[int]](items=[1, None]),  # noqa: UP045  (not the same type as `int | None`)
    Page(items=["x"]), Settings.model_validate({"home": "https://a.example/b?c=d", "token": "t"}),
    pydantic.SecretStr("s"), pydantic.HttpUrl("https://a.example/"),
    pydantic.AnyUrl("ftp://a.example/"),
]  # fmt: skip


NAMES = [f"{number}-{type(value).__name__}" for number, value in enumerate(VALUES)]


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_comes_back_the_same(value: Any) -> None:
    """Equal, and of the same type, alone and inside other values."""
    assert_same(value)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_writing_changes_nothing_and_is_repeatable(value: Any) -> None:
    """Writing does not touch the value; what was read is written as the same text."""
    before = copy.deepcopy(value)

    text = encode(value, bytes_max=1024 * 1024, what="it")

    assert before == value
    if not isinstance(value, set | frozenset | Checked | Loose):
        assert text == encode(decode(text), bytes_max=1024 * 1024, what="it")


def test_another_process_reads_the_same() -> None:
    """A worker that starts later, with other hashes, reads and writes the same values."""
    program = (
        "import sys, tests.core.samples\n"
        "from stepwell.core.payload import decode, encode\n"
        "for line in sys.stdin:\n"
        "    print(encode(decode(line.strip()), bytes_max=10**6, what='it'))\n"
    )
    texts = [encode(value, bytes_max=1024 * 1024, what="it") for value in VALUES]

    done = subprocess.run(
        [sys.executable, "-c", program],
        input="\n".join(texts),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "7"},
    )

    assert VALUES == [decode(text) for text in done.stdout.splitlines()]


@pytest.mark.parametrize("value", [math.nan, decimal.Decimal("NaN"), complex(math.nan, 1)])
def test_what_is_not_equal_to_itself(value: Any) -> None:
    """NaN comes back as NaN, in every number type."""
    found = again(value)

    assert type(value) is type(found)
    assert repr(value) == repr(found)


def test_minus_zero_keeps_its_sign() -> None:
    """-0.0 equals 0.0, but is not the same."""
    assert -1.0 == math.copysign(1.0, again(-0.0))
    assert -1.0 == math.copysign(1.0, again(complex(1, -0.0)).imag)


def test_numbers_keep_their_type() -> None:
    """1, 1.0 and True are equal, and three types."""
    assert [int, float, bool] == [type(value) for value in again([1, 1.0, True])]


def test_times_keep_fold_and_zone() -> None:
    """The second of two equal local times stays the second; zones keep name and rules."""
    late = dt.datetime(2024, 10, 27, 2, 30, fold=1, tzinfo=BERLIN)
    named = dt.datetime(2024, 1, 1, tzinfo=dt.timezone(dt.timedelta(hours=1), "CET"))

    assert 1 == again(late).fold
    assert late.utcoffset() == again(late).utcoffset()
    assert BERLIN is again(late).tzinfo
    assert "CET" == again(named).tzname()
    assert dt.UTC is again(dt.datetime(2024, 1, 1, tzinfo=dt.UTC)).tzinfo


def test_zones_of_other_packages() -> None:
    """A zone with one offset for ever is kept as that offset; another is refused with advice."""
    parsed = pydantic.TypeAdapter(dt.datetime).validate_python("2024-01-01T00:00:00Z")
    steady = dt.datetime(2024, 1, 1, tzinfo=SteadyZone())

    for value in (parsed, steady):
        assert value == again(value)
        assert value.utcoffset() == again(value).utcoffset()
    assert "steady" == again(steady).tzname()
    for zone in (MovingZone(), BrokenZone()):
        with pytest.raises(NotSerializableError, match=r"use zoneinfo\.ZoneInfo or a UTC offset"):
            again(dt.datetime(2024, 1, 1, tzinfo=zone))


def test_a_defaultdict_keeps_working() -> None:
    """The factory comes back where it is a builtin type; another one is refused with advice."""
    found = again(collections.defaultdict(list, {"a": [1]}))
    found["new"].append(2)

    assert {"a": [1], "new": [2]} == found
    with pytest.raises(NotSerializableError, match=r"default_factory .*convert it with dict"):
        again(collections.defaultdict(lambda: 5))


def test_containers_keep_their_bounds_and_order() -> None:
    """A deque keeps its maximum, an OrderedDict its order."""
    assert 2 == again(collections.deque([1], maxlen=2)).maxlen
    assert ["b", "a"] == list(again(collections.OrderedDict([("b", 1), ("a", 2)])))


def test_flags_of_a_pattern() -> None:
    """A compiled pattern matches as before."""
    assert again(re.compile("a.b", re.IGNORECASE | re.DOTALL)).match("A\nB")


def test_a_dataclass_is_restored_without_its_code() -> None:
    """Neither __init__ nor __post_init__ runs again; init=False fields keep their value."""
    value = Plain("a", factor=7)
    value.made += 1

    assert 8 == again(value).made


def test_attributes_that_are_no_fields_come_back() -> None:
    """What __post_init__ set is there; a computed property is computed anew when asked for."""
    value = Circle(2)
    assert 12 == value.area

    found = again(value)

    assert "r=2" == found.note
    assert "area" not in vars(found)
    assert 12 == found.area


def test_private_and_unset_slots() -> None:
    """A private slot comes back; one that was not set is still not set."""
    found = again(Hidden(5))

    assert 5 == found.secret
    assert not hasattr(found, "maybe")


def test_slots_written_by_hand() -> None:
    """Slots of a base class come back, private ones too."""
    value = Child(1)
    value.set(5)

    found = again(value)

    assert (1, 5) == (found.number, found.get())


def test_models_are_not_validated_again() -> None:
    """A validator that changes values does not change them twice."""
    assert "x!" == again(Validated(code="x")).code


def test_models_keep_private_extra_and_set_fields() -> None:
    """Private attributes, extra fields and which fields were set come back."""
    user = User(name="a")
    user._visits = 3
    assert "hello a" == user.greeting
    loose = Loose.model_validate({"name": "a", "more": [1, (2,)]})

    found = again(user)

    assert 3 == found._visits
    assert {"name"} == found.model_fields_set
    assert "greeting" not in vars(found)
    assert {"more": [1, (2,)]} == again(loose).model_extra
    assert {"name": "a"} == found.model_dump(exclude_unset=True)


def test_nested_models_keep_their_own_types() -> None:
    """A field declared as the base class still holds the subclass."""
    assert Admin is type(again(User(name="a", friend=Admin(name="b"))).friend)


def test_generic_models_keep_their_arguments() -> None:
    """Page[int] comes back as Page[int], also when it was made inside a function."""
    assert Page[int] is type(again(Page[int](items=[1])))
    assert Page[dict[str, User]] is type(again(Page[dict[str, User]](items=[])))
    assert Page[Any] is type(again(Page[Any](items=[1])))
    with pytest.raises(NotSerializableError, match="is no class"):
        again(Page[Literal["a"]](items=["a"]))
    deep: Any = int
    for _ in range(20):
        deep = list[deep]
    with pytest.raises(NotSerializableError, match="nested too deeply"):
        again(Page[deep](items=[]))


def test_a_model_with_a_part_that_cannot_be_stored() -> None:
    """The path leads through the model."""
    with pytest.raises(NotSerializableError) as caught:
        again(Loose.model_validate({"name": "a", "more": {"x": [Stranger()]}}))

    assert "$.more.x[0]" == caught.value.path


def test_fields_that_the_code_has_got_since() -> None:
    """A value stored by older code gets the defaults of new fields, and drops what is gone."""
    old_data = '{"$":"data","c":"tests.core.samples:Plain","v":{"name":"a","gone":1}}'
    old_slots = '{"$":"data","c":"tests.core.samples:Frozen","v":{"left":1,"gone":1}}'
    old_model = '{"$":"model","c":"tests.core.samples:User","v":{"name":"a"},"s":["name"]}'
    old_tuple = '{"$":"named","c":"tests.core.samples:Point","v":{"x":1,"gone":2}}'
    old_enum = '{"$":"enum","c":"tests.core.samples:Word","n":"JA","v":"yes"}'

    assert [] == decode(old_data).parts
    assert Frozen(1) == decode(old_slots)
    assert User(name="a") == decode(old_model)
    assert 0 == decode(old_model)._visits
    assert Point(1) == decode(old_tuple)
    assert Word.YES is decode(old_enum)


def test_a_named_tuple_with_attributes_of_its_own_is_refused() -> None:
    """Nothing is lost silently."""
    value = OpenPoint(1)
    value.more = 2  # type: ignore[attr-defined]

    with pytest.raises(NotSerializableError, match="attributes of its own"):
        again(value)


def test_an_array_of_another_byte_order_is_turned() -> None:
    """A value may be read on another machine than it was written on."""
    text = '{"$":"array","v":"AQACAA==","t":"h","n":2,"o":"big"}'

    assert array.array("h", [256, 512]) == decode(text)


# ---- any value -------------------------------------------------------------------------------

any_text = st.text(alphabet=st.characters(codec=None, exclude_categories=()))
numbers = st.integers() | st.floats(allow_nan=False) | st.booleans() | st.none()
times = (
    st.datetimes()
    | st.datetimes(timezones=st.just(dt.UTC))
    | st.datetimes(timezones=st.timezones())
    | st.dates()
    | st.times()
    | st.timedeltas()
)
others = (
    st.binary()
    | st.decimals(allow_nan=False)
    | st.uuids()
    | st.fractions()
    | st.complex_numbers(allow_nan=False)
    | st.ip_addresses()
    | st.sampled_from([*Word, *Level, *Colour])
)
hashable = st.recursive(
    numbers | any_text | times | others,
    lambda inner: (
        st.tuples(inner, inner) | st.frozensets(inner, max_size=3) | st.builds(Frozen, inner)
    ),
    max_leaves=5,
)
values: st.SearchStrategy[Any] = st.recursive(
    hashable,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(hashable, inner, max_size=4)
        | st.dictionaries(any_text | st.just("$"), inner, max_size=4)
        | st.sets(hashable, max_size=3)
        | st.builds(Point, st.integers(), inner)
        | st.builds(Frozen, inner, inner)
        | st.builds(Box, inner)
        | st.builds(collections.deque, st.lists(inner, max_size=3))
    ),
    max_leaves=12,
)
json_values: st.SearchStrategy[Any] = st.recursive(
    numbers | any_text,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    max_leaves=20,
)


def shape(value: Any) -> Any:
    """Give the types inside a value, where order is defined."""
    match value:
        case dict():
            return [(shape(key), shape(item)) for key, item in value.items()]
        case list() | tuple() | collections.deque():
            return (type(value), [shape(item) for item in value])
        case Frozen():
            return (type(value), shape(value.left), shape(value.right))
    return type(value)


@given(values)
@settings(max_examples=400, deadline=None)
def test_any_value_comes_back_the_same(value: Any) -> None:
    """Values of all kinds inside each other: equal, with the same types, in ASCII."""
    text = encode(value, bytes_max=1024 * 1024, what="it")

    found = decode(text)

    assert text.isascii()
    assert value == found
    assert shape(value) == shape(found)


@given(json_values)
@settings(max_examples=300, deadline=None)
def test_any_json_value_is_its_own_plain_view(value: Any) -> None:
    """Plain values come back the same, and people see them as they are."""
    text = encode(value, bytes_max=1024 * 1024, what="it")

    assert value == decode(text)
    if "\\ud" not in text and "Infinity" not in repr(to_plain(text)):
        assert value == to_plain(text)


@given(st.text(alphabet='{}[]",:$v\\u01tnfe ', max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Damaged text never raises anything but WorkflowInternalError."""
    for read in (decode, to_plain):
        try:
            read(text)
        except WorkflowInternalError:
            continue
