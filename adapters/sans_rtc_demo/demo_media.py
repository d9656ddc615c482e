"""What Python does with the audio and video that the page sends: it sends them back as they came, without decoding.

With the extra `av` it can draw a picture of its own instead and encode it. A keyframe that the page asks for is asked
of the page in turn, since the picture is its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from importlib.util import find_spec
from typing import Final

from sans_rtc.errors import InvalidState
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc_asyncio import PeerConnection, Transceiver
from sans_rtc_net.errors import ConnectionLost

ECHO: Final = "echo"
DRAWN: Final = "python"
TRANSCEIVERS_MAX: Final = 4
DRAWN_SIZE: Final = (640, 360)
DRAWN_FRAMES_PER_S: Final = 15
_VIDEO_TICKS_PER_S: Final = 90_000


def sources() -> tuple[str, ...]:
    """Where the picture that Python sends can come from; the second only where `sans_rtc_av` can be imported."""
    return (ECHO, DRAWN) if find_spec("av") is not None else (ECHO,)


class MediaService:
    """Serves the audio and video of one page until its connection ends.

    note_use  called for whatever comes
    source    of the picture that is sent: ECHO or DRAWN
    """

    def __init__(self, peer: PeerConnection, note_use: Callable[[], None]) -> None:
        self.source = ECHO
        self._peer = peer
        self._note_use = note_use
        self._wants_keyframe = True

    def accept(self) -> None:
        """Answer an offer so that everything in it may come back; call it between the offer and the answer."""
        for transceiver in self._peer.transceivers[:TRANSCEIVERS_MAX]:
            transceiver.direction = "sendrecv"

    def choose(self, source: str) -> None:
        """Send a picture from this source from now on; it begins with a keyframe."""
        self.source = source
        self._ask_for_keyframes()

    async def run(self) -> None:
        """Serve every transceiver in which the page sends."""
        async with asyncio.TaskGroup() as tasks:
            await self._quietly(self._serve(tasks))

    async def _serve(self, tasks: asyncio.TaskGroup) -> None:
        served: set[int] = set()
        async for transceiver in self._peer.incoming_transceivers():
            if transceiver.handle in served or len(served) >= TRANSCEIVERS_MAX:
                continue
            served.add(transceiver.handle)
            tasks.create_task(self._quietly(self._echo(transceiver)))
            if transceiver.kind is MediaKind.VIDEO and DRAWN in sources():
                tasks.create_task(self._quietly(self._draw(transceiver)))

    async def _quietly(self, serving: Awaitable[None]) -> None:
        with suppress(ConnectionLost, InvalidState):  # it ended under the service
            await serving

    async def _echo(self, transceiver: Transceiver) -> None:
        is_video = transceiver.kind is MediaKind.VIDEO

        @transceiver.sender.on_keyframe_request
        def on_keyframe_request(rid: str) -> None:
            self._wants_keyframe = True
            if self.source == ECHO and not transceiver.is_stopped:
                with suppress(InvalidState):
                    transceiver.receiver.request_keyframe()

        async for packet in transceiver.receiver.packets():
            self._note_use()
            if (self.source == ECHO or not is_video) and transceiver.sender.can_send:
                transceiver.sender.send_packet(packet)

    async def _draw(self, transceiver: Transceiver) -> None:
        """Draw and encode while that is the source; encoding runs in a thread, since it takes milliseconds."""
        from sans_rtc_av import Encoder, EncoderSettings, PictureSource, new_encoder

        picture = PictureSource(*DRAWN_SIZE, frame_rate=DRAWN_FRAMES_PER_S)
        encoder: Encoder | None = None
        bitrate_bps = 600_000
        number = 0
        async for _ in _ticks(DRAWN_FRAMES_PER_S):
            if transceiver.is_stopped:
                return
            codec = transceiver.sender.codec
            if self.source != DRAWN or codec is None or not transceiver.sender.can_send:
                continue
            if encoder is None:
                encoder = new_encoder(codec.codec.name, EncoderSettings(bitrate_bps=bitrate_bps))
            target_bps = min(transceiver.sender.target_bitrate_bps or bitrate_bps, 1_500_000)
            if target_bps != bitrate_bps:
                bitrate_bps = target_bps
                encoder.set_bitrate(bitrate_bps)
            if self._wants_keyframe:
                self._wants_keyframe = False
                encoder.request_keyframe()
            number += 1
            timestamp = number * _VIDEO_TICKS_PER_S // DRAWN_FRAMES_PER_S
            for frame in await asyncio.to_thread(encoder.encode, picture.frame(number)):
                transceiver.sender.send_frame(frame.data, timestamp)

    def _ask_for_keyframes(self) -> None:
        self._wants_keyframe = True
        for transceiver in self._peer.transceivers:
            if transceiver.kind is MediaKind.VIDEO:
                with suppress(InvalidState):
                    transceiver.receiver.request_keyframe()


async def _ticks(per_s: int) -> AsyncIterator[None]:
    """As many times a second, without drifting; late ones are left out."""
    clock = asyncio.get_running_loop().time
    due = clock()
    while True:
        due = max(due + 1 / per_s, clock() - 1 / per_s)
        await asyncio.sleep(max(0.0, due - clock()))
        yield
