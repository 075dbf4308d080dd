"""How an instance ended, as `result()` gives or raises it."""

from __future__ import annotations

from typing import Any, Final

from stepwell.core import payload
from stepwell.core.shown import shown
from stepwell.engine.facts import error_of
from stepwell.errors import InstanceErrored, InstanceTerminated
from stepwell.model.instance import Ref
from stepwell.model.step import Fact, FactKind

ENDS: Final = frozenset({FactKind.COMPLETED, FactKind.ERRORED, FactKind.TERMINATED})
_ERROR_CHARS_MAX: Final = 2_000


def result_of(ref: Ref, last: Fact) -> Any:
    """Give the output of an instance whose last fact this is, or raise how else it ended."""
    if last.kind is FactKind.COMPLETED:
        return payload.decode(last.payload) if last.payload is not None else None
    if last.kind is FactKind.TERMINATED:
        raise InstanceTerminated(f"{ref.workflow}/{ref.id} was terminated")
    error = error_of(last.detail)
    raise InstanceErrored(
        f"{ref.workflow}/{ref.id} ended with {shown(error, _ERROR_CHARS_MAX)}"
    ) from error
