"""How large pictures are, and how many a second, at the most: what a receiver of VP8 or VP9 has said of itself.

RFC 7742 section 6.1: an encoder MUST keep to `max-fs`, macroblocks of a frame, and `max-fr`, frames a second; RFC 7741
section 6.1 says how `max-fs` bounds each side as well.
"""

from __future__ import annotations

from math import isqrt, sqrt

import av

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload import Vp8Parameters, Vp9Parameters
from sans_rtc_av.formats import Format

_MACROBLOCK = 16
# Timestamps of a camera jitter: a picture may come so much of an interval early, and the next one must not.
_EARLY = 0.25


class FrameLimits:
    """Scales pictures down, and says which to leave out.

    max_fs  macroblocks of a frame, None: any
    max_fr  frames a second, None: any
    """

    def __init__(self, clock_rate: int, max_fs: int | None = None, max_fr: int | None = None) -> None:
        self._interval = clock_rate / max_fr if max_fr else 0.0
        self._max_fs = max_fs
        self._due_at = -self._interval  # timestamp

    def takes(self, timestamp: int) -> bool:
        """Whether the picture at this timestamp is to be encoded; rising timestamps, each once."""
        if timestamp < self._due_at - _EARLY * self._interval:
            return False
        self._due_at = max(self._due_at, timestamp) + self._interval
        return True

    def fit(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The picture in 4:2:0, 8 bits, limited range, with even sides, as every encoder takes it, and small enough."""
        width, height = self._size(frame.width, frame.height)
        if frame.format.name == "yuv420p" and (width, height) == (frame.width, frame.height):
            return frame
        return frame.reformat(width=width, height=height, format="yuv420p")

    def _size(self, width: int, height: int) -> tuple[int, int]:
        width, height = width & ~1, height & ~1
        most = self._max_fs
        if most is None or _fits(width, height, most):
            return width, height
        scale = min(1.0, sqrt(most * _MACROBLOCK**2 / (width * height)))
        while True:  # each round is smaller, and 2 x 2 fits
            size = (max(2, int(width * scale) & ~1), max(2, int(height * scale) & ~1))
            if _fits(*size, most):
                return size
            scale *= 0.98


def _fits(width: int, height: int, max_fs: int) -> bool:
    columns, rows = -(-width // _MACROBLOCK), -(-height // _MACROBLOCK)
    return columns * rows <= max_fs and max(columns, rows) <= max(1, isqrt(max_fs * 8))


def limits_of(row: Format, parameters: str) -> FrameLimits:
    """The limits in the format parameters of a receiver of VP8 or VP9; none of other formats."""
    kinds: dict[str, type[Vp8Parameters | Vp9Parameters]] = {"VP8": Vp8Parameters, "VP9": Vp9Parameters}
    kind = kinds.get(row.name)
    if kind is None:
        return FrameLimits(row.clock_rate)
    try:
        wanted = kind.parse(parameters)
    except WireError as error:
        raise InvalidArgument(f"format parameters of {row.name}: {error}") from error
    return FrameLimits(row.clock_rate, wanted.max_fs, wanted.max_fr)
