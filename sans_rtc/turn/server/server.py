"""A TURN and STUN server as a machine (RFC 8656, RFC 8489, RFC 6062, RFC 5780).

    sockets --> ChannelData of a bound channel ------------------> one datagram out (routes: a look-up each way)
           \\-> requests --> Authenticator --> Allocate ... --> tables, sockets asked for by events
           \\-> indications, data of peers without a channel --> Indications
           \\-> Binding --> BindingServer

What is not authenticated changes nothing but the counters and the token buckets of `SourceThrottle`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TransportProtocol
from sans_rtc.streams import StreamUnneeded
from sans_rtc.turn.channel_data import CHANNEL_DATA_HEADER_BYTES
from sans_rtc.turn.framing import TurnFramer
from sans_rtc.turn.server.allocate import Allocator
from sans_rtc.turn.server.allocation import (
    Allocation,
    AllocationInfo,
    Channel,
    ClientStream,
    Reservation,
    TcpConnection,
)
from sans_rtc.turn.server.clients import ClientMessages
from sans_rtc.turn.server.config import ServerConfig
from sans_rtc.turn.server.context import ServerContext
from sans_rtc.turn.server.credentials import Credentials
from sans_rtc.turn.server.events import EndReason, ServerEvent, TerminationReason
from sans_rtc.turn.server.peers import PeerGate
from sans_rtc.turn.server.ports import PortPool
from sans_rtc.turn.server.relaying import Indications
from sans_rtc.turn.server.stats import DiscardReason, ServerStats
from sans_rtc.turn.server.tables import Tables
from sans_rtc.turn.server.tcp import TcpRelaying

# What of a datagram fits ChannelData within an IPv4 UDP datagram.
CHANNEL_PAYLOAD_BYTES_MAX = 65_507 - 4


class Server:
    """One server, as a Machine[Datagram, Datagram, ServerEvent].

    config       addresses, rules, lifetimes, bounds
    credentials  who may allocate; `set_credentials` replaces them
    entropy      nonces' secret, ports, tokens and transaction ids are drawn from it
    trace        called with a TraceRecord for each request, where given

    The driver binds the sockets it listens on by itself. What arrives on them, and on the relays that it opens when
    RelayNeeded asks for them, is `receive`d with the path on which it came.
    """

    def __init__(
        self, config: ServerConfig, *, credentials: Credentials, entropy: Entropy, trace: Trace | None = None
    ) -> None:
        self._config = config
        ports = PortPool(config.relay_port_min, config.relay_port_max, entropy)
        self._context = context = ServerContext(config, entropy, trace, ports, _gate(config))
        self._tables = tables = Tables(context)
        self._routes = tables.routes
        self._allocator = Allocator(context, tables)
        self._tcp = TcpRelaying(context, tables)
        self._indications = Indications(context)
        self._clients = ClientMessages(context, tables, self._allocator, self._tcp, self._indications, credentials)
        self._is_limited = config.allocation_bytes_per_s_max < math.inf
        self._is_terminated = False

    # -- inputs: the network -------------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram or piece of a stream, of a client or of a peer."""
        self.receive_many((datagram,), now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst, as `receive` would one by one. Data on channels cost one look-up and one new datagram each."""
        append, routes, stats = self._context.datagrams.append, self._routes, self._context.stats
        known: Path | None = None
        inbound: Channel | None = None
        client: Allocation | None = None
        for datagram in datagrams:
            path, data = datagram.path, datagram.data
            if path is not known:
                known, route = path, routes.get(path)
                inbound = route if isinstance(route, Channel) else None
                client = route if isinstance(route, Allocation) else None
            size = len(data)
            if inbound is not None:
                if self._is_open(inbound, size, now):
                    if self._is_limited and not self._indications.spend(inbound.allocation, size, now):
                        continue
                    append(Datagram(inbound.frame(data), inbound.client_path, datagram.ecn))
                    stats.packets_to_clients += 1
                    stats.bytes_to_clients += size
                    continue
            elif client is not None and size >= CHANNEL_DATA_HEADER_BYTES:
                channel = client.channels.get(data[0] << 8 | data[1])
                end = CHANNEL_DATA_HEADER_BYTES + (data[2] << 8 | data[3])
                if channel is not None and end <= size and channel.expires_at > now and not self._is_limited:
                    append(Datagram(data[CHANNEL_DATA_HEADER_BYTES:end], channel.path, datagram.ecn))
                    stats.packets_to_peers += 1
                    stats.bytes_to_peers += end - CHANNEL_DATA_HEADER_BYTES
                    continue
            known = None  # what is bound and permitted may change
            self._receive_other(datagram, now)

    def stream_opened(self, path: Path, now: float) -> None:
        """A stream stands: a client has connected to a listener, a peer to a relay, or StreamNeeded was answered."""
        if self._is_terminated:
            return
        tables = self._tables
        connection = tables.connections.get(path)
        if connection is not None:
            self._tcp.opened(connection, now)
            return
        relay = tables.relays.get((path.local, "tcp")) if path.protocol == "tcp" else None
        if relay is not None:
            self._tcp.accepted(path, *relay, now)
        elif path in tables.streams or path.protocol == "udp":
            raise InvalidArgument(f"not a new stream: {path}")
        elif not tables.can_take_stream(path.remote.host):
            self._context.stats.discard(DiscardReason.STREAM_LIMIT)
            self._context.events.append(StreamUnneeded(path))
        else:
            stream = ClientStream(path, TurnFramer(channel_number_max=self._config.channel_number_max))
            tables.add_stream(stream)
            self._context.deadlines.wake(stream, now + self._config.stream_idle_s)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """A stream has ended, or could not be opened. A client's allocation ends with its stream."""
        if self._is_terminated:
            return
        stream, connection = self._tables.streams.get(path), self._tables.connections.get(path)
        if stream is not None:
            self._tables.end_stream(stream, is_gone=True)
        elif connection is not None:
            self._tcp.closed(connection)

    # -- inputs: this host ---------------------------------------------------------------------------------------------

    def relay_opened(self, relay_id: int, address: Address, now: float) -> None:
        """The socket that RelayNeeded asked for is bound. InvalidArgument for an unknown id, or another address."""
        if not self._is_terminated:
            self._clients.answer(self._allocator.relay_opened(relay_id, address, now))

    def relay_failed(self, relay_id: int, reason: str, now: float) -> None:
        """It could not be bound: other ports are tried. InvalidArgument for an unknown id.

        reason  a sentence for a person
        """
        if not self._is_terminated:
            self._clients.answer(self._allocator.relay_failed(relay_id, now))

    def set_credentials(self, credentials: Credentials, now: float) -> None:
        """Replace everybody who may allocate.

        Allocations stay, so that secrets can be rotated; except those of a user whose name or password is no longer
        among them, for that is how somebody is shut out. Those of the REST API stay until they expire.
        """
        if self._is_terminated:
            return
        table = self._clients.set_credentials(credentials)
        for allocation in tuple(self._tables.allocations.values()):
            identity = allocation.identity
            if not identity.is_rest and not table.is_still_valid(identity.name, identity.key):
                self._tables.end(allocation, EndReason.REVOKED)

    def handle_timer(self, now: float) -> None:
        """Let go of what has expired."""
        if self._is_terminated:
            return
        tables = self._tables
        # What waits may be ended by what was due before it, so each is looked up.
        for item in self._context.deadlines.take_due(now):
            match item:
                case Allocation() if not item.is_ended:
                    tables.clear_expired(item, now)
                case Reservation() if tables.reservations.get(item.token) is item:
                    tables.end_reservation(item)
                    self._context.close_relay(item.address, "udp")
                case TcpConnection() if tables.connections.get(item.path) is item:
                    self._tcp.expired(item)
                case ClientStream() if tables.streams.get(item.path) is item:
                    self._look_at(item, now)

    def close(self, now: float) -> None:
        """End everything at once: TURN has no word by which a server says goodbye."""
        self._terminate(TerminationReason.CLOSED)

    def abort(self, now: float) -> None:
        """The same."""
        self._terminate(TerminationReason.ABORTED)

    # -- outputs -------------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what is to be sent, in order."""
        return self._context.datagrams.take()

    def take_events(self) -> Sequence[ServerEvent]:
        """Hand over what has happened, in order; sockets are to be closed and opened in this order."""
        return self._context.events.take()

    # -- reads ---------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run; math.inf while nothing is kept."""
        return self._context.deadlines.deadline

    @property
    def is_terminated(self) -> bool:
        """True once closed."""
        return self._is_terminated

    @property
    def stats(self) -> ServerStats:
        """Counters since the start."""
        return self._context.stats

    @property
    def allocation_counts(self) -> dict[TransportProtocol, int]:
        """Open allocations now, by the transport between client and server."""
        return self._tables.count_by_transport()

    @property
    def stream_count(self) -> int:
        """TCP and TLS connections of clients."""
        return len(self._tables.streams)

    def explain(self, now: float) -> tuple[AllocationInfo, ...]:
        """Every open allocation."""
        return tuple(
            AllocationInfo(
                allocation.path,
                allocation.relayed,
                allocation.identity.name,
                allocation.permission_count(),
                len(allocation.channels),
                allocation.expires_at - now,
            )
            for allocation in self._tables.allocations.values()
            if allocation.is_open
        )

    # -- data that do not go on a channel's quick way ------------------------------------------------------------------

    def _is_open(self, channel: Channel, size: int, now: float) -> bool:
        """True where data of this size may go from the peer to the client on the channel."""
        return channel.expires_at > now and channel.permission.expires_at > now and size <= CHANNEL_PAYLOAD_BYTES_MAX

    def _receive_other(self, datagram: Datagram, now: float) -> None:
        if self._is_terminated:
            return
        path = datagram.path
        if path.protocol != "udp":
            self._receive_piece(datagram, now)
            return
        relay = self._tables.relays.get((path.local, "udp"))
        if relay is not None:
            self._indications.tell(datagram, *relay, now)
        elif path.local in self._context.ports:
            # A relay that is reserved: nobody's yet, and no listener.
            self._context.stats.discard(DiscardReason.UNKNOWN_RELAY)
        else:
            self._clients.receive(datagram, now)

    def _receive_piece(self, datagram: Datagram, now: float) -> None:
        tables, path = self._tables, datagram.path
        stream = tables.streams.get(path)
        if stream is None:
            connection = tables.connections.get(path)
            if connection is not None:
                self._tcp.from_peer(connection, datagram.data)
            else:
                self._context.stats.discard(DiscardReason.UNKNOWN_STREAM)
            return
        if stream.connection is not None:
            self._tcp.from_client(stream.connection, datagram.data)
            return
        is_broken = False
        for frame in stream.framer.feed(datagram.data):
            # Whoever asks to join streams has to wait for the answer before it sends anything else.
            is_broken = stream.connection is not None
            if is_broken or tables.streams.get(path) is not stream:
                break
            self._clients.receive(Datagram(frame, path), now)
        if (is_broken or stream.framer.is_broken) and tables.streams.get(path) is stream:
            self._context.stats.discard(DiscardReason.BROKEN_STREAM)
            tables.end_stream(stream)

    # -- the end -------------------------------------------------------------------------------------------------------

    def _look_at(self, stream: ClientStream, now: float) -> None:
        if stream.path in self._tables.allocations:
            self._context.deadlines.wake(stream, now + self._config.stream_idle_s)
            return
        self._context.stats.discard(DiscardReason.STREAM_IDLE)
        self._tables.end_stream(stream)

    def _terminate(self, reason: TerminationReason) -> None:
        if self._is_terminated:
            return
        tables = self._tables
        for allocation in tuple(tables.allocations.values()):
            tables.end(allocation, EndReason.SERVER_CLOSED)
        for reservation in tuple(tables.reservations.values()):
            tables.end_reservation(reservation)
            self._context.close_relay(reservation.address, "udp")
        for stream in tuple(tables.streams.values()):
            tables.end_stream(stream)
        self._context.deadlines.clear()
        self._is_terminated = True
        self._context.events.append(Terminated(reason))


def _gate(config: ServerConfig) -> PeerGate:
    relay_hosts = frozenset(config.relay_hosts + config.external_hosts)
    own_hosts = relay_hosts | set(config.own_hosts)
    if config.binding_addresses is not None:
        own_hosts |= {address.host for address in config.binding_addresses}
    return PeerGate(config.peers, own_hosts, relay_hosts, range(config.relay_port_min, config.relay_port_max + 1))
