"""A browser's camera, or a picture that its page draws, sent to Python and echoed: packets go back as they came.

python examples/browser_media.py        then open the page that it names

Nothing is decoded, so no codec is needed. Once a second it prints what has come. The browser's wishes for keyframes of
what it gets are passed on to itself, for it is the encoder.
"""

from __future__ import annotations

import argparse
import asyncio

import web

from sans_rtc_asyncio import PeerConnection, Transceiver


def prepare(peer: PeerConnection) -> None:
    """Answer that we send as well; of what comes, packets are wanted from the first on."""
    for transceiver in peer.transceivers:
        transceiver.direction = "sendrecv"
        transceiver.receiver.packets()


class Echo:
    """Sends back what comes in one transceiver, and counts it."""

    def __init__(self, transceiver: Transceiver) -> None:
        self._transceiver = transceiver
        self._packets = self._frames = self._bytes = 0
        sender, receiver = transceiver.sender, transceiver.receiver
        sender.on_keyframe_request(lambda rid: receiver.request_keyframe())

    async def run(self) -> None:
        """Until the connection is over."""
        sender, last_timestamp = self._transceiver.sender, None
        async for packet in self._transceiver.receiver.packets():
            sender.send_packet(packet)
            self._packets += 1
            self._bytes += len(packet.packet.payload)
            self._frames += packet.packet.timestamp != last_timestamp
            last_timestamp = packet.packet.timestamp

    def report(self) -> str:
        """What has come since the last time."""
        frames, packets, size = self._frames, self._packets, self._bytes
        self._frames = self._packets = self._bytes = 0
        kbps, target_bps = size * 8 / 1000, self._transceiver.sender.target_bitrate_bps or 0
        return (
            f"{self._transceiver.kind}: {frames} frames, {packets} packets, {kbps:.0f} kbit/s"
            f" (the way back carries {target_bps / 1000:.0f})"
        )


async def serve(peer: PeerConnection) -> None:
    """Echo all that the page sends, and say so once a second."""
    echoes = [Echo(transceiver) for transceiver in peer.transceivers]
    running = asyncio.gather(*(echo.run() for echo in echoes))
    while not running.done():
        await asyncio.wait([running], timeout=1)
        print("; ".join(echo.report() for echo in echoes), flush=True)
    await running


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    web.add_arguments(parser)
    asyncio.run(web.run("echo", web.Visitors(prepare, serve), parser.parse_args()))
