"""Counters that wrap, made to count on: each value becomes the nearest one to the highest seen.

A sequence number has 16 bits, a timestamp 32, the reference time of transport-wide feedback 24. An unwrapper keeps
the extended value of the newest, and takes an older or newer one as the nearest of its kind: at most half of the range
ahead of it, less than half behind. The first value is itself, so what came before it may be negative.
"""

from __future__ import annotations

SEQUENCE_BITS = 16
TIMESTAMP_BITS = 32
REFERENCE_TIME_BITS = 24


class Unwrapper:
    """Extends a counter of so many bits. The order of what comes may be any, within half of the range."""

    __slots__ = ("_half", "_highest", "_mask", "_range")

    def __init__(self, bits: int) -> None:
        self._range = 1 << bits
        self._mask = self._range - 1
        self._half = self._range >> 1
        self._highest: int | None = None

    def unwrap(self, value: int) -> int:
        """The extended value; moves on where it is higher than all before it."""
        highest = self._highest
        if highest is None:
            self._highest = value
            return value
        difference = (value - highest) & self._mask
        if difference <= self._half:
            self._highest = highest = highest + difference
            return highest
        return highest + difference - self._range

    def peek(self, value: int) -> int:
        """The extended value, without taking note of it."""
        if self._highest is None:
            return value
        difference = (value - self._highest) & self._mask
        return self._highest + (difference if difference <= self._half else difference - self._range)

    @property
    def highest(self) -> int | None:
        """The highest extended value so far; None before the first."""
        return self._highest

    def restart(self) -> None:
        """Forget everything: the next value is the first."""
        self._highest = None


class SequenceUnwrapper(Unwrapper):
    """Extends the 16-bit sequence numbers of RTP, and those of transport-wide congestion control."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(SEQUENCE_BITS)


class TimestampUnwrapper(Unwrapper):
    """Extends the 32-bit timestamps of RTP."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(TIMESTAMP_BITS)


class ReferenceTimeUnwrapper(Unwrapper):
    """Extends the 24-bit reference times (64 ms each) of transport-wide feedback."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(REFERENCE_TIME_BITS)
