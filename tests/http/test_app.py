"""The app around a project's app."""

from __future__ import annotations

import json
import logging
import re
from contextlib import asynccontextmanager
from typing import ClassVar

import httpx
import pytest
from fastapi import FastAPI

from stepwell.http.app import HostedApp
from stepwell.runtime.env import Env

ENV = Env({"GREETING": "hello"})


@pytest.mark.parametrize("type_", ["http", "websocket", "lifespan"])
async def test_env_is_in_every_scope(type_):
    """The app finds its bindings as scope["env"], whatever the scope is for."""
    seen = []

    async def app(scope, receive, send):
        seen.append(scope)

    await HostedApp(app, ENV)({"type": type_, "path": "/"}, _nothing, _ignore)

    assert [{"type": type_, "path": "/", "env": ENV}] == seen


async def test_env_in_a_lifespan_of_fastapi():
    """FastAPI hands its lifespan the app alone; env is on the app's state by then."""
    seen = []

    @asynccontextmanager
    async def lifespan(app):
        seen.append(app.state.env.GREETING)
        yield

    asked = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive():
        return {"type": next(asked)}

    await HostedApp(FastAPI(lifespan=lifespan), ENV)({"type": "lifespan"}, receive, _ignore)

    assert ["hello"] == seen


async def test_state_of_another_kind():
    """An app whose `state` takes no attributes is served all the same."""

    class App:
        state: ClassVar = {}

        async def __call__(self, scope, receive, send):
            seen.append(scope["env"])

    seen = []
    await HostedApp(App(), ENV)({"type": "http", "method": "GET", "path": "/"}, _nothing, _ignore)

    assert [ENV] == seen


async def test_scope_of_the_server_is_left_alone():
    """The scope that came in is not written to."""
    scope = {"type": "http"}

    async def app(scope, receive, send):
        scope["seen"] = True

    await HostedApp(app, ENV)(scope, _nothing, _ignore)

    assert {"type": "http"} == scope


async def test_state_of_the_lifespan_reaches_requests():
    """What the app puts into the lifespan's state is in the server's state, for later requests."""
    state = {}

    async def app(scope, receive, send):
        scope["state"]["pool"] = 5

    await HostedApp(app, ENV)({"type": "lifespan", "state": state}, _nothing, _ignore)

    assert {"pool": 5} == state


async def test_request_and_answer_pass_through():
    """Body and answer are between client and app."""

    async def app(scope, receive, send):
        message = await receive()
        answer = json.dumps([scope["env"].GREETING, message["body"].decode()]).encode()
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": answer})

    answer = await _post(HostedApp(app, ENV), b"body")

    assert 201 == answer.status_code
    assert ["hello", "body"] == answer.json()


async def test_line_for_each_request(caplog):
    """A request is logged with its path, as it stands in a URL, and status; not with its query."""
    caplog.set_level(logging.INFO, "stepwell.http")

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 201, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    await _post(HostedApp(app, ENV), b"", "/a%0Ab/c?token=psst")

    (line,) = [text for text in caplog.messages if text.startswith("POST")]
    assert re.fullmatch(r"POST /a%0Ab/c 201 in \d+ ms", line)


async def test_line_for_a_request_that_failed(caplog):
    """A request that the app answers by an error counts as 500, which the server makes of it."""
    caplog.set_level(logging.INFO, "stepwell.http")

    async def app(scope, receive, send):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        await _post(HostedApp(app, ENV), b"")

    assert "POST / 500" in caplog.text


async def test_error_of_the_app_passes_through():
    """An error of the app reaches the server, which knows what to answer."""

    async def app(scope, receive, send):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match=r"^broken$"):
        await HostedApp(app, ENV)({"type": "http"}, _nothing, _ignore)


async def test_request_without_an_app():
    """A project without an app answers 404 and says why."""
    answer = await _post(HostedApp(None, ENV), b"")

    assert 404 == answer.status_code
    assert "main file defines no `app`" in answer.text


async def test_websocket_without_an_app():
    """A project without an app refuses a websocket properly."""
    sent = []

    async def connect():
        return {"type": "websocket.connect"}

    async def send(message):
        sent.append(message["type"])

    await HostedApp(None, ENV)({"type": "websocket"}, connect, send)

    assert ["websocket.close"] == sent


async def test_lifespan_without_an_app():
    """A project without an app starts up and shuts down at once."""
    asked = iter(["lifespan.startup", "lifespan.shutdown"])
    sent = []

    async def receive():
        return {"type": next(asked)}

    async def send(message):
        sent.append(message["type"])

    await HostedApp(None, ENV)({"type": "lifespan"}, receive, send)

    assert ["lifespan.startup.complete", "lifespan.shutdown.complete"] == sent


async def _post(app, body, path="/"):
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://project") as client:
        return await client.post(path, content=body)


async def _nothing():
    return {}


async def _ignore(message):
    pass
