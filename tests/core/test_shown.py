"""Values in messages."""

from __future__ import annotations

import pytest

from stepwell.core.shown import shown


class _Bad:
    def __repr__(self) -> str:
        raise AttributeError("no code")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (5, "5"), ("a", "'a'"), ("\ud800", "'\\ud800'"), ("x" * 99, f"'{'x' * 76}..."),
        (_Bad(), "<_Bad without a repr>"),
        pytest.param(10**9999, "<int without a repr>", id="endless"),
    ],
)  # fmt: skip
def test_any_value_can_be_shown(value: object, expected: str) -> None:
    """A value is shown by its repr, short and writable; without a usable one by its type."""
    assert expected == shown(value)
    shown(value).encode()
