"""`stepwell dev` as a user meets it: a process, its answers, its output, and its end."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.cli.command import dev_server, poll
from tests.cli.sample_project import MAIN, effects_of, write_project


def test_ready_line(tmp_path):
    """One line says the URL, the workflows and the folder of the state."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        line = server.wait_for_line("(?i)^ready")

    assert "http://127.0.0.1:" in line
    assert "relay" in line
    assert str(folder / ".stepwell") in line


def test_request_starts_a_workflow(tmp_path):
    """The app finds the workflow on env; the instance runs and its output can be read."""
    folder = write_project(tmp_path)
    (folder / "open").touch()

    with dev_server(folder) as server:
        id = server.post("a")
        status = server.wait_for_status("a", "complete")

    assert "a" == id
    assert ["hello", "first", "held"] == status["output"]
    assert ["first", "second", "third"] == effects_of(folder)


def test_a_line_per_step(tmp_path):
    """Each step is told with workflow, instance, name, attempt and outcome."""
    folder = write_project(tmp_path)
    (folder / "open").touch()

    with dev_server(folder) as server:
        server.post("a")
        server.wait_for_status("a", "complete")
        lines = [server.wait_for_line(name) for name in ("first-1", "second-1", "third-1")]

    assert [True, True, True] == ["relay/a" in line for line in lines]
    assert [True, True, True] == ["attempt 1 completed" in line for line in lines]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_signal_ends_it_cleanly(number, tmp_path):
    """SIGTERM and SIGINT are requests to stop, not failures: the exit code is 0."""
    with dev_server(write_project(tmp_path)) as server:
        server.signal(number)
        code = server.wait()

    assert 0 == code
    assert "Traceback" not in server.output


def test_step_in_flight_may_end_at_a_stop(tmp_path):
    """A step under way at SIGTERM ends and is stored; the next start goes on behind it."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        server.post("a")
        server.wait_for_line("first-1")
        _wait_for_effect(folder, "second")
        server.signal(signal.SIGTERM)
        (folder / "open").touch()
        code = server.wait()
    with dev_server(folder) as again:
        status = again.wait_for_status("a", "complete")

    assert 0 == code
    assert ["hello", "first", "held"] == status["output"]
    assert ["first", "second", "third"] == effects_of(folder)


def test_s134_instances_survive_a_restart(tmp_path):
    """Status and output of an instance can be read after the server was started again."""
    folder = write_project(tmp_path)
    (folder / "open").touch()

    with dev_server(folder) as server:
        server.post("a")
        before = server.wait_for_status("a", "complete")
        server.signal(signal.SIGTERM)
        server.wait()
    with dev_server(folder) as again:
        after = again.get("a")

    assert before == after


@pytest.mark.slow
def test_goes_on_after_sigkill(tmp_path):
    """After SIGKILL in the middle of a step, that step runs again and no finished one does."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        server.post("a")
        _wait_for_effect(folder, "second")
        server.kill()
    (folder / "open").touch()
    with dev_server(folder) as again:
        status = again.wait_for_status("a", "complete")

    assert ["hello", "first", "held"] == status["output"]
    assert ["first", "second", "second", "third"] == effects_of(folder)


@pytest.mark.slow
def test_second_interrupt_leaves_the_instance_as_it_is(tmp_path):
    """Ctrl+C twice ends the process at once, and the instance goes on at the next start."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        server.post("a")
        _wait_for_effect(folder, "second")
        server.signal(signal.SIGINT)
        server.wait_for_line("stopping")
        server.signal(signal.SIGINT)
        code = server.wait()
    (folder / "open").touch()
    with dev_server(folder) as again:
        status = again.wait_for_status("a", "complete")

    assert -signal.SIGINT == code
    assert ["hello", "first", "held"] == status["output"]


@pytest.mark.slow
def test_thread_that_does_not_end(tmp_path):
    """A sync step that blocks its thread for long does not keep the process from ending."""
    main = MAIN.replace("async def hold(self):", "def hold(self):\n        self.note('second')")
    main = main.replace("await asyncio.sleep(0.01)", "__import__('time').sleep(3600)")
    folder = write_project(tmp_path, main=main)

    with dev_server(folder) as server:
        server.post("a")
        _wait_for_effect(folder, "second")
        server.signal(signal.SIGTERM)
        code = server.wait()

    assert 0 == code


def test_database_is_kept(tmp_path):
    """What the app writes to its D1 database is there after a restart."""
    folder = write_project(tmp_path)

    with dev_server(folder) as server:
        first = server.get("visits")
        server.kill()
    with dev_server(folder) as again:
        second = again.get("visits")

    assert [1, 2] == [first, second]
    assert (folder / ".stepwell" / "d1" / "visits.sqlite").is_file()


def test_migrations_are_applied_at_the_start(tmp_path):
    """The tables of `migrations_dir` are there for the first request; the log names the file."""
    database = {"binding": "DB", "database_name": "visits", "migrations_dir": "steps"}
    main = MAIN.replace("CREATE TABLE IF NOT EXISTS visits (at TEXT)", "SELECT * FROM visits")
    folder = write_project(tmp_path, main=main, d1_databases=[database])
    (folder / "steps").mkdir()
    (folder / "steps" / "0001_visits.sql").write_text("CREATE TABLE visits (at TEXT);")

    with dev_server(folder) as server:
        line = server.wait_for_line("applied")
        visits = server.get("visits")

    assert "database DB: applied steps/0001_visits.sql" in line
    assert 1 == visits


def test_state_is_hidden_from_git(tmp_path):
    """The folder of the state ignores itself."""
    folder = write_project(tmp_path)

    with dev_server(folder):
        ignored = (folder / ".stepwell" / ".gitignore").read_text()

    assert "*" == ignored.strip()


def test_other_state_folder(tmp_path):
    """With --persist-to all state lies there, seen from where the command runs."""
    folder = write_project(tmp_path / "project")

    with dev_server(folder, "--persist-to", "../state") as server:
        server.get("visits")

    assert (tmp_path / "state" / "stepwell.db").is_file()
    assert (tmp_path / "state" / "d1" / "visits.sqlite").is_file()
    assert not (folder / ".stepwell").exists()


def test_config_elsewhere(tmp_path):
    """With --config a project is run from any folder."""
    folder = write_project(tmp_path / "project")

    with dev_server(tmp_path, "--config", str(folder / "wrangler.jsonc")) as server:
        greeting = server.get("greeting")

    assert "hello" == greeting


def test_started_below_the_project(tmp_path):
    """The project file is found from a folder below its own."""
    below = write_project(tmp_path) / "src" / "deep"
    below.mkdir(parents=True)

    with dev_server(below) as server:
        greeting = server.get("greeting")

    assert "hello" == greeting


def test_secret_is_used_and_not_printed(tmp_path):
    """A secret of .dev.vars takes the place of a variable, and no line of output shows it."""
    folder = write_project(tmp_path)
    (folder / ".dev.vars").write_text("GREETING=psst-5309\n")

    with dev_server(folder) as server:
        greeting = server.get("greeting")

    assert "psst-5309" == greeting
    assert "psst-5309" not in server.output


def test_broken_page_does_not_end_it(tmp_path):
    """An error of the app is answered with 500 and printed; the server goes on."""
    with dev_server(write_project(tmp_path)) as server:
        status = server.request("GET", "broken").status_code
        line = server.wait_for_line("RuntimeError")
        greeting = server.get("greeting")

    assert 500 == status
    assert "the page is broken" in line
    assert "hello" == greeting


def test_project_without_an_app(tmp_path):
    """A project may have workflows only; a request is told so."""
    main = (
        "from stepwell import WorkflowEntrypoint\n"
        "class Relay(WorkflowEntrypoint):\n"
        "    async def run(self, event, step): ...\n"
    )

    with dev_server(write_project(tmp_path, main=main)) as server:
        answer = server.request("GET", "")

    assert 404 == answer.status_code
    assert "no HTTP app" in answer.text


def test_warnings_do_not_keep_it_from_running(tmp_path):
    """What has no effect is told before the start, and the project runs."""
    with dev_server(write_project(tmp_path, naem="x", kv_namespaces=[])) as server:
        greeting = server.get("greeting")

    assert "hello" == greeting
    assert "naem" in server.wait_for_line("warning.*naem")
    assert "kv_namespaces" in server.wait_for_line("warning.*kv_namespaces")


@pytest.mark.timing
def test_answers_soon_after_its_start(tmp_path):
    """A small project is ready less than 1.5 seconds after the command, pyc files in place."""
    folder = write_project(tmp_path)
    with dev_server(folder):
        pass

    with dev_server(folder) as server:
        server.get("greeting")
        seconds = server.seconds_to_ready

    assert seconds < 1.5


def _wait_for_effect(folder: Path, name: str) -> None:
    poll(lambda: effects_of(folder), lambda effects: name in effects)
