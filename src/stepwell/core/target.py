"""Read which step a restart should begin from, and find it in a history."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stepwell.core.shown import shown
from stepwell.errors import InvalidRequest
from stepwell.model.step import StepKey, StepKind

_KINDS = {kind.value: kind for kind in (StepKind.DO, StepKind.SLEEP, StepKind.WAIT)}
# What the view of a step calls a `do`, so that its `type` can be handed back.
_KINDS_READ = {**_KINDS, "step": StepKind.DO}
_KEYS = frozenset({"name", "count", "type"})
_COUNT_MAX = 2**31 - 1
_NEVER_IN_A_NAME = re.compile("[\x00-\x1f\ud800-\udfff]")
_LABEL = re.compile("(.*)-([1-9][0-9]{0,8})", re.DOTALL)
_NEAR_MAX = 3
_COMPARED_MAX = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A step as somebody names it; what was left out is None.

    A name that came by itself may be a label, `name-count`; in a mapping the count has its place.
    """

    name: str
    count: int | None = None
    kind: StepKind | None = None
    may_be_label: bool = False

    @property
    def key(self) -> StepKey:
        """The step that is meant where nothing else is said: the first `do` of that name."""
        return StepKey(self.kind or StepKind.DO, self.name, self.count or 1)


def parse_target(given: str | Mapping[str, Any]) -> Target:
    """Read a name, or `{"name", "count", "type"}`.

    Raises:
        InvalidRequest: a key is unknown or missing, or a value is out of range.
    """
    if isinstance(given, str):
        return Target(name=_check_name(given), may_be_label=True)
    if not isinstance(given, Mapping):
        raise InvalidRequest(f"from_step is {shown(given)}; give a name or a mapping with a name")
    unknown = sorted(map(str, set(given) - _KEYS))
    if unknown:
        raise InvalidRequest(f"from_step has unknown keys {unknown}; there are name, count, type")
    name = given.get("name")
    if not isinstance(name, str):
        raise InvalidRequest(f"from_step needs the name of a step, not {shown(name)}")
    return Target(
        name=_check_name(name),
        count=_read_count(given["count"]) if "count" in given else None,
        kind=_read_kind(given["type"]) if "type" in given else None,
    )


def find_step(target: Target, keys: Iterable[StepKey]) -> StepKey | None:
    """Find the step that is meant among those of a history; None if it is not there.

    A step of that very name comes first, and a `do` before others; then a name that came
    by itself is read as the label that people see.

    Raises:
        InvalidRequest: no `do` is called that, but a sleep and a wait are.
    """
    known = {key for key in keys if key.kind in _KINDS.values()}
    readings = [target]
    label = _LABEL.fullmatch(target.name) if target.may_be_label else None
    if label is not None and not any(key.name == target.name for key in known):
        readings.append(Target(name=label[1], count=int(label[2])))
    for reading in readings:
        kinds = _kinds_of(reading, known)
        found = [key for kind in kinds if (key := _with(kind, reading)) in known]
        if len(found) > 1:
            raise InvalidRequest(
                f"from_step {shown(target.name)} is a sleep and a waitForEvent; "
                "give a mapping with name and type"
            )
        if found:
            return found[0]
    return None


def near_steps(target: Target, keys: Iterable[StepKey]) -> str:
    """Write the steps of a history whose names are like the one asked for; empty if none is."""
    counts: dict[tuple[str, StepKind], int] = {}
    for kind, name, count in keys:
        if kind in _KINDS.values():
            counts[name, kind] = max(count, counts.get((name, kind), 0))
    names = list(dict.fromkeys(name for name, _ in counts))[:_COMPARED_MAX]
    near = difflib.get_close_matches(target.name, names, n=_NEAR_MAX)
    return ", ".join(
        f"{shown(name)} ({kind.value}, count {'1' if last == 1 else f'1 to {last}'})"
        for close in near
        for (name, kind), last in counts.items()
        if name == close
    )


def _kinds_of(target: Target, known: Iterable[StepKey]) -> list[StepKind]:
    """Tell which kinds may be meant: the one that is given; else `do` if one is called that."""
    if target.kind is not None:
        return [target.kind]
    has_do = any(key.name == target.name and key.kind is StepKind.DO for key in known)
    return [StepKind.DO] if has_do else [StepKind.SLEEP, StepKind.WAIT]


def _with(kind: StepKind, target: Target) -> StepKey:
    return StepKey(kind, target.name, target.count or 1)


def _check_name(name: str) -> str:
    """Refuse what no step can be called, because a store may not even be able to look for it."""
    if _NEVER_IN_A_NAME.search(name):
        raise InvalidRequest(
            f"from_step names {shown(name)}, but no step's name has control or half characters; "
            "see steps() for the names that are"
        )
    return name


def _read_count(count: object) -> int:
    if isinstance(count, int) and not isinstance(count, bool) and 1 <= count <= _COUNT_MAX:
        return count
    raise InvalidRequest(
        f"from_step.count is {shown(count)}; it must be a whole number from 1 to {_COUNT_MAX}"
    )


def _read_kind(kind: object) -> StepKind:
    if isinstance(kind, str) and kind in _KINDS_READ:
        return _KINDS_READ[kind]
    raise InvalidRequest(f"from_step.type is {shown(kind)}; there are {', '.join(_KINDS)}")
