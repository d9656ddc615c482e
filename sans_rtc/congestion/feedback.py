"""From the peer's reports on arrivals to what became of each packet that was sent.

Two kinds of reports say the same in two ways:

    transport-wide feedback (draft-holmer-rmcat-transport-wide-cc-extensions-01)   one sequence over all streams
    congestion control feedback (RFC 8888)                                        the RTP sequence of each SSRC, and ECN

The adapter knows neither format: it takes `(sequence number, arrival time or None)`, and numbers all packets in the
order of sending.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from enum import StrEnum
from itertools import islice
from operator import attrgetter
from typing import TypeAlias, TypeVar

import attrs

from sans_rtc.congestion.config import FeedbackConfig
from sans_rtc.errors import InvalidArgument

# The reference time of transport-wide feedback counts 64 ms in 24 bits; RFC 8888 has 16 bits of seconds.
TRANSPORT_WIDE_PERIOD_S = 0.064 * (1 << 24)
CCFB_PERIOD_S = float(1 << 16)
# More in one packet of feedback than any can hold: 16 bits of status count.
REPORTS_MAX = 1 << 16


_Report = TypeVar("_Report")


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


# number in the order of sending, when, bytes, probe id: as little as can be, for each packet that goes out has one
_Sent: TypeAlias = tuple[int, float, int, int]


class _ArrivalClock:
    """Undoes the wrapping of the peer's arrival times: the one nearest to the last is meant."""

    __slots__ = ("_last_s", "_turns_s", "half_s", "period_s")

    def __init__(self, period_s: float) -> None:
        self.period_s = period_s
        self.half_s = period_s / 2
        self._turns_s = 0.0
        self._last_s: float | None = None

    def unwrap(self, arrival_s: float) -> float:
        last_s = self._last_s
        if last_s is None:
            self._last_s = arrival_s
            return arrival_s
        unwrapped = arrival_s + self._turns_s
        if not -self.half_s < last_s - unwrapped < self.half_s:
            self._turns_s = round((last_s - arrival_s) / self.period_s) * self.period_s
            unwrapped = arrival_s + self._turns_s
        if unwrapped > last_s:
            self._last_s = unwrapped
        return unwrapped


class FeedbackAdapter:
    """Remembers what was sent, for a bounded time, and tells what became of it by the peer's reports.

    in_flight_bytes  sent, and neither reported nor forgotten
    """

    __slots__ = (
        "_clocks",
        "_config",
        "_forgets_at",
        "_history",
        "_missing",
        "_next_sequence",
        "in_flight_bytes",
        "stats",
    )

    def __init__(self, config: FeedbackConfig) -> None:
        self._config = config
        # by stream << 16 | sequence number, in the order of sending; stream 0: transport-wide
        self._history: OrderedDict[int, _Sent] = OrderedDict()
        # of these, reported missing
        self._missing: set[int] = set()
        self._clocks = (_ArrivalClock(TRANSPORT_WIDE_PERIOD_S), _ArrivalClock(CCFB_PERIOD_S))
        self._next_sequence = 0
        # Before this time nothing in the history is too old.
        self._forgets_at = -math.inf
        self.in_flight_bytes = 0
        self.stats = FeedbackStats()

    def on_sent(self, sequence_number: int, size_bytes: int, now: float, *, ssrc: int = 0, probe_id: int = 0) -> int:
        """Remember a packet that goes out now; return its number in the order of sending.

        sequence_number  the transport-wide one, or with `ssrc` that of RTP; 16 bits, used again at each turn
        """
        if not 0 <= sequence_number <= 0xFFFF or not 0 <= ssrc <= 0xFFFFFFFF or size_bytes < 1:
            raise InvalidArgument("a sequence number has 16 bits, an SSRC 32, and a packet at least a byte")
        history, packets_max = self._history, self._config.history_packets_max
        if now >= self._forgets_at or len(history) >= packets_max:
            self._forget_old(now, packets_max - 1)
        key = ssrc << 16 | sequence_number
        if key in history:
            self._forget(key)
        sequence = self._next_sequence
        self._next_sequence = sequence + 1
        history[key] = (sequence, now, size_bytes, probe_id)
        self.in_flight_bytes += size_bytes
        self.stats.packets_sent += 1
        return sequence

    def on_sent_run(self, first: int, sizes: Sequence[int], now: float, *, ssrc: int = 0, probe_id: int = 0) -> int:
        """As `on_sent` of each, for packets that go out together, numbered on from `first`; the number of the first."""
        history, packets_max = self._history, self._config.history_packets_max
        if now >= self._forgets_at or len(history) + len(sizes) > packets_max:
            self._forget_old(now, max(packets_max - len(sizes), 0))
        sequence = begin = self._next_sequence
        stream = ssrc << 16
        for size_bytes in sizes:
            key = stream | first & 0xFFFF
            if key in history:
                self._forget(key)
            history[key] = (sequence, now, size_bytes, probe_id)
            sequence += 1
            first += 1
        self._next_sequence = sequence
        self.in_flight_bytes += sum(sizes)
        self.stats.packets_sent += len(sizes)
        return begin

    def on_transport_feedback(self, reports: Iterable[tuple[int, float | None]], now: float) -> list[PacketResult]:
        """Take `(transport-wide sequence number, arrival in seconds or None)` for each packet of one feedback."""
        bounded = self._bounded(reports)
        return self._on_reports([(number, arrival, 0) for number, arrival in bounded], self._clocks[0], now)

    def on_ccfb(self, reports: Iterable[tuple[int, int, float | None, int]], now: float) -> list[PacketResult]:
        """Take `(SSRC, RTP sequence number, arrival in seconds or None, ECN)` for each metric of one RFC 8888 report.

        An arrival is the report's timestamp less the offset; math.nan where the offset was unavailable.
        """
        keyed = [(ssrc << 16 | number, arrival, ecn) for ssrc, number, arrival, ecn in self._bounded(reports)]
        return self._on_reports(keyed, self._clocks[1], now)

    def _bounded(self, reports: Iterable[_Report]) -> list[_Report]:
        bounded = list(islice(reports, REPORTS_MAX + 1))
        if len(bounded) > REPORTS_MAX:
            self.stats.discards[DiscardReason.TOO_MANY_REPORTS] += 1
            del bounded[REPORTS_MAX:]
        return bounded

    def _on_reports(
        self, reports: list[tuple[int, float | None, int]], clock: _ArrivalClock, now: float
    ) -> list[PacketResult]:
        if now >= self._forgets_at:
            self._forget_old(now, self._config.history_packets_max)
        history, unwrap, discards = self._history, clock.unwrap, self.stats.discards
        arrival_max = 2 * clock.period_s
        results: list[PacketResult] = []
        for key, arrival, ecn in reports:
            sent = history.get(key)
            if sent is None:
                discards[DiscardReason.UNKNOWN_PACKET] += 1
                continue
            sequence, sent_at, size_bytes, probe_id = sent
            if arrival is None:
                if self._is_newly_missing(key, size_bytes):
                    results.append(PacketResult(sequence, sent_at, size_bytes, None, 0, probe_id))
                continue
            self._forget(key)
            self.stats.packets_received += 1
            if -arrival_max < arrival < arrival_max:
                results.append(PacketResult(sequence, sent_at, size_bytes, unwrap(arrival), ecn, probe_id))
            else:
                discards[DiscardReason.NO_ARRIVAL_TIME] += 1
        results.sort(key=_by_sequence)
        return results

    def _is_newly_missing(self, key: int, size_bytes: int) -> bool:
        if key in self._missing:
            self.stats.discards[DiscardReason.ALREADY_REPORTED] += 1
            return False
        self._missing.add(key)
        self.in_flight_bytes -= size_bytes
        self.stats.packets_lost += 1
        return True

    def _forget(self, key: int) -> None:
        sent = self._history.pop(key, None)
        if sent is None:
            return
        if self._missing and key in self._missing:
            self._missing.discard(key)
        else:
            self.in_flight_bytes -= sent[2]

    def _forget_old(self, now: float, count_max: int) -> None:
        history = self._history
        oldest_at = now - self._config.history_s
        self._forgets_at = now + self._config.history_s
        while history:
            key = next(iter(history))
            sent_at = history[key][1]
            if sent_at >= oldest_at and len(history) <= count_max:
                self._forgets_at = sent_at + self._config.history_s
                return
            self._forget(key)
            self.stats.packets_forgotten += 1


_by_sequence = attrgetter("sequence")
