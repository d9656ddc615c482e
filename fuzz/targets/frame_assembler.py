"""The frame assembler: payloads of any codec in order, with gaps, repetitions and marks where they should not be."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import vector_bytes
from fuzz.media import Stream
from fuzz.script import Script
from sans_rtc.rtp.payload import CODECS, FrameAssembler, FrameAssemblerConfig
from sans_rtc.rtp.payload.assembler import Frame
from tests.property.objects import footprint

OURS = tuple(codec for codec in CODECS if codec.new_depacketizer is not None)
CONFIG = FrameAssemblerConfig(frame_bytes_max=8_000, packet_count_max=16)
PACKETS_MAX = 100


def run(data: bytes) -> None:
    """The first byte chooses the codec, the second its parameters; then come packets."""
    script = Script(data)
    codec = script.pick(OURS)
    assembler = FrameAssembler.of(codec, script.pick(("", codec.parameters)), CONFIG)
    stream, said = Stream(1, (96,)), 0
    for _ in range(PACKETS_MAX):
        if script.is_over:
            break
        packet = stream.next_packet(script)
        results = assembler.receive(
            packet.payload, sequence_number=packet.sequence_number, timestamp=packet.timestamp, marker=packet.marker
        )
        assert len(results) <= 2
        assert all(result.data for result in results if isinstance(result, Frame)), "a frame of no bytes"
        said += len(results)
        if script.below(32) == 31:
            assembler.reset()
    stats, size = assembler.stats, footprint(assembler)
    assert said == stats.frames + sum(stats.broken.values())
    assert size.items <= 200 and size.bytes <= 2 * CONFIG.frame_bytes_max, size


def seeds() -> Iterator[bytes]:
    """The payloads of the vectors for every codec: two packets of one frame, then one with a gap before it."""
    payloads = [
        payload for payload in vector_bytes("rtp-payload", "payload", "payloads", "packet") if len(payload) < 99
    ]
    for index in range(len(OURS)):
        for number, payload in enumerate(payloads):
            if number % len(OURS) == index or len(payloads) < 40:
                body = bytes((0, 2, len(payload))) + payload + b"\0"
                yield bytes((index, 0)) + b"\x09" + body + b"\x01" + body + b"\x09" + body + b"\x0c\x03\x01" + body
                yield bytes((index, 1)) + (b"\x05\x01" + body + b"\x0d\x01" + body) * 2
