"""Errors as records: what is kept of an exception, and the exception made again from it.

A workflow that catches a step's error must take the same branch in every replay. So an error is
turned into a record once, when it happens, and what the workflow sees is made from the record, at
first and in each replay: the same class where it can be imported and made again, else `StepError`
with the name of the original class.

How an exception is written and made again, attribute by attribute, is in `core.exceptions`.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from stepwell.core.exceptions import (
    MESSAGE_BYTES_MAX,
    has_same_attributes,
    message_of,
    pack_arguments,
    pack_attributes,
    rebuild,
    shortened,
)
from stepwell.core.packing import Packer, Writers
from stepwell.core.packing_families import pack_by_family
from stepwell.core.packing_types import BY_TYPE
from stepwell.core.retry import is_retryable
from stepwell.core.tree import TAG, Node, Tree, to_json
from stepwell.core.unpacking import text_reader
from stepwell.errors import NonRetryableError, StepError, WorkflowInternalError

RECORD_BYTES_MAX: Final = 64 * 1024
TRACEBACK_BYTES_MAX: Final = 16 * 1024
NOTES_MAX: Final = 20
NOTE_BYTES_MAX: Final = 1024
CHAIN_MAX: Final = 5
_SHORT_TRACEBACK_BYTES: Final = 2 * 1024
_SHORT_MESSAGE_CHARS: Final = 100
_FRAMES_MAX: Final = 50

_Absent = TypeVar("_Absent", str, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorRecord:
    """What is kept of an exception.

    Attributes:
        name: the class's name, or the name that a `NonRetryableError` or `StepError` carries.
        message: the text of the exception.
        class_path: `module:qualname`.
        args: the exception's arguments as payload text; None where they cannot be stored.
        state: its attributes as payload text, those that can be stored; None if there are none.
        notes: what `add_note` added.
        cause: what it was raised from.
        context: what was being handled when it was raised, unless a cause or `from None` hides it.
        is_suppressed: the context is hidden (`raise … from …`).
        traceback: where it was raised, for people.
        is_retryable: trying again may help.
    """

    name: str
    message: str
    class_path: str
    args: str | None = None
    state: str | None = None
    notes: tuple[str, ...] = ()
    cause: ErrorRecord | None = None
    context: ErrorRecord | None = None
    is_suppressed: bool = False
    traceback: str = ""
    is_retryable: bool = True


def capture(error: BaseException) -> ErrorRecord:
    """Record an exception. Never fails; the record is no longer than 64 KiB as text."""
    return _captured(error)[0]


def _captured(error: BaseException) -> tuple[ErrorRecord, bool]:
    """Record an exception, and tell whether the record is whole."""
    packer = Packer(_LENIENT_WRITERS, RECORD_BYTES_MAX)
    try:
        record = _record(error, packer, chain=CHAIN_MAX)
        bounded = _bounded(record)
        is_whole = not packer.has_cut and _essence(bounded) == _essence(record)
        return bounded, is_whole
    except Exception:  # noqa: BLE001  (code of the class may raise anything; the error goes on)
        message = shortened(message_of(error), MESSAGE_BYTES_MAX)
        return ErrorRecord(name=type(error).__name__, message=message, class_path=""), False


def _essence(record: ErrorRecord | None) -> ErrorRecord | None:
    """Give what code can see of a record's exception: all but the tracebacks."""
    if record is None:
        return None
    cause, context = _essence(record.cause), _essence(record.context)
    return replace(record, traceback="", cause=cause, context=context)


def restore(record: ErrorRecord) -> Exception:
    """Make an exception from its record. Never fails: what cannot be made becomes a `StepError`."""
    return _restored(
        record,
        arguments=_values(record.args),
        attributes=_values(record.state),
        cause=None if record.cause is None else restore(record.cause),
        context=None if record.context is None else restore(record.context),
    )


def restores_to_same_class(error: BaseException) -> bool:
    """Claim that `restore` gives this exception's equal: its class, with all that belongs to it.

    Where it does not, what the workflow sees must be the restored one from the first time on.
    """
    record, is_whole = _captured(error)
    if not is_whole:
        return False
    restored = restore(record)
    # Its members, causes and arguments may have become others, though the record is whole.
    is_same = _essence(_captured(restored)[0]) == _essence(record)
    return is_same and type(restored) is type(error) and has_same_attributes(restored, error)


def to_dict(record: ErrorRecord) -> dict[str, Any]:
    """Give a record as an object for JSON, without what is empty."""
    detail: dict[str, Any] = {
        "name": record.name,
        "message": record.message,
        "class": record.class_path,
    }
    optional = {
        "args": None if record.args is None else json.loads(record.args),
        "state": None if record.state is None else json.loads(record.state),
        "notes": list(record.notes) or None,
        "cause": None if record.cause is None else to_dict(record.cause),
        "context": None if record.context is None else to_dict(record.context),
        "suppressed": record.is_suppressed or None,
        "traceback": record.traceback or None,
        "retryable": None if record.is_retryable else False,
    }
    detail.update((key, value) for key, value in optional.items() if value is not None)
    return detail


def from_dict(detail: object) -> ErrorRecord:
    """Read a record; what is absent or damaged in it is left empty."""
    return _from_dict(detail, CHAIN_MAX)


def _from_dict(detail: object, chain: int) -> ErrorRecord:
    if not isinstance(detail, Mapping):
        return ErrorRecord(name="Error", message="The stored error is damaged.", class_path="")
    notes = detail.get("notes")
    cause, context = (detail.get(key) if chain > 0 else None for key in ("cause", "context"))
    return ErrorRecord(
        name=_text_or(detail.get("name"), "Error"),
        message=_text_or(detail.get("message"), ""),
        class_path=_text_or(detail.get("class"), ""),
        args=to_json(detail["args"]) if isinstance(detail.get("args"), list) else None,
        state=to_json(detail["state"]) if isinstance(detail.get("state"), dict) else None,
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
        cause=_from_dict(cause, chain - 1) if cause else None,
        context=_from_dict(context, chain - 1) if context else None,
        is_suppressed=detail.get("suppressed") is True,
        traceback=_text_or(detail.get("traceback"), ""),
        is_retryable=detail.get("retryable") is not False,
    )


# ---- exceptions that are part of a value -----------------------------------------------------


def _pack_error(packer: Packer, error: BaseException) -> Tree:
    """Write an exception that is part of another one.

    Here its arguments and attributes are part of the tree, not texts of their own: a text in a
    text in a text doubles its backslashes each time.
    """
    return {TAG: "error", "v": _packed(error, packer, CHAIN_MAX)}


def _pack_error_strictly(packer: Packer, error: BaseException) -> Tree:
    """Write an exception that an author stores as a value: it must come back as what it is.

    Raises:
        Refused: it would come back as a `StepError`, or without some of its attributes.
    """
    packer.has_cut = False
    tree = _pack_error(packer, error)
    restored = read_tagged(to_json(tree))
    is_same = type(restored) is type(error) and has_same_attributes(restored, error)
    if is_same and not packer.has_cut:
        return tree
    reason = "not all of this exception can be stored; store its name and message"
    raise packer.refuse(error, reason)


def _read_error(node: Node) -> Exception:
    """Restore an exception that is a value, or part of one."""
    return _from_values(node["v"])


# The whole codec, with exceptions: what `payload` writes and reads with.
WRITERS: Final = Writers(by_type=BY_TYPE, by_family=pack_by_family, error=_pack_error_strictly)
_LENIENT_WRITERS: Final = replace(WRITERS, error=_pack_error)
read_tagged: Final = text_reader(_read_error)


def _packed(error: BaseException, packer: Packer, chain: int) -> dict[str, Tree]:
    record = _bare_record(error, packer)
    cause, context = _chain(error, chain, packer)
    detail = to_dict(replace(record, traceback=""))
    optional = {
        "args": pack_arguments(error, packer),
        "state": pack_attributes(error, packer) or None,
        "cause": None if cause is None else _packed(cause, packer, chain - 1),
        "context": None if context is None else _packed(context, packer, chain - 1),
    }
    detail.update((key, value) for key, value in optional.items() if value is not None)
    return detail


def _from_values(detail: Node) -> Exception:
    """Restore from a detail whose arguments and attributes have been read already."""
    values = ("args", "state", "cause", "context")
    return _restored(
        from_dict({key: value for key, value in detail.items() if key not in values}),
        arguments=detail.get("args"),
        attributes=detail.get("state"),
        cause=_from_values(detail["cause"]) if "cause" in detail else None,
        context=_from_values(detail["context"]) if "context" in detail else None,
    )


# ---- capturing -------------------------------------------------------------------------------


def _record(error: BaseException, packer: Packer, chain: int) -> ErrorRecord:
    cause, context = _chain(error, chain, packer)
    arguments = pack_arguments(error, packer)
    attributes = pack_attributes(error, packer)
    return replace(
        _bare_record(error, packer),
        args=None if arguments is None else to_json(arguments),
        state=to_json(attributes) if attributes else None,
        cause=None if cause is None else _record(cause, packer, chain - 1),
        context=None if context is None else _record(context, packer, chain - 1),
    )


def _bare_record(error: BaseException, packer: Packer) -> ErrorRecord:
    """Record an exception without values and without what it was raised from."""
    notes, text = getattr(error, "__notes__", None), message_of(error)
    message = shortened(text, MESSAGE_BYTES_MAX)
    kept = _bounded_notes(notes) if isinstance(notes, list) else ()
    packer.has_cut |= message != text or list(kept) != (notes or [])
    return ErrorRecord(
        name=_name(error),
        message=message,
        class_path=f"{type(error).__module__}:{type(error).__qualname__}",
        notes=kept,
        is_suppressed=error.__suppress_context__,
        traceback=_traceback(error),
        is_retryable=is_retryable(error),
    )


def _chain(
    error: BaseException, chain: int, packer: Packer
) -> tuple[BaseException | None, BaseException | None]:
    """Tell the cause and the context that are kept of an exception."""
    if chain <= 0:
        packer.has_cut |= error.__cause__ is not None or error.__context__ is not None
        return None, None
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__, None
    return None, error.__context__


def _name(error: BaseException) -> str:
    if isinstance(error, NonRetryableError | StepError):
        name = getattr(error, "name", None)  # absent where a subclass forgot to call __init__
        if isinstance(name, str):
            return name
    return type(error).__name__


def _bounded_notes(notes: list[object]) -> tuple[str, ...]:
    texts = [note for note in notes if isinstance(note, str)]
    return tuple(shortened(text, NOTE_BYTES_MAX) for text in texts[:NOTES_MAX])


def _traceback(error: BaseException) -> str:
    if error.__traceback__ is None:
        return ""
    frames = traceback.extract_tb(error.__traceback__, limit=-_FRAMES_MAX)
    return shortened("".join(traceback.format_list(frames)), TRACEBACK_BYTES_MAX)


# ---- restoring -------------------------------------------------------------------------------


def _values(text: str | None) -> Any:
    """Read arguments or attributes; None where they cannot be read (any more)."""
    if text is None:
        return None
    try:
        return read_tagged(text)
    except WorkflowInternalError:
        return None


def _restored(
    record: ErrorRecord,
    *,
    arguments: Any,
    attributes: Any,
    cause: Exception | None,
    context: Exception | None,
) -> Exception:
    error = None
    if isinstance(arguments, list):
        error = rebuild(record.class_path, arguments, attributes or {}, record.message)
    if error is None:
        error = StepError(record.message, name=record.name)
    # Past the class's own __setattr__, which a frozen dataclass has.
    if record.notes:
        BaseException.__setattr__(error, "__notes__", list(record.notes))
    BaseException.__setattr__(error, "__cause__", cause)
    BaseException.__setattr__(error, "__context__", context)
    BaseException.__setattr__(error, "__suppress_context__", record.is_suppressed)
    return error


def _text_or(value: object, absent: _Absent) -> str | _Absent:
    return value if isinstance(value, str) else absent


# ---- bounding --------------------------------------------------------------------------------


def _bounded(record: ErrorRecord) -> ErrorRecord:
    """Trim a record until its text fits: first what people read, last what the error is."""
    for trim in (None, *_TRIMS):
        record = record if trim is None else trim(record)
        if len(to_json(to_dict(record))) <= RECORD_BYTES_MAX:
            return record
    message, name = (text[:_SHORT_MESSAGE_CHARS] for text in (record.message, record.name))
    return replace(record, message=message, name=name, class_path="")


def _trim_chain(record: ErrorRecord) -> ErrorRecord:
    """Keep only names and messages of what the error was raised from."""

    def bare(link: ErrorRecord | None) -> ErrorRecord | None:
        if link is None:
            return None
        return replace(
            link,
            traceback="",
            notes=(),
            cause=bare(link.cause),
            context=bare(link.context),
        )

    return replace(record, cause=bare(record.cause), context=bare(record.context))


_TRIMS: Final[tuple[Callable[[ErrorRecord], ErrorRecord], ...]] = (
    _trim_chain,
    lambda record: replace(record, traceback=shortened(record.traceback, _SHORT_TRACEBACK_BYTES)),
    lambda record: replace(record, traceback="", notes=()),
    lambda record: replace(record, cause=None, context=None),
    lambda record: replace(record, args=None, state=None),
)
