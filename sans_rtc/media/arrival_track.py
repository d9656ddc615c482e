"""The arrivals of one sequence of 16-bit numbers, unwrapped, and what of them to tell next."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import takewhile
from typing import TypeAlias

import attrs

ECN_CE = 3
# Before any number that a sequence can begin with.
FAR = 1 << 17
_SEQUENCE_COUNT = 1 << 16
_SEQUENCE_HALF = 1 << 15

Arrival: TypeAlias = tuple[int, float, int]
"""Sequence number of 16 bits, when it came, and its ECN."""


@attrs.define(slots=True)
class ArrivalsStats:
    """Counters that only grow.

    packets      told of for the first time
    duplicates   packets that had been noted already
    too_old      packets too far behind the newest to be told
    overflows    takes that found as much as may be noted: there may have been more
    messages     made
    messages_dropped   for `messages_max`
    """

    packets: int = 0
    duplicates: int = 0
    too_old: int = 0
    overflows: int = 0
    messages: int = 0
    messages_dropped: int = 0


class ArrivalTrack:
    """The arrivals of one sequence, unwrapped.

    arrivals  of each packet the first one, by its number unwrapped; complete from `_begin` on
    start     what the feedback of the last `take` begins with
    """

    __slots__ = (
        "_begin",
        "_highest",
        "_history_packets_max",
        "_history_s",
        "_marks",
        "_next",
        "arrivals",
        "start",
    )

    # So many packets in one take, and all too far back: numbering has begun anew.
    RESTART_PACKETS = 4

    def __init__(self, history_s: float, history_packets_max: int) -> None:
        self._history_s = history_s
        self._history_packets_max = history_packets_max
        self._restart()

    def _restart(self) -> None:
        self._highest: int | None = None
        self._begin = -FAR
        self._next: int | None = None
        self.arrivals: dict[int, Arrival] = {}
        # (when a feedback was taken, the number behind it): everything before that number came before that time
        self._marks: deque[tuple[float, int]] = deque()
        self.start = 0

    def take(self, noted: Iterable[Arrival], now: float, stats: ArrivalsStats) -> list[int]:
        """Take note of arrivals; return the numbers to tell of, rising, from `start` on."""
        self._forget(now)
        new = self._add(noted, stats)
        if not new:
            return []
        new.sort()
        stats.packets += len(new)
        following = new[0] if self._next is None else self._next
        is_late = new[0] < following
        self.start = new[0] if is_late else max(following, new[-1] - _SEQUENCE_HALF + 1)
        numbers = sorted(number for number in self.arrivals if number >= self.start) if is_late else new
        self._next = numbers[-1] + 1
        self._marks.append((now, self._next))
        return numbers

    def _add(self, noted: Iterable[Arrival], stats: ArrivalsStats) -> list[int]:
        too_old: list[Arrival] = []
        new = self._add_known(noted, too_old, stats)
        if not new and len(too_old) >= self.RESTART_PACKETS:
            self._restart()
            return self._add_known(too_old, [], stats)
        stats.too_old += len(too_old)
        # Half of the numbers is the most that can be told apart: what was far ahead leaves what is behind it too old.
        lowest = (self._highest or 0) - _SEQUENCE_HALF
        if new and min(new) <= lowest:
            self._begin = max(self._begin, lowest + 1)
            stats.too_old += sum(number <= lowest for number in new)
            return [number for number in new if number > lowest]
        return new

    def _add_known(self, noted: Iterable[Arrival], too_old: list[Arrival], stats: ArrivalsStats) -> list[int]:
        arrivals, begin, highest = self.arrivals, self._begin, self._highest
        new: list[int] = []
        for arrival in noted:
            sequence = arrival[0]
            if highest is None:
                highest = sequence - 1
            # As `SequenceUnwrapper` has it, in short: this runs for every packet.
            ahead = (sequence - highest) & 0xFFFF
            if 0 < ahead <= _SEQUENCE_HALF:
                highest = number = highest + ahead
            else:
                number = highest + ahead - _SEQUENCE_COUNT if ahead else highest
            if number < begin:
                too_old.append(arrival)
            elif number not in arrivals:
                arrivals[number] = arrival
                new.append(number)
            else:
                stats.duplicates += 1
                if arrival[2] == ECN_CE:  # RFC 8888 section 3.1: a mark on any copy counts, the arrival is the first's
                    arrivals[number] = (sequence, arrivals[number][1], ECN_CE)
        self._highest = highest
        return new

    def _forget(self, now: float) -> None:
        """Drop what came too long ago, and what is too much."""
        marks, arrivals = self._marks, self.arrivals
        while marks and marks[0][0] <= now - self._history_s:
            self._begin = max(self._begin, marks.popleft()[1])
        if len(arrivals) > self._history_packets_max:
            kept = sorted(arrivals)[-self._history_packets_max :]
            self._begin = max(self._begin, kept[0])
            self.arrivals = {number: arrivals[number] for number in kept}
            return
        # In the order of arrival: what was overtaken goes a little later.
        for number in list(takewhile(self._begin.__gt__, arrivals)):
            del arrivals[number]
