"""What is wrong with a project: all of it at once, each with its place and a way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from stepwell.errors import StepwellError


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


class ProjectError(StepwellError):
    """The project cannot be run as it is."""

    def __init__(self, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)) or None)


@dataclass(slots=True)
class Findings:
    """Gathers what a reading of one file finds; warnings let the project run, errors do not."""

    file: str
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def error(self, key: str, what: str, todo: str) -> None:
        """Note something that keeps the project from running."""
        self.errors.append(Problem(file=self.file, key=key, what=what, todo=todo))

    def warn(self, key: str, what: str, todo: str) -> None:
        """Note something that the user should know."""
        self.warnings.append(Problem(file=self.file, key=key, what=what, todo=todo))

    def raise_errors(self) -> None:
        """Raise all errors as one.

        Raises:
            ProjectError: there is at least one.
        """
        if self.errors:
            raise ProjectError(self.errors)
