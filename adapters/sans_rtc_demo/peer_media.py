"""Audio and video of the scriptable peer: offered and accepted, echoed, played, recorded, counted.

negotiated() --> a task for each transceiver: frames are counted and recorded, packets go back
play, track, media, keyframe-requested, recorded --> lines of the script
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Protocol

import attrs

from sans_rtc.errors import InvalidState, SansRtcError
from sans_rtc.media import MediaFrame
from sans_rtc.media.statistics import InboundRtpStats
from sans_rtc_asyncio import ConnectionFailed, PeerConnection, Receiver, Sender, Transceiver

REPORT_INTERVAL_S = 1.0


class MediaPlayer(Protocol):
    """What plays: see `peer_files.FilePlayer`."""

    def codecs(self) -> dict[str, list[str]]:
        """By kind that it has: what to negotiate for it."""

    async def play(self, senders: dict[str, Sender]) -> int:
        """Send everything; gives the number of frames."""

    def close(self) -> None:
        """No frame comes any more."""


class MediaRecorder(Protocol):
    """What records: see `peer_files.FileRecorder`."""

    def codecs(self, kind: str) -> list[str]:
        """What to negotiate for a kind; nothing: it takes none of it."""

    def add(self, kind: str, mid: str | None, receiver: Receiver) -> int:
        """A track for what a receiver gets."""

    def write(self, track: int, frame: MediaFrame) -> bool:
        """Write a frame; gives whether a keyframe is needed for more."""

    def close(self) -> list[dict[str, object]]:
        """Write the end; gives what there is of each track."""


@attrs.frozen(slots=True, kw_only=True)
class MediaOptions:
    """What the command line chose.

    kinds       "audio", "video": offered, and accepted of an offer; of others an offer's sections are refused
    is_echoing  every packet goes back as it came
    player      plays into what is sent
    recorder    records what is received
    """

    kinds: tuple[str, ...] = ()
    is_echoing: bool = False
    player: MediaPlayer | None = None
    recorder: MediaRecorder | None = None


@attrs.define(slots=True)
class MediaTally:
    """What has come in one transceiver, and what of it when it was last told."""

    frames: int = 0
    last_timestamp: int | None = None
    packets: int = 0
    bytes: int = 0

    def line(self, packets: int, octets: int, elapsed_s: float) -> dict[str, object] | None:
        """What to say after `elapsed_s`; None: nothing has come."""
        fresh, self.packets, flown, self.bytes = packets - self.packets, packets, octets - self.bytes, octets
        if fresh <= 0:
            return None
        bitrate_bps = round(flown * 8 / elapsed_s)
        return {"frames": self.frames, "packets": packets, "bytes": octets, "bitrate_bps": bitrate_bps}


class PeerMedia:
    """Audio and video of one script.

    say       writes a line: `await say("media", kind=..., ...)`
    complain  writes an error
    start     starts a task that ends with the script
    """

    def __init__(
        self,
        connection: PeerConnection,
        options: MediaOptions,
        *,
        say: Callable[..., Coroutine[object, object, None]],
        complain: Callable[[str], Coroutine[object, object, None]],
        start: Callable[[Coroutine[object, object, None]], object],
    ) -> None:
        self._connection = connection
        self._options = options
        self._say = say
        self._complain = complain
        self._start = start
        self._tallies: dict[int, MediaTally] = {}
        self._tracks: dict[int, int] = {}  # of the recording, by transceiver
        self._recorder = options.recorder
        self._is_playing = False

    # -- negotiation ---------------------------------------------------------------------------------------------------

    def offer(self) -> None:
        """Add a transceiver for each kind that was asked for."""
        for kind in self._options.kinds:
            self._connection.add_transceiver(kind, direction=self._direction(kind), codecs=self._codecs(kind))

    def prepare_answer(self) -> None:
        """Say what we want of what the peer offers, before the answer is made."""
        for transceiver in self._connection.transceivers:
            if transceiver.current_direction is not None or transceiver.handle in self._tallies:
                continue
            if transceiver.kind not in self._options.kinds:
                transceiver.stop()
            else:
                transceiver.direction = self._direction(transceiver.kind)
                transceiver.set_codec_preferences(self._codecs(transceiver.kind))
                self._watch(transceiver)

    def negotiated(self) -> None:
        """An exchange of descriptions is complete: take what comes in new transceivers, and begin to play."""
        for transceiver in self._connection.transceivers:
            if transceiver.handle not in self._tallies:
                self._watch(transceiver)
            if self._recorder is not None and transceiver.receiver.codecs:
                self._add_track(self._recorder, transceiver)
        if self._options.player is not None and not self._is_playing:
            self._is_playing = True
            self._start(self._play(self._options.player))

    def _direction(self, kind: str) -> str:
        player = self._options.player
        sends = self._options.is_echoing or (player is not None and kind in player.codecs())
        return "sendrecv" if sends else "recvonly"

    def _codecs(self, kind: str) -> list[str]:
        """In order of preference; none: the defaults."""
        recorder, player = self._options.recorder, self._options.player
        if recorder is not None and (names := recorder.codecs(kind)):
            return names
        return player.codecs().get(kind, []) if player is not None else []

    # -- what comes ----------------------------------------------------------------------------------------------------

    def _watch(self, transceiver: Transceiver) -> None:
        tally = self._tallies[transceiver.handle] = MediaTally()
        if self._options.is_echoing:
            transceiver.receiver.packets(frames=self._recorder is not None)  # from the first one on
            self._start(self._echo(transceiver, tally))
        if self._recorder is not None or not self._options.is_echoing:
            self._start(self._take_frames(transceiver, tally))
        transceiver.sender.on_keyframe_request(lambda rid: self._on_keyframe_request(transceiver, rid))

    def _add_track(self, recorder: MediaRecorder, transceiver: Transceiver) -> None:
        """All tracks are known to the recorder before the first frame: the file begins when each of them has begun."""
        if transceiver.handle in self._tracks or not recorder.codecs(transceiver.kind):
            return
        try:
            track = recorder.add(str(transceiver.kind), transceiver.mid, transceiver.receiver)
            self._tracks[transceiver.handle] = track
        except SansRtcError as error:
            self._start(self._complain(f"--record: {transceiver.kind} {transceiver.mid} is left out: {error}"))

    async def _echo(self, transceiver: Transceiver, tally: MediaTally) -> None:
        rid = None
        async for packet in transceiver.receiver.packets(frames=self._recorder is not None):
            rid = packet.rid if rid is None else rid
            if packet.rid != rid:
                continue  # one layer of a simulcast goes back, the one that came first
            if self._recorder is None:
                tally.frames += packet.packet.timestamp != tally.last_timestamp
                tally.last_timestamp = packet.packet.timestamp
            try:
                transceiver.sender.send_packet(packet)
            except InvalidState:  # it has ended
                return

    async def _take_frames(self, transceiver: Transceiver, tally: MediaTally) -> None:
        """Count what comes, and record it."""
        receiver = transceiver.receiver
        async for frame in receiver.frames():
            tally.frames += 1
            track = self._tracks.get(transceiver.handle)
            if self._recorder is None or track is None:
                continue
            try:
                if self._recorder.write(track, frame):
                    receiver.request_keyframe(frame.rid or None)
            except SansRtcError as error:
                self._recorder = None  # the disk is full, or gone: no more is tried
                await self._complain(f"--record: {error}")

    def _on_keyframe_request(self, transceiver: Transceiver, rid: str) -> None:
        self._start(self._say("keyframe-requested", mid=transceiver.mid, rid=rid))
        if self._options.is_echoing:
            transceiver.receiver.request_keyframe()

    async def report_tracks(self) -> None:
        """Say what the peer sends in, as it begins to."""
        async for transceiver in self._connection.incoming_transceivers():
            await self._say("track", kind=str(transceiver.kind), mid=transceiver.mid)

    async def report(self) -> None:
        """Say once a second what has come of each transceiver where something has."""
        loop = asyncio.get_running_loop()
        told_at = loop.time()
        while True:
            await asyncio.sleep(REPORT_INTERVAL_S)
            now = loop.time()
            for line in self._lines(now - told_at):
                await self._say("media", **line)
            told_at = now

    def _lines(self, elapsed_s: float) -> list[dict[str, object]]:
        came: dict[str, tuple[int, int]] = {}
        for stats in self._connection.statistics().values():
            if isinstance(stats, InboundRtpStats):
                packets, octets = came.get(stats.mid, (0, 0))
                came[stats.mid] = packets + stats.packets_received, octets + stats.bytes_received
        lines = []
        for transceiver in self._connection.transceivers:
            mid, tally = transceiver.mid, self._tallies.get(transceiver.handle)
            if tally is not None and mid in came and (line := tally.line(*came[mid], elapsed_s)) is not None:
                lines.append({"kind": str(transceiver.kind), "mid": mid, **line})
        return lines

    # -- requests ------------------------------------------------------------------------------------------------------

    def request_keyframe(self, mid: str) -> bool:
        """Ask the peer for a keyframe of what it sends in this section; False where there is none of this name."""
        for transceiver in self._connection.transceivers:
            if transceiver.mid == mid:
                transceiver.receiver.request_keyframe()
                return True
        return False

    # -- what goes -----------------------------------------------------------------------------------------------------

    async def _play(self, player: MediaPlayer) -> None:
        try:
            await self._connection.wait_connected()
        except ConnectionFailed:
            return  # told as a state
        senders: dict[str, Sender] = {}
        for transceiver in self._connection.transceivers:
            if transceiver.sender.can_send:
                senders.setdefault(str(transceiver.kind), transceiver.sender)
        kinds = [kind for kind in player.codecs() if kind in senders]
        if not kinds:
            await self._complain("--play: the other side takes nothing of it")
            return
        try:
            count = await player.play({kind: senders[kind] for kind in kinds})
        except SansRtcError as error:
            await self._complain(f"--play: {error}")
            return
        await self._say("played", frames=count)

    # -- the end -------------------------------------------------------------------------------------------------------

    async def close(self) -> None:
        """End the files, and say what was recorded."""
        if self._options.player is not None:
            self._options.player.close()
        recorder, self._recorder = self._recorder, None
        if recorder is not None:
            try:
                tracks = recorder.close()
            except SansRtcError as error:
                await self._complain(f"--record: {error}")
            else:
                for track in tracks:
                    await self._say("recorded", **track)
