"""Plays what Python draws: pictures and sounds of any source, encoded in the format that was negotiated.

The surface is that of `Player`, so an adapter sends either.
"""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import av

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.choice import DEFAULT_CODECS, Choice, ChosenFormats
from sans_rtc_av.closing import Closing
from sans_rtc_av.encoded import EncodedFrame, Encoder
from sans_rtc_av.encoders import new_encoder
from sans_rtc_av.formats import format_of
from sans_rtc_av.played import PlayedFrame, PlayerStats, played
from sans_rtc_av.settings import EncoderSettings
from sans_rtc_av.sources import PictureSource, ToneSource


class SourcePlayer(ChosenFormats, Closing):
    """A picture, a tone or both, as long as wanted.

    picture, tone  None: without
    duration_s     None: without end
    settings       of the encoders
    """

    def __init__(
        self,
        picture: PictureSource | None = None,
        tone: ToneSource | None = None,
        *,
        duration_s: float | None = None,
        settings: EncoderSettings | None = None,
    ) -> None:
        if picture is None and tone is None:
            raise InvalidArgument("nothing to play")
        self.stats = PlayerStats()
        self.duration_s = duration_s
        self._sources: dict[MediaKind, PictureSource | ToneSource] = {}
        if tone is not None:
            self._sources[MediaKind.AUDIO] = tone
        if picture is not None:
            self._sources[MediaKind.VIDEO] = picture
        rows = {kind: format_of(DEFAULT_CODECS[kind]) for kind in self._sources}
        self._choice = Choice(rows, settings or EncoderSettings())
        self._encoders: dict[MediaKind, Encoder] = {}
        self._is_closed = False

    def choose(
        self,
        *,
        audio: str | None = None,
        video: str | None = None,
        audio_parameters: str = "",
        video_parameters: str = "",
    ) -> None:
        """Say what was negotiated, as `Player.choose`."""
        self._choice.choose(audio, video, audio_parameters, video_parameters)

    def frames(self) -> Iterator[PlayedFrame]:
        """The frames in the order of `due_s`. InvalidState when called again."""
        if self._choice.is_final:
            raise InvalidState("the frames of a player are taken once")
        self._choice.is_final = True
        self._encoders = {kind: self._new_encoder(kind) for kind in self._sources}
        numbers = dict.fromkeys(self._sources, 0)
        while not self._is_closed:
            kind = min(numbers, key=lambda kind: self._due_s(kind, numbers[kind]))
            if self.duration_s is not None and self._due_s(kind, numbers[kind]) >= self.duration_s:
                break
            frame: av.VideoFrame | av.AudioFrame = self._sources[kind].frame(numbers[kind])
            numbers[kind] += 1
            yield from self._played(kind, self._encoders[kind].encode(frame))
        if not self._is_closed:
            for kind, encoder in self._encoders.items():
                yield from self._played(kind, encoder.flush())

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe."""
        if MediaKind.VIDEO in self._encoders:
            self._encoders[MediaKind.VIDEO].request_keyframe()

    def set_bitrate(self, kind: MediaKind | str, bitrate_bps: int) -> None:
        """Aim at this bitrate."""
        kind = MediaKind(kind)
        if kind in self._encoders:
            self._encoders[kind].set_bitrate(bitrate_bps)
        else:
            self._choice.set_bitrate(kind, bitrate_bps)

    def close(self) -> None:
        """No frame comes any more."""
        self._is_closed = True

    def _played(self, kind: MediaKind, frames: list[EncodedFrame]) -> Iterator[PlayedFrame]:
        self.stats.frames += len(frames)
        row = self._choice.rows[kind]
        for frame in frames:
            yield played(kind, row, frame)

    def _due_s(self, kind: MediaKind, number: int) -> float:
        source = self._sources[kind]
        if isinstance(source, PictureSource):
            return number / source.frame_rate
        return number * source.frame_samples / source.sample_rate

    def _new_encoder(self, kind: MediaKind) -> Encoder:
        source = self._sources[kind]
        settings = self._choice.settings(kind)
        if isinstance(source, PictureSource):
            settings = attrs.evolve(settings, frame_rate=source.frame_rate)
        return new_encoder(self._choice.rows[kind].name, settings)
