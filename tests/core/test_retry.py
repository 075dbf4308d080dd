"""When a failed attempt is tried again, and what a delay function may answer."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.delay import parse_delay_answer
from stepwell.core.retry import WAIT_MS_MAX, is_retryable, retry_wait_ms
from stepwell.errors import (
    NonRetryableDelayError,
    NonRetryableError,
    NotSerializableError,
    StepError,
    WorkflowFatalError,
    WorkflowInternalError,
    WorkflowTimeoutError,
)
from stepwell.model.step import Backoff, Retries


def waits(retries: Retries, *, attempts: int, chance: float = 0.0) -> list[int]:
    """Tell the waits after the first attempts."""
    base_ms = retries.delay_ms or 0
    return [
        retry_wait_ms(retries, attempt=attempt, base_ms=base_ms, chance=chance)
        for attempt in range(1, attempts + 1)
    ]


def test_a26_exponential_waits() -> None:
    """The default doubles from 10 seconds."""
    assert [10_000, 20_000, 40_000, 80_000, 160_000] == waits(Retries(), attempts=5)


def test_a26_linear_and_constant_waits() -> None:
    """Linear grows by the delay, constant stays."""
    assert [500, 1000, 1500] == waits(Retries(delay_ms=500, backoff=Backoff.LINEAR), attempts=3)
    assert [500, 500, 500] == waits(Retries(delay_ms=500, backoff=Backoff.CONSTANT), attempts=3)


def test_a27_a_dynamic_delay_is_multiplied_too() -> None:
    """The backoff applies to what a function answered."""
    retries = Retries(delay_ms=None)

    assert 200 == retry_wait_ms(retries, attempt=3, base_ms=50, chance=0.5)


def test_max_delay_bounds_the_growth() -> None:
    """No wait is longer than max_delay."""
    assert [10_000, 15_000, 15_000] == waits(Retries(max_delay_ms=15_000), attempts=3)


def test_jitter_makes_waits_shorter_by_up_to_its_share() -> None:
    """Chance picks a place in the span; max_delay stays a maximum."""
    retries = Retries(delay_ms=1000, backoff=Backoff.CONSTANT, jitter=0.4, max_delay_ms=1000)

    assert [1000] == waits(retries, attempts=1, chance=0.0)
    assert [800] == waits(retries, attempts=1, chance=0.5)
    assert [600] == waits(retries, attempts=1, chance=1.0)


@given(
    st.sampled_from(Backoff),
    st.integers(min_value=1, max_value=10_000),
    st.integers(min_value=0, max_value=WAIT_MS_MAX),
    st.floats(min_value=0, max_value=1),
    st.floats(min_value=0, max_value=1),
)
def test_a_wait_never_leaves_its_bounds(
    backoff: Backoff, attempt: int, base_ms: int, jitter: float, chance: float
) -> None:
    """Up to attempt 10,000 a wait is a whole number from 0 to 365 days."""
    retries = Retries(delay_ms=base_ms, backoff=backoff, jitter=jitter)

    wait = retry_wait_ms(retries, attempt=attempt, base_ms=base_ms, chance=chance)

    assert int is type(wait)
    assert 0 <= wait <= WAIT_MS_MAX


def test_a_delay_of_zero_stays_zero() -> None:
    """Zero does not grow."""
    assert [0, 0, 0] == waits(Retries(delay_ms=0), attempts=3)


class _OwnNonRetryableError(NonRetryableError):
    pass


class _RenamedError(Exception):
    name = "NonRetryableError"


class _HostileError(Exception):
    @property
    def name(self) -> str:
        raise RuntimeError("no name")


_Foreign = type("NonRetryableError", (Exception,), {})
_ForeignChild = type("Child", (_Foreign,), {})


@pytest.mark.parametrize(
    "error",
    [
        NonRetryableError("x"),
        NonRetryableError("x", "Other"),
        _OwnNonRetryableError(""),
        WorkflowFatalError(),
        NotSerializableError(),
        NonRetryableDelayError(),
        _RenamedError(),
        _Foreign("x"),
        _ForeignChild("x"),
        StepError("x", name="NonRetryableError"),
        ExceptionGroup("g", [ValueError(), ExceptionGroup("h", [NonRetryableError("x")])]),
    ],
)
def test_not_retryable(error: Exception) -> None:
    """NonRetryableError of any origin, fatal errors, and groups that hold one, end the step."""
    assert not is_retryable(error)


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"),
        WorkflowTimeoutError(),
        WorkflowInternalError(),
        StepError("x", name="ValueError"),
        _HostileError(),
        ImportError("x", name="module"),
        ExceptionGroup("g", [ValueError(), KeyError("k")]),
        KeyboardInterrupt(),
    ],
)
def test_retryable(error: BaseException) -> None:
    """Anything else is worth another attempt, timeouts and interrupted attempts included."""
    assert is_retryable(error)


@pytest.mark.parametrize(
    ("answer", "ms"),
    [(50, 50), (0, 0), (1.6, 2), ("5 seconds", 5000), (timedelta(seconds=1), 1000)],
)
def test_s126_the_answer_of_a_delay_function_is_used(answer: object, ms: int) -> None:
    """Milliseconds, a text or a timedelta is the delay."""
    assert ms == parse_delay_answer(answer)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (None, "NoneType"),
        (True, "True is no duration"),
        (-1, "negative"),
        (math.inf, "not finite"),
        (math.nan, "not finite"),
        ("soon", "'soon' is no duration"),
        ([5], "list"),
    ],
)
def test_a29_a_useless_answer_is_an_error_with_its_reason(answer: object, reason: str) -> None:
    """What is no delay ends the step with NonRetryableDelayError, whose message says why."""
    with pytest.raises(NonRetryableDelayError, match=reason):
        parse_delay_answer(answer)
