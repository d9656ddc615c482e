"""The one table of what FFmpeg calls the formats of RTP, and how its encoders are told to work in real time.

A row is found by the name that stands in `a=rtpmap`. The encoders of a row are tried in order: a build of FFmpeg has
some of them. Options that depend on a setting are made in `video_encoder` and `audio_encoder`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from typing import Literal

import attrs
from av import Codec as AvCodec

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import CODECS, Codec, MediaKind
from sans_rtc_av.requirement import MissingCodecs


@attrs.frozen(slots=True)
class Format:
    """One format.

    codec          the row of the core's table: name, clock rate, what a keyframe is
    encoders       FFmpeg's names, the best one first
    decoders       likewise
    file_codec     what files call it
    sample_rate    audio: samples in a second, which for G722 is not the clock rate
    channels_max   audio
    """

    codec: Codec
    encoders: tuple[str, ...]
    decoders: tuple[str, ...]
    file_codec: str
    sample_rate: int = 0
    channels_max: int = 0

    @property
    def name(self) -> str:
        """The encoding name, as in `a=rtpmap`."""
        return self.codec.name

    @property
    def kind(self) -> MediaKind:
        """Audio or video."""
        return self.codec.kind

    @property
    def clock_rate(self) -> int:
        """Ticks of the RTP timestamp in a second."""
        return self.codec.clock_rate


def _row(name: str) -> Codec:
    return next(codec for codec in CODECS if codec.name == name)


FORMATS: tuple[Format, ...] = (
    Format(_row("opus"), ("libopus",), ("libopus", "opus"), "opus", 48000, 2),
    Format(_row("G722"), ("g722",), ("g722",), "adpcm_g722", 16000, 1),
    Format(_row("PCMU"), ("pcm_mulaw",), ("pcm_mulaw",), "pcm_mulaw", 8000, 1),
    Format(_row("PCMA"), ("pcm_alaw",), ("pcm_alaw",), "pcm_alaw", 8000, 1),
    Format(_row("VP8"), ("libvpx",), ("vp8", "libvpx"), "vp8"),
    Format(_row("VP9"), ("libvpx-vp9",), ("vp9", "libvpx-vp9"), "vp9"),
    Format(_row("H264"), ("libx264",), ("h264",), "h264"),
    Format(_row("AV1"), ("libaom-av1", "libsvtav1", "librav1e"), ("libdav1d", "libaom-av1"), "av1"),
)

# What makes each encoder one for conversations: a frame out for each frame in, no frame that needs a later one, a
# bitrate kept over a second, keyframes when asked for.
REALTIME_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "libvpx": {
        "deadline": "realtime", "lag-in-frames": "0", "error-resilient": "default", "static-thresh": "1",
        "max-intra-rate": "450", "undershoot-pct": "100", "overshoot-pct": "15", "qmin": "2", "qmax": "63",
    },
    "libvpx-vp9": {
        "deadline": "realtime", "lag-in-frames": "0", "error-resilient": "default", "row-mt": "1", "aq-mode": "3",
        "max-intra-rate": "450", "undershoot-pct": "100", "overshoot-pct": "15", "qmin": "2", "qmax": "63",
    },
    "libx264": {"tune": "zerolatency", "forced-idr": "1", "sc_threshold": "0"},
    "libaom-av1": {"usage": "realtime", "lag-in-frames": "0", "row-mt": "1", "aq-mode": "3"},
    "libsvtav1": {},
    "librav1e": {"rav1e-params": "low_latency=true"},
}  # fmt: skip

# How fast: the option, and what it is where the settings do not say.
SPEED_OPTIONS: Mapping[str, tuple[str, str]] = {
    "libvpx": ("cpu-used", "-8"),
    "libvpx-vp9": ("cpu-used", "8"),
    "libx264": ("preset", "superfast"),
    "libaom-av1": ("cpu-used", "9"),
    "libsvtav1": ("preset", "11"),
    "librav1e": ("speed", "10"),
}


def format_of(codec_name: str) -> Format:
    """The row of this encoding name, in any case; InvalidArgument where there is none."""
    for row in FORMATS:
        if row.name.lower() == codec_name.lower():
            return row
    raise InvalidArgument(f"no encoder or decoder for {codec_name!r}: {', '.join(row.name for row in FORMATS)}")


def format_of_file(file_codec: str) -> Format | None:
    """The row of what a file holds, by FFmpeg's name of the codec; None: nothing that RTP carries here."""
    return next((row for row in FORMATS if row.file_codec == file_codec), None)


@cache
def is_built(name: str, mode: Literal["r", "w"]) -> bool:
    """Whether FFmpeg was built with this encoder ("w") or decoder ("r")."""
    try:
        AvCodec(name, mode)
    except ValueError:
        return False
    return True


def available_encoders() -> dict[str, tuple[str, ...]]:
    """The encoders of this build by encoding name, the one that is used first; a name without any is left out."""
    found = {row.name: tuple(name for name in row.encoders if is_built(name, "w")) for row in FORMATS}
    return {name: encoders for name, encoders in found.items() if encoders}


def available_decoders() -> dict[str, tuple[str, ...]]:
    """The decoders of this build by encoding name."""
    found = {row.name: tuple(name for name in row.decoders if is_built(name, "r")) for row in FORMATS}
    return {name: decoders for name, decoders in found.items() if decoders}


def encoder_for(row: Format, wanted: str | None = None) -> str:
    """FFmpeg's name of the encoder that is used: the wanted one, or the first that is built in."""
    if wanted is not None and wanted not in row.encoders:
        raise InvalidArgument(f"{wanted!r} is no encoder of {row.name}: {', '.join(row.encoders)}")
    for name in row.encoders if wanted is None else (wanted,):
        if is_built(name, "w"):
            if name == "libsvtav1":
                # SVT-AV1 tells its life on stderr unless the environment says otherwise; 1: errors only.
                os.environ.setdefault("SVT_LOG", "1")
            return name
    raise MissingCodecs(f"this build of PyAV has no encoder of {row.name}: {wanted or ', '.join(row.encoders)}")


def decoder_for(row: Format) -> str:
    """FFmpeg's name of the decoder that is used."""
    for name in row.decoders:
        if is_built(name, "r"):
            return name
    raise MissingCodecs(f"this build of PyAV has no decoder of {row.name}: {', '.join(row.decoders)}")
