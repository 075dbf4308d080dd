"""A project for the tests of the HTTP edge: its file on disk, its code in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from stepwell.authoring.workflow import WorkflowEntrypoint
from stepwell.http.app import ASGIApp
from stepwell.runtime.env import Env
from stepwell.runtime.loading import Code, WorkflowClass
from stepwell.runtime.project import Project, load_project

FILE: dict[str, Any] = {
    "name": "sample",
    "main": "main.py",
    "vars": {"GREETING": "hello"},
    "workflows": [
        {
            "binding": "PARENT",
            "name": "parent",
            "class_name": "Parent",
            "default_retention": {"success_retention": "1 hour"},
        },
        {"binding": "CHILD", "name": "child", "class_name": "Child"},
        {"binding": "SHORT", "name": "short", "class_name": "Short", "limits": {"steps": 1}},
    ],
    "d1_databases": [
        {"binding": "DB", "database_name": "notes"},
        {"binding": "SAME_DB", "database_name": "notes"},
        {"binding": "OTHER_DB", "database_name": "others"},
    ],
}


class Child(WorkflowEntrypoint[Env, Any]):
    async def run(self, event, step):
        return await step.do("greet", lambda: self.env.GREETING)


class Parent(WorkflowEntrypoint[Env, Any]):
    async def run(self, event, step):
        async def start() -> str:
            return (await self.env.CHILD.create(id="of-parent")).id

        await step.do("start", start)
        return "done"


class Short(WorkflowEntrypoint[Env, Any]):
    async def run(self, event, step):
        return [await step.do("one", lambda: 1), await step.do("two", lambda: 2)]


CLASSES: dict[str, WorkflowClass] = {"parent": Parent, "child": Child, "short": Short}


def make_project(folder: Path) -> Project:
    """Write the project into a folder and read it."""
    (folder / "wrangler.jsonc").write_text(json.dumps(FILE), encoding="utf-8")
    (folder / "main.py").touch()
    return load_project(folder)


def make_code(app: ASGIApp | None = None) -> Code:
    """Give the project's code, with an app or without."""
    return Code(module=sys.modules[__name__], workflows=CLASSES, app=app)
