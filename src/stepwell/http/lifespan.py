"""An ASGI app's lifespan as a context: started on entry, shut down on exit.

The server itself has nothing to do with it, so that the app may live inside other contexts: it
starts when the workflows are open, and has shut down before they close.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stepwell.errors import StepwellError
from stepwell.http.asgi import ASGIApp, Message, Scope

_LOG = logging.getLogger("stepwell.http")


class AppStartupError(StepwellError):
    """The app could not start."""


@asynccontextmanager
async def running(app: ASGIApp, env: object) -> AsyncIterator[dict[str, Any]]:
    """Keep an app started; gives the state that its startup left for the requests.

    Raises:
        AppStartupError: the app said that its startup failed.
    """
    lifespan = _Lifespan()
    scope: Scope = {
        "type": "lifespan",
        "asgi": {"version": "3.0", "spec_version": "2.0"},
        "state": lifespan.state,
        "env": env,
    }
    task = asyncio.create_task(_run(app, scope, lifespan))
    try:
        await lifespan.start(task)
        yield lifespan.state
    finally:
        await lifespan.stop(task)


class _Lifespan:
    """Our side of the conversation with the app."""

    def __init__(self) -> None:
        self.state: dict[str, Any] = {}
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._answered = asyncio.Event()
        self._failure: str | None = None

    async def start(self, task: asyncio.Task[None]) -> None:
        await self._tell("lifespan.startup", task)
        if self._failure is not None:
            reason = self._failure.strip() or "it gave no reason"
            raise AppStartupError(f"the app could not start: {reason}")

    async def stop(self, task: asyncio.Task[None]) -> None:
        try:
            if not task.done():
                await self._tell("lifespan.shutdown", task)
            if self._failure:
                _LOG.error("the app could not shut down cleanly: %s", self._failure.strip())
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def receive(self) -> Message:
        return await self._to_app.get()

    async def send(self, message: Message) -> None:
        if str(message["type"]).endswith(".failed"):
            self._failure = message.get("message", "")
        self._answered.set()

    async def _tell(self, type_: str, task: asyncio.Task[None]) -> None:
        """Say one thing, and wait for the answer, or for the app's end without one."""
        self._failure = None
        self._answered.clear()
        await self._to_app.put({"type": type_})
        answer = asyncio.ensure_future(self._answered.wait())
        try:
            await asyncio.wait([answer, task], return_when=asyncio.FIRST_COMPLETED)
        finally:
            answer.cancel()


async def _run(app: ASGIApp, scope: Scope, lifespan: _Lifespan) -> None:
    try:
        await app(scope, lifespan.receive, lifespan.send)
    except Exception as error:  # noqa: BLE001  (by the ASGI standard: an app without a lifespan)
        _LOG.debug("the app takes no part in the lifespan: %r", error)
