"""What `import stepwell` offers, and what it costs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import stepwell

STUB = Path(stepwell.__file__).with_suffix(".pyi")


def in_a_new_process(code: str) -> str:
    """Run code in an interpreter that has loaded nothing of ours; give what it prints."""
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize("name", dir(stepwell))
def test_each_name_is_there(name: str) -> None:
    """Whatever is listed can be loaded."""
    assert getattr(stepwell, name) is not None


def test_the_stub_lists_the_same_names() -> None:
    """Type checkers see what there is at run time, and nothing else."""
    tree = ast.parse(STUB.read_text())
    imported = {
        alias.asname
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    listed = next(node.value for node in tree.body if isinstance(node, ast.Assign))

    assert set(dir(stepwell)) == imported | {"__version__"}
    assert set(stepwell.__all__) == set(ast.literal_eval(listed))


def test_what_annotations_need_is_public() -> None:
    """Names that stand in signatures, and errors that are to be caught, need no deeper import."""
    wanted = (
        "InvalidRequest WorkflowNotFound StoreError StoreBusy StoreFull StoreReadOnly StoreCorrupt "
        "SchemaTooNew DelayInput LogEvent InstanceState StepView StepConfigDict"
    )

    assert set(wanted.split()) <= set(stepwell.__all__)


def test_submodules_load_when_they_are_used() -> None:
    """`import stepwell` is enough for stepwell.blocking.open and stepwell.errors."""
    code = (
        "import stepwell; print(stepwell.blocking.open.__module__, "
        "stepwell.errors.InvalidRequest.__name__)"
    )

    assert "stepwell.blocking InvalidRequest" == in_a_new_process(code)


def test_a_star_import_leaves_the_builtin_open_alone() -> None:
    """`from stepwell import *` must not make open() open databases."""
    code = (
        "from stepwell import *; import builtins; "
        "print(open is builtins.open, WorkflowEntrypoint.__name__)"
    )

    assert "True WorkflowEntrypoint" == in_a_new_process(code)


def test_importing_it_is_light() -> None:
    """Nothing of ours, of pydantic or of asyncio loads before it is used."""
    code = "import sys, stepwell; print(*sys.modules)"
    loaded = in_a_new_process(code).split()
    heavy = {"pydantic", "asyncio", "sqlite3"}.intersection(loaded)

    assert set() == heavy | {name for name in loaded if name.startswith("stepwell.")}
