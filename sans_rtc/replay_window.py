"""The sliding window that tells a new packet from a replayed one (RFC 6347 section 4.1.2.6, RFC 3711 section 3.3.2).

Asked before a packet is authenticated, told only after: an unauthenticated packet must not move the window.
"""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument


class ReplayWindow:
    """Remembers which of the last `size` sequence numbers have been accepted.

    size     how many sequence numbers below the highest are remembered; the RFCs ask for 32 and prefer 64 or more
    highest  the highest number accepted, -1 before the first; what is above it is fresh
    """

    __slots__ = ("_bits", "_mask", "highest", "size")

    def __init__(self, size: int = 64) -> None:
        if size < 32:
            raise InvalidArgument(f"a replay window of {size} is below the minimum of 32")
        self.size = size
        self._mask = (1 << size) - 1
        self.highest = -1
        self._bits = 0  # bit i: highest - i was accepted

    def is_fresh(self, sequence_number: int) -> bool:
        """True where the number has not been accepted and is not older than the window; changes nothing."""
        age = self.highest - sequence_number
        if age < 0:
            return True
        return age < self.size and not self._bits >> age & 1

    def accept(self, sequence_number: int) -> None:
        """Note a number whose packet has been authenticated. It must be fresh."""
        age = self.highest - sequence_number
        if age < 0:
            shift = -age
            self._bits = 1 if shift >= self.size else (self._bits << shift & self._mask) | 1
            self.highest = sequence_number
            return
        assert age < self.size and not self._bits >> age & 1, "accept() needs a fresh number"
        self._bits |= 1 << age
