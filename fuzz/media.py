"""RTP and RTCP as a script has them: any packet that can be written, near the numbers that matter."""

from __future__ import annotations

from collections.abc import Sequence

from fuzz.codec import VECTORS, allow_misuse, vector_bytes
from fuzz.script import Script
from sans_rtc.rtp import RtpPacket, serialize_rtp

PAYLOAD_BYTES_MAX = 1200
RTCP_TYPES = (200, 201, 202, 203, 204, 205, 206, 207, 192, 223)
_STEPS = (1, 1, 1, 2, 0, -1, 3, 100, 0x7FFF, 0x8000, -3)
_TICKS = (0, 3000, 960, 160, 1, -3000, 1 << 31, 90_000 * 60)
_REAL = tuple(
    sorted({payload for payload in vector_bytes("rtp-payload", "payload", "payloads", "packet") if len(payload) < 200})
)
assert _REAL, f"no payloads in {VECTORS}"


class Stream:
    """Where one SSRC is: numbers and timestamps go on from packet to packet, mostly."""

    def __init__(self, ssrc: int, payload_types: Sequence[int]) -> None:
        self.ssrc, self.payload_types = ssrc, payload_types
        self.number, self.timestamp = 0xFFF0, 0

    def next_packet(self, script: Script) -> RtpPacket:
        """The next packet, hostile in any part."""
        shape = script.below(256)
        self.number = (self.number + (1 if shape & 3 else script.pick(_STEPS))) & 0xFFFF
        self.timestamp = (self.timestamp + (script.pick(_TICKS) if shape & 4 else 0)) & 0xFFFFFFFF
        return RtpPacket(
            script.pick(self.payload_types),
            self.number,
            self.timestamp,
            self.ssrc,
            a_payload(script),
            bool(shape & 8),
            tuple(script.below(1 << 32) for _ in range(script.below(16))) if shape & 0x70 == 0x10 else (),
            some_elements(script) if shape & 0x60 == 0x20 else [],
            script.below(256) if shape & 0xC0 == 0x40 else 0,
        )


def a_payload(script: Script) -> bytes:
    """Nothing, real ones of every format with another head, or any bytes, repeated to any size."""
    match script.below(4):
        case 0:
            return b""
        case 1:
            return script.blob(20) + script.pick(_REAL)
        case 2:
            return script.blob(255)
    return (script.blob(16) * 80)[: script.below(PAYLOAD_BYTES_MAX)]


def some_elements(script: Script) -> list[tuple[int, bytes]]:
    """Header extensions, with ids that mean something and without."""
    return [(script.below(16), script.blob(24)) for _ in range(script.below(5))]


def written(packet: RtpPacket) -> bytes:
    """On the wire; empty where it cannot be written."""
    return allow_misuse(serialize_rtp, packet) or b""


def an_rtcp(script: Script, ssrcs: Sequence[int]) -> bytes:
    """One to four packets of any type with lengths put right, about SSRCs that there are."""
    parts = []
    for _ in range(1 + script.below(4)):
        kind, count = script.pick(RTCP_TYPES), script.below(64)
        body = b"".join(script.pick(ssrcs).to_bytes(4, "big") for _ in range(script.below(3))) + script.blob(255)
        body += bytes(-len(body) % 4)
        parts.append(bytes((0x80 | count & 0x3F, kind)) + (len(body) // 4).to_bytes(2, "big") + body)
    return b"".join(parts)
