"""A picture that moves and a tone, drawn by Python without numpy: sources for tests and demonstrations.

The picture is a gray ramp with a bar that goes to the right, the number of the frame in digits, and the same number
as a strip of black and white fields at the lower edge, which `frame_number_of` reads after any codec.
"""

from __future__ import annotations

import array
import math
from collections.abc import Iterator

import av

from sans_rtc.errors import InvalidArgument
from sans_rtc_av.frames import picture_of_planes, planes_of_picture, sound_of_samples

_CLOCK_RATE = 90000
_BLACK, _WHITE = 16, 235
_COUNTER_BITS = 16
_BAR_FRACTION = 12  # of the width
_BAR_LAP_FRAMES = 90
# Three columns and five rows of each digit, the upper row first.
_GLYPHS: tuple[tuple[int, ...], ...] = (
    (7, 5, 5, 5, 7), (2, 6, 2, 2, 7), (7, 1, 7, 4, 7), (7, 1, 7, 1, 7), (5, 5, 7, 1, 1),
    (7, 4, 7, 1, 7), (7, 4, 7, 5, 7), (7, 1, 1, 1, 1), (7, 5, 7, 5, 7), (7, 5, 7, 1, 7),
)  # fmt: skip


class PictureSource:
    """Draws pictures in 4:2:0; the same number gives the same picture.

    width, height  even, 64 x 48 at least
    frame_rate     pictures in a second, of their timestamps
    """

    def __init__(self, width: int = 640, height: int = 360, frame_rate: int = 30) -> None:
        if width < 64 or height < 48 or width % 2 or height % 2:
            raise InvalidArgument(f"a picture is 64 x 48 at least, with even sides, not {width} x {height}")
        if not 1 <= frame_rate <= 240:
            raise InvalidArgument(f"frame_rate is 1 to 240, not {frame_rate}")
        self.width, self.height, self.frame_rate = width, height, frame_rate
        self._ramp = bytes(64 + 96 * x // width for x in range(width))
        self._strip_lines = max(8, height // 12)
        self._scale = max(2, height // 40)

    def frame(self, number: int) -> av.VideoFrame:
        """The picture of this number, from 0, with its timestamp in ticks of 90 kHz."""
        width, height = self.width, self.height
        half = width // 2
        bar = width // _BAR_FRACTION & ~1
        left = (number % _BAR_LAP_FRAMES) * (width - bar) // _BAR_LAP_FRAMES & ~1
        luma_line = self._ramp[:left] + bytes((_WHITE - 40,)) * bar + self._ramp[left + bar :]
        luma = bytearray(luma_line * (height - self._strip_lines) + self._strip(number) * self._strip_lines)
        self._write_digits(luma, number)
        blue = _with_bar(half, left // 2, bar // 2, 118, 90)
        red = _with_bar(half, left // 2, bar // 2, 134, 200)
        chroma_lines = (height - self._strip_lines) // 2
        rest = bytes((128,)) * (half * (height // 2 - chroma_lines))
        planes = [bytes(luma), blue * chroma_lines + rest, red * chroma_lines + rest]
        return picture_of_planes(width, height, planes, timestamp=number * _CLOCK_RATE // self.frame_rate)

    def frames(self, count: int | None = None) -> Iterator[av.VideoFrame]:
        """So many pictures from number 0; None: without end."""
        number = 0
        while count is None or number < count:
            yield self.frame(number)
            number += 1

    def _strip(self, number: int) -> bytes:
        """One line of the strip: a field for each bit, the highest first, then the rest in black."""
        field = self.width // _COUNTER_BITS
        bits = (number >> shift & 1 for shift in range(_COUNTER_BITS - 1, -1, -1))
        line = b"".join(bytes((_WHITE if bit else _BLACK,)) * field for bit in bits)
        return line + bytes((_BLACK,)) * (self.width - len(line))

    def _write_digits(self, luma: bytearray, number: int) -> None:
        scale = self._scale
        digits = f"{number % 10**5:05d}"
        for row in range(5):
            line = b"".join(_digit_row(int(digit), row, scale) for digit in digits)[: self.width - scale]
            for y in range((1 + row) * scale, (2 + row) * scale):
                start = y * self.width + scale
                luma[start : start + len(line)] = line


class ToneSource:
    """Makes sounds of one frequency; the same number gives the same sound, and they follow each other smoothly.

    level    of the peak, 1.0 is full scale
    frame_s  length of a sound
    """

    def __init__(
        self,
        frequency_hz: float = 440.0,
        *,
        sample_rate: int = 48000,
        channels: int = 1,
        level: float = 0.25,
        frame_s: float = 0.02,
    ) -> None:
        if not 0 < frequency_hz < sample_rate / 2 or not 8000 <= sample_rate <= 192000:
            raise InvalidArgument(f"no tone of {frequency_hz} Hz at {sample_rate} samples a second")
        if not 0 <= level <= 1 or not 0.001 <= frame_s <= 1:
            raise InvalidArgument(f"level is 0 to 1 and frame_s 0.001 to 1, not {level} and {frame_s}")
        self.frequency_hz, self.sample_rate, self.channels = frequency_hz, sample_rate, channels
        self.frame_samples = round(sample_rate * frame_s)
        self._peak = level * 32767

    def frame(self, number: int) -> av.AudioFrame:
        """The sound of this number, from 0, with its timestamp in samples."""
        begin = number * self.frame_samples
        step, peak = 2 * math.pi * self.frequency_hz / self.sample_rate, self._peak
        mono = [round(peak * math.sin(step * n)) for n in range(begin, begin + self.frame_samples)]
        values = mono if self.channels == 1 else [value for value in mono for _ in range(self.channels)]
        samples = array.array("h", values).tobytes()
        return sound_of_samples(samples, sample_rate=self.sample_rate, channels=self.channels, timestamp=begin)

    def frames(self, count: int | None = None) -> Iterator[av.AudioFrame]:
        """So many sounds from number 0; None: without end."""
        number = 0
        while count is None or number < count:
            yield self.frame(number)
            number += 1


def frame_number_of(frame: av.VideoFrame) -> int:
    """The number (modulo 65536) in the strip of a picture of PictureSource, at any scale that leaves it readable."""
    luma, width = planes_of_picture(frame)[0], frame.width
    field = width // _COUNTER_BITS
    start = (frame.height - max(8, frame.height // 12) // 2) * width
    number = 0
    for bit in range(_COUNTER_BITS):
        number = number << 1 | (luma[start + bit * field + field // 2] > (_BLACK + _WHITE) // 2)
    return number


def _with_bar(width: int, left: int, bar: int, ground: int, color: int) -> bytes:
    return bytes((ground,)) * left + bytes((color,)) * bar + bytes((ground,)) * (width - left - bar)


def _digit_row(digit: int, row: int, scale: int) -> bytes:
    bits = _GLYPHS[digit][row]
    cells = [bytes((_WHITE if bits >> shift & 1 else _BLACK,)) * scale for shift in (2, 1, 0)]
    return b"".join(cells) + bytes((_BLACK,)) * scale
