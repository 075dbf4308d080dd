"""`env`: variables, secrets and bindings under their names."""

import copy

import pytest

from stepwell.errors import ProjectError
from stepwell.runtime.bound_workflow import BoundWorkflow, WellSlot
from stepwell.runtime.d1 import D1Database
from stepwell.runtime.env import Env, build_env
from tests.runtime.support import WORKFLOW, project_with


def env_of(folder, *, secrets=None, **keys):
    project = project_with(folder, **keys)
    databases = {found.binding: D1Database(":memory:") for found in project.d1_databases}
    return build_env(project, secrets=secrets or {}, databases=databases, slot=WellSlot())


def test_variables_are_any_json(tmp_path):
    """A variable is what the project file says, numbers, lists and objects too."""
    variables = {"TEXT": "a", "NUMBER": 1.5, "ON": True, "NONE": None, "TREE": {"a": [1, {}]}}

    env = env_of(tmp_path, vars=variables)

    assert variables == {name: env[name] for name in env}
    assert 1.5 == env.NUMBER


def test_bindings(tmp_path):
    """Databases and the project's own workflows stand under their bindings, foreign ones do not."""
    foreign = {**WORKFLOW, "binding": "FOREIGN", "name": "other", "script_name": "other-app"}

    env = env_of(tmp_path, workflows=[WORKFLOW, foreign], d1_databases=[{"binding": "DB"}])

    assert isinstance(env.DB, D1Database)
    assert isinstance(env.MY_WORKFLOW, BoundWorkflow)
    assert "my-workflow" == env.MY_WORKFLOW.name
    assert {"DB", "MY_WORKFLOW"} == set(env)


def test_secret_in_place_of_a_variable(tmp_path):
    """A secret takes the place of a variable of its name."""
    env = env_of(tmp_path, vars={"KEY": "from the file", "A": 1}, secrets={"KEY": "hunter2"})

    assert ("hunter2", 1) == (env.KEY, env["A"])


def test_secret_with_the_name_of_a_binding(tmp_path):
    """A secret that would hide a binding is an error that names it, not its value."""
    with pytest.raises(ProjectError, match=r"\.dev\.vars: MY_WORKFLOW: is also") as caught:
        env_of(tmp_path, workflows=[WORKFLOW], secrets={"MY_WORKFLOW": "hunter2"})

    assert "hunter2" not in str(caught.value)


def test_missing_name():
    """A name that is not there is an error that lists those there are, and guesses."""
    env = Env({"DATABASE_URL": "x", "DB": 1})

    with pytest.raises(AttributeError) as by_attribute:
        env.DATABASE_ULR  # noqa: B018
    with pytest.raises(KeyError) as by_item:
        env["DATABASE_ULR"]

    expected = (
        "env has no DATABASE_ULR; it has: DATABASE_URL, DB. Did you mean DATABASE_URL? "
        "Names come from vars and the bindings of the project file, and from .dev.vars"
    )
    assert expected == str(by_attribute.value)
    assert (expected,) == by_item.value.args


def test_asking_for_a_name():
    """`hasattr`, `getattr` with a default, `in`, `len` and `dir` work as usual."""
    env = Env({"A": 1, "B": None})

    assert [True, True, False] == [hasattr(env, name) for name in "ABC"]
    assert "none" == getattr(env, "C", "none")
    assert ("A" in env, "C" in env, len(env), dir(env)) == (True, False, 2, ["A", "B"])


def test_values_are_not_shown():
    """The text of env shows names and kinds, never a value."""
    env = Env({"KEY": "hunter2", "LIMIT": 5})

    assert "<Env KEY: str, LIMIT: int>" == repr(env) == str(env) == f"{env}"


def test_not_for_writing():
    """Nothing on env can be set or deleted."""
    env = Env({"A": 1})

    with pytest.raises(AttributeError, match="not for writing"):
        env.A = 2
    with pytest.raises(AttributeError, match="not for writing"):
        del env.A
    assert 1 == env.A


def test_one_run_cannot_change_the_project(tmp_path):
    """What code does to a variable's list does not reach the project it came from."""
    project = project_with(tmp_path, vars={"LIST": [1]})
    env = build_env(project, secrets={}, databases={}, slot=WellSlot())

    env.LIST.append(2)

    assert {"LIST": [1]} == project.vars


def test_copy():
    """A copy of env, as deep as may be, is env itself; special methods are no names."""
    env = Env({"A": D1Database(":memory:")})

    assert env is copy.copy(env) is copy.deepcopy(env)
    assert not hasattr(Env({"__html__": 1}), "__html__")
