"""A TURN server inside an asyncio program.

async with TurnServer(users={"alice": "secret"}, port=0, allow_loopback_peers=True) as server:
    server.urls   # ("turn:127.0.0.1:40123?transport=udp", "turn:127.0.0.1:40123?transport=tcp")
"""

from __future__ import annotations

import asyncio
import errno
import math
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidState
from sans_rtc.machine import Address
from sans_rtc.turn.server import Credentials, PeerRules, Server, ServerConfig, ServerEvent, User
from sans_rtc_net.clock import monotonic, wall_clock_offset_s
from sans_rtc_net.entropy import system_entropy
from sans_rtc_net.listener import Listener
from sans_rtc_net.tls import server_context
from sans_rtc_net.turn_driver import LISTENER_UDP, STREAMS, TurnServerDriver
from sans_rtc_net.turn_metrics import CONTENT_TYPE, open_metrics
from sans_rtc_net.turn_settings import DEFAULT_PORT, TurnServerSettings
from sans_rtc_net.udp import UdpSocket

# Ports tried where UDP and TCP are to share any free one, and TCP does not get the one that UDP got.
PORT_ATTEMPTS = 20
# A metrics request: its head, and how long it may take.
METRICS_HEAD_BYTES_MAX = 8192
METRICS_TIMEOUT_S = 5.0


class TurnServer:
    """A TURN and STUN server on UDP, TCP and TLS, from `async with` to its end.

    bind                  IP addresses to listen on; 0.0.0.0 and ::, every one of this machine
    port, tls_port        0: any that is free; tls_port None: no TLS
    certificate_file, key_file   PEM, for TLS
    users                 passwords by name
    rest_secrets          of the TURN REST API; all are valid side by side
    realm                 of the passwords
    relay_addresses       for relays; empty: the first of `bind` of each version of IP
    external_addresses    what clients are told in place of those: public addresses of a 1:1 NAT in front of this host
    ports                 of relays, (first, last)
    allow_loopback_peers, allow_peers, deny_peers   which peers can be reached; see docs/turn-server.md
    alternate_port        of UDP, for RFC 5780
    metrics_port          OpenMetrics by HTTP on the first address; 0: any that is free; None: none
    config                every other bound and lifetime
    on_event              told of allocations made and ended
    Errors                InvalidArgument
    """

    def __init__(
        self,
        *,
        bind: str | Sequence[str] = "127.0.0.1",
        port: int = DEFAULT_PORT,
        tls_port: int | None = None,
        certificate_file: str = "",
        key_file: str = "",
        users: Mapping[str, str] | Sequence[User] = (),
        rest_secrets: Sequence[str] = (),
        realm: str = "sans-rtc",
        relay_addresses: Sequence[str] = (),
        external_addresses: Sequence[str] = (),
        ports: tuple[int, int] | None = None,
        allow_loopback_peers: bool = False,
        allow_peers: Sequence[str] = (),
        deny_peers: Sequence[str] = (),
        alternate_port: int | None = None,
        metrics_port: int | None = None,
        config: ServerConfig | None = None,
        on_event: Callable[[ServerEvent], None] = lambda event: None,
        entropy: Entropy = system_entropy,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        machine = attrs.evolve(config or ServerConfig(), realm=realm)
        if ports is not None:
            machine = attrs.evolve(machine, relay_port_min=ports[0], relay_port_max=ports[1])
        self._settings = TurnServerSettings(
            hosts=(bind,) if isinstance(bind, str) else tuple(bind),
            port=port,
            tls_port=tls_port,
            certificate_file=certificate_file,
            key_file=key_file,
            relay_hosts=tuple(relay_addresses),
            external_hosts=tuple(external_addresses),
            alternate_port=alternate_port,
            peers=PeerRules(allow_loopback=allow_loopback_peers, allow=tuple(allow_peers), deny=tuple(deny_peers)),
            machine=machine,
        )
        self._credentials = make_credentials(users, rest_secrets)
        self._metrics_port = metrics_port
        self._on_event = on_event
        self._entropy = entropy
        self._clock = clock
        self._server: Server | None = None
        self._driver: TurnServerDriver | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._metrics: asyncio.Server | None = None
        self._over: asyncio.Future[None] | None = None
        self.addresses: tuple[Address, ...] = ()
        """Where it listens with UDP and TCP."""
        self.tls_addresses: tuple[Address, ...] = ()
        """Where it listens with TLS."""
        self.metrics_address: Address | None = None
        """Where its metrics are to be had."""

    async def __aenter__(self) -> TurnServer:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Bind everything. Errors: OSError; nothing stays open then."""
        if self._driver is not None:
            raise InvalidState("the server has been started")
        self._loop = asyncio.get_running_loop()
        sockets: list[UdpSocket] = []
        listeners: list[Listener] = []
        try:
            hosts = self._settings.listening_hosts()
            port = self._bind(hosts, sockets, listeners)
            config = self._settings.machine_config(hosts, port, wall_clock_offset_s())
            self._server = Server(config, credentials=self._credentials, entropy=self._entropy)
            driver = TurnServerDriver(self._server, on_event=self._on_event, clock=self._clock)
        except BaseException:
            _close_all(sockets, listeners)
            raise
        self._driver = driver
        self._over = self._loop.create_future()
        for sock in sockets:
            driver.add_udp(sock)
        for listener in listeners:
            driver.add_listener(listener)
        self.addresses = tuple(Address(host, port) for host in hosts)
        self.tls_addresses = tuple(listener.local for listener in listeners if listener.is_tls)
        try:
            self._loop.add_reader(driver.fileno(), self._process)
            if self._metrics_port is not None:
                await self._serve_metrics(hosts[0], self._metrics_port)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """End every allocation and close every socket; idempotent."""
        self._stop()
        metrics, self._metrics = self._metrics, None
        if metrics is not None:
            metrics.close()
            await metrics.wait_closed()

    async def wait_closed(self) -> None:
        """Sleep until it is closed. Errors: what has ended it, where that was a bug; then it serves no more."""
        if self._over is not None:
            await asyncio.shield(self._over)

    def set_credentials(
        self, *, users: Mapping[str, str] | Sequence[User] = (), rest_secrets: Sequence[str] = ()
    ) -> None:
        """Replace everybody who may allocate, at once; see `Server.set_credentials`. Errors: InvalidArgument."""
        self._credentials = make_credentials(users, rest_secrets)
        if self._driver is not None:
            self.server.set_credentials(self._credentials, self._clock())
            self._driver.flush()

    def metrics(self) -> str:
        """The counters as OpenMetrics text."""
        return open_metrics(self.server)

    @property
    def server(self) -> Server:
        """The machine. InvalidState before the start."""
        if self._server is None:
            raise InvalidState("the server has not been started")
        return self._server

    @property
    def urls(self) -> tuple[str, ...]:
        """What clients are given as `urls` of an ICE server."""
        plain = [f"turn:{address}?transport={way}" for address in self.addresses for way in ("udp", "tcp")]
        return (*plain, *[f"turns:{address}?transport=tcp" for address in self.tls_addresses])

    @property
    def ice_servers(self) -> list[dict[str, object]]:
        """For `ice_servers` of a peer connection, with the credentials of the first user."""
        first = next(iter(self._credentials.users), None)
        known = {"username": first.name, "credential": first.password} if first is not None else {}
        return [{"urls": list(self.urls), **known}]

    # -- private -------------------------------------------------------------------------------------------------------

    def _bind(self, hosts: Sequence[str], sockets: list[UdpSocket], listeners: list[Listener]) -> int:
        """Open the listening sockets, into the two lists, and return the port of UDP and TCP."""
        settings = self._settings
        context = None
        if settings.tls_port is not None:
            context = server_context(settings.certificate_file, settings.key_file)
        port = self._bind_plain(hosts, settings.port, sockets, listeners)
        if settings.alternate_port is not None:
            sockets += [UdpSocket.bind(host, settings.alternate_port, LISTENER_UDP) for host in hosts]
        tls_port = settings.tls_port or 0
        for host in hosts if context is not None else ():
            listeners.append(Listener.bind(host, tls_port, context, STREAMS))
            tls_port = listeners[-1].local.port
        return port

    def _bind_plain(self, hosts: Sequence[str], port: int, sockets: list[UdpSocket], listeners: list[Listener]) -> int:
        for attempt in range(PORT_ATTEMPTS):
            chosen = port
            try:
                for host in hosts:
                    sockets.append(UdpSocket.bind(host, chosen, LISTENER_UDP))
                    chosen = sockets[-1].local.port
                    listeners.append(Listener.bind(host, chosen, None, STREAMS))
                return chosen
            except OSError as error:
                if port or error.errno != errno.EADDRINUSE or attempt == PORT_ATTEMPTS - 1:
                    raise
                _close_all(sockets, listeners)
        raise AssertionError("the last attempt returns or raises")

    def _process(self) -> None:
        driver = self._driver
        if driver is None:
            return
        try:
            driver.process()
        except BaseException as error:  # a bug: the loop must not call into a broken machine again and again
            self._stop(error)
            raise
        self._arm(driver.deadline)

    def _stop(self, error: BaseException | None = None) -> None:
        driver, self._driver = self._driver, None
        if driver is None:
            return
        assert self._loop is not None and self._over is not None
        if self._timer is not None:
            self._timer.cancel()
        self._loop.remove_reader(driver.fileno())
        driver.close()
        if error is None:
            self._over.set_result(None)
        else:
            self._over.set_exception(error)
            self._over.exception()  # whoever does not wait for it has it in the log of the loop

    def _on_timer(self) -> None:
        self._timer, self._timer_at = None, math.inf
        self._process()

    def _arm(self, deadline: float) -> None:
        if deadline >= self._timer_at:
            return
        assert self._loop is not None
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_later(max(0.0, deadline - self._clock()), self._on_timer)

    async def _serve_metrics(self, host: str, port: int) -> None:
        self._metrics = await asyncio.start_server(
            self._answer_metrics, host, port, limit=METRICS_HEAD_BYTES_MAX, reuse_address=True
        )
        name = self._metrics.sockets[0].getsockname()
        self.metrics_address = Address(name[0], name[1])

    async def _answer_metrics(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(METRICS_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                is_known = head.startswith((b"GET /metrics ", b"GET / "))
                status, body = ("200 OK", self.metrics()) if is_known else ("404 Not Found", "")
                lines = [f"HTTP/1.1 {status}", f"Content-Type: {CONTENT_TYPE}", f"Content-Length: {len(body)}"]
                writer.write("\r\n".join([*lines, "Connection: close", "", body]).encode())
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has not asked rightly, or is gone
        finally:
            writer.close()


def _close_all(sockets: list[UdpSocket], listeners: list[Listener]) -> None:
    for sock in sockets:
        sock.close()
    for listener in listeners:
        listener.close()
    sockets.clear()
    listeners.clear()


def make_credentials(users: Mapping[str, str] | Sequence[User], rest_secrets: Sequence[str]) -> Credentials:
    """Credentials of their short forms. Errors: InvalidArgument."""
    listed = [User(name, password) for name, password in users.items()] if isinstance(users, Mapping) else users
    return Credentials(users=tuple(listed), rest_secrets=tuple(rest_secrets))
