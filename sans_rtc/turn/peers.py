"""Whom we reach through the relay: permissions by host, peers by address, channels by number (RFC 8656 sections 9, 12).

A permission is for a host, whatever the port; a channel is for one address. Each has a state of its own, so that one
that is refused concerns no other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Address
from sans_rtc.stun.values import host_bytes, host_text
from sans_rtc.turn.channel_data import CHANNEL_NUMBER_MAX, CHANNEL_NUMBER_MIN
from sans_rtc.turn.failure import Failure

NEVER = -math.inf


class PermissionState(StrEnum):
    """How far the permission for one host is."""

    NONE = "none"  # not asked for, or expired
    ASKED = "asked"
    GRANTED = "granted"
    REFUSED = "refused"


class ChannelState(StrEnum):
    """How far the channel of one peer is."""

    NONE = "none"  # never bound, or expired
    ASKED = "asked"
    BOUND = "bound"
    REFUSED = "refused"


@attrs.define(slots=True, eq=False)
class Permission:
    """The permission for one host.

    is_asking   a request is under way: the first, or a refresh while GRANTED
    expires_at  until then what comes from the host is delivered; set when asked, for data may overtake the answer
    due_at      when to look at it next
    used_at     when it was asked for, or a datagram of a peer without an entry came
    retry_at    once refused: not asked for again before
    queue       data that wait for the first answer
    """

    host: str
    state: PermissionState = PermissionState.NONE
    is_asking: bool = False
    expires_at: float = NEVER
    due_at: float = math.inf
    used_at: float = NEVER
    retry_at: float = NEVER
    failure: Failure | None = None
    peers: list[Peer] = attrs.field(factory=list)
    queue: list[tuple[bytes, Peer]] = attrs.field(factory=list)

    @property
    def last_used_at(self) -> float:
        """When anything was last sent to or received from the host."""
        return max([self.used_at, *[peer.used_at for peer in self.peers]])


@attrs.define(slots=True, eq=False)
class Peer:
    """One address that data go to.

    number           of its channel: kept once given, for it must not change
    is_binding       a ChannelBind request is under way
    asks_permission  and it is what asks for the permission
    bound_until      until then data are sent on the channel
    free_at          until then the server may hold number and address together
    due_at           when to look at the channel next
    retry_at         once refused: not bound again by itself before
    sent_count       datagrams sent without a channel
    address_attribute  XOR-PEER-ADDRESS as it stands in every Send indication, where it is always the same
    """

    address: Address
    relayed: Address
    permission: Permission
    number: int = 0
    channel: ChannelState = ChannelState.NONE
    is_binding: bool = False
    asks_permission: bool = False
    bound_until: float = NEVER
    free_at: float = NEVER
    due_at: float = math.inf
    retry_at: float = NEVER
    used_at: float = NEVER
    sent_count: int = 0
    address_attribute: bytes = b""
    failure: Failure | None = None


def canonical(address: Address) -> Address:
    """The address as responses of the server write it. InvalidArgument for a name, a zone, or a port out of range."""
    if not 0 <= address.port <= 0xFFFF:
        raise InvalidArgument(f"a port is 0 to 65535, not {address.port}")
    return Address(canonical_host(address.host), address.port)


def canonical_host(host: str) -> str:
    """The host as responses of the server write it. InvalidArgument for a name or a zone."""
    if "%" in host:
        raise InvalidArgument(f"no server knows the zones of this machine: {host!r}")
    return host_text(host_bytes(host))


class PeerTable:
    """All peers, permissions and channel numbers of one allocation.

    by_address, by_number  for the packet path; a number is there from the moment it is asked for
    """

    def __init__(self, count_max: int) -> None:
        self.by_address: dict[Address, Peer] = {}
        self.by_number: dict[int, Peer] = {}
        self._permissions: dict[str, Permission] = {}
        self._count_max = count_max
        self._numbers: set[int] = set()
        self._next_number = CHANNEL_NUMBER_MIN

    @property
    def permissions(self) -> Iterator[Permission]:
        """Every permission, asked for first."""
        return iter(self._permissions.values())

    def permission_of(self, host: str) -> Permission | None:
        """The permission for a canonical host, where there is an entry."""
        return self._permissions.get(host)

    def add_permission(self, host: str, now: float) -> Permission:
        """The entry of a canonical host, a new one where there is none. LimitExceeded where all are in use."""
        permission = self._permissions.get(host)
        if permission is None:
            self._make_room(self._permissions, now)
            permission = self._permissions[host] = Permission(host)
        return permission

    def add_peer(self, address: Address, relayed: Address, now: float) -> Peer:
        """The entry of a canonical address, a new one where there is none. LimitExceeded where all are in use."""
        peer = self.by_address.get(address)
        if peer is not None:
            return peer
        self._make_room(self.by_address, now)
        permission = self.add_permission(address.host, now)
        peer = self.by_address[address] = Peer(address, relayed, permission)
        permission.peers.append(peer)
        return peer

    def number_for(self, peer: Peer) -> int:
        """The number of the peer's channel, the next free one where it has none yet."""
        while not peer.number:
            # There are as many numbers as there can be peers at most, so one is free.
            number = self._next_number
            self._next_number = number + 1 if number < CHANNEL_NUMBER_MAX else CHANNEL_NUMBER_MIN
            if number not in self._numbers:
                peer.number = number
                self._numbers.add(number)
        return peer.number

    def _make_room(self, table: Mapping[str, Permission] | Mapping[Address, Peer], now: float) -> None:
        """Forget those that nothing is known of any more, where there is no room for one more."""
        if len(table) < self._count_max:
            return
        for peer in [peer for peer in self.by_address.values() if _is_over(peer, now)]:
            del self.by_address[peer.address]
            peer.permission.peers.remove(peer)
            self.by_number.pop(peer.number, None)
            self._numbers.discard(peer.number)
        for permission in [entry for entry in self._permissions.values() if not entry.peers and _is_done(entry, now)]:
            del self._permissions[permission.host]
        if len(table) >= self._count_max:
            raise LimitExceeded(f"{self._count_max} peers are in use; see peer_count_max")


def _is_over(peer: Peer, now: float) -> bool:
    is_free = not peer.is_binding and peer.bound_until <= now and peer.free_at <= now
    return is_free and _is_done(peer.permission, now)


def _is_done(permission: Permission, now: float) -> bool:
    if permission.is_asking or permission.queue:
        return False
    return permission.expires_at <= now and permission.retry_at <= now
