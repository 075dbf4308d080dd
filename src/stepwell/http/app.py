"""The ASGI app around a project's own: gives it `env`, and logs a line for each request."""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any, TypeAlias
from urllib.parse import quote

from stepwell.runtime.env import Env

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]

_LOG = logging.getLogger("stepwell.http")
# What needs no quoting in a path, so that a line of the log shows it as a browser does.
_PLAIN_IN_PATHS = "/:@!$&'()*+,;=~"


class HostedApp:
    """A project's app as a server sees it; the app reads `scope["env"]`, or `app.state.env`.

    The app's lifespan is passed through too, so its start-up already finds everything on env.
    """

    def __init__(self, app: ASGIApp | None, env: Env) -> None:
        self._app = app if app is not None else _only_workflows
        self._env = env
        # A FastAPI app hands its lifespan itself and no scope, so env is on `app.state` too.
        state = getattr(app, "state", None)
        if state is not None:
            with suppress(AttributeError, TypeError):  # a state of the project's own kind
                state.env = env

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        given = {**scope, "env": self._env}
        if scope["type"] != "http" or not _LOG.isEnabledFor(logging.INFO):
            await self._app(given, receive, send)
            return
        status, began = 500, time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(given, receive, note_status)
        finally:
            # Without the query: it is where secrets stand.
            path = quote(scope["path"], safe=_PLAIN_IN_PATHS)
            milliseconds = (time.perf_counter() - began) * 1000
            _LOG.info("%s %s %d in %.0f ms", scope["method"], path, status, milliseconds)


async def _only_workflows(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer for a project without an app of its own."""
    match scope["type"]:
        case "http":
            body = b"This project has workflows but no HTTP app: its main file defines no `app`.\n"
            headers = [(b"content-type", b"text/plain; charset=utf-8")]
            await send({"type": "http.response.start", "status": 404, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        case "websocket":
            await receive()
            await send({"type": "websocket.close"})
        case _:
            for answer in ("lifespan.startup.complete", "lifespan.shutdown.complete"):
                await receive()
                await send({"type": answer})
