"""The entries of `workflows` and `d1_databases`: what is accepted, refused and warned about.

The numbers are those of the statements that the rules come from; two statements may be one rule.
"""

import pytest

from stepwell.errors import ProjectError
from stepwell.runtime.project import D1Binding, WorkflowBinding, load_project
from tests.runtime.support import (
    WORKFLOW,
    problems_of,
    project_with,
    warnings_of,
    workflow_problems,
    workflow_warnings,
    write_project,
)


def test_s178_valid_name(tmp_path):
    """A name of letters, digits, `-` and `_` is accepted."""
    assert {} == workflow_problems(tmp_path, name="My_workflow-2")


def test_s179_name_of_65_characters(tmp_path):
    """A name of 65 characters is refused, at its place in the file."""
    assert ["workflows[0].name"] == list(workflow_problems(tmp_path, name="a" * 65))


@pytest.mark.parametrize("name", ["", "   ", "a\nb", "name\n", "a.b", "a b", "ä", "-a", "#"])
def test_s180_names_that_break_the_rule(name, tmp_path):
    """Empty and blank names, and names with line ends, symbols or a dash in front, are refused."""
    assert ["workflows[0].name"] == list(workflow_problems(tmp_path, name=name))


def test_s181_name_of_64_characters(tmp_path):
    """A name of 64 characters is accepted."""
    assert {} == workflow_problems(tmp_path, name="a" * 64)


@pytest.mark.parametrize("missing", ["binding", "name", "class_name"])
def test_s182_missing_required_field(missing, tmp_path):
    """Each of binding, name and class_name must be there."""
    entry = {key: value for key, value in WORKFLOW.items() if key != missing}

    problems = problems_of(tmp_path, workflows=[entry])

    assert {f"workflows[0].{missing}": "is missing"} == problems


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("script_name", 1),
        ("limits", "many"),
        ("schedules", 5),
        ("default_retention", "3 days"),
        ("script_name", None),
    ],
)
def test_s183_optional_field_of_wrong_type(field, value, tmp_path):
    """An optional field that is there must be of its type; null is not absent."""
    problems = workflow_problems(tmp_path, **{field: value})

    assert [f"workflows[0].{field}"] == list(problems)
    assert problems[f"workflows[0].{field}"].startswith("must be ")


@pytest.mark.parametrize("value", [None, 1, 1.5, True, [], {}])
@pytest.mark.parametrize("field", ["binding", "name", "class_name"])
def test_s184_required_field_of_wrong_type(field, value, tmp_path):
    """A required field must be a string."""
    problems = workflow_problems(tmp_path, **{field: value})

    assert [f"workflows[0].{field}"] == list(problems)
    assert problems[f"workflows[0].{field}"].startswith("must be a string, but is ")


@pytest.mark.parametrize("entry", ["my-workflow", 1, None, True, ["my-workflow"]])
def test_s185_entry_that_is_no_object(entry, tmp_path):
    """Each entry must be an object."""
    problems = problems_of(tmp_path, workflows=[WORKFLOW, entry])

    assert ["workflows[1]"] == list(problems)


@pytest.mark.parametrize("limits", [{"steps": 500}, {}, {"steps": 1}])
def test_s186_s188_valid_limits(limits, tmp_path):
    """Limits with steps from 1 are accepted, and so are empty ones."""
    project = project_with(tmp_path, workflows=[{**WORKFLOW, "limits": limits}])

    assert limits.get("steps") == project.workflows[0].steps_max
    assert () == project.warnings


@pytest.mark.parametrize("steps", [0, 1.5, -1, "10", None, True, [1]])
def test_s189_s191_steps_that_are_no_positive_whole_number(steps, tmp_path):
    """Steps that are 0, negative, broken or no number are refused."""
    problems = workflow_problems(tmp_path, limits={"steps": steps})

    assert ["workflows[0].limits.steps"] == list(problems)
    assert "no positive whole number" in problems["workflows[0].limits.steps"]


@pytest.mark.parametrize("steps", ["1e999", "-1e999"])
def test_steps_without_end(steps, tmp_path):
    """Steps that are so large that they are read as infinite are refused too."""
    write_project(tmp_path, workflows=[{**WORKFLOW, "limits": {"steps": 7777}}])
    path = tmp_path / "wrangler.jsonc"
    path.write_text(path.read_text().replace("7777", steps))

    with pytest.raises(ProjectError, match=r"limits\.steps: is -?inf, which is no positive"):
        load_project(tmp_path)


@pytest.mark.parametrize("limits", ["10", 10, None, [], [{"steps": 1}]])
def test_s192_s193_limits_that_are_no_object(limits, tmp_path):
    """Limits must be an object; an array is none."""
    assert ["workflows[0].limits"] == list(workflow_problems(tmp_path, limits=limits))


def test_s194_unknown_limits(tmp_path):
    """An unknown key in limits is a warning."""
    warnings = workflow_warnings(tmp_path, limits={"steps": 5, "cpu_ms": 100})

    assert ["workflows[0].limits.cpu_ms"] == list(warnings)


@pytest.mark.parametrize(("steps", "warned"), [(25_000, 0), (25_001, 1), (1_000_000, 1)])
def test_s195_s196_steps_above_the_usual_maximum(steps, warned, tmp_path):
    """Steps above 25,000 are a warning and count all the same; up to there they are none."""
    project = project_with(tmp_path, workflows=[{**WORKFLOW, "limits": {"steps": steps}}])

    assert ["workflows[0].limits.steps"] * warned == list(warnings_of(project))
    assert steps == project.workflows[0].steps_max


def test_s197_s279_two_workflows_of_one_name(tmp_path):
    """Two entries of one name are refused; the message names it and both entries."""
    twin = {**WORKFLOW, "binding": "OTHER", "class_name": "Other"}

    problems = problems_of(tmp_path, workflows=[WORKFLOW, twin])

    assert {"workflows": "workflows[0] and workflows[1] have one name, 'my-workflow'"} == problems


@pytest.mark.parametrize("key", ["limits", "schedules"])
def test_s234_s235_limits_and_schedules_of_a_foreign_workflow(key, tmp_path):
    """The limits and schedules of a workflow belong to the project that holds its class."""
    value = {"limits": {"steps": 5}, "schedules": "0 9 * * 1"}[key]

    problems = workflow_problems(tmp_path, script_name="other-app", **{key: value})

    assert [f"workflows[0].{key}"] == list(problems)
    assert "'other-app'" in problems[f"workflows[0].{key}"]


@pytest.mark.parametrize(
    ("value", "kind"), [({}, "an object"), ("a", "a string"), (1, "a number"), (None, "null")]
)
def test_s258_s261_workflows_that_are_no_array(value, kind, tmp_path):
    """`workflows` must be an array."""
    problems = problems_of(tmp_path, workflows=value)

    assert {"workflows": f"must be an array, but is {kind}"} == problems


def test_s262_minimal_entry(tmp_path):
    """Binding, name and class make an entry."""
    project = project_with(tmp_path, workflows=[WORKFLOW])

    assert (WorkflowBinding(key="workflows[0]", **WORKFLOW),) == project.workflows
    assert () == project.warnings


def test_s263_entry_with_all_fields(tmp_path):
    """Every field of an entry is read; one of the project's own name is its own workflow."""
    entry = {
        **WORKFLOW,
        "script_name": "my-app",
        "limits": {"steps": 7},
        "default_retention": {"success_retention": "3 days", "error_retention": 1000},
    }

    project = project_with(tmp_path, workflows=[entry])

    expected = WorkflowBinding(
        key="workflows[0]",
        **WORKFLOW,
        script_name="my-app",
        steps_max=7,
        retention=(("success_retention", "3 days"), ("error_retention", 1000)),
    )
    assert (expected,) == project.own_workflows
    assert () == project.warnings


@pytest.mark.parametrize(
    ("schedules", "read"),
    [("0 9 * * 1", ("0 9 * * 1",)), (["0 9 * * 1", "*/5 * * * *"], ("0 9 * * 1", "*/5 * * * *"))],
)
def test_s264_s265_schedules(schedules, read, tmp_path):
    """A schedule as a string, or several as an array, are read; that nothing happens is said."""
    project = project_with(tmp_path, workflows=[{**WORKFLOW, "schedules": schedules}])

    assert read == project.workflows[0].schedules
    expected = {"workflows[0].schedules": "this version does not act on schedules yet"}
    assert expected == warnings_of(project)


def test_s266_one_message_per_field(tmp_path):
    """All that is wrong is told at once, one message for each field."""
    problems = problems_of(
        tmp_path, workflows=[{"binding": 1, "name": 2}, {**WORKFLOW, "class_name": []}]
    )

    assert [
        "workflows[0].binding",
        "workflows[0].name",
        "workflows[0].class_name",
        "workflows[1].class_name",
    ] == list(problems)


def test_s267_bad_name_tells_the_rule(tmp_path):
    """The message about a bad name tells what a name may be."""
    with pytest.raises(Exception, match=r"'a b' is no name of a workflow.*1 to 64 letters"):
        project_with(tmp_path, workflows=[{**WORKFLOW, "name": "a b"}])


def test_s268_script_name_that_is_no_string(tmp_path):
    """A script_name must be a string."""
    problems = workflow_problems(tmp_path, script_name=5)

    assert {"workflows[0].script_name": "must be a string, but is a number"} == problems


@pytest.mark.parametrize("field", ["remote", "colour"])
def test_s269_s278_unexpected_field(field, tmp_path):
    """A field that no entry has, `remote` too, is a warning."""
    warnings = workflow_warnings(tmp_path, **{field: True})

    assert {f"workflows[0].{field}": "is an unexpected field and has no effect"} == warnings


@pytest.mark.parametrize("schedules", [5, {}, None, True, "", "  ", []])
def test_s270_s272_schedules_that_are_none(schedules, tmp_path):
    """Schedules of another type, an empty string and an empty array are refused."""
    assert ["workflows[0].schedules"] == list(workflow_problems(tmp_path, schedules=schedules))


@pytest.mark.parametrize("bad", [5, None, "", " "])
def test_s273_s274_array_with_what_is_no_schedule(bad, tmp_path):
    """Each item of the array must be a string with something in it."""
    problems = workflow_problems(tmp_path, schedules=["0 9 * * 1", bad])

    assert ["workflows[0].schedules[1]"] == list(problems)


def test_s275_limits_that_are_no_object(tmp_path):
    """Limits must be an object."""
    problems = workflow_problems(tmp_path, limits="5")

    assert {"workflows[0].limits": "must be an object, but is a string"} == problems


def test_s276_steps_that_are_no_positive_integer(tmp_path):
    """Steps must be a positive whole number."""
    problems = workflow_problems(tmp_path, limits={"steps": -5})

    expected = {"workflows[0].limits.steps": "is -5, which is no positive whole number"}
    assert expected == problems


def test_s277_steps_above_25000(tmp_path):
    """Steps above 25,000 are a warning, no error."""
    assert ["workflows[0].limits.steps"] == list(
        workflow_warnings(tmp_path, limits={"steps": 30_000})
    )


def test_foreign_workflow_is_not_on_env(tmp_path):
    """A workflow of another project is read, but not among the project's own, and this is said."""
    project = project_with(tmp_path, workflows=[{**WORKFLOW, "script_name": "other-app"}])

    assert () == project.own_workflows
    assert ["workflows[0].script_name"] == list(warnings_of(project))


@pytest.mark.parametrize("value", ["3 dayz", -1, "", [], True, None, "1000 days"])
def test_retention_that_is_no_duration(value, tmp_path):
    """A retention must be a duration, and no longer than the maximum."""
    problems = workflow_problems(tmp_path, default_retention={"error_retention": value})

    assert ["workflows[0].default_retention.error_retention"] == list(problems)


def test_unknown_retention(tmp_path):
    """An unknown key in default_retention is a warning."""
    warnings = workflow_warnings(tmp_path, default_retention={"successRetention": "3 days"})

    assert ["workflows[0].default_retention.successRetention"] == list(warnings)


def test_d1_database(tmp_path):
    """A database is read with its binding, name, id and folder of migrations."""
    entry = {
        "binding": "DB",
        "database_name": "app",
        "database_id": "5e0f",
        "migrations_dir": "migrations",
    }

    project = project_with(tmp_path, d1_databases=[entry])

    assert (D1Binding(key="d1_databases[0]", **entry),) == project.d1_databases
    assert () == project.warnings


@pytest.mark.parametrize(
    ("keys", "file"),
    [
        ({"database_id": "5e0f", "database_name": "app"}, "5e0f.sqlite"),
        ({"database_id": "", "database_name": "app"}, "app.sqlite"),
        ({}, "DB.sqlite"),
        ({"database_id": "<your id>"}, "%3Cyour%20id%3E.sqlite"),
        ({"database_id": "../../etc"}, "..%2F..%2Fetc.sqlite"),
    ],
)
def test_d1_file(keys, file, tmp_path):
    """A database's file is named by its id, or else its name, or else its binding; never a path."""
    project = project_with(tmp_path, d1_databases=[{"binding": "DB", **keys}])

    assert file == project.d1_databases[0].file_name


def test_d1_problems(tmp_path):
    """A database without a binding, a field of the wrong type and no object are refused at once."""
    problems = problems_of(
        tmp_path, d1_databases=[{"database_id": 5}, "DB", {"binding": "", "database_name": None}]
    )

    assert {
        "d1_databases[1]": "must be an object, but is a string",
        "d1_databases[0].binding": "is missing",
        "d1_databases[0].database_id": "must be a string, but is a number",
        "d1_databases[2].binding": "is empty",
        "d1_databases[2].database_name": "must be a string, but is null",
    } == problems


def test_d1_unexpected_field(tmp_path):
    """A field that no database has is a warning."""
    project = project_with(tmp_path, d1_databases=[{"binding": "DB", "remote": True}])

    assert ["d1_databases[0].remote"] == list(warnings_of(project))


@pytest.mark.parametrize("field", ["database_id", "database_name", "binding"])
@pytest.mark.parametrize("value", ["\ud800", "x" * 300])
def test_d1_name_that_can_be_no_file(field, value, tmp_path):
    """What names a database's file must be able to; else it is an error at its place."""
    problems = problems_of(tmp_path, d1_databases=[{"binding": "DB", field: value}])

    assert [f"d1_databases[0].{field}"] == list(problems)
    assert "cannot be the name of a file" in problems[f"d1_databases[0].{field}"]
