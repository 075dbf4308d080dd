"""The project file, read and checked: `wrangler.jsonc` in, a `Project` out.

The rules are those of Cloudflare's own tool, so that one file serves both. All problems are
reported together; what has no effect here is a warning, and the project runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from stepwell.model.problem import Problem
from stepwell.runtime.bindings import (
    D1Binding,
    WorkflowBinding,
    read_d1_databases,
    read_workflows,
)
from stepwell.runtime.problems import Findings
from stepwell.runtime.table import JsonValue, Table
from stepwell.runtime.wrangler_file import find_file, read_file
from stepwell.runtime.wrangler_keys import NOT_SUPPORTED, READ, WITHOUT_EFFECT

__all__ = ["D1Binding", "Project", "WorkflowBinding", "load_project"]

_NAME = re.compile(r"[a-z0-9_][a-z0-9_-]{0,62}")
_NAME_TODO = 'Give the project a name of at most 63 of a-z, 0-9, "-" and "_", such as "my-app"'
_MAIN_TODO = 'Name the Python file that holds the app and the workflows, such as "src/app.py"'
_DATE_TODO = 'Write a date, such as "2026-10-01"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A project as its file describes it.

    Attributes:
        main: the Python file that holds the app and the workflow classes.
        path: the project file.
        root: its folder.
        warnings: what in the file has no effect, or not yet.
    """

    name: str
    main: Path
    compatibility_date: str | None
    compatibility_flags: tuple[str, ...]
    vars: Mapping[str, JsonValue]
    workflows: tuple[WorkflowBinding, ...]
    d1_databases: tuple[D1Binding, ...]
    path: Path
    root: Path
    warnings: tuple[Problem, ...] = ()

    @property
    def own_workflows(self) -> tuple[WorkflowBinding, ...]:
        """The workflows whose classes this project holds."""
        return tuple(found for found in self.workflows if not found.is_foreign)


def load_project(place: Path) -> Project:
    """Read the project at a place: its file, or a folder in which or above which the file lies.

    Raises:
        ProjectError: it cannot be run as it is; tells all reasons.
    """
    path = find_file(place) if place.is_dir() else place.absolute()
    table = read_file(path)
    findings = table.findings
    project = _read_project(table, path)
    _check_names_once(project, findings)
    _warn_top_level(table)
    findings.raise_errors()
    return replace(project, warnings=tuple(findings.warnings))


def _read_project(table: Table, path: Path) -> Project:
    name = _read_name(table)
    main = table.string("main", _MAIN_TODO)
    return Project(
        name=name,
        main=_find_main(table, path.parent, main) if main is not None else path.parent,
        compatibility_date=_read_date(table),
        compatibility_flags=table.strings(
            "compatibility_flags", 'Write an array such as ["python_workers"]'
        ),
        vars=_read_vars(table),
        workflows=read_workflows(table, name),
        d1_databases=read_d1_databases(table),
        path=path,
        root=path.parent,
    )


def _read_name(table: Table) -> str:
    name = table.string("name", _NAME_TODO)
    if name is not None and not _NAME.fullmatch(name):
        table.findings.error("name", f"is {name!r}, which is no name of a project", _NAME_TODO)
    return name or ""


def _find_main(table: Table, root: Path, main: str) -> Path:
    try:
        path = (root / main).resolve()
        is_file = path.is_file()
    except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL, a loop of links, …
        reason = error.strerror if isinstance(error, OSError) else error
        table.findings.error(
            "main", f"is {main!a:.80}, which is no path: {reason!s:.200}", _MAIN_TODO
        )
        return root
    if path.suffix != ".py":
        table.findings.error("main", f"is {main!r}, which is no Python file", _MAIN_TODO)
    elif not is_file:
        table.findings.error("main", f"is {main!r}, but there is no file {path}", _MAIN_TODO)
    return path


def _read_date(table: Table) -> str | None:
    text = table.optional_string("compatibility_date", _DATE_TODO)
    if text is None:
        return None
    try:
        date.fromisoformat(text)
    except ValueError:
        table.findings.error("compatibility_date", f"is {text!r}, which is no date", _DATE_TODO)
    return text


def _read_vars(table: Table) -> Mapping[str, JsonValue]:
    found = table.table("vars", 'Write an object such as {"GREETING": "hello"}')
    if found is None:
        return {}
    if "" in found.values:
        found.findings.error("vars", "has a variable without a name", "Give it one")
    return found.values


def _check_names_once(project: Project, findings: Findings) -> None:
    places: dict[str, list[str]] = {}
    for name, place in _names_on_env(project):
        places.setdefault(name, []).append(place)
    for name, found in places.items():
        if name and len(found) > 1:
            findings.error(
                found[-1],
                f"{name!r} is taken: on env it would stand for {' and for '.join(found)}",
                "Give each binding and variable its own name",
            )


def _names_on_env(project: Project) -> Iterable[tuple[str, str]]:
    yield from ((name, f"vars.{name}") for name in project.vars)
    yield from ((found.binding, f"{found.key}.binding") for found in project.workflows)
    yield from ((found.binding, f"{found.key}.binding") for found in project.d1_databases)


def _warn_top_level(table: Table) -> None:
    absent = sorted(NOT_SUPPORTED & set(table.values))
    if absent:
        table.findings.warn(
            ", ".join(absent),
            "not supported by this version of Stepwell",
            "The project runs without; code that uses them will miss them on env",
        )
    table.warn_unexpected(READ | NOT_SUPPORTED | WITHOUT_EFFECT, told=READ)
