"""What the server serves: the project's ASGI app with `env` in each scope."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepwell.http.asgi import ASGIApp, Receive, Scope, Send
from stepwell.http.lifespan import running

_NO_APP = (
    "This project has workflows only. To answer requests, define an ASGI app (FastAPI, Starlette, "
    "...) named `app` in the main file; it finds the bindings in request.scope['env']."
)


class HostedApp:
    """Hands each request to the project's app, together with the bindings.

    An app finds them as `scope["env"]`, in FastAPI and Starlette `request.scope["env"]`.
    """

    def __init__(self, app: ASGIApp, env: object, state: dict[str, Any]) -> None:
        self._app = app
        self._env = env
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        own = {**scope, "env": self._env, "state": dict(self._state)}
        await self._app(own, receive, send)


@asynccontextmanager
async def hosted(app: ASGIApp | None, env: object) -> AsyncIterator[ASGIApp]:
    """Host a project's app, started; without one, an app that says so.

    Raises:
        AppStartupError: the app said that its startup failed.
    """
    if app is None:
        yield answer_without_app
        return
    async with running(app, env) as state:
        yield HostedApp(app, env, state)


async def answer_without_app(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer each request with 404 and a word on how to define an app."""
    if scope["type"] != "http":
        return
    body = json.dumps({"error": _NO_APP}).encode()
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})
