"""A small project on disk: an app without a framework, one workflow, one database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

# `relay` writes what it does to effects.log, since that outlives its process, and holds its second
# step until there is a file named "open".
MAIN = """
import asyncio
import json
from pathlib import Path

from stepwell import WorkflowEntrypoint

HERE = Path(__file__).parent


class Relay(WorkflowEntrypoint):
    async def run(self, event, step):
        first = await step.do("first", lambda: self.note("first"))
        second = await step.do("second", self.hold)
        await step.do("third", lambda: self.note("third"))
        return [self.env.GREETING, first, second]

    async def hold(self):
        self.note("second")
        while not (HERE / "open").exists():
            await asyncio.sleep(0.01)
        return "held"

    def note(self, text):
        with (HERE / "effects.log").open("a") as log:
            log.write(text + "\\n")
        return text


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    env, path = scope["env"], scope["path"].strip("/")
    if path == "broken":
        raise RuntimeError("the page is broken")
    if path == "visits":
        answer = await count_visit(env.DB)
    elif path == "greeting":
        answer = env.GREETING
    elif scope["method"] == "POST":
        answer = (await env.RELAY.create(id=path)).id
    else:
        answer = await (await env.RELAY.get(path)).status()
    body = json.dumps(answer).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})


async def count_visit(db):
    await db.exec("CREATE TABLE IF NOT EXISTS visits (at TEXT)")
    await db.prepare("INSERT INTO visits VALUES (datetime())").run()
    return await db.prepare("SELECT count(*) AS visits FROM visits").first("visits")
"""

FILE: dict[str, Any] = {
    "name": "sample",
    "main": "main.py",
    "vars": {"GREETING": "hello"},
    "workflows": [{"binding": "RELAY", "name": "relay", "class_name": "Relay"}],
    "d1_databases": [{"binding": "DB", "database_name": "visits"}],
}


def write_project(folder: Path, *, main: str = MAIN, **keys: object) -> Path:
    """Write the project into a folder, with other code, or other keys in its file."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "wrangler.jsonc").write_text(json.dumps({**FILE, **keys}), encoding="utf-8")
    (folder / "main.py").write_text(main, encoding="utf-8")
    return folder


def effects_of(folder: Path) -> list[str]:
    """Give what the workflow's steps have done, in order."""
    log = folder / "effects.log"
    return log.read_text(encoding="utf-8").split() if log.exists() else []
