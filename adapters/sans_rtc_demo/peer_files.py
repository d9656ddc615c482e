"""What `sans-rtc peer` plays and records: files of media, by the extra `av`. Nothing else of the command imports it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator, Mapping

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media import MediaFrame
from sans_rtc_asyncio import Receiver, Sender
from sans_rtc_av import PictureSource, PlayedFrame, Player, Recorder, SourcePlayer, ToneSource
from sans_rtc_av.containers import file_format_of

DRAWN = "test"
"""In place of a file: a picture and a tone that Python draws, without end."""

VIDEO_BITRATE_BPS_MAX = 2_500_000
_NEGOTIABLE = {"video": ("VP8", "VP9", "H264", "AV1"), "audio": ("opus", "PCMU", "PCMA")}
_COMMON = {"video": "VP8", "audio": "opus"}


class FilePlayer:
    """Plays one file, once, to the senders of one connection."""

    def __init__(self, path: str) -> None:
        """Open it. Errors: CodecFailed, InvalidArgument."""
        self._player: Player | SourcePlayer = (
            SourcePlayer(PictureSource(), ToneSource()) if path == DRAWN else Player(path)
        )
        self._making = threading.Lock()  # a frame: the file must not be closed meanwhile
        self._wants_keyframe = False
        self._bitrate_bps: int | None = None

    def codecs(self) -> dict[str, list[str]]:
        """By kind that it has: what to negotiate for it. The file's own codec comes first, it is sent as it is."""
        own = {"audio": self._player.audio_codec, "video": self._player.video_codec}
        return {kind: list(dict.fromkeys((name, _COMMON[kind]))) for kind, name in own.items() if name is not None}

    async def play(self, senders: Mapping[str, Sender]) -> int:
        """Send each frame when it is due; gives their number once all are sent or the connection has ended.

        Errors  CodecFailed, MissingCodecs, InvalidArgument
        """
        self._choose(senders)
        if "video" in senders:
            senders["video"].on_keyframe_request(self._on_keyframe_request)
            senders["video"].on_bitrate(self._on_bitrate)
        frames, count, begin = self._player.frames(), 0, time.monotonic()
        # One frame is made at a time, beside the loop: an encoder takes its milliseconds.
        while (frame := await asyncio.to_thread(self._next, frames)) is not None:
            await asyncio.sleep(max(0.0, begin + frame.due_s - time.monotonic()))
            if frame.kind in senders:
                try:
                    senders[frame.kind].send_frame(frame.data, frame.timestamp)
                except InvalidState:  # the connection has ended
                    break
                count += 1
        return count

    def close(self) -> None:
        """No frame comes any more."""
        with self._making:
            self._player.close()

    def _choose(self, senders: Mapping[str, Sender]) -> None:
        chosen = {kind: sender.codec for kind, sender in senders.items()}
        audio, video = chosen.get("audio"), chosen.get("video")
        self._player.choose(
            audio=audio.codec.name if audio else None,
            video=video.codec.name if video else None,
            audio_parameters=audio.parameters if audio else "",
            video_parameters=video.parameters if video else "",
        )

    def _on_keyframe_request(self, rid: str) -> None:
        self._wants_keyframe = True

    def _on_bitrate(self, bitrate_bps: int) -> None:
        self._bitrate_bps = min(bitrate_bps, VIDEO_BITRATE_BPS_MAX) or None

    def _next(self, frames: Iterator[PlayedFrame]) -> PlayedFrame | None:
        # In the encoders' thread: what the loop was told meanwhile is handed on here, between two frames.
        with self._making:
            if self._wants_keyframe:
                self._wants_keyframe = False
                self._player.request_keyframe()
            if self._bitrate_bps is not None:
                bitrate_bps, self._bitrate_bps = self._bitrate_bps, None
                self._player.set_bitrate("video", bitrate_bps)
            return next(frames, None)


class FileRecorder:
    """Writes what some receivers get into one file."""

    def __init__(self, path: str) -> None:
        """Choose the kind of file by the end of its name. Errors: InvalidArgument."""
        self._recorder = Recorder(path)
        self._format = file_format_of(path)
        self._tracks: dict[int, tuple[str, str | None, str]] = {}

    def codecs(self, kind: str) -> list[str]:
        """What to negotiate for a kind: what the file takes as it is; nothing: it takes none of it."""
        return [name for name in _NEGOTIABLE[kind] if name in self._format.copies]

    def add(self, kind: str, mid: str | None, receiver: Receiver) -> int:
        """A track for what a receiver gets. Errors: InvalidState once the file has begun, InvalidArgument."""
        if not receiver.codecs:
            raise InvalidArgument("nothing is received there")
        name = receiver.codecs[0].codec.name
        track = self._recorder.add_track(name, kind)
        self._tracks[track] = kind, mid, name
        return track

    def write(self, track: int, frame: MediaFrame) -> bool:
        """Write a frame; gives whether a keyframe is needed for more. Errors: CodecFailed; InvalidState after close."""
        if frame.codec.codec.name != self._tracks[track][2]:
            return False  # a track keeps the codec that it began with
        self._recorder.write(
            track, frame.data, frame.timestamp, is_contiguous=frame.is_contiguous, at_s=frame.received_at
        )
        return self._recorder.needs_keyframe(track)

    def close(self) -> list[dict[str, object]]:
        """Write the end of the file; gives what it holds of each track. Errors: CodecFailed."""
        self._recorder.close()
        return [
            {"kind": kind, "mid": mid, "codec": name, "frames": stats.frames, "duration_s": round(stats.duration_s, 3)}
            for track, (kind, mid, name) in self._tracks.items()
            for stats in (self._recorder.track_stats(track),)
        ]
