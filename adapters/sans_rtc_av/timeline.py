"""Where the frames of one RTP stream stand in time: timestamps unwrapped, jumps of a stream that began anew mended."""

from __future__ import annotations

from fractions import Fraction

from sans_rtc.rtp.sequence import TimestampUnwrapper


class Timeline:
    """Seconds since the first frame of a stream, by its timestamps.

    jump_s_max  a greater distance between two frames is no gap: the sender chose timestamps anew (RFC 3550 section 8)
    """

    def __init__(self, clock_rate: int, jump_s_max: float) -> None:
        self.jumps = 0
        self.position = Fraction(0)  # of the latest frame
        self._clock_rate = clock_rate
        self._jump = round(jump_s_max * clock_rate)
        self._unwrapper = TimestampUnwrapper()
        self._base: int | None = None  # the timestamp that would stand at 0

    def place(self, timestamp: int, expected: Fraction | None = None) -> Fraction:
        """The position of a frame; of one before the latest it may be lower.

        expected  where it stands by another clock; taken where timestamps jump, else the latest position
        """
        value = self._unwrapper.unwrap(timestamp & 0xFFFFFFFF)
        if self._base is None:
            self._base = value
        position = Fraction(value - self._base, self._clock_rate)
        if abs(value - self._base - self.position * self._clock_rate) > self._jump:
            self.jumps += 1
            position = self.position if expected is None else max(expected, self.position)
            self._base = value - round(position * self._clock_rate)
        self.position = max(self.position, position)
        return position
