"""What players give, and how they are told to choose."""

from __future__ import annotations

from enum import StrEnum

import attrs

from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.encoded import EncodedFrame
from sans_rtc_av.formats import Format


class Transcode(StrEnum):
    """When a player decodes and encodes instead of passing frames on as they are.

    AUTO    where the file has another format than the one asked for, or one that a conversation cannot take as it is:
            pictures out of order (B-frames), other than 4:2:0 of 8 bits, sounds of other rates or channels
    NEVER   a file that needs it is refused
    ALWAYS  so that keyframes come on request and the bitrate follows
    """

    AUTO = "auto"
    NEVER = "never"
    ALWAYS = "always"


@attrs.define(slots=True)
class PlayedFrame:
    """A frame for `send_frame(data, timestamp)`, at its time.

    timestamp, duration  in ticks of the RTP clock, not wrapped
    due_s                seconds after the first frame; the caller waits until then
    """

    kind: MediaKind
    codec_name: str
    data: bytes
    timestamp: int
    is_keyframe: bool
    duration: int
    due_s: float


@attrs.define(slots=True)
class PlayerStats:
    """Frames given; packets of the file that could not be decoded or had no time; rounds begun."""

    frames: int = 0
    damaged_packets: int = 0
    rounds: int = 0


def played(kind: MediaKind, row: Format, frame: EncodedFrame) -> PlayedFrame:
    """An encoded frame at its time."""
    due_s = max(0.0, frame.timestamp / row.clock_rate)
    return PlayedFrame(kind, row.name, frame.data, frame.timestamp, frame.is_keyframe, frame.duration, due_s)
