"""The static payload types of RFC 3551 section 6 (tables 4 and 5), and which numbers are free to negotiate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class StaticPayload(NamedTuple):
    """What a static payload type stands for; `channels` 0 for video."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int


_ROWS = (
    StaticPayload(0, "PCMU", 8000, 1),
    StaticPayload(3, "GSM", 8000, 1),
    StaticPayload(4, "G723", 8000, 1),
    StaticPayload(5, "DVI4", 8000, 1),
    StaticPayload(6, "DVI4", 16000, 1),
    StaticPayload(7, "LPC", 8000, 1),
    StaticPayload(8, "PCMA", 8000, 1),
    # 4.5.2: G.722 samples at 16 kHz; its RTP clock is 8 kHz, by an old mistake that is kept.
    StaticPayload(9, "G722", 8000, 1),
    StaticPayload(10, "L16", 44100, 2),
    StaticPayload(11, "L16", 44100, 1),
    StaticPayload(12, "QCELP", 8000, 1),
    StaticPayload(13, "CN", 8000, 1),
    StaticPayload(14, "MPA", 90000, 1),
    StaticPayload(15, "G728", 8000, 1),
    StaticPayload(16, "DVI4", 11025, 1),
    StaticPayload(17, "DVI4", 22050, 1),
    StaticPayload(18, "G729", 8000, 1),
    StaticPayload(25, "CelB", 90000, 0),
    StaticPayload(26, "JPEG", 90000, 0),
    StaticPayload(28, "nv", 90000, 0),
    StaticPayload(31, "H261", 90000, 0),
    StaticPayload(32, "MPV", 90000, 0),
    StaticPayload(33, "MP2T", 90000, 0),
    StaticPayload(34, "H263", 90000, 0),
)
STATIC_PAYLOADS: Mapping[int, StaticPayload] = {row.payload_type: row for row in _ROWS}

# RFC 5761 section 4: with RTCP on the same port, 64 to 95 are not used; 96 to 127 first, then what is below 64.
DYNAMIC_PAYLOAD_TYPES = range(96, 128)
OVERFLOW_PAYLOAD_TYPES = range(35, 64)


def is_usable_with_rtcp_mux(payload_type: int) -> bool:
    """True where RTP of this type cannot be taken for RTCP on the same port (RFC 5761 section 4)."""
    return 0 <= payload_type <= 127 and not 64 <= payload_type <= 95
