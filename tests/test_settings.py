"""The options of `open`: what they can be, and what is said of what they cannot."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

import stepwell
from stepwell import blocking
from stepwell.errors import InvalidRequest
from stepwell.settings import Options, Settings, read_settings

NAN, INFINITE = float("nan"), float("inf")
BAD: dict[str, list[Any]] = {
    "worker": [1, "no", None],
    "synchronous": ["ful", None, ["full"]],
    "busy_timeout_seconds": [-1, NAN, INFINITE, "5", None, True],
    "lease_seconds": [-1, 0, NAN, INFINITE, 1e300, "10", None, True],
    "max_running": [0, -1, 1.5, "1", None, True, 10**30],
    "max_warm": [-1, 1.5, None],
    "max_threads": [0, None, "4"],
    "grace_seconds": [-1, NAN, INFINITE, None],
    "linger_seconds": [-5, NAN, "1"],
    "blocking_seconds": [0, -1, NAN, "1"],
    "maxima": [None, {"steps_max": 1}],
}
GOOD: dict[str, list[Any]] = {
    "busy_timeout_seconds": [0, 0.5],
    "lease_seconds": [0.3, 1, 86_400],
    "max_warm": [0],
    "max_threads": [1],
    "grace_seconds": [0],
    "linger_seconds": [0, None, 0.001],
    "blocking_seconds": [None, 0.1],
    "synchronous": ["full", "normal", "off", "extra"],
}


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in BAD.items() for value in values]
)
def test_bad_values_are_refused(name: str, value: Any) -> None:
    """Each option refuses what it cannot be, and names itself, the value and what is allowed."""
    with pytest.raises(InvalidRequest) as caught:
        read_settings({name: value})

    assert f"{name} is {value!r:.80}; it must be " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in GOOD.items() for value in values]
)
def test_good_values_are_taken(name: str, value: Any) -> None:
    """Both ends of what an option can be are taken as they are."""
    assert getattr(read_settings({name: value}), name) == value


def test_what_may_be_given_is_what_there_is() -> None:
    """The types that callers see name exactly the settings there are."""
    assert [one.name for one in fields(Settings)] == list(Options.__annotations__)


@pytest.mark.parametrize(("seconds", "ms"), [(None, None), (0, -1), (1.5, 1500)])
def test_linger(seconds: float | None, ms: int | None) -> None:
    """Runs are told -1 where every park hibernates, and None where none does."""
    assert read_settings({"linger_seconds": seconds}).linger_ms == ms


async def test_open_refuses_them() -> None:
    """`open` refuses a bad value before it opens anything, with and without `await`."""
    bad: Any = "10"
    with pytest.raises(InvalidRequest, match="lease_seconds is '10'"):
        async with stepwell.open("sqlite:///no/such/folder.db", lease_seconds=bad):
            pass
    with pytest.raises(InvalidRequest, match="lease_seconds is '10'"):
        blocking.open("sqlite:///no/such/folder.db", lease_seconds=bad).__enter__()
