"""Rules for names and ids. Each check gives the name back as a plain `str`, or raises."""

from __future__ import annotations

import re

from stepwell.errors import InvalidRequest, WorkflowFatalError
from stepwell.model.limits import (
    ADDRESSED_ID_CHARS_MAX,
    EVENT_TYPE_CHARS_MAX,
    INSTANCE_ID_CHARS_MAX,
    STEP_NAME_CHARS_MAX,
    WORKFLOW_NAME_CHARS_MAX,
)

_WORD = "[a-zA-Z0-9_][a-zA-Z0-9_-]"
_WORKFLOW_NAME = re.compile(f"{_WORD}{{0,{WORKFLOW_NAME_CHARS_MAX - 1}}}")
_NEW_ID = re.compile(f"{_WORD}{{0,{INSTANCE_ID_CHARS_MAX - 1}}}")
_RESERVED_ID = re.compile("cf_[0-9a-f]{64}")
_ADDRESSED_ID = re.compile(f"[a-zA-Z0-9, */#_-]{{1,{ADDRESSED_ID_CHARS_MAX}}}")
_EVENT_TYPE = re.compile(f"[a-zA-Z0-9_-]{{1,{EVENT_TYPE_CHARS_MAX}}}")
_STEP_NAME = re.compile(f"[^\x00-\x1f\ud800-\udfff]{{0,{STEP_NAME_CHARS_MAX}}}")
_SHOWN_CHARS_MAX = 60


def check_step_name(name: object) -> str:
    """Check the name of a step.

    Raises:
        WorkflowFatalError: it is too long, or has control characters or half characters.
    """
    if type(name) is str and _STEP_NAME.fullmatch(name):
        return name
    if isinstance(name, str) and _STEP_NAME.fullmatch(name):
        return str.__str__(name)
    raise WorkflowFatalError(
        f"Step name {_shown(name)} is not allowed: {_step_name_fault(name)}. A step name is a text "
        f"of at most {STEP_NAME_CHARS_MAX} characters without control characters; choose another."
    )


def check_workflow_name(name: object) -> str:
    """Check the name of a workflow.

    Raises:
        InvalidRequest: `workflow.invalid_name`.
    """
    if isinstance(name, str) and _WORKFLOW_NAME.fullmatch(name):
        return str.__str__(name)
    raise InvalidRequest(
        f"Workflow name {_shown(name)} is not allowed: it must be 1 to {WORKFLOW_NAME_CHARS_MAX} "
        "letters, digits, '_' or '-', and not begin with '-'. Choose another name.",
        code="workflow.invalid_name",
    )


def check_new_instance_id(id: object) -> str:
    """Check the id that an instance is to be created with.

    Raises:
        InvalidRequest: `instance.invalid_id`.
    """
    if isinstance(id, str) and _NEW_ID.fullmatch(id):
        if not _RESERVED_ID.fullmatch(id):
            return str.__str__(id)
        raise InvalidRequest(
            f"Instance id {_shown(id)} is not allowed: 'cf_' with 64 hexadecimal digits is "
            "reserved. Choose another id, or leave it out to get one.",
            code="instance.invalid_id",
        )
    raise InvalidRequest(
        f"Instance id {_shown(id)} is not allowed: it must be 1 to {INSTANCE_ID_CHARS_MAX} "
        "letters, digits, '_' or '-', and not begin with '-'. Choose another id, or leave it out "
        "to get one.",
        code="instance.invalid_id",
    )


def check_addressed_id(id: object) -> str:
    """Check the id by which an existing instance is addressed; ids made by schedules pass too.

    Raises:
        InvalidRequest: `instance.invalid_id`.
    """
    if isinstance(id, str) and _ADDRESSED_ID.fullmatch(id):
        return str.__str__(id)
    raise InvalidRequest(
        f"Instance id {_shown(id)} cannot exist: an id is 1 to {ADDRESSED_ID_CHARS_MAX} letters, "
        "digits, spaces or any of , * / # _ -. Check the id.",
        code="instance.invalid_id",
    )


def check_event_type(type: object) -> str:
    """Check the type of an event.

    Raises:
        InvalidRequest: `workflow.invalid_event_type`.
    """
    if isinstance(type, str) and _EVENT_TYPE.fullmatch(type):
        return str.__str__(type)
    raise InvalidRequest(
        f"Event type {_shown(type)} is not allowed: it must be 1 to {EVENT_TYPE_CHARS_MAX} "
        "letters, digits, '-' or '_' (no dot). Choose another type, here and where it is awaited.",
        code="workflow.invalid_event_type",
    )


def _step_name_fault(name: object) -> str:
    if not isinstance(name, str):
        return f"it is no text but a {type(name).__name__}"
    if len(name) > STEP_NAME_CHARS_MAX:
        return f"it has {len(name)} characters"
    fault = next(char for char in name if not _STEP_NAME.fullmatch(char))
    if fault < " ":
        return f"it holds the control character {fault!a}"
    return f"it holds half a character ({fault!a}), which no encoding can store"


def _shown(value: object) -> str:
    """Show a value in a message, shortened and always printable."""
    text = ascii(value) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= _SHOWN_CHARS_MAX else f"{text[: _SHOWN_CHARS_MAX - 3]}..."
