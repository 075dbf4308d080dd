"""Project folders, as tests need them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stepwell.errors import ProjectError
from stepwell.runtime.project import Project, load_project

WORKFLOW = {"binding": "MY_WORKFLOW", "name": "my-workflow", "class_name": "MyWorkflow"}


def write_project(folder: Path, main: str = "app.py", code: str = "", **keys: Any) -> Path:
    """Write a project whose file has these keys beside its name and main; give the file."""
    path = folder / main
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(code, encoding="utf-8")
    return write_file(folder, json.dumps({"name": "my-app", "main": main, **keys}))


def write_file(folder: Path, text: str, name: str = "wrangler.jsonc") -> Path:
    """Write a project file as it is given."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def project_with(folder: Path, **keys: Any) -> Project:
    """Load a project whose file has these keys."""
    return load_project(write_project(folder, **keys))


def problems_of(folder: Path, **keys: Any) -> dict[str, str]:
    """Load such a project, and give what is wrong with it by the place in the file."""
    try:
        project_with(folder, **keys)
    except ProjectError as error:
        return {problem.key: problem.what for problem in error.problems}
    return {}


def workflow_problems(folder: Path, **changed: Any) -> dict[str, str]:
    """Give what is wrong with a project whose one workflow has these keys changed."""
    return problems_of(folder, workflows=[{**WORKFLOW, **changed}])


def workflow_warnings(folder: Path, **changed: Any) -> dict[str, str]:
    """Give the warnings about a project whose one workflow has these keys changed."""
    return warnings_of(project_with(folder, workflows=[{**WORKFLOW, **changed}]))


def warnings_of(project: Project) -> dict[str, str]:
    """Give a project's warnings by the place in the file."""
    return {warning.key: warning.what for warning in project.warnings}
