"""What people see of the steps of an instance."""

from __future__ import annotations

import pytest

from stepwell.client.views import steps_of
from stepwell.model.step import Fact, FactKind, StepKey, StepKind

_T0 = 1_700_000_000_000


def _key(name: str, kind: StepKind = StepKind.DO) -> StepKey:
    return StepKey(kind, name, 1)


def _ran(name: str, ordinal: int, began_ms: int) -> Fact:
    return Fact(FactKind.STEP_RAN, began_ms + 9, _key(name), ordinal, attempt=1, began_ms=began_ms)


def test_steps_stand_in_the_order_of_their_start() -> None:
    """Steps that began in the same millisecond, or by a clock turned back, keep their order."""
    facts = [
        Fact(FactKind.QUEUED, _T0, payload="{}"),
        _ran("c", 3, _T0),
        _ran("b", 2, _T0 + 50),
        _ran("a", 1, _T0),
    ]

    assert [step.name for step in steps_of(facts)] == ["a-1", "b-1", "c-1"]


def test_steps_of_one_name_are_told_apart_by_kind() -> None:
    """A step, a sleep, a wait and a rollback of the same name are four."""
    facts = [
        _ran("x", 1, _T0),
        Fact(FactKind.SLEEP_STARTED, _T0, _key("x", StepKind.SLEEP), 2, due_ms=_T0 + 1),
        Fact(FactKind.WAIT_STARTED, _T0, _key("x", StepKind.WAIT), 3, due_ms=_T0 + 1),
        Fact(FactKind.STEP_RAN, _T0, _key("x", StepKind.ROLLBACK), 4, attempt=1, began_ms=_T0),
    ]
    seen = [(step.type, step.success) for step in steps_of(facts)]

    expected = [("step", True), ("sleep", None), ("waitForEvent", None), ("rollback", True)]
    assert seen == expected


@pytest.mark.parametrize("kind", [FactKind.STEP_COMPLETED, FactKind.STEP_FAILED])
def test_attempts_are_listed(kind: FactKind) -> None:
    """Each attempt has its number, its end and whether it succeeded; so has the step."""
    key, is_good = _key("work"), kind is FactKind.STEP_COMPLETED
    error = '{"error":{"name":"ValueError","message":"no"}}'
    facts = [
        Fact(FactKind.STEP_STARTED, _T0, key, 1, attempt=1),
        Fact(FactKind.ATTEMPT_FAILED, _T0 + 1, key, 1, attempt=1, detail=error),
        Fact(FactKind.ATTEMPT_STARTED, _T0 + 2, key, 1, attempt=2),
        Fact(kind, _T0 + 3, key, 1, attempt=2, detail=None if is_good else error),
    ]
    (step,) = steps_of(facts)

    assert [(one["attempt"], one["success"]) for one in step.attempts] == [(1, False), (2, is_good)]
    assert step.success is is_good
    assert (step.end - step.start).total_seconds() == 0.003
