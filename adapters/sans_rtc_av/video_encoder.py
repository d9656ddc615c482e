"""Video encoders for conversations: a frame out for each picture in, keyframes when asked for, a bitrate that follows.

x264 takes another bitrate while it runs. libvpx, libaom, SVT-AV1 and rav1e, through PyAV, do not: they are opened
anew, which begins with a keyframe. See `VideoEncoder.set_bitrate` for when.
"""

from __future__ import annotations

from fractions import Fraction

import av
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload import H264Parameters, H264Profile
from sans_rtc_av.encoded import EncodedFrame, EncoderStats
from sans_rtc_av.formats import REALTIME_OPTIONS, SPEED_OPTIONS, Format, encoder_for
from sans_rtc_av.frame_limits import limits_of
from sans_rtc_av.requirement import CodecFailed
from sans_rtc_av.settings import EncoderSettings

_BITRATE_BPS = 1_000_000
# libvpx counts in thousands, and nothing is to be seen below; SVT-AV1 takes 100 Mbit/s.
_BITRATE_BPS_MIN, _BITRATE_BPS_MAX = 20_000, 100_000_000
# x264 cannot be told more than the maximum that it was opened with; its memory does not depend on it.
_RUNNING_BITRATE_BPS_MAX = 20_000_000
# A change within this is left until the next keyframe that comes for another reason.
_TOLERANCE_DOWN, _TOLERANCE_UP = 0.10, 0.25
# A second of buffer for libvpx as browsers have; half for x264, where it bounds a keyframe.
_BUFFER_S = {"libx264": 0.5}
_SVT_PARALLELISM_MAX = 6
_NEVER = 1 << 30  # frames between keyframes; fits FFmpeg's int
_H264_SLICE_BYTES_MAX = 1100  # packetization-mode 0: a slice is a packet (RFC 6184 section 6.2)
_X264_PROFILES = {
    H264Profile.CONSTRAINED_BASELINE: "baseline",
    H264Profile.BASELINE: "baseline",
    H264Profile.MAIN: "main",
}


class VideoEncoder:
    """Makes frames of one format of pictures of any size and pixel format; they become 4:2:0 with even sides.

    format, stats  what it makes; what it has made
    encoder_name   FFmpeg's name of the encoder that is used
    """

    def __init__(self, row: Format, settings: EncoderSettings) -> None:
        self.format = row
        self.stats = EncoderStats()
        self.encoder_name = encoder_for(row, settings.encoder)
        self._settings = settings
        self._private_options = _options(self.encoder_name, settings)
        self._limits = limits_of(row, settings.parameters)
        self._bitrate_bps = _bounded(settings.bitrate_bps or _BITRATE_BPS)
        self._opened_bitrate_bps = 0
        self._opened_at = 0  # timestamp
        self._context: VideoCodecContext | None = None
        self._wants_keyframe = True
        self._keyframe_at = 0  # timestamp
        self._last: int | None = None  # timestamp

    def encode(self, frame: av.VideoFrame | av.AudioFrame) -> list[EncodedFrame]:
        """Take one picture.

        frame    `pts` in `time_base`, or in ticks of 90 kHz without one; no `pts`: one frame of `frame_rate` later.
                 It is not changed
        Returns  one frame as a rule; none where the receiver takes fewer frames a second
        Errors   InvalidArgument for a sound, for a picture that is not later than the one before, and for one without
                 an area; CodecFailed for a size that the encoder does not take (SVT-AV1: less than 64 x 64)
        """
        if not isinstance(frame, av.VideoFrame) or frame.width < 2 or frame.height < 2:
            raise InvalidArgument(f"{self.format.name} takes pictures of 2 x 2 at least")
        timestamp = self._timestamp_of(frame)
        if not self._limits.takes(timestamp):
            self._last = timestamp
            return []
        picture = self._limits.fit(frame)
        encoded = self._reopen(picture, timestamp)
        assert self._context is not None
        interval = self._settings.keyframe_interval_s * self.format.clock_rate
        is_due = bool(interval) and timestamp - self._keyframe_at >= interval
        encoded += self._submit(self._context, picture, timestamp, self._wants_keyframe or is_due)
        self._last = timestamp
        self._wants_keyframe = False
        for result in encoded:
            if result.is_keyframe:
                self._keyframe_at = result.timestamp
        self.stats.count(encoded)
        return encoded

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        self._wants_keyframe = True

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Aim at this bitrate, between 20 kbit/s and 100 Mbit/s.

        x264 takes it with the next picture. Any other encoder takes it with the next keyframe, whatever that comes
        for; and where the new one is lower by more than a tenth, or higher by more than a quarter, it is opened anew
        for its sake, with a keyframe, not sooner than `reopen_down_s` or `reopen_up_s` after the last opening.
        """
        if bitrate_bps <= 0:
            raise InvalidArgument(f"a bitrate is above 0, not {bitrate_bps}")
        self._bitrate_bps = _bounded(bitrate_bps)

    def flush(self) -> list[EncodedFrame]:
        """Give what the encoder held back, as a rule nothing; the next picture begins anew, with a keyframe."""
        encoded = self._close()
        self.stats.count(encoded)
        return encoded

    def __del__(self) -> None:
        # SVT-AV1 complains on stderr where it is not told of the end.
        if getattr(self, "_context", None) is not None and self.encoder_name == "libsvtav1":
            self._close()

    def _timestamp_of(self, frame: av.VideoFrame) -> int:
        clock_rate = self.format.clock_rate
        if frame.pts is None:
            timestamp = 0 if self._last is None else self._last + round(clock_rate / self._settings.frame_rate)
        elif frame.time_base:
            timestamp = round(frame.pts * frame.time_base * clock_rate)
        else:
            timestamp = frame.pts
        if self._last is not None and timestamp <= self._last:
            raise InvalidArgument(f"a picture at {timestamp} is not later than the one before, {self._last}")
        return timestamp

    def _reopen(self, picture: av.VideoFrame, timestamp: int) -> list[EncodedFrame]:
        """Open the encoder where there is none, or where the size or the bitrate needs another one."""
        context = self._context
        encoded: list[EncodedFrame] = []
        is_other_size = context is not None and (context.width, context.height) != (picture.width, picture.height)
        if context is not None and (is_other_size or self._is_bitrate_due(timestamp)):
            encoded = self._close()
        if self._context is None:
            self._context = self._open(picture)
            self._opened_at = self._keyframe_at = timestamp
            self._opened_bitrate_bps = self._bitrate_bps
            self._wants_keyframe = True
            self.stats.openings += 1
        elif self.encoder_name == "libx264" and self._context.bit_rate != self._bitrate_bps:
            self._context.bit_rate = self._bitrate_bps
        return encoded

    def _is_bitrate_due(self, timestamp: int) -> bool:
        if self.encoder_name == "libx264":
            return self._bitrate_bps > max(_RUNNING_BITRATE_BPS_MAX, self._opened_bitrate_bps)
        change = self._bitrate_bps / self._opened_bitrate_bps - 1
        if self._wants_keyframe and change:
            return True
        age_s = (timestamp - self._opened_at) / self.format.clock_rate
        if change < -_TOLERANCE_DOWN:
            return age_s >= self._settings.reopen_down_s
        return change > _TOLERANCE_UP and age_s >= self._settings.reopen_up_s

    def _open(self, picture: av.VideoFrame) -> VideoCodecContext:
        context = av.CodecContext.create(self.encoder_name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height, context.pix_fmt = picture.width, picture.height, "yuv420p"
        context.time_base = Fraction(1, self.format.clock_rate)
        context.framerate = Fraction(self._settings.frame_rate).limit_denominator(1001)
        context.bit_rate = rate = self._bitrate_bps
        context.gop_size = _NEVER
        context.max_b_frames = 0
        context.thread_count = self._settings.threads
        context.options = {**self._private_options, **_rate_options(self.encoder_name, rate, self._settings.threads)}
        if self.encoder_name == "libx264":
            context.bit_rate = max(_RUNNING_BITRATE_BPS_MAX, rate)
        try:
            context.open()
        except av.FFmpegError as error:
            raise CodecFailed(f"{self.encoder_name} cannot be opened: {error}") from error
        context.bit_rate = rate
        return context

    def _submit(
        self, context: VideoCodecContext, picture: av.VideoFrame, timestamp: int, is_keyframe: bool
    ) -> list[EncodedFrame]:
        before = picture.pts, picture.time_base or Fraction(0), picture.pict_type
        picture.pts, picture.time_base = timestamp, Fraction(1, self.format.clock_rate)
        picture.pict_type = PictureType.I if is_keyframe else PictureType.NONE
        try:
            packets = context.encode(picture)
        except av.FFmpegError as error:
            raise CodecFailed(f"{self.encoder_name}: {error}") from error
        finally:
            picture.pts, picture.time_base, picture.pict_type = before
        return [self._encoded(packet) for packet in packets]

    def _close(self) -> list[EncodedFrame]:
        context, self._context = self._context, None
        if context is None:
            return []
        return [self._encoded(packet) for packet in context.encode(None)]

    def _encoded(self, packet: av.Packet[Stream]) -> EncodedFrame:
        duration = round(self.format.clock_rate / self._settings.frame_rate)
        return EncodedFrame(bytes(packet), packet.pts or 0, packet.is_keyframe, duration)


def _bounded(bitrate_bps: int) -> int:
    return min(max(bitrate_bps, _BITRATE_BPS_MIN), _BITRATE_BPS_MAX)


def _options(encoder: str, settings: EncoderSettings) -> dict[str, str]:
    speed_option, speed = SPEED_OPTIONS[encoder]
    options = {**REALTIME_OPTIONS[encoder], speed_option: settings.speed or speed}
    if encoder.startswith("libvpx"):
        options["keyint_min"] = str(_NEVER)  # as long as gop_size: no keyframe where the scene changes
    if encoder == "libx264":
        options |= _x264_options(settings.parameters)
    return options


def _x264_options(parameters: str) -> dict[str, str]:
    try:
        wanted = H264Parameters.parse(parameters)
    except WireError as error:
        raise InvalidArgument(f"format parameters of H264: {error}") from error
    # Without parameters the profile that every WebRTC endpoint decodes (RFC 7742 section 6.2).
    profile = wanted.profile_level_id.profile
    options = {"profile": "high" if profile is None else _X264_PROFILES.get(profile, "high")}
    if parameters and wanted.packetization_mode == 0:
        options["slice-max-size"] = str(_H264_SLICE_BYTES_MAX)
    return options


def _rate_options(encoder: str, bitrate_bps: int, threads: int) -> dict[str, str]:
    """A constant bitrate over the length of a buffer, in each encoder's words."""
    if encoder == "librav1e":
        return {}
    if encoder == "libsvtav1":
        # Low delay prediction, constant bitrate; it has a scale of its own for threads.
        return {"svtav1-params": f"rtc=1:pred-struct=1:rc=2:lp={min(threads, _SVT_PARALLELISM_MAX)}"}
    rate, buffer = str(bitrate_bps), round(bitrate_bps * _BUFFER_S.get(encoder, 1.0))
    if encoder == "libx264":
        return {"maxrate": str(max(_RUNNING_BITRATE_BPS_MAX, bitrate_bps)), "bufsize": str(buffer)}
    return {"minrate": rate, "maxrate": rate, "bufsize": str(buffer), "rc_init_occupancy": str(buffer * 6 // 10)}
