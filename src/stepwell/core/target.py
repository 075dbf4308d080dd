"""Read which step a restart should begin from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from stepwell.core.shown import shown
from stepwell.errors import InvalidRequest
from stepwell.model.step import StepKey, StepKind

_KINDS = {kind.value: kind for kind in (StepKind.DO, StepKind.SLEEP, StepKind.WAIT)}
_COUNT_MAX = 2**31 - 1
_NEVER_IN_A_NAME = re.compile("[\x00-\x1f\ud800-\udfff]")
_KEYS = frozenset({"name", "count", "type"})


def parse_target(given: str | Mapping[str, Any]) -> StepKey:
    """Read a name, or `{"name", "count", "type"}`, as the key of a step.

    Raises:
        InvalidRequest: a key is unknown or missing, or a value is out of range.
    """
    if isinstance(given, str):
        return StepKey(StepKind.DO, _check_name(given), 1)
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"from_step is {shown(given)}; give a name or a mapping with a name")
    unknown = sorted(map(str, set(given) - _KEYS))
    if unknown:
        raise InvalidRequest(f"from_step has unknown keys {unknown}; there are name, count, type")
    name, count, kind = given.get("name"), given.get("count", 1), given.get("type", "do")
    if not isinstance(name, str):
        raise InvalidRequest(f"from_step needs the name of a step, not {shown(name)}")
    if not isinstance(count, int) or isinstance(count, bool) or not 1 <= count <= _COUNT_MAX:
        raise InvalidRequest(
            f"from_step.count is {shown(count)}; it must be a whole number from 1 to {_COUNT_MAX}"
        )
    if not isinstance(kind, str) or kind not in _KINDS:
        raise InvalidRequest(f"from_step.type is {shown(kind)}; there are {', '.join(_KINDS)}")
    return StepKey(_KINDS[kind], _check_name(name), count)


def _check_name(name: str) -> str:
    """Refuse what no step can be called, because a store may not even be able to look for it."""
    if _NEVER_IN_A_NAME.search(name):
        raise InvalidRequest(
            f"from_step names {shown(name)}, but no step's name has control or half characters; "
            "see steps() for the names that are"
        )
    return name
