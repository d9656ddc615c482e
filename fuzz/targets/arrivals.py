"""Feedback on what is received: any numbers in any order become feedback that says what arrived and fits."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.script import Script
from sans_rtc.media.arrivals import ArrivalsConfig, CcfbArrivals, TransportArrivals
from sans_rtc.rtcp import parse_compound, serialize_compound
from tests.property.objects import footprint

CONFIGS = (
    ArrivalsConfig(),
    ArrivalsConfig(feedback_bytes_max=64, packets_max=64, history_packets_max=64, messages_max=4, stream_count_max=2),
    ArrivalsConfig(feedback_bytes_max=200, history_s=0.0, gap_packets_max=4),
)
PAUSES_S = (0.0, 0.0005, 0.001, 0.02, 0.1, 0.3, 3.0, 20.0, 3000.0)
JUMPS = (1, 1, 1, 2, 0, -1, -2, 30, -30, 1000, 8191, 16_384, 32_767, 32_768, -32_767)
OPERATIONS_MAX = 60
ITEMS_MAX, BYTES_MAX = 80_000, 100_000


def run(data: bytes) -> None:
    """The bytes are a script: how far the next number is, when it comes, and when feedback is taken."""
    script = Script(data)
    config = script.pick(CONFIGS)
    transport, streams = TransportArrivals(config, sender_ssrc=1, media_ssrc=2), CcfbArrivals(config, sender_ssrc=1)
    now, number = 0.0, 0xFFF0
    came: set[tuple[int, int]] = set()  # SSRC and number; SSRC 9 stands for the whole transport
    for _ in range(OPERATIONS_MAX):
        if script.is_over:
            break
        now += script.pick(PAUSES_S)
        for _ in range(1 + script.below(8)):
            number = (number + script.pick(JUMPS)) & 0xFFFF
            ssrc = script.below(4)
            came |= {(9, number), (ssrc, number)}
            transport.note(number, now)
            streams.note(ssrc, number, now, script.below(4))
        if script.below(3) == 0:
            _take(transport, streams, config, came, now)
    _take(transport, streams, config, came, now + 100.0)
    size = footprint((transport, streams))
    assert size.items <= ITEMS_MAX and size.bytes <= BYTES_MAX, size


def _take(transport: TransportArrivals, streams: CcfbArrivals, config: ArrivalsConfig, came: set, now: float) -> None:
    if transport.deadline > now:
        assert not transport.take_feedback(now)
        return
    feedback = transport.take_feedback(now)
    told = {(9, number) for message in feedback for number, at in message.arrivals() if at is not None}
    reports = streams.take_feedback(now)
    for block in (block for report in reports for block in report.streams):
        metrics = enumerate(block.metrics, block.begin_sequence)
        told |= {(block.ssrc, number & 0xFFFF) for number, metric in metrics if metric is not None}
    assert told <= came, f"{sorted(told - came)} never came"
    assert len(reports) <= config.messages_max
    for message in [*feedback, *reports]:
        wire = serialize_compound([message])
        assert len(wire) <= config.feedback_bytes_max, f"{len(wire)} bytes, of {config.feedback_bytes_max}"
        assert serialize_compound(parse_compound(wire, allow_reduced_size=True)) == wire
    assert transport.deadline > now and streams.deadline > now


def seeds() -> Iterator[bytes]:
    """Numbers in order, then one of every jump, for each configuration."""
    for config in range(len(CONFIGS)):
        for jump in range(len(JUMPS)):
            steady = bytes((2, 3, 0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 1, 1)) * 3
            yield bytes((config,)) + steady + bytes((3, 0, jump, 1, 3, 0)) + steady + bytes((4, 0, jump, 2, 0, 0)) * 4
            yield bytes((config,)) + bytes((3, 0, jump, jump & 3, 0, 1)) * 40
