"""RTP packets and their header extensions."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec, vector_bytes
from sans_rtc.rtp import is_rtcp, parse_rtp, serialize_rtp


def run(data: bytes) -> None:
    """The bytes are a packet."""
    is_rtcp(data)
    packet = check_codec(parse_rtp, serialize_rtp, data)
    if packet is not None:
        assert parse_rtp(serialize_rtp(packet)) == packet


def seeds() -> Iterator[bytes]:
    """The vectors of RTP."""
    for packet in vector_bytes("rtp", "bytes"):
        if packet[0] & 0xC0 == 0x80 and len(packet) >= 12:
            yield packet
