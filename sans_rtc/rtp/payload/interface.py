"""What every payload format offers, and what the formats share: budgets, and cutting a frame to size.

A packetizer makes the payloads of one frame, in order; the caller makes RTP packets of them, all with the frame's
timestamp, and sets the marker on the last one (video). A depacketizer takes all payloads of one frame, in order, and
gives the frame back. It sees no sequence numbers: which packets belong together, and whether any is missing, is the
matter of `FrameAssembler` or of a receive buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Protocol

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, Malformed


class Packetizer(Protocol):
    """Makes RTP payloads of frames."""

    def packetize(self, frame: bytes, *, payload_bytes_max: int) -> list[bytes]:
        """The payloads of one frame in sending order, each 1 to payload_bytes_max bytes, or InvalidArgument."""
        ...


class Depacketizer(Protocol):
    """Makes frames of RTP payloads."""

    def depacketize(self, payloads: Sequence[bytes]) -> bytes:
        """The frame that these payloads hold, all of them, in order; WireError if they are not one whole frame."""
        ...


class MediaKind(StrEnum):
    """What an m-section carries this format in."""

    AUDIO = "audio"
    VIDEO = "video"


class Purpose(StrEnum):
    """What a format is there for."""

    MEDIA = "media"
    REDUNDANCY = "redundancy"  # carries payloads of other formats
    COMFORT_NOISE = "comfort noise"
    EVENTS = "events"


@attrs.frozen(slots=True)
class Codec:
    """One row of the table of codecs.

    name                 encoding name of `a=rtpmap`, compared without regard to case
    clock_rate           ticks of the RTP timestamp in a second
    channels             audio: of `a=rtpmap`, 1 where it is left out; video: 1
    payload_type         static payload type of RFC 3551, None: dynamic
    parameters           what we say of ourselves in `a=fmtp`; "": no such line
    section              where the format is specified
    negotiate            negotiate(ours, theirs) -> what an answer says; None: not compatible; WireError: theirs is bad
    new_packetizer       new_packetizer(their parameters, entropy); None where a transform of its own makes the packets
    new_depacketizer     new_depacketizer(our parameters)
    is_keyframe          whether this frame can be decoded without any before it; False for bytes that are no frame
    is_keyframe_payload  whether this payload holds the beginning of such a frame; False for bytes that are no payload
    is_frame_start       whether this payload proves to be the first of its frame; False where it may or may not be
    duration             ticks that an audio payload lasts, WireError for a bad one; None for video
    is_rate_free         the format exists at any clock rate and number of channels: those of the row are an example
    """

    name: str
    kind: MediaKind
    clock_rate: int
    channels: int
    payload_type: int | None
    parameters: str
    section: str
    negotiate: Callable[[str, str], str | None]
    new_packetizer: Callable[[str, Entropy], Packetizer] | None = None
    new_depacketizer: Callable[[str], Depacketizer] | None = None
    is_keyframe: Callable[[bytes], bool] = bool
    is_keyframe_payload: Callable[[bytes], bool] = bool
    is_frame_start: Callable[[bytes], bool] = bool
    duration: Callable[[bytes], int] | None = None
    is_rate_free: bool = False
    purpose: Purpose = Purpose.MEDIA


def require_budget(payload_bytes_max: int, least: int) -> None:
    """Refuse a budget that not even the header of the format and one byte fit in."""
    if payload_bytes_max < least:
        raise InvalidArgument(f"payload_bytes_max is {least} at least for this format, not {payload_bytes_max}")


def require_frame(frame: bytes) -> None:
    """Refuse a frame without bytes."""
    if not frame:
        raise InvalidArgument("a frame without bytes")


def require_payloads(payloads: Sequence[bytes]) -> None:
    """Refuse a frame without payloads, and payloads without bytes."""
    if not payloads:
        raise Malformed("a frame without payloads", field="payload")
    if not all(payloads):
        raise Malformed("a payload without bytes", field="payload", offset=0)


def cut(data: bytes, size_max: int) -> list[bytes]:
    """Cut data into the fewest pieces, of equal size but for the last: equal datagrams in a row cost least to send."""
    count = -(-len(data) // size_max)
    size = -(-len(data) // count) if count else 1
    return [data[start : start + size] for start in range(0, len(data), size)]
