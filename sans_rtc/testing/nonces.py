"""Looks for nonces that are used twice, in what goes over the wire alone.

DTLS 1.2 and SRTP make the nonce of a record or packet from numbers that everybody can see, so two texts under one nonce
show as two different datagrams with the same numbers: for DTLS the epoch and sequence number (RFC 6347 section 4.1, RFC
5288 section 3), for SRTP the SSRC and index (RFC 3711 section 4.1), for SRTCP the SSRC and the index it carries. Keys
are told apart by the random value of the hello that this end sent last. The same bytes sent again are no second text.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_RECORD = struct.Struct("!BHQH")  # type, version, epoch and sequence number together, length
_HANDSHAKE, _CLIENT_HELLO, _SERVER_HELLO = 22, 1, 2
# Within the record of a hello: the handshake header has 12 bytes, then the version, then the random.
_RANDOM = slice(_RECORD.size + 12 + 2, _RECORD.size + 12 + 2 + 32)
_FRAGMENT_OFFSET = slice(_RECORD.size + 6, _RECORD.size + 9)
_RTP = struct.Struct("!BBHLL")
_RTCP_TYPES = range(192, 224)  # RFC 5761 section 4: these values of the second byte are RTCP's
_HALF = 1 << 15
_INDEX_BYTES = 4
_SEND_INDICATION, _DATA_ATTRIBUTE = 0x0016, 0x0013


class NonceWatch:
    """What one end has sent so far; `see` raises AssertionError at the second text under one nonce.

    rtcp_tag_bytes  what follows the index of an SRTCP packet: 10 where the profile is of AES-CM, 0 of AES-GCM
    """

    def __init__(self, *, rtcp_tag_bytes: int = 0) -> None:
        self.rtcp_tag_bytes = rtcp_tag_bytes
        self._random = b""
        self._seen: dict[tuple[str, int, int], int] = {}
        self._highest: dict[int, int] = {}

    def see(self, data: bytes) -> None:
        """Take a datagram that was sent, directly or to a TURN server."""
        inner = unwrapped(data)
        if not inner:
            return
        if 20 <= inner[0] <= 63:
            for record in records_of(inner):
                self._see_record(record)
        elif 128 <= inner[0] <= 191 and len(inner) >= _RTP.size:
            self._see_media(inner)

    def _see_record(self, record: bytes) -> None:
        kind, _, number, _ = _RECORD.unpack_from(record)
        if number >> 48:
            self._note("DTLS record", 0, number, record)
        elif (
            kind == _HANDSHAKE
            and len(record) >= _RANDOM.stop
            and record[_RECORD.size] in (_CLIENT_HELLO, _SERVER_HELLO)
        ):
            random = record[_RANDOM]
            if random != self._random and not any(record[_FRAGMENT_OFFSET]):
                self._random = random
                self._seen.clear()
                self._highest.clear()

    def _see_media(self, packet: bytes) -> None:
        _, second, sequence_number, _, ssrc = _RTP.unpack_from(packet)
        if second in _RTCP_TYPES:
            end = len(packet) - self.rtcp_tag_bytes
            index = int.from_bytes(packet[end - _INDEX_BYTES : end], "big") & 0x7FFFFFFF
            self._note("SRTCP packet", int.from_bytes(packet[4:8], "big"), index, packet)
            return
        highest = self._highest.get(ssrc, sequence_number)
        index = highest + (sequence_number - highest + _HALF) % (2 * _HALF) - _HALF
        self._highest[ssrc] = max(highest, index)
        self._note("SRTP packet", ssrc, index, packet)

    def _note(self, what: str, ssrc: int, index: int, data: bytes) -> None:
        text = hash(data)
        if self._seen.setdefault((what, ssrc, index), text) != text:
            raise AssertionError(f"two different {what}s have one nonce: SSRC {ssrc:08x}, number {index:#x}")


def records_of(datagram: bytes) -> Iterator[bytes]:
    """The DTLS records of a datagram."""
    offset = 0
    while offset + _RECORD.size <= len(datagram):
        end = offset + _RECORD.size + _RECORD.unpack_from(datagram, offset)[3]
        yield datagram[offset:end]
        offset = end


def unwrapped(data: bytes) -> bytes:
    """What a datagram carries for the other end: itself, or what is in the framing of TURN; nothing of other STUN."""
    if not data:
        return b""
    if 64 <= data[0] <= 79:  # ChannelData, RFC 8656 section 12.4
        return data[4 : 4 + int.from_bytes(data[2:4], "big")]
    if data[0] > 3:
        return data
    if int.from_bytes(data[:2], "big") != _SEND_INDICATION:
        return b""
    offset = 20
    while offset + 4 <= len(data):
        kind, length = struct.unpack_from("!HH", data, offset)
        if kind == _DATA_ATTRIBUTE:
            return data[offset + 4 : offset + 4 + length]
        offset += 4 + length + -length % 4
    return b""
