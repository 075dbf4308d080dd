"""The programs of the README do what it says."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.cli.command import dev_server

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}
WAIT_SECONDS_MAX = 60
_A_WARNING = "instances go on whose worker has stopped without a word"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write each program of the README that has a name into a folder."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for name, code in re.findall(r"```\w+\n(?:#|//) ([\w.]+)\n(.*?)```", text, re.DOTALL):
        (tmp_path / name).write_text(code.replace('"20 seconds"', '"1 second"'), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_hello_goes_on_after_a_kill(folder: Path) -> None:
    """Two runs of hello.py, the first one killed, print exactly what the README shows."""
    text = (folder / "hello.py").read_text(encoding="utf-8")
    (folder / "hello.py").write_text(text.replace("1 second", "5 seconds"), encoding="utf-8")
    with _start(folder, "hello.py") as first:
        assert first.stdout is not None
        shown = [first.stdout.readline().strip()]
        # The line is printed inside of the step: only its result on disk keeps it from running
        # again, and that is there when the log says that the pause has begun.
        _wait_for_the_pause(folder)
        first.kill()

    with _start(folder, "hello.py") as second:
        assert second.stdout is not None
        shown += second.stdout.read().splitlines()

    assert 0 == second.returncode
    # Told only if the kill came before the instance had given its lease back for the pause.
    shown = [line for line in shown if not line.startswith(_A_WARNING)]
    assert ["creating Ada", "going on", "user 42 approved by Grace"] == shown


def test_hello_is_typed(folder: Path) -> None:
    """hello.py and worker.py pass the strictest checks of mypy."""
    command = [sys.executable, "-m", "mypy", "--strict", "hello.py", "worker.py"]
    answer = subprocess.run(
        command,
        cwd=folder,
        env={**ENVIRONMENT, "MYPYPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert 0 == answer.returncode, answer.stdout


def test_project(folder: Path) -> None:
    """The project of the README answers as its comment says."""
    with dev_server(folder) as server:
        answer = httpx.post(f"{server.url}/orders/Ada", timeout=WAIT_SECONDS_MAX)

    assert "Thank you, Ada" == answer.json()["output"]


@pytest.mark.slow
def test_worker_ends_in_order(folder: Path) -> None:
    """worker.py ends on SIGTERM with exit code 0 and without a word."""
    program = (folder / "worker.py").read_text(encoding="utf-8")
    program = program.replace("await stop.wait()", "print('open'); await stop.wait()")
    (folder / "worker.py").write_text(program, encoding="utf-8")

    with _start(folder, "worker.py") as worker:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        worker.send_signal(signal.SIGTERM)
        rest = worker.stdout.read()

    assert ("open\n", "", 0) == (first, rest, worker.returncode)


def _start(folder: Path, program: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, program],
        cwd=folder,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _wait_for_the_pause(folder: Path) -> None:
    code = (
        "import stepwell.blocking as b\n"
        "with b.open('sqlite:///hello.db', worker=False) as well:\n"
        "    instance = well.workflow('Onboarding').get('ada')\n"
        "    next(e for e in instance.subscribe() if e.type == 'sleep_started')\n"
    )
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=ENVIRONMENT,
        timeout=WAIT_SECONDS_MAX,
        check=True,
    )
