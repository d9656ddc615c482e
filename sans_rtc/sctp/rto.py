"""The retransmission timeout from measured round trips (RFC 9260 6.3.1)."""

from __future__ import annotations

import math

from sans_rtc.sctp.config import SctpConfig

ALPHA = 1 / 8
BETA = 1 / 4
# G of RFC 9260 6.3.1: the variance is never taken as zero.
GRANULARITY_S = 0.001


class RetransmissionTimeout:
    """SRTT, RTTVAR and RTO of the one path that an association over DTLS has."""

    __slots__ = ("_backoff", "_config", "min_rtt_s", "rttvar_s", "srtt_s")

    def __init__(self, config: SctpConfig) -> None:
        self._config = config
        self.reset()

    def reset(self) -> None:
        """Forget the path, as before the first measurement."""
        self.srtt_s = 0.0
        self.rttvar_s = 0.0
        self.min_rtt_s = math.inf
        self._backoff = 0

    def measure(self, rtt_s: float) -> None:
        """Take a measurement that Karn's rule allows (C2, C3, C5); it ends any back-off (6.3.3)."""
        if self.srtt_s == 0.0:
            self.srtt_s = max(rtt_s, 1e-6)
            self.rttvar_s = rtt_s / 2
        else:
            self.rttvar_s += BETA * (abs(self.srtt_s - rtt_s) - self.rttvar_s)
            self.srtt_s += ALPHA * (rtt_s - self.srtt_s)
        self.rttvar_s = max(self.rttvar_s, GRANULARITY_S)
        self.min_rtt_s = min(self.min_rtt_s, rtt_s)
        self._backoff = 0

    def back_off(self) -> None:
        """Double the timeout after an expiry (E2)."""
        if self.rto_s < self._config.rto_max_s:
            self._backoff += 1

    def end_back_off(self) -> None:
        """Undo the doubling: the silence had another cause than the path, such as a closed window."""
        self._backoff = 0

    @property
    def is_measured(self) -> bool:
        """True once there is an SRTT."""
        return self.srtt_s > 0.0

    @property
    def rto_s(self) -> float:
        """The timeout now, back-off included."""
        config = self._config
        base = self.srtt_s + 4 * self.rttvar_s if self.srtt_s else config.rto_initial_s
        bounded = max(base, config.rto_min_s)  # C6
        return min(bounded * (1 << self._backoff), config.rto_max_s)  # C7
