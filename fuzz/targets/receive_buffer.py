"""The receive buffer: packets of one stream, in any order and with any content, become frames."""

from __future__ import annotations

import math
from collections.abc import Iterator

from fuzz.media import Stream
from fuzz.script import Script
from sans_rtc.rtp.payload import CODECS
from sans_rtc.rtp.recovery import ReceiveBuffer, ReceiveBufferConfig, marker_boundaries, packet_boundaries
from tests.property.objects import footprint

PACKETS_MAX, BYTES_MAX = 32, 4_000
CONFIGS = (
    ReceiveBufferConfig(packet_count_max=PACKETS_MAX, byte_count_max=BYTES_MAX),
    ReceiveBufferConfig(packet_count_max=PACKETS_MAX, byte_count_max=BYTES_MAX, delay_s_max=0.0, give_up_after_s=0.05),
    ReceiveBufferConfig(packet_count_max=8, byte_count_max=100, delay_s_min=0.2, jump_count_max=20),
)
BOUNDARIES = (
    marker_boundaries,
    packet_boundaries,
    *(
        lambda packet, begins=codec.is_frame_start: (begins(packet.payload), packet.marker)
        for codec in CODECS
        if codec.new_depacketizer is not None
    ),
)
PAUSES_S = (0.0, 0.0, 0.001, 0.01, 0.03, 0.1, 0.5, 2.0)
OPERATIONS_MAX = 200


def run(data: bytes) -> None:
    """The first bytes say how, the rest what comes when."""
    script = Script(data)
    config = script.pick(CONFIGS)
    buffer, stream = ReceiveBuffer(config, script.pick(BOUNDARIES)), Stream(1, (96,))
    now, delivered, last = 0.0, 0, []
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        now += script.pick(PAUSES_S)
        _step(buffer, stream, last, script, now)
        buffer.check()
        assert buffer.packet_count <= config.packet_count_max and buffer.byte_count <= config.byte_count_max
        if script.below(4):
            delivered += _take(buffer, now)
    size = footprint(buffer)
    assert size.items <= 5 * config.jump_count_max and size.bytes <= 2 * BYTES_MAX + 1_000, size
    assert delivered + _run_out(buffer, now) <= buffer.stats.packets_received


def _step(buffer: ReceiveBuffer, stream: Stream, last: list, script: Script, now: float) -> None:
    match script.below(6):
        case 0 | 1:
            last[:] = [stream.next_packet(script), *last[:7]]
            buffer.receive(last[0], now)
        case 2:
            last[:] = [stream.next_packet(script), *last[:7]]  # overtaken, or lost
        case 3 if last:
            (buffer.receive, buffer.receive_recovered)[script.below(2)](script.pick(last), now)
        case 4:
            buffer.skip((stream.number + script.below(256) - 128) & 0xFFFF, now)
        case 5:
            buffer.give_up((stream.number - script.below(256)) & 0xFFFF, now)


def _take(buffer: ReceiveBuffer, now: float) -> int:
    """How many packets the frames that are due have; all of one frame have one timestamp."""
    frames = buffer.take_frames(now)
    assert buffer.deadline > now
    for frame in frames:
        assert frame.packets and {packet.timestamp for packet in frame.packets} == {frame.timestamp}
        assert frame.is_contiguous == (not frame.lost_packet_count and not frame.dropped_packet_count)
    return sum(len(frame.packets) for frame in frames)


def _run_out(buffer: ReceiveBuffer, now: float) -> int:
    """Nothing more comes: the rest is due in bounded time, and then nothing is."""
    count = 0
    for _ in range(10_000):
        if buffer.deadline == math.inf:
            return count
        now = max(now, buffer.deadline)
        count += _take(buffer, now)
    raise AssertionError("it never comes to rest")


def seeds() -> Iterator[bytes]:
    """Frames of two packets, one lost, one late, for every way to know a frame's bounds."""
    for config in range(len(CONFIGS)):
        for boundaries in range(len(BOUNDARIES)):
            first, last = bytes((2, 0, 1, 0, 2, 3, 1, 2, 3, 1)), bytes((3, 0, 13, 0, 1, 2, 2, 4, 1, 0))
            lost, late, skip = bytes((2, 2, 1, 0, 1, 2, 1, 1)), bytes((4, 3, 0, 0, 1)), bytes((2, 4, 128, 1))
            yield bytes((config, boundaries)) + (first + last) * 3 + lost + first + late + skip + last
            yield bytes((config, boundaries)) + bytes((7, 0, 0, 0, 1, 5, 0, 0, 1, 2, 2, 1)) * 8
