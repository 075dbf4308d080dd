"""The command `stepwell` as a process of its own, as a user starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from typing import Any

import httpx

SOURCES = Path(__file__).parents[2] / "src"
COMMAND = (sys.executable, "-m", "stepwell")
# Far more than anything takes, also on a busy machine: what waits so long has failed.
WAIT_SECONDS_MAX = 60.0


def run_command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a folder to its end."""
    return subprocess.run(
        [*COMMAND, *arguments],
        cwd=folder,
        env=_environment(),
        capture_output=True,
        text=True,
        timeout=WAIT_SECONDS_MAX,
        check=False,
    )


@contextmanager
def dev_server(folder: Path, *arguments: str) -> Iterator[DevServer]:
    """Run `stepwell dev` in a folder until it is ready, and kill it at the end if it still runs."""
    server = DevServer(folder, "--port", "0", *arguments)
    try:
        server.wait_for_line("(?i)^ready")
        server.seconds_to_ready = time.monotonic() - server.began
        yield server
    finally:
        server.kill()


class DevServer:
    """A running `stepwell dev`, and what it has printed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [*COMMAND, "dev", *arguments],
            cwd=folder,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._has_ended = False
        self._changed = Condition()
        self.began = time.monotonic()
        self.seconds_to_ready = 0.0
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def output(self) -> str:
        """All it has printed so far."""
        with self._changed:
            return "".join(self._lines)

    @property
    def url(self) -> str:
        """Where it answers, as it says itself."""
        found = re.search(r"http://[\w.\[\]:]+", self.wait_for_line("(?i)^ready"))
        assert found is not None
        return found.group()

    def wait_for_line(self, pattern: str) -> str:
        """Wait until it prints a line in which a pattern is found, and give that line."""

        def find() -> str | None:
            return next((line for line in self._lines if re.search(pattern, line)), None)

        with self._changed:
            self._changed.wait_for(lambda: find() or self._has_ended, WAIT_SECONDS_MAX)
            line = find()
        assert line is not None, f"no line with {pattern!r} in:\n{self.output}"
        return line

    def get(self, path: str) -> Any:
        """Ask it for a page."""
        return self.request("GET", path).json()

    def post(self, path: str) -> Any:
        """Post to a page."""
        return self.request("POST", path).json()

    def request(self, method: str, path: str) -> httpx.Response:
        """Send one request on a connection of its own."""
        return httpx.request(method, f"{self.url}/{path}", timeout=WAIT_SECONDS_MAX)

    def wait_for_status(self, id: str, status: str) -> Any:
        """Ask for an instance until it has a status, and give the answer."""
        return poll(lambda: self.get(id), lambda found: found["status"] == status)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end, and give its exit code."""
        code = self._process.wait(WAIT_SECONDS_MAX)
        self._reader.join(WAIT_SECONDS_MAX)
        return code

    def kill(self) -> None:
        """End it by SIGKILL, whatever it is doing."""
        self._process.kill()
        self.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()
        with self._changed:
            self._has_ended = True
            self._changed.notify_all()


def poll(ask: Callable[[], Any], is_enough: Callable[[Any], bool]) -> Any:
    """Ask another process again and again, until its answer is the one that is waited for."""
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not is_enough(answer := ask()):
        assert time.monotonic() < deadline, answer
        time.sleep(0.02)
    return answer


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(SOURCES)}
