"""One TCP or TLS connection as a machine's neighbour: pieces in, whole frames out, never blocking, no loop inside.

    connecting -> proxy -> tls -> open -> closing -> closed        (proxy and tls where there is one)

The owner watches `fileno` for reading always and for writing while `wants_write`, calls `receive_batch` and
`on_writable`, and after any call takes the reports and looks at `is_closed`. A stream that has closed itself keeps its
descriptor until the owner has stopped watching it and calls `close`.
"""

from __future__ import annotations

import math
import socket
import ssl
from collections.abc import Callable, Sequence

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc_net.clock import monotonic
from sans_rtc_net.dial import accepted_path, is_connected, open_connection, sentence_of
from sans_rtc_net.options import StreamConfig, set_stream_options
from sans_rtc_net.proxy import ConnectResponse, Proxy, ProxyRefusal, connect_request
from sans_rtc_net.stream_types import (
    NEXT_STATES,
    TIMED_STATES,
    DiscardReason,
    StreamClosed,
    StreamOpened,
    StreamReport,
    StreamState,
    StreamStats,
)
from sans_rtc_net.tls import TlsFailure, TlsLayer, default_client_context

RECEIVE_BYTES = 65_536
# What TLS itself may have to say beyond the backlog (key updates, alerts) before a peer that never reads is given up.
TLS_OUTPUT_SLACK_BYTES = 65_536


class Stream:
    """One connection, made by `connect` or `accepted`. What the network does is reported, never raised."""

    def __init__(
        self,
        sock: socket.socket | None,
        path: Path,
        config: StreamConfig,
        *,
        proxy: Proxy | None = None,
        tls: TlsLayer | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Use `connect` or `accepted`."""
        self.path = path
        self.config = config
        self.state = StreamState.CONNECTING
        self.stats = StreamStats()
        self._sock = sock
        self._proxy = proxy
        self._response = None if proxy is None else ConnectResponse(proxy)
        self._tls = tls
        self._clock = clock
        self._out = bytearray()
        self._reports: list[StreamReport] = []
        self._is_needed = True
        self._has_said_end = False
        self._broken_by = ""
        self._times_out_at = clock() + config.connect_timeout_s

    @classmethod
    def connect(
        cls,
        path: Path,
        server_name: str = "",
        config: StreamConfig | None = None,
        *,
        proxy_host: str = "",
        clock: Callable[[], float] = monotonic,
    ) -> Stream:
        """Begin to connect from `path.local.host` to `path.remote`; whatever fails is reported.

        path         "tcp" or "tls"; a local port of 0 is any, or one of `config.ports`
        server_name  with "tls": the name that the certificate must prove; empty: the remote IP address
        proxy_host   the IP address of `config.proxy`, where the proxy has a name
        """
        config = config or StreamConfig()
        proxy = config.proxy
        if proxy is not None and not proxy.carries(path.remote, server_name):
            proxy = None
        stream = cls(None, path, config, proxy=proxy, clock=clock)
        try:
            if path.protocol == "tls":
                name = server_name or path.remote.host.partition("%")[0]
                stream._tls = TlsLayer(config.tls_context or default_client_context(), server_name=name)
            target = path.remote if proxy is None else Address(proxy_host or proxy.host, proxy.port)
            stream._sock = open_connection(path, target, config)
        except TlsFailure as failure:
            stream._fail(str(failure))
        except InvalidArgument as error:
            stream._fail(f"{path.remote} cannot be reached from {path.local.host}: {error}")
        except OSError as error:
            stream._fail_by(error)
        return stream

    @classmethod
    def accepted(
        cls,
        sock: socket.socket,
        tls_context: ssl.SSLContext | None = None,
        config: StreamConfig | None = None,
        *,
        clock: Callable[[], float] = monotonic,
    ) -> Stream:
        """Take over a connection that a listening socket has accepted; with a context, TLS comes first.

        Errors  OSError where it is gone already
        """
        config = config or StreamConfig()
        sock.setblocking(False)
        set_stream_options(sock, config)
        tls = None if tls_context is None else TlsLayer(tls_context, server_name=None)
        stream = cls(sock, accepted_path(sock, "tcp" if tls is None else "tls"), config, tls=tls, clock=clock)
        stream._on_transport()
        return stream

    # -- inputs --------------------------------------------------------------------------------------------------------

    def receive_batch(self, limit: int) -> list[Datagram]:
        """Read at most `limit` times; return the pieces that are the application's, in order."""
        pieces: list[Datagram] = []
        if self.state is StreamState.CONNECTING:
            self._finish_connecting()
        for _ in range(limit):
            if self.state in (StreamState.CONNECTING, StreamState.CLOSED):
                break
            assert self._sock is not None
            try:
                data = self._sock.recv(RECEIVE_BYTES)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                self._fail_by(error)
                break
            if not data:
                self._on_end()
                break
            piece = b"" if self.state is StreamState.CLOSING else self._received(data)
            if piece:
                self.stats.bytes_received += len(piece)
                pieces.append(Datagram(piece, self.path))
            if len(data) < RECEIVE_BYTES:
                break
        return pieces

    def on_writable(self) -> None:
        """The socket takes bytes again, or has connected."""
        if self.state is StreamState.CONNECTING:
            self._finish_connecting()
        self.flush()

    def send_batch(self, datagrams: Sequence[Datagram]) -> bool:
        """Send whole frames in order; False where some wait for the socket to become writable."""
        if self.state is not StreamState.OPEN or self._broken_by:
            self.stats.count_discards(DiscardReason.NOT_OPEN, len(datagrams))
            return True
        frames: list[bytes] = []
        room = self.config.backlog_bytes_max - len(self._out)
        for datagram in datagrams:
            if len(datagram.data) > room:
                room = self._write(frames)
            if len(datagram.data) > room:
                self.stats.count_discards(DiscardReason.BACKLOG_FULL)
                continue
            frames.append(datagram.data)
            room -= len(datagram.data)
        self._write(frames)
        return not self._out

    def flush(self) -> bool:
        """Send what waits; True when nothing waits any more."""
        while self._out and self.state not in (StreamState.CONNECTING, StreamState.CLOSED):
            assert self._sock is not None
            try:
                sent = self._sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return False
            except OSError as error:
                self._on_broken(error)
                break
            self.stats.bytes_sent += sent
            del self._out[:sent]
        if self.state is StreamState.CLOSING and not self._out:
            self._say_end()
        return not self._out

    def handle_timer(self, now: float) -> None:
        """Give up where `deadline` has come."""
        if now >= self.deadline:
            whom = f"TLS with {self.path.remote}" if self.state is StreamState.TLS else self._target
            self._fail(f"{whom} has led to nothing in {self.config.connect_timeout_s:g} s")

    def close_when_written(self) -> None:
        """It is not needed any more: write what waits, say so to the other end, close. Nothing more is reported."""
        self._is_needed = False
        if self.state is StreamState.CLOSING:
            return
        if self.state is not StreamState.OPEN or self._broken_by:
            self._enter_closed()
            return
        self._enter(StreamState.CLOSING)
        self._times_out_at = self._clock() + self.config.close_timeout_s
        self._end_tls()
        self.flush()

    def close(self) -> None:
        """Close the socket at once; idempotent. Nothing more is reported; what still waits is dropped."""
        self._is_needed = False
        if self.state is StreamState.OPEN:
            self._end_tls()
        self._enter_closed()
        self._reports.clear()
        if self._sock is not None:
            self._sock.close()

    # -- outputs and reads ---------------------------------------------------------------------------------------------

    def take_reports(self) -> list[StreamReport]:
        """What has happened since the last call, at most: opened, and after all pieces, closed."""
        reports, self._reports = self._reports, []
        return reports

    def fileno(self) -> int:
        """The file descriptor, -1 once `close` has been called."""
        return -1 if self._sock is None else self._sock.fileno()

    @property
    def raw(self) -> socket.socket:
        """The socket itself, for a loop that watches sockets and not descriptors. Not where `fileno` is -1."""
        assert self._sock is not None
        return self._sock

    @property
    def wants_write(self) -> bool:
        """True while the socket is to be watched for writing."""
        return self.state is StreamState.CONNECTING or bool(self._out and self.state is not StreamState.CLOSED)

    @property
    def is_closed(self) -> bool:
        """True once nothing more happens: stop watching it, then call `close`."""
        return self.state is StreamState.CLOSED

    @property
    def backlog_bytes(self) -> int:
        """Bytes that wait for the socket to become writable."""
        return len(self._out)

    @property
    def deadline(self) -> float:
        """When `handle_timer` wants to run."""
        return self._times_out_at if self.state in TIMED_STATES else math.inf

    # -- the way to open -----------------------------------------------------------------------------------------------

    def _finish_connecting(self) -> None:
        assert self._sock is not None
        try:
            if not is_connected(self._sock):
                return
        except OSError as error:
            self._fail_by(error)
            return
        if self._proxy is None:
            self._on_transport()
        else:
            self._enter(StreamState.PROXY)
            self._put(connect_request(self._proxy, self.path.remote))

    def _on_transport(self) -> None:
        """There is a TCP connection to the other end itself."""
        if self._tls is None:
            self._on_open()
            return
        self._enter(StreamState.TLS)
        self._advance_tls(b"")

    def _on_open(self) -> None:
        self._enter(StreamState.OPEN)
        self._reports.append(StreamOpened(self.path))

    def _received(self, data: bytes) -> bytes:
        """Take bytes of the socket through what lies between it and the application."""
        if self.state is StreamState.PROXY:
            assert self._response is not None
            try:
                rest = self._response.feed(data)
            except ProxyRefusal as refusal:
                self._fail(str(refusal))
                return b""
            if rest is None:
                return b""
            self._on_transport()
            data = rest
        return data if self._tls is None else self._advance_tls(data)

    def _advance_tls(self, data: bytes) -> bytes:
        tls = self._tls
        assert tls is not None
        try:
            plaintext = tls.feed(data)
        except TlsFailure as failure:
            self._put(tls.take_output())  # the alert
            self._fail(f"{self.path.remote}: {failure}")
            return b""
        if self.state is StreamState.TLS and tls.is_established:
            self._on_open()
        self._put(tls.take_output())
        if tls.has_ended:
            self._on_end()
        elif len(self._out) > self.config.backlog_bytes_max + TLS_OUTPUT_SLACK_BYTES:
            self._fail(f"{self.path.remote} asks and does not read the answers")
        return plaintext

    # -- writing, and the end ------------------------------------------------------------------------------------------

    def _write(self, frames: list[bytes]) -> int:
        """Encrypt and write frames, and empty the list; return how many bytes may wait beside what waits now."""
        if frames:
            data = b"".join(frames)
            if self._tls is not None:
                try:
                    self._tls.write(data)
                except TlsFailure as failure:
                    self._fail(f"{self.path.remote}: {failure}")
                    return 0
                data = self._tls.take_output()
            self._put(data)
            self.stats.frames_sent += len(frames)
            frames.clear()
        return self.config.backlog_bytes_max - len(self._out) if self.state is StreamState.OPEN else 0

    def _put(self, data: bytes) -> None:
        if data and not self._broken_by:
            self._out += data
            self.flush()

    def _end_tls(self) -> None:
        if self._tls is not None:
            self._tls.end()
            self._put(self._tls.take_output())

    def _say_end(self) -> None:
        """Everything is written. Waits for the other end's end: closing with data unread would reset, and lose ours."""
        if self._has_said_end:
            return
        self._has_said_end = True
        assert self._sock is not None
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._enter_closed()

    def _on_end(self) -> None:
        """The other end has said that nothing more comes."""
        whom = self._proxy if self.state is StreamState.PROXY else self.path.remote
        when = {StreamState.PROXY: " without an answer", StreamState.TLS: " during the TLS handshake"}.get(
            self.state, ""
        )
        self._fail(self._broken_by or f"{whom} has closed the connection{when}")

    def _on_broken(self, error: OSError) -> None:
        """Nothing more can be written; what the other end said before may still wait to be read, and then its end."""
        self._broken_by = sentence_of(error, self._target)
        self._out.clear()
        if self.state is StreamState.CLOSING:
            self._enter_closed()

    def _fail_by(self, error: OSError) -> None:
        self._fail(sentence_of(error, self._target))

    def _fail(self, reason: str) -> None:
        if self.state is not StreamState.CLOSED:
            if self._is_needed:
                self._reports.append(StreamClosed(self.path, reason))
            self._enter_closed()

    @property
    def _target(self) -> str:
        """Whom the TCP connection is to."""
        return str(self.path.remote) if self._proxy is None else str(self._proxy)

    def _enter_closed(self) -> None:
        if self.state is not StreamState.CLOSED:
            self._enter(StreamState.CLOSED)
            if self._out:
                self.stats.count_discards(DiscardReason.CLOSED)
                self._out.clear()

    def _enter(self, state: StreamState) -> None:
        assert state in NEXT_STATES[self.state], (self.state, state)
        self.state = state
