"""RTP packets as bytes (RFC 3550 section 5.1) with the header extensions of RFC 8285.

     0                   1                   2                   3
     0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |V=2|P|X|  CC   |M|     PT      |       sequence number         |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                           timestamp                           |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |           synchronization source (SSRC) identifier            |
    +=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+=+
    |            contributing source (CSRC) identifiers (CC)        |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |      defined by profile       |   length in words             |  where X is set
    |                        header extension                       |
    payload, and where P is set padding, whose last byte counts the padding

This is the packet path: one Struct for the header, offsets, and no object but the packet and its values.
"""

from __future__ import annotations

import struct

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.rtp.header_extension import (
    ONE_BYTE_PROFILE,
    is_rfc_8285,
    parse_one_byte,
    parse_two_byte,
    serialize_elements,
)

HEADER_BYTES = 12
# RFC 3550 5.1: CC has four bits.
CSRC_COUNT_MAX = 15
# The count of padding is one byte, and counts itself.
PADDING_BYTES_MAX = 255
PACKET_BYTES_MAX = 65535

_HEADER = struct.Struct("!BBHII")
unpack_header = _HEADER.unpack_from
"""First byte, second byte, sequence number, timestamp and SSRC, of at least 12 bytes."""
_EXTENSION = struct.Struct("!HH")
_CSRCS = tuple(struct.Struct(f"!{count}I") for count in range(CSRC_COUNT_MAX + 1))
_PADDINGS = tuple(bytes(max(0, count - 1)) + bytes([count] if count else []) for count in range(256))

# RFC 5761 section 4: a second byte of 192 to 223 is an RTCP packet type; as RTP, marker and payload type 64 to 95.
_RTCP_TYPE_FIRST = 192
_RTCP_TYPE_LAST = 223


@attrs.define(slots=True)
class RtpPacket:
    """An RTP packet.

    payload_type     0 to 127
    sequence_number  0 to 65535
    timestamp, ssrc  0 to 2**32 - 1
    payload          without padding
    csrcs            at most 15 contributing sources
    extensions       (id, value) as RFC 8285 carries them, in the order of the wire; `ExtensionMap` knows what they are
    padding_bytes    0 to 255, the byte that counts them included
    other_extension  a header extension that is not of RFC 8285: what the profile defines (16 bits), and its words
    """

    payload_type: int
    sequence_number: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrcs: tuple[int, ...] = ()
    extensions: list[tuple[int, bytes]] = attrs.field(factory=list)
    padding_bytes: int = 0
    other_extension: tuple[int, bytes] | None = None


def parse_rtp(data: bytes) -> RtpPacket:
    """Parse one RTP packet that fills `data`.

    Whether it is RTP and not RTCP was decided before: `is_rtcp`.
    Errors   Truncated, Malformed, Unsupported (a version other than 2)
    Source   RFC 3550 sections 5.1, 5.3.1 and appendix A.1
    """
    size = len(data)
    if size < HEADER_BYTES:
        raise Truncated(f"an RTP header in {size} bytes", field="header")
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(data)
    if first == 0x80:
        return RtpPacket(second & 0x7F, sequence_number, timestamp, ssrc, data[12:], second > 0x7F, (), [])
    if first & 0xC0 != 0x80:
        raise Unsupported(f"RTP version {first >> 6}", field="version", offset=0)
    offset = HEADER_BYTES
    csrcs: tuple[int, ...] = ()
    if first & 0x0F:
        offset += 4 * (first & 0x0F)
        if offset > size:
            raise Truncated(f"{first & 0x0F} contributing sources in {size} bytes", field="CSRC", offset=HEADER_BYTES)
        csrcs = _CSRCS[first & 0x0F].unpack_from(data, HEADER_BYTES)
    extensions: list[tuple[int, bytes]] = []
    other: tuple[int, bytes] | None = None
    if first & 0x10:
        start = offset + 4
        if start > size:
            raise Truncated("no header extension where X is set", field="header extension", offset=offset)
        profile, words = _EXTENSION.unpack_from(data, offset)
        offset = start + 4 * words
        if offset > size:
            raise Truncated(f"a header extension of {words} words", field="header extension length", offset=start - 2)
        if profile == ONE_BYTE_PROFILE:
            parse_one_byte(data, start, offset, extensions)
        elif is_rfc_8285(profile):
            parse_two_byte(data, start, offset, extensions)
        else:
            other = (profile, data[start:offset])
    end = size - _padding_bytes(data, offset) if first & 0x20 else size
    payload = data[offset:end]
    return RtpPacket(
        second & 0x7F, sequence_number, timestamp, ssrc, payload, second > 0x7F, csrcs, extensions, size - end, other
    )


def _padding_bytes(data: bytes, payload_at: int) -> int:
    """The count in the last byte, checked: at least itself, and no more than what follows the header."""
    count = data[-1]
    if not 0 < count <= len(data) - payload_at:
        raise Malformed(f"{count} bytes of padding", field="padding", offset=len(data) - 1)
    return count


def serialize_rtp(packet: RtpPacket, *, is_two_byte: bool = False) -> bytes:
    """Serialize a packet; its header extensions in the one-byte form where all fit it, else in the two-byte one.

    is_two_byte  the two-byte form in any case: `ExtensionMap.is_two_byte`
    Errors       InvalidArgument for a value that does not fit its field
    """
    first = 0x80 | len(packet.csrcs)
    head = b""
    if packet.extensions or packet.other_extension is not None:
        first |= 0x10
        head = _serialize_extension(packet, is_two_byte)
    if packet.csrcs:
        head = _serialize_csrcs(packet.csrcs) + head
    tail = b""
    if packet.padding_bytes:
        if not 0 < packet.padding_bytes <= PADDING_BYTES_MAX:
            raise InvalidArgument(f"{packet.padding_bytes} bytes of padding")
        first |= 0x20
        tail = _PADDINGS[packet.padding_bytes]
    second = packet.payload_type | 0x80 if packet.marker else packet.payload_type
    if not 0 <= packet.payload_type <= 0x7F:
        raise InvalidArgument(f"a payload type has 7 bits: {packet.payload_type}")
    try:
        fixed = _HEADER.pack(first, second, packet.sequence_number, packet.timestamp, packet.ssrc)
    except struct.error as error:
        raise InvalidArgument(f"a field of the RTP header is out of its range: {error}") from error
    return fixed + head + packet.payload + tail


def _serialize_csrcs(csrcs: tuple[int, ...]) -> bytes:
    if len(csrcs) > CSRC_COUNT_MAX:
        raise InvalidArgument(f"{len(csrcs)} contributing sources; {CSRC_COUNT_MAX} fit")
    try:
        return _CSRCS[len(csrcs)].pack(*csrcs)
    except struct.error as error:
        raise InvalidArgument(f"contributing sources have 32 bits: {csrcs}") from error


def _serialize_extension(packet: RtpPacket, is_two_byte: bool) -> bytes:
    if packet.other_extension is None:
        return serialize_elements(packet.extensions, is_two_byte=is_two_byte)
    profile, words = packet.other_extension
    if packet.extensions:
        raise InvalidArgument("a packet has one header extension: of RFC 8285 or another")
    if is_rfc_8285(profile) or not 0 <= profile <= 0xFFFF or len(words) & 3 or len(words) > 4 * 0xFFFF:
        raise InvalidArgument("another header extension has 16 bits that are not of RFC 8285, and whole words")
    return _EXTENSION.pack(profile, len(words) >> 2) + words


def is_rtcp(data: bytes) -> bool:
    """Tell RTCP from RTP where both share a port, by the packet type; False for less than two bytes.

    Source   RFC 5761 section 4: packet types 192 to 223 are RTCP, so RTP leaves payload types 64 to 95 alone
    """
    return len(data) >= 2 and _RTCP_TYPE_FIRST <= data[1] <= _RTCP_TYPE_LAST
