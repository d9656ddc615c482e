"""What encoders and players give: frames ready to be sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs
import av

from sans_rtc_av.formats import Format


@attrs.define(slots=True)
class EncodedFrame:
    """One frame for `send_frame(data, timestamp)`.

    timestamp  ticks of the codec's RTP clock, not wrapped
    duration   likewise
    """

    data: bytes
    timestamp: int
    is_keyframe: bool
    duration: int


@attrs.define(slots=True)
class EncoderStats:
    """Counters of an encoder.

    frames, bytes, keyframes  that came out
    openings                  how often the encoder was opened: at the beginning, and for a size, a bitrate or a format
                              that it cannot change while it runs
    """

    frames: int = 0
    bytes: int = 0
    keyframes: int = 0
    openings: int = 0

    def count(self, encoded: Sequence[EncodedFrame]) -> None:
        """Take note of what came out."""
        self.frames += len(encoded)
        self.bytes += sum(len(frame.data) for frame in encoded)
        self.keyframes += sum(frame.is_keyframe for frame in encoded)


class Encoder(Protocol):
    """What every encoder does. One thread at a time; no clock, no I/O; PyAV lets other threads run meanwhile."""

    format: Format
    stats: EncoderStats

    def encode(self, frame: av.VideoFrame | av.AudioFrame) -> list[EncodedFrame]:
        """Take one picture or sound; give what is ready: none, one or more frames."""
        ...

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe; for audio nothing."""
        ...

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Aim at this bitrate from now on."""
        ...

    def flush(self) -> list[EncodedFrame]:
        """Give what was held back, an incomplete packet of sound filled with silence. The encoder may go on."""
        ...
