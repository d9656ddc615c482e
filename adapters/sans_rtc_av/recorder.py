"""Records frames as they are received into a file, without transcoding where the file takes their format.

    recorder = Recorder("call.mkv")
    video, audio = recorder.add_track("VP8"), recorder.add_track("opus")
    recorder.write(video, frame.data, frame.timestamp)      # as they come, any track first
    recorder.close()

The file begins when every track has its first frame, for video a keyframe: until then frames wait, and after
`start_wait_s` of the others a track that has nothing is left out. Where frames are missing there is a gap; in a file
without timestamps (wav) it is silence.
"""

from __future__ import annotations

import os
from enum import StrEnum
from fractions import Fraction

import attrs
import av
from av.container import OutputContainer
from av.stream import Stream

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload import MediaKind
from sans_rtc.validators import count, seconds
from sans_rtc_av.closing import Closing
from sans_rtc_av.containers import file_format_of
from sans_rtc_av.formats import Format, format_of
from sans_rtc_av.recorder_tracks import Piece, TrackWriter, new_track_writer
from sans_rtc_av.requirement import CodecFailed
from sans_rtc_av.timeline import Timeline


class RecorderDiscardReason(StrEnum):
    """Why a frame is not in the file."""

    EMPTY = "empty"
    AWAITING_KEYFRAME = "awaiting a keyframe"
    LATE = "late"
    TRACK_TOO_LATE = "track too late"


@attrs.frozen(slots=True)
class RecorderSettings:
    """Bounds.

    start_wait_s     how much of one track waits for the first frame of another
    wait_frames_max  how many frames wait for that; 4096 are 60 s of audio and 30 s of video
    wait_bytes_max   and how many bytes
    jump_s_max       a longer distance between timestamps is no gap, but another numbering
    waits_for_keyframe  what comes after a loss is left out until the next keyframe: it would be shown damaged
    """

    start_wait_s: float = seconds(5.0, 0.0, 60.0)
    wait_frames_max: int = count(4096, 1, 1 << 16)
    wait_bytes_max: int = count(32 << 20, 1, 1 << 30)
    jump_s_max: float = seconds(30.0, 1.0, 3600.0)
    waits_for_keyframe: bool = True


@attrs.define(slots=True)
class TrackStats:
    """Frames and bytes taken, seconds from the first to the last, timestamps that jumped, discards by reason."""

    frames: int = 0
    bytes: int = 0
    duration_s: float = 0.0
    jumps: int = 0
    discards: dict[str, int] = attrs.field(factory=dict)

    def discard(self, reason: RecorderDiscardReason) -> None:
        """Count one frame."""
        self.discards[reason] = self.discards.get(reason, 0) + 1


@attrs.define(slots=True)
class _Waiting:
    track: _Track
    data: bytes
    timestamp: int
    position: Fraction


class _Track:
    def __init__(self, row: Format, writer: TrackWriter, settings: RecorderSettings) -> None:
        self.row = row
        self.writer = writer
        self.stats = TrackStats()
        self.timeline = Timeline(row.clock_rate, settings.jump_s_max)
        self.first: bytes | None = None
        self.needs_keyframe = row.kind is MediaKind.VIDEO
        self.at_s: float | None = None  # of the first frame
        self.offset = Fraction(0)  # of the first frame, from that of the track that began first
        self.stream: Stream | None = None
        self.last_tick: int | None = None


class Recorder(Closing):
    """One file. One thread at a time; writing to the file is the only I/O.

    path    its end says which kind: .mkv, .webm, .mp4, .wav, .ogg, .ivf; an existing file is replaced when the
            recording begins
    Errors  InvalidArgument for another end
    """

    def __init__(self, path: str | os.PathLike[str], *, settings: RecorderSettings | None = None) -> None:
        self._path = os.fspath(path)
        self._file_format = file_format_of(self._path)
        self._settings = settings or RecorderSettings()
        self._tracks: list[_Track] = []
        self._waiting: list[_Waiting] = []
        self._waiting_bytes = 0
        self._first_track: _Track | None = None
        self._shift = Fraction(0)
        self._container: OutputContainer | None = None
        self._is_closed = False

    @property
    def is_started(self) -> bool:
        """The file has its beginning: no track can be added."""
        return self._container is not None

    def add_track(self, codec_name: str, kind: MediaKind | str | None = None) -> int:
        """A track of frames of this format; gives the number for `write`.

        kind     checked where it is given
        Errors   InvalidState once the file has begun; InvalidArgument for a format that this kind of file does not
                 take (the message names one that does), or one track too many; MissingCodecs
        """
        if self.is_started or self._is_closed:
            raise InvalidState("tracks are added before the file begins")
        row = format_of(codec_name)
        stored_as = self._file_format.stored_as(row)
        if stored_as is None or (kind is not None and MediaKind(kind) is not row.kind):
            raise InvalidArgument(f"{self._file_format.name} takes no {kind or row.kind} of {row.name}; .mkv takes all")
        if len(self._tracks) == self._file_format.track_max:
            raise InvalidArgument(f"{self._file_format.name} takes {self._file_format.track_max} tracks")
        writer = new_track_writer(row, stored_as, self._file_format.is_timeless)
        self._tracks.append(_Track(row, writer, self._settings))
        return len(self._tracks) - 1

    def track_stats(self, track: int) -> TrackStats:
        """What was taken of this track, and what was not."""
        return self._track(track).stats

    def needs_keyframe(self, track: int) -> bool:
        """Nothing more comes into the file before a keyframe of this track: ask the sender for one."""
        return self._track(track).needs_keyframe

    def write(
        self,
        track: int,
        data: bytes,
        timestamp: int,
        is_keyframe: bool | None = None,
        *,
        is_contiguous: bool = True,
        at_s: float | None = None,
    ) -> None:
        """Take one frame of a track, in the order of sending.

        timestamp    RTP's, of 32 bits
        is_keyframe  not needed: the frame says so itself; False keeps video from beginning with this frame
        is_contiguous  no frame of the track is missing before this one
        at_s         when it was captured (RTCP sender reports tell) or received, in seconds on one scale for all
                     tracks: lays the tracks side by side. Without it a track begins where the others are
        Errors       InvalidArgument for a track that there is not, InvalidState after close, CodecFailed (a full
                     disk); none for what the peer sent
        """
        entry = self._track(track)
        if self._is_closed:
            raise InvalidState("the recording is closed")
        if not data:
            entry.stats.discard(RecorderDiscardReason.EMPTY)
            return
        if entry.first is None and not self._begin(entry, data, is_keyframe, at_s):
            return
        if not self._is_decodable(entry, data, is_contiguous):
            entry.stats.discard(RecorderDiscardReason.AWAITING_KEYFRAME)
            return
        expected = None if at_s is None or entry.at_s is None else Fraction(at_s - entry.at_s)
        position = entry.timeline.place(timestamp, expected)
        entry.stats.jumps = entry.timeline.jumps
        if self._container is not None:
            self._write(entry, data, timestamp, position)
        else:
            self._wait(_Waiting(entry, data, timestamp, position))

    def close(self) -> None:
        """Write what waits and the end of the file. No file is made where no track has begun."""
        if self._is_closed:
            return
        if self._container is None and self._first_track is not None:
            self._start()
        self._is_closed = True
        if self._container is None:
            return
        for entry in self._tracks:
            for piece in entry.writer.end() if entry.stream is not None else []:
                self._mux(entry, piece)
        try:
            self._container.close()
        except av.FFmpegError as error:
            raise CodecFailed(f"{self._path}: {error}") from error

    def _track(self, number: int) -> _Track:
        if not 0 <= number < len(self._tracks):
            raise InvalidArgument(f"there is no track {number}")
        return self._tracks[number]

    def _begin(self, entry: _Track, data: bytes, is_keyframe: bool | None, at_s: float | None) -> bool:
        """Take the first frame of a track, if it can be one."""
        if self._container is not None:
            entry.stats.discard(RecorderDiscardReason.TRACK_TOO_LATE)
            return False
        is_refused = entry.row.kind is MediaKind.VIDEO and is_keyframe is False
        if is_refused or not entry.writer.accepts_first(data):
            entry.stats.discard(RecorderDiscardReason.AWAITING_KEYFRAME)
            return False
        entry.first, entry.at_s = data, at_s
        first = self._first_track
        if first is None:
            self._first_track = entry
        elif at_s is not None and first.at_s is not None:
            entry.offset = Fraction(at_s - first.at_s)
        else:
            entry.offset = max(other.offset + other.timeline.position for other in self._tracks if other.first)
        return True

    def _is_decodable(self, entry: _Track, data: bytes, is_contiguous: bool) -> bool:
        if entry.row.kind is not MediaKind.VIDEO:
            return True
        if not is_contiguous:
            entry.needs_keyframe = True
        if entry.needs_keyframe and entry.row.codec.is_keyframe(data):
            entry.needs_keyframe = False
        return not entry.needs_keyframe or not self._settings.waits_for_keyframe

    def _wait(self, frame: _Waiting) -> None:
        self._waiting.append(frame)
        self._waiting_bytes += len(frame.data)
        if self._is_time_to_start(frame.track):
            self._start()

    def _is_time_to_start(self, entry: _Track) -> bool:
        settings = self._settings
        return (
            all(track.first is not None for track in self._tracks)
            or entry.timeline.position >= settings.start_wait_s
            or len(self._waiting) >= settings.wait_frames_max
            or self._waiting_bytes >= settings.wait_bytes_max
        )

    def _start(self) -> None:
        """Make the file with the tracks that have begun, and write what has waited."""
        options = dict(self._file_format.options)
        try:
            self._container = av.open(f"file:{self._path}", "w", format=self._file_format.name, options=options)
            for entry in self._tracks:
                if entry.first is not None:
                    entry.stream = entry.writer.add_to(self._container, entry.first)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise CodecFailed(f"{self._path} cannot be written: {error}") from error
        self._shift = -min(entry.offset for entry in self._tracks if entry.first is not None)
        waiting, self._waiting, self._waiting_bytes = self._waiting, [], 0
        for frame in waiting:
            self._write(frame.track, frame.data, frame.timestamp, frame.position)

    def _write(self, entry: _Track, data: bytes, timestamp: int, position: Fraction) -> None:
        pieces = entry.writer.pieces(data, timestamp, self._shift + entry.offset + position)
        written = [self._mux(entry, piece) for piece in pieces]
        if not all(written):
            entry.stats.discard(RecorderDiscardReason.LATE)
            return
        entry.stats.frames += 1
        entry.stats.bytes += len(data)
        entry.stats.duration_s = float(entry.timeline.position)

    def _mux(self, entry: _Track, piece: Piece) -> bool:
        """Write a piece; False: it is not later than the one before, and files have their frames in order."""
        assert self._container is not None and entry.stream is not None
        ticks = entry.writer.ticks
        begin = round(piece.begin * ticks)
        if entry.last_tick is not None and begin <= entry.last_tick:
            return False
        entry.last_tick = begin
        packet = av.Packet(piece.data)
        packet.stream = entry.stream
        packet.time_base = Fraction(1, ticks)
        packet.pts = packet.dts = begin
        packet.duration = round(piece.duration * ticks)
        packet.is_keyframe = piece.is_keyframe
        try:
            self._container.mux_one(packet)
        except av.FFmpegError as error:
            raise CodecFailed(f"{self._path}: {error}") from error
        return True
