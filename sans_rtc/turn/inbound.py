"""What the server sends, one whole message at a time: ChannelData and indications to events, responses to answers."""

from __future__ import annotations

from sans_rtc.errors import WireError
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.values import Icmp
from sans_rtc.stun.wire import Message, MessageClass, Method, parse_message
from sans_rtc.turn.channel_data import CHANNEL_DATA_HEADER_BYTES, HEADER
from sans_rtc.turn.connections import Connections
from sans_rtc.turn.context import Context
from sans_rtc.turn.events import DataReceived, DiscardReason, IcmpReceived
from sans_rtc.turn.peers import Permission
from sans_rtc.turn.relaying import Relaying
from sans_rtc.turn.requests import Answer

# The first byte tells STUN from ChannelData (RFC 8656 section 12).
CHANNEL_BYTE_MIN, CHANNEL_BYTE_MAX = 0x40, 0x4F
STUN_BYTE_MAX = 3


class Inbound:
    """Takes the messages that come over the server's path."""

    def __init__(self, context: Context, relaying: Relaying, connections: Connections) -> None:
        self._context = context
        self._peers = relaying.peers
        self._connections = connections

    def take(self, data: bytes, now: float) -> Answer | None:
        """Take one message; the answer where it is the response to a request."""
        if not data:
            self._discard(DiscardReason.EMPTY)
        elif CHANNEL_BYTE_MIN <= data[0] <= CHANNEL_BYTE_MAX:
            self.take_channel_data(data, now)
        elif data[0] <= STUN_BYTE_MAX:
            return self._take_stun(data, now)
        else:
            self._discard(DiscardReason.UNKNOWN_KIND)
        return None

    def take_channel_data(self, data: bytes, now: float) -> None:
        """A peer's datagram on its channel: the packet path."""
        if len(data) < CHANNEL_DATA_HEADER_BYTES:
            self._discard(DiscardReason.MALFORMED_CHANNEL_DATA)
            return
        number, size = HEADER.unpack_from(data)
        peer = self._peers.by_number.get(number)
        end = CHANNEL_DATA_HEADER_BYTES + size
        if peer is None:
            self._discard(DiscardReason.UNKNOWN_CHANNEL)
        elif end > len(data):
            self._discard(DiscardReason.MALFORMED_CHANNEL_DATA)
        elif peer.permission.expires_at <= now:
            # RFC 8656 section 12.6: discarded where "there is no active permission towards the peer".
            self._discard(DiscardReason.NO_PERMISSION)
        else:
            peer.used_at = now
            context = self._context
            context.stats.data_received += 1
            context.events.append(DataReceived(data[CHANNEL_DATA_HEADER_BYTES:end], peer.address, peer.relayed))

    def take_response(self, data: bytes, path: Path, now: float) -> Answer | None:
        """Take one message of another stream than the server's own: only responses have a place there."""
        try:
            message = parse_message(data)
        except WireError:
            return self._discard(DiscardReason.MALFORMED_STUN)
        return self._context.requester.receive(message, data, path, now)

    def _take_stun(self, data: bytes, now: float) -> Answer | None:
        try:
            message = parse_message(data)
        except WireError:
            return self._discard(DiscardReason.MALFORMED_STUN)
        if message.message_class is not MessageClass.INDICATION:
            return self._context.requester.receive(message, data, self._context.path, now)
        if message.method == Method.DATA:
            self._take_data(message, now)
            return None
        if message.method == Method.CONNECTION_ATTEMPT and self._context.config.transport == "tcp":
            self._take_attempt(message, now)
            return None
        return self._discard(DiscardReason.UNEXPECTED_STUN)

    def _take_data(self, message: Message, now: float) -> None:
        address = message.value(AttributeType.XOR_PEER_ADDRESS)
        data = message.value(AttributeType.DATA)
        icmp = message.value(AttributeType.ICMP)
        if address is None or message.unknown_required or not (data is not None or isinstance(icmp, Icmp)):
            self._discard(DiscardReason.MALFORMED_INDICATION)
            return
        permission = self._permission(address, now)
        if permission is None:
            self._discard(DiscardReason.NO_PERMISSION)
            return
        permission.used_at = now
        if data is not None:
            self._context.stats.data_received += 1
            relayed = self._context.relayed[address.family]
            self._context.events.append(DataReceived(data, address, relayed))
        elif isinstance(icmp, Icmp):
            self._context.events.append(IcmpReceived(address, icmp.type, icmp.code, icmp.data))

    def _take_attempt(self, message: Message, now: float) -> None:
        """RFC 6062 section 5.4: a peer has connected to the relayed address."""
        address = message.value(AttributeType.XOR_PEER_ADDRESS)
        id = message.value(AttributeType.CONNECTION_ID)
        if address is None or id is None or message.unknown_required:
            self._discard(DiscardReason.MALFORMED_INDICATION)
        elif self._permission(address, now) is None:
            self._discard(DiscardReason.NO_PERMISSION)
        else:
            self._connections.on_attempt(id, address, self._context.relayed[address.family], now)

    def _permission(self, address: Address, now: float) -> Permission | None:
        """The permission that we have asked for and that lets this peer send."""
        permission = self._peers.permission_of(address.host)
        if permission is None or permission.expires_at <= now:
            return None
        return permission

    def _discard(self, reason: DiscardReason) -> Answer | None:
        self._context.stats.discard(reason)
        return None
