"""What a server keeps for one client: its relays, whom they may speak with, and its channels (RFC 8656 section 6).

    Allocation (the client's path) -- Relay (the address that peers see) -- Permission (a peer's host)
         |                                |                                     |
         +----------- channels -----------+---- Channel (a peer's address) -----+

Lifetimes are points in time that are compared where something is used; nothing has to fire for them to take effect.
"""

from __future__ import annotations

import math
from typing import Literal

import attrs

from sans_rtc.machine import Address, Path
from sans_rtc.stun.wire import Attribute, Message
from sans_rtc.turn.channel_data import HEADER, PADDING
from sans_rtc.turn.framing import TurnFramer
from sans_rtc.turn.server.authentication import Identity


@attrs.define(slots=True, eq=False)
class Permission:
    """A peer's host may send to the client, and be sent to, until then (RFC 8656 section 9)."""

    expires_at: float


@attrs.define(slots=True, eq=False)
class Channel:
    """A channel number that stands for a peer (RFC 8656 section 12).

    path         from the relay to the peer
    client_path  from the server to the client
    is_padded    the client is reached by a stream
    """

    number: int
    allocation: Allocation
    path: Path
    client_path: Path
    permission: Permission
    expires_at: float
    is_padded: bool

    def frame(self, data: bytes) -> bytes:
        """The ChannelData message with this data; no more than 65535 bytes."""
        size = len(data)
        message = HEADER.pack(self.number, size) + data
        return message + PADDING[size & 3] if self.is_padded else message


@attrs.define(slots=True, eq=False)
class Relay:
    """One relayed transport address of an allocation.

    permissions  by the peer's host
    channels     by the peer's address
    """

    address: Address
    protocol: Literal["udp", "tcp"]
    expires_at: float
    permissions: dict[str, Permission] = attrs.field(factory=dict)
    channels: dict[Address, Channel] = attrs.field(factory=dict)


@attrs.define(slots=True, eq=False)
class Allocation:
    """Everything of one client.

    path            the five-tuple, as the server sees it
    identity        whose it is; a key, never a password (RFC 8656 section 6: "the server MUST NOT store the password")
    transaction_id  of the Allocate request that made it: the same again gets the same response
    relays          by version of IP
    channels        by number
    extras          what else the response told of: a reservation, an address family that is not to be had
    connections     of RFC 6062, by the peer's address
    is_open         False until its relays are there
    is_ended        it is in no table any more
    budget_bytes, budget_at   of the rate limit, where there is one
    wake_at         of `Deadlines`
    """

    path: Path
    identity: Identity
    transaction_id: bytes
    protocol: Literal["udp", "tcp"]
    relays: dict[int, Relay] = attrs.field(factory=dict)
    channels: dict[int, Channel] = attrs.field(factory=dict)
    extras: tuple[Attribute, ...] = ()
    connections: dict[Address, TcpConnection] = attrs.field(factory=dict)
    is_open: bool = False
    is_ended: bool = False
    budget_bytes: float = math.inf
    budget_at: float = 0.0
    wake_at: float = math.inf

    @property
    def relayed(self) -> tuple[Address, ...]:
        """The relayed addresses, IPv4 first."""
        return tuple(self.relays[family].address for family in sorted(self.relays))

    @property
    def expires_at(self) -> float:
        """When the last of its relays expires."""
        return max((relay.expires_at for relay in self.relays.values()), default=math.inf)

    def permission_count(self) -> int:
        """Permissions of all relays, those included that have expired and not been cleared away."""
        return sum([len(relay.permissions) for relay in self.relays.values()])

    def next_wake(self) -> float:
        """When the next part of it expires."""
        moments = [relay.expires_at for relay in self.relays.values()]
        moments += [
            permission.expires_at for relay in self.relays.values() for permission in relay.permissions.values()
        ]
        moments += [channel.expires_at for channel in self.channels.values()]
        return min(moments, default=math.inf)


@attrs.define(slots=True, eq=False)
class TcpConnection:
    """A TCP connection between a relay and a peer (RFC 6062).

    connection_id  by which the client names it
    path           from the relay to the peer
    request        the Connect request that it was opened for, until it is answered; and whether with FINGERPRINT
    is_open        it stands
    client_path    of the stream that the client has joined to it; None before
    early          what the peer has sent before that
    wake_at        of `Deadlines`
    """

    connection_id: int
    allocation: Allocation
    path: Path
    request: Message | None
    fingerprint: bool = False
    is_open: bool = False
    client_path: Path | None = None
    early: list[bytes] = attrs.field(factory=list)
    early_bytes: int = 0
    wake_at: float = math.inf


@attrs.define(slots=True, eq=False)
class ClientStream:
    """A TCP or TLS connection of a client: for messages, or once joined, for the bytes of one peer."""

    path: Path
    framer: TurnFramer
    connection: TcpConnection | None = None
    wake_at: float = math.inf


@attrs.define(slots=True, eq=False)
class Reservation:
    """A relay held for whoever shows the token (RFC 8656 section 7.2, EVEN-PORT with the R bit)."""

    token: bytes
    address: Address
    owner: str
    expires_at: float
    wake_at: float = math.inf


@attrs.frozen(slots=True)
class AllocationInfo:
    """One allocation, for people and metrics."""

    client: Path
    relayed: tuple[Address, ...]
    username: str
    permission_count: int
    channel_count: int
    expires_in_s: float
