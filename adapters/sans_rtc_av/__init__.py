"""Codecs, players and recorders by PyAV: the extra `av`, `pip install sans-rtc[av]`.

from sans_rtc_av import new_encoder, new_decoder, Player, Recorder, PictureSource, ToneSource

Nothing here has a loop, a clock or a socket; files are all the I/O there is. Importing it without PyAV raises
MissingCodecs, which is an ImportError and a LocalError.
"""

# ruff: noqa: E402, I001  # the check comes first, so that what is missing is said clearly
from sans_rtc_av.requirement import CodecFailed, MissingCodecs, require_av

require_av()

from sans_rtc_av.encoded import EncodedFrame, Encoder, EncoderStats
from sans_rtc_av.encoders import new_encoder
from sans_rtc_av.decoders import Decoder, DecoderStats, DiscardReason, new_decoder
from sans_rtc_av.formats import available_decoders, available_encoders
from sans_rtc_av.frames import picture_of_planes, planes_of_picture, samples_of_sound, sound_of_samples
from sans_rtc_av.played import PlayedFrame, PlayerStats, Transcode
from sans_rtc_av.player import Player
from sans_rtc_av.recorder import Recorder, RecorderDiscardReason, RecorderSettings, TrackStats
from sans_rtc_av.settings import DecoderSettings, EncoderSettings
from sans_rtc_av.source_player import SourcePlayer
from sans_rtc_av.sources import PictureSource, ToneSource, frame_number_of

__all__ = [
    "CodecFailed",
    "Decoder",
    "DecoderSettings",
    "DecoderStats",
    "DiscardReason",
    "EncodedFrame",
    "Encoder",
    "EncoderSettings",
    "EncoderStats",
    "MissingCodecs",
    "PictureSource",
    "PlayedFrame",
    "Player",
    "PlayerStats",
    "Recorder",
    "RecorderDiscardReason",
    "RecorderSettings",
    "SourcePlayer",
    "ToneSource",
    "TrackStats",
    "Transcode",
    "available_decoders",
    "available_encoders",
    "frame_number_of",
    "new_decoder",
    "new_encoder",
    "picture_of_planes",
    "planes_of_picture",
    "samples_of_sound",
    "sound_of_samples",
]
