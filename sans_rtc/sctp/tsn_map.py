"""Which TSNs have arrived: the cumulative TSN, and runs above it (RFC 9260 6.2, 6.7).

TSNs are counted without wrapping, from the peer's initial TSN up. The runs above a gap are two ascending lists, first
TSNs and last TSNs, so a place is found by bisection; there are none as long as nothing is missing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from sans_rtc.serial import distance_32


class TsnMap:
    """The TSNs received.

    cumulative  every TSN up to this has arrived or was skipped
    firsts      the first TSNs of the runs above it; empty where nothing is missing
    """

    __slots__ = ("_lasts", "cumulative", "firsts")

    def __init__(self, initial_tsn: int) -> None:
        self.cumulative = initial_tsn - 1
        self.firsts: list[int] = []
        self._lasts: list[int] = []

    @property
    def highest(self) -> int:
        """The highest TSN received."""
        return self._lasts[-1] if self._lasts else self.cumulative

    @property
    def range_count(self) -> int:
        """Runs above the cumulative TSN."""
        return len(self.firsts)

    def unwrap(self, tsn: int) -> int:
        """The TSN that 32 bits on the wire mean: the nearest to the cumulative TSN."""
        return self.cumulative + distance_32(self.cumulative, tsn)

    def contains(self, tsn: int) -> bool:
        """True where the TSN has arrived or was skipped."""
        if tsn <= self.cumulative:
            return True
        index = bisect_right(self.firsts, tsn) - 1
        return index >= 0 and tsn <= self._lasts[index]

    def begins_range(self, tsn: int) -> bool:
        """True where adding this TSN, which is not contained, makes one more run."""
        if tsn == self.cumulative + 1:
            return False
        index = bisect_right(self.firsts, tsn)
        touches_left = index > 0 and self._lasts[index - 1] == tsn - 1
        touches_right = index < len(self.firsts) and self.firsts[index] == tsn + 1
        return not touches_left and not touches_right

    def add(self, tsn: int) -> None:
        """Note a TSN that is not contained."""
        firsts, lasts = self.firsts, self._lasts
        if tsn == self.cumulative + 1:
            self.cumulative = tsn
            if firsts and firsts[0] == tsn + 1:
                self.cumulative = lasts[0]
                del firsts[0], lasts[0]
            return
        index = bisect_right(firsts, tsn)
        touches_left = index > 0 and lasts[index - 1] == tsn - 1
        touches_right = index < len(firsts) and firsts[index] == tsn + 1
        if touches_left and touches_right:
            lasts[index - 1] = lasts[index]
            del firsts[index], lasts[index]
        elif touches_left:
            lasts[index - 1] = tsn
        elif touches_right:
            firsts[index] = tsn
        else:
            firsts.insert(index, tsn)
            lasts.insert(index, tsn)

    def skip_to(self, tsn: int) -> None:
        """FORWARD-TSN: everything up to this, which is above the cumulative TSN, counts as received."""
        count = bisect_right(self.firsts, tsn + 1)
        self.cumulative = max(tsn, self._lasts[count - 1]) if count else tsn
        del self.firsts[:count], self._lasts[:count]

    def gap_blocks(self, count_max: int) -> Sequence[tuple[int, int]]:
        """The lowest runs as offsets from the cumulative TSN, as a SACK reports them."""
        base = self.cumulative
        pairs = zip(self.firsts[:count_max], self._lasts[:count_max], strict=True)
        return [(first - base, last - base) for first, last in pairs]
