"""Which chunks are lost, by what has arrived after them (RFC 9260 7.2.4; RFC 8985 and RFC 9002 adapted).

Each packet has a number in the order of sending. A chunk is lost once

    a packet numbered `reordering_packets` higher has been acknowledged      as three miss indications would tell, or
    a later packet has been acknowledged and 9/8 of a round trip has passed  extension, with its own timer

RFC 9260 counts SACKs instead of packets. One SACK here may stand for a batch of packets, and a lost SACK loses its
count; what both count is packets that overtook the missing one. deviation: a chunk that was sent again can be found
lost again by the same rule, where RFC 9260 waits for T3-rtx; the window is halved once more for it.

The tail: where nothing was sent after a lost chunk, no later packet can tell. After about two round trips without an
answer the last chunk is sent again (RFC 8985 section 7), and its SACK tells what is missing. Without an answer to that,
it is sent again after twice as long, and so on while T3-rtx is farther off (RFC 9002 6.2). A duplicate report for it
says that the first had arrived and the peer only delayed its SACK; from then on the last chunk of a burst asks for
an immediate SACK (the I bit, RFC 7053), and if even that does not help, the probe waits longer.
"""

from __future__ import annotations

import math
from collections import deque

from sans_rtc.sctp.config import SctpConfig
from sans_rtc.sctp.outstanding import IN_FLIGHT, Outstanding, OutstandingChunk
from sans_rtc.sctp.rto import RetransmissionTimeout

# kTimeThreshold of RFC 9002 6.1.2, and its kGranularity.
TIME_THRESHOLD = 9 / 8
GRANULARITY_S = 0.001
# RFC 8985 7.2: PTO = 2 * SRTT; never below this, since timers of an event loop are not finer.
PROBE_TIMEOUT_MIN_S = 0.010
PROBE_ALLOWANCE_FIRST_S = 0.025
PROBE_ALLOWANCE_MAX_S = 0.2
PROBE_DOUBLINGS_MAX = 10
# After reordering was seen: how far the thresholds may grow.
REORDERING_PACKETS_MAX = 64
REORDERING_SRTT_MAX = 2.0


class LossDetector:
    """Judges chunks once by packets that overtook them, and times the probe of the tail.

    deadline          when the next chunk is lost by time alone; math.inf: none
    wants_immediate   True where the peer's delayed SACKs have misled the probe before
    """

    __slots__ = (
        "_config",
        "_outstanding",
        "_probe_allowance_s",
        "_probes_unanswered",
        "_reordering_packets",
        "_resent",
        "_rto",
        "_scan_tsn",
        "_time_threshold",
        "deadline",
        "wants_immediate",
    )

    def __init__(self, config: SctpConfig, outstanding: Outstanding, rto: RetransmissionTimeout) -> None:
        self._config = config
        self._outstanding = outstanding
        self._rto = rto
        self._scan_tsn = outstanding.first_tsn
        # (packet number, chunk) of chunks sent again, in the order of sending
        self._resent: deque[tuple[int, OutstandingChunk]] = deque()
        self._reordering_packets = config.reordering_packets
        self._time_threshold = TIME_THRESHOLD
        self._probe_allowance_s = 0.0
        self._probes_unanswered = 0
        self.deadline = math.inf
        self.wants_immediate = False

    def detect(self, now: float) -> list[OutstandingChunk]:
        """Mark what is lost by now and return it, the lowest packet numbers first within each kind of sending."""
        outstanding = self._outstanding
        newest = outstanding.newest_number
        self.deadline = math.inf
        self._rescan_reneged()
        lost: list[OutstandingChunk] = []
        chunks = outstanding.chunks
        index = max(self._scan_tsn - outstanding.first_tsn, 0)
        while index < len(chunks):
            chunk = chunks[index]
            if chunk.status == IN_FLIGHT and chunk.transmit_count == 1:
                number = chunk.packet_number
                if number >= newest or not self._is_lost(number, chunk.sent_at, newest, now):
                    break
                outstanding.mark_lost(chunk)
                lost.append(chunk)
            index += 1
        self._scan_tsn = outstanding.first_tsn + index
        self._detect_resent(newest, now, lost)
        return lost

    def _detect_resent(self, newest: int, now: float, lost: list[OutstandingChunk]) -> None:
        resent = self._resent
        while resent and resent[0][0] < newest:
            number, chunk = resent[0]
            if chunk.status == IN_FLIGHT and chunk.packet_number == number and self._is_outstanding(chunk):
                if not self._is_lost(number, chunk.sent_at, newest, now):
                    return
                self._outstanding.mark_lost(chunk)
                lost.append(chunk)
            resent.popleft()

    def _is_outstanding(self, chunk: OutstandingChunk) -> bool:
        """A chunk that was acknowledged cumulatively keeps its last status, but is on the list no more."""
        return chunk.tsn >= self._outstanding.first_tsn

    def _is_lost(self, number: int, sent_at: float, newest: int, now: float) -> bool:
        if number + self._reordering_packets <= newest:
            return True
        if not self._config.tail_loss_probe:
            return False
        lost_at = sent_at + max(self._time_threshold * self._rto.srtt_s, GRANULARITY_S)
        if lost_at <= now:
            return True
        self.deadline = min(self.deadline, lost_at)
        return False

    def _rescan_reneged(self) -> None:
        reneged = self._outstanding.reneged_tsn
        if reneged is not None:
            self._scan_tsn = min(self._scan_tsn, reneged)
            self._outstanding.reneged_tsn = None

    def on_resent(self, chunk: OutstandingChunk) -> None:
        """The chunk has been sent again under a new packet number."""
        self._resent.append((chunk.packet_number, chunk))

    def forget(self) -> None:
        """T3-rtx has marked everything lost, or all has been acknowledged: nothing is left to judge."""
        self._resent.clear()
        self._scan_tsn = self._outstanding.next_tsn
        self.deadline = math.inf

    def on_spurious(self) -> None:
        """A chunk that was sent again had arrived: packets overtake each other here, so be more patient."""
        self._reordering_packets = min(2 * self._reordering_packets, REORDERING_PACKETS_MAX)
        self._time_threshold = min(self._time_threshold + 0.25, REORDERING_SRTT_MAX)

    def on_spurious_probe(self) -> None:
        """The chunk that a probe repeated had arrived: the peer delays its SACKs."""
        if not self.wants_immediate:
            self.wants_immediate = True
            return
        doubled = max(2 * self._probe_allowance_s, PROBE_ALLOWANCE_FIRST_S)
        self._probe_allowance_s = min(doubled, PROBE_ALLOWANCE_MAX_S)

    def on_probe_sent(self) -> bool:
        """Note a probe; True where it is the first of this silence."""
        self._probes_unanswered += 1
        return self._probes_unanswered == 1

    def on_progress(self) -> None:
        """The peer has acknowledged something new: the silence is over."""
        self._probes_unanswered = 0

    @property
    def probe_timeout_s(self) -> float:
        """How long to wait in silence before the tail is probed; twice as long after each probe (RFC 9002 6.2.1)."""
        timeout_s = max(2 * self._rto.srtt_s, PROBE_TIMEOUT_MIN_S) + self._probe_allowance_s
        return timeout_s * (1 << min(self._probes_unanswered, PROBE_DOUBLINGS_MAX))
