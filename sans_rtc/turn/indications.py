"""Send indications: data to a peer without a channel (RFC 8656 section 11.1), laid out here without the table of
attributes, for they are on the packet path.

    header 20, XOR-PEER-ADDRESS 12 (24 for IPv6), DONT-FRAGMENT 4 where asked for, DATA 4 and the data: 36 bytes more
"""

from __future__ import annotations

import struct

from sans_rtc.machine import Datagram
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.values import serialize_xor_address
from sans_rtc.stun.wire import HEADER_BYTES, MAGIC_COOKIE, MESSAGE_BYTES_MAX, new_transaction_id
from sans_rtc.turn.channel_data import PADDING
from sans_rtc.turn.context import Context
from sans_rtc.turn.peers import Peer

OVERHEAD_BYTES = {4: 36, 6: 48}
"""Bytes that a Send or Data indication adds to the data, by the peer's IP version; DONT-FRAGMENT and padding aside."""
DONT_FRAGMENT_BYTES = 4
DATA_BYTES_MAX = MESSAGE_BYTES_MAX - OVERHEAD_BYTES[6] - DONT_FRAGMENT_BYTES
"""The most data that one indication holds whatever else it carries."""

_SEND_INDICATION = 0x0016  # method Send (0x006), class indication (RFC 8489 section 5)
_HEADER = struct.Struct("!HHI")
_TYPE_LENGTH = struct.Struct("!HH")
_DATA = int(AttributeType.DATA)
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_DONT_FRAGMENT = _TYPE_LENGTH.pack(AttributeType.DONT_FRAGMENT, 0)


def send_indication(data: bytes, peer: Peer, context: Context) -> Datagram:
    """The datagram that carries data to a peer through the server."""
    id = new_transaction_id(context.entropy)
    address = peer.address_attribute or _address_attribute(peer, id)
    dont_fragment = _DONT_FRAGMENT if context.dont_fragment else b""
    size = len(data)
    length = len(address) + len(dont_fragment) + 4 + (size + 3 & ~3)
    assert HEADER_BYTES + length <= MESSAGE_BYTES_MAX, "the caller keeps to DATA_BYTES_MAX"
    parts = (
        _HEADER.pack(_SEND_INDICATION, length, MAGIC_COOKIE),
        id,
        address,
        dont_fragment,
        _TYPE_LENGTH.pack(_DATA, size),
        data,
        PADDING[size & 3],
    )
    return Datagram(b"".join(parts), context.path)


def _address_attribute(peer: Peer, id: bytes) -> bytes:
    """XOR-PEER-ADDRESS. That of an IPv4 peer is the same in every message: only the cookie masks it."""
    value = serialize_xor_address(peer.address, _COOKIE + id)
    attribute = _TYPE_LENGTH.pack(AttributeType.XOR_PEER_ADDRESS, len(value)) + value
    if peer.address.family == 4:
        peer.address_attribute = attribute
    return attribute
