"""What a server tells its driver: sockets that it needs, and what its clients do. One closed union, `ServerEvent`."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal, TypeAlias

import attrs

from sans_rtc.machine import Address, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded


class TerminationReason(StrEnum):
    """Why the server has ended."""

    CLOSED = "closed"
    ABORTED = "aborted"


class EndReason(StrEnum):
    """Why an allocation has ended."""

    EXPIRED = "expired"
    RELEASED = "released"  # the client has asked for it
    STREAM_CLOSED = "stream_closed"  # the client's TCP or TLS connection is gone
    REVOKED = "revoked"  # its credentials are not valid any more
    SERVER_CLOSED = "server_closed"


@attrs.define(slots=True)
class RelayNeeded:
    """Open a socket for a relay, then say relay_opened or relay_failed with the same id; no other call is needed.

    relay_id  names the request; each is new, also where another port is tried
    address   bind to exactly this
    protocol  "udp": datagrams; "tcp": a listening socket, whose address outgoing connections share (RFC 6062)
    """

    relay_id: int
    address: Address
    protocol: Literal["udp", "tcp"]


@attrs.define(slots=True)
class RelayUnneeded:
    """Close the socket of a relay."""

    address: Address
    protocol: Literal["udp", "tcp"]


@attrs.define(slots=True)
class StreamsJoined:
    """What arrives on one of these streams leaves on the other: read no faster than the other takes it (RFC 6062)."""

    client: Path
    peer: Path


@attrs.define(slots=True)
class AllocationCreated:
    """A client has got its relays.

    client   the path on which it asked
    relayed  one address, or one of each version of IP
    """

    client: Path
    relayed: tuple[Address, ...]
    username: str


@attrs.define(slots=True)
class AllocationEnded:
    """A client's relays are gone."""

    client: Path
    relayed: tuple[Address, ...]
    reason: EndReason


ServerEvent: TypeAlias = (
    RelayNeeded
    | RelayUnneeded
    | StreamNeeded
    | StreamUnneeded
    | StreamsJoined
    | AllocationCreated
    | AllocationEnded
    | Terminated
)
"""Everything that `Server.take_events` can hand over."""
