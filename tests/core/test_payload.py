"""The codec: what goes in comes out, or is refused with its place."""

from __future__ import annotations

import asyncio
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import make_dataclass
from typing import Any

import pytest

from stepwell.core.payload import decode, encode
from stepwell.core.tree import NESTING_MAX, text_writer, to_json, to_unicode_json
from stepwell.errors import NotSerializableError, PayloadTooLargeError, WorkflowInternalError
from tests.core.samples import Frozen, Handler, ListLike, Number, Rows, Stamp, Stranger, Table, Text

BYTES_MAX = 1024 * 1024


def stored(value: Any) -> str:
    """Write a value as a step's result is written."""
    return encode(value, bytes_max=BYTES_MAX, what="the result of step 'pay-1'")


def refusal(value: Any) -> NotSerializableError:
    """Give the error with which a value is refused."""
    with pytest.raises(NotSerializableError) as caught:
        stored(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (17, "17"),
        (-0.0, "-0.0"),
        ("a", '"a"'),
        ({"a": [1, None], "b": {}}, '{"a":[1,null],"b":{}}'),
        ("ä", '"\\u00e4"'),
    ],
)
def test_plain_types_are_written_as_plain_json(value: Any, text: str) -> None:
    """What JSON has itself is written as anybody would write it, in ASCII."""
    assert text == stored(value)


def test_the_order_of_keys_is_kept() -> None:
    """A dict comes back in its own order."""
    value = {"b": 1, "a": 2, 3: 4, "0": 5}

    assert list(value.items()) == list(decode(stored(value)).items())


@pytest.mark.parametrize(
    "value",
    [
        {"$": "tuple", "v": [1]},
        {"a": {"$": "set", "v": [1, 2]}},
        [{"$": None}],
        {"$": {"$": 1}},
        {1: {"$": "x"}},
        {'a"$': 1, "b": '"$":'},
    ],
)
def test_a_dict_that_looks_like_a_tag_is_safe(value: Any) -> None:
    """No dict of an author can be taken for a mark of the codec."""
    assert value == decode(stored(value))


def test_halves_of_characters_stay_halves() -> None:
    """Two halves side by side do not become one character, as plain JSON would make of them."""
    for value in ["\ud83d\ude00", "a\ud800", "\udc00\ud800", {"\ud83d\ude00": 1}, ["\ud83d\ude00"]]:
        assert value == decode(stored(value))
    assert 2 == len(decode(stored("\ud83d\ude00")))
    assert 1 == len(decode(stored("😀")))


@pytest.mark.parametrize("kind", [Text("a"), Table(a=1), Rows([1]), Number(1), ListLike()])
def test_subclasses_of_builtin_types_are_refused(kind: Any) -> None:
    """A type is never changed silently; the message says how to change it openly."""
    error = refusal([kind])

    assert "$[0]" == error.path
    assert f"tests.core.samples.{type(kind).__name__}" == error.type_name
    assert "would come back as that; convert it with" in str(error)


def test_subclasses_of_times_are_refused_with_advice() -> None:
    """As pandas, pendulum and freezegun have them."""
    stamp = Stamp(2024, 1, 1)

    assert "make a plain datetime of it" in str(refusal({"at": stamp}))


def test_the_error_names_what_where_which_type_and_what_to_do() -> None:
    """The path is written as people write it."""
    error = refusal({"items": [1, 2, 3, {"owner": Stranger()}]})

    assert "$.items[3].owner" == error.path
    assert "tests.core.samples.Stranger" == error.type_name
    message = str(error)
    assert message.startswith("The result of step 'pay-1' cannot be stored: $.items[3].owner is ")
    assert "make it a dataclass" in message


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (Stranger(), "$"),
        ((1, {"a b": Stranger()}), "$[1]['a b']"),
        ({(1, 2): Stranger()}, "$[(1, 2)]"),
        ({"k" * 100 + "!": Stranger()}, "$['" + "k" * 36 + "...]"),
        (Frozen(1, {"x": Stranger()}), "$.right.x"),
        ({"a": {Stranger()}}, "$.a[0]"),
        ([{Stranger(): 1}], None),
    ],
)
def test_paths(value: Any, path: str | None) -> None:
    """Indexes, odd keys, fields and keys themselves have a place in the path."""
    found = refusal(value).path

    assert found.startswith("$[0][<tests.core.samples.St") if path is None else path == found


def test_a_key_that_cannot_be_shown() -> None:
    """The path names its type."""

    class Hostile:
        def __repr__(self) -> str:
            raise RuntimeError("no text")

    assert refusal({Hostile(): 1}).path.startswith("$[a tests.core.test_payload.")


def test_text_is_the_same_without_the_c_encoder() -> None:
    """Interpreters that have no C encoder write the same text."""
    tree = {"a": [1, 0.5, "ä", None, True], "b": {}}

    for is_ascii, made in ((True, to_json), (False, to_unicode_json)):
        assert made(tree) == text_writer(None, is_ascii=is_ascii)(tree)
        for bad in (math.nan, object()):
            with pytest.raises((ValueError, TypeError)):
                text_writer(None, is_ascii=is_ascii)(bad)
            with pytest.raises((ValueError, TypeError)):
                made([bad])


def test_a_class_inside_a_function_is_refused_when_it_is_stored() -> None:
    """What could not be found again later is an error now."""

    class Local:
        pass

    error = refusal({"a": [Frozen(_local_dataclass(), 1)], "b": Local})

    assert "$.a[0].left" == error.path
    assert "defined inside a function" in str(error)
    assert "define it at the top level of a module" in str(error)


def _local_dataclass() -> Any:
    made = make_dataclass("Made", ["x"])
    made.__qualname__ = "_local_dataclass.<locals>.Made"
    return made(1)


def test_a_class_that_its_name_does_not_lead_to_is_refused() -> None:
    """A class hidden behind another of its name is refused, not mistaken for it."""
    hidden = type("Frozen", (Frozen,), {"__module__": Frozen.__module__})

    assert "is not this class" in str(refusal(hidden(1)))


async def _nothing() -> None:
    await asyncio.Event().wait()


def _items() -> Iterator[int]:
    yield 1


@pytest.mark.parametrize(
    ("make", "advice"),
    [
        (_nothing, "await it"),
        (_items, "store a list of them"),
        (lambda: (_items, int, json, print), "code is not stored"),
        (Stranger, "make it a dataclass"),
    ],
)
def test_advice_fits_the_value(make: Any, advice: str) -> None:
    """A forgotten await, an iterator and code each have their own advice."""
    value = make()

    assert advice in str(refusal({"a": value}))
    if asyncio.iscoroutine(value):
        value.close()


def test_a_value_that_contains_itself_is_refused_with_its_place() -> None:
    """A circle is named; it is no RecursionError."""
    inner: list[Any] = []
    value = {"a": [1, {"b": inner}]}
    inner.append(value)

    error = refusal(value)

    assert "contains itself" in str(error)
    assert "$.a[1].b[0]" == error.path


def test_a_circle_through_a_dataclass_and_an_error_is_refused() -> None:
    """Circles are found through every kind of container."""
    error = ValueError()
    error.args = ([error],)
    inner: list[Any] = []
    inner.append(Frozen(inner))

    assert "contains itself" in str(refusal(inner))
    assert "$[0]" == refusal([error]).path


def test_nesting_is_bounded() -> None:
    """What is at the limit is stored, what is beyond it is refused with its place."""

    def nested(depth: int) -> Any:
        value: Any = 1
        for _ in range(depth):
            value = [value]
        return value

    for depth in (NESTING_MAX, NESTING_MAX + 1, 5_000):
        if depth <= NESTING_MAX:
            assert nested(depth) == decode(stored(nested(depth)))
        else:
            assert f"more than {NESTING_MAX} levels deep" in str(refusal(nested(depth)))


def test_deep_nesting_of_tagged_values_is_stored() -> None:
    """The limit counts the author's levels, not those of the text."""
    value: Any = 1
    for _ in range(NESTING_MAX // 2):
        value = Frozen({1: value})

    assert value == decode(stored(value))


def test_a_stack_that_is_nearly_full_is_a_clear_error() -> None:
    """A RecursionError never leaves the codec."""
    value: Any = ()
    for _ in range(NESTING_MAX - 1):
        value = (value,)

    def descend() -> str:
        try:
            return descend()
        except RecursionError:
            return stored(value)

    with pytest.raises(NotSerializableError, match="nested too deeply"):
        descend()


def test_the_size_is_bounded_and_the_error_says_how_much() -> None:
    """The text may be exactly as long as allowed, and not one character longer."""
    assert 12 == len(encode("a" * 10, bytes_max=12, what="it"))
    with pytest.raises(PayloadTooLargeError, match=r"^It takes 13 bytes, and at most 12 bytes can"):
        encode("a" * 11, bytes_max=12, what="it")
    with pytest.raises(PayloadTooLargeError, match=r"takes 2\.86 MiB \(3,000,002 bytes\)"):
        stored("a" * 3_000_000)
    with pytest.raises(PayloadTooLargeError, match=r"takes 1\.5 KiB \(1,502 bytes\)"):
        encode("a" * 1_500, bytes_max=1_024, what="it")


def test_lists_that_hold_each_other_many_times_end_soon() -> None:
    """A small object whose text would be astronomically long is refused at once."""
    for wrap in (lambda inner: [inner, inner], lambda inner: (inner, inner)):
        value: Any = []
        for _ in range(60):
            value = wrap(value)
        with pytest.raises(PayloadTooLargeError, match="more parts"):
            stored(value)


def test_huge_integers() -> None:
    """Integers of any size come back, also where decimal digits are limited."""
    for value in (10**4000, -(10**10_000), 2**2_000, 2**2_000 - 1, [10**10_000]):
        assert value == decode(stored(value))


def test_s11_a_byte_string_is_not_blown_up() -> None:
    """200 KB of bytes take no more than 4/3 of that."""
    assert 270_000 > len(stored(b"\xff" * 200_000))
    assert 270_000 > len(stored({"a": memoryview(bytearray(200_000))}))


def test_s72_only_the_bytes_of_a_view_count() -> None:
    """A small view of a large buffer takes little; it comes back as bytes."""
    view = memoryview(bytearray(8_000_000))[5:10]

    assert b"\0\0\0\0\0" == decode(stored(view))
    assert 60 > len(stored(view))


def test_an_enum_with_a_value_that_cannot_be_stored() -> None:
    """The name of a member is enough."""
    assert decode(stored(Handler.OPEN)) is Handler.OPEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nul",
        "[1",
        "1 2",
        '{"$":"tuple"}',
        '{"$":"tuple","v":5}',
        '{"$":"unheard of","v":5}',
        '{"$":[],"v":5}',
        '{"$":"int","v":"zz"}',
        '{"$":"datetime","v":"yesterday"}',
        '{"$":"datetime","v":"2024-01-01T00:00:00","z":"Nowhere/Land"}',
        '{"$":"path","v":"/","c":"Popen"}',
        '{"$":"set","v":[[]]}',
        '{"$":"array","v":"AAAA","t":"h","n":3,"o":"little"}',
        '{"$":"enum","c":"tests.core.samples:Word","n":"GONE","v":"gone"}',
        '{"$":"data","c":"tests.core.samples:Gone","v":{}}',
        '{"$":"data","c":"no_such_module:Gone","v":{}}',
        '{"$":"data","c":"nothing","v":{}}',
        '{"$":"data","c":["tests.core.samples:Frozen"],"v":{}}',
        '{"$":"data","c":["tests.core.samples:Frozen","builtins:int"],"v":{}}',
        '{"$":"data","c":5,"v":{}}',
        '{"$":"data","c":"tests.core.samples:Frozen.left","v":{}}',
        '{"$":"array","v":"","t":"h","n":4,"o":"little"}',
        '{"$":"named","c":"tests.core.samples:Point","v":{}}',
        "[" * 100_000,
    ],
)
def test_damaged_text_is_a_clear_error(text: str) -> None:
    """Whatever a row holds, decoding gives a value or WorkflowInternalError."""
    with pytest.raises(WorkflowInternalError, match="stored value"):
        decode(text)


@pytest.mark.parametrize("tag", ["data", "named", "enum", "model", "secret", "url"])
@pytest.mark.parametrize(
    "name",
    [
        "subprocess:Popen",
        "os:system",
        "builtins:eval",
        "builtins:dict",
        "tests.core.samples:Stranger",
    ],
)
def test_text_makes_nothing_but_values(tag: str, name: str) -> None:
    """A tag that names another kind of class is refused, whatever the tag."""
    text = json.dumps({"$": tag, "c": name, "v": {"args": "true"}, "s": []})

    with pytest.raises(WorkflowInternalError, match="cannot be read"):
        decode(text)


def test_a_moved_class_is_named_in_the_error() -> None:
    """The message names the class and says what keeps old values readable."""
    with pytest.raises(WorkflowInternalError, match=r"samples:Gone.*leave an alias"):
        decode('{"$":"data","c":"tests.core.samples:Gone","v":{}}')


def test_nan_and_infinities_do_not_leave_json() -> None:
    """The text is strict JSON, which has no NaN."""
    text = stored([math.nan, math.inf, -math.inf])

    assert json.loads(text, parse_constant=pytest.fail)
    assert math.isnan(decode(text)[0])
    assert [math.inf, -math.inf] == decode(text)[1:]


def test_importing_the_core_is_light() -> None:
    """Neither pydantic nor numpy is imported for it."""
    code = (
        "import sys, stepwell.core.payload, stepwell.core.events, stepwell.core.config;"
        "print([name for name in sys.modules if name.startswith(('pydantic', 'numpy'))])"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == done.stdout.strip()
