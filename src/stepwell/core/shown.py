"""Any value of a caller in a message: short, and never an error of its own."""

from __future__ import annotations

from typing import Final

_CHARS_MAX: Final = 80


def shown(value: object, chars_max: int = _CHARS_MAX) -> str:
    """Give the repr of a value, cut, or its type if it has none.

    None has what raises in its __repr__, and a number too long for a text. Half characters are
    escaped, so that the message can be written anywhere.
    """
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - somebody's __repr__ may raise anything
        return f"<{type(value).__name__} without a repr>"
    text = text.encode(errors="backslashreplace").decode()
    return text if len(text) <= chars_max else f"{text[: chars_max - 3]}..."
