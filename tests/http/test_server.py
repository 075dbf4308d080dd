"""The server: the address it takes, the app it serves, and what makes it stop."""

from __future__ import annotations

import asyncio
import signal
from contextlib import closing

import httpx
import pytest

from stepwell.errors import AddressError, StartUpError
from stepwell.http.app import HostedApp
from stepwell.http.server import StopRequest, listen, serve, url_of
from stepwell.runtime.env import Env

HERE = "127.0.0.1"


def test_free_port():
    """Port 0 takes any free port, and the URL names it."""
    with closing(listen(HERE, 0)) as listener:
        port = listener.getsockname()[1]
        url = url_of(listener)

    assert port > 0
    assert f"http://127.0.0.1:{port}" == url


def test_url_of_all_addresses():
    """Who listens on every address is reached from this machine by its own one."""
    with closing(listen("0.0.0.0", 0)) as listener:
        url = url_of(listener)

    assert url.startswith("http://127.0.0.1:")


def test_port_in_use():
    """A port that is listened on is refused, with the port and a way out."""
    with closing(listen(HERE, 0)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(AddressError, match=rf"port {port} of 127.0.0.1 is in use.*--port"):
            listen(HERE, port)


def test_port_is_free_again():
    """A port can be taken again as soon as the server before has closed."""
    with closing(listen(HERE, 0)) as first:
        port = first.getsockname()[1]
    with closing(listen(HERE, port)) as second:
        again = second.getsockname()[1]

    assert port == again


@pytest.mark.parametrize("host", ["203.0.113.7", "no.such.host.invalid"])
def test_host_of_elsewhere(host):
    """An address that this machine does not have is refused by name."""
    with pytest.raises(AddressError, match=rf"^{host} is no address of this machine.*--host"):
        listen(host, 0)


async def test_ready_and_served():
    """When it says that it is ready, requests are answered."""
    async with httpx.AsyncClient() as client:
        answer = await _serve(_hello, client.get)

    assert "hello" == answer.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
async def test_signal_is_heard_and_goes_no_further(number):
    """A stop by signal ends `serve` without an error, and the handlers of before are back."""
    before = signal.getsignal(number)

    with StopRequest() as stop, closing(listen(HERE, 0)) as listener:
        await serve(
            HostedApp(_hello, Env({})),
            listener,
            stop=stop,
            on_ready=lambda: signal.raise_signal(number),
        )

    assert stop.is_made
    assert before is signal.getsignal(number)


async def test_signal_before_serving():
    """A signal while things are still being opened keeps the server from starting."""
    ready = []

    with StopRequest() as stop, closing(listen(HERE, 0)) as listener:
        signal.raise_signal(signal.SIGTERM)
        await serve(
            HostedApp(_hello, Env({})), listener, stop=stop, on_ready=lambda: ready.append(1)
        )

    assert [] == ready


async def test_app_shuts_down_before_serve_returns():
    """The app's shut-down has run when `serve` comes back, so what it uses may then close."""
    heard = []

    async def app(scope, receive, send):
        if scope["type"] != "lifespan":
            return
        for _ in range(2):
            message = await receive()
            heard.append(message["type"])
            await send({"type": f"{message['type']}.complete"})

    with StopRequest() as stop, closing(listen(HERE, 0)) as listener:
        await serve(
            HostedApp(app, Env({})),
            listener,
            stop=stop,
            on_ready=lambda: signal.raise_signal(signal.SIGTERM),
        )

    assert ["lifespan.startup", "lifespan.shutdown"] == heard


async def test_failed_start_up_of_the_app(caplog):
    """An app that says it cannot start is an error, and its reason is in the log."""
    ready = []

    async def app(scope, receive, send):
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no connection"})

    with (
        StopRequest() as stop,
        closing(listen(HERE, 0)) as listener,
        pytest.raises(StartUpError),
    ):
        await serve(HostedApp(app, Env({})), listener, stop=stop, on_ready=lambda: ready.append(1))

    assert [] == ready
    assert "no connection" in caplog.text


async def _serve(app, use):
    """Serve an app, use its URL, and give what that gave."""
    with StopRequest() as stop, closing(listen(HERE, 0)) as listener:
        url = url_of(listener)
        tasks = []

        async def act():
            try:
                return await use(url)
            finally:
                signal.raise_signal(signal.SIGTERM)

        await serve(
            HostedApp(app, Env({})),
            listener,
            stop=stop,
            on_ready=lambda: tasks.append(asyncio.ensure_future(act())),
        )
        return await tasks[0]


async def _hello(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})
