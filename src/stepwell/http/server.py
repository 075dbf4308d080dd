"""Serve an ASGI app on an address until the process is asked to stop."""

from __future__ import annotations

import errno
import logging
import signal
import socket
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

import uvicorn

from stepwell.errors import AddressError, StartUpError
from stepwell.http.app import HostedApp

_LOG = logging.getLogger("stepwell.http")
_BACKLOG = 2048
_GRACE_SECONDS = 5
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Hears SIGINT and SIGTERM as a request to stop, while its context lasts.

    The server hears them by itself while it serves, and hands them on when it has ended. Here they
    are heard before and after, so that opening and closing are not cut off. Once closing has
    begun, another SIGINT cuts it off.
    """

    def __init__(self) -> None:
        self.is_made = False
        self._is_closing = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._hear) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def begin_closing(self) -> None:
        """Let another SIGINT end the process at once from here on."""
        self._is_closing = True
        if self.is_made:
            _LOG.info("stopping: steps in flight may end; Ctrl+C stops at once, and they run again")

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self._is_closing and number == signal.SIGINT:
            # No KeyboardInterrupt: asyncio would cancel the runs, which is not the same as their
            # process being gone. They go on at the next start.
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self.is_made = True


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address; port 0 takes a free one. Connections wait until they are served.

    Raises:
        AddressError: another program has it, or it is none of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        raise AddressError(_address_fault(host, port, error)) from error


def url_of(listener: socket.socket) -> str:
    """Give the URL under which a listening socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  (only compared)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


async def serve(
    app: HostedApp, listener: socket.socket, *, stop: StopRequest, on_ready: Callable[[], None]
) -> None:
    """Serve until a stop is requested; requests under way get some seconds to end.

    Raises:
        StartUpError: the app's own start-up failed.
    """
    if stop.is_made:
        return
    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    server = _Server(config, on_ready)
    try:
        await server.serve(sockets=[listener])
    except SystemExit:
        raise StartUpError from None
    finally:
        stop.begin_closing()
    if not server.started and not stop.is_made:
        raise StartUpError


class _Server(uvicorn.Server):
    """Tells when requests are answered."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()


def _address_fault(host: str, port: int, error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} of {host} is in use by another program (another stepwell dev?). "
                "Stop that one, or give another port with --port"
            )
        case errno.EACCES:
            return f"port {port} may not be used by this user. Give one from 1024 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine. Give another with --host"
    if isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine: {error.strerror}. Give another with --host"
    return f"cannot listen on port {port} of {host}: {error}. Give another with --port or --host"
