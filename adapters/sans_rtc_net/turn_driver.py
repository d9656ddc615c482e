"""Drives a TURN server's sockets, for any loop: one selector of its own, so that a loop watches one descriptor only.

    the descriptor is readable --> process: what is ready is read in one burst, the machine takes it, everything is sent
    deadline                   --> process

With hundreds of relays a loop that calls back once for each socket spends more time on that than on relaying.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Callable

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.turn.server import RelayNeeded, RelayUnneeded, Server, ServerEvent, StreamsJoined
from sans_rtc_net.addresses import family_of, to_socket_address
from sans_rtc_net.clock import monotonic
from sans_rtc_net.listener import Listener
from sans_rtc_net.options import StreamConfig, UdpConfig, try_option
from sans_rtc_net.socket_set import SocketSet
from sans_rtc_net.stream import Stream
from sans_rtc_net.stream_set import StreamSet, Watched
from sans_rtc_net.udp import UdpSocket

# Turns of one `process`, and datagrams of one socket in a turn: about 5 ms of work before the loop serves others.
TURNS_MAX = 4
DATAGRAMS_PER_TURN_MAX = 64
# With more sockets ready than this, each gives one burst of the kernel's (one datagram, or those it has coalesced):
# asking again would nearly always be in vain, and costs as much as a datagram.
READY_FEW = 4
# A joined stream is not read while more than this waits on the other side. One turn brings 256 KiB, so the backlog
# of a stream never overflows.
JOINED_HIGH_WATER_BYTES = 256 << 10

# The listening socket meets every client; a relay few peers.
LISTENER_UDP = UdpConfig(path_count_max=1 << 16, backlog_datagrams_max=8192)
RELAY_UDP = UdpConfig(
    path_count_max=256, backlog_datagrams_max=256, receive_buffer_bytes=1 << 19, send_buffer_bytes=1 << 19
)
STREAMS = StreamConfig(backlog_bytes_max=1 << 20, accepted_count_max=1 << 16)


class TurnServerDriver:
    """A server, its listening sockets, its relays and its streams. Never blocks; not for several threads."""

    def __init__(
        self,
        server: Server,
        *,
        on_event: Callable[[ServerEvent], None] = lambda event: None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Drive a server. `on_event` is told what is no business of the driver, for a log."""
        self.clock = clock
        self._server = server
        self._on_event = on_event
        self._selector = selectors.DefaultSelector()
        self._sockets = SocketSet()
        self._streams = StreamSet(
            server, STREAMS, receive=server.receive_many, watch=self._watch, unwatch=self._unwatch, clock=clock
        )
        self._sockets.streams = self._streams
        self._relays: dict[tuple[Address, str], UdpSocket | Listener] = {}
        self._by_path: dict[Path, Stream] = {}
        self._partners: dict[Path, Path] = {}
        self._is_closed = False

    def add_udp(self, sock: UdpSocket) -> None:
        """Listen on a bound UDP socket, and own it."""
        self._sockets.add(sock)
        self._selector.register(sock, selectors.EVENT_READ, sock)

    def add_listener(self, listener: Listener) -> None:
        """Listen on a TCP socket, with TLS or without, and own it."""
        self._streams.add_listener(listener)

    def fileno(self) -> int:
        """The descriptor that is readable while there is something to do. InvalidArgument where the system has none."""
        number = getattr(self._selector, "fileno", None)
        if number is None:
            raise InvalidArgument("this system's selector has no descriptor of its own")
        return int(number())

    def process(self) -> None:
        """Do what there is to do now."""
        for _ in range(TURNS_MAX):
            ready = self._selector.select(0) if not self._is_closed else []
            self._read(ready)
            self._run_timers()
            self.flush()
            if not ready:
                return

    def flush(self) -> None:
        """Send what the server has to send, and do what its events ask for. Call it after a verb."""
        server = self._server
        while not self._is_closed:
            now = self.clock()
            datagrams = server.take_datagrams(now)
            for sock in self._sockets.send(datagrams) if datagrams else ():
                if isinstance(sock, UdpSocket):
                    self._selector.modify(sock, selectors.EVENT_READ | selectors.EVENT_WRITE, sock)
            events = server.take_events()
            for event in self._streams.on_events(events, now) if events else ():
                self._on_server_event(event)
            if not events and not self._streams.has_news:
                break
            self._streams.has_news = False
        self._pause_or_resume()

    def wait(self, timeout_s: float) -> None:
        """Sleep until there is something to do, or the time is over: for whoever has no loop."""
        sleep_s = max(0.0, min(timeout_s, self.deadline - self.clock()))
        self._selector.select(sleep_s)

    def close(self) -> None:
        """End the server and close every socket; idempotent."""
        if self._is_closed:
            return
        self._server.close(self.clock())
        self.flush()
        self._is_closed = True
        for item in self._relays.values():
            item.close()
        self._relays.clear()
        self._streams.close()
        self._sockets.close()
        self._selector.close()

    @property
    def deadline(self) -> float:
        """When `process` wants to be called at the latest."""
        return min(self._server.deadline, self._streams.deadline)

    # -- reading -------------------------------------------------------------------------------------------------------

    def _read(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        burst: list[Datagram] = []
        is_few = len(ready) <= READY_FEW
        now = self.clock()
        for key, mask in ready:
            item = key.data
            if not isinstance(item, UdpSocket):
                self._on_stream_ready(item, mask, now)
                continue
            if mask & selectors.EVENT_WRITE and item.flush():
                self._selector.modify(item, selectors.EVENT_READ, item)
            if mask & selectors.EVENT_READ:
                is_busy = is_few or (item.local, "udp") not in self._relays
                burst += item.receive_batch(DATAGRAMS_PER_TURN_MAX if is_busy else 1)
        if burst:
            self._server.receive_many(burst, now)

    def _on_stream_ready(self, item: Watched, mask: int, now: float) -> None:
        if mask & selectors.EVENT_WRITE:
            self._streams.on_writable(item, now)
        if mask & selectors.EVENT_READ:
            self._streams.on_readable(item, now)

    def _run_timers(self) -> None:
        now = self.clock()
        if self._server.deadline <= now:
            self._server.handle_timer(now)
        if self._streams.deadline <= now:
            self._streams.handle_timer(now)

    # -- relays --------------------------------------------------------------------------------------------------------

    def _on_server_event(self, event: ServerEvent) -> None:
        match event:
            case RelayNeeded():
                self._open_relay(event)
            case RelayUnneeded():
                self._close_relay(event)
            case StreamsJoined():
                self._partners[event.client] = event.peer
                self._partners[event.peer] = event.client
            case _:
                self._on_event(event)

    def _open_relay(self, event: RelayNeeded) -> None:
        now = self.clock()
        try:
            if event.protocol == "udp":
                sock = UdpSocket.bind(event.address.host, event.address.port, RELAY_UDP)
                self._relays[event.address, "udp"] = sock
                self.add_udp(sock)
            else:
                listener = bind_shared(event.address)
                self._relays[event.address, "tcp"] = listener
                self.add_listener(listener)
        except OSError as error:
            self._server.relay_failed(event.relay_id, error.strerror or str(error), now)
            return
        self._server.relay_opened(event.relay_id, event.address, now)

    def _close_relay(self, event: RelayUnneeded) -> None:
        item = self._relays.pop((event.address, event.protocol))
        if isinstance(item, Listener):
            self._streams.remove_listener(item)
            return
        self._selector.unregister(item)
        self._sockets.remove(item)
        item.close()

    # -- streams -------------------------------------------------------------------------------------------------------

    def _watch(self, item: Watched) -> None:
        mask = selectors.EVENT_WRITE if item.wants_write else 0
        if not isinstance(item, Stream):
            mask = selectors.EVENT_READ
        elif not self._is_paused(item):
            mask |= selectors.EVENT_READ
        if isinstance(item, Stream):
            self._by_path[item.path] = item
        watched = self._selector.get_map().get(item.fileno())
        if watched is None:
            if mask:
                self._selector.register(item, mask, item)
        elif not mask:
            self._selector.unregister(item)
        elif watched.events != mask:
            self._selector.modify(item, mask, item)

    def _unwatch(self, item: Watched) -> None:
        if item.fileno() in self._selector.get_map():
            self._selector.unregister(item)
        if isinstance(item, Stream) and self._by_path.get(item.path) is item:
            del self._by_path[item.path]
            partner = self._partners.pop(item.path, None)
            if partner is not None:
                self._partners.pop(partner, None)

    def _is_paused(self, stream: Stream) -> bool:
        """True while nobody takes what it brings: a peer's before the client joins it, and the faster one of two."""
        path = stream.path
        if path not in self._partners:
            return (path.local, "tcp") in self._relays
        partner = self._by_path.get(self._partners[path])
        return partner is not None and partner.backlog_bytes > JOINED_HIGH_WATER_BYTES

    def _pause_or_resume(self) -> None:
        for path in self._partners:
            stream = self._by_path.get(path)
            if stream is not None and not stream.is_closed:
                self._watch(stream)


def bind_shared(address: Address) -> Listener:
    """Listen on exactly this address, which outgoing connections share (RFC 6062 section 5.2). Errors: OSError."""
    sock = socket.socket(family_of(address.host), socket.SOCK_STREAM)
    try:
        try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            try_option(sock, socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(to_socket_address(address))
        return Listener(sock, None, STREAMS)
    except BaseException:
        sock.close()
        raise
