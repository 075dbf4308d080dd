"""Errors as records: what a workflow catches is the same at first and in each replay."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.error
from email.message import Message
from typing import Any

import httpx
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell import errors
from stepwell.core.failure import (
    RECORD_BYTES_MAX,
    ErrorRecord,
    capture,
    from_dict,
    restore,
    restores_to_same_class,
    to_dict,
)
from stepwell.errors import (
    NonRetryableError,
    StepError,
    StepwellError,
    WorkflowFatalError,
)
from tests.core.error_samples import (
    FrozenError,
    HostileError,
    Order,
    OwnGroup,
    OwnNonRetryableError,
    PickyError,
    PropertyError,
    ShopError,
    SilentError,
    SlottedError,
    UnstableError,
    WorseError,
    from_text,
    to_text,
)


def replayed(error: BaseException) -> Exception:
    """Give the error as a later life sees it: through text."""
    return restore(from_text(to_text(capture(error))))


def caught(work: Any) -> Exception:
    """Call something that raises, and give what it raised."""
    with pytest.raises(Exception) as info:  # noqa: PT011
        work()
    return info.value


SAME_CLASS = [
    Exception(),
    Exception("a"),
    ValueError("a", 2, ("b",), {"c": b"d"}),
    KeyError("k"),
    KeyError(),
    IndexError("list index out of range"),
    ZeroDivisionError("division by zero"),
    OSError(2, "No such file", "/tmp/a"),
    OSError(2, "No such file", "a", None, "b"),
    OSError("only text"),
    FileNotFoundError(2, "No such file", "a"),
    BlockingIOError(11, "later", 5),
    ConnectionResetError(),
    TimeoutError("late"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    UnicodeEncodeError("ascii", "ä", 0, 1, "ordinal not in range"),
    ImportError("no", name="module", path="/x"),
    ModuleNotFoundError("no module", name="m"),
    SyntaxError("bad", ("file.py", 1, 2, "x x", 1, 3)),
    NameError("name 'x' is not defined", name="x"),
    caught(lambda: json.loads("{")),
    subprocess.CalledProcessError(3, ["a"], output=b"o", stderr="e"),
    ShopError(5, shop="s"),
    SilentError(7),
    SlottedError(3),
    PickyError(secret="s"),
    FrozenError(4),
    NonRetryableError("x"),
    NonRetryableError("x", "Renamed"),
    OwnNonRetryableError("x"),
    StepError("x", name="Other"),
    errors.InstanceNotFound(),
    errors.InvalidRequest("m", code="a.b"),
    errors.WorkflowTimeoutError("late"),
    errors.NotSerializableError("m", path="$.a", type_name="x.Y"),
    errors.WorkflowFatalError(),
    ExceptionGroup("g", [ValueError("a"), KeyError("b")]),
    ExceptionGroup("g", [ExceptionGroup("h", [ShopError(1, shop="s")])]),
    OwnGroup("g", (ValueError("a"),)),
    caught(lambda: Order.model_validate({"id": "x", "email": "y"})),
    caught(lambda: Order(id=1, email="custom")),
    caught(lambda: Order.model_validate_json('{"id": [], "email": "a@b"}')),
    httpx.InvalidURL("bad"),
    httpx.ConnectTimeout("late"),
    LookupError("a\ud800b"),
]


@pytest.mark.parametrize("error", SAME_CLASS)
def test_comes_back_as_the_same_class(error: Exception) -> None:
    """Class, text, arguments and attributes are those of the original."""
    found = replayed(error)

    assert type(error) is type(found)
    assert str(error) == str(found)
    assert repr(error) == repr(found)
    assert error.args == found.args or isinstance(error, ExceptionGroup | pydantic.ValidationError)
    ours, theirs = ({**vars(e), "_request": None} for e in (error, found))
    assert repr(ours) == repr(theirs)
    assert restores_to_same_class(error)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (asyncio.CancelledError("stop"), "CancelledError"),
        (KeyboardInterrupt("x"), "KeyboardInterrupt"),
        (SystemExit(3), "SystemExit"),
        (StopIteration(5), "StopIteration"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (BaseExceptionGroup("g", [KeyboardInterrupt()]), "BaseExceptionGroup"),
        (UnstableError(), "UnstableError"),
        (ValueError("a", object()), "ValueError"),
        (type("Local", (Exception,), {"__qualname__": "f.<locals>.Local"})("a"), "Local"),
    ],
)
def test_comes_back_as_step_error(error: BaseException, name: str) -> None:
    """What cannot be made again, or not raised in a coroutine, stands as StepError of its name."""
    found = replayed(error)

    assert isinstance(found, StepError)
    assert name == found.name
    assert str(error) == str(found)
    assert not restores_to_same_class(error)


def test_constructors_do_not_run_again() -> None:
    """An error whose __init__ wants other arguments, or counts, is made without it."""
    found = replayed(ShopError(5, shop="s"))

    assert (5, "s", 1) == (found.code, found.shop, found.calls)  # type: ignore[attr-defined]


def test_members_of_builtin_errors() -> None:
    """What C keeps outside of args and __dict__ comes back too."""
    missing = replayed(FileNotFoundError(2, "No such file", "/a", None, "/b"))
    imported = replayed(ImportError("no", name="module", path="/x"))
    decoded = replayed(UnicodeDecodeError("utf-8", b"\xff", 0, 1, "why"))
    exited = replayed(subprocess.CalledProcessError(3, ["a"]))

    assert (2, "/a", "/b") == (missing.errno, missing.filename, missing.filename2)  # type: ignore[attr-defined]
    assert ("module", "/x") == (imported.name, imported.path)  # type: ignore[attr-defined]
    assert (b"\xff", 0, 1) == (decoded.object, decoded.start, decoded.end)  # type: ignore[attr-defined]
    assert 3 == exited.returncode  # type: ignore[attr-defined]


def test_an_http_error_loses_what_cannot_be_stored() -> None:
    """The class stays, so that `except` matches; the response is gone, from the first time on."""
    request = httpx.Request("GET", "https://a.example")
    error = httpx.HTTPStatusError("404", request=request, response=httpx.Response(404))

    found = replayed(error)

    assert httpx.HTTPStatusError is type(found)
    assert "404" == str(found)
    assert not hasattr(found, "response")
    assert not restores_to_same_class(error)
    assert restores_to_same_class(found)


def test_an_error_that_is_an_open_file_as_well() -> None:
    """The HTTPError of urllib, which is an OSError and a response, keeps what can be stored."""
    found = replayed(urllib.error.HTTPError("u", 404, "gone", Message(), None))

    assert isinstance(found, urllib.error.HTTPError)
    assert ("HTTP Error 404: gone", 404) == (str(found), found.code)


def test_validation_errors_tell_their_problems() -> None:
    """A ValidationError of pydantic can be asked for its problems as before."""
    error = caught(lambda: Order.model_validate({"id": "x", "email": "y"}))
    assert isinstance(error, pydantic.ValidationError)

    found = replayed(error)

    assert isinstance(found, pydantic.ValidationError)
    assert [problem["loc"] for problem in error.errors()] == [
        problem["loc"] for problem in found.errors()
    ]


def test_groups_can_be_split() -> None:
    """`except*` works on a group that came back."""
    found = replayed(ExceptionGroup("g", [ValueError("a"), KeyError("b")]))
    assert isinstance(found, ExceptionGroup)

    matched, rest = found.split(ValueError)

    assert matched is not None
    assert rest is not None
    assert ["a"] == [str(error) for error in matched.exceptions]
    assert ["'b'"] == [str(error) for error in rest.exceptions]


def raise_key_error() -> None:
    """Raise what a later error has as its context."""
    raise KeyError("before")


def raised(error: Exception, *, cause: Exception | None = None, context: bool = False) -> Exception:
    """Raise an error, and give it as it was caught."""

    def fail() -> None:
        try:
            raise_key_error()
        except KeyError:
            if context:
                raise error  # noqa: B904  (the point is what becomes of the context)
            raise error from cause

    return caught(fail)


def test_cause_context_and_notes() -> None:
    """What it was raised from, or during, and what was noted on it comes back."""
    chained = raised(ValueError("a"), cause=ShopError(1, shop="s"))
    chained.add_note("note 1")
    chained.add_note("note 2")

    found = replayed(chained)

    assert ["note 1", "note 2"] == found.__notes__
    assert ShopError is type(found.__cause__)
    assert found.__context__ is None
    assert KeyError is type(replayed(raised(ValueError("a"), context=True)).__context__)


def test_a_suppressed_context_stays_suppressed() -> None:
    """`raise … from None` hides what came before, also afterwards."""
    found = replayed(raised(ValueError("a"), cause=None))

    assert found.__context__ is None
    assert found.__cause__ is None
    assert found.__suppress_context__


def test_long_chains_and_circles_end() -> None:
    """A chain is followed a few links; one that bites its tail does no harm."""
    error = top = ValueError("0")
    for number in range(1, 100):
        error.__cause__ = ValueError(str(number))
        error = error.__cause__
    circle = ValueError("c")
    circle.__cause__ = circle
    own_argument = ValueError()
    own_argument.args = (own_argument,)

    assert "5" == str(_last_cause(replayed(top)))
    assert ValueError is type(replayed(circle))
    assert StepError is type(replayed(own_argument))


def _last_cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def test_the_record_names_the_error() -> None:
    """Name, message, class path, traceback and whether to retry are there to be shown."""

    def fail() -> None:
        raise ShopError(5, shop="s")

    record = capture(caught(fail))

    assert ("ShopError", "code 5 at s") == (record.name, record.message)
    assert "tests.core.error_samples:ShopError" == record.class_path
    assert "in fail\n" in record.traceback
    assert 'raise ShopError(5, shop="s")' in record.traceback
    assert record.is_retryable


def test_the_name_of_named_errors() -> None:
    """A NonRetryableError or StepError goes by the name that it carries."""
    assert "Renamed" == capture(NonRetryableError("x", "Renamed")).name
    assert "ValueError" == capture(StepError("x", name="ValueError")).name
    assert "ImportError" == capture(ImportError("x", name="module")).name
    assert not capture(NonRetryableError("x")).is_retryable
    assert not capture(WorkflowFatalError()).is_retryable


def test_a_hostile_error_is_recorded_all_the_same() -> None:
    """An error whose text or arguments cannot be read still gives a record, and comes back."""
    for error in (HostileError("x"), WorseError("x")):
        error.__notes__ = [5, "n"]  # type: ignore[list-item]

        record = capture(error)

        assert f"(the text of this {record.name} cannot be read)" == record.message
        assert StepError is type(restore(record))


@pytest.mark.parametrize(
    "error",
    [
        ValueError("m" * 1_000_000),
        ValueError("ä" * 100_000),
        ValueError("a", "b" * 1_000_000),
        ValueError("a", list(range(100_000))),
        ShopError(1, shop="s" * 1_000_000),
        ExceptionGroup("g", [ValueError("x" * 8_000) for _ in range(100)]),
        KeyError("\x00" * 100_000),
        LookupError("\ud800" * 100_000),
    ],
)
def test_records_are_bounded(error: Exception) -> None:
    """A record is at most 64 KiB of text, and what it restores to does not change by the text."""
    for part in range(10):
        error.add_note(f"{part}" * 10_000)
    error.__cause__ = ValueError("c" * 100_000)
    error.__cause__.__cause__ = ValueError("d" * 100_000)
    record = capture(error)

    text = to_text(record)

    assert RECORD_BYTES_MAX >= len(text)
    assert text.isascii()
    assert type(restore(record)) is type(restore(from_text(text)))
    assert str(restore(record)) == str(restore(from_text(text)))
    assert str(restore(record))[:100] == str(error)[:100]


@pytest.mark.parametrize("text", ["m" * 1_000_000, "ä" * 100_000, "m\n" * 10_000])
def test_a_long_text_does_not_cost_the_class(text: str) -> None:
    """An error that is only a long text keeps its class, beginning and end."""
    found = replayed(ValueError(text))

    assert ValueError is type(found)
    assert text[:900] == str(found)[:900]
    assert text[-900:] == str(found)[-900:]
    assert "characters left out" in str(found)


def test_a_large_attribute_does_not_cost_the_class() -> None:
    """It is left out, as one that cannot be stored."""
    error = ShopError(1, shop="s")
    error.shop = "s" * 1_000_000

    found = replayed(error)

    assert ShopError is type(found)
    assert 1 == found.code
    assert not hasattr(found, "shop")
    assert not restores_to_same_class(error)


def test_a_deep_traceback_is_bounded() -> None:
    """The newest frames are kept."""

    def descend(depth: int) -> None:
        if depth == 0:
            raise ValueError("bottom")
        descend(depth - 1)

    record = capture(caught(lambda: descend(400)))

    assert 20_000 > len(record.traceback)
    assert 'raise ValueError("bottom")' in record.traceback


def test_a_name_that_is_too_long_is_cut() -> None:
    """Even an error whose class has an absurd name fits."""
    kind = type("E" * 100_000, (Exception,), {})

    assert RECORD_BYTES_MAX >= len(to_text(capture(kind("m"))))


def test_an_attribute_behind_a_property_is_restored() -> None:
    """Where the class has a property of the same name, the instance's own dict is filled."""
    error = PropertyError()
    vars(error)["shown"] = 5

    assert 5 == vars(replayed(error))["shown"]


def test_text_and_back() -> None:
    """A record is the same after being stored."""
    error = raised(ShopError(1, shop="ä"), cause=ValueError("a", (1, b"2")))
    error.add_note("n")
    record = capture(error)

    assert record == from_text(to_text(record))
    assert record == from_dict(json.loads(json.dumps(to_dict(record))))


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "null", "5", "[]", "{}", '{"name":5,"message":[],"class":{},"args":5,"state":[]}',
        '{"name":"A","message":"m","class":"os:system","args":["true"]}',
        '{"name":"A","message":"m","class":"builtins:int","args":[]}',
        '{"name":"A","message":"m","class":"builtins:ValueError","args":[{"$":"gone","v":1}]}',
        '{"name":"A","message":"m","class":"builtins:ValueError","args":["other"]}',
        '{"name":"A","message":"m","class":"no.such:Error","args":[]}',
        '{"name":"A","message":"m","class":"builtins:OSError","args":[{"$":"set","v":[[]]}]}',
        '{"name":"A","message":"m","cause":"x","context":[1],"notes":"x"}',
        "[" * 100_000,
    ],
)  # fmt: skip
def test_damaged_records_become_step_errors(text: str) -> None:
    """Restoring never raises, and never makes what is no exception."""
    assert StepError is type(restore(from_text(text)))


def test_a_class_that_is_gone_becomes_step_error_with_all_else() -> None:
    """Notes and cause are kept where the class is not."""
    record = ErrorRecord(
        name="GoneError",
        message="m",
        class_path="gone:GoneError",
        args="[]",
        notes=("n",),
        cause=capture(ValueError("c")),
    )

    found = restore(record)

    assert isinstance(found, StepError)
    assert ("GoneError", "m", ["n"]) == (found.name, str(found), found.__notes__)
    assert ValueError is type(found.__cause__)


def test_a_group_with_one_strange_member_stays_a_group() -> None:
    """As a failure, what can be kept is kept: the strange one becomes a StepError."""
    found = replayed(ExceptionGroup("g", [KeyError("k"), ValueError(object())]))

    assert isinstance(found, ExceptionGroup)
    assert [KeyError, StepError] == [type(member) for member in found.exceptions]


@pytest.mark.parametrize(
    "kind",
    [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, StepwellError)
    ],
)
def test_every_error_of_stepwell_comes_back(kind: type[StepwellError]) -> None:
    """Whatever Stepwell raises is the same class after a replay."""
    error = kind("what happened")

    found = replayed(error)

    assert kind is type(found)
    assert str(error) == str(found)
    assert vars(error) == vars(found)


@given(st.text(max_size=100), st.lists(st.integers() | st.text() | st.binary(), max_size=4))
def test_any_arguments_come_back(message: str, arguments: list[Any]) -> None:
    """Arguments of any storable kind come back in their order."""
    error = ValueError(message, *arguments)

    found = replayed(error)

    assert error.args == found.args
    assert str(error) == str(found)
