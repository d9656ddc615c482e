"""Pictures and sounds as bytes in, frames of PyAV out, and the way back: numpy is not needed for either.

A plane of a frame may have more bytes in a line than its picture is wide; here lines are as wide as the picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import av

from sans_rtc.errors import InvalidArgument

_SAMPLE_BYTES = 2


def picture_of_planes(
    width: int, height: int, planes: Sequence[bytes], *, timestamp: int | None = None, clock_rate: int = 90000
) -> av.VideoFrame:
    """A picture (4:2:0, 8 bits) of its planes: Y of width x height bytes, U and V of half the width and height each.

    timestamp  in ticks of clock_rate; None: encoders count frames
    Errors     InvalidArgument for planes of another size
    """
    frame = av.VideoFrame(width, height, "yuv420p")
    if len(planes) != len(frame.planes):
        raise InvalidArgument(f"3 planes, not {len(planes)}")
    for plane, data in zip(frame.planes, planes, strict=True):
        if len(data) != plane.width * plane.height:
            raise InvalidArgument(f"a plane of {plane.width} x {plane.height} has not {len(data)} bytes")
        padding = plane.line_size - plane.width
        if padding:
            data = _with_padding(data, plane.width, bytes(padding))
        plane.update(data + bytes(plane.buffer_size - len(data)))
    _stamp(frame, timestamp, clock_rate)
    return frame


def planes_of_picture(frame: av.VideoFrame) -> list[bytes]:
    """The planes of a picture in 4:2:0, 8 bits, without padding; one of another format is converted."""
    if frame.format.name != "yuv420p":
        frame = frame.reformat(format="yuv420p")
    planes = []
    for plane in frame.planes:
        data = bytes(plane)
        width, line = plane.width, plane.line_size
        if line == width:
            planes.append(data[: width * plane.height])
        else:
            planes.append(b"".join(data[start : start + width] for start in range(0, line * plane.height, line)))
    return planes


def sound_of_samples(
    samples: bytes, *, sample_rate: int, channels: int = 1, timestamp: int | None = None
) -> av.AudioFrame:
    """A sound of samples of 16 bits, signed, in the machine's byte order, channels interleaved.

    timestamp  in samples; None: encoders count
    Errors     InvalidArgument for no samples, half ones, or more channels than two
    """
    if channels not in (1, 2):
        raise InvalidArgument(f"1 or 2 channels, not {channels}")
    count, rest = divmod(len(samples), _SAMPLE_BYTES * channels)
    if rest or not count:
        raise InvalidArgument(f"{len(samples)} bytes are no samples of {channels} channels")
    frame = av.AudioFrame("s16", "mono" if channels == 1 else "stereo", count)
    frame.sample_rate = sample_rate
    plane = frame.planes[0]
    plane.update(samples + bytes(plane.buffer_size - len(samples)))
    _stamp(frame, timestamp, sample_rate)
    return frame


def samples_of_sound(frame: av.AudioFrame) -> bytes:
    """The samples of a sound, of 16 bits, interleaved; one of another format is converted, its rate kept."""
    if frame.format.name == "s16":
        return bytes(frame.planes[0])[: frame.samples * _SAMPLE_BYTES * len(frame.layout.channels)]
    resampler = av.AudioResampler(format="s16", layout=frame.layout.name, rate=frame.sample_rate)
    return b"".join(samples_of_sound(part) for part in [*resampler.resample(frame), *resampler.resample(None)])


def _with_padding(data: bytes, width: int, padding: bytes) -> bytes:
    return b"".join(data[start : start + width] + padding for start in range(0, len(data), width))


def _stamp(frame: av.VideoFrame | av.AudioFrame, timestamp: int | None, clock_rate: int) -> None:
    frame.pts = timestamp
    frame.time_base = Fraction(1, clock_rate)
