"""Workloads of whole processes: a worker that is killed, an import, and the development server."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from benchmarks import workflows
from benchmarks.quantiles import Numbers, p50
from benchmarks.rates import open_in
from benchmarks.sizes import Sizes
from stepwell import WorkflowInstance

_ROOT = Path(__file__).parent.parent
_LOOK_SECONDS = 0.02
_START_SECONDS_MAX = 30.0
_IMPORT = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"
_NAMES = "from stepwell import WorkflowEntrypoint, open"
_APP = """
from stepwell import WorkflowEntrypoint

class Hello(WorkflowEntrypoint):
    async def run(self, event, step):
        return await step.do("greet", lambda: "hello")

async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ready"})
"""
_PROJECT = {
    "name": "small",
    "main": "main.py",
    "workflows": [{"name": "hello", "binding": "HELLO", "class_name": "Hello"}],
}


async def crash(folder: Path, sizes: Sizes) -> Numbers:
    """SIGKILL the worker of all runs while another one stands by: seconds until all go on."""
    log = folder / "steps.log"
    log.touch()
    async with open_in(folder, worker=False) as well:
        params = {"log": str(log), "steps": 100_000}
        items = [{"id": f"run-{number}", "params": params} for number in range(sizes.crash_runs)]
        instances = await well.workflow(workflows.Logged).create_batch(items)
        doomed = _start_worker(folder, sizes)
        heir: subprocess.Popen[bytes] | None = None
        try:
            await _wait_for_lines(log, doomed.pid, sizes.crash_runs, minimum=5)
            heir = _start_worker(folder, sizes)
            await asyncio.sleep(1.5)
            doomed.send_signal(signal.SIGKILL)
            killed = time.time()
            doomed.wait()
            committed = await _committed(instances, doomed.pid)
            await _wait_for_lines(log, heir.pid, sizes.crash_runs, minimum=1)
        finally:
            for process in filter(None, (doomed, heir)):
                process.kill()
                process.wait()
    lines = _lines(log)
    first: dict[str, float] = {}
    for run, _, pid, at in lines:
        if pid == heir.pid:
            first.setdefault(run, at)
    again = sum((run, step) in committed for run, step, pid, _ in lines if pid == heir.pid)
    return {
        "seconds": max(first.values()) - killed,
        "lease_seconds": sizes.crash_lease_seconds,
        "committed_run_again": again,
    }


def _start_worker(folder: Path, sizes: Sizes) -> subprocess.Popen[bytes]:
    arguments = ["-m", "benchmarks.crash_worker", str(folder), str(sizes.crash_lease_seconds)]
    return subprocess.Popen([sys.executable, *arguments], cwd=_ROOT)


async def _wait_for_lines(log: Path, pid: int, runs: int, *, minimum: int) -> None:
    """Wait until `runs` runs have each written `minimum` lines in the process `pid`."""
    while True:
        counts: dict[str, int] = {}
        for run, _, writer, _ in _lines(log):
            if writer == pid:
                counts[run] = counts.get(run, 0) + 1
        if sum(count >= minimum for count in counts.values()) >= runs:
            return
        await asyncio.sleep(_LOOK_SECONDS)


def _lines(log: Path) -> list[tuple[str, str, int, float]]:
    found = []
    for line in log.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            run, step, pid, at = line.split()
            found.append((run, step, int(pid), float(at)))
    return found


async def _committed(instances: list[WorkflowInstance], pid: int) -> set[tuple[str, str]]:
    """Read which steps the process `pid` left on disk: (run, number of the step)."""
    found = set()
    for instance in instances:
        for step in await instance.steps():
            if step["success"] and step["output"] == pid:
                found.add((instance.id, step["name"].split()[1].partition("-")[0]))
    return found


async def start(folder: Path, sizes: Sizes) -> Numbers:
    """Import in a fresh interpreter, and `stepwell dev` until it answers."""
    (folder / "main.py").write_text(_APP, encoding="utf-8")
    (folder / "wrangler.jsonc").write_text(json.dumps(_PROJECT), encoding="utf-8")
    # The first start writes compiled files; it is not counted.
    _import_seconds(_NAMES)
    await _dev_seconds(folder)
    return {
        "import_ms": p50(_import_seconds("import stepwell") for _ in range(sizes.starts)) * 1e3,
        "names_ms": p50(_import_seconds(_NAMES) for _ in range(sizes.starts)) * 1e3,
        "dev_ms": p50([await _dev_seconds(folder) for _ in range(sizes.starts)]) * 1e3,
    }


def _import_seconds(statement: str) -> float:
    command = [sys.executable, "-c", _IMPORT.format(statement)]
    return float(subprocess.run(command, cwd=_ROOT, check=True, capture_output=True).stdout)


async def _dev_seconds(folder: Path) -> float:
    """From starting the process to the first answer over HTTP."""
    command = [sys.executable, "-m", "stepwell", "dev", "--port", "0"]
    started = time.perf_counter()
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_START_SECONDS_MAX):
            url = await _url_of(process)
            await asyncio.to_thread(_get, url)
        return time.perf_counter() - started
    finally:
        process.terminate()
        await process.wait()


async def _url_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if line.startswith(b"Ready on "):
            return line.split()[2].decode()
    raise RuntimeError("stepwell dev ended before it was ready")


def _get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=_START_SECONDS_MAX) as answer:
        return bytes(answer.read())
