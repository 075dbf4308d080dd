"""What is wrong with a project: all of it at once, each with its place and a way out."""

from __future__ import annotations

from dataclasses import dataclass, field

from stepwell.errors import ProjectError
from stepwell.model.problem import Problem


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
