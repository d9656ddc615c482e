"""From the peer's reports on arrivals to what became of each packet that was sent.

Two kinds of reports say the same in two ways:

    transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01)   one sequence over all streams
    congestion control feedback (RFC 8888)                                        the RTP sequence of each SSRC, and ECN

The adapter knows neither format: it takes `(sequence number, arrival time or None)`, and numbers all packets in the
order of sending.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from enum import StrEnum

import attrs

from sans_rtc.congestion.config import FeedbackConfig
from sans_rtc.errors import InvalidArgument

# The reference time of transport-wide feedback counts 64 ms in 24 bits; RFC 8888 has 16 bits of seconds.
TRANSPORT_WIDE_PERIOD_S = 0.064 * (1 << 24)
CCFB_PERIOD_S = float(1 << 16)
# More in one packet of feedback than any can hold: 16 bits of status count.
REPORTS_MAX = 1 << 16


class DiscardReason(StrEnum):
    """Why a report of the peer was not used."""

    UNKNOWN_PACKET = "unknown-packet"
    ALREADY_REPORTED = "already-reported"
    NO_ARRIVAL_TIME = "no-arrival-time"
    TOO_MANY_REPORTS = "too-many-reports"


def _no_discards() -> dict[str, int]:
    return dict.fromkeys(DiscardReason, 0)


@attrs.define(slots=True)
class FeedbackStats:
    """Counters that only grow; discards by `DiscardReason`."""

    discards: dict[str, int] = attrs.field(factory=_no_discards)
    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_forgotten: int = 0


@attrs.define(slots=True)
class PacketResult:
    """What became of one packet.

    sequence     its number in the order of sending, never wrapping
    sent_at      seconds, on the sender's scale
    received_at  seconds, on the receiver's scale, whose zero is unknown; None: reported missing. A packet can be
                 reported missing first and received later, where it was overtaken
    ecn          its ECN field on arrival (RFC 3168); 0 where the report does not tell
    probe_id     the probe cluster that it was sent in; 0: none
    """

    sequence: int
    sent_at: float
    size_bytes: int
    received_at: float | None
    ecn: int = 0
    probe_id: int = 0


@attrs.define(slots=True, eq=False)
class _Sent:
    sequence: int
    sent_at: float
    size_bytes: int
    probe_id: int
    is_missing: bool = False


class _ArrivalClock:
    """Undoes the wrapping of the peer's arrival times: the one nearest to the last is meant."""

    __slots__ = ("_last_s", "period_s")

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self._last_s: float | None = None

    def unwrap(self, arrival_s: float) -> float:
        if self._last_s is None:
            self._last_s = arrival_s
            return arrival_s
        turns = round((self._last_s - arrival_s) / self.period_s)
        unwrapped = arrival_s + turns * self.period_s
        self._last_s = max(self._last_s, unwrapped)
        return unwrapped


class FeedbackAdapter:
    """Remembers what was sent, for a bounded time, and tells what became of it by the peer's reports.

    in_flight_bytes  sent, and neither reported nor forgotten
    """

    __slots__ = ("_clocks", "_config", "_history", "_next_sequence", "in_flight_bytes", "stats")

    def __init__(self, config: FeedbackConfig) -> None:
        self._config = config
        # by stream << 16 | sequence number, in the order of sending; stream 0: transport-wide
        self._history: OrderedDict[int, _Sent] = OrderedDict()
        self._clocks = (_ArrivalClock(TRANSPORT_WIDE_PERIOD_S), _ArrivalClock(CCFB_PERIOD_S))
        self._next_sequence = 0
        self.in_flight_bytes = 0
        self.stats = FeedbackStats()

    def on_sent(self, sequence_number: int, size_bytes: int, now: float, *, ssrc: int = 0, probe_id: int = 0) -> int:
        """Remember a packet that goes out now; return its number in the order of sending.

        sequence_number  the transport-wide one, or with `ssrc` that of RTP; 16 bits, used again at each turn
        """
        if not 0 <= sequence_number <= 0xFFFF or not 0 <= ssrc <= 0xFFFFFFFF or size_bytes < 1:
            raise InvalidArgument("a sequence number has 16 bits, an SSRC 32, and a packet at least a byte")
        self._forget_old(now, self._config.history_packets_max - 1)
        key = ssrc << 16 | sequence_number
        self._forget(key)
        sequence = self._next_sequence
        self._next_sequence = sequence + 1
        self._history[key] = _Sent(sequence, now, size_bytes, probe_id)
        self.in_flight_bytes += size_bytes
        self.stats.packets_sent += 1
        return sequence

    def on_transport_feedback(self, reports: Iterable[tuple[int, float | None]], now: float) -> list[PacketResult]:
        """Take `(transport-wide sequence number, arrival in seconds or None)` for each packet of one feedback."""
        return self._on_reports(((number, arrival, 0) for number, arrival in reports), self._clocks[0], now)

    def on_ccfb(self, reports: Iterable[tuple[int, int, float | None, int]], now: float) -> list[PacketResult]:
        """Take `(SSRC, RTP sequence number, arrival in seconds or None, ECN)` for each metric of one RFC 8888 report.

        An arrival is the report's timestamp less the offset; math.nan where the offset was unavailable.
        """
        keyed = ((ssrc << 16 | number, arrival, ecn) for ssrc, number, arrival, ecn in reports)
        return self._on_reports(keyed, self._clocks[1], now)

    def _on_reports(
        self, reports: Iterable[tuple[int, float | None, int]], clock: _ArrivalClock, now: float
    ) -> list[PacketResult]:
        self._forget_old(now, self._config.history_packets_max)
        results: list[PacketResult] = []
        for count, (key, arrival, ecn) in enumerate(reports):
            if count >= REPORTS_MAX:
                self.stats.discards[DiscardReason.TOO_MANY_REPORTS] += 1
                break
            result = self._result(key, arrival, ecn, clock)
            if result is not None:
                results.append(result)
        results.sort(key=_by_sequence)
        return results

    def _result(self, key: int, arrival: float | None, ecn: int, clock: _ArrivalClock) -> PacketResult | None:
        sent = self._history.get(key)
        discards = self.stats.discards
        if sent is None:
            discards[DiscardReason.UNKNOWN_PACKET] += 1
            return None
        if arrival is None:
            if sent.is_missing:
                discards[DiscardReason.ALREADY_REPORTED] += 1
                return None
            sent.is_missing = True
            self.in_flight_bytes -= sent.size_bytes
            self.stats.packets_lost += 1
            return PacketResult(sent.sequence, sent.sent_at, sent.size_bytes, None, 0, sent.probe_id)
        self._forget(key)
        self.stats.packets_received += 1
        if not -2 * clock.period_s < arrival < 2 * clock.period_s:
            discards[DiscardReason.NO_ARRIVAL_TIME] += 1
            return None
        received_at = clock.unwrap(arrival)
        return PacketResult(sent.sequence, sent.sent_at, sent.size_bytes, received_at, ecn, sent.probe_id)

    def _forget(self, key: int) -> None:
        sent = self._history.pop(key, None)
        if sent is not None and not sent.is_missing:
            self.in_flight_bytes -= sent.size_bytes

    def _forget_old(self, now: float, count_max: int) -> None:
        history = self._history
        oldest_at = now - self._config.history_s
        while history:
            key = next(iter(history))
            if history[key].sent_at >= oldest_at and len(history) <= count_max:
                return
            self._forget(key)
            self.stats.packets_forgotten += 1


def _by_sequence(result: PacketResult) -> int:
    return result.sequence
