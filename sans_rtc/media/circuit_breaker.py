"""Ends sending where RTCP says that nothing arrives, or that too much is lost (RFC 8083).

RTCP timeout   nobody reports any more on what is sent: all of it stops
media timeout  reports come and say that a stream does not arrive: it stops
congestion     a stream takes ten times what TCP would take at that loss and delay: it stops

What has stopped is tried again after a hold, where RTCP of the peer has come since, and at once on another path. Time
passes here when something is sent or reported: what sends nothing need not be stopped.
"""

from __future__ import annotations

import math
from collections import deque
from enum import StrEnum
from typing import NamedTuple

from sans_rtc.rtcp.config import AUDIO_INTERVAL_S
from sans_rtc.rtcp.reports import ReportBlock

# Section 4.1: three times the interval of reports, by its fixed minimum.
_RTCP_TIMEOUT_S = 3 * AUDIO_INTERVAL_S
# Who has sent nothing for an interval of reports begins anew.
_PAUSE_S = AUDIO_INTERVAL_S
# Section 4.2: k.
_MISSED_REPORTS = 5
# Section 4.3: an order of magnitude above TCP.
_TCP_FACTOR = 10.0
_INTERVALS_MAX = 64
# Section 4.5: as long as the longest that makes it trip; twice as long each time after.
_HOLD_S = _RTCP_TIMEOUT_S
_HOLD_S_MAX = 16 * _HOLD_S


class BreakReason(StrEnum):
    """Which of the circuit breakers has tripped."""

    RTCP_TIMEOUT = "rtcp_timeout"
    MEDIA_TIMEOUT = "media_timeout"
    CONGESTION = "congestion"


class _Interval(NamedTuple):
    """What a report says of the time since the one before."""

    duration_s: float
    fraction_lost: float
    packet_count: int
    byte_count: int


class CircuitBreaker:
    """One breaker: of a session, or of a stream.

    reason  why it has tripped; None while it lets pass
    """

    __slots__ = ("_at", "_hold_s", "reason")

    def __init__(self) -> None:
        self.reason: BreakReason | None = None
        self._at = -math.inf
        self._hold_s = _HOLD_S

    def trip(self, reason: BreakReason, now: float) -> None:
        """Let nothing pass for a while; for longer where it has tripped not long ago."""
        if self.reason is None:
            is_again = now - self._at < 4 * self._hold_s
            self._hold_s = min(2 * self._hold_s, _HOLD_S_MAX) if is_again else _HOLD_S
            self._at = now
        self.reason = reason

    def reset(self) -> None:
        """This is another path: let pass at once."""
        self.reason, self._at = None, -math.inf

    def tries_again(self, rtcp_at: float, now: float) -> bool:
        """Let pass again where it is time to; `rtcp_at` is when RTCP of the peer came last."""
        if self.reason is None or now - self._at < self._hold_s or rtcp_at <= self._at:
            return False
        self.reason = None
        return True


class SessionBreaker:
    """The RTCP timeout of all that is sent over a transport.

    deviation: RFC 8083 section 4.1 trips too where no report has ever come. A peer that sends none at all would get
    nothing then; consent of ICE ends what a peer that is gone does not answer.
    breaker  lets pass what is sent
    """

    __slots__ = ("_is_enabled", "_reported_at", "_rtcp_at", "_sent_at", "_since", "breaker")

    def __init__(self, *, is_enabled: bool) -> None:
        self.breaker = CircuitBreaker()
        self._is_enabled = is_enabled
        self._sent_at = self._since = self._rtcp_at = -math.inf
        self._reported_at = math.inf

    def rtp_sent(self, now: float) -> None:
        """RTP is about to go out."""
        if now - self._sent_at > _PAUSE_S:
            self._since = now
        self._sent_at = now
        if now - max(self._reported_at, self._since) >= _RTCP_TIMEOUT_S and self._is_enabled:
            self.breaker.trip(BreakReason.RTCP_TIMEOUT, now)

    def rtcp_received(self, is_report: bool, now: float) -> None:
        """RTCP of the peer has come; `is_report`: on what is sent, reduced-size feedback too (section 5)."""
        self._rtcp_at = now
        if is_report:
            self._reported_at = now

    def path_changed(self) -> None:
        """This is another path."""
        self.breaker.reset()
        self._sent_at = -math.inf
        self._reported_at = math.inf

    def blocks(self, watch: StreamWatch, now: float) -> BreakReason | None:
        """Why nothing of a stream may be sent now; None where it may."""
        breakers = (self.breaker, watch.breaker)
        if breakers[0].reason is None and breakers[1].reason is None:
            return None
        for breaker in breakers:
            if breaker.tries_again(self._rtcp_at, now):
                self._sent_at = -math.inf
                watch.begin()
        return breakers[0].reason or (breakers[1].reason if self._is_enabled else None)


class StreamWatch:
    """The media timeout and the congestion of one stream.

    breaker  lets pass what is sent
    """

    __slots__ = ("_at", "_highest", "_intervals", "_missed", "_missed_max", "_sent", "breaker")

    def __init__(self) -> None:
        self.breaker = CircuitBreaker()
        self.begin()

    def begin(self) -> None:
        """Forget what was reported."""
        self._at = -math.inf
        self._highest = 0
        self._sent = (0, 0)
        self._missed = self._missed_max = 0
        self._intervals: deque[_Interval] = deque(maxlen=_INTERVALS_MAX)

    def report_received(self, block: ReportBlock, sent: tuple[int, int], rtt_s: float | None, now: float) -> None:
        """Take a report on this stream.

        sent   packets and bytes of it up to now
        rtt_s  the round trip; None where it is not known
        """
        interval_s, packet_count = now - self._at, sent[0] - self._sent[0]
        interval = _Interval(interval_s, block.fraction_lost / 256, packet_count, sent[1] - self._sent[1])
        has_come = block.highest_sequence != self._highest
        self._at, self._highest, self._sent = now, block.highest_sequence, sent
        if not 0.0 < interval_s < math.inf:
            return
        if packet_count <= 0:  # 4.2: what is not sent is not missed; 4.3: less than a packet in an interval
            self._missed = self._missed_max = 0
            self._intervals.clear()
            return
        self._count_missed(has_come, interval_s, rtt_s or 0.0, now)
        self._intervals.append(interval)
        if rtt_s and has_come and self._is_congesting(interval_s, rtt_s):
            self.breaker.trip(BreakReason.CONGESTION, now)

    def _count_missed(self, has_come: bool, interval_s: float, rtt_s: float, now: float) -> None:
        """Section 4.2. A packet at least was sent since the last report: Tf is below Tdr."""
        if has_come:
            self._missed = self._missed_max = 0
            return
        self._missed += 1
        needed = math.ceil(_MISSED_REPORTS * max(rtt_s, interval_s) / interval_s)
        self._missed_max = max(self._missed_max, needed)
        if self._missed >= self._missed_max:
            self.breaker.trip(BreakReason.MEDIA_TIMEOUT, now)

    def _is_congesting(self, interval_s: float, rtt_s: float) -> bool:
        """Section 4.3, with the simple equation and b = 1; an encoder may change its rate with each frame: G = 1."""
        reaction_s = min(max(10 * rtt_s, 3 * interval_s), max(15.0, _RTCP_TIMEOUT_S))
        count = min(math.ceil(reaction_s / interval_s), _INTERVALS_MAX - 1)
        if len(self._intervals) <= count:
            return False
        last = list(self._intervals)[-count:]
        duration_s = sum([each.duration_s for each in last])
        loss = sum([each.fraction_lost * each.duration_s for each in last]) / duration_s
        if not loss:
            return False
        byte_count = sum([each.byte_count for each in last])
        packet_bytes = byte_count / sum([each.packet_count for each in last])
        return byte_count / duration_s > _TCP_FACTOR * packet_bytes / (rtt_s * math.sqrt(2 * loss / 3))
