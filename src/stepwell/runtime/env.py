"""`env`: what a project's code finds its variables, secrets, databases and workflows on."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, NoReturn, Self

from stepwell.runtime.bound_workflow import BoundWorkflow, WellSlot
from stepwell.runtime.d1 import D1Database
from stepwell.runtime.problems import Findings
from stepwell.runtime.project import Project
from stepwell.runtime.secrets import FILE_NAME as SECRETS_FILE


class Env:
    """Names with their values, read as attributes or as items; never changed.

    Its own text shows names and kinds, no values: some of them are secret.
    """

    __slots__ = ("__values",)

    def __init__(self, values: Mapping[str, object]) -> None:
        object.__setattr__(self, "_Env__values", dict(values))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        try:
            return self.__values[name]
        except KeyError:
            raise AttributeError(_missing(name, self.__values)) from None

    def __getitem__(self, name: str) -> Any:
        try:
            return self.__values[name]
        except KeyError:
            raise KeyError(_missing(name, self.__values)) from None

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"env is not for writing; {name} would be lost with the process")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"env is not for writing; {name} stays")

    def __copy__(self) -> Self:
        return self  # it never changes

    def __deepcopy__(self, memo: object) -> Self:
        return self

    def __contains__(self, name: object) -> bool:
        return name in self.__values

    def __iter__(self) -> Iterator[str]:
        return iter(self.__values)

    def __len__(self) -> int:
        return len(self.__values)

    def __dir__(self) -> list[str]:
        return sorted(self.__values)

    def __repr__(self) -> str:
        shown = (f"{name}: {type(value).__name__}" for name, value in self.__values.items())
        return f"<Env {', '.join(shown)}>"


def build_env(
    project: Project,
    *,
    secrets: Mapping[str, str],
    databases: Mapping[str, D1Database],
    slot: WellSlot,
) -> Env:
    """Make the env of a project; a secret takes the place of a variable of its name.

    Args:
        secrets: by name.
        databases: by the name of their binding.
        slot: where workflow bindings find Stepwell once it is open.

    Raises:
        ProjectError: a secret has the name of a binding.
    """
    workflows = {found.binding: BoundWorkflow(found.name, slot) for found in project.own_workflows}
    findings = Findings(SECRETS_FILE)
    for name in sorted(secrets.keys() & (workflows.keys() | databases.keys())):
        findings.error(
            name,
            f"is also the name of a binding in {project.path.name}",
            "Give one of the two another name",
        )
    findings.raise_errors()
    variables = copy.deepcopy(dict(project.vars))
    return Env({**variables, **secrets, **databases, **workflows})


def _missing(name: str, values: Mapping[str, object]) -> str:
    known = ", ".join(sorted(values)) or "nothing"
    close = get_close_matches(name, values, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return (
        f"env has no {name}; it has: {known}.{hint} Names come from vars and the bindings of the "
        f"project file, and from {SECRETS_FILE}"
    )
