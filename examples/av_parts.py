"""What the examples with files share: a player feeds senders, receivers feed a recorder. Needs the extra `av`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from sans_rtc_asyncio import InvalidState, Receiver, Sender, Transceiver
from sans_rtc_av import Player, Recorder, SourcePlayer

VIDEO_BITRATE_BPS_MAX = 1_500_000
# What is negotiated for each kind of file: what it takes as it is.
CODECS = {
    ".webm": {"video": ["VP8", "VP9"], "audio": ["opus"]},
    ".mkv": {"video": ["VP8", "VP9", "H264"], "audio": ["opus"]},
    ".mp4": {"video": ["H264"], "audio": ["opus"]},
    ".ogg": {"audio": ["opus"]},
    ".wav": {"audio": ["PCMU"]},
    ".ivf": {"video": ["VP8", "VP9"]},
}


async def play(player: Player | SourcePlayer, senders: Mapping[str, Sender]) -> None:
    """Send what a player gives, each frame when it is due, until it or the connection ends."""
    # What was negotiated:
    player.choose(**{kind: sender.codec.codec.name for kind, sender in senders.items()})
    if "video" in senders:
        video = senders["video"]
        video.on_keyframe_request(lambda rid: player.request_keyframe())
        video.on_bitrate(lambda bps: player.set_bitrate("video", min(bps, VIDEO_BITRATE_BPS_MAX)) if bps else None)
    begin = time.monotonic()
    for frame in player.frames():
        await asyncio.sleep(max(0.0, begin + frame.due_s - time.monotonic()))
        try:
            if frame.kind in senders:
                senders[frame.kind].send_frame(frame.data, frame.timestamp)
        except InvalidState:  # the connection has ended
            return


async def record(path: str, transceivers: list[Transceiver]) -> None:
    """Write what comes into a file, until it comes no more; say what is in it."""
    with Recorder(path) as recorder:
        receivers = [transceiver.receiver for transceiver in transceivers if transceiver.receiver.codecs]
        tracks = [recorder.add_track(receiver.codecs[0].codec.name) for receiver in receivers]
        try:
            await asyncio.gather(*(_write(recorder, *pair) for pair in zip(tracks, receivers, strict=True)))
        finally:
            recorder.close()
            for track, receiver in zip(tracks, receivers, strict=True):
                stats = recorder.track_stats(track)
                print(f"{path}: {receiver.codecs[0].codec.name}, {stats.frames} frames, {stats.duration_s:.1f} s")


async def _write(recorder: Recorder, track: int, receiver: Receiver) -> None:
    async for frame in receiver.frames():
        recorder.write(track, frame.data, frame.timestamp, is_contiguous=frame.is_contiguous, at_s=frame.received_at)
        if recorder.needs_keyframe(track):
            receiver.request_keyframe()
