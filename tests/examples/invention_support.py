"""Local servers for the tests of the invention analysis."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class LocalServer:
    """An HTTP server on this machine that answers as told and remembers what it was asked."""

    answer: Callable[[dict[str, Any]], tuple[int, Any]]
    url: str = ""
    bodies: list[dict[str, Any]] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        raw = await request.body()
        body = json.loads(raw) if raw else dict(request.query_params)
        self.bodies.append(body)
        self.requests.append((request.url.path, dict(request.headers)))
        status, content = self.answer(body)
        response = (
            Response(content, status) if isinstance(content, str) else JSONResponse(content, status)
        )
        await response(scope, receive, send)


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """Serve an ASGI app on a free port of this machine, in this event loop; gives its URL."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_level="warning")
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    await server.startup()
    host, port = server.servers[0].sockets[0].getsockname()[:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await server.shutdown()


@asynccontextmanager
async def local_server(
    answer: Callable[[dict[str, Any]], tuple[int, Any]],
) -> AsyncIterator[LocalServer]:
    """Serve; every answer is what `answer` gives for the request's body."""
    server = LocalServer(answer)
    async with serve(server) as url:
        server.url = url
        yield server
