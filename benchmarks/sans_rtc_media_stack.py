"""sans_rtc as a stack of the media benchmark, through its asyncio adapter: ICE, DTLS and all."""

from __future__ import annotations

import asyncio

from benchmarks.media_session import media_config
from benchmarks.media_stack import Counts, Frames
from benchmarks.sans_rtc_stack import describe
from sans_rtc.media.statistics import InboundRtpStats
from sans_rtc.sdp.values import Direction
from sans_rtc_asyncio import PeerConfig, PeerConnection, Receiver, Transceiver
from sans_rtc_net.errors import ConnectionLost


class SansRtcMediaEndpoint:
    """One end, in the adapter's own way: a call for what is sent, iteration for what arrives."""

    def __init__(self, mbit_s: float) -> None:
        config = PeerConfig(media=media_config(mbit_s * 1e6))
        self._connection = PeerConnection(config, bind="127.0.0.1")
        self._transceiver: Transceiver | None = None
        self._frames = 0
        self._receiving: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        """The offer of an end that sends."""
        self._transceiver = self._connection.add_transceiver("video", direction=Direction.SENDONLY, codecs=["VP8"])
        return await describe(self._connection)

    async def answer(self, offer: str) -> str:
        """The answer of an end that receives."""
        await self._connection.set_remote_description({"type": "offer", "sdp": offer})
        answer = await describe(self._connection)
        transceiver = await anext(self._connection.incoming_transceivers())
        self._receiving = asyncio.create_task(self._receive(transceiver.receiver))
        return answer

    async def accept(self, answer: str) -> None:
        """Take the answer."""
        await self._connection.set_remote_description({"type": "answer", "sdp": answer})

    async def connected(self) -> None:
        """Wait until media can flow."""
        await self._connection.wait_connected()

    async def send(self, frames: Frames) -> None:
        """Send these frames until cancelled."""
        assert self._transceiver is not None
        sender = self._transceiver.sender
        while True:
            data, timestamp = await frames.next()
            sender.send_frame(data, timestamp)

    async def counts(self) -> Counts:
        """What has arrived: packets behind RTX, as the statistics have them; frames behind the iterator."""
        stats = self._connection.statistics().values()
        packets = sum(each.packets_received for each in stats if isinstance(each, InboundRtpStats))
        return Counts(packets, self._frames)

    async def close(self) -> None:
        """End the connection."""
        await self._connection.close()
        if self._receiving is not None:
            await self._receiving

    async def _receive(self, receiver: Receiver) -> None:
        try:
            async for _ in receiver.frames():
                self._frames += 1
        except ConnectionLost:
            pass  # the other process has ended first


def make_media_endpoint(mbit_s: float) -> SansRtcMediaEndpoint:
    """Make one end of a connection."""
    return SansRtcMediaEndpoint(mbit_s)
