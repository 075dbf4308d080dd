"""A whole project in one process: what is opened, in which order, and what is closed."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sqlite3
from contextlib import closing
from dataclasses import replace

import httpx
import pytest

from stepwell.authoring.workflow import WorkflowEntrypoint
from stepwell.errors import D1Error, InstanceErrored, StepwellError, StoreError
from stepwell.http.hosting import Place, host_project, open_project, prepare_state
from stepwell.wiring import open as open_stepwell
from tests.http.sample import CLASSES, make_code, make_project

WAIT_SECONDS = 30


class Stuck(WorkflowEntrypoint):
    async def run(self, event, step):
        await step.sleep("long", "1 day")


async def test_env_has_everything(tmp_path):
    """A variable, a secret, the databases and the workflows are on env."""
    async with _opened(tmp_path, secrets={"TOKEN": "t"}) as env:
        names = sorted(env)

    assert ["CHILD", "DB", "GREETING", "OTHER_DB", "PARENT", "SAME_DB", "SHORT", "TOKEN"] == names


async def test_workflows_run(tmp_path):
    """An instance made through a binding runs; from its steps it can make another."""
    async with _opened(tmp_path) as env:
        parent = await env.PARENT.create()
        output = await parent.result(WAIT_SECONDS)
        child = await env.CHILD.get("of-parent")
        greeting = await child.result(WAIT_SECONDS)

    assert "done" == output
    assert "hello" == greeting


async def test_waiting_instance_finds_its_bindings_at_the_start(tmp_path):
    """An instance that is picked up while the project opens can use its bindings already."""
    url = f"sqlite:///{tmp_path / 'state' / 'stepwell.db'}"
    prepare_state(tmp_path / "state")
    async with open_stepwell(url, workflows=CLASSES, worker=False) as well:
        await well.workflow("parent").create(id="early")

    async with _opened(tmp_path) as env:
        early = await env.PARENT.get("early")
        output = await early.result(WAIT_SECONDS)
        greeting = await (await env.CHILD.get("of-parent")).result(WAIT_SECONDS)

    assert "done" == output
    assert "hello" == greeting


async def test_unfinished_instances_are_told(tmp_path, caplog):
    """At the start the log says how many instances of each workflow go on."""
    caplog.set_level(logging.INFO)
    url = f"sqlite:///{tmp_path / 'state' / 'stepwell.db'}"
    prepare_state(tmp_path / "state")
    async with open_stepwell(url, workflows={"parent": Stuck}, worker=False) as well:
        await well.workflow("parent").create_batch([{"id": f"early-{i}"} for i in range(3)])

    code = replace(make_code(), workflows={**CLASSES, "parent": Stuck})
    async with open_project(make_project(tmp_path), code, tmp_path / "state", secrets={}):
        pass

    assert ["parent: 3 unfinished instances go on"] == [
        text for text in caplog.messages if "go on" in text
    ]


async def test_creation_is_told(tmp_path, caplog):
    """An instance that is made through env is logged."""
    caplog.set_level(logging.INFO)
    async with _opened(tmp_path) as env:
        await env.CHILD.create(id="a")
        await env.CHILD.create_batch([{"id": "a"}, {"id": "b"}])

    assert ["child/a created", "child/b created"] == [
        text for text in caplog.messages if "created" in text
    ]


async def test_limit_of_the_file(tmp_path):
    """limits.steps of the project file holds for the instances of that workflow."""
    async with _opened(tmp_path) as env:
        instance = await env.SHORT.create()
        with pytest.raises(InstanceErrored, match="one more than the 1 step"):
            await instance.result(WAIT_SECONDS)


async def test_retention_of_the_file(tmp_path):
    """default_retention of the project file is what an instance gets that says nothing itself."""
    async with _opened(tmp_path) as env:
        await env.PARENT.create(id="a")
        await env.PARENT.create({"id": "b", "retention": {"successRetention": "1 minute"}})
    with closing(sqlite3.connect(tmp_path / "state" / "stepwell.db")) as store:
        rows = store.execute(
            "SELECT id, success_ms FROM instances WHERE workflow = 'parent' ORDER BY id"
        ).fetchall()

    assert [("a", 3_600_000), ("b", 60_000)] == rows


async def test_step_limit_above_the_usual(tmp_path):
    """A limit above Cloudflare's is only warned about: the project opens, and runs."""
    project = make_project(tmp_path)
    short = replace(project.workflows[-1], steps_max=30_000)
    project = replace(project, workflows=(*project.workflows[:-1], short))

    async with open_project(project, make_code(), tmp_path / "state", secrets={}) as env:
        output = await (await env.SHORT.create()).result(WAIT_SECONDS)

    assert [1, 2] == output


async def test_databases_of_one_name_are_one(tmp_path):
    """Two bindings of one database_name see the same rows, another name sees others."""
    async with _opened(tmp_path) as env:
        await env.DB.exec("CREATE TABLE notes (text TEXT); INSERT INTO notes VALUES ('a')")
        text = await env.SAME_DB.prepare("SELECT text FROM notes").first("text")
        with pytest.raises(D1Error, match="no such table: notes"):
            await env.OTHER_DB.prepare("SELECT text FROM notes").first()

    assert "a" == text


async def test_closed_after_use(tmp_path):
    """After the end neither databases nor workflows can be used, and say so."""
    async with _opened(tmp_path) as env:
        await env.DB.prepare("SELECT 1").first()

    with pytest.raises(D1Error, match="is closed"):
        await env.DB.prepare("SELECT 1").first()
    with pytest.raises(StepwellError, match="Stepwell is not open"):
        await env.CHILD.create()


async def test_damaged_store_closes_what_was_opened(tmp_path):
    """A store that cannot be opened is an error of the store; the folder stays usable."""
    store = tmp_path / "state" / "stepwell.db"
    store.parent.mkdir()
    store.write_bytes(b"no database at all" * 100)

    with pytest.raises(StoreError):
        async with _opened(tmp_path):
            pass
    store.unlink()
    async with _opened(tmp_path) as env:
        output = await (await env.CHILD.create()).result(WAIT_SECONDS)

    assert "hello" == output


def test_gitignore_of_the_user_stays(tmp_path):
    """A .gitignore that is there is not written over."""
    (tmp_path / ".gitignore").write_text("mine\n")

    prepare_state(tmp_path)

    assert "mine\n" == (tmp_path / ".gitignore").read_text()


def test_state_folder_that_is_a_file(tmp_path):
    """A state folder that cannot be made is told with its path and the option."""
    (tmp_path / "state").touch()

    with pytest.raises(StepwellError, match=r"state, .*/state, cannot be used: .*--persist-to"):
        prepare_state(tmp_path / "state")


async def test_app_starts_inside_and_ends_inside(tmp_path):
    """At the app's start-up and at its shut-down the workflows and databases are open."""
    heard = []

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            return
        for id in ("at-start", "at-end"):
            message = await receive()
            instance = await scope["env"].CHILD.create(id=id)
            heard.append([id, await instance.result(WAIT_SECONDS)])
            await send({"type": f"{message['type']}.complete"})

    await _host(tmp_path, app, lambda url: signal.raise_signal(signal.SIGTERM))

    assert [["at-start", "hello"], ["at-end", "hello"]] == heard


async def test_request_starts_an_instance(tmp_path):
    """A request to the hosted app reaches a workflow, and its answer the client."""
    answers = []

    async def app(scope, receive, send):
        if scope["type"] != "http":
            return
        instance = await scope["env"].CHILD.create()
        body = json.dumps(await instance.result(WAIT_SECONDS)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def ask(url):
        try:
            async with httpx.AsyncClient(timeout=WAIT_SECONDS) as client:
                answers.append((await client.get(url)).json())
        finally:
            signal.raise_signal(signal.SIGTERM)

    tasks = []
    await _host(tmp_path, app, lambda url: tasks.append(asyncio.ensure_future(ask(url))))
    await tasks[0]

    assert ["hello"] == answers


def _opened(folder, secrets=None):
    project = make_project(folder)
    return open_project(project, make_code(), folder / "state", secrets=secrets or {})


async def _host(folder, app, on_ready):
    place = Place(host="127.0.0.1", port=0, state=folder / "state")
    project = make_project(folder)
    await host_project(project, make_code(app), place, secrets={}, on_ready=on_ready)
