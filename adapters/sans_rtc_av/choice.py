"""Which format each kind of a player's frames has, and what the receiver said about it."""

from __future__ import annotations

import attrs

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.formats import Format, format_of
from sans_rtc_av.settings import EncoderSettings

DEFAULT_CODECS = {MediaKind.AUDIO: "opus", MediaKind.VIDEO: "VP8"}


class Choice:
    """The rows of the kinds that there are, and the settings of their encoders."""

    def __init__(self, rows: dict[MediaKind, Format], settings: EncoderSettings) -> None:
        self.rows = rows
        self.is_final = False
        self._settings = settings
        self._parameters = dict.fromkeys(rows, "")
        self._bitrates: dict[MediaKind, int] = {}

    def name(self, kind: MediaKind) -> str | None:
        """The encoding name of this kind; None: there are no such frames."""
        row = self.rows.get(kind)
        return row.name if row else None

    def choose(self, audio: str | None, video: str | None, audio_parameters: str, video_parameters: str) -> None:
        """Take what was negotiated. InvalidState when it is final, InvalidArgument for a name not of its kind."""
        if self.is_final:
            raise InvalidState("formats are chosen before the first frame")
        wishes = {MediaKind.AUDIO: (audio, audio_parameters), MediaKind.VIDEO: (video, video_parameters)}
        rows = {kind: format_of(name) for kind, (name, _) in wishes.items() if name is not None}
        if any(row.kind is not kind for kind, row in rows.items()):
            raise InvalidArgument(f"audio {audio!r}, video {video!r}")
        for kind in self.rows:
            self.rows[kind] = rows.get(kind, self.rows[kind])
            self._parameters[kind] = wishes[kind][1]

    def set_bitrate(self, kind: MediaKind, bitrate_bps: int) -> None:
        """What an encoder that is not there yet will begin with."""
        if bitrate_bps <= 0:
            raise InvalidArgument(f"a bitrate is above 0, not {bitrate_bps}")
        self._bitrates[kind] = max(6_000, bitrate_bps)

    def settings(self, kind: MediaKind) -> EncoderSettings:
        """Of the encoder of this kind: bitrate, encoder and speed in the player's settings are meant for video."""
        settings = self._settings
        if kind is MediaKind.AUDIO:
            settings = attrs.evolve(settings, bitrate_bps=None, encoder=None, speed=None)
        parameters = self._parameters[kind]
        return attrs.evolve(settings, parameters=parameters, bitrate_bps=self._bitrates.get(kind, settings.bitrate_bps))


class ChosenFormats:
    """Part of every player: the names of the formats of its frames."""

    _choice: Choice

    @property
    def audio_codec(self) -> str | None:
        """The format of the audio frames that come; None: there are none."""
        return self._choice.name(MediaKind.AUDIO)

    @property
    def video_codec(self) -> str | None:
        """The format of the video frames that come; None: there are none."""
        return self._choice.name(MediaKind.VIDEO)
