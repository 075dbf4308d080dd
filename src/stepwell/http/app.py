"""The ASGI app around a project's own: gives `env` to each scope, and passes everything on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias

from stepwell.runtime.env import Env

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[Scope, Receive, Send], Awaitable[None]]


class HostedApp:
    """A project's app as a server sees it; the app reads `scope["env"]`.

    The app's lifespan is passed through too, so its start-up already finds everything on env.
    """

    def __init__(self, app: ASGIApp | None, env: Env) -> None:
        self._app = app if app is not None else _only_workflows
        self._env = env

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        await self._app({**scope, "env": self._env}, receive, send)


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
