"""The TURN client: an address on a server that relays for us (RFC 8656, RFC 6062).

    allocate -> (401) -> Allocated -> refreshed for as long as it is wanted -> close -> Terminated
                   | 300: Redirected       send, create_permission, bind_channel, connect: each peer for itself
                   +-> AllocationFailed -> Terminated

One machine for every transport. Over UDP its datagrams are the messages, and requests are sent again; over TCP and TLS
they are pieces of a stream, cut anywhere on the way in, one message each on the way out, and requests are sent once.

What is believed: what comes over the server's own path. Responses only to requests that are under way, and once the
server has challenged us only with our integrity; data only of peers that we have asked a permission for. Indications
have no integrity (RFC 8656 section 5), so over UDP whoever can forge the server's address can forge a peer's data: what
runs inside (ICE, DTLS) has its own protection.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.machine import Address, Datagram, Path, Trace
from sans_rtc.outbox import Outbox
from sans_rtc.streams import StreamUnneeded
from sans_rtc.stun.values import host_bytes
from sans_rtc.stun.wire import Message, MessageClass, Method, new_transaction_id, serialize_message
from sans_rtc.turn.channel_data import HEADER, PADDING
from sans_rtc.turn.config import TurnConfig, check_credentials
from sans_rtc.turn.connections import Connection, Connections, ConnectionState
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import DiscardReason, TurnEvent
from sans_rtc.turn.explain import TurnExplanation, explain_client
from sans_rtc.turn.failure import STREAM_BROKEN, Failure
from sans_rtc.turn.inbound import CHANNEL_BYTE_MAX, CHANNEL_BYTE_MIN, Inbound
from sans_rtc.turn.indications import DATA_BYTES_MAX, DONT_FRAGMENT_BYTES, OVERHEAD_BYTES
from sans_rtc.turn.lifecycle import ClientState, Lifecycle
from sans_rtc.turn.peers import Peer, Permission, canonical, canonical_host
from sans_rtc.turn.relaying import Relaying
from sans_rtc.turn.requests import Answer, Purpose, Requester
from sans_rtc.turn.stats import TurnStatistics


class Client:
    """One allocation on one server, as a Machine[Datagram, Datagram, TurnEvent].

    config    credentials, what to ask for, bounds
    path      from a local socket to the server, an IP address; "udp", or the name of a "tcp" or "tls" stream, which
              the owner opens, and says so with `stream_opened`
    entropy   transaction ids and names of streams are drawn from it
    trace     called with a TraceRecord at each step, where given
    Events    Allocated, then DataReceived, PeerRefused, ... ; AllocationFailed before Terminated where it went wrong
    """

    def __init__(self, config: TurnConfig, path: Path, *, entropy: Entropy, trace: Trace | None = None) -> None:
        host_bytes(path.remote.host)
        if config.transport == "tcp" and path.protocol == "udp":
            raise InvalidArgument("a relay of TCP is asked for over TCP or TLS (RFC 6062 section 4.1)")
        self.stats = TurnStatistics()
        self._config = config
        self._datagrams: Outbox[Datagram] = Outbox()
        self._events: Outbox[TurnEvent] = Outbox()
        requester = Requester(config, entropy, self.stats, self._datagrams, trace)
        self._context = Context(config, entropy, self.stats, self._datagrams, self._events, requester, path)
        self._lifecycle = Lifecycle(self._context, trace)
        self._pads = path.protocol != "udp"
        self._sent_at = math.inf
        self._forget_peers()

    # --- inputs: verbs

    def allocate(self, now: float) -> None:
        """Ask for the allocation; over a stream as soon as it is open. InvalidState the second time."""
        if not self.is_terminated:
            self._lifecycle.begin(now)

    def send(self, data: bytes, peer: Address, now: float) -> None:
        """Send a datagram to a peer, on its channel where there is one, else in a Send indication.

        The permission is asked for where there is none, and the data wait for it; beyond the bounds of the
        configuration, and to peers that the server refuses, they are discarded and counted, as a network would.
        With `TurnConfig.transport` "tcp": a piece of the stream of a connection that stands.
        Errors   InvalidState before Allocated and after `close`; InvalidArgument for a peer without an IP address of a
                 relayed family, or for too many bytes; LimitExceeded beyond peer_count_max
        """
        entry = self._peers.by_address.get(peer)
        if entry is not None and entry.bound_until > now and len(data) <= DATA_BYTES_MAX:
            size = len(data)
            entry.used_at = now
            self.stats.data_sent += 1
            if self._pads and size & 3:
                frame = b"".join((HEADER.pack(entry.number, size), data, PADDING[size & 3]))
            else:
                frame = HEADER.pack(entry.number, size) + data
            self._datagrams.append(Datagram(frame, self._context.path))
        elif not self.is_terminated:
            self._send_slowly(data, peer, now)

    def create_permission(self, peer_host: str, now: float) -> None:
        """Let a host, whatever its port, send to us; refreshed while in use. PeerRefused where the server does not.

        Errors   as `send`; a host that was refused is asked for again at once
        """
        if self.is_terminated:
            return
        self._check_allocated()
        host = canonical_host(peer_host)
        self._context.relayed_for(Address(host, 0))
        self._relaying.ask_permission(self._peers.add_permission(host, now), now)

    def bind_channel(self, peer: Address, now: float) -> None:
        """Bind a channel to a peer, and keep it while in use: ChannelBound or ChannelRefused. Errors as `send`."""
        if self.is_terminated:
            return
        self._check_allocated()
        if self._config.transport == "tcp":
            raise InvalidState("channels are for relayed UDP")
        entry = self._relaying.peer_for(peer, now)
        entry.used_at = now
        if entry.bound_until <= now:
            self._relaying.bind_channel(entry, now)

    def connect(self, peer: Address, now: float) -> None:
        """RFC 6062: have the server connect to a peer: ConnectionOpened or ConnectionFailed.

        Errors   InvalidState where the relay is not of TCP, or where there is a connection with the peer;
                 LimitExceeded beyond connection_count_max; others as `send`
        """
        if self.is_terminated:
            return
        self._check_allocated()
        if self._config.transport != "tcp":
            raise InvalidState("connections are for relayed TCP")
        address = canonical(peer)
        self._connections.connect(address, self._context.relayed_for(address), now)

    def disconnect(self, peer: Address, now: float) -> None:
        """RFC 6062: end the connection with a peer, once what was sent is written; no effect where there is none."""
        if not self.is_terminated:
            self._connections.disconnect(canonical(peer), now)

    def set_credentials(self, username: str, password: str, now: float) -> None:
        """Use other credentials once the server refuses those in use; before the first challenge at once. An allocation
        keeps its user name (RFC 8656 section 5): another user's help only a new one. InvalidArgument for empty ones.
        """
        if not username or not password:
            raise InvalidArgument("credentials are a user name and a password")
        check_credentials(username, password)
        self._context.requester.set_credentials(username, password)

    def close(self, now: float) -> None:
        """Have the server delete the allocation, then end: Terminated("closed"). Idempotent."""
        if self._lifecycle.state in (ClientState.CLOSING, ClientState.TERMINATED):
            return
        self._lifecycle.close(now)
        self._connections.close(now)
        self._forget_peers()
        self._settle(now)

    def abort(self, now: float) -> None:
        """End at once; the server is told once, and is not waited for."""
        if not self.is_terminated:
            self._lifecycle.abort(now)
            self._settle(now)

    # --- inputs: the network

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take a datagram, or a piece of a stream, that arrived; whatever it holds, nothing is raised."""
        if self.is_terminated:
            return
        path = datagram.path
        if path is not self._context.path and path != self._context.path:
            self._receive_elsewhere(datagram, now)
        elif self._lifecycle.framer is None:
            self._take(datagram.data, now)
        else:
            self._receive_piece(datagram.data, now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst, as `receive` would one by one; ChannelData over UDP, the packet path, with less ado."""
        path, take_channel_data = self._context.path, self._inbound.take_channel_data
        for datagram in datagrams:
            data = datagram.data
            if not self._pads and datagram.path is path and data and CHANNEL_BYTE_MIN <= data[0] <= CHANNEL_BYTE_MAX:
                take_channel_data(data, now)
            else:
                self.receive(datagram, now)  # which may move the path, or end it all
                path, take_channel_data = self._context.path, self._inbound.take_channel_data

    def stream_opened(self, path: Path, now: float) -> None:
        """A stream stands: the one to the server, or one that StreamNeeded asked for."""
        if self.is_terminated:
            return
        if path == self._context.path:
            self._lifecycle.on_stream_opened(now)
        else:
            self._connections.on_stream_opened(path, now)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """A stream has ended, or could not be opened; the one to the server takes the allocation with it."""
        if self.is_terminated:
            return
        if path == self._context.path:
            self._lifecycle.on_stream_closed(reason, now)
            self._settle(now)
        else:
            self._connections.on_stream_closed(path, reason, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due: retransmissions, refreshes, expiry."""
        if self.is_terminated:
            return
        for answer in self._context.requester.handle_timer(now):
            self._on_answer(answer, now)
        self._lifecycle.handle_timer(now)
        self._settle(now)
        if self.is_terminated:
            return
        self._relaying.handle_timer(now)
        self._connections.handle_timer(now)
        if self._keepalive_at <= now:
            self._sent_at = now
            keepalive = Message(MessageClass.INDICATION, Method.BINDING, new_transaction_id(self._context.entropy))
            self._datagrams.append(Datagram(serialize_message(keepalive), self._context.path))

    # --- outputs

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what is to be sent: to the server, or on the streams of connections."""
        datagrams = self._datagrams.take()
        if datagrams:
            self._sent_at = now
        return datagrams

    def take_events(self) -> Sequence[TurnEvent]:
        """Hand over what has happened."""
        return self._events.take()

    # --- reads

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf when nothing is armed."""
        if self.is_terminated:
            return math.inf
        allocation_at = min(self._context.requester.deadline, self._lifecycle.deadline, self._keepalive_at)
        return min(allocation_at, self._relaying.deadline, self._connections.deadline)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._lifecycle.state is ClientState.TERMINATED

    @property
    def state(self) -> ClientState:
        """How far the client is."""
        return self._lifecycle.state

    @property
    def path(self) -> Path:
        """To the server; another one after Redirected."""
        return self._context.path

    @property
    def relayed_addresses(self) -> tuple[Address, ...]:
        """Where peers reach us, IPv4 first; empty before Allocated."""
        return self._lifecycle.allocation.relayed if self._lifecycle.allocation is not None else ()

    @property
    def mapped_address(self) -> Address | None:
        """Our own address as the server sees it; None before Allocated."""
        return self._lifecycle.allocation.mapped if self._lifecycle.allocation is not None else None

    @property
    def overhead_bytes(self) -> int:
        """The most that is added to a datagram, before padding: 36, with IPv6 peers 48, 4 more with DONT-FRAGMENT."""
        families = self._context.relayed or self._config.families
        return max(OVERHEAD_BYTES[family] for family in families) + DONT_FRAGMENT_BYTES * self._context.dont_fragment

    def overhead_to(self, peer: Address, now: float) -> int:
        """What is added to a datagram for this peer at present, before padding: 4 where its channel stands."""
        entry = self._peers.by_address.get(peer)
        if entry is not None and entry.bound_until > now:
            return HEADER.size
        return OVERHEAD_BYTES[peer.family] + DONT_FRAGMENT_BYTES * self._context.dont_fragment

    def explain(self) -> TurnExplanation:
        """Everything that is known, as plain data; changes nothing."""
        return explain_client(self._context, self._lifecycle, self._peers, self._connections)

    # --- private, in the order called

    def _forget_peers(self) -> None:
        self._relaying = Relaying(self._context)
        self._peers = self._relaying.peers
        self._connections = Connections(self._context)
        self._inbound = Inbound(self._context, self._relaying, self._connections)

    def _send_slowly(self, data: bytes, peer: Address, now: float) -> None:
        self._check_allocated()
        if len(data) > DATA_BYTES_MAX:
            raise InvalidArgument(f"{len(data)} bytes, {DATA_BYTES_MAX} is the most")
        if self._config.transport == "tcp":
            self._connections.send(data, canonical(peer), now)
            return
        entry = self._relaying.peer_for(peer, now)
        if entry.address != peer and entry.bound_until > now:
            self.send(data, entry.address, now)  # the same address in other letters
        else:
            self._relaying.send(data, entry, now)

    def _check_allocated(self) -> None:
        if self._lifecycle.state is not ClientState.ALLOCATED:
            raise InvalidState(f"there is no allocation: the client is {self._lifecycle.state}")

    def _receive_elsewhere(self, datagram: Datagram, now: float) -> None:
        """A piece of a connection's stream, or a stranger's datagram."""
        connection = self._connections.by_path.get(datagram.path)
        if connection is None:
            self.stats.discard(DiscardReason.WRONG_PATH)
        elif connection.state is ConnectionState.OPEN:
            self._connections.on_data(connection, datagram.data)
        else:
            self._receive_bind_answer(connection, datagram.data, now)

    def _receive_bind_answer(self, connection: Connection, piece: bytes, now: float) -> None:
        path, framer = connection.path, connection.framer
        assert path is not None, "what is known by its path has one"
        # One message at a time: behind the success response begins the peer's own stream.
        while connection.state is not ConnectionState.OPEN:
            frames = framer.feed(piece, count_max=1)
            piece = b""
            if framer.is_broken:
                self._connections.on_stream_broken(connection, framer.reason, now)
            if not frames:
                return
            answer = self._inbound.take_response(frames[0], path, now)
            if answer is not None:
                self._on_answer(answer, now)
            if self._connections.by_path.get(path) is not connection:
                return

    def _receive_piece(self, piece: bytes, now: float) -> None:
        framer = self._lifecycle.framer
        assert framer is not None, "pieces come over streams"
        for frame in framer.feed(piece):
            self._take(frame, now)
            if self._lifecycle.framer is not framer or self.is_terminated:
                return  # what follows is of a server that we have left
        if framer.is_broken:
            self._lifecycle.fail(Failure(0, STREAM_BROKEN, framer.reason), now)
            self._settle(now)

    def _take(self, data: bytes, now: float) -> None:
        answer = self._inbound.take(data, now)
        if answer is not None:
            self._on_answer(answer, now)

    def _on_answer(self, answer: Answer, now: float) -> None:
        """Hand the answer to whoever has asked; some answers say that there is no allocation at all."""
        purpose, failure, subject = answer.request.purpose, answer.failure, answer.request.subject
        if self.is_terminated:
            return
        if purpose is Purpose.ALLOCATE:
            self._lifecycle.on_allocate_answer(answer, now)
        elif purpose is Purpose.DELETE:
            self._lifecycle.on_delete_answer(now)
        elif failure is not None and failure.ends_allocation:
            # RFC 8656 section 5: after a 437 "the client MUST assume the allocation no longer exists".
            self._lifecycle.fail(failure, now)
        elif purpose is Purpose.REFRESH:
            self._lifecycle.on_refresh_answer(answer, now)
        elif isinstance(subject, Permission | Peer):
            self._relaying.on_answer(subject, failure, now)
            if failure is not None and failure.code == 400:
                self._lifecycle.doubt(now)
        else:
            self._connections.on_answer(answer, now)
        self._settle(now)

    def _settle(self, now: float) -> None:
        """Where the lifecycle has ended: leave everything, and say the last word."""
        end, self._lifecycle.end = self._lifecycle.end, None
        if end is None:
            return
        self._connections.close(now)
        self._forget_peers()
        if self._lifecycle.framer is not None:
            self._events.append(StreamUnneeded(self._context.path))
        self._events.append(end)

    @property
    def _keepalive_at(self) -> float:
        """When a NAT on the way wants to see something (RFC 8445 section 11 has such indications between peers)."""
        if self._config.keepalive_s is None or self._pads or self._lifecycle.state is not ClientState.ALLOCATED:
            return math.inf
        return self._sent_at + self._config.keepalive_s
