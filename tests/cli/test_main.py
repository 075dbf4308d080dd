"""The command `stepwell` with input that cannot work, and its small options."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from tests.cli.command import dev_server, run_command
from tests.cli.sample_project import write_project

PROJECT_FILE = Path(__file__).parents[2] / "pyproject.toml"


def test_version(tmp_path):
    """--version says the name and the version, and nothing else."""
    with PROJECT_FILE.open("rb") as file:
        version = tomllib.load(file)["project"]["version"]

    answer = run_command(tmp_path, "--version")

    assert 0 == answer.returncode
    assert f"stepwell {version}" == answer.stdout.strip()


def test_no_arguments(tmp_path):
    """Without a command it lists the commands."""
    answer = run_command(tmp_path)

    assert "dev" in answer.stdout


def test_unknown_command(tmp_path):
    """A command that does not exist is refused by name."""
    answer = run_command(tmp_path, "dve")

    assert 2 == answer.returncode
    assert "dve" in answer.stderr


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_bad_port(port, tmp_path):
    """What is no port is refused before anything starts."""
    answer = run_command(write_project(tmp_path), "dev", "--port", port)

    assert 2 == answer.returncode
    assert "--port" in answer.stderr
    assert not (tmp_path / ".stepwell").exists()


def test_no_project(tmp_path):
    """In a folder without a project it says which file it looks for."""
    answer = run_command(tmp_path, "dev")

    assert 2 == answer.returncode
    assert "wrangler.jsonc" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_project_file_that_is_not_there(tmp_path):
    """--config with a wrong path names that path."""
    answer = run_command(tmp_path, "dev", "--config", "nowhere.jsonc")

    assert 2 == answer.returncode
    assert "nowhere.jsonc" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_only_a_toml_file(tmp_path):
    """A wrangler.toml alone is refused with a word on what to write instead."""
    (tmp_path / "wrangler.toml").write_text('name = "sample"\n')

    answer = run_command(tmp_path, "dev")

    assert 2 == answer.returncode
    assert "wrangler.toml" in answer.stderr
    assert "wrangler.jsonc" in answer.stderr


def test_all_problems_in_one_block(tmp_path):
    """All that is wrong with the file is told at once, each with its place; nothing is written."""
    workflow = {"binding": "RELAY", "name": "no good", "class_name": 7}
    folder = write_project(tmp_path, name="Not A Name", workflows=[workflow], vars=[])

    answer = run_command(folder, "dev")

    assert 2 == answer.returncode
    assert [] == [
        key
        for key in ("name", "vars", "workflows[0].name", "workflows[0].class_name")
        if f"wrangler.jsonc: {key}\n" not in answer.stderr
    ]
    assert "Traceback" not in answer.stderr
    assert not (folder / ".stepwell").exists()


def test_syntax_error_in_the_file(tmp_path):
    """A file that is no JSON is told with line and column."""
    folder = write_project(tmp_path)
    (folder / "wrangler.jsonc").write_text('{\n  "name": "sample"\n  "main": "main.py"\n}\n')

    answer = run_command(folder, "dev")

    assert 2 == answer.returncode
    assert "line 3" in answer.stderr


def test_error_in_the_main_file(tmp_path):
    """An import that fails is told with file, line and error, without our own frames."""
    folder = write_project(tmp_path, main="import json\n\nRATE = 1 / 0\n")

    answer = run_command(folder, "dev")

    assert 2 == answer.returncode
    assert "main.py: line 3" in answer.stderr
    assert "ZeroDivisionError: division by zero" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_class_that_is_not_there(tmp_path):
    """A class that the main file does not have is told together with those that it has."""
    workflow = {"binding": "RELAY", "name": "relay", "class_name": "Really"}

    answer = run_command(write_project(tmp_path, workflows=[workflow]), "dev")

    assert 2 == answer.returncode
    assert "workflows[0].class_name" in answer.stderr
    assert "'Really'" in answer.stderr
    assert "Relay" in answer.stderr


def test_broken_secrets(tmp_path):
    """A line of .dev.vars that cannot be read is told by its number, not by what it says."""
    folder = write_project(tmp_path)
    (folder / ".dev.vars").write_text("TOKEN=\"psst-5309\nOTHER='x'\n")

    answer = run_command(folder, "dev")

    assert 2 == answer.returncode
    assert ".dev.vars: line 1" in answer.stderr
    assert "psst-5309" not in answer.stdout + answer.stderr


def test_port_in_use(tmp_path):
    """A port that another process listens on is refused, and that process is not disturbed."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        port = server.url.rpartition(":")[2]
        answer = run_command(folder, "dev", "--port", port)
        greeting = server.get("greeting")

    assert 1 == answer.returncode
    assert f"port {port}" in answer.stderr
    assert "--port" in answer.stderr
    assert "Traceback" not in answer.stderr
    assert "hello" == greeting


def test_state_folder_that_is_a_file(tmp_path):
    """A state folder that cannot be made is told with its path and the option."""
    folder = write_project(tmp_path)
    (folder / ".stepwell").write_text("")

    answer = run_command(folder, "dev", "--port", "0")

    assert 1 == answer.returncode
    assert str(folder / ".stepwell") in answer.stderr
    assert "--persist-to" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_damaged_database(tmp_path):
    """A database file that is none is refused, and left as it is."""
    folder = write_project(tmp_path)
    store = folder / ".stepwell" / "stepwell.db"
    store.parent.mkdir()
    store.write_bytes(b"no database at all" * 100)

    answer = run_command(folder, "dev", "--port", "0")

    assert 1 == answer.returncode
    assert str(store) in answer.stderr
    assert "Traceback" not in answer.stderr
    assert b"no database at all" * 100 == store.read_bytes()


def test_app_that_cannot_start(tmp_path):
    """When the app's own start-up fails, the command ends with its reason."""
    main = """
from stepwell import WorkflowEntrypoint

class Relay(WorkflowEntrypoint):
    async def run(self, event, step): ...

async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no connection to the mill"})
"""

    answer = run_command(write_project(tmp_path, main=main), "dev", "--port", "0")

    assert 1 == answer.returncode
    assert "no connection to the mill" in answer.stderr


def test_migration_that_fails(tmp_path):
    """A migration that fails stops the start with its file and the reason."""
    database = {"binding": "DB", "database_name": "visits", "migrations_dir": "steps"}
    folder = write_project(tmp_path, d1_databases=[database])
    (folder / "steps").mkdir()
    (folder / "steps" / "0001_visits.sql").write_text("CREATE TABEL visits (at TEXT);")

    answer = run_command(folder, "dev", "--port", "0")

    assert 2 == answer.returncode
    assert "steps/0001_visits.sql" in answer.stderr
    assert 'near "TABEL": syntax error' in answer.stderr
    assert "Traceback" not in answer.stderr


@pytest.mark.parametrize("file", ["typer.py", "main.py"])
def test_interrupt_before_anything_runs(file, tmp_path):
    """Ctrl+C while the command, or the project, is still being imported ends it cleanly."""
    folder = write_project(tmp_path)
    (folder / file).write_text("import signal\nsignal.raise_signal(signal.SIGINT)\n")

    answer = run_command(folder, "dev", "--port", "0")

    assert 0 == answer.returncode
    assert "" == answer.stderr


def test_help_tells_the_defaults(tmp_path):
    """The help of `dev` says what holds when an option is not given."""
    text = " ".join(run_command(tmp_path, "dev", "--help").stdout.replace("│", " ").split())

    assert "the nearest one upwards" in text
    assert ".stepwell beside the project file" in text
