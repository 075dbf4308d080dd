"""The main file: imported as its place asks, with what the project file promises in it."""

import sys
from itertools import count

import pytest

from stepwell.errors import ProjectError
from stepwell.runtime.loading import load_code
from stepwell.runtime.project import load_project
from tests.runtime.support import WORKFLOW, write_project

MY_WORKFLOW = """
from stepwell import WorkflowEntrypoint

class MyWorkflow(WorkflowEntrypoint):
    async def run(self, event, step):
        return 1
"""
NUMBERS = count()


@pytest.fixture(autouse=True)
def clean_imports():
    """Leave the import system as it was, for the next project of the same process."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if name.startswith("project_"):
            del sys.modules[name]


@pytest.fixture
def name():
    """A module name of this test's own."""
    return f"project_{next(NUMBERS)}"


def load(folder, main, code, **keys):
    return load_code(load_project(write_project(folder, main, code, **keys)))


def problem_of(folder, main, code, **keys):
    with pytest.raises(ProjectError) as caught:
        load(folder, main, code, **keys)
    (problem,) = caught.value.problems
    return problem


def test_workflows_and_app(tmp_path, name):
    """The classes are found under the workflows' names, and the app under its own."""
    code = f"{MY_WORKFLOW}\nasync def app(scope, receive, send): ...\n"

    found = load(tmp_path, f"{name}.py", code, workflows=[WORKFLOW])

    assert {"my-workflow": found.module.MyWorkflow} == found.workflows
    assert found.module.app is found.app
    assert name == found.module.__name__


def test_workflows_alone(tmp_path, name):
    """A project of workflows needs no app."""
    assert None is load(tmp_path, f"{name}.py", MY_WORKFLOW, workflows=[WORKFLOW]).app


def test_app_alone(tmp_path, name):
    """A project with an app needs no workflows."""
    assert {} == load(tmp_path, f"{name}.py", "def app(): ...").workflows


def test_neighbours_are_importable(tmp_path, name):
    """From the main file its own folder and the project's are importable."""
    (tmp_path / f"{name}_top.py").write_text("A = 1")
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / f"{name}_near.py").write_text("B = 2")
    code = f"from {name}_top import A\nfrom {name}_near import B\ndef app(): ...\n"

    module = load(tmp_path, f"src/{name}.py", code).module

    assert (1, 2) == (module.A, module.B)


def test_main_in_a_package(tmp_path, name):
    """A main file in a package is imported as part of it, so relative imports work."""
    folder = tmp_path / "src" / name / "web"
    folder.mkdir(parents=True)
    (tmp_path / "src" / name / "__init__.py").touch()
    (folder / "__init__.py").touch()
    (folder / "other.py").write_text("A = 1")
    code = "from .other import A\ndef app(): ...\n"

    module = load(tmp_path, f"src/{name}/web/main.py", code).module

    assert (1, f"{name}.web.main") == (module.A, module.__name__)


def test_workflow_imported_into_main(tmp_path, name):
    """A class may be defined elsewhere, as long as the main file imports it."""
    (tmp_path / f"{name}_flows.py").write_text(MY_WORKFLOW)

    found = load(
        tmp_path, f"{name}.py", f"from {name}_flows import MyWorkflow", workflows=[WORKFLOW]
    )

    assert f"{name}_flows" == found.workflows["my-workflow"].__module__


def test_foreign_workflow_needs_no_class(tmp_path, name):
    """The class of another project's workflow is not looked for here."""
    foreign = {**WORKFLOW, "script_name": "other-app"}

    assert {} == load(tmp_path, f"{name}.py", "", workflows=[foreign]).workflows


def test_class_that_is_not_there(tmp_path, name):
    """A missing class is told with the workflow classes that there are."""
    code = MY_WORKFLOW.replace("MyWorkflow", "YourWorkflow")

    problem = problem_of(tmp_path, f"{name}.py", code, workflows=[WORKFLOW])

    assert "workflows[0].class_name" == problem.key
    expected = f"there is no class 'MyWorkflow' in {name}.py; workflow classes there: YourWorkflow"
    assert expected == problem.what


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("class MyWorkflow: ...", "is no subclass of WorkflowEntrypoint"),
        ("MyWorkflow = 5", "is no subclass of WorkflowEntrypoint"),
        ("def MyWorkflow(): ...", "is no subclass of WorkflowEntrypoint"),
        (MY_WORKFLOW.replace("run", "ruin"), "has no run() of its own"),
    ],
)
def test_unfit_class(code, what, tmp_path, name):
    """A class that is no workflow, or has no run, is told to be."""
    problem = problem_of(tmp_path, f"{name}.py", code, workflows=[WORKFLOW])

    assert what in problem.what


def test_all_unfit_classes_at_once(tmp_path, name):
    """Each class that is missing is told, not only the first."""
    second = {"binding": "B", "name": "b", "class_name": "B"}

    with pytest.raises(ProjectError) as caught:
        load(tmp_path, f"{name}.py", "app = 5", workflows=[WORKFLOW, second])

    keys = [problem.key for problem in caught.value.problems]
    assert ["workflows[0].class_name", "workflows[1].class_name", "main"] == keys


def test_app_that_is_none(tmp_path, name):
    """An `app` that cannot be called is told to be none."""
    assert "is no ASGI app but 5" in problem_of(tmp_path, f"{name}.py", "app = 5").what


def test_nothing_to_run(tmp_path, name):
    """A project with neither workflows nor an app is told so."""
    problem = problem_of(tmp_path, f"{name}.py", "")

    assert f"{name}.py has no `app`, and there are no workflows" == problem.what


@pytest.mark.parametrize(
    ("code", "line", "what"),
    [
        ("x = 1\n1 / 0\n", 2, "ZeroDivisionError: division by zero"),
        ("\n\nimport not_there_at_all\n", 3, "No module named 'not_there_at_all'"),
        ("def f(:\n", 1, "SyntaxError: invalid syntax"),
        ("import sys\nsys.exit('bye')\n", 2, "SystemExit: bye"),
        ("from stepwell import Workfow\n", 1, "cannot import name 'Workfow'"),
    ],
)
def test_import_that_fails(code, line, what, tmp_path, name):
    """An import that fails is told with the file, the line and what failed."""
    problem = problem_of(tmp_path, f"{name}.py", code)

    assert (f"{name}.py", f"line {line}") == (problem.file, problem.key)
    assert what in problem.what


def test_import_that_fails_further_down(tmp_path, name):
    """The place is the last one in the project's own code, also below other people's."""
    (tmp_path / f"{name}_deep.py").write_text("import json\n\njson.loads('{')\n")

    problem = problem_of(tmp_path, f"{name}.py", f"import {name}_deep\n")

    assert (f"{name}_deep.py", "line 3") == (problem.file, problem.key)
    assert "JSONDecodeError" in problem.what


def test_cloudflares_module(tmp_path, name):
    """A project that imports `workers` is told what this version has instead."""
    problem = problem_of(tmp_path, f"{name}.py", "from workers import WorkflowEntrypoint\n")

    assert "import the names from stepwell" in problem.todo


@pytest.mark.parametrize("main", ["json.py", "asyncio.py"])
def test_name_that_is_taken(main, tmp_path):
    """A main file whose name another module has is told to be renamed."""
    problem = problem_of(tmp_path, main, "def app(): ...")

    assert "another module has that name" in problem.what
    assert "Rename the file" == problem.todo


def test_dot_in_the_name(tmp_path):
    """A file name with a dot cannot be imported, and is told so."""
    assert "has a dot in its name" in problem_of(tmp_path, "app.v2.py", "").what
