"""Rounds: what may be done together, and what has to wait for what."""

from __future__ import annotations

import pytest

from stepwell.model.command import (
    Append,
    Command,
    Delete,
    DropChunks,
    Finish,
    Pause,
    PutChunk,
    Release,
    SendEvent,
)
from stepwell.model.instance import InstanceStatus, Lease, Ref
from stepwell.stores.sqlite.rounds import cut
from stepwell.testing.cases.bench import STEP, creation

_A, _B, _NEW = Ref("orders", "a"), Ref("orders", "b"), Ref("orders", "new")
_KEYS = {_A: 1, _B: 2}
_LEASES = {ref: Lease(key, "w", 1) for ref, key in _KEYS.items()}


def _append(ref: Ref) -> Append:
    return Append(lease=_LEASES[ref], facts=())


def _finish(ref: Ref) -> Finish:
    return Finish(lease=_LEASES[ref], status=InstanceStatus.COMPLETE, facts=())


def _put(ref: Ref) -> PutChunk:
    return PutChunk(lease=_LEASES[ref], step=STEP, ordinal=1, attempt=1, index=0, data=b"")


def _event(ref: Ref) -> SendEvent:
    return SendEvent(ref=ref, type="go", payload="1")


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        # About different instances: together, whatever they are.
        ([], [[]]),
        ([_append(_A), _finish(_B), creation(_NEW)], [[0, 1, 2]]),
        # A run only adds, and then does one thing more: together.
        ([_append(_A), _append(_A), _append(_B), _append(_A)], [[0, 1, 2, 3]]),
        ([_append(_A), _put(_A), _finish(_A)], [[0, 1, 2]]),
        ([_put(_A), DropChunks(lease=_LEASES[_A], step=STEP), _put(_A)], [[0, 1], [2]]),
        # Whatever follows that waits.
        ([_append(_A), _finish(_A), _append(_A)], [[0, 1], [2]]),
        ([Release(lease=_LEASES[_A]), _append(_A), _append(_A)], [[0], [1, 2]]),
        # Clients' commands about one instance wait for each other and for its run.
        ([_append(_A), _event(_A), _append(_A)], [[0], [1], [2]]),
        ([_event(_A), _event(_A), Pause(ref=_A), _event(_B)], [[0, 3], [1], [2]]),
        # An id that becomes another instance.
        ([Delete(ref=_A), creation(_A), _event(_A), _append(_A)], [[0], [1], [2], [3]]),
        ([creation(_NEW), _event(_NEW), creation(_NEW)], [[0], [1], [2]]),
        # Creations stay in order, since keys tell which came first.
        ([Delete(ref=_A), creation(_A), creation(_NEW)], [[0], [1, 2]]),
    ],
)
def test_rounds(commands: list[Command], expected: list[list[int]]) -> None:
    """A command waits for earlier ones about its instance, unless their order cannot be seen."""
    assert expected == cut(commands, _KEYS)
