"""The project file as a whole: found, read, checked."""

import json

import pytest

from stepwell.errors import ProjectError
from stepwell.runtime.project import load_project
from tests.runtime.support import (
    WORKFLOW,
    problems_of,
    project_with,
    warnings_of,
    write_file,
    write_project,
)

COMMENTED = """{
  // The name, which "quotes" do not end.
  "name": "my-app", /* and
  another */ "main": "src/app.py",
  "compatibility_date": "2026-10-01",
  "compatibility_flags": ["python_workers"],
  "vars": {"GREETING": "// no comment", "LIMITS": {"a": [1, 2.5, null, true]},},
}
"""


def test_all_keys_are_read(tmp_path):
    """Comments and trailing commas are allowed, and each key arrives as it stands."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").touch()
    path = write_file(tmp_path, COMMENTED)

    project = load_project(tmp_path)

    assert "my-app" == project.name
    assert tmp_path / "src" / "app.py" == project.main
    assert "2026-10-01" == project.compatibility_date
    assert ("python_workers",) == project.compatibility_flags
    expected = {"GREETING": "// no comment", "LIMITS": {"a": [1, 2.5, None, True]}}
    assert expected == project.vars
    assert ((), ()) == (project.workflows, project.d1_databases)
    assert (path, tmp_path) == (project.path, project.root)
    assert () == project.warnings


def test_found_upwards(tmp_path):
    """From a folder below, the nearest project file above is found; .jsonc goes before .json."""
    write_project(tmp_path)
    write_file(tmp_path, "{}", name="wrangler.json")
    below = tmp_path / "src" / "deep"
    below.mkdir(parents=True)

    assert tmp_path / "wrangler.jsonc" == load_project(below).path


def test_plain_json(tmp_path):
    """`wrangler.json` is read too."""
    path = write_project(tmp_path).rename(tmp_path / "wrangler.json")

    assert path == load_project(tmp_path).path


def test_byte_order_mark(tmp_path):
    """A file that an editor began with a byte order mark is read."""
    path = write_project(tmp_path)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())

    assert "my-app" == load_project(path).name


def test_no_file(tmp_path):
    """Without a project file the error says what is looked for, and shows one."""
    with pytest.raises(ProjectError, match=r'no wrangler\.jsonc or wrangler\.json.*"class_name"'):
        load_project(tmp_path)


def test_named_file_that_is_not_there(tmp_path):
    """A project file that is named but not there is told with its path."""
    with pytest.raises(ProjectError, match=r"mine\.jsonc: cannot be read: No such file"):
        load_project(tmp_path / "mine.jsonc")


@pytest.mark.parametrize("is_named", [True, False])
def test_toml(is_named, tmp_path):
    """A TOML file alone is told to be none that is read, and what to write instead."""
    path = write_file(tmp_path, 'name = "my-app"', name="wrangler.toml")

    with pytest.raises(ProjectError, match=r"a TOML file.*wrangler\.jsonc beside it"):
        load_project(path if is_named else tmp_path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"name": "a"\n "main": 1}', "line 2, column 2"),
        ('// one\n/* two\n three */\n{"name": "a",\n "main" 1}', "line 5, column 9"),
        ('{"name": "a"}}', "line 1, column 14"),
        ('{"name": "a}', "line 1"),
    ],
)
def test_syntax_error(text, place, tmp_path):
    """What is no JSON is told with line and column, comments before it counted."""
    write_file(tmp_path, text)

    with pytest.raises(ProjectError, match=rf"wrangler\.jsonc: {place}"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "is empty"),
        (" \n", "is empty"),
        ("[]", "must hold an object, but holds an array"),
        ("null", "must hold an object, but holds null"),
        ('{"vars": {"A": NaN}}', "NaN is no JSON value"),
        ('{"vars": {"A": -Infinity}}', "-Infinity is no JSON value"),
        ('{"a":' * 5000, "nests too deeply"),
    ],
)
def test_no_project_file(text, what, tmp_path):
    """A file that holds something else is told to."""
    write_file(tmp_path, text)

    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path)

    assert what in str(caught.value)


def test_not_utf8(tmp_path):
    """A file in another encoding is told to be, with the place."""
    (tmp_path / "wrangler.jsonc").write_bytes(b'{"name": "caf\xe9"}')

    with pytest.raises(ProjectError, match="is not UTF-8 at byte 13"):
        load_project(tmp_path)


def test_key_given_twice(tmp_path):
    """Of a key that stands twice the last one counts, with a warning."""
    (tmp_path / "app.py").touch()
    write_file(tmp_path, '{"name": "a", "main": "app.py", "vars": {"A": 1, "A": 2}, "name": "b"}')

    project = load_project(tmp_path)

    assert ("b", {"A": 2}) == (project.name, project.vars)
    assert ["A", "name"] == list(warnings_of(project))


def test_all_problems_at_once(tmp_path):
    """Every problem is told, each with file, place, what is wrong and what to do."""
    write_file(tmp_path, json.dumps({"vars": [], "workflows": [{**WORKFLOW, "name": ""}]}))

    with pytest.raises(ProjectError) as caught:
        load_project(tmp_path)

    problems = caught.value.problems
    assert ["name", "main", "vars", "workflows[0].name"] == [problem.key for problem in problems]
    assert all("wrangler.jsonc" == problem.file and problem.todo for problem in problems)
    assert [str(problem) for problem in problems] == str(caught.value).splitlines()
    expected = (
        "wrangler.jsonc: vars: must be an object, but is an array. "
        'Write an object such as {"GREETING": "hello"}.'
    )
    assert expected == str(problems[2])


@pytest.mark.parametrize("name", ["", "My App", "-app", "app.one", "a" * 64, 5, None])
def test_bad_project_name(name, tmp_path):
    """A project's name is at most 63 of small letters, digits, `-` and `_`."""
    assert ["name"] == list(problems_of(tmp_path, name=name))


@pytest.mark.parametrize(
    ("main", "what"),
    [
        ("src/app.ts", "no Python file"),
        ("gone.py", "there is no file"),
        (5, "must be a string"),
        ("", "is empty"),
    ],
)
def test_bad_main(main, what, tmp_path):
    """`main` must name a Python file that is there."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.ts").touch()
    write_file(tmp_path, json.dumps({"name": "my-app", "main": main}))

    with pytest.raises(ProjectError, match=what):
        load_project(tmp_path)


@pytest.mark.parametrize("main", ["a\0.py", "a" * 5000 + ".py", "\ud800.py", "loop.py"])
def test_main_that_can_be_no_path(main, tmp_path):
    """A `main` that the system does not take as a path is an error of the file like any other."""
    (tmp_path / "loop.py").symlink_to("loop.py")
    write_file(tmp_path, json.dumps({"name": "my-app", "main": main}))

    with pytest.raises(ProjectError, match=r"main: is .{1,100}, (which is no path|but there is)"):
        load_project(tmp_path)


@pytest.mark.parametrize(
    ("key", "value", "place"),
    [
        ("compatibility_date", "soon", "compatibility_date"),
        ("compatibility_date", 2026, "compatibility_date"),
        ("compatibility_flags", "python_workers", "compatibility_flags"),
        ("compatibility_flags", ["a", 1], "compatibility_flags[1]"),
        ("vars", [1], "vars"),
        ("vars", None, "vars"),
        ("vars", {"": 1}, "vars"),
        ("d1_databases", {}, "d1_databases"),
    ],
)
def test_bad_value(key, value, place, tmp_path):
    """Each other key must be of its kind."""
    assert [place] == list(problems_of(tmp_path, **{key: value}))


def test_one_name_for_two_things(tmp_path):
    """A name that two bindings, or a binding and a variable, claim on env is refused."""
    problems = problems_of(
        tmp_path,
        vars={"MY_WORKFLOW": 1, "DB": 2},
        workflows=[WORKFLOW],
        d1_databases=[{"binding": "DB"}, {"binding": "OTHER"}, {"binding": "OTHER"}],
    )

    assert [
        "workflows[0].binding",
        "d1_databases[0].binding",
        "d1_databases[2].binding",
    ] == list(problems)
    assert "vars.MY_WORKFLOW and for workflows[0].binding" in problems["workflows[0].binding"]


def test_products_that_are_not_there(tmp_path):
    """Keys of products that are not supported are named once, together."""
    project = project_with(tmp_path, kv_namespaces=[], ai={"binding": "AI"}, queues={})

    assert {"ai, kv_namespaces, queues": "not supported by this version of Stepwell"} == (
        warnings_of(project)
    )


def test_unknown_top_level_key(tmp_path):
    """A key that Cloudflare's tool does not know either is a warning."""
    assert ["workflow"] == list(warnings_of(project_with(tmp_path, workflow=[])))


def test_misspelt_top_level_key(tmp_path):
    """A misspelt key is told with the right one and the keys that do something here, no others."""
    (warning,) = project_with(tmp_path, workflow=[]).warnings

    assert (
        "Remove it, or correct its name (did you mean workflows?); supported here: "
        "compatibility_date, compatibility_flags, d1_databases, main, name, vars, workflows"
    ) == warning.todo


def test_keys_about_deployment(tmp_path):
    """Keys that only say how to deploy are accepted in silence."""
    project = project_with(
        tmp_path, **{"$schema": "x", "observability": {"enabled": True}, "account_id": "1"}
    )

    assert () == project.warnings
