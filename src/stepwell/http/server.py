"""The HTTP server: a port, taken at once, and uvicorn on it until someone says stop."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from signal import SIG_DFL, SIGINT, SIGTERM, signal
from types import TracebackType

import uvicorn

from stepwell.errors import StepwellError
from stepwell.http.asgi import ASGIApp

CONNECTIONS_END_SECONDS = 3
_BACKLOG = 2048
_PORT_MAX = 65535


class ServerError(StepwellError):
    """The server cannot listen."""


class HttpServer:
    """Holds a port from the start; `serve` answers on it until `stop`."""

    def __init__(self, host: str, port: int) -> None:
        """Take the port; 0 takes any free one.

        Raises:
            ServerError: it is in use, or host and port cannot be listened on.
        """
        self._socket = _listen(host, port)
        self._server: _Server | None = None
        self._is_stopped = False

    def __enter__(self) -> HttpServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    @property
    def url(self) -> str:
        """Where a browser finds it."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def serve(self, app: ASGIApp, on_ready: Callable[[], None]) -> None:
        """Serve an app until `stop`; then connections get a few seconds to end."""
        config = uvicorn.Config(
            app,
            lifespan="off",
            log_config=None,
            access_log=False,
            timeout_graceful_shutdown=CONNECTIONS_END_SECONDS,
        )
        self._server = _Server(config, on_ready)
        self._server.should_exit = self._is_stopped
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """End `serve`, or keep it from starting."""
        self._is_stopped = True
        if self._server is not None:
            self._server.should_exit = True


class _Server(uvicorn.Server):
    """A uvicorn that tells when it is ready, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if not self.should_exit:
            self._on_ready()

    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # no generator
        """Capture none: after its end uvicorn would raise them again, which is no clean exit."""
        return nullcontext()


@contextmanager
def on_stop_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; a second one ends the process at once."""
    loop = asyncio.get_running_loop()

    def hear() -> None:
        release()
        for number in (SIGINT, SIGTERM):
            signal(number, SIG_DFL)
        stop()

    def release() -> None:
        for number in (SIGINT, SIGTERM):
            loop.remove_signal_handler(number)

    for number in (SIGINT, SIGTERM):
        loop.add_signal_handler(number, hear)
    try:
        yield
    finally:
        release()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= _PORT_MAX:
        raise ServerError(f"{port} is no port; choose one from 0 to {_PORT_MAX}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise ServerError(f"there is no host {host!r} to listen on: {error.strerror}") from error
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        # Listening now, not when serving: two processes can bind one port, but not both listen.
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        raise ServerError(_why(error, host, port)) from error
    return found


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is in use by another program (another stepwell dev?); "
            f"stop that one, or choose another port, such as --port {port % _PORT_MAX + 1}"
        )
    if error.errno == errno.EACCES:
        return f"port {port} needs more rights than this user has; choose one above 1023"
    return f"cannot listen on {host}, port {port}: {error.strerror}"
