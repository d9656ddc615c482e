"""TCP connections between peers and our relayed address, each over a stream of its own (RFC 6062).

    connect -> Connect request -> CONNECTION-ID --+
    a peer connects -> ConnectionAttempt ---------+-> StreamNeeded -> ConnectionBind on it -> ConnectionOpened
                                                      then the stream is the peer's, byte for byte

A connection is known by the peer's address: there is one with each at most (error 446 otherwise).
"""

from __future__ import annotations

import math
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidState, LimitExceeded
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import ConnectionClosed, ConnectionFailed, ConnectionOpened, DataReceived, DiscardReason
from sans_rtc.turn.failure import TIMEOUT, UNUSABLE_RESPONSE, Failure
from sans_rtc.turn.framing import TurnFramer
from sans_rtc.turn.redirection import further_stream
from sans_rtc.turn.requests import Answer, Purpose, Request

NOT_CONNECTED = "Not Connected"


class ConnectionState(StrEnum):
    """How far a connection is."""

    ASKED = "asked"  # Connect is under way
    STREAM_NEEDED = "stream_needed"
    BINDING = "binding"  # ConnectionBind is under way
    OPEN = "open"


@attrs.define(slots=True, eq=False)
class Connection:
    """One connection with one peer.

    id      the server's CONNECTION-ID, None until it is known
    path    of its stream, None until it is asked for
    due_at  when the server has forgotten it, if it is not bound by then
    """

    peer: Address
    relayed: Address
    is_incoming: bool
    framer: TurnFramer
    state: ConnectionState = ConnectionState.ASKED
    id: int | None = None
    path: Path | None = None
    due_at: float = math.inf


class Connections:
    """All connections of one allocation."""

    def __init__(self, context: Context) -> None:
        self.by_peer: dict[Address, Connection] = {}
        self.by_path: dict[Path, Connection] = {}
        self._context = context

    # --- verbs

    def connect(self, peer: Address, relayed: Address, now: float) -> None:
        """Have the server connect to a peer. InvalidState where there is a connection, LimitExceeded without room."""
        if peer in self.by_peer:
            raise InvalidState(f"there is a connection with {peer}")
        if len(self.by_peer) >= self._context.config.connection_count_max:
            raise LimitExceeded(f"{len(self.by_peer)} connections; see connection_count_max")
        connection = self._add(peer, relayed, is_incoming=False)
        attributes = [Attribute(AttributeType.XOR_PEER_ADDRESS, peer)]
        self._context.requester.submit(Request(Purpose.CONNECT, self._context.path, attributes, connection), now)

    def send(self, data: bytes, peer: Address, now: float) -> None:
        """Send a piece of the stream. InvalidState where there is no connection with the peer."""
        connection = self.by_peer.get(peer)
        if connection is None or connection.path is None or connection.state is not ConnectionState.OPEN:
            raise InvalidState(f"there is no connection with {peer}")
        self._context.stats.data_sent += 1
        self._context.datagrams.append(Datagram(data, connection.path))

    def disconnect(self, peer: Address, now: float) -> None:
        """End a connection; without effect where there is none."""
        connection = self.by_peer.get(peer)
        if connection is not None:
            self._remove(connection, now)

    def close(self, now: float) -> None:
        """End them all."""
        for connection in list(self.by_peer.values()):
            self._remove(connection, now)

    # --- inputs

    def on_attempt(self, id: int, peer: Address, relayed: Address, now: float) -> None:
        """A permitted peer has connected to the relayed address: bind its connection, or leave it to expire."""
        if peer in self.by_peer or len(self.by_peer) >= self._context.config.connection_count_max:
            self._context.stats.discard(DiscardReason.CONNECTION_LIMIT)
            return
        connection = self._add(peer, relayed, is_incoming=True)
        self._need_stream(connection, id, now)

    def on_answer(self, answer: Answer, now: float) -> None:
        """The server has answered Connect or ConnectionBind, or has not."""
        connection = answer.request.subject
        assert isinstance(connection, Connection), "requests for connections are about connections"
        if answer.failure is not None or answer.response is None:
            self._fail(connection, answer.failure or Failure(0, TIMEOUT, ""), now)
        elif answer.request.purpose is Purpose.CONNECT:
            self._on_connected(connection, answer.response, now)
        else:
            self._on_bound(connection)

    def on_stream_opened(self, path: Path, now: float) -> None:
        """The stream stands: tell the server whose it is."""
        connection = self.by_path.get(path)
        if connection is None or connection.state is not ConnectionState.STREAM_NEEDED:
            return
        connection.state = ConnectionState.BINDING
        connection.due_at = math.inf
        attributes = [Attribute(AttributeType.CONNECTION_ID, connection.id)]
        self._context.requester.submit(Request(Purpose.CONNECTION_BIND, path, attributes, connection), now)

    def on_data(self, connection: Connection, data: bytes) -> None:
        """A piece of the peer's stream has come."""
        self._context.stats.data_received += 1
        self._context.events.append(DataReceived(data, connection.peer, connection.relayed))

    def on_stream_closed(self, path: Path, reason: str, now: float) -> None:
        """The stream has ended, or could not be opened."""
        connection = self.by_path.pop(path, None)
        if connection is None:
            return
        connection.path = None
        if connection.state is ConnectionState.OPEN:
            self._remove(connection, now)
            self._context.events.append(ConnectionClosed(connection.peer, reason))
        else:
            self._fail(connection, Failure(0, NOT_CONNECTED, reason), now)

    def on_stream_broken(self, connection: Connection, reason: str, now: float) -> None:
        """What came before the ConnectionBind response is not STUN."""
        self._fail(connection, Failure(0, UNUSABLE_RESPONSE, reason), now)

    # --- timers

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return min([connection.due_at for connection in self.by_path.values()], default=math.inf)

    def handle_timer(self, now: float) -> None:
        """Give up the connections whose stream has not come."""
        for connection in [connection for connection in self.by_path.values() if connection.due_at <= now]:
            self._fail(connection, Failure(0, TIMEOUT, "the stream was not opened in time"), now)

    # --- private, in the order called

    def _add(self, peer: Address, relayed: Address, *, is_incoming: bool) -> Connection:
        framer = TurnFramer(self._context.config.stream_frame_bytes_max)
        connection = self.by_peer[peer] = Connection(peer, relayed, is_incoming, framer)
        return connection

    def _on_connected(self, connection: Connection, response: Message, now: float) -> None:
        id = response.value(AttributeType.CONNECTION_ID)
        if id is None:
            self._fail(connection, Failure(0, UNUSABLE_RESPONSE, "a connection without CONNECTION-ID"), now)
            return
        self._need_stream(connection, id, now)

    def _need_stream(self, connection: Connection, id: int, now: float) -> None:
        context = self._context
        connection.id = id
        connection.state = ConnectionState.STREAM_NEEDED
        connection.path = further_stream(context.path, context.path.remote, context.entropy)
        connection.due_at = now + context.config.connection_wait_s
        self.by_path[connection.path] = connection
        context.events.append(StreamNeeded(connection.path, context.server_name))

    def _on_bound(self, connection: Connection) -> None:
        """From here on the stream is the peer's; its first bytes may have come with the response."""
        connection.state = ConnectionState.OPEN
        self._context.events.append(ConnectionOpened(connection.peer, connection.relayed, connection.is_incoming))
        rest = connection.framer.take_rest()
        if rest:
            self.on_data(connection, rest)

    def _fail(self, connection: Connection, failure: Failure, now: float) -> None:
        self._remove(connection, now)
        self._context.events.append(ConnectionFailed(connection.peer, *failure))

    def _remove(self, connection: Connection, now: float) -> None:
        self.by_peer.pop(connection.peer, None)
        self._context.requester.cancel(connection, now)
        if connection.path is not None:
            self.by_path.pop(connection.path, None)
            self._context.events.append(StreamUnneeded(connection.path))
