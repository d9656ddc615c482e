"""The one table of codecs: everything that SDP and the media path ask of a format, by its name.

The order is the one that browsers offer in. The parameters are what Chromium says of itself, without what depends on
payload types of the session: RED names them, `a=fmtp:63 111/111`, and whoever writes the description fills them in.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import attrs

from sans_rtc.entropy import Entropy, draw_uint
from sans_rtc.rtp.payload.audio import SampleFormat, l16_format
from sans_rtc.rtp.payload.av1 import (
    Av1Depacketizer,
    Av1Packetizer,
    is_av1_frame_start,
    is_av1_keyframe,
    is_av1_keyframe_payload,
    negotiate_av1,
)
from sans_rtc.rtp.payload.comfort_noise import ComfortNoiseFormat
from sans_rtc.rtp.payload.fmtp import keep_ours
from sans_rtc.rtp.payload.h264 import (
    H264Depacketizer,
    H264Packetizer,
    is_h264_frame_start,
    is_h264_keyframe,
    is_h264_keyframe_payload,
)
from sans_rtc.rtp.payload.h264_profile import H264Parameters, negotiate_h264
from sans_rtc.rtp.payload.h265 import (
    H265Depacketizer,
    H265Packetizer,
    is_h265_frame_start,
    is_h265_keyframe,
    is_h265_keyframe_payload,
    negotiate_h265,
)
from sans_rtc.rtp.payload.interface import Codec, Depacketizer, MediaKind, Packetizer, Purpose
from sans_rtc.rtp.payload.opus import OpusDepacketizer, OpusPacketizer, negotiate_opus, opus_duration
from sans_rtc.rtp.payload.red import negotiate_red
from sans_rtc.rtp.payload.telephone_event import EventFormat, negotiate_events
from sans_rtc.rtp.payload.vp8 import (
    Vp8Depacketizer,
    Vp8Packetizer,
    is_vp8_frame_start,
    is_vp8_keyframe,
    is_vp8_keyframe_payload,
    negotiate_vp8,
)
from sans_rtc.rtp.payload.vp9 import (
    Vp9Depacketizer,
    Vp9Packetizer,
    is_vp9_frame_start,
    is_vp9_keyframe,
    is_vp9_keyframe_payload,
    negotiate_vp9,
)

VIDEO_CLOCK_RATE = 90000
_BYTE_SAMPLES = SampleFormat(1)


def _packetizer_of(make: Callable[[], Packetizer]) -> Callable[[str, Entropy], Packetizer]:
    return lambda parameters, entropy: make()


def _depacketizer_of(make: Callable[[], Depacketizer]) -> Callable[[str], Depacketizer]:
    return lambda parameters: make()


def _new_vp8_packetizer(parameters: str, entropy: Entropy) -> Packetizer:
    return Vp8Packetizer(first_picture_id=draw_uint(entropy, 16) & 0x7FFF)


def _new_vp9_packetizer(parameters: str, entropy: Entropy) -> Packetizer:
    return Vp9Packetizer(first_picture_id=draw_uint(entropy, 16) & 0x7FFF)


def _new_h264_packetizer(parameters: str, entropy: Entropy) -> Packetizer:
    return H264Packetizer(min(H264Parameters.parse(parameters).packetization_mode, 1), repeats_parameter_sets=True)


def _new_h265_packetizer() -> Packetizer:
    return H265Packetizer(repeats_parameter_sets=True)


_audio = partial(Codec, kind=MediaKind.AUDIO)
_video = partial(Codec, kind=MediaKind.VIDEO, clock_rate=VIDEO_CLOCK_RATE, channels=1, payload_type=None)

_samples = partial(
    _audio,
    clock_rate=8000,
    channels=1,
    parameters="",
    negotiate=keep_ours,
    new_packetizer=_packetizer_of(lambda: _BYTE_SAMPLES),
    new_depacketizer=_depacketizer_of(lambda: _BYTE_SAMPLES),
    duration=_BYTE_SAMPLES.duration,
)
_h264 = partial(
    _video,
    name="H264",
    section="RFC 6184",
    negotiate=negotiate_h264,
    new_packetizer=_new_h264_packetizer,
    new_depacketizer=_depacketizer_of(H264Depacketizer),
    is_keyframe=is_h264_keyframe,
    is_keyframe_payload=is_h264_keyframe_payload,
    is_frame_start=is_h264_frame_start,
)
_noise = partial(
    _audio,
    name="CN",
    channels=1,
    parameters="",
    section="RFC 3389",
    negotiate=keep_ours,
    new_packetizer=_packetizer_of(ComfortNoiseFormat),
    new_depacketizer=_depacketizer_of(ComfortNoiseFormat),
    purpose=Purpose.COMFORT_NOISE,
    is_rate_free=True,
)
_events = partial(
    _audio,
    name="telephone-event",
    channels=1,
    payload_type=None,
    parameters="0-15",
    section="RFC 4733",
    negotiate=negotiate_events,
    new_packetizer=_packetizer_of(EventFormat),
    new_depacketizer=_depacketizer_of(EventFormat),
    purpose=Purpose.EVENTS,
    is_rate_free=True,
)


def _l16(clock_rate: int, channels: int, payload_type: int | None) -> Codec:
    samples = l16_format(channels)
    return _audio(
        name="L16",
        clock_rate=clock_rate,
        channels=channels,
        payload_type=payload_type,
        parameters="",
        section="RFC 3551 4.5.11",
        negotiate=keep_ours,
        new_packetizer=_packetizer_of(lambda: samples),
        new_depacketizer=_depacketizer_of(lambda: samples),
        duration=samples.duration,
        is_rate_free=True,
    )


CODECS: tuple[Codec, ...] = (
    _audio(
        name="opus",
        clock_rate=48000,
        channels=2,
        payload_type=None,
        parameters="minptime=10;useinbandfec=1",
        section="RFC 7587",
        negotiate=negotiate_opus,
        new_packetizer=_packetizer_of(OpusPacketizer),
        new_depacketizer=_depacketizer_of(OpusDepacketizer),
        duration=opus_duration,
    ),
    _audio(
        name="red",
        clock_rate=48000,
        channels=2,
        payload_type=None,
        parameters="",
        section="RFC 2198",
        negotiate=negotiate_red,
        purpose=Purpose.REDUNDANCY,
        is_rate_free=True,
    ),
    _samples(name="G722", payload_type=9, section="RFC 3551 4.5.2"),
    _samples(name="PCMU", payload_type=0, section="RFC 3551 4.5.14"),
    _samples(name="PCMA", payload_type=8, section="RFC 3551 4.5.14"),
    _noise(clock_rate=8000, payload_type=13),
    _events(clock_rate=48000),
    _events(clock_rate=8000),
    _l16(44100, 2, 10),
    _l16(44100, 1, 11),
    _video(
        name="VP8",
        parameters="",
        section="RFC 7741",
        negotiate=negotiate_vp8,
        new_packetizer=_new_vp8_packetizer,
        new_depacketizer=_depacketizer_of(Vp8Depacketizer),
        is_keyframe=is_vp8_keyframe,
        is_keyframe_payload=is_vp8_keyframe_payload,
        is_frame_start=is_vp8_frame_start,
    ),
    _video(
        name="VP9",
        parameters="profile-id=0",
        section="RFC 9628",
        negotiate=negotiate_vp9,
        new_packetizer=_new_vp9_packetizer,
        new_depacketizer=_depacketizer_of(Vp9Depacketizer),
        is_keyframe=is_vp9_keyframe,
        is_keyframe_payload=is_vp9_keyframe_payload,
        is_frame_start=is_vp9_frame_start,
    ),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f"),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f"),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f"),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
    _h264(parameters="level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f"),
    _video(
        name="AV1",
        parameters="level-idx=5;profile=0;tier=0",
        section="AV1 RTP 1.0",
        negotiate=negotiate_av1,
        new_packetizer=_packetizer_of(Av1Packetizer),
        new_depacketizer=_depacketizer_of(Av1Depacketizer),
        is_keyframe=is_av1_keyframe,
        is_keyframe_payload=is_av1_keyframe_payload,
        is_frame_start=is_av1_frame_start,
    ),
    _video(
        name="H265",
        parameters="level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST",
        section="RFC 7798",
        negotiate=negotiate_h265,
        new_packetizer=_packetizer_of(_new_h265_packetizer),
        new_depacketizer=_depacketizer_of(H265Depacketizer),
        is_keyframe=is_h265_keyframe,
        is_keyframe_payload=is_h265_keyframe_payload,
        is_frame_start=is_h265_frame_start,
    ),
)


def codecs_named(name: str, clock_rate: int | None = None, channels: int | None = None) -> list[Codec]:
    """The rows of this encoding name (in any case), clock rate and number of channels, in our order; None: any.

    A format that exists at any rate comes with the rate and the channels that were asked for.
    """
    rows = [codec for codec in CODECS if codec.name.lower() == name.lower()]
    exact = [codec for codec in rows if _is_match(codec, clock_rate, channels)]
    if exact or not rows or not rows[0].is_rate_free:
        return exact
    return [_at_rate(rows[-1], clock_rate or rows[-1].clock_rate, channels or rows[-1].channels)]


def codec_of_payload_type(payload_type: int) -> Codec | None:
    """The codec with this static payload type (RFC 3551 section 6)."""
    return next((codec for codec in CODECS if codec.payload_type == payload_type), None)


def _is_match(codec: Codec, clock_rate: int | None, channels: int | None) -> bool:
    return clock_rate in (None, codec.clock_rate) and channels in (None, codec.channels)


def _at_rate(codec: Codec, clock_rate: int, channels: int) -> Codec:
    if codec.name == "L16":
        return _l16(clock_rate, channels, None)
    return attrs.evolve(codec, clock_rate=clock_rate, channels=channels, payload_type=None)
