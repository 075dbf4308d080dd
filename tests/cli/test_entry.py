"""The command without the extra that it needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.cli.command import SOURCES

_PROGRAM = """
import sys
sys.modules[{hidden!r}] = None  # as if it were not installed
sys.path.insert(0, {sources!r})
sys.argv = ["stepwell", "--version"]
from stepwell.__main__ import main
main()
"""


def _run_without(hidden: str) -> subprocess.CompletedProcess[str]:
    program = _PROGRAM.format(hidden=hidden, sources=str(SOURCES))
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("hidden", ["typer", "uvicorn", "json5", "dotenv"])
def test_without_the_extra_it_says_what_to_install(hidden: str) -> None:
    """Without a module of the extra `server` one line says what to install; the exit code is 1."""
    answer = _run_without(hidden)

    assert 1 == answer.returncode
    assert hidden in answer.stderr
    assert "install stepwell[server]" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_another_missing_module_is_told_as_it_is() -> None:
    """A module that the extra does not bring is no matter of the extra."""
    answer = _run_without("pydantic")

    assert "pydantic" in answer.stderr
    assert "stepwell[server]" not in answer.stderr
