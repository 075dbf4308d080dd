"""Watch a durable workflow survive: start it, kill its process, start it again, read the report.

    python examples/invention_analysis/demo.py

It starts `stepwell dev` on this project in a temporary folder, starts an analysis over HTTP, kills
the server with SIGKILL in the middle, starts it again, and shows from a log of side effects that no
step whose result was stored ran a second time. No key and no service is needed.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

import stepwell.blocking

PROJECT = Path(__file__).parent
STEP_SECONDS = 0.4
STEPS_BEFORE_KILL = 8
WAIT_SECONDS = 50.0


class DemoFailedError(Exception):
    """What the demonstration was to show did not happen."""


class Demo:
    """One demonstration in one folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.effects = folder / "effects.log"
        self.log = folder / "server.log"
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    @contextmanager
    def server(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `stepwell dev`, from its first answer until the block ends."""
        command = [sys.executable, "-m", "stepwell", "dev", "--port", str(self.port)]
        command += ["--config", str(PROJECT / "wrangler.jsonc"), "--persist-to", str(self.state)]
        settings = {"DEMO_STEP_SECONDS": str(STEP_SECONDS), "EFFECTS_LOG": str(self.effects)}
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                command, env={**os.environ, **settings}, stdout=log, stderr=log
            )
            try:
                self.wait_for("the server", lambda: self._answers(process))
                yield process
            finally:
                if process.poll() is None:
                    process.terminate()
                process.wait(timeout=20)

    def _answers(self, process: subprocess.Popen[bytes]) -> bool:
        if process.poll() is not None:
            raise DemoFailedError(f"the server ended:\n{self.log.read_text()}")
        try:
            return httpx.get(self.url, timeout=1).is_success
        except httpx.TransportError:
            return False

    def wait_for(self, what: str, is_there: Callable[[], bool]) -> None:
        """Look again and again until something is there."""
        until = time.monotonic() + WAIT_SECONDS
        while not is_there():
            if time.monotonic() > until:
                raise DemoFailedError(f"{what} did not come in {WAIT_SECONDS:g} seconds")
            time.sleep(0.05)

    def effects_seen(self) -> list[str]:
        """Give the steps whose work has been done, in order, with repetitions."""
        return self.effects.read_text().splitlines() if self.effects.exists() else []

    def show_new_effects(self, shown: int) -> int:
        """Print what has been done since; gives how much has been shown."""
        seen = self.effects_seen()
        for line in seen[shown:]:
            say(f"    ✓ {line}")
        return len(seen)

    def start_analysis(self) -> str:
        """Start the analysis of a sample conversation; gives its id."""
        answer = httpx.post(f"{self.url}/analyses", json={"conversation_id": "smart-drip"})
        answer.raise_for_status()
        return str(answer.json()["id"])

    def status(self, analysis: str) -> dict[str, Any]:
        """Ask for the analysis."""
        answer = httpx.get(f"{self.url}/analyses/{analysis}")
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def stored_steps(self, analysis: str) -> set[str]:
        """Read from the database which steps' results are stored; no server is needed for that."""
        with stepwell.blocking.open(f"sqlite:///{self.state / 'stepwell.db'}") as well:
            steps = well.workflow("invention-analysis").get(analysis).steps()
        return {step.name.rpartition("-")[0] for step in steps if step.success}

    def run_and_kill(self) -> tuple[str, set[str]]:
        """Start an analysis and kill the server in its middle; gives its id and what is stored."""
        with self.server() as process:
            say(f"① The server runs at {self.url}. Starting an analysis over HTTP:")
            analysis = self.start_analysis()
            say(f"    POST /analyses → {analysis}")
            shown = 0

            def is_midway() -> bool:
                nonlocal shown
                shown = self.show_new_effects(shown)
                return shown >= STEPS_BEFORE_KILL

            self.wait_for("the middle of the analysis", is_midway)
            time.sleep(STEP_SECONDS / 2)  # the next steps are half done then
            self.show_new_effects(shown)
            say(f"② Killing the server (process {process.pid}) with SIGKILL, now.")
            process.send_signal(signal.SIGKILL)
            process.wait()
        stored = self.stored_steps(analysis)
        say(f"    The database holds the results of {len(stored)} steps.")
        return analysis, stored

    def go_on(self, analysis: str) -> str:
        """Start the server again and let the analysis end; gives the report."""
        shown = len(self.effects_seen())
        with self.server():
            say("③ Started again. The analysis goes on by itself, after its last stored step:")

            def has_ended() -> bool:
                nonlocal shown
                shown = self.show_new_effects(shown)
                status = self.status(analysis)
                if status["status"] == "failed":
                    raise DemoFailedError(f"the analysis failed: {status}")
                return bool(status["status"] == "completed")

            self.wait_for("the end of the analysis", has_ended)
            self.show_new_effects(shown)
            answer = httpx.get(f"{self.url}/analyses/{analysis}/report")
            answer.raise_for_status()
            return answer.text


def check_nothing_twice(stored: set[str], effects: list[str]) -> None:
    """Prove from the log of side effects that stored steps did not run again."""
    twice = {name for name, times in Counter(effects).items() if times > 1}
    if not stored or twice & stored:
        raise DemoFailedError(f"these steps ran twice although they were stored: {twice & stored}")
    say(f"④ {len(set(effects))} steps did their work. Of the {len(stored)} stored before the kill,")
    say("   none ran again; the log of side effects has each of them once.")
    if twice:
        say(f"   (Cut off by the kill before they were stored, and so done again: {twice}.)")


def say(text: str) -> None:
    """Print at once, also into a pipe."""
    print(text, flush=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def main() -> int:
    """Run the demonstration; gives the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="stepwell-demo-"))
    demo = Demo(folder)
    try:
        analysis, stored = demo.run_and_kill()
        report = demo.go_on(analysis)
        say("")
        say(report.strip())
        say("")
        check_nothing_twice(stored, demo.effects_seen())
    except (DemoFailedError, httpx.HTTPError) as error:
        say(f"The demonstration failed: {error}\nThe server's log is {demo.log}")
        return 1
    shutil.rmtree(folder)
    say("⑤ Where to look next: examples/invention_analysis/invention/workflow.py is the workflow,")
    say("   README.md has the first steps. This runs the project:")
    command = Path(sys.executable).with_name("stepwell")
    say(f"   {command} dev --config {PROJECT / 'wrangler.jsonc'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
