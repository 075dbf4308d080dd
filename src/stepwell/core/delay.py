"""What a delay function may answer. Calling it is the engine's work."""

from __future__ import annotations

from datetime import timedelta

from stepwell.errors import NonRetryableDelayError
from stepwell.model.duration import InvalidDuration, parse_duration


def parse_delay_answer(value: object) -> int:
    """Tell the milliseconds that a delay function answered.

    Raises:
        NonRetryableDelayError: it is no duration, or a negative or infinite one.
    """
    if not isinstance(value, int | float | str | timedelta):
        raise NonRetryableDelayError(
            f"The delay function answered a {type(value).__name__}; it must answer "
            "milliseconds or a text such as '30 seconds'."
        )
    try:
        return parse_duration(value, what="answer")
    except InvalidDuration as exc:
        raise NonRetryableDelayError(f"The delay function gave no usable delay: {exc}") from exc
