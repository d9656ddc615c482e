"""Decoders: frames as they were received in, pictures and sounds out; what cannot be decoded is counted.

After a loss pictures are damaged until the next keyframe. So a decoder begins with a keyframe, and begins anew after
a frame that it cannot decode or that is not contiguous with the one before: `needs_keyframe` says so, and the
application asks the sender (`receiver.request_keyframe()`).
"""

from __future__ import annotations

from enum import StrEnum
from fractions import Fraction

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.codec.context import Flags, ThreadType
from av.video.codeccontext import VideoCodecContext

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload import H264Parameters, MediaKind, join_annex_b, parse_sprop_parameter_sets
from sans_rtc.rtp.sequence import TimestampUnwrapper
from sans_rtc_av.formats import Format, decoder_for, format_of
from sans_rtc_av.settings import DecoderSettings

_SOUND_BYTES_MAX = 64 << 10  # as much as a datagram


class DiscardReason(StrEnum):
    """Why a frame gave no picture or sound."""

    EMPTY = "empty"
    TOO_LARGE = "too large"
    UNDECODABLE = "undecodable"
    AWAITING_KEYFRAME = "awaiting a keyframe"


@attrs.define(slots=True)
class DecoderStats:
    """Frames taken; pictures or sounds given; frames discarded by reason."""

    frames: int = 0
    decoded: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)

    def discard(self, reason: DiscardReason) -> None:
        """Count one frame."""
        self.discards[reason] = self.discards.get(reason, 0) + 1


class Decoder:
    """Decodes the frames of one stream, in order. One thread at a time; nothing that a peer sends raises."""

    def __init__(self, row: Format, parameters: str, settings: DecoderSettings) -> None:
        self.format = row
        self.stats = DecoderStats()
        self.decoder_name = decoder_for(row)
        self._settings = settings
        self._is_video = row.kind is MediaKind.VIDEO
        self._parameter_sets = _parameter_sets(row, parameters)
        self._unwrapper = TimestampUnwrapper()
        self._needs_keyframe = self._is_video
        self._context = self._open()

    @property
    def needs_keyframe(self) -> bool:
        """Nothing good comes out before a keyframe: ask the sender for one."""
        return self._needs_keyframe

    def decode(self, data: bytes, timestamp: int, *, is_contiguous: bool = True) -> list[av.VideoFrame | av.AudioFrame]:
        """Take one frame.

        timestamp      of its packets; pictures and sounds have it as `pts`, unwrapped, in ticks of the RTP clock
        is_contiguous  no frame is missing before this one
        Returns        pictures or sounds, one as a rule; a picture has its own size
        Errors         none; discards are counted in `stats`
        """
        self.stats.frames += 1
        pts = self._unwrapper.unwrap(timestamp & 0xFFFFFFFF)
        reason = self._reject(data, is_contiguous)
        if reason is not None:
            self.stats.discard(reason)
            return []
        frames = self._decode(data, pts)
        self.stats.decoded += len(frames)
        return frames

    def reset(self) -> None:
        """Begin anew: what follows is another stream, or the same one after a pause."""
        self._context = self._open()
        self._unwrapper.restart()
        self._needs_keyframe = self._is_video

    def _reject(self, data: bytes, is_contiguous: bool) -> DiscardReason | None:
        if not data:
            return DiscardReason.EMPTY  # and FFmpeg would take it for the end of the stream
        if len(data) > (self._settings.frame_bytes_max if self._is_video else _SOUND_BYTES_MAX):
            self._needs_keyframe = self._is_video
            return DiscardReason.TOO_LARGE
        if not self._is_video:
            return None
        if self.format.codec.is_keyframe(data):
            return None
        if not is_contiguous:
            self._needs_keyframe = True
        if self._needs_keyframe and self._settings.waits_for_keyframe:
            return DiscardReason.AWAITING_KEYFRAME
        return None

    def _decode(self, data: bytes, pts: int) -> list[av.VideoFrame | av.AudioFrame]:
        is_keyframe = self._is_video and self.format.codec.is_keyframe(data)
        packet = av.Packet(self._parameter_sets + data if is_keyframe else data)
        time_base = Fraction(1, self.format.clock_rate)
        packet.pts, packet.time_base, packet.is_keyframe = pts, time_base, is_keyframe or not self._is_video
        try:
            frames: list[av.VideoFrame | av.AudioFrame] = [*self._context.decode(packet)]
        except av.FFmpegError:
            self.stats.discard(DiscardReason.UNDECODABLE)
            self._context = self._open()
            self._needs_keyframe = self._is_video
            return []
        if is_keyframe and frames:
            self._needs_keyframe = False
        for frame in frames:
            frame.time_base = time_base
            if frame.pts is None:
                frame.pts = pts
        return frames

    def _open(self) -> VideoCodecContext | AudioCodecContext:
        context = av.CodecContext.create(self.decoder_name, "r")
        if isinstance(context, VideoCodecContext):
            context.thread_count = self._settings.threads
            # Threads within a picture: those across pictures would hold as many pictures back.
            context.thread_type = ThreadType.SLICE
            context.flags |= Flags.low_delay
            context.options = {"max_pixels": str(self._settings.picture_pixels_max)}
        else:
            assert isinstance(context, AudioCodecContext)
            context.sample_rate = self.format.sample_rate
            context.layout = "stereo" if self.format.channels_max == 2 else "mono"
        context.open()
        return context


def new_decoder(codec_name: str, parameters: str = "", settings: DecoderSettings | None = None) -> Decoder:
    """A decoder of this format, by its encoding name in any case.

    parameters  of `a=fmtp` that the sender has said: `sprop-parameter-sets` of H.264 are taken from it
    Errors      InvalidArgument for another name or bad parameters; MissingCodecs where this build has no decoder of it
    """
    return Decoder(format_of(codec_name), parameters, settings or DecoderSettings())


def _parameter_sets(row: Format, parameters: str) -> bytes:
    if row.name != "H264":
        return b""
    try:
        text = H264Parameters.parse(parameters).sprop_parameter_sets
        return join_annex_b(parse_sprop_parameter_sets(text)) if text else b""
    except WireError as error:
        raise InvalidArgument(f"format parameters of H264: {error}") from error
