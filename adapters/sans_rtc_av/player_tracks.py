"""One stream of a file on its way to the network: passed on as it is, or decoded and encoded.

    PassedTrack      packet -> (H.264: start codes, AV1: sequence header) -> frame
    PassedSound      packet -> packets of 20 ms (G.711, G722) or as they are (Opus) -> frame
    TranscodedTrack  packet -> decoder of the file -> picture or sound -> Encoder -> frame

A track is given its packets with the seconds that lie between the beginning of the playing and that of the file, which
grow by a file's length with each round of a loop.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Protocol

import attrs
import av
from av.audio.codeccontext import AudioCodecContext
from av.bitstream import BitStreamFilterContext
from av.stream import Stream
from av.video.codeccontext import VideoCodecContext

from sans_rtc.errors import WireError
from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.encoded import EncodedFrame, Encoder
from sans_rtc_av.encoders import new_encoder
from sans_rtc_av.formats import Format
from sans_rtc_av.played import PlayerStats
from sans_rtc_av.settings import EncoderSettings

_BYTE_SAMPLES_PER_PACKET = 160  # 20 ms of G.711 and of G722: both have 8000 bytes a second
_GAP_S = 0.03
_AV1_CONFIGURATION_BYTES = 4  # before the units in av1C and in Matroska's CodecPrivate


class Track(Protocol):
    """What the player asks of a track."""

    format: Format
    encoder: Encoder | None

    def take(self, packet: av.Packet[Stream], shift: Fraction) -> list[EncodedFrame]:
        """The frames of one packet; an empty packet ends a round."""
        ...


class PassedTrack:
    """Video as the file has it."""

    def __init__(self, stream: Stream, row: Format, stats: PlayerStats) -> None:
        self.format = row
        self.encoder: Encoder | None = None
        self._stats = stats
        self._rate = _frame_rate(stream)
        extra = stream.codec_context.extradata or b""
        self._header = extra[_AV1_CONFIGURATION_BYTES:] if row.name == "AV1" else b""
        self._filter = BitStreamFilterContext("h264_mp4toannexb", stream) if row.name == "H264" else None

    def take(self, packet: av.Packet[Stream], shift: Fraction) -> list[EncodedFrame]:
        """The frame of this packet."""
        if not packet.size:
            return []
        if packet.pts is None:
            self._stats.damaged_packets += 1
            return []
        timestamp = round((packet.pts * packet.time_base + shift) * self.format.clock_rate)
        duration = round(self.format.clock_rate / self._rate)
        data = self._converted(packet)
        return [EncodedFrame(data, timestamp, self.format.codec.is_keyframe(data), duration)] if data else []

    def _converted(self, packet: av.Packet[Stream]) -> bytes:
        if self._filter is not None:
            try:
                return b"".join(bytes(part) for part in self._filter.filter(packet))
            except av.FFmpegError:
                self._stats.damaged_packets += 1
                return b""
        data = bytes(packet)
        if self._header and packet.is_keyframe and not self.format.codec.is_keyframe(data):
            return self._header + data
        return data


class PassedSound:
    """Audio as the file has it, cut to packets of 20 ms where its bytes are samples.

    Files round times to milliseconds and the like, so timestamps go on by the duration of packets, unless there is a
    gap.
    """

    def __init__(self, row: Format, stats: PlayerStats) -> None:
        self.format = row
        self.encoder: Encoder | None = None
        self._stats = stats
        self._next: int | None = None
        self._bytes = b""

    def take(self, packet: av.Packet[Stream], shift: Fraction) -> list[EncodedFrame]:
        """The frames of this packet."""
        if not packet.size or packet.pts is None:
            return []
        clock_rate = self.format.clock_rate
        timestamp = round((packet.pts * packet.time_base + shift) * clock_rate)
        # Opus begins before its first audible sample (RFC 7845 section 4.2): files count from that one.
        begin = self._next if self._next is not None else max(timestamp, 0)
        held = len(self._bytes)
        if self._next is None or abs(timestamp - (begin + held)) > _GAP_S * clock_rate:
            self._bytes, begin = b"", max(timestamp, begin)
        return self._opus(bytes(packet), begin) if self.format.name == "opus" else self._cut(bytes(packet), begin)

    def _opus(self, data: bytes, begin: int) -> list[EncodedFrame]:
        assert self.format.codec.duration is not None
        try:
            duration = self.format.codec.duration(data)
        except WireError:
            self._stats.damaged_packets += 1
            return []
        self._next = begin + duration
        return [EncodedFrame(data, begin, True, duration)]

    def _cut(self, data: bytes, begin: int) -> list[EncodedFrame]:
        size = _BYTE_SAMPLES_PER_PACKET
        whole = self._bytes + data
        count = len(whole) // size
        self._bytes, self._next = whole[count * size :], begin + count * size
        return [EncodedFrame(whole[n * size : (n + 1) * size], begin + n * size, True, size) for n in range(count)]


class TranscodedTrack:
    """A stream decoded and encoded."""

    def __init__(self, stream: Stream, row: Format, settings: EncoderSettings, stats: PlayerStats) -> None:
        self.format = row
        if row.kind is MediaKind.VIDEO:
            settings = attrs.evolve(settings, frame_rate=_frame_rate(stream))
        self.encoder: Encoder | None = new_encoder(row.name, settings)
        self._encoder = self.encoder
        self._stats = stats
        self._end: Fraction | None = None  # of what has been encoded, seconds

    def take(self, packet: av.Packet[Stream], shift: Fraction) -> list[EncodedFrame]:
        """What comes out for this packet."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self._stats.damaged_packets += 1
            return []
        encoded: list[EncodedFrame] = []
        for frame in frames:
            if isinstance(frame, (av.VideoFrame, av.AudioFrame)):
                encoded += self._encode(frame, shift)
        return encoded

    def _encode(self, frame: av.VideoFrame | av.AudioFrame, shift: Fraction) -> list[EncodedFrame]:
        if frame.pts is None or frame.time_base is None:
            self._stats.damaged_packets += 1
            return []
        begin = frame.pts * frame.time_base + shift
        is_sound = isinstance(frame, av.AudioFrame)
        rate = frame.sample_rate if isinstance(frame, av.AudioFrame) else self.format.clock_rate
        if self._end is not None and (begin < self._end if is_sound else begin <= self._end):
            if not is_sound:
                self._stats.damaged_packets += 1
                return []
            begin = self._end  # a round of the loop that overlaps the one before by less than a packet
        frame.pts, frame.time_base = round(begin * rate), Fraction(1, rate)
        self._end = begin + (Fraction(frame.samples, rate) if isinstance(frame, av.AudioFrame) else 0)
        return self._encoder.encode(frame)


def can_pass(stream: Stream, row: Format) -> bool:
    """Whether what the file has is what a conversation takes."""
    context = stream.codec_context
    if isinstance(context, VideoCodecContext):
        return context.pix_fmt in (None, "yuv420p", "yuvj420p") and not context.has_b_frames
    assert isinstance(context, AudioCodecContext)
    if row.name == "opus":
        return context.channels <= row.channels_max
    return context.sample_rate == row.sample_rate and context.channels == 1


def _frame_rate(stream: Stream) -> float:
    return min(max(float(stream.average_rate or stream.guessed_rate or 30), 1.0), 240.0)
