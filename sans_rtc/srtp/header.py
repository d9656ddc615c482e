"""The little of an RTP header that SRTP has to understand, and the two ways of encrypting more of it.

    V=2, P, X, CC | M, PT | sequence number | timestamp | SSRC | CSRCs, 4 bytes each
    where X: defined by profile, 16 bits | length in words, 16 | extension

RFC 6904 encrypts the values of chosen extensions in place. Cryptex (RFC 9335) encrypts CSRCs and extension along with
the payload; only "defined by profile" and length stay readable between them, and are additional data of an AEAD. For
the ciphers they are moved to stand right behind the fixed header, which makes one piece of what is encrypted:

    fixed header, 12 | profile and length, 4 | CSRCs | extension | payload
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence

#   first byte, (marker and payload type), sequence number, (timestamp), SSRC; and where there is a header extension and
#   no CSRC, (defined by profile), length in words
RTP_HEAD = struct.Struct(">BxHxxxxIxxH")
RTP_HEAD_BYTES = RTP_HEAD.size
unpack_rtp_head = RTP_HEAD.unpack_from
RTP_HEADER_BYTES = 12
#   (first byte to length), SSRC of sender
RTCP_SSRC = struct.Struct(">xxxxI")
RTCP_HEADER_BYTES = RTCP_SSRC.size
RTCP_TRAILER = struct.Struct(">I")  # E flag and SRTCP index
E_FLAG = 1 << 31
PACKET_BYTES_MAX = 65535
"""What a datagram can hold. AES-CM would take 2^16 blocks (RFC 3711 section 4.1.1)."""

CRYPTEX_START = RTP_HEADER_BYTES + 4
MALFORMED_START = 1 << 20
"""Where the payload of a malformed packet starts: beyond any end."""

# What nearly every first byte is but for the padding bit: version 2, no CSRCs, without and with a header extension.
NOT_PADDING = 0xDF
PLAIN_HEADER = 0x80
EXTENDED_HEADER = 0x90

_X_FLAG = 0x10
_ONE_BYTE = b"\xbe\xde"  # RFC 8285 section 4.2
_TWO_BYTES = b"\x10\x00"  # RFC 8285 section 4.3, without appbits, which Cryptex has no room for
_CRYPTEX_OF = {_ONE_BYTE: b"\xc0\xde", _TWO_BYTES: b"\xc2\xde"}
_PLAIN_OF = {cryptex: plain for plain, cryptex in _CRYPTEX_OF.items()}
_ONE_BYTE_END_ID = 15


def payload_start(packet: bytes, first: int) -> int:
    """Where the payload of a packet begins, perhaps beyond its end; `first` is the first byte."""
    if first >> 6 != 2:
        return MALFORMED_START
    start = RTP_HEADER_BYTES + 4 * (first & 0x0F)
    if first & _X_FLAG:
        start += 4
        if start > len(packet):
            return MALFORMED_START
        start += 4 * (packet[start - 2] << 8 | packet[start - 1])
    return start


# RFC 6904


def encrypted_ranges(packet: bytes, end: int, ids: Collection[int]) -> list[tuple[int, int]] | None:
    """Where the values of these header extensions stand; None where an element reaches beyond the extension.

    packet  an RTP packet whose payload starts at `end`
    """
    if not packet[0] & _X_FLAG:
        return []
    start = _extension_start(packet)
    profile = packet[start - 4 : start - 2]
    if profile == _ONE_BYTE:
        return _one_byte_ranges(packet, start, end, ids)
    if profile[0] == _TWO_BYTES[0] and profile[1] < 0x10:
        return _two_byte_ranges(packet, start, end, ids)
    return []


def _extension_start(packet: bytes) -> int:
    return RTP_HEADER_BYTES + 4 * (packet[0] & 0x0F) + 4


def _one_byte_ranges(packet: bytes, start: int, end: int, ids: Collection[int]) -> list[tuple[int, int]] | None:
    ranges = []
    while start < end:  # each round takes one byte at least
        head = packet[start]
        start += 1
        if not head:  # padding
            continue
        if head >> 4 == _ONE_BYTE_END_ID:
            break
        stop = start + (head & 0x0F) + 1
        if stop > end:
            return None
        if head >> 4 in ids:
            ranges.append((start, stop))
        start = stop
    return ranges


def _two_byte_ranges(packet: bytes, start: int, end: int, ids: Collection[int]) -> list[tuple[int, int]] | None:
    ranges = []
    while start < end:  # each round takes one byte at least
        number = packet[start]
        start += 1
        if not number:  # padding
            continue
        if start >= end:
            return None
        stop = start + 1 + packet[start]
        if stop > end:
            return None
        if number in ids and stop > start + 1:
            ranges.append((start + 1, stop))
        start = stop
    return ranges


def xor_ranges(packet: bytes, ranges: Sequence[tuple[int, int]], keystream: bytes) -> bytes:
    """The packet with a keystream, which begins at the first byte of the extension, laid over these ranges."""
    origin = _extension_start(packet)
    changed = bytearray(packet)
    for start, stop in ranges:
        mask = int.from_bytes(keystream[start - origin : stop - origin], "big")
        value = int.from_bytes(packet[start:stop], "big") ^ mask
        changed[start:stop] = value.to_bytes(stop - start, "big")
    return bytes(changed)


def keystream_bytes(packet: bytes, ranges: Sequence[tuple[int, int]]) -> int:
    """How long a keystream these ranges need."""
    return ranges[-1][1] - _extension_start(packet)


# RFC 9335


def has_cryptex(packet: bytes) -> bool:
    """True where a packet says that it uses Cryptex; its header has been found to be complete."""
    first = packet[0]
    if not first & _X_FLAG:
        return False
    at = RTP_HEADER_BYTES + 4 * (first & 0x0F)
    return packet[at : at + 2] in _PLAIN_OF


def needs_cryptex(packet: bytes) -> bool:
    """True where a packet has CSRCs or a header extension."""
    return bool(packet[0] & 0x1F)


def apply_cryptex(packet: bytes) -> bytes | None:
    """The packet marked and in the order of the ciphers; None where its extension is not one of RFC 8285.

    CSRCs without an extension get an empty one, to carry the mark.
    """
    first = packet[0]
    csrcs_end = RTP_HEADER_BYTES + 4 * (first & 0x0F)
    csrcs = packet[RTP_HEADER_BYTES:csrcs_end]
    if not first & _X_FLAG:
        fixed = bytes((first | _X_FLAG,)) + packet[1:RTP_HEADER_BYTES]
        return b"".join((fixed, _CRYPTEX_OF[_ONE_BYTE], b"\0\0", csrcs, packet[csrcs_end:]))
    mark = _CRYPTEX_OF.get(packet[csrcs_end : csrcs_end + 2])
    if mark is None:
        return None
    return b"".join(
        (packet[:RTP_HEADER_BYTES], mark, packet[csrcs_end + 2 : csrcs_end + 4], csrcs, packet[csrcs_end + 4 :])
    )


def remove_cryptex_mark(packet: bytes) -> bytes:
    """The packet with the mark replaced by what it stands for."""
    at = RTP_HEADER_BYTES + 4 * (packet[0] & 0x0F)
    return packet[:at] + _PLAIN_OF[packet[at : at + 2]] + packet[at + 2 :]


def to_wire_order(packet: bytes, csrc_bytes: int) -> bytes:
    """From the order of the ciphers to that of the wire: profile and length behind the CSRCs."""
    split = CRYPTEX_START + csrc_bytes
    return b"".join((packet[:12], packet[16:split], packet[12:16], packet[split:]))


def to_cipher_order(packet: bytes, csrc_bytes: int) -> bytes:
    """From the order of the wire to that of the ciphers: profile and length before the CSRCs."""
    split = RTP_HEADER_BYTES + csrc_bytes
    return b"".join((packet[:12], packet[split : split + 4], packet[12:split], packet[split + 4 :]))
