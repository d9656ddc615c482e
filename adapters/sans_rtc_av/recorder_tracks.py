"""One track of a recording: from frames as they were received to what the file takes.

    VideoCopy   as it is; H.264 keyframes get the parameter sets that came before them
    SoundCopy   as it is; in a file without timestamps gaps become silence
    SoundPcm    decoded to samples of 16 bits, likewise
    SoundOpus   decoded and encoded as Opus

Each gives pieces: bytes with the seconds where they begin.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.container import OutputContainer
from av.stream import Stream

from sans_rtc.errors import WireError
from sans_rtc.rtp.payload import (
    join_annex_b,
    parse_av1_sequence_header,
    parse_h264_sps,
    parse_obus,
    parse_vp8_frame_header,
    parse_vp9_frame_header,
    split_annex_b,
)
from sans_rtc.rtp.payload.av1_obu import ObuType
from sans_rtc.rtp.payload.h264 import H264NalType, h264_parameter_sets, nal_type
from sans_rtc_av.decoders import Decoder, new_decoder
from sans_rtc_av.encoders import new_encoder
from sans_rtc_av.formats import Format
from sans_rtc_av.frames import samples_of_sound
from sans_rtc_av.settings import EncoderSettings

_TICKS = 90000
_OPUS_RATE = 48000
_OPUS_DELAY = Fraction(
    312, _OPUS_RATE
)  # of libopus, which browsers have too; the file says so, and players take it off
_SILENCE = {"PCMU": b"\xff", "PCMA": b"\xd5"}
_STEREO_BIT = 0x04  # of the TOC byte (RFC 6716 section 3.1)
# Less is rounding, not a gap.
_GAP_S = Fraction(1, 200)
# A packet may claim to come half a minute later; all of them together do not fill a disk with silence.
_SILENCE_S_MAX = 3600


@attrs.define(slots=True)
class Piece:
    """What is written at once: begin and duration in seconds."""

    data: bytes
    begin: Fraction
    duration: Fraction
    is_keyframe: bool


class TrackWriter(Protocol):
    """What a recorder asks of a track."""

    ticks: int

    def accepts_first(self, data: bytes) -> bool:
        """Whether a recording of this track can begin with this frame."""
        ...

    def add_to(self, container: OutputContainer, first: bytes) -> Stream:
        """Make the stream in the file; `first` is the frame that it begins with."""
        ...

    def pieces(self, data: bytes, timestamp: int, begin: Fraction) -> list[Piece]:
        """What to write for a frame."""
        ...

    def end(self) -> list[Piece]:
        """What is left to write."""
        ...


class VideoCopy:
    """Video without transcoding."""

    def __init__(self, row: Format) -> None:
        self.ticks = _TICKS
        self._row = row
        self._sets = h264_parameter_sets() if row.name == "H264" else None
        self._begin: Fraction | None = None
        self._duration = Fraction(1, 30)  # until two frames tell

    def accepts_first(self, data: bytes) -> bool:
        """A keyframe with its size: for H.264 that is in a parameter set, which may have come before."""
        completed = self._completed(data)  # and remembered, whether it is a keyframe or not
        return self._row.codec.is_keyframe(data) and _size_of(self._row.name, completed) is not None

    def add_to(self, container: OutputContainer, first: bytes) -> Stream:
        """A stream of the size of the first keyframe."""
        width, height = _size_of(self._row.name, self._completed(first)) or (0, 0)
        return container.add_mux_stream(self._row.file_codec, width=width, height=height)

    def pieces(self, data: bytes, timestamp: int, begin: Fraction) -> list[Piece]:
        """The frame itself."""
        if self._begin is not None and begin > self._begin:
            self._duration = min(begin - self._begin, Fraction(1))
        self._begin = begin
        is_keyframe = self._row.codec.is_keyframe(data)
        return [Piece(self._completed(data) if is_keyframe else data, begin, self._duration, is_keyframe)]

    def end(self) -> list[Piece]:
        """Nothing."""
        return []

    def _completed(self, data: bytes) -> bytes:
        if self._sets is None:
            return data
        try:
            return join_annex_b(self._sets.complete(split_annex_b(data)))
        except WireError:
            return data


class SoundCopy:
    """Audio without transcoding."""

    def __init__(self, row: Format, is_timeless: bool) -> None:
        self.ticks = row.clock_rate
        self._row = row
        self._filler = _Filler(8000, _SILENCE[row.name]) if is_timeless else None

    def accepts_first(self, data: bytes) -> bool:
        """A frame that has a duration."""
        return self._duration(data) is not None

    def add_to(self, container: OutputContainer, first: bytes) -> Stream:
        """A stream of the channels of the first frame."""
        row = self._row
        if row.name == "opus":
            return _opus_stream(container, 2 if first[0] & _STEREO_BIT else 1)
        return _samples_stream(container, row.encoders[0], row.sample_rate, 1)

    def pieces(self, data: bytes, timestamp: int, begin: Fraction) -> list[Piece]:
        """The frame itself, with silence before it where the file needs that."""
        duration = self._duration(data)
        if duration is None:
            return []
        if self._filler is not None:
            return self._filler.fill(data, begin)
        return [Piece(data, begin - _OPUS_DELAY if self._row.name == "opus" else begin, duration, True)]

    def end(self) -> list[Piece]:
        """Nothing."""
        return []

    def _duration(self, data: bytes) -> Fraction | None:
        assert self._row.codec.duration is not None
        try:
            return Fraction(self._row.codec.duration(data), self._row.clock_rate)
        except WireError:
            return None


class SoundPcm:
    """Audio decoded to samples of 16 bits."""

    def __init__(self, row: Format, is_timeless: bool) -> None:
        self._row = row
        self.ticks = row.sample_rate
        self._channels = row.channels_max
        self._decoder = new_decoder(row.name)
        self._filler = _Filler(row.sample_rate, bytes(2 * self._channels)) if is_timeless else None

    def accepts_first(self, data: bytes) -> bool:
        """Any."""
        return bool(data)

    def add_to(self, container: OutputContainer, first: bytes) -> Stream:
        """A stream of samples."""
        return _samples_stream(container, "pcm_s16le", self._row.sample_rate, self._channels)

    def pieces(self, data: bytes, timestamp: int, begin: Fraction) -> list[Piece]:
        """The samples of the frame, with silence before them where the file needs that."""
        pieces: list[Piece] = []
        for sound in _sounds(self._decoder, data, timestamp):
            samples = samples_of_sound(sound)
            if self._filler is not None:
                pieces += self._filler.fill(samples, begin)
            else:
                pieces.append(Piece(samples, begin, Fraction(sound.samples, sound.sample_rate), True))
        return pieces

    def end(self) -> list[Piece]:
        """Nothing."""
        return []


class SoundOpus:
    """Audio decoded and encoded as Opus."""

    def __init__(self, row: Format) -> None:
        self.ticks = _OPUS_RATE
        self._decoder = new_decoder(row.name)
        self._encoder = new_encoder("opus", EncoderSettings(channels=row.channels_max))
        self._channels = row.channels_max
        self._end = Fraction(0)

    def accepts_first(self, data: bytes) -> bool:
        """Any."""
        return bool(data)

    def add_to(self, container: OutputContainer, first: bytes) -> Stream:
        """A stream of Opus."""
        return _opus_stream(container, self._channels)

    def pieces(self, data: bytes, timestamp: int, begin: Fraction) -> list[Piece]:
        """The packets that are full."""
        pieces: list[Piece] = []
        for sound in _sounds(self._decoder, data, timestamp):
            begin = max(begin, self._end)
            self._end = begin + Fraction(sound.samples, sound.sample_rate)
            sound.pts, sound.time_base = round(begin * sound.sample_rate), Fraction(1, sound.sample_rate)
            pieces += [
                _opus_piece(frame.data, frame.timestamp, frame.duration) for frame in self._encoder.encode(sound)
            ]
        return pieces

    def end(self) -> list[Piece]:
        """The packet that is open."""
        return [_opus_piece(frame.data, frame.timestamp, frame.duration) for frame in self._encoder.flush()]


class _Filler:
    """Puts silence where there is a gap, and leaves out what comes twice, for files without timestamps."""

    def __init__(self, rate: int, silence: bytes) -> None:
        self._rate = rate
        self._silence = silence
        self._written = 0  # samples
        self._silent = 0  # of them
        self._left_out = 0  # silent ones beyond the bound

    def fill(self, data: bytes, begin: Fraction) -> list[Piece]:
        count = len(data) // len(self._silence)
        gap = round(begin * self._rate) - self._written - self._left_out
        pieces: list[Piece] = []
        if gap > _GAP_S * self._rate and self._silent + gap > _SILENCE_S_MAX * self._rate:
            self._left_out += gap
        elif gap > _GAP_S * self._rate:
            self._silent += gap
            pieces.append(self._piece(self._silence * gap, gap))
        elif gap < -_GAP_S * self._rate:
            skipped = min(-gap, count)
            data, count = data[skipped * len(self._silence) :], count - skipped
        return [*pieces, self._piece(data, count)] if count else pieces

    def _piece(self, data: bytes, count: int) -> Piece:
        begin = Fraction(self._written, self._rate)
        self._written += count
        return Piece(data, begin, Fraction(count, self._rate), True)


def new_track_writer(row: Format, stored_as: str, is_timeless: bool) -> TrackWriter:
    """The writer of a track that becomes `stored_as` in the file."""
    if stored_as == "pcm":
        return SoundPcm(row, is_timeless)
    if stored_as == row.name:
        return SoundCopy(row, is_timeless) if row.sample_rate else VideoCopy(row)
    return SoundOpus(row)


def _opus_piece(data: bytes, timestamp: int, duration: int) -> Piece:
    return Piece(data, Fraction(timestamp, _OPUS_RATE) - _OPUS_DELAY, Fraction(duration, _OPUS_RATE), True)


def _sounds(decoder: Decoder, data: bytes, timestamp: int) -> list[av.AudioFrame]:
    return [frame for frame in decoder.decode(data, timestamp) if isinstance(frame, av.AudioFrame)]


def _opus_stream(container: OutputContainer, channels: int) -> Stream:
    # FFmpeg's encoder, opened and never used, brings the header of Opus (RFC 7845 section 5.1) and its delay.
    return _samples_stream(container, "libopus", _OPUS_RATE, channels)


def _samples_stream(container: OutputContainer, codec: str, rate: int, channels: int) -> Stream:
    stream = container.add_stream(codec, rate=rate)
    context = stream.codec_context
    assert isinstance(context, AudioCodecContext)
    context.layout = "mono" if channels == 1 else "stereo"
    context.format = "s16"
    context.time_base = Fraction(1, rate)
    context.open()
    return stream


def _size_of(codec_name: str, keyframe: bytes) -> tuple[int, int] | None:
    """Width and height in a keyframe; None: it does not say."""
    try:
        if codec_name == "VP8":
            vp8 = parse_vp8_frame_header(keyframe)
            return vp8.width, vp8.height
        if codec_name == "VP9":
            vp9 = parse_vp9_frame_header(keyframe)
            return vp9.width, vp9.height
        if codec_name == "H264":
            return _h264_size(keyframe)
        headers = [obu.payload for obu in parse_obus(keyframe) if obu.type == ObuType.SEQUENCE_HEADER]
        av1 = parse_av1_sequence_header(headers[0])
        return av1.width, av1.height
    except (WireError, IndexError):
        return None


def _h264_size(keyframe: bytes) -> tuple[int, int] | None:
    for unit in split_annex_b(keyframe):
        if nal_type(unit) == H264NalType.SPS:
            sps = parse_h264_sps(unit)
            return sps.width, sps.height
    return None
