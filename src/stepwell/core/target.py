"""Read which step a restart should begin from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepwell.errors import InvalidRequest
from stepwell.model.step import StepKey, StepKind

_KINDS = {kind.value: kind for kind in (StepKind.DO, StepKind.SLEEP, StepKind.WAIT)}
_KEYS = frozenset({"name", "count", "type"})


def parse_target(given: str | Mapping[str, Any]) -> StepKey:
    """Read a name, or `{"name", "count", "type"}`, as the key of a step.

    Raises:
        InvalidRequest: a key is unknown or missing, or a value is out of range.
    """
    if isinstance(given, str):
        return StepKey(StepKind.DO, given, 1)
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"from_step is {given!r:.80}; give a name or a mapping with a name")
    unknown = sorted(map(str, set(given) - _KEYS))
    if unknown:
        raise InvalidRequest(f"from_step has unknown keys {unknown}; there are name, count, type")
    name, count, kind = given.get("name"), given.get("count", 1), given.get("type", "do")
    if not isinstance(name, str):
        raise InvalidRequest(f"from_step needs the name of a step, not {name!r:.80}")
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise InvalidRequest(f"from_step.count is {count!r:.80}; it must be a whole number from 1")
    if kind not in _KINDS:
        raise InvalidRequest(f"from_step.type is {kind!r:.80}; there are {', '.join(_KINDS)}")
    return StepKey(_KINDS[kind], name, count)
