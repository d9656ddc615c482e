"""The timer Ta: one transaction per interval, with a small credit for those that cannot wait (RFC 8445 section 14)."""

from __future__ import annotations

import math


class Pacer:
    """Spaces transactions `interval_s` apart on average; the first goes at once.

    Urgent ones (triggered checks, nominations) may run ahead by `burst_max` intervals and are paid for afterwards by a
    longer wait of the ordinary ones, so the average stays at one per Ta.
    deviation: RFC 8445 section 6.1.4.2 sends triggered checks at the next Ta, too. The first round trip of a connection
    consists of triggered checks, and waiting 50 ms for each would be most of its time.
    """

    __slots__ = ("_burst_max", "_next_at", "interval_s")

    def __init__(self, interval_s: float, burst_max: int = 0) -> None:
        self.interval_s = interval_s
        self._burst_max = burst_max
        self._next_at = -math.inf

    def note_sent(self, now: float) -> None:
        """A transaction has begun."""
        self._next_at = max(now, self._next_at) + self.interval_s

    @property
    def ordinary_at(self) -> float:
        """When the next ordinary transaction may begin."""
        return self._next_at

    @property
    def urgent_at(self) -> float:
        """When the next urgent transaction may begin."""
        return self._next_at - self._burst_max * self.interval_s
