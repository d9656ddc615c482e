"""Which protocol a datagram belongs to, by its first byte (RFC 7983 section 7, updated by RFC 9443).

          +----------------+
          |        [0..3] -+--> STUN
          |      [16..19] -+--> ZRTP
packet -->|      [20..63] -+--> DTLS
          |      [64..79] -+--> TURN channel (or QUIC, RFC 9443, on paths without TURN)
          |     [80..127] -+--> QUIC
          |    [128..191] -+--> RTP/RTCP
          |    [192..255] -+--> QUIC
          +----------------+
"""

from __future__ import annotations

from enum import IntEnum


class PacketKind(IntEnum):
    """The protocols that share a WebRTC port."""

    UNKNOWN = 0
    STUN = 1
    ZRTP = 2
    DTLS = 3
    TURN_CHANNEL = 4
    QUIC = 5
    RTP = 6
    RTCP = 7


_RANGES = (
    (0, 3, PacketKind.STUN),
    (16, 19, PacketKind.ZRTP),
    (20, 63, PacketKind.DTLS),
    (64, 79, PacketKind.TURN_CHANNEL),
    (80, 127, PacketKind.QUIC),
    (128, 191, PacketKind.RTP),
    (192, 255, PacketKind.QUIC),
)
_KIND_OF_BYTE = tuple(
    next((kind for low, high, kind in _RANGES if low <= byte <= high), PacketKind.UNKNOWN) for byte in range(256)
)

# RFC 5761 section 4: with RTP and RTCP on one port, a second byte of 192 to 223 means RTCP.
_RTCP_TYPES = range(192, 224)


def classify(data: bytes) -> PacketKind:
    """Tell the protocol of a datagram; UNKNOWN for an empty one or a first byte that nobody has."""
    if not data:
        return PacketKind.UNKNOWN
    kind = _KIND_OF_BYTE[data[0]]
    if kind is PacketKind.RTP and len(data) >= 2 and data[1] in _RTCP_TYPES:
        return PacketKind.RTCP
    return kind
