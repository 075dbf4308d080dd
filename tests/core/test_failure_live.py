"""What a workflow sees of an error is the same at first and in each replay."""

from __future__ import annotations

from typing import Any

import pytest

from stepwell.core import payload
from stepwell.core.failure import capture, restores_to_same_class
from stepwell.core.retry import is_retryable
from stepwell.core.shown import shown
from stepwell.errors import NonRetryableError, NotSerializableError

LONG = "x" * 20_000


class Holder(Exception):
    """Carries whatever it is given."""

    def __init__(self, held: Any) -> None:
        super().__init__("holds")
        self.held = held


class Mute(Exception):
    """Cannot be shown."""

    def __repr__(self) -> str:
        raise ValueError("no repr")


class Silent(Mute):
    """Has no text either."""

    def __str__(self) -> str:
        raise ValueError("no text")


def of_cause(cause: BaseException, depth: int = 1) -> Exception:
    """Make an error that was raised from another one."""
    error: BaseException = cause
    for _ in range(depth):
        above = ValueError("above")
        above.__cause__ = error
        error = above
    assert isinstance(error, Exception)
    return error


def noted(*notes: str) -> Exception:
    """Make an error with notes."""
    error = ValueError("a")
    for note in notes:
        error.add_note(note)
    return error


def local() -> Exception:
    """Make an error of a class that cannot be imported."""

    class Local(Exception):
        pass

    return Local("a")


WHOLE = {
    "plain": lambda: ValueError("a", 1),
    "notes": lambda: noted("a", "b"),
    "cause": lambda: of_cause(KeyError("a")),
    "group": lambda: ExceptionGroup("g", [ValueError("a"), KeyError(1)]),
    "attribute": lambda: Holder([1, "a"]),
}
CUT = {
    "message": lambda: ValueError(LONG),
    "two arguments": lambda: ValueError(LONG * 10, 1),
    "attribute": lambda: Holder(object()),
    "long attribute": lambda: Holder(LONG),
    "inner message": lambda: Holder(ValueError(LONG)),
    "note": lambda: noted(LONG),
    "many notes": lambda: noted(*map(str, range(30))),
    "cause": lambda: of_cause(ValueError(LONG)),
    "attribute of the cause": lambda: of_cause(Holder(object())),
    "class of the cause": lambda: of_cause(local()),
    "long chain": lambda: of_cause(ValueError("a"), 8),
    "member": lambda: ExceptionGroup("g", [ValueError(LONG)]),
    "class of a member": lambda: ExceptionGroup("g", [local()]),
}


@pytest.mark.parametrize("name", WHOLE)
def test_what_is_whole_is_seen_as_it_is(name: str) -> None:
    """An error that comes back as its equal may be raised itself."""
    assert restores_to_same_class(WHOLE[name]())


@pytest.mark.parametrize("name", CUT)
def test_what_was_cut_is_not_the_same(name: str) -> None:
    """Where anything was left out, the restored error is what is seen from the first time on."""
    assert not restores_to_same_class(CUT[name]())


def test_what_is_trimmed_to_fit_is_not_the_same() -> None:
    """A record that is too long as a whole loses parts that code can see."""
    error = ValueError("a")
    for _ in range(5):
        error = of_cause(error)  # type: ignore[assignment]
        error.args = ("y" * 13_000,)

    assert not restores_to_same_class(error)


@pytest.mark.parametrize("error", [ValueError(LONG), Holder(LONG), Holder(ValueError(LONG))])
def test_an_error_as_a_value_is_stored_whole_or_not_at_all(error: Exception) -> None:
    """A result that holds an error must not come back with less of it."""
    with pytest.raises(NotSerializableError, match="not all of this exception can be stored"):
        payload.encode([error], bytes_max=10**6, what="it")


def test_deep_groups_are_bounded() -> None:
    """Groups in groups, thousands of levels deep, neither fail nor hide what is inside."""
    error: Exception = ValueError("a")
    fatal: Exception = NonRetryableError("b")
    for _ in range(3_000):
        error, fatal = ExceptionGroup("g", [error]), ExceptionGroup("g", [fatal])

    assert is_retryable(error)
    assert not is_retryable(fatal)
    assert "ExceptionGroup" == capture(error).name
    assert "builtins:ExceptionGroup" == capture(error).class_path
    assert not capture(fatal).is_retryable
    assert not restores_to_same_class(error)
    assert shown(error)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("a"), "ValueError('a')"),
        (Mute("a"), "<Mute without a repr>"),
        (Silent("a"), "<Silent without a repr>"),
    ],
)
def test_an_error_is_shown_whatever_its_class_does(error: Exception, text: str) -> None:
    """A log line does not fail because of the error that it tells of."""
    assert text == shown(error)


def test_what_is_shown_is_bounded() -> None:
    """A long error does not fill the log."""
    assert 15_000 > len(shown(ValueError("x" * 10**6)))
