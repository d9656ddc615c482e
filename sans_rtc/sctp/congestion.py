"""How much may be in flight: slow start, congestion avoidance, fast recovery, timeouts, idleness (RFC 9260 section 7).

Bytes are counted as chunks on the wire, headers included, and one packet's worth of chunks stands for the PMDCS. That
is never more than counting user data would allow, and it makes a burst of tiny messages as expensive as it is.
"""

from __future__ import annotations

import math

from sans_rtc.sctp.config import SctpConfig

# RFC 9260 7.2.1: min(4 * PMDCS, max(2 * PMDCS, 4404))
INITIAL_WINDOW_BYTES = 4404
# Idle periods beyond this many RTOs change nothing more: 2**30 is more than any window.
IDLE_PERIODS_MAX = 30


class CongestionControl:
    """cwnd, ssthresh and partial_bytes_acked of the association's one path.

    recovery_exit_tsn  the fast recovery exit point; None outside of fast recovery
    is_full            the window was in full use after the last sending. RFC 9260 7.2.1 and 7.2.2 ask for that before
                       they let it grow. It is not judged by the flight before each SACK: several that come at once
                       were all answered to one full window.
    """

    __slots__ = ("_config", "_packet_bytes", "_partial_bytes_acked", "cwnd", "is_full", "recovery_exit_tsn", "ssthresh")

    def __init__(self, config: SctpConfig, packet_bytes: int) -> None:
        self._config = config
        self._packet_bytes = packet_bytes
        self.reset()

    def reset(self) -> None:
        """Begin anew: at the start, at a restart (5.2.4 A), on a new path (RFC 8261 6.1)."""
        self.cwnd = self._initial_cwnd()
        self.ssthresh: float = math.inf
        self._partial_bytes_acked = 0
        self.recovery_exit_tsn: int | None = None
        self.is_full = False

    def set_packet_bytes(self, packet_bytes: int) -> None:
        """Packets have another size from now on; the window stays as many bytes."""
        self._packet_bytes = packet_bytes

    def on_sent(self, flight_bytes: int, *, is_held_back: bool) -> None:
        """Packets went out, and this much is in flight; less than a packet of room is full.

        is_held_back  more would have gone, but for the bound of a burst; half of the window in flight is full then
        """
        full_bytes = flight_bytes * 2 if is_held_back else flight_bytes + self._packet_bytes
        self.is_full = full_bytes > self.cwnd

    def on_cumulative_advance(self, acked_bytes: int) -> None:
        """A SACK moved the cumulative TSN and newly acknowledged this much."""
        if self.recovery_exit_tsn is not None:
            return
        if self.cwnd <= self.ssthresh:
            if self.is_full:
                self.cwnd += min(acked_bytes, self._config.slow_start_packets_max * self._packet_bytes)
            return
        self._partial_bytes_acked += acked_bytes
        if self._partial_bytes_acked < self.cwnd:
            return
        if self.is_full:
            self._partial_bytes_acked -= self.cwnd
            self.cwnd += self._packet_bytes
        self._partial_bytes_acked = min(self._partial_bytes_acked, self.cwnd)

    def on_all_acked(self) -> None:
        """Nothing is outstanding any more (7.2.2)."""
        self._partial_bytes_acked = 0

    def on_cumulative(self, cumulative_tsn: int) -> None:
        """Leave fast recovery where its exit point is reached (6.2.1 D iv)."""
        if self.recovery_exit_tsn is not None and cumulative_tsn >= self.recovery_exit_tsn:
            self.recovery_exit_tsn = None

    def on_loss(self, exit_tsn: int) -> None:
        """Halve the window and enter fast recovery (7.2.3, 7.2.4)."""
        self.ssthresh = max(self.cwnd // 2, 4 * self._packet_bytes)
        self.cwnd = int(self.ssthresh)
        self._partial_bytes_acked = 0
        self.recovery_exit_tsn = exit_tsn

    def on_timeout(self) -> None:
        """T3-rtx has expired (7.2.3)."""
        self.ssthresh = max(self.cwnd // 2, 4 * self._packet_bytes)
        self.cwnd = self._packet_bytes
        self._partial_bytes_acked = 0
        self.recovery_exit_tsn = None

    def on_idle(self, idle_s: float, rto_s: float) -> None:
        """Nothing was sent for this long: halve once per RTO, not below what a new association may send (7.2.1).

        ssthresh rises to the window that was given up, so that it is soon reached again. deviation: it is not lowered
        to it where no loss has ever been seen; a channel that idles before its first transfer would crawl.
        """
        floor = max(4 * self._packet_bytes, self._initial_cwnd())
        if idle_s < rto_s or self.cwnd <= floor:
            return
        self.ssthresh = max(self.ssthresh, self.cwnd)
        self.cwnd = max(self.cwnd >> min(int(idle_s / rto_s), IDLE_PERIODS_MAX), floor)

    def _initial_cwnd(self) -> int:
        packet = self._packet_bytes
        if self._config.initial_cwnd_packets:
            return self._config.initial_cwnd_packets * packet
        return min(4 * packet, max(2 * packet, INITIAL_WINDOW_BYTES))
