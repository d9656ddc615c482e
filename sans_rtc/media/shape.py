"""How the header of a stream's packets looks: what is known of it need not be parsed again.

Packets of one stream have the same header extensions in the same places, nearly always; only some values change. So the
extension block as one number, masked by what stays the same, tells in one comparison that a packet is like one before:

    BE DE | words | id, length | number | id, length | time | ...
    ff ff   ff ff   ff           00 00    ff           00 00 00
"""

from __future__ import annotations

from collections.abc import Container

from sans_rtc.rtp.header_extension import ONE_BYTE_PROFILE
from sans_rtc.rtp.wire import HEADER_BYTES, RtpPacket

# Payload types whose second byte could be that of RTCP (RFC 5761 section 4).
_LIKE_RTCP = range(64, 96)
_BLOCK_AT = HEADER_BYTES + 4


class HeaderShape:
    """What the headers of some packets of a stream have in common.

    first         the first byte
    payload_type  of the packets
    size          of the header in bytes
    mask          of the bits of the extension block that are equal in all of them, and `pattern` these bits
    number_at     where the transport-wide sequence number is; 0: there is none
    """

    __slots__ = ("first", "mask", "number_at", "pattern", "payload_type", "size")

    def __init__(self, first: int, payload_type: int, size: int) -> None:
        self.first = first
        self.payload_type = payload_type
        self.size = size
        self.mask = self.pattern = self.number_at = 0


def shape_of(
    plain: bytes, packet: RtpPacket, *, number_id: int, mid_id: int, told: Container[int]
) -> HeaderShape | None:
    """The shape of a packet's header; None where others like it have to be looked at one by one.

    plain      the packet, which `packet` was parsed from
    number_id  of the transport-wide sequence number, mid_id of the MID; 0: not negotiated
    told       ids of elements whose values matter to the application
    """
    if plain[0] not in (0x80, 0x90) or packet.payload_type in _LIKE_RTCP or packet.other_extension is not None:
        return None
    if plain[0] == 0x80:
        return HeaderShape(0x80, packet.payload_type, HEADER_BYTES)
    end = _BLOCK_AT + 4 * int.from_bytes(plain[HEADER_BYTES + 2 : _BLOCK_AT], "big")
    if int.from_bytes(plain[HEADER_BYTES : HEADER_BYTES + 2], "big") != ONE_BYTE_PROFILE:
        return None
    shape = HeaderShape(0x90, packet.payload_type, end)
    mask = bytearray(b"\xff" * (end - HEADER_BYTES))
    offset = _BLOCK_AT
    for element_id, value in packet.extensions:
        while not plain[offset]:  # padding between elements
            offset += 1
        if element_id in told or plain[offset] >> 4 != element_id:
            return None
        at = offset + 1
        offset = at + len(value)
        if element_id == mid_id:
            continue
        if element_id == number_id:
            if len(value) != 2 or shape.number_at:
                return None
            shape.number_at = at
        mask[at - HEADER_BYTES : offset - HEADER_BYTES] = bytes(len(value))
    shape.mask = int.from_bytes(mask, "big")
    shape.pattern = int.from_bytes(plain[HEADER_BYTES:end], "big") & shape.mask
    return shape
