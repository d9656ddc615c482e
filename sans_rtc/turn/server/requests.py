"""Refresh, CreatePermission and ChannelBind: what a client asks of its allocation (RFC 8656 sections 8, 10, 12).

All are idempotent by themselves, so nothing is remembered of a request: the same again does the same again.
"""

from __future__ import annotations

from collections.abc import Collection

from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, Message
from sans_rtc.turn.channel_data import CHANNEL_NUMBER_MIN
from sans_rtc.turn.server.allocate import FAMILIES, granted_lifetime_s
from sans_rtc.turn.server.allocation import Allocation, Channel, Permission, Relay
from sans_rtc.turn.server.config import CHANNEL_LIFETIME_S, PERMISSION_LIFETIME_S
from sans_rtc.turn.server.context import Request, ServerContext
from sans_rtc.turn.server.events import EndReason
from sans_rtc.turn.server.tables import Tables

_A = AttributeType


class AllocationRequests:
    """Handles requests for an allocation that is there. The caller has checked whose it is."""

    def __init__(self, context: ServerContext, tables: Tables) -> None:
        self._context = context
        self._tables = tables

    def refresh(self, request: Request, now: float) -> Message:
        """Keep an allocation, or one of its relays, for longer; or with a lifetime of zero, end it."""
        allocation, asked_s = request.allocation, request.message.value(_A.LIFETIME)
        assert allocation is not None
        families: Collection[int] = tuple(allocation.relays)
        family_code = request.message.value(_A.REQUESTED_ADDRESS_FAMILY)
        if family_code is not None:
            families = (FAMILIES.get(family_code, 0),)
            if not allocation.relays.keys() >= set(families):
                return request.refuse(443)
        if asked_s == 0:
            self._release(allocation, families)
            return request.succeed([Attribute(_A.LIFETIME, 0)])
        lifetime_s = granted_lifetime_s(self._context.config, asked_s)
        for family in families:
            allocation.relays[family].expires_at = now + lifetime_s
        if request.identity.owner == allocation.identity.owner:
            allocation.identity = request.identity  # perhaps with a newer password: the older may be withdrawn
        self._context.deadlines.wake(allocation, allocation.next_wake())
        return request.succeed([Attribute(_A.LIFETIME, int(lifetime_s))])

    def create_permission(self, request: Request, now: float) -> Message:
        """Let the client's peers send to it: all that the request names, or none."""
        allocation = request.allocation
        assert allocation is not None
        peers = [peer for peer in request.message.values(_A.XOR_PEER_ADDRESS) if isinstance(peer, Address)]
        if not peers:
            return request.refuse(400, "Bad Request: no XOR-PEER-ADDRESS")
        if any(peer.family not in allocation.relays for peer in peers):
            return request.refuse(443)
        for host in dict.fromkeys(peer.host for peer in peers):
            why = self._context.gate.host_refusal(host)
            if why:
                return request.refuse(403, f"Forbidden: {why} address")
        peers = [self._context.inward(peer) for peer in peers]
        hosts = list(dict.fromkeys(peer.host for peer in peers))
        if not self._has_room(allocation, hosts):
            return request.refuse(508, "Insufficient Capacity: too many permissions")
        for peer in peers:
            _permit(allocation.relays[peer.family], peer.host, now)
        self._context.deadlines.wake(allocation, now + PERMISSION_LIFETIME_S)
        return request.succeed()

    def bind_channel(self, request: Request, now: float) -> Message:
        """Let a number stand for a peer, or go on doing so; permits the peer as well."""
        allocation = request.allocation
        assert allocation is not None
        number = request.message.value(_A.CHANNEL_NUMBER)
        peer = request.message.value(_A.XOR_PEER_ADDRESS)
        if number is None or peer is None or not peer.port:
            return request.refuse(400)
        if not CHANNEL_NUMBER_MIN <= number <= self._context.config.channel_number_max:
            return request.refuse(400, f"Bad Request: no channel has the number 0x{number:04X}")
        if allocation.protocol == "tcp":  # RFC 6062 section 5: data go on connections of their own
            return request.refuse(403, "Forbidden: a TCP allocation has no channels")
        relay = allocation.relays.get(peer.family)
        if relay is None:
            return request.refuse(443)
        why = self._context.gate.refusal(peer)
        if why:
            return request.refuse(403, f"Forbidden: {why} address")
        peer = self._context.inward(peer)
        bound, named = relay.channels.get(peer), allocation.channels.get(number)
        for channel in {bound, named} - {None}:
            if channel is not None and channel.expires_at <= now:
                self._tables.unbind(allocation.relays[channel.path.remote.family], channel)
        bound, named = relay.channels.get(peer), allocation.channels.get(number)
        if bound is not named:
            return request.refuse(400, "Bad Request: number or peer bound otherwise")
        has_number = bound is not None or len(allocation.channels) < self._context.config.channel_count_max
        if not has_number or not self._has_room(allocation, [peer.host]):
            return request.refuse(508, "Insufficient Capacity: too many channels")
        self._bind(allocation, relay, number, peer, now)
        return request.succeed()

    def _release(self, allocation: Allocation, families: Collection[int]) -> None:
        if len(families) == len(allocation.relays):
            self._tables.end(allocation, EndReason.RELEASED)
            return
        for family in families:
            self._tables.drop_relay(allocation, family)

    def _has_room(self, allocation: Allocation, hosts: Collection[str]) -> bool:
        known = sum([host in relay.permissions for host in hosts for relay in allocation.relays.values()])
        count = allocation.permission_count() + len(hosts) - known
        return count <= self._context.config.permission_count_max

    def _bind(self, allocation: Allocation, relay: Relay, number: int, peer: Address, now: float) -> None:
        permission = _permit(relay, peer.host, now)
        channel = relay.channels.get(peer)
        if channel is None:
            path = Path(relay.address, peer)
            is_padded = allocation.path.protocol != "udp"
            channel = Channel(number, allocation, path, allocation.path, permission, 0.0, is_padded)
            self._tables.bind(relay, channel)
        channel.expires_at = now + CHANNEL_LIFETIME_S
        self._context.deadlines.wake(allocation, now + PERMISSION_LIFETIME_S)


def _permit(relay: Relay, host: str, now: float) -> Permission:
    """Give or prolong a permission; channels to this host that have outlived theirs get the new one."""
    permission = relay.permissions.get(host)
    if permission is not None:
        permission.expires_at = now + PERMISSION_LIFETIME_S
        return permission
    permission = relay.permissions[host] = Permission(now + PERMISSION_LIFETIME_S)
    for channel in relay.channels.values():
        if channel.path.remote.host == host:
            channel.permission = permission
    return permission
