"""What an application may wish of encoders and decoders, with bounds."""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.validators import count, none_or, number, seconds, within

_OPUS_FRAMES_S = (0.0025, 0.005, 0.01, 0.02, 0.04, 0.06)


@attrs.frozen(slots=True)
class EncoderSettings:
    """How to encode.

    bitrate_bps          at the beginning; None: 1 Mbit/s video, 32 kbit/s a channel of Opus
    frame_rate           video: what the bitrate is shared over, and how far frames without a timestamp are apart
    keyframe_interval_s  video: a keyframe at least so often; 0: at the beginning and when asked for
    threads              video: so many work at a time; SVT-AV1 has one for each of its stages, 16 with `threads` 1
    speed                video: the encoder's own scale ("cpu-used" of libvpx and libaom, "preset" of x264 and SVT);
                         None: fast enough for 720p on one core
    encoder              FFmpeg's name of one, None: the first of `available_encoders`
    parameters           format parameters that the receiver has said in `a=fmtp`: profile of H.264, stereo and FEC of
                         Opus, ...
    channels             audio: 1 or 2; None: 2 for Opus where the receiver says stereo=1, else 1
    frame_s              audio: how long a packet is
    packet_loss_percent  Opus: how much its error correction is made for
    reopen_down_s, reopen_up_s  video encoders that keep their bitrate until they are opened anew (all but x264): how
                         long after the last opening a lower or a higher bitrate costs a keyframe; see `set_bitrate`
    """

    bitrate_bps: int | None = attrs.field(default=None, validator=none_or(within(6_000, 200_000_000)))
    frame_rate: float = number(30.0, 1.0, 240.0)
    keyframe_interval_s: float = seconds(0.0, 0.0, 3600.0)
    threads: int = count(1, 1, 16)
    speed: str | None = None
    encoder: str | None = None
    parameters: str = ""
    channels: int | None = attrs.field(default=None, validator=none_or(within(1, 2)))
    frame_s: float = 0.02
    packet_loss_percent: int = count(10, 0, 100)
    reopen_down_s: float = seconds(1.0, 0.0, 60.0)
    reopen_up_s: float = seconds(5.0, 0.0, 600.0)

    def __attrs_post_init__(self) -> None:
        if self.frame_s not in _OPUS_FRAMES_S:
            raise InvalidArgument(f"frame_s is one of {_OPUS_FRAMES_S}, not {self.frame_s}")


@attrs.frozen(slots=True)
class DecoderSettings:
    """How to decode.

    threads             video: at most so many, within a picture: none waits for a later one
    frame_bytes_max     a longer frame is discarded; 4 MiB is a keyframe of 8K video at its best
    picture_pixels_max  a larger picture is discarded: 8192 x 4320
    waits_for_keyframe  video: nothing is decoded before a keyframe, nor after a loss before the next one; False: what
                        can be decoded is, which shows damaged pictures (a stream with gradual refresh needs it)
    """

    threads: int = count(1, 1, 16)
    frame_bytes_max: int = count(4 << 20, 1, 64 << 20)
    picture_pixels_max: int = count(8192 * 4320, 1, 1 << 28)
    waits_for_keyframe: bool = True
