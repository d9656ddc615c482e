"""Audio encoders: sounds of any rate, format and length in, one frame for each packet's length out.

    sound -> resampler -> samples of 16 bits -> cut to packets -> encoder -> EncodedFrame

The timestamp of a packet is that of its first sample, so a gap between sounds is a gap between timestamps. The delay
inside Opus (6.5 ms) and G722 (1.4 ms) is not taken off: it is the same for the whole stream.
"""

from __future__ import annotations

from collections import deque
from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp.payload import OpusParameters
from sans_rtc_av.encoded import EncodedFrame, EncoderStats
from sans_rtc_av.formats import Format, encoder_for
from sans_rtc_av.frames import samples_of_sound, sound_of_samples
from sans_rtc_av.requirement import CodecFailed
from sans_rtc_av.settings import EncoderSettings

_OPUS_BITRATE_BPS = 32_000  # a channel
_OPUS_BITRATE_BPS_MAX = 256_000  # likewise; FFmpeg takes no more
_LAYOUTS = {1: "mono", 2: "stereo"}
_SAMPLE_BYTES = 2
# A smaller change is not worth opening Opus anew: its state, and so a few samples of smoothness, is lost.
_TOLERANCE = 0.1
# RFC 7587 section 3.1.1, table 1: audio bandwidths and the sampling rates that each is good for, Hz.
_BANDWIDTHS = {4000: 8000, 6000: 12000, 8000: 16000, 12000: 24000, 20000: 48000}


class AudioEncoder:
    """Makes packets of one format of sounds of any rate, sample format and number of channels.

    format, stats  what it makes; what it has made
    channels       that it makes
    """

    def __init__(self, row: Format, settings: EncoderSettings) -> None:
        self.format = row
        self.stats = EncoderStats()
        self.encoder_name = encoder_for(row, settings.encoder)
        self._settings = settings
        self._opus = _opus_parameters(settings.parameters) if row.name == "opus" else None
        self.channels = settings.channels or (2 if self._opus and self._opus.stereo else 1)
        if self.channels > row.channels_max:
            raise InvalidArgument(f"{row.name} has {row.channels_max} channel, not {self.channels}")
        self._packet_samples = round(row.sample_rate * settings.frame_s)
        self._packet_bytes = self._packet_samples * self.channels * _SAMPLE_BYTES
        if row.name != "opus" and settings.frame_s < 0.01:
            raise InvalidArgument(f"{row.name} has packets of 0.01 s at least")
        self._bitrate_bps = self._bounded(settings.bitrate_bps or _OPUS_BITRATE_BPS * self.channels)
        self._opened_bitrate_bps = 0
        self._context: AudioCodecContext | None = None
        self._timestamps: deque[int] = deque()  # of packets that the encoder has not given yet
        self._resampler: av.AudioResampler | None = None
        self._source: tuple[str, str, int] | None = None  # format, layout and rate that the resampler is made for
        self._samples = bytearray()
        self._position = 0  # of the first of these samples
        self._expected: Fraction | None = None  # seconds: where the next sound begins if there is no gap

    def encode(self, frame: av.VideoFrame | av.AudioFrame) -> list[EncodedFrame]:
        """Take one sound.

        frame    `pts` in `time_base`, or in samples without one; no `pts`: behind the one before
        Returns  the packets that are full; a gap of more than a packet, or another kind of sound, ends the one that is
                 open with silence
        Errors   InvalidArgument for a picture, a sound without samples, and one that begins more than a packet
                 before the end of the one before; CodecFailed
        """
        if not isinstance(frame, av.AudioFrame) or not frame.samples or not frame.sample_rate:
            raise InvalidArgument(f"{self.format.name} takes sounds")
        begin = self._begin_of(frame)
        encoded = self._begin_anew(begin) if self._is_apart(begin) else []
        encoded += self._prepare_resampler(frame)
        assert self._resampler is not None
        for part in self._resampler.resample(frame):
            self._samples += samples_of_sound(part)
        self._expected = begin + Fraction(frame.samples, frame.sample_rate)
        encoded += self._encode_full_packets()
        self.stats.count(encoded)
        return encoded

    def request_keyframe(self) -> None:
        """Nothing: each packet of sound is one."""

    def set_bitrate(self, bitrate_bps: int) -> None:
        """Aim at this bitrate: Opus is opened anew for a change of a tenth at least; the others have one bitrate."""
        if bitrate_bps <= 0:
            raise InvalidArgument(f"a bitrate is above 0, not {bitrate_bps}")
        self._bitrate_bps = self._bounded(bitrate_bps)

    def flush(self) -> list[EncodedFrame]:
        """Give the packet that is open, filled with silence."""
        encoded = self._drain_resampler()
        rest = -len(self._samples) % self._packet_bytes
        if rest:
            self._samples += bytes(rest)
        encoded += self._encode_full_packets()
        self.stats.count(encoded)
        return encoded

    def _bounded(self, bitrate_bps: int) -> int:
        bound = _OPUS_BITRATE_BPS_MAX * self.channels
        if self._opus and self._opus.maxaveragebitrate:
            bound = min(bound, self._opus.maxaveragebitrate)
        return max(6_000, min(bitrate_bps, bound))

    def _begin_of(self, frame: av.AudioFrame) -> Fraction:
        if frame.pts is None:
            return self._expected or Fraction(0)
        return frame.pts * (frame.time_base or Fraction(1, frame.sample_rate))

    def _is_apart(self, begin: Fraction) -> bool:
        if self._expected is None:
            return True
        gap_s = float(begin - self._expected)
        if gap_s < -self._settings.frame_s:
            raise InvalidArgument(f"a sound that begins {-gap_s:.3f} s before the end of the one before")
        return gap_s > self._settings.frame_s

    def _begin_anew(self, begin: Fraction) -> list[EncodedFrame]:
        encoded = [] if self._expected is None else self._end_packet()
        self._position = max(round(begin * self.format.sample_rate), self._position)
        return encoded

    def _end_packet(self) -> list[EncodedFrame]:
        encoded = self._drain_resampler()
        self._samples += bytes(-len(self._samples) % self._packet_bytes)
        return encoded + self._encode_full_packets()

    def _prepare_resampler(self, frame: av.AudioFrame) -> list[EncodedFrame]:
        source = frame.format.name, frame.layout.name, frame.sample_rate
        if source == self._source:
            return []
        encoded = self._drain_resampler()
        layout = _LAYOUTS[self.channels]
        self._resampler = av.AudioResampler(format="s16", layout=layout, rate=self.format.sample_rate)
        self._source = source
        return encoded

    def _drain_resampler(self) -> list[EncodedFrame]:
        resampler, self._resampler, self._source = self._resampler, None, None
        if resampler is not None:
            for part in resampler.resample(None):
                self._samples += samples_of_sound(part)
        return self._encode_full_packets()

    def _encode_full_packets(self) -> list[EncodedFrame]:
        encoded: list[EncodedFrame] = []
        size = self._packet_bytes
        while len(self._samples) >= size:
            encoded += self._submit(bytes(self._samples[:size]))
            del self._samples[:size]
            self._position += self._packet_samples
        return encoded

    def _submit(self, samples: bytes) -> list[EncodedFrame]:
        context = self._opened()
        row = self.format
        self._timestamps.append(self._position * row.clock_rate // row.sample_rate)
        sound = sound_of_samples(samples, sample_rate=row.sample_rate, channels=self.channels, timestamp=self._position)
        try:
            packets = context.encode(sound)
        except av.FFmpegError as error:
            raise CodecFailed(f"{self.encoder_name}: {error}") from error
        duration = self._packet_samples * row.clock_rate // row.sample_rate
        return [EncodedFrame(bytes(packet), self._timestamps.popleft(), True, duration) for packet in packets]

    def _opened(self) -> AudioCodecContext:
        is_changed = abs(self._bitrate_bps / (self._opened_bitrate_bps or 1) - 1) > _TOLERANCE
        if self._context is None or (self._opus is not None and is_changed):
            self._timestamps.clear()
            self._context = self._open()
            self._opened_bitrate_bps = self._bitrate_bps
            self.stats.openings += 1
        return self._context

    def _open(self) -> AudioCodecContext:
        context = av.CodecContext.create(self.encoder_name, "w")
        assert isinstance(context, AudioCodecContext)
        context.sample_rate = self.format.sample_rate
        context.layout = _LAYOUTS[self.channels]
        context.format = "s16"
        context.time_base = Fraction(1, self.format.sample_rate)
        if self._opus is not None:
            context.bit_rate = self._bitrate_bps
            context.options = self._opus_options(self._opus)
        try:
            context.open()
        except av.FFmpegError as error:
            raise CodecFailed(f"{self.encoder_name} cannot be opened: {error}") from error
        return context

    def _opus_options(self, wanted: OpusParameters) -> dict[str, str]:
        has_fec = bool(wanted.useinbandfec) and self._settings.packet_loss_percent > 0
        return {
            "frame_duration": f"{self._settings.frame_s * 1000:g}",
            "application": "voip" if self.channels == 1 else "audio",
            "fec": "1" if has_fec else "0",
            "packet_loss": str(self._settings.packet_loss_percent if has_fec else 0),
            "vbr": "off" if wanted.cbr else "on",
            "cutoff": str(_cutoff_hz(wanted.maxplaybackrate)),
        }


def _cutoff_hz(playback_rate: int) -> int:
    """The widest audio bandwidth of Opus that sound of this sampling rate makes use of (RFC 7587 section 7.1)."""
    return max((hz for hz, rate in _BANDWIDTHS.items() if rate <= playback_rate), default=min(_BANDWIDTHS))


def _opus_parameters(text: str) -> OpusParameters:
    try:
        return OpusParameters.parse(text)
    except WireError as error:
        raise InvalidArgument(f"format parameters of Opus: {error}") from error
