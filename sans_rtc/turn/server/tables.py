"""Everything that a server keeps, found by path, address, number or token; entered and ended in one place each."""

from __future__ import annotations

from sans_rtc.machine import Address, Path, TransportProtocol
from sans_rtc.streams import StreamUnneeded
from sans_rtc.turn.server.allocation import Allocation, Channel, ClientStream, Relay, Reservation, TcpConnection
from sans_rtc.turn.server.context import ServerContext
from sans_rtc.turn.server.events import AllocationEnded, EndReason


class Tables:
    """The state of a server, and what keeps it consistent.

    allocations     by the client's path, those included whose relays are still being opened
    routes          what a UDP datagram on this path belongs to: an allocation on its client's path, a channel on the
                    path from its peer; what is not here takes the slow way
    relays          every relay with its allocation, by address and protocol
    reservations    by token
    connections     RFC 6062, by the path to the peer; connection_ids: the same by number
    streams         of clients
    """

    def __init__(self, context: ServerContext) -> None:
        self.allocations: dict[Path, Allocation] = {}
        self.routes: dict[Path, Allocation | Channel] = {}
        self.relays: dict[tuple[Address, str], tuple[Allocation, Relay]] = {}
        self.reservations: dict[bytes, Reservation] = {}
        self.connections: dict[Path, TcpConnection] = {}
        self.connection_ids: dict[int, TcpConnection] = {}
        self.streams: dict[Path, ClientStream] = {}
        self._context = context
        self._user_counts: dict[str, int] = {}
        self._source_counts: dict[str, int] = {}
        self._stream_counts: dict[str, int] = {}

    # -- allocations ---------------------------------------------------------------------------------------------------

    def quota_refusal(self, owner: str, source: str, more: int) -> int:
        """486 or 508 where so many more would exceed a bound, else 0 (RFC 8656 section 7.2, rule 10)."""
        config = self._context.config
        if len(self.allocations) + len(self.reservations) + more > config.allocation_count_max:
            return 508
        if self._user_counts.get(owner, 0) + more > config.user_allocation_count_max:
            return 486
        return 486 if self._source_counts.get(source, 0) >= config.source_allocation_count_max else 0

    def add(self, allocation: Allocation) -> None:
        """Enter an allocation; its relays come by `add_relay`."""
        self.allocations[allocation.path] = allocation
        _count(self._user_counts, allocation.identity.owner, 1)
        _count(self._source_counts, allocation.path.remote.host, 1)

    def add_relay(self, allocation: Allocation, relay: Relay) -> None:
        """Give an allocation a relay."""
        allocation.relays[relay.address.family] = relay
        self.relays[relay.address, relay.protocol] = (allocation, relay)

    def open(self, allocation: Allocation) -> None:
        """The allocation has all its relays: what comes on its path is relayed from now on."""
        allocation.is_open = True
        if allocation.path.protocol == "udp" and allocation.protocol == "udp":
            self.routes[allocation.path] = allocation
        self._context.deadlines.wake(allocation, allocation.next_wake())

    def end(self, allocation: Allocation, reason: EndReason) -> None:
        """Let go of everything that an allocation has."""
        relayed = allocation.relayed
        allocation.is_ended = True
        for connection in tuple(allocation.connections.values()):
            self.end_connection(connection)
        for family in tuple(allocation.relays):
            self.drop_relay(allocation, family)
        del self.allocations[allocation.path]
        self.routes.pop(allocation.path, None)
        _count(self._user_counts, allocation.identity.owner, -1)
        _count(self._source_counts, allocation.path.remote.host, -1)
        self._context.deadlines.forget(allocation)
        if allocation.is_open:
            self._context.events.append(AllocationEnded(allocation.path, relayed, reason))

    def drop_relay(self, allocation: Allocation, family: int) -> None:
        """Let go of one relay with its channels and permissions (RFC 8656 section 8.1)."""
        relay = allocation.relays.pop(family)
        for channel in tuple(relay.channels.values()):
            self.unbind(relay, channel)
        del self.relays[relay.address, relay.protocol]
        self._context.close_relay(relay.address, relay.protocol)

    def clear_expired(self, allocation: Allocation, now: float) -> None:
        """Remove what of an allocation has expired, the allocation itself where nothing is left."""
        for family, relay in tuple(allocation.relays.items()):
            if relay.expires_at <= now:
                if len(allocation.relays) == 1:
                    self.end(allocation, EndReason.EXPIRED)
                    return
                self.drop_relay(allocation, family)
                continue
            for channel in [channel for channel in relay.channels.values() if channel.expires_at <= now]:
                self.unbind(relay, channel)
            for host in [host for host, permission in relay.permissions.items() if permission.expires_at <= now]:
                del relay.permissions[host]
        self._context.deadlines.wake(allocation, allocation.next_wake())

    def count_by_transport(self) -> dict[TransportProtocol, int]:
        """Open allocations by the transport between client and server."""
        counts: dict[TransportProtocol, int] = {"udp": 0, "tcp": 0, "tls": 0}
        for allocation in self.allocations.values():
            counts[allocation.path.protocol] += allocation.is_open
        return counts

    # -- channels ------------------------------------------------------------------------------------------------------

    def bind(self, relay: Relay, channel: Channel) -> None:
        """Enter a channel."""
        channel.allocation.channels[channel.number] = channel
        relay.channels[channel.path.remote] = channel
        self.routes[channel.path] = channel

    def unbind(self, relay: Relay, channel: Channel) -> None:
        """Remove a channel."""
        channel.expires_at = 0.0  # for whoever still holds it
        del channel.allocation.channels[channel.number]
        del relay.channels[channel.path.remote]
        del self.routes[channel.path]

    # -- reservations --------------------------------------------------------------------------------------------------

    def reserve(self, reservation: Reservation) -> None:
        """Hold a relay for whoever shows the token."""
        self.reservations[reservation.token] = reservation
        _count(self._user_counts, reservation.owner, 1)
        self._context.deadlines.wake(reservation, reservation.expires_at)

    def end_reservation(self, reservation: Reservation) -> None:
        """The relay has been taken, or is let go of; its socket is the caller's."""
        del self.reservations[reservation.token]
        _count(self._user_counts, reservation.owner, -1)
        self._context.deadlines.forget(reservation)

    # -- streams -------------------------------------------------------------------------------------------------------

    def can_take_stream(self, source: str) -> bool:
        """True where one more stream from this host exceeds no bound."""
        config = self._context.config
        count = self._stream_counts.get(source, 0)
        return len(self.streams) < config.stream_count_max and count < config.source_stream_count_max

    def add_stream(self, stream: ClientStream) -> None:
        """Enter a client's stream."""
        self.streams[stream.path] = stream
        _count(self._stream_counts, stream.path.remote.host, 1)

    def end_stream(self, stream: ClientStream, *, is_gone: bool = False) -> None:
        """Remove a client's stream, and what cannot be without it: its allocation, or its peer's connection.

        is_gone  the driver has said so; otherwise it is told
        """
        del self.streams[stream.path]
        _count(self._stream_counts, stream.path.remote.host, -1)
        self._context.deadlines.forget(stream)
        if not is_gone:
            self._context.events.append(StreamUnneeded(stream.path))
        allocation = self.allocations.get(stream.path)
        if allocation is not None:
            self.end(allocation, EndReason.STREAM_CLOSED)
        connection, stream.connection = stream.connection, None
        if connection is not None:
            connection.client_path = None
            self.end_connection(connection)

    def add_connection(self, connection: TcpConnection) -> None:
        """Enter a connection to a peer."""
        self.connections[connection.path] = connection
        self.connection_ids[connection.connection_id] = connection
        connection.allocation.connections[connection.path.remote] = connection

    def end_connection(self, connection: TcpConnection, *, is_gone: bool = False) -> None:
        """Remove a connection to a peer, and the client's stream that is joined to it.

        is_gone  the driver has said so; otherwise it is told
        """
        del self.connections[connection.path]
        del self.connection_ids[connection.connection_id]
        del connection.allocation.connections[connection.path.remote]
        self._context.deadlines.forget(connection)
        if not is_gone:
            self._context.events.append(StreamUnneeded(connection.path))
        stream = self.streams.get(connection.client_path) if connection.client_path is not None else None
        if stream is not None:
            stream.connection = None
            self.end_stream(stream)


def _count(counts: dict[str, int], name: str, more: int) -> None:
    left = counts.get(name, 0) + more
    assert left >= 0, "more ended than were entered"
    if left:
        counts[name] = left
    else:
        del counts[name]
