"""What a TURN client reports, and why it ends."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Address, Path, Terminated
from sans_rtc.streams import StreamNeeded, StreamUnneeded


class TerminationReason(StrEnum):
    """Why a TURN client has ended; those that are an error code of the server have its name (RFC 8656 section 19)."""

    CLOSED = "closed"
    ABORTED = "aborted"
    TRY_ALTERNATE = "try_alternate"  # 300, and its ALTERNATE-SERVER cannot be followed
    BAD_REQUEST = "bad_request"  # 400
    UNAUTHENTICATED = "unauthenticated"  # 401: the server does not take the credentials
    FORBIDDEN = "forbidden"  # 403
    UNKNOWN_ATTRIBUTE = "unknown_attribute"  # 420
    ALLOCATION_MISMATCH = "allocation_mismatch"  # 437
    STALE_NONCE = "stale_nonce"  # 438, again and again
    ADDRESS_FAMILY_NOT_SUPPORTED = "address_family_not_supported"  # 440
    WRONG_CREDENTIALS = "wrong_credentials"  # 441: another user's allocation
    UNSUPPORTED_TRANSPORT_PROTOCOL = "unsupported_transport_protocol"  # 442
    PEER_ADDRESS_FAMILY_MISMATCH = "peer_address_family_mismatch"  # 443
    ALLOCATION_QUOTA_REACHED = "allocation_quota_reached"  # 486
    SERVER_ERROR = "server_error"  # 500
    INSUFFICIENT_CAPACITY = "insufficient_capacity"  # 508
    REFUSED = "refused"  # any other error code
    TIMED_OUT = "timed_out"
    UNUSABLE_CHALLENGE = "unusable_challenge"  # it offers nothing we have, or somebody has weakened it
    UNUSABLE_RESPONSE = "unusable_response"
    EXPIRED = "expired"  # the allocation's time ran out before the server confirmed more
    STREAM_CLOSED = "stream_closed"
    STREAM_BROKEN = "stream_broken"  # it holds neither STUN nor ChannelData


class DiscardReason(StrEnum):
    """Why something was dropped without any other effect."""

    EMPTY = "empty"
    WRONG_PATH = "wrong_path"  # not from our server, or not over the path of the request
    UNKNOWN_KIND = "unknown_kind"  # neither STUN nor ChannelData
    MALFORMED_STUN = "malformed_stun"
    MALFORMED_CHANNEL_DATA = "malformed_channel_data"
    MALFORMED_INDICATION = "malformed_indication"
    UNEXPECTED_STUN = "unexpected_stun"  # a method or a class that a client has no use for
    BAD_FINGERPRINT = "bad_fingerprint"
    UNKNOWN_TRANSACTION = "unknown_transaction"  # a response to nothing: late, replayed or invented
    NOT_AUTHENTIC = "not_authentic"  # a response without the integrity that the request had
    UNUSABLE_CHALLENGE = "unusable_challenge"  # no algorithm that we have, or one taken out on the way
    UNPROVEN_REFUSAL = "unproven_refusal"  # 401 over UDP to credentials that the server has taken before
    UNKNOWN_CHANNEL = "unknown_channel"
    NO_PERMISSION = "no_permission"  # from a peer that we have asked no permission for
    PEER_REFUSED = "peer_refused"  # ours, to a peer that the server refuses
    QUEUE_FULL = "queue_full"  # ours, while the permission was being asked for
    CONNECTION_LIMIT = "connection_limit"


@attrs.define(slots=True)
class FamilyRefused:
    """One of two address families was not allocated (RFC 8656 section 7.3): 440 is for good, 508 for a while."""

    family: int
    code: int
    name: str
    reason: str


@attrs.define(slots=True)
class Allocated:
    """The server relays for us.

    relayed            one address, or one of each family, IPv4 first
    mapped             our own address as the server sees it
    lifetime_s         refreshed by itself before it is over
    reservation_token  for `TurnConfig.reservation_token` of another client, within 30 s; None where none was asked for
    refused            the families that were asked for and are missing, where the server says why
    """

    relayed: tuple[Address, ...]
    mapped: Address
    lifetime_s: int
    reservation_token: bytes | None = None
    refused: tuple[FamilyRefused, ...] = ()


@attrs.define(slots=True)
class AllocationFailed:
    """There is no allocation, or no longer; `Terminated` follows.

    code           the server's error code; 0 where it sent none
    name           of the code as RFCs have it ("Allocation Quota Reached"), or of what happened
    reason         the server's phrase, or ours
    was_allocated  the relay had been there
    """

    code: int
    name: str
    reason: str
    was_allocated: bool


@attrs.define(slots=True)
class DataReceived:
    """A peer's datagram, through the relay; with `TurnConfig.transport` "tcp" a piece of its stream."""

    data: bytes
    peer: Address
    relayed: Address


@attrs.define(slots=True)
class PeerRefused:
    """The server relays nothing to and from this peer; others are not concerned.

    peer  as it was given; port 0 where `create_permission` named the host only
    code  403 Forbidden, 443, 508 ...; 0 where no answer came
    """

    peer: Address
    code: int
    name: str
    reason: str


@attrs.define(slots=True)
class ChannelBound:
    """Data to and from this peer have 4 bytes of overhead from now on."""

    peer: Address
    number: int


@attrs.define(slots=True)
class ChannelRefused:
    """No channel for this peer; data go on in Send indications."""

    peer: Address
    code: int
    name: str
    reason: str


@attrs.define(slots=True)
class IcmpReceived:
    """A relayed datagram met an ICMP error (RFC 8656 section 11.6): host unreachable, packet too big ...

    peer  whom it was for; port 0 where the server does not know
    type  of ICMPv4 or ICMPv6, as the peer's family is
    data  four bytes; the MTU where the error has one
    """

    peer: Address
    type: int
    code: int
    data: bytes


@attrs.define(slots=True)
class Redirected:
    """The server has sent us to another (RFC 8489 section 10): this is the path from now on."""

    path: Path


@attrs.define(slots=True)
class ConnectionOpened:
    """RFC 6062: a TCP connection between a peer and our relayed address stands; `send` and `DataReceived` use it."""

    peer: Address
    relayed: Address
    is_incoming: bool


@attrs.define(slots=True)
class ConnectionFailed:
    """RFC 6062: there is no connection to this peer: 403, 446, 447 ...; 0 where it failed on our side."""

    peer: Address
    code: int
    name: str
    reason: str


@attrs.define(slots=True)
class ConnectionClosed:
    """RFC 6062: the connection with this peer has ended."""

    peer: Address
    reason: str


TurnEvent: TypeAlias = (
    Allocated
    | AllocationFailed
    | DataReceived
    | PeerRefused
    | ChannelBound
    | ChannelRefused
    | IcmpReceived
    | Redirected
    | StreamNeeded
    | StreamUnneeded
    | ConnectionOpened
    | ConnectionFailed
    | ConnectionClosed
    | Terminated
)
