"""Which step of a history is meant by what somebody calls it."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core.target import find_step, near_steps, parse_target
from stepwell.errors import InvalidRequest
from stepwell.model.step import StepKey, StepKind

DO, SLEEP, WAIT = StepKind.DO, StepKind.SLEEP, StepKind.WAIT
HISTORY = [
    StepKey(DO, "create user", 1), StepKey(DO, "create user", 2), StepKey(SLEEP, "nap", 1),
    StepKey(SLEEP, "nap", 2), StepKey(WAIT, "approval", 1), StepKey(DO, "page-2", 1),
    StepKey(DO, "page", 1), StepKey(DO, "page", 2), StepKey(SLEEP, "both", 1),
    StepKey(WAIT, "both", 1), StepKey(StepKind.ROLLBACK, "undone", 1), StepKey(SLEEP, "page", 3),
    StepKey(SLEEP, "page-1", 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("create user", StepKey(DO, "create user", 1)),
        ("create user-1", StepKey(DO, "create user", 1)),
        ("create user-2", StepKey(DO, "create user", 2)),
        ("create user-3", None),
        ("create user-02", None),
        ({"name": "create user-2"}, None),
        ({"name": "create user", "count": 2, "type": "step"}, StepKey(DO, "create user", 2)),
        ("nap", StepKey(SLEEP, "nap", 1)),
        ("nap-2", StepKey(SLEEP, "nap", 2)),
        ({"name": "nap", "count": 2}, StepKey(SLEEP, "nap", 2)),
        ("approval-1", StepKey(WAIT, "approval", 1)),
        ("page-2", StepKey(DO, "page-2", 1)),
        ("page-1", StepKey(SLEEP, "page-1", 1)),
        ({"name": "page-1", "type": "do"}, None),
        ({"name": "nap"}, StepKey(SLEEP, "nap", 1)),
        ({"name": "nap", "type": "do"}, None),
        ({"name": "page", "count": 3}, None),
        ({"name": "both", "type": "waitForEvent"}, StepKey(WAIT, "both", 1)),
        ("undone", None),
        ("nobody", None),
    ],
)
def test_what_a_name_means(given: Any, expected: StepKey | None) -> None:
    """A name means a `do`, else a sleep or a wait; else alone a label. A step's own name wins."""
    assert expected == find_step(parse_target(given), HISTORY)


def test_a_name_of_a_sleep_and_a_wait_needs_a_type() -> None:
    """Where a name alone may mean two steps, neither is chosen."""
    with pytest.raises(InvalidRequest, match="'both' is a sleep and a waitForEvent; give"):
        find_step(parse_target("both"), HISTORY)


def test_near_names() -> None:
    """What is called nearly so is written with its type and counts; rollbacks are no targets."""
    expected = "'create user' (do, count 1 to 2)"
    assert expected == near_steps(parse_target("create usr"), HISTORY)
    assert "'approval' (waitForEvent, count 1)" == near_steps(parse_target("aproval-1"), HISTORY)
    assert not near_steps(parse_target("undone"), HISTORY)
    assert not near_steps(parse_target("x"), [])
