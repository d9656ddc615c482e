"""aiortc as a stack of the media benchmark.

The frames are `av.Packet`s, which aiortc sends without an encoder. Three things are changed: payloads are cut to the
size that is measured, the decoder decodes nothing, for its cost is that of libvpx, and packets are counted where their
payload is parsed, behind SRTP, RTX and NACK, for the statistics tell of one SSRC only, be it that of RTX; frames behind
the jitter buffer.
"""

from __future__ import annotations

import asyncio
import fractions

import aiortc.codecs.vpx
import aiortc.rtcrtpreceiver
import av
from aiortc import MediaStreamTrack, RTCRtpCodecParameters
from aiortc.codecs import depayload

from benchmarks.aiortc_connection import AiortcConnection
from benchmarks.media_stack import CLOCK_HZ, PACKET_BYTES, Counts, Frames

TIME_BASE = fractions.Fraction(1, CLOCK_HZ)


class _Count:
    packets = 0
    frames = 0


class _NoDecoder:
    """Takes whole frames and only counts them."""

    def decode(self, encoded_frame: object) -> list[av.VideoFrame]:
        """Count it."""
        _Count.frames += 1
        return []


def _no_decoder(codec: object) -> _NoDecoder:
    return _NoDecoder()


def _counted_depayload(codec: RTCRtpCodecParameters, payload: bytes) -> bytes:
    _Count.packets += 1
    return depayload(codec, payload)


aiortc.codecs.vpx.PACKET_MAX = PACKET_BYTES
aiortc.rtcrtpreceiver.depayload = _counted_depayload  # type: ignore[attr-defined]  # not its own interface
aiortc.rtcrtpreceiver.get_decoder = _no_decoder  # type: ignore[attr-defined, assignment]  # not its own interface


class _EncodedTrack(MediaStreamTrack):
    """A track of encoded frames; without any to send it waits."""

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Future[Frames] = asyncio.get_running_loop().create_future()

    async def recv(self) -> av.Packet[av.VideoStream]:
        """The next frame, which nobody encodes."""
        frames = await asyncio.shield(self.frames)
        data, timestamp = await frames.next()
        packet: av.Packet[av.VideoStream] = av.Packet(data)  # type: ignore[assignment]  # of no stream yet
        packet.pts, packet.time_base = timestamp, TIME_BASE
        return packet


class AiortcMediaEndpoint(AiortcConnection):
    """One end, in aiortc's own way: a track for what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self._connection.on("connectionstatechange", self._on_state)
        self._is_connected = asyncio.Event()
        self._track: _EncodedTrack | None = None

    async def offer(self) -> str:
        """The offer of an end that sends."""
        self._track = _EncodedTrack()
        self._connection.addTransceiver(self._track, direction="sendonly")
        return await self._offered()

    async def connected(self) -> None:
        """Wait until media can flow."""
        await self._is_connected.wait()

    async def send(self, frames: Frames) -> None:
        """Send these frames until cancelled."""
        assert self._track is not None
        self._track.frames.set_result(frames)
        await asyncio.Future()

    async def counts(self) -> Counts:
        """What has arrived."""
        return Counts(_Count.packets, _Count.frames)

    async def _on_state(self) -> None:
        if self._connection.connectionState == "connected":
            self._is_connected.set()


def make_media_endpoint(mbit_s: float) -> AiortcMediaEndpoint:
    """Make one end of a connection; it does not pace, so the rate does not matter to it."""
    return AiortcMediaEndpoint()
