"""Congestion control feedback (RFC 8888 section 3.1): for each stream, which packets arrived, when, and with what ECN.

    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                 SSRC of RTCP packet sender                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |                   SSRC of 1st RTP stream                      |
    |          begin_seq            |          num_reports          |
    |R|ECN|  arrival time offset    | ...      padded to 32 bits    |
    .                     further streams                           .
    |                 report timestamp (32 bits)                    |
    +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

Unlike other feedback it has one source in front.
"""

from __future__ import annotations

import struct
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

# A quarter of the sequence numbers (RFC 8888 section 3.1).
METRIC_COUNT_MAX = 16384
# Streams in one report: a block has at least 8 bytes, so a datagram could bring 8190.
STREAM_COUNT_MAX = 1024
ARRIVAL_OFFSET_PER_S = 1024
ARRIVAL_OFFSET_OVER_RANGE = 0x1FFE
"""The packet arrived longer before the report timestamp than the field can say."""
ARRIVAL_OFFSET_UNAVAILABLE = 0x1FFF
"""The packet arrived, and when is not known."""

Metric: TypeAlias = "tuple[int, int] | None"
"""(ECN, arrival time offset in 1/1024 s before the report timestamp); None: not received."""

_WORD = struct.Struct("!I")
_STREAM = struct.Struct("!IHH")


@attrs.define(slots=True)
class StreamFeedback:
    """The packets of one stream, from `begin_sequence` on; ECN as in `Datagram.ecn`."""

    ssrc: int
    begin_sequence: int
    metrics: list[Metric]


@attrs.define(slots=True)
class CongestionControlFeedback:
    """CCFB.

    report_timestamp  the middle 32 bits of the NTP timestamp at which the report was made
    """

    sender_ssrc: int
    report_timestamp: int
    streams: list[StreamFeedback]


def parse_congestion_feedback(_: int, body: bytes) -> CongestionControlFeedback:
    """Parse the body of CCFB.

    Errors   Truncated, Malformed
    """
    end = len(body) - _WORD.size
    if end < _WORD.size:
        raise Truncated(f"congestion control feedback of {len(body)} bytes", field="CCFB")
    streams: list[StreamFeedback] = []
    offset = _WORD.size
    while offset < end:
        if offset + _STREAM.size > end:
            raise Truncated("half a stream's header", field="CCFB stream", offset=offset)
        ssrc, begin, count = _STREAM.unpack_from(body, offset)
        offset += _STREAM.size
        if count > METRIC_COUNT_MAX:
            raise Malformed(f"{count} metrics; {METRIC_COUNT_MAX} are the most", field="num_reports", offset=offset - 2)
        stop = offset + 4 * (count + 1 >> 1)
        if stop > end:
            raise Truncated(f"{count} metrics leave their packet", field="CCFB metrics", offset=offset)
        raw = struct.unpack_from(f"!{count}H", body, offset)
        metrics: list[Metric] = [(w >> 13 & 3, w & 0x1FFF) if w & 0x8000 else None for w in raw]
        streams.append(StreamFeedback(ssrc, begin, metrics))
        if len(streams) > STREAM_COUNT_MAX:
            raise Malformed(f"more than {STREAM_COUNT_MAX} streams", field="CCFB stream", offset=offset)
        offset = stop
    return CongestionControlFeedback(_WORD.unpack_from(body)[0], _WORD.unpack_from(body, end)[0], streams)


def serialize_congestion_feedback(packet: CongestionControlFeedback) -> tuple[int, bytes]:
    """Format and body of CCFB.

    Errors   InvalidArgument for more metrics or streams than fit, or a metric out of its range
    """
    if len(packet.streams) > STREAM_COUNT_MAX:
        raise InvalidArgument(f"{len(packet.streams)} streams; {STREAM_COUNT_MAX} fit")
    parts = [_WORD.pack(packet.sender_ssrc)]
    for stream in packet.streams:
        count = len(stream.metrics)
        if count > METRIC_COUNT_MAX:
            raise InvalidArgument(f"{count} metrics; {METRIC_COUNT_MAX} fit a stream")
        words = [_metric_word(metric) for metric in stream.metrics]
        parts.append(_STREAM.pack(stream.ssrc, stream.begin_sequence, count))
        parts.append(struct.pack(f"!{count}H", *words) + bytes(2 * (count & 1)))
    parts.append(_WORD.pack(packet.report_timestamp))
    return 11, b"".join(parts)


def _metric_word(metric: Metric) -> int:
    if metric is None:
        return 0
    ecn, offset = metric
    if not 0 <= ecn <= 3 or not 0 <= offset <= 0x1FFF:
        raise InvalidArgument(f"ECN has 2 bits and an arrival time offset 13: {metric}")
    return 0x8000 | ecn << 13 | offset


def arrival_offset(seconds: float) -> int:
    """The arrival time offset of a packet that arrived so many seconds before the report."""
    return min(max(0, round(seconds * ARRIVAL_OFFSET_PER_S)), ARRIVAL_OFFSET_OVER_RANGE)
