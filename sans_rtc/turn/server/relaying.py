"""Data between a client and its peers that do not go on a channel: Send and Data indications (RFC 8656 section 11)."""

from __future__ import annotations

import struct

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.values import serialize_xor_address
from sans_rtc.stun.wire import MAGIC_COOKIE, TRANSACTION_ID_BYTES, Message
from sans_rtc.turn.server.allocation import Allocation, Relay
from sans_rtc.turn.server.context import ServerContext
from sans_rtc.turn.server.stats import DiscardReason

# What fits an IPv4 UDP datagram: 65535 less 20 and 8 bytes of headers.
UDP_PAYLOAD_BYTES_MAX = 65_507
# Header, XOR-PEER-ADDRESS of IPv6 and the header of DATA.
DATA_OVERHEAD_BYTES_MAX = 20 + 24 + 4

_A = AttributeType
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
# A Data indication up to the address: type 0x0017, length, cookie and transaction id, XOR-PEER-ADDRESS with its length.
_HEADER = struct.Struct("!HH16sHH")
_DATA_INDICATION = 0x0017
_TYPE_LENGTH = struct.Struct("!HH")


class Indications:
    """Takes Send indications, makes Data indications."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context
        self._is_limited = context.config.allocation_bytes_per_s_max != float("inf")

    def send(self, message: Message, allocation: Allocation, ecn: int, now: float) -> None:
        """Relay the data of a Send indication to the peer that it names; anything wrong drops it."""
        context = self._context
        peer, data = message.value(_A.XOR_PEER_ADDRESS), message.value(_A.DATA)
        if peer is None or data is None or message.unknown_required or not peer.port:
            context.stats.discard(DiscardReason.INVALID_INDICATION)
            return
        dont_fragment = message.value(_A.DONT_FRAGMENT) is not None
        if dont_fragment and not context.config.can_forbid_fragments:
            context.stats.discard(DiscardReason.INVALID_INDICATION)
            return
        is_forbidden = peer.host in context.gate.own_hosts and context.gate.refusal(peer)
        peer = context.inward(peer)
        relay = allocation.relays.get(peer.family)
        permission = relay.permissions.get(peer.host) if relay is not None else None
        if relay is None or relay.protocol != "udp" or permission is None or permission.expires_at <= now:
            context.stats.discard(DiscardReason.NO_PERMISSION)
            return
        if is_forbidden:
            context.stats.discard(DiscardReason.FORBIDDEN_PEER)
            return
        if self._is_limited and not self.spend(allocation, len(data), now):
            return
        context.stats.packets_to_peers += 1
        context.stats.bytes_to_peers += len(data)
        context.datagrams.append(Datagram(data, Path(relay.address, peer), ecn, dont_fragment))

    def tell(self, datagram: Datagram, allocation: Allocation, relay: Relay, now: float) -> None:
        """Relay what a peer without a channel has sent."""
        context, peer, data = self._context, datagram.path.remote, datagram.data
        permission = relay.permissions.get(peer.host)
        if permission is None or permission.expires_at <= now:
            context.stats.discard(DiscardReason.PEER_NOT_PERMITTED)
            return
        if len(data) > UDP_PAYLOAD_BYTES_MAX - DATA_OVERHEAD_BYTES_MAX:
            context.stats.discard(DiscardReason.TOO_LARGE)
            return
        if self._is_limited and not self.spend(allocation, len(data), now):
            return
        context.stats.packets_to_clients += 1
        context.stats.bytes_to_clients += len(data)
        context.datagrams.append(Datagram(self._indication(context.outward(peer), data), allocation.path, datagram.ecn))

    def spend(self, allocation: Allocation, size: int, now: float) -> bool:
        """Take this many bytes out of the allocation's budget; False, and counted, where it is spent."""
        rate = self._context.config.allocation_bytes_per_s_max
        left = min(rate, allocation.budget_bytes + (now - allocation.budget_at) * rate)
        allocation.budget_at = now
        if left < size:
            allocation.budget_bytes = left
            self._context.stats.discard(DiscardReason.RATE_LIMITED)
            return False
        allocation.budget_bytes = left - size
        return True

    def _indication(self, peer: Address, data: bytes) -> bytes:
        context = _COOKIE + self._context.entropy(TRANSACTION_ID_BYTES)
        address = serialize_xor_address(peer, context)
        size = len(data)
        padding = bytes(-size % 4)
        length = 4 + len(address) + 4 + size + len(padding)
        head = _HEADER.pack(_DATA_INDICATION, length, context, _A.XOR_PEER_ADDRESS, len(address))
        return b"".join((head, address, _TYPE_LENGTH.pack(_A.DATA, size), data, padding))
