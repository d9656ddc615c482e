"""Runs the web server of the demo until Ctrl-C or SIGTERM, and ends it quietly within a second."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from sans_rtc_asyncio import PeerConnection
from sans_rtc_demo.demo_server import make_app
from sans_rtc_demo.demo_sessions import SessionLimits, Sessions
from sans_rtc_net.peer_metrics import PeerMetrics

STOP_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket; OSError when the address is taken or is not ours."""
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def page_url(host: str, listener: socket.socket) -> str:
    """The address to open in a browser."""
    port = listener.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"http://[{shown}]:{port}/" if ":" in shown else f"http://{shown}:{port}/"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server at this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def serve(
    listener: socket.socket,
    names: Iterable[str],
    make_peer: Callable[[], PeerConnection],
    on_ready: Callable[[], None],
    metrics: PeerMetrics | None = None,
    on_closed: Callable[[PeerConnection], None] | None = None,
) -> None:
    """Serve the page until a stop signal; then end every connection, and return.

    listener   a listening socket, closed at the end
    names      host names that the server may be called by, besides addresses and `localhost`
    make_peer  makes the Python end of one page's connection
    on_ready   called once pages and signals are handled
    metrics    what GET /metrics tells; None: there is no such page
    on_closed  called with the peer of a connection that has ended; more than once at times
    """
    sessions = Sessions(make_peer, SessionLimits(), on_closed)
    server = _Server(_config(make_app(sessions, names, metrics)))
    with _stop_signals() as stop:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopped = asyncio.create_task(stop.wait())
        on_ready()
        await asyncio.wait([serving, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        server.should_exit = True
        # Both at once: questions that wait for candidates end with their sessions, and uvicorn waits for these.
        await asyncio.gather(sessions.close_all(), serving)


class _Server(uvicorn.Server):
    """uvicorn without its signal handling, which raises the signal again after the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_level="error",
        access_log=False,
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=1,
        h11_max_incomplete_event_size=16_384,
        limit_concurrency=256,
    )


@contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(stop.set)

    previous = {number: signal.signal(number, on_signal) for number in STOP_SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
