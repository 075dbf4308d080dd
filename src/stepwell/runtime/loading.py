"""Import a project's main file, and find in it what the project file promises."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from stepwell.authoring.workflow import WorkflowEntrypoint
from stepwell.errors import ProjectError
from stepwell.model.problem import Problem
from stepwell.runtime.bindings import WorkflowBinding
from stepwell.runtime.problems import Findings
from stepwell.runtime.project import Project

WorkflowClass = type[WorkflowEntrypoint[Any, Any]]

APP_NAME = "app"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """The code of a project.

    Attributes:
        workflows: the classes by the workflow's name.
        app: the ASGI app, if there is one.
    """

    module: ModuleType
    workflows: Mapping[str, WorkflowClass]
    app: Any | None


def load_code(project: Project) -> Code:
    """Import the main file and find the project's workflow classes and its app.

    The folders of the project file and of the main file become importable. A main file that is
    part of a package is imported as part of it, so that relative imports work.

    Raises:
        ProjectError: the import failed, or a class is missing or unfit; tells all reasons.
    """
    module = _import_main(project)
    findings = Findings(project.path.name)
    found = {
        binding.name: _find_class(module, binding, project, findings)
        for binding in project.own_workflows
    }
    app = getattr(module, APP_NAME, None)
    if app is not None and not callable(app):
        what = f"`{APP_NAME}` in {_shown(project.main, project)} is no ASGI app but {app!r:.80}"
        findings.error("main", what, "Give the app this name, or the other thing another one")
    if app is None and not project.workflows:
        what = f"{_shown(project.main, project)} has no `{APP_NAME}`, and there are no workflows"
        findings.error("main", what, "Define an ASGI app, or name workflows in the project file")
    findings.raise_errors()
    workflows = {name: entrypoint for name, entrypoint in found.items() if entrypoint is not None}
    return Code(module=module, workflows=workflows, app=app)


def _import_main(project: Project) -> ModuleType:
    name, folder = _module_name(project)
    for entry in (str(project.root), str(folder)):
        if entry in sys.path:
            sys.path.remove(entry)
        sys.path.insert(0, entry)
    if name in sys.modules:
        _check_origin(sys.modules[name], project)
    importlib.invalidate_caches()
    try:
        module = importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise ProjectError([_import_problem(error, project)]) from error
    _check_origin(module, project)
    return module


def _module_name(project: Project) -> tuple[str, Path]:
    """Give the dotted name of the main module, and the folder from which it is imported."""
    main = project.main
    parts, folder = [main.stem], main.parent
    while (folder / "__init__.py").is_file() and folder.parent != folder:
        parts, folder = [folder.name, *parts], folder.parent
    if "." in main.stem:
        _refuse(project, f"has a dot in its name, {main.name!r}", "Rename it, with _ for the dot")
    if parts[-1] == "__init__" and len(parts) > 1:
        parts.pop()
    return ".".join(parts), folder


def _check_origin(module: ModuleType, project: Project) -> None:
    origin = getattr(module, "__file__", None)
    if origin is None or Path(origin).resolve() != project.main:
        _refuse(
            project,
            f"cannot be imported as {module.__name__!r}: another module has that name "
            f"({origin or 'built in'})",
            "Rename the file",
        )


def _find_class(
    module: ModuleType, binding: WorkflowBinding, project: Project, findings: Findings
) -> WorkflowClass | None:
    key, main = f"{binding.key}.class_name", _shown(project.main, project)
    found = getattr(module, binding.class_name, None)
    if found is None:
        known = ", ".join(_workflow_classes(module)) or "none"
        what = (
            f"there is no class {binding.class_name!r} in {main}; workflow classes there: {known}"
        )
        findings.error(key, what, "Correct the name, or define or import the class there")
    elif not (isinstance(found, type) and issubclass(found, WorkflowEntrypoint)):
        what = f"{binding.class_name!r} in {main} is no subclass of WorkflowEntrypoint"
        findings.error(key, what, f"Write class {binding.class_name}(WorkflowEntrypoint)")
    elif found.run is WorkflowEntrypoint.run:
        what = f"class {binding.class_name!r} in {main} has no run() of its own"
        findings.error(key, what, "Define async def run(self, event, step)")
    else:
        return found
    return None


def _workflow_classes(module: ModuleType) -> list[str]:
    return sorted(
        name
        for name, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, WorkflowEntrypoint)
        and value is not WorkflowEntrypoint
    )


def _import_problem(error: BaseException, project: Project) -> Problem:
    """Tell what an import died of, at the last place that is the project's own."""
    file, line = _shown(project.main, project), None
    if isinstance(error, SyntaxError) and error.filename:
        file, line = _shown(Path(error.filename), project), error.lineno
    else:
        for frame in traceback.extract_tb(error.__traceback__):
            if project.root in Path(frame.filename).resolve().parents:
                file, line = _shown(Path(frame.filename), project), frame.lineno
    words = traceback.format_exception_only(error)
    what = " ".join(words[-1].split()) if words else repr(error)
    return Problem(
        file=file,
        key=f"line {line}" if line is not None else "",
        what=f"the import failed: {what}",
        todo=_advice(error),
    )


def _advice(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name == "workers":
        return "This version has no `workers` module yet; import the names from stepwell"
    if isinstance(error, ModuleNotFoundError):
        return f"Install {error.name}, or correct the name"
    return "Correct it, and start again"


def _shown(path: Path, project: Project) -> str:
    resolved, root = path.resolve(), project.root.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)


def _refuse(project: Project, what: str, todo: str) -> NoReturn:
    file = _shown(project.main, project)
    raise ProjectError([Problem(file=file, key="", what=what, todo=todo)])
