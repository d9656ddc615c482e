"""TCP and TLS in virtual time: a reliable pipe of bytes that is cut at random places, over a way that can break.

No segments, windows or resets on the wire: what is sent at one instant is joined, cut anew and arrives after the delay
of the way, in order; loss is time. The opening packet goes through NATs and firewalls as a datagram does, and leaves
behind the way that the bytes take.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import attrs

from sans_rtc.machine import Path

if TYPE_CHECKING:
    from sans_rtc.testing.host import Program
    from sans_rtc.testing.nat import Gateway
    from sans_rtc.testing.network import Network
    from sans_rtc.testing.realm import Port

# A lost segment comes again after a time-out or three duplicates; RFC 6298 says one second at least, systems less.
RETRANSMISSION_S = 0.3
RETRANSMISSIONS_MAX = 10
# Nobody answers: how long a host tries to connect, and how long it goes on sending into the void.
CONNECT_TIMEOUT_S = 10.0
DEAD_AFTER_S = 10.0
PIECE_BYTES_MAX = 1460
# Now and then a piece ends after a byte or a few: between and within the fields of whatever is framed.
SHORT_PIECES = 0.3
SHORT_PIECE_BYTES_MAX = 5


@attrs.define(slots=True, eq=False)
class Way:
    """What a stream passes.

    ports     in the order passed
    gateways  and the mark that each gave
    """

    ports: list[Port] = attrs.Factory(list)
    gateways: list[tuple[Gateway, int]] = attrs.Factory(list)

    @property
    def is_open(self) -> bool:
        """True where what was opened this way still gets through."""
        is_up = all(port.cable.is_up and port.is_joined for port in self.ports)
        return is_up and all(gateway.lets_stream(mark) for gateway, mark in self.gateways)

    def delay_s(self, network: Network) -> float:
        """How long a piece takes now; loss is time."""
        delay_s, chance = 0.0, network.chance
        for port in self.ports:
            conditions = port.cable.conditions
            delay_s += conditions.delay_s
            if conditions.jitter_s:
                delay_s += conditions.jitter_s * chance.fraction()
            for _ in range(RETRANSMISSIONS_MAX if conditions.loss else 0):
                if chance.fraction() >= conditions.loss:
                    break
                delay_s += RETRANSMISSION_S
        return delay_s


@attrs.define(slots=True, eq=False)
class Syn:
    """What opens a stream: who asks, under which name, and what it has passed so far."""

    opener: Program
    path: Path
    way: Way = attrs.Factory(Way)
    is_answered: bool = False


@attrs.define(slots=True, eq=False)
class End:
    """One end of a connection.

    program    whose stream it is; None once it is closed here
    path       its name there
    unsent     what was written at this instant
    arrives_at the last piece written here arrives there then
    """

    program: Program | None
    path: Path
    unsent: list[bytes] = attrs.Factory(list)
    arrives_at: float = 0.0
    is_open: bool = False


class Connection:
    """A stream that has been accepted."""

    def __init__(self, network: Network, syn: Syn, acceptor: Program, accepted_path: Path) -> None:
        self._network = network
        self._way = syn.way
        self._ends = (End(syn.opener, syn.path), End(acceptor, accepted_path))
        self._is_dying = False
        # TCP: SYN, SYN+ACK, ACK. TLS 1.3 has one more round trip before the client may send.
        trips = 4 if syn.path.protocol == "tls" else 2
        opened_at = network.now + sum(self._way.delay_s(network) for _ in range(trips))
        accepted_at = opened_at + self._way.delay_s(network)
        for end, moment in zip(self._ends, (opened_at, accepted_at), strict=True):
            network.schedule(moment, partial(self._open, end))
            end.arrives_at = accepted_at

    def write(self, program: Program, path: Path, data: bytes) -> bool:
        """Take a whole frame; False where the stream is not open here."""
        end = self._end_of(program, path)
        if end is None or not end.is_open:
            return False
        if not end.unsent:
            self._network.schedule(self._network.now, partial(self._send, end))
        end.unsent.append(data)
        return True

    def close(self, program: Program, path: Path) -> None:
        """Close one end: what was written arrives first."""
        end = self._end_of(program, path)
        if end is None:
            return
        self._send(end)
        end.program = None
        if self._way.is_open:
            end.arrives_at = max(end.arrives_at, self._network.now + self._way.delay_s(self._network))
            self._network.schedule(end.arrives_at, partial(self._end, self._other(end), "closed by the other end"))
        else:
            self._die()

    def _open(self, end: End) -> None:
        if end.program is not None:
            end.is_open = True
            end.program.tell_opened(end.path, self, is_accepted=end is self._ends[1])

    def _send(self, end: End) -> None:
        data, end.unsent = b"".join(end.unsent), []
        if not data:
            return
        if not self._way.is_open:
            self._die()
            return
        for piece in self._cut(data):
            end.arrives_at = max(end.arrives_at, self._network.now + self._way.delay_s(self._network))
            self._network.schedule(end.arrives_at, partial(self._deliver, self._other(end), piece))

    def _cut(self, data: bytes) -> list[bytes]:
        chance, pieces, position = self._network.chance, [], 0
        while position < len(data):
            limit = SHORT_PIECE_BYTES_MAX if chance.fraction() < SHORT_PIECES else PIECE_BYTES_MAX
            size = 1 + chance.below(limit)
            pieces.append(data[position : position + size])
            position += size
        return pieces

    def _deliver(self, end: End, piece: bytes) -> None:
        if end.program is not None and self._way.is_open:
            end.program.receive_piece(piece, end.path)

    def _die(self) -> None:
        if not self._is_dying:
            self._is_dying = True
            for end in self._ends:
                self._network.schedule(self._network.now + DEAD_AFTER_S, partial(self._end, end, "timed out"))

    def _end(self, end: End, reason: str) -> None:
        program, end.program = end.program, None
        if program is not None:
            program.tell_closed(end.path, reason)

    def _end_of(self, program: Program, path: Path) -> End | None:
        return next((end for end in self._ends if end.program is program and end.path == path), None)

    def _other(self, end: End) -> End:
        return self._ends[1] if end is self._ends[0] else self._ends[0]
