"""An encoder for each format that this build of FFmpeg can make."""

from __future__ import annotations

from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.audio_encoder import AudioEncoder
from sans_rtc_av.encoded import Encoder
from sans_rtc_av.formats import format_of
from sans_rtc_av.settings import EncoderSettings
from sans_rtc_av.video_encoder import VideoEncoder


def new_encoder(codec_name: str, settings: EncoderSettings | None = None) -> Encoder:
    """An encoder of this format ("opus", "PCMU", "PCMA", "G722", "VP8", "VP9", "H264", "AV1", in any case).

    Errors   InvalidArgument for another name or bad settings; MissingCodecs where this build has no encoder of it
    """
    row = format_of(codec_name)
    settings = settings or EncoderSettings()
    return AudioEncoder(row, settings) if row.kind is MediaKind.AUDIO else VideoEncoder(row, settings)
