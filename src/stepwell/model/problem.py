"""One thing that is wrong with a project: its place, and a way out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        file: the file, as people call it.
        key: where in it, as `workflows[0].name`, `line 3, column 5`, or "" for all of it.
        what: what is wrong.
        todo: what to do about it.
    """

    file: str
    key: str
    what: str
    todo: str

    def __str__(self) -> str:
        place = f"{self.file}: {self.key}" if self.key else self.file
        return f"{place}: {self.what}. {self.todo}."
