"""What goes into transceivers and comes out of them, as plain data; how directions combine (RFC 3264 section 6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.media.parameters import Encoding, EncodingSettings, MediaSection
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.sdp.grammar import is_token, shorten
from sans_rtc.sdp.rtp_values import is_rid
from sans_rtc.sdp.values import Direction

_STREAM_CHARACTERS_MAX = 64  # RFC 8830 section 2: "1*64token-char"
_RID_CHARACTERS_MAX = 255  # of a header extension, RFC 8285 section 4.3
SENDING = (Direction.SENDRECV, Direction.SENDONLY)
RECEIVING = (Direction.SENDRECV, Direction.RECVONLY)


def combine(sends: bool, receives: bool) -> Direction:
    """The direction of an end that sends, or receives, or both."""
    if sends:
        return Direction.SENDRECV if receives else Direction.SENDONLY
    return Direction.RECVONLY if receives else Direction.INACTIVE


def reverse(direction: Direction) -> Direction:
    """The direction as the other end sees it."""
    return combine(direction in RECEIVING, direction in SENDING)


def intersect(first: Direction, second: Direction) -> Direction:
    """What both allow."""
    return combine(first in SENDING and second in SENDING, first in RECEIVING and second in RECEIVING)


def as_direction(direction: Direction | str) -> Direction:
    """The direction of a name; InvalidArgument where it is none."""
    try:
        return Direction(direction)
    except ValueError:
        raise InvalidArgument(f"a direction is one of {', '.join(Direction)}, not {direction!r}") from None


def _check_streams(streams: Sequence[str]) -> tuple[str, ...]:
    for stream in streams:
        if not (is_token(stream) and len(stream) <= _STREAM_CHARACTERS_MAX) or stream == "-":
            raise InvalidArgument(f"a stream's id is a token of {_STREAM_CHARACTERS_MAX} characters: {shorten(stream)}")
    return tuple(dict.fromkeys(streams))


@attrs.frozen(slots=True, kw_only=True)
class TransceiverOptions:
    """What can be chosen when a transceiver is added (W3C RTCRtpTransceiverInit).

    direction      what is wanted of it
    streams        ids of the streams that what is sent belongs to (RFC 8830)
    encodings      one, or the layers of a simulcast, each with its rid
    is_from_track  it was added as W3C addTrack does: a section that the peer offers may take it over
    """

    direction: Direction = attrs.field(default=Direction.SENDRECV, converter=as_direction)
    streams: tuple[str, ...] = attrs.field(default=(), converter=_check_streams)
    encodings: tuple[EncodingSettings, ...] = ()
    is_from_track: bool = False

    def __attrs_post_init__(self) -> None:
        rids = [encoding.rid for encoding in self.encodings]
        if len(set(rids)) != len(rids):
            raise InvalidArgument("two encodings have the same rid")
        if len(rids) > 1 and "" in rids:
            raise InvalidArgument("each encoding of a simulcast has a rid")
        for rid in rids:
            if rid and not (is_rid(rid) and len(rid) <= _RID_CHARACTERS_MAX):
                raise InvalidArgument(f"a rid is letters, digits, - and _: {shorten(rid)}")


class TransceiverAction(StrEnum):
    """What has happened to a transceiver."""

    ADDED = "added"  # a section that the peer offers has made it
    REMOVED = "removed"  # it is gone with the offer that made it (rollback)
    TRACK = "track"  # the peer's description says that it sends, or to which streams it belongs (W3C track)
    TRACK_ENDED = "track_ended"  # the peer's description says that it sends no more (W3C mute, removetrack)
    DIRECTION = "direction"  # the direction agreed on is another one
    STOPPED = "stopped"  # it is done with (W3C stopped)


@attrs.frozen(slots=True, kw_only=True)
class TransceiverChange:
    """A change of a transceiver, as it is after it.

    streams  of what the peer sends
    """

    action: TransceiverAction
    handle: int
    kind: MediaKind
    mid: str | None = None
    current_direction: Direction | None = None
    streams: tuple[str, ...] = ()


@attrs.frozen(slots=True, kw_only=True)
class TransceiverInfo:
    """What there is to know of a transceiver.

    mid                of its section; None before it has one
    direction          what is wanted
    current_direction  what is agreed on; None before an answer
    streams            of what this end sends
    remote_streams     of what the peer sends
    """

    handle: int
    kind: MediaKind
    mid: str | None
    direction: Direction
    current_direction: Direction | None
    is_stopping: bool
    streams: tuple[str, ...]
    remote_streams: tuple[str, ...]
    encodings: tuple[Encoding, ...]
    codec_preferences: tuple[Codec, ...]
    section: MediaSection | None
