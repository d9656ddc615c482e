"""Which packets arrived, and when: what the feedback to a sender's congestion control is made of.

    TransportArrivals  transport-wide sequence numbers (draft-holmer-rmcat-transport-wide-cc-extensions-01)
    CcfbArrivals       the RTP sequence numbers of each SSRC, with ECN (RFC 8888)

    note(...) for each packet, and nothing else then     deadline     take_feedback(now): all since the last one

Feedback on consecutive takes is contiguous, so that what is missing between two is told as well. A packet that comes
after its number was reported missing makes the next feedback begin there: numbers that are known already are told
again as they were.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Sequence

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.media.arrival_track import FAR, Arrival, ArrivalsStats, ArrivalTrack
from sans_rtc.rtcp.congestion_feedback import (
    METRIC_COUNT_MAX,
    STREAM_COUNT_MAX,
    CongestionControlFeedback,
    Metric,
    StreamFeedback,
    arrival_offset,
)
from sans_rtc.rtcp.transport_feedback import (
    DELTA_MAX,
    DELTA_MIN,
    DELTA_S,
    DELTAS_PER_REFERENCE,
    REFERENCE_TIME_RANGE,
    TransportFeedback,
)
from sans_rtc.rtp.ntp import ntp_from_unix, short_ntp
from sans_rtc.validators import count, number

_SEQUENCE_MASK = 0xFFFF

# header of RTCP and both SSRCs, 12 bytes; base, count, reference time and feedback count, 8; padding, up to 3
_TRANSPORT_HEAD_BYTES = 23
# What a status vector of two bits holds: the fewest symbols that the serializer puts into a chunk.
_CHUNK_SYMBOLS_MIN = 7
# From here on a run gets chunks of its own, whatever stands before it: 13 symbols of it may fill a vector.
_LONG_GAP = 28
_RUN_MAX = 8191
# header of RTCP, SSRC and report timestamp; and for each stream SSRC, begin and count, and perhaps padding
_CCFB_HEAD_BYTES = 12
_CCFB_STREAM_BYTES = 10


@attrs.frozen(slots=True, kw_only=True)
class ArrivalsConfig:
    """How feedback on arrivals is made.

    interval_min_s, interval_max_s   between two, by what its share of the bandwidth allows
    bandwidth_fraction       of what is received: 5 %, as RTCP may take in all (RFC 3550 section 6.2)
    packet_bytes             taken for the size of a packet: audio has 100 bytes or so, video 1100. With 200, the
                             interval is that of 7 packets: 50 ms from 136 packets a second on, 136 ms for audio alone
    report_bytes             a usual feedback, with what SRTCP, UDP and IP add
    feedback_bytes_max       of one RTCP packet, unprotected; feedback on more is split
    packets_max              noted and not taken yet; beyond, the oldest are forgotten. 250 ms at 32,000 a second
    history_s                how long an arrival is remembered so that a later one can be told with it
    history_packets_max      how many of one stream
    gap_packets_max          RFC 8888 needs two bytes for each missing packet: a longer gap is not told
    stream_count_max         SSRCs of RFC 8888; beyond, the one that was silent for longest is forgotten
    messages_max             RTCP packets of one take; what is beyond is dropped and counted
    wall_clock_offset_s      Unix time minus `now`, as in the sender reports: RFC 8888 dates its reports by it
    """

    interval_min_s: float = number(0.05, 0.001, 10.0)
    interval_max_s: float = number(0.25, 0.001, 10.0)
    bandwidth_fraction: float = number(0.05, 0.001, 1.0)
    packet_bytes: int = count(200, 1, 65_535)
    report_bytes: int = count(68, 1, 65_535)
    feedback_bytes_max: int = count(1100, 64, 65_000)
    packets_max: int = count(8192, 1, 1 << 20)
    history_s: float = number(0.5, 0.0, 10.0)
    history_packets_max: int = count(4096, 1, 1 << 15)
    gap_packets_max: int = count(1024, 1, 16_384)
    stream_count_max: int = count(64, 1, STREAM_COUNT_MAX)
    messages_max: int = count(32, 1, 1024)
    wall_clock_offset_s: float = number(0.0, -1e12, 1e12)

    def __attrs_post_init__(self) -> None:
        if self.interval_min_s > self.interval_max_s:
            raise InvalidArgument("interval_min_s is above interval_max_s")


class TransportArrivals:
    """Transport-wide feedback on all streams of a transport."""

    __slots__ = (
        "_config",
        "_feedback_count",
        "_noted",
        "_pace",
        "_track",
        "media_ssrc",
        "sender_ssrc",
        "stats",
    )

    def __init__(self, config: ArrivalsConfig, *, sender_ssrc: int, media_ssrc: int) -> None:
        self._config = config
        self._noted: deque[Arrival] = deque(maxlen=config.packets_max)
        self._pace = _Pace(config)
        self._track = ArrivalTrack(config.history_s, config.history_packets_max)
        self._feedback_count = 0
        self.sender_ssrc = sender_ssrc
        self.media_ssrc = media_ssrc
        self.stats = ArrivalsStats()

    def note(self, sequence_number: int, now: float) -> None:
        """Note the arrival of a packet with this transport-wide sequence number, 0 to 65535."""
        self._noted.append((sequence_number, now, 0))

    def note_run(self, sequence_numbers: Sequence[int], now: float) -> None:
        """As `note` of each."""
        self._noted.extend([(number, now, 0) for number in sequence_numbers])

    @property
    def deadline(self) -> float:
        """When feedback is due: an interval after the first packet since the last one."""
        return self._noted[0][1] + self._pace.interval_s if self._noted else math.inf

    def take_feedback(self, now: float) -> list[TransportFeedback]:
        """Feedback on all since the last one, where it is due; each no longer than `feedback_bytes_max`."""
        if self.deadline > now:
            return []
        noted = self._noted
        self.stats.overflows += len(noted) == noted.maxlen
        self._pace.update(len(noted), now)
        numbers = self._track.take(noted, now, self.stats)
        noted.clear()
        return self._messages(numbers)

    def _messages(self, numbers: list[int]) -> list[TransportFeedback]:
        messages: list[TransportFeedback] = []
        arrivals = self._track.arrivals
        building: _Building | None = None
        following = self._track.start
        for sequence in numbers:
            ticks = round(arrivals[sequence][1] / DELTA_S)
            if building is None or not building.add(sequence - following, ticks):
                building = _Building(self._config.feedback_bytes_max, ticks)
                messages.append(self._message(following, building))
                building.add(sequence - following, ticks)
            following = sequence + 1
        self.stats.messages += len(messages)
        return messages

    def _message(self, base: int, building: _Building) -> TransportFeedback:
        feedback_count = self._feedback_count
        self._feedback_count = feedback_count + 1 & 0xFF
        return TransportFeedback(
            self.sender_ssrc,
            self.media_ssrc,
            base & _SEQUENCE_MASK,
            building.reference_time % REFERENCE_TIME_RANGE,
            feedback_count,
            building.deltas,
        )


class CcfbArrivals:
    """Congestion control feedback (RFC 8888), which has each stream by itself."""

    __slots__ = ("_config", "_noted", "_pace", "_tracks", "sender_ssrc", "stats")

    def __init__(self, config: ArrivalsConfig, *, sender_ssrc: int) -> None:
        self._config = config
        self._noted: deque[tuple[int, int, float, int]] = deque(maxlen=config.packets_max)
        self._pace = _Pace(config)
        # by SSRC, the one that was silent for longest first
        self._tracks: OrderedDict[int, ArrivalTrack] = OrderedDict()
        self.sender_ssrc = sender_ssrc
        self.stats = ArrivalsStats()

    def note(self, ssrc: int, sequence_number: int, now: float, ecn: int = 0) -> None:
        """Note the arrival of an RTP packet, with the ECN field of its IP header."""
        self._noted.append((ssrc, sequence_number, now, ecn))

    @property
    def deadline(self) -> float:
        """When feedback is due: an interval after the first packet since the last one."""
        return self._noted[0][2] + self._pace.interval_s if self._noted else math.inf

    def take_feedback(self, now: float) -> list[CongestionControlFeedback]:
        """Feedback on all since the last one, where it is due; each no longer than `feedback_bytes_max`."""
        if self.deadline > now:
            return []
        noted = self._noted
        self.stats.overflows += len(noted) == noted.maxlen
        self._pace.update(len(noted), now)
        by_ssrc: dict[int, list[Arrival]] = {}
        for ssrc, sequence, at, ecn in noted:
            by_ssrc.setdefault(ssrc, []).append((sequence, at, ecn))
        noted.clear()
        report = _Report(self._config, self.sender_ssrc, now)
        for ssrc, arrivals in by_ssrc.items():
            track = self._track(ssrc)
            numbers = track.take(arrivals, now, self.stats)
            for begin, metrics in _segments(track, numbers, now, self._config.gap_packets_max):
                report.add(ssrc, begin, metrics)
        return self._bounded(report.messages)

    def _track(self, ssrc: int) -> ArrivalTrack:
        track = self._tracks.get(ssrc)
        if track is None:
            if len(self._tracks) >= self._config.stream_count_max:
                self._tracks.popitem(last=False)
            track = self._tracks[ssrc] = ArrivalTrack(self._config.history_s, self._config.history_packets_max)
        self._tracks.move_to_end(ssrc)
        return track

    def _bounded(self, messages: list[CongestionControlFeedback]) -> list[CongestionControlFeedback]:
        kept = messages[: self._config.messages_max]
        self.stats.messages += len(kept)
        self.stats.messages_dropped += len(messages) - len(kept)
        return kept


class _Pace:
    """How often feedback may go, by what arrives: its bytes are a fraction of those that are received."""

    __slots__ = ("_config", "_packets_per_s", "_packets_wanted", "_taken_at", "interval_s")

    def __init__(self, config: ArrivalsConfig) -> None:
        self._config = config
        self._packets_wanted = config.report_bytes / (config.bandwidth_fraction * config.packet_bytes)
        self._packets_per_s = 0.0
        self._taken_at = -math.inf
        self.interval_s = config.interval_min_s

    def update(self, packet_count: int, now: float) -> None:
        """So many packets have come since the last time."""
        elapsed_s = max(now - self._taken_at, 1e-3)
        self._taken_at = now
        rate = packet_count / elapsed_s
        # The mean of the last and all before it: one burst counts for half.
        self._packets_per_s = (self._packets_per_s + rate) / 2 if self._packets_per_s else rate
        config = self._config
        wanted_s = self._packets_wanted / self._packets_per_s if self._packets_per_s else math.inf
        self.interval_s = min(max(wanted_s, config.interval_min_s), config.interval_max_s)


class _Building:
    """A transport-wide feedback that grows to its bound.

    closed_bytes  of the chunks up to the last long gap; `open_symbols` came since
    """

    __slots__ = ("_bytes_max", "_closed_bytes", "_delta_bytes", "_open_symbols", "_ticks", "deltas", "reference_time")

    def __init__(self, bytes_max: int, ticks: int) -> None:
        self._bytes_max = bytes_max - _TRANSPORT_HEAD_BYTES
        self._closed_bytes = self._delta_bytes = self._open_symbols = 0
        self.reference_time = ticks // DELTAS_PER_REFERENCE
        self._ticks = self.reference_time * DELTAS_PER_REFERENCE
        self.deltas: list[int | None] = []

    def add(self, gap: int, ticks: int) -> bool:
        """So many packets missing, then one at this time; False where it does not fit, and nothing is added."""
        delta = ticks - self._ticks
        if not DELTA_MIN <= delta <= DELTA_MAX:
            return False
        closed_bytes, open_symbols = self._closed_bytes, self._open_symbols + gap + 1
        if gap >= _LONG_GAP:
            closed_bytes += _chunk_bytes(self._open_symbols, _CHUNK_SYMBOLS_MIN) + _chunk_bytes(gap, _RUN_MAX)
            open_symbols = 1
        delta_bytes = self._delta_bytes + (1 if 0 <= delta <= 0xFF else 2)
        if closed_bytes - 2 * (-open_symbols // _CHUNK_SYMBOLS_MIN) + delta_bytes > self._bytes_max:
            return False
        self._closed_bytes, self._open_symbols, self._delta_bytes = closed_bytes, open_symbols, delta_bytes
        self._ticks = ticks
        if gap:
            self.deltas += [None] * gap
        self.deltas.append(delta)
        return True


def _chunk_bytes(symbols: int, per_chunk: int) -> int:
    return 2 * -(-symbols // per_chunk)


def _segments(track: ArrivalTrack, numbers: list[int], now: float, gap_max: int) -> list[tuple[int, list[Metric]]]:
    """(first number, metrics) of each piece without a gap that is too long to be told."""
    segments: list[tuple[int, list[Metric]]] = []
    following = -FAR
    if numbers and numbers[0] - track.start <= gap_max:
        following = track.start
        segments.append((following, []))
    for sequence in numbers:
        _, at, ecn = track.arrivals[sequence]
        gap = sequence - following
        if gap > gap_max:
            segments.append((sequence, []))
            gap = 0
        metrics = segments[-1][1]
        metrics += [None] * gap
        metrics.append((ecn, arrival_offset(now - at)))
        following = sequence + 1
    return segments


class _Report:
    """The messages of one take of RFC 8888's feedback, each filled to its bound."""

    __slots__ = ("_room", "_room_max", "_sender_ssrc", "_timestamp", "messages")

    def __init__(self, config: ArrivalsConfig, sender_ssrc: int, now: float) -> None:
        self._room_max = config.feedback_bytes_max - _CCFB_HEAD_BYTES
        self._room = 0
        self._sender_ssrc = sender_ssrc
        self._timestamp = short_ntp(ntp_from_unix(now + config.wall_clock_offset_s))
        self.messages: list[CongestionControlFeedback] = []

    def add(self, ssrc: int, begin: int, metrics: list[Metric]) -> None:
        """Tell of these packets, in as many messages as it takes."""
        told = 0
        while told < len(metrics):
            capacity = min((self._room - _CCFB_STREAM_BYTES) // 2, METRIC_COUNT_MAX)
            if capacity < 1 or len(self.messages[-1].streams) >= STREAM_COUNT_MAX:
                self.messages.append(CongestionControlFeedback(self._sender_ssrc, self._timestamp, []))
                self._room = self._room_max
                continue
            piece = metrics[told : told + capacity]
            block = StreamFeedback(ssrc, begin + told & _SEQUENCE_MASK, piece)
            self.messages[-1].streams.append(block)
            self._room -= _CCFB_STREAM_BYTES + 2 * len(piece)
            told += len(piece)
