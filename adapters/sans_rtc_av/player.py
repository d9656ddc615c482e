"""Plays a file: its frames in the format that was negotiated, with RTP timestamps and the time when each is due.

    player = Player("film.webm")
    player.choose(video="VP8", audio="opus")     # what was negotiated; left out: what the file has
    for frame in player.frames():
        ...                                      # wait until begin + frame.due_s
        sender[frame.kind].send_frame(frame.data, frame.timestamp)

Frames are passed on as they are where they can be (see `Transcode`). Nothing waits here, and nothing is read before
the caller asks for the next frame. Only local files are opened.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.stream import Stream

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload import MediaKind
from sans_rtc_av.choice import DEFAULT_CODECS, Choice, ChosenFormats
from sans_rtc_av.closing import Closing
from sans_rtc_av.encoded import EncodedFrame
from sans_rtc_av.formats import Format, format_of, format_of_file
from sans_rtc_av.played import PlayedFrame, PlayerStats, Transcode, played
from sans_rtc_av.player_tracks import PassedSound, PassedTrack, Track, TranscodedTrack, can_pass
from sans_rtc_av.requirement import CodecFailed
from sans_rtc_av.settings import EncoderSettings

_MICROSECONDS = 1_000_000


class Player(ChosenFormats, Closing):
    """One file, once or again and again.

    path          of a local file: mp4, webm, mkv, ogg, wav, ivf, or whatever FFmpeg reads
    audio, video  False: without it
    loop          begin again at the end; timestamps go on
    transcode     when to decode and encode
    settings      of encoders, where there are any; bitrate, encoder and speed are those of video, the frame rate is
                  the file's
    Errors        CodecFailed for a file that cannot be read; InvalidArgument for one without anything to play
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        audio: bool = True,
        video: bool = True,
        loop: bool = False,
        transcode: Transcode | str = Transcode.AUTO,
        settings: EncoderSettings | None = None,
    ) -> None:
        self.stats = PlayerStats()
        self._path = os.fspath(path)
        self._wanted = {MediaKind.AUDIO: audio, MediaKind.VIDEO: video}
        self._loops = loop
        self._transcode = Transcode(transcode)
        self._tracks: dict[MediaKind, Track] = {}
        self._is_closed = False
        self._container = self._open()
        streams = self._streams()
        if not streams:
            self.close()
            raise InvalidArgument(f"{self._path} has nothing to play")
        rows = {kind: _default_row(kind, stream) for kind, stream in streams.items()}
        self._choice = Choice(rows, settings or EncoderSettings())

    @property
    def duration_s(self) -> float | None:
        """How long one round is, as the file says; None: it does not."""
        duration = self._container.duration
        return None if duration is None else duration / _MICROSECONDS

    def choose(
        self,
        *,
        audio: str | None = None,
        video: str | None = None,
        audio_parameters: str = "",
        video_parameters: str = "",
    ) -> None:
        """Say what was negotiated, by encoding name, with the format parameters of the receiver.

        Before the first frame. A kind that the file does not have is passed over; None: what the file has, or Opus
        and VP8 where RTP does not carry that.
        Errors   InvalidState after the first frame; InvalidArgument for a name that is not of its kind
        """
        self._choice.choose(audio, video, audio_parameters, video_parameters)

    def frames(self) -> Iterator[PlayedFrame]:
        """The frames in the file's order, which is nearly that of `due_s`.

        Errors   InvalidState when called again; InvalidArgument where frames would have to be transcoded and must not
                 be; CodecFailed; MissingCodecs
        """
        if self._choice.is_final:
            raise InvalidState("the frames of a player are taken once")
        self._choice.is_final = True
        shift = Fraction(0)
        while not self._is_closed:
            begin = shift
            self.stats.rounds += 1
            for kind, frame in self._round(shift):
                clock_rate = self._choice.rows[kind].clock_rate
                shift = max(shift, Fraction(frame.timestamp + frame.duration, clock_rate))
                self.stats.frames += 1
                yield played(kind, self._choice.rows[kind], frame)
                if self._is_closed:
                    return
            if not self._loops or shift <= begin:
                return
            self._container.close()
            self._container = self._open()

    def request_keyframe(self) -> None:
        """Make the next picture a keyframe, where pictures are encoded; a file's own come when they come."""
        track = self._tracks.get(MediaKind.VIDEO)
        if track is not None and track.encoder is not None:
            track.encoder.request_keyframe()

    def set_bitrate(self, kind: MediaKind | str, bitrate_bps: int) -> None:
        """Aim at this bitrate, where frames are encoded; a file's own frames are as large as they are."""
        kind = MediaKind(kind)
        track = self._tracks.get(kind)
        if track is None:
            self._choice.set_bitrate(kind, bitrate_bps)
        elif track.encoder is not None:
            track.encoder.set_bitrate(bitrate_bps)

    def close(self) -> None:
        """Close the file; no frame comes any more."""
        self._is_closed = True
        self._container.close()

    def _open(self) -> InputContainer:
        # Of what FFmpeg can open, local files and nothing that they refer to elsewhere.
        try:
            return av.open(f"file:{self._path}", "r", options={"protocol_whitelist": "file"})
        except (av.FFmpegError, OSError) as error:
            raise CodecFailed(f"{self._path} cannot be played: {error}") from error

    def _streams(self) -> dict[MediaKind, Stream]:
        """The first stream of each kind that is wanted."""
        found = self._container.streams
        streams: dict[MediaKind, Stream] = {}
        if found.audio and self._wanted[MediaKind.AUDIO]:
            streams[MediaKind.AUDIO] = found.audio[0]
        if found.video and self._wanted[MediaKind.VIDEO]:
            streams[MediaKind.VIDEO] = found.video[0]
        return streams

    def _round(self, shift: Fraction) -> Iterator[tuple[MediaKind, EncodedFrame]]:
        """The frames of the file from its beginning to its end, with so many seconds before it."""
        streams = self._streams()
        self._begin_tracks(streams)
        kinds = {stream.index: kind for kind, stream in streams.items()}
        shift -= Fraction(self._container.start_time or 0, _MICROSECONDS)
        try:
            for packet in self._container.demux(*streams.values()):
                kind = kinds[packet.stream_index]
                for frame in self._tracks[kind].take(packet, shift):
                    yield kind, frame
                if self._is_closed:
                    return
        except av.FFmpegError as error:
            raise CodecFailed(f"{self._path}: {error}") from error
        if not self._loops:
            for kind, track in self._tracks.items():
                for frame in track.encoder.flush() if track.encoder else []:
                    yield kind, frame

    def _begin_tracks(self, streams: dict[MediaKind, Stream]) -> None:
        """Make the tracks, or begin another round: encoders go on, the rest belongs to a file that was opened anew."""
        for kind, stream in streams.items():
            track = self._tracks.get(kind)
            if track is None or isinstance(track, PassedTrack):
                self._tracks[kind] = self._new_track(kind, stream)

    def _new_track(self, kind: MediaKind, stream: Stream) -> Track:
        row = self._choice.rows[kind]
        passes = _row_of(stream) is row and can_pass(stream, row) and self._transcode is not Transcode.ALWAYS
        if passes:
            return PassedTrack(stream, row, self.stats) if kind is MediaKind.VIDEO else PassedSound(row, self.stats)
        if self._transcode is Transcode.NEVER:
            raise InvalidArgument(f"the {kind} of {self._path} cannot be sent as {row.name} without transcoding")
        return TranscodedTrack(stream, row, self._choice.settings(kind), self.stats)


def _row_of(stream: Stream) -> Format | None:
    return format_of_file(stream.codec_context.codec.canonical_name)


def _default_row(kind: MediaKind, stream: Stream) -> Format:
    return _row_of(stream) or format_of(DEFAULT_CODECS[kind])
