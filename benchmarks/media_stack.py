"""What the media benchmark needs of a WebRTC stack: an endpoint that sends encoded video, and one that receives it.

    sending = make_endpoint(mbit_s)             receiving = make_endpoint(mbit_s)
    offer = await sending.offer()           ->  answer = await receiving.answer(offer)
    await sending.accept(answer)
    await sending.connected()                   await receiving.connected()
    await sending.send(frames)                  receiving.counts()

No codec works on either side: frames are bytes that nothing looks into, and the packets of a stack are counted where it
has put their frames together.
"""

from __future__ import annotations

import asyncio
import importlib
import os
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import attrs

PACKET_BYTES: Final = 1100
CLOCK_HZ: Final = 90_000

# VP8: an inter frame, version 0, shown, and a first partition of a few bytes (RFC 6386 section 9.1)
_VP8_INTER_FRAME = bytes.fromhex("910100")


@attrs.define(slots=True)
class Frames:
    """Encoded frames of one size, in real time; a late one is followed by the next at once.

    mbit_s        of the frames, 10**6 bits in a second
    frames_per_s  of them
    """

    mbit_s: float
    frames_per_s: float
    count: int = 0
    _started_at: float = 0.0
    _data: bytes = b""

    async def next(self) -> tuple[bytes, int]:
        """The next frame and its timestamp of 90 kHz, when its time has come."""
        loop = asyncio.get_running_loop()
        if not self.count:
            self._started_at = loop.time()
            size = max(1, round(self.mbit_s * 1e6 / 8 / self.frames_per_s) - len(_VP8_INTER_FRAME))
            self._data = _VP8_INTER_FRAME + os.urandom(size)
        await asyncio.sleep(self._started_at + self.count / self.frames_per_s - loop.time())
        self.count += 1
        return self._data, round(self.count * CLOCK_HZ / self.frames_per_s)


@attrs.frozen(slots=True)
class Counts:
    """RTP packets and whole frames that have arrived."""

    packets: int
    frames: int


class MediaEndpoint(Protocol):
    """One end of one connection with one video stream."""

    async def offer(self) -> str:
        """The offer of an end that sends."""

    async def answer(self, offer: str) -> str:
        """The answer of an end that receives."""

    async def accept(self, answer: str) -> None:
        """Take the answer."""

    async def connected(self) -> None:
        """Wait until media can flow."""

    async def send(self, frames: Frames) -> None:
        """Send these frames until cancelled."""

    async def counts(self) -> Counts:
        """What has arrived."""

    async def close(self) -> None:
        """End the connection."""


# name: (module with make_media_endpoint)
MEDIA_STACKS: Final[Mapping[str, str]] = {
    "sans_rtc": "benchmarks.sans_rtc_media_stack",
    "aiortc": "benchmarks.aiortc_media_stack",
}
MEDIA_PEERS: Final = tuple(name for name in MEDIA_STACKS if name != "sans_rtc")


def load_media_stack(name: str) -> Callable[[float], MediaEndpoint]:
    """The function that makes endpoints of a stack, for so many Mbit/s; ModuleNotFoundError: not installed."""
    module = importlib.import_module(MEDIA_STACKS[name])
    make_endpoint: Callable[[float], MediaEndpoint] = module.make_media_endpoint
    return make_endpoint
