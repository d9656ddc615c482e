"""What a media session takes and tells: frames, requests, bitrates, and the life of streams."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.congestion.events import Cause
from sans_rtc.machine import Terminated
from sans_rtc.media.parameters import CodecParameters
from sans_rtc.rtp.extension_values import AudioLevel
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.rtp.recovery.keyframe import KeyframeRequestKind
from sans_rtc.rtp.wire import RtpPacket


class StreamEndReason(StrEnum):
    """Why a stream that was received has ended.

    BYE       the peer said so
    TIMEOUT   nothing of it has come for several RTCP intervals; it starts again when something does
    REPLACED  another SSRC took its place, or its place was needed
    REMOVED   negotiation ended it
    CLOSED    the session was closed
    """

    BYE = "bye"
    TIMEOUT = "timeout"
    REPLACED = "replaced"
    REMOVED = "removed"
    CLOSED = "closed"


class DropReason(StrEnum):
    """What dropped frames; a bound drops the oldest first.

    SEND_QUEUE     more waited to be paced than the pacer holds
    RECEIVE_QUEUE  more packets waited for what is missing than the receive buffer holds
    EVENT_QUEUE    the application has not taken its events
    CIRCUIT_BREAKER  what is sent does not arrive, or takes too much (RFC 8083): nothing is sent for a while
    """

    SEND_QUEUE = "send_queue"
    RECEIVE_QUEUE = "receive_queue"
    EVENT_QUEUE = "event_queue"
    CIRCUIT_BREAKER = "circuit_breaker"


class TerminationReason(StrEnum):
    """Why a session ended."""

    CLOSED = "closed"


@attrs.define(slots=True)
class OutgoingFrame:
    """A frame to send, encoded.

    data              one access unit of video, one packet's worth of audio
    timestamp         when it was taken, in units of the codec's RTP clock, from any beginning; it may be wider than 32
                      bits. The session adds an offset of its own (RFC 3550 section 5.1)
    rid               of the encoding, in a simulcast
    payload_type      None: that of the first codec negotiated
    audio_level_dbov  0 loudest to 127 silence (RFC 6464); None: not sent
    is_voice          voice was detected, with the level
    rotation          degrees clockwise to turn the picture before it is shown: 0, 90, 180 or 270; None: not sent
    capture_time_s    when it was taken, on the scale of `now`; None: not sent
    extensions        (URI, value in bytes) of further header extensions; those not negotiated are left out
    """

    data: bytes
    timestamp: int
    rid: str = ""
    payload_type: int | None = None
    is_keyframe: bool | None = None
    audio_level_dbov: int | None = None
    is_voice: bool = False
    rotation: int | None = None
    capture_time_s: float | None = None
    extensions: tuple[tuple[str, bytes], ...] = ()


@attrs.define(slots=True)
class MediaFrame:
    """A frame that was received, encoded.

    timestamp          of the RTP header, 32 bits
    ssrc, rid          of its stream; rid is empty without a simulcast
    is_keyframe        can be decoded without any frame before it; of audio: any can
    is_contiguous      nothing is missing between this frame and the one before
    lost_packet_count  packets that never came between that frame and this
    received_at        when its last packet came, on the scale of `now`
    audio_level        what the sender says of its loudness
    rotation           degrees clockwise to turn the picture; None: not told in this frame
    capture_time_s     Unix seconds by the capturer's clock (abs-capture-time); None: not told
    """

    data: bytes
    timestamp: int
    ssrc: int
    rid: str
    codec: CodecParameters
    is_keyframe: bool
    is_contiguous: bool
    lost_packet_count: int
    received_at: float
    audio_level: AudioLevel | None = None
    rotation: int | None = None
    capture_time_s: float | None = None


@attrs.define(slots=True)
class FrameReceived:
    """A whole frame, in decoding order."""

    handle: int
    frame: MediaFrame


@attrs.define(slots=True)
class PacketReceived:
    """A packet of media as it was sent, once, in the order of arrival; retransmitted and recovered ones too.

    codec       None where it is none of the codecs' (error correction is not handed on)
    extensions  what the ids of its header extensions mean
    """

    handle: int
    packet: RtpPacket
    rid: str
    codec: CodecParameters | None
    extensions: ExtensionMap


@attrs.define(slots=True)
class KeyframeRequested:
    """The peer wants a keyframe of what is sent."""

    handle: int
    rid: str
    kind: KeyframeRequestKind


@attrs.define(slots=True)
class TargetBitrateChanged:
    """What all encoders of the session together are to send from now on."""

    bitrate_bps: int
    cause: Cause


@attrs.define(slots=True)
class SenderBitrateChanged:
    """The share of one encoding; 0: the layer is off for now."""

    handle: int
    rid: str
    bitrate_bps: int


@attrs.define(slots=True)
class StreamStarted:
    """Media of a source begins to come, or comes again (W3C: unmute)."""

    handle: int
    ssrc: int
    rid: str


@attrs.define(slots=True)
class StreamEnded:
    """Media of a source comes no more (W3C: mute)."""

    handle: int
    ssrc: int
    rid: str
    reason: StreamEndReason


@attrs.define(slots=True)
class FramesDropped:
    """A bound was met, and the oldest frames went."""

    handle: int
    rid: str
    count: int
    reason: DropReason


MediaEvent: TypeAlias = (
    FrameReceived
    | PacketReceived
    | KeyframeRequested
    | TargetBitrateChanged
    | SenderBitrateChanged
    | StreamStarted
    | StreamEnded
    | FramesDropped
    | Terminated
)
