"""TCP allocations: connections between a relay and its peers, each joined to a connection of the client (RFC 6062).

    Connect ----------> StreamNeeded -> stream_opened ----------> success with CONNECTION-ID
    a peer connects --> stream_opened -> permission? ----------> ConnectionAttempt with CONNECTION-ID
    ConnectionBind on a new stream of the client -> both streams are one: raw bytes from now on

A connection that the client does not take within 30 s is closed; what the peer sends in the meantime is kept, bounded.
"""

from __future__ import annotations

from sans_rtc.entropy import draw_uint
from sans_rtc.machine import Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message, MessageClass, Method, new_transaction_id, serialize_message
from sans_rtc.turn.server.allocation import Allocation, ClientStream, Relay, TcpConnection
from sans_rtc.turn.server.config import TCP_BIND_TIMEOUT_S, TCP_CONNECT_TIMEOUT_S
from sans_rtc.turn.server.context import Request, ServerContext
from sans_rtc.turn.server.events import StreamsJoined
from sans_rtc.turn.server.stats import DiscardReason
from sans_rtc.turn.server.tables import Tables

_A = AttributeType
_DRAWS_MAX = 100


class TcpRelaying:
    """Opens, takes, joins and ends connections to peers."""

    def __init__(self, context: ServerContext, tables: Tables) -> None:
        self._context = context
        self._tables = tables

    # -- requests ------------------------------------------------------------------------------------------------------

    def connect(self, request: Request, now: float) -> Message | None:
        """Open a connection to a peer; answered when it stands (section 5.2)."""
        allocation, peer = request.allocation, request.message.value(_A.XOR_PEER_ADDRESS)
        assert allocation is not None
        if allocation.protocol != "tcp" or peer is None or not peer.port:
            return request.refuse(400)
        relay = allocation.relays.get(peer.family)
        if relay is None:
            return request.refuse(443)
        why = self._context.gate.refusal(peer)
        if why:
            return request.refuse(403, f"Forbidden: {why} address")
        peer = self._context.inward(peer)
        existing = allocation.connections.get(peer)
        if existing is not None:
            pending = existing.request
            is_same = pending is not None and pending.transaction_id == request.message.transaction_id
            return None if is_same else request.refuse(446)
        if len(allocation.connections) >= self._context.config.connection_count_max:
            return request.refuse(508, "Insufficient Capacity: too many connections")
        connection_id = self._new_id()
        path = Path(relay.address, peer, "tcp", connection_id)
        connection = TcpConnection(connection_id, allocation, path, request.message, request.fingerprint)
        self._tables.add_connection(connection)
        self._context.deadlines.wake(connection, now + TCP_CONNECT_TIMEOUT_S)
        self._context.events.append(StreamNeeded(path))
        return None

    def join(self, request: Request, stream: ClientStream | None, now: float) -> tuple[Message, TcpConnection | None]:
        """ConnectionBind: the response, and the connection that the stream is for from now on (section 5.4)."""
        connection_id = request.message.value(_A.CONNECTION_ID)
        connection = self._tables.connection_ids.get(connection_id) if connection_id is not None else None
        if stream is None or request.allocation is not None or connection is None:
            return request.refuse(400), None
        if not connection.is_open or connection.client_path is not None:
            return request.refuse(400), None
        if request.identity.name != connection.allocation.identity.name:
            return request.refuse(441), None
        return request.succeed(), connection

    def joined(self, stream: ClientStream, connection: TcpConnection) -> None:
        """The success response is on its way: what the peer has sent so far follows."""
        context = self._context
        stream.connection = connection
        connection.client_path = stream.path
        context.deadlines.forget(connection)
        context.deadlines.forget(stream)
        context.events.append(StreamsJoined(stream.path, connection.path))
        for data in connection.early:
            self._to_client(data, stream.path)
        connection.early.clear()
        connection.early_bytes = 0

    # -- streams of peers ----------------------------------------------------------------------------------------------

    def opened(self, connection: TcpConnection, now: float) -> None:
        """A connection that was asked for stands: Connect succeeds."""
        request, connection.request = connection.request, None
        if connection.is_open or request is None:
            return
        connection.is_open = True
        self._wait_for_client(connection, now)
        self._answer(connection, Request(
            request, connection.allocation.path, connection.allocation.identity, None, connection.fingerprint
        ).succeed([Attribute(_A.CONNECTION_ID, connection.connection_id)]))  # fmt: skip

    def accepted(self, path: Path, allocation: Allocation, relay: Relay, now: float) -> None:
        """A peer has connected to a relay: the client is told, where it has permitted the peer (section 5.3)."""
        context, peer = self._context, path.remote
        permission = relay.permissions.get(peer.host)
        reason = None
        if permission is None or permission.expires_at <= now:
            reason = DiscardReason.PEER_NOT_PERMITTED
        elif peer in allocation.connections or len(allocation.connections) >= context.config.connection_count_max:
            reason = DiscardReason.STREAM_LIMIT
        if reason is not None:
            context.stats.discard(reason)
            context.events.append(StreamUnneeded(path))
            return
        connection = TcpConnection(self._new_id(), allocation, path, None, is_open=True)
        self._tables.add_connection(connection)
        self._wait_for_client(connection, now)
        attributes = [
            Attribute(_A.CONNECTION_ID, connection.connection_id),
            Attribute(_A.XOR_PEER_ADDRESS, context.outward(peer)),
        ]
        transaction_id = new_transaction_id(context.entropy)
        attempt = Message(MessageClass.INDICATION, Method.CONNECTION_ATTEMPT, transaction_id, attributes)
        context.datagrams.append(Datagram(serialize_message(attempt), allocation.path))

    def closed(self, connection: TcpConnection) -> None:
        """The connection is gone, or has not come about: Connect fails, or the client's stream ends with it."""
        self._fail(connection)
        self._tables.end_connection(connection, is_gone=True)

    def expired(self, connection: TcpConnection) -> None:
        """It has not come about in time, or the client has not taken it."""
        self._fail(connection)
        self._tables.end_connection(connection)

    def from_peer(self, connection: TcpConnection, data: bytes) -> None:
        """Bytes of the peer: to the client's stream; kept until there is one."""
        if connection.client_path is not None:
            self._to_client(data, connection.client_path)
            return
        connection.early_bytes += len(data)
        if connection.early_bytes > self._context.config.early_bytes_max:
            # Nothing of a stream can be left out, so it ends.
            self._context.stats.discard(DiscardReason.EARLY_DATA_FULL)
            self._tables.end_connection(connection)
            return
        connection.early.append(data)

    def from_client(self, connection: TcpConnection, data: bytes) -> None:
        """Bytes of the client: to the peer's stream."""
        self._context.stats.packets_to_peers += 1
        self._context.stats.bytes_to_peers += len(data)
        self._context.datagrams.append(Datagram(data, connection.path))

    def _to_client(self, data: bytes, path: Path) -> None:
        self._context.stats.packets_to_clients += 1
        self._context.stats.bytes_to_clients += len(data)
        self._context.datagrams.append(Datagram(data, path))

    def _wait_for_client(self, connection: TcpConnection, now: float) -> None:
        self._context.deadlines.forget(connection)
        self._context.deadlines.wake(connection, now + TCP_BIND_TIMEOUT_S)

    def _fail(self, connection: TcpConnection) -> None:
        request, connection.request = connection.request, None
        if request is None:
            return
        allocation = connection.allocation
        refusal = Request(request, allocation.path, allocation.identity, None, connection.fingerprint).refuse(447)
        self._answer(connection, refusal)

    def _answer(self, connection: TcpConnection, response: Message) -> None:
        allocation = connection.allocation
        self._context.send_response(response, allocation.path, allocation.identity, fingerprint=connection.fingerprint)

    def _new_id(self) -> int:
        # At most 64,000 times 1000 of 2**32 are in use, so a dozen draws in vain do not happen with real entropy.
        for _ in range(_DRAWS_MAX):
            connection_id = draw_uint(self._context.entropy, 32)
            if connection_id and connection_id not in self._tables.connection_ids:
                return connection_id
        raise AssertionError("the entropy repeats itself")
