"""Errors as values: what a step returns, in contrast to what it raises."""

from __future__ import annotations

import httpx
import pytest

from stepwell.core.failure import capture, restore
from stepwell.core.payload import decode, encode
from stepwell.errors import NotSerializableError
from tests.core.error_samples import ShopError, UnstableError, from_text, to_text


def test_errors_as_values() -> None:
    """A step may return errors, alone and inside other values."""
    error = ShopError(1, shop="s")
    error.__cause__ = KeyError("k")
    value = {"a": [error], "b": OSError(2, "no", "f")}

    found = decode(encode(value, bytes_max=10_000, what="it"))

    assert ShopError is type(found["a"][0])
    assert "code 1 at s" == str(found["a"][0])
    assert KeyError is type(found["a"][0].__cause__)
    assert "f" == found["b"].filename


@pytest.mark.parametrize(
    "error",
    [
        ValueError(object()),
        UnstableError(),
        KeyboardInterrupt(),
        ExceptionGroup("g", [ValueError(object())]),
        httpx.HTTPStatusError(
            "404", request=httpx.Request("GET", "https://a"), response=httpx.Response(404)
        ),
    ],
)
def test_an_error_as_a_value_comes_back_whole_or_is_refused(error: BaseException) -> None:
    """As a value, unlike as a failure, an error never changes its class or loses an attribute."""
    with pytest.raises(NotSerializableError) as refused:
        encode({"errors": [error]}, bytes_max=10_000, what="it")

    assert "$.errors[0]" == refused.value.path
    assert "store its name and message" in str(refused.value)


def test_errors_in_errors_grow_no_backslashes() -> None:
    """Errors nested in the arguments of errors are stored as parts, not as texts in texts."""
    error = ValueError('"')
    for _ in range(15):
        error = ValueError(error)

    text = encode(error, bytes_max=100_000, what="it")

    assert 10_000 > len(text)
    assert repr(error) == repr(decode(text))
    assert repr(error) == repr(restore(from_text(to_text(capture(error)))))
