"""One JSON object of the project file, read key by key; what does not fit becomes a finding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeAlias

from stepwell.runtime.problems import Findings

JsonValue: TypeAlias = "bool | int | float | str | list[JsonValue] | dict[str, JsonValue] | None"

_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "a number"),
    (float, "a number"),
    (str, "a string"),
    (list, "an array"),
    (dict, "an object"),
)


@dataclass(frozen=True, slots=True)
class Table:
    """An object, the path that leads to it, and where to report what is wrong with it."""

    values: Mapping[str, JsonValue]
    path: str
    findings: Findings

    def key(self, name: str) -> str:
        """Give the full path of a key of this object."""
        return f"{self.path}.{name}" if self.path else name

    def string(self, name: str, todo: str) -> str | None:
        """Read a string that must be there; None after an error."""
        if name not in self.values:
            self.findings.error(self.key(name), "is missing", todo)
            return None
        return self.optional_string(name, todo)

    def optional_string(self, name: str, todo: str) -> str | None:
        """Read a string that need not be there; it may not be empty. None after an error."""
        value = self.values.get(name)
        if name not in self.values:
            return None
        if not isinstance(value, str):
            self.wrong_kind(name, "a string", todo)
            return None
        if not value.strip():
            self.findings.error(self.key(name), "is empty", todo)
            return None
        return value

    def table(self, name: str, todo: str) -> Table | None:
        """Read an object that need not be there."""
        if name not in self.values:
            return None
        value = self.values[name]
        if not isinstance(value, dict):
            self.wrong_kind(name, "an object", todo)
            return None
        return Table(value, self.key(name), self.findings)

    def tables(self, name: str, todo: str) -> list[Table]:
        """Read an array of objects that need not be there; items that are none are left out."""
        if name not in self.values:
            return []
        value = self.values[name]
        if not isinstance(value, list):
            self.wrong_kind(name, "an array", todo)
            return []
        found = []
        for index, item in enumerate(value):
            key = f"{self.key(name)}[{index}]"
            if isinstance(item, dict):
                found.append(Table(item, key, self.findings))
            else:
                self.findings.error(key, f"must be an object, but is {kind_of(item)}", todo)
        return found

    def strings(self, name: str, todo: str) -> tuple[str, ...]:
        """Read an array of strings, none of them empty, that need not be there."""
        if name not in self.values:
            return ()
        value = self.values[name]
        if not isinstance(value, list):
            self.wrong_kind(name, "an array of strings", todo)
            return ()
        for index, item in enumerate(value):
            key = f"{self.key(name)}[{index}]"
            if not isinstance(item, str):
                self.findings.error(key, f"must be a string, but is {kind_of(item)}", todo)
            elif not item.strip():
                self.findings.error(key, "is empty", todo)
        return tuple(item for item in value if isinstance(item, str))

    def wrong_kind(self, name: str, wanted: str, todo: str) -> None:
        """Report a value of the wrong kind."""
        found = kind_of(self.values[name])
        self.findings.error(self.key(name), f"must be {wanted}, but is {found}", todo)

    def warn_unexpected(self, known: Iterable[str], told: Iterable[str] | None = None) -> None:
        """Report each key that is not among the known ones; it changes nothing.

        Args:
            known: what is expected.
            told: the part of it that a message lists, where all of it would be a wall of names.
        """
        known = sorted(known)
        listed = ", ".join(known if told is None else sorted(told))
        for name in self.values:
            if name not in known:
                close = get_close_matches(name, known, n=1)
                hint = f" (did you mean {close[0]}?)" if close else ""
                self.findings.warn(
                    self.key(name),
                    "is an unexpected field and has no effect",
                    f"Remove it, or correct its name{hint}; supported here: {listed}",
                )


def kind_of(value: JsonValue) -> str:
    """Say in words of what kind a JSON value is."""
    return next((words for kind, words in _KINDS if isinstance(value, kind)), "null")
