"""The codec and numpy, which Stepwell never imports by itself."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core.payload import decode, encode, to_plain
from stepwell.errors import NotSerializableError

np = pytest.importorskip("numpy")


def again(value: Any) -> Any:
    """Write a value and read it back."""
    return decode(encode(value, bytes_max=1024 * 1024, what="it"))


@pytest.mark.parametrize(
    "value",
    [
        np.float64(0.1), np.float32(0.1), np.float16(1.5), np.int8(-1), np.uint64(2**64 - 1),
        np.array([True])[0], np.complex64(1 + 2j), np.complex128(0.1j), np.str_("ä"), np.str_(""),
        np.bytes_(b"a\0b"), np.datetime64("2024-01-01T00:00:00.000000001"), np.timedelta64(5, "D"),
        np.longdouble("0.1"), np.float64("inf"),
    ],
)  # fmt: skip
def test_numpy_scalars(value: Any) -> None:
    """A numpy scalar comes back with its type and unit."""
    found = again([value])[0]

    assert type(value) is type(found)
    assert value == found
    assert value.dtype == found.dtype


@pytest.mark.parametrize(
    "value",
    [
        np.arange(6).reshape(2, 3), np.zeros((0, 3)), np.array(5), np.array([], dtype=">i2"),
        np.array([1, 2], dtype=">i2"), np.array(["a", "bcd"]), np.array([b"a"]),
        np.array([True, False]), np.asfortranarray(np.arange(6).reshape(2, 3)),
        np.arange(10)[::3], np.array(["2024-01-01"], dtype="M8[D]"), np.array([""]),
    ],
)  # fmt: skip
def test_numpy_arrays(value: Any) -> None:
    """A numpy array comes back with dtype, shape and content, and can be changed."""
    found = again({"a": value})["a"]

    assert value.dtype == found.dtype
    assert value.shape == found.shape
    assert np.array_equal(value, found)
    assert found.flags.writeable


@pytest.mark.parametrize(
    "value",
    [
        np.array([object()]),
        np.zeros(2, dtype=[("a", "i4")]),
        np.zeros(1, dtype=[("a", "i4")])[0],
        np.ma.masked_array([1, 2]),
    ],
)
def test_numpy_objects_are_refused(value: Any) -> None:
    """Objects would need pickle, and masked arrays would lose their mask."""
    with pytest.raises(NotSerializableError):
        again(value)


def test_what_people_see_of_numpy() -> None:
    """A scalar is shown as its number, an array with its dtype and shape."""
    text = encode([np.float32(0.5), np.array([1], dtype="<i2")], bytes_max=999, what="it")

    assert [0.5, {"dtype": "<i2", "shape": [1], "base64": "AQA="}] == to_plain(text)
