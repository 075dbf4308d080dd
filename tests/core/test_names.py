"""Rules for names and ids, as Cloudflare's validators have them."""

from __future__ import annotations

from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepwell.core.names import (
    check_addressed_id,
    check_event_type,
    check_new_instance_id,
    check_step_name,
    check_workflow_name,
)
from stepwell.errors import InvalidRequest, WorkflowFatalError

REFUSED = ["", None, 17, b"a", ["a"], " ", "a b", "\na", "a\n", "#a", "-a", "a.b", "ä", "a/b"]


class _Names(StrEnum):
    FIRST = "first"


@pytest.mark.parametrize("name", [*REFUSED, "a" * 65])
def test_s111_workflow_names_refused(name: object) -> None:
    """Empty, non-text, blank, newline, 65 characters, '#', leading dash: refused with a code."""
    with pytest.raises(InvalidRequest) as caught:
        check_workflow_name(name)

    assert "workflow.invalid_name" == caught.value.code


@pytest.mark.parametrize("name", ["simple", "Mixed_Case-9", "_a", "9", "a" * 64])
def test_s112_workflow_names_accepted(name: str) -> None:
    """Simple, mixed case with digits, underscore and dash, and exactly 64 characters."""
    assert name == check_workflow_name(name)


@pytest.mark.parametrize("id_", [*REFUSED, "a" * 101, "#invalid!", "cf_" + "0a" * 32])
def test_s113_new_instance_ids_refused(id_: object) -> None:
    """The same set, 101 characters, and the reserved form."""
    with pytest.raises(InvalidRequest) as caught:
        check_new_instance_id(id_)

    assert "instance.invalid_id" == caught.value.code


@pytest.mark.parametrize("id_", ["a", "a" * 100, "cf_" + "0A" * 32, "cf_" + "0" * 63])
def test_s114_new_instance_ids_accepted(id_: str) -> None:
    """Up to 100 characters; what only resembles the reserved form is free."""
    assert id_ == check_new_instance_id(id_)


@pytest.mark.parametrize("id_", ["", None, 5, "a" * 272, "!", "a?b", "*/5 * * * ?-1", "a\n"])
def test_s115_addressed_ids_refused(id_: object) -> None:
    """Empty, non-text, 272 characters, '!' and a cron expression with '?'."""
    with pytest.raises(InvalidRequest) as caught:
        check_addressed_id(id_)

    assert "instance.invalid_id" == caught.value.code


def test_s88_an_empty_id_is_refused() -> None:
    """An empty id is invalid, not merely absent."""
    with pytest.raises(InvalidRequest):
        check_addressed_id("")


@pytest.mark.parametrize(
    "id_", ["plain", "*/5 * * * *-1700000000000", "0 9 * * MON#2,FRI-1", "a/b", "a" * 271, "-a"]
)
def test_s116_addressed_ids_accepted(id_: str) -> None:
    """Plain ids, ids made by schedules, a slash, and 271 characters."""
    assert id_ == check_addressed_id(id_)


def test_s89_an_id_made_by_a_schedule_is_accepted() -> None:
    """An id of the form `<cron expression>-<milliseconds>` can be addressed."""
    assert "0 * * * *-1" == check_addressed_id("0 * * * *-1")


@pytest.mark.parametrize(
    "name", ["a\x00b", "a" * 257, "\n", "\x1f", None, 5, b"a", "\ud800", "a\udfff"]
)
def test_s117_step_names_refused(name: object) -> None:
    """Control characters, 257 characters, other types, and halves of characters."""
    with pytest.raises(WorkflowFatalError, match=r"Step name .* is not allowed"):
        check_step_name(name)


@pytest.mark.parametrize("name", ["with spaces", "", "a" * 256, "zähle 数 😀", "\x7f", "a.b/c"])
def test_s118_step_names_accepted(name: str) -> None:
    """Spaces, the empty name, Unicode, and exactly 256 characters."""
    assert name == check_step_name(name)


@pytest.mark.parametrize("type_", ["", None, 5, "a.b", "a b", "a" * 101, "ä", "a\n"])
def test_event_types_refused(type_: object) -> None:
    """A dot, a blank, 101 characters and other types: refused with the code that clients know."""
    with pytest.raises(InvalidRequest) as caught:
        check_event_type(type_)

    assert "workflow.invalid_event_type" == caught.value.code


@pytest.mark.parametrize("type_", ["approved", "order-paid_2", "-", "a" * 100])
def test_event_types_accepted(type_: str) -> None:
    """Letters, digits, dash and underscore, up to 100 characters."""
    assert type_ == check_event_type(type_)


@pytest.mark.parametrize(
    "check",
    [
        check_step_name,
        check_workflow_name,
        check_new_instance_id,
        check_addressed_id,
        check_event_type,
    ],
)
def test_a_member_of_a_str_enum_becomes_plain_text(check: object) -> None:
    """Names may be enum members; what is stored is a plain str."""
    checked = check(_Names.FIRST)  # type: ignore[operator]

    assert "first" == checked
    assert str is type(checked)


def test_messages_name_value_rule_and_remedy() -> None:
    """A message shows the value (shortened), the rule, and what to do."""
    with pytest.raises(InvalidRequest) as caught:
        check_event_type("order.paid" * 1000)

    message = str(caught.value)
    assert message.startswith("(workflow.invalid_event_type) Event type 'order.paidorder.paid")
    assert "no dot" in message
    assert "Choose another type" in message
    assert 400 > len(message)


@given(st.text(alphabet=st.characters(codec=None, exclude_categories=())))
def test_any_text_is_a_step_name_or_a_clear_error(name: str) -> None:
    """Whatever the text, the check gives it back or raises its own error with printable text."""
    try:
        checked = check_step_name(name)
    except WorkflowFatalError as error:
        checked = name
        str(error).encode("ascii")
    assert name == checked
