"""aiortc behind the JSON lines of `sans-rtc peer --echo`:  python -m tests.conformance.aiortc_bridge

For `python -m tests.conformance --against`. Loopback is the only network it knows: aioice leaves loopback out.
"""

import asyncio
import json
import sys

import aioice.ice
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

LINE_BYTES_MAX = 1 << 22
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def say(kind, **fields):
    print(json.dumps({"type": kind, **fields}), flush=True)


class Bridge:
    """One connection; every message of a channel goes back."""

    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels = {}
        self.pc.on("connectionstatechange", self.report)
        self.pc.on("iceconnectionstatechange", self.report)
        self.pc.on("datachannel", self.watch)

    def report(self):
        say("state", connection=self.pc.connectionState, ice=self.pc.iceConnectionState)

    def watch(self, channel):
        self.channels[channel.label] = channel
        channel.on("message", channel.send)
        channel.on("open", lambda: say("channel", label=channel.label, id=channel.id))
        channel.on("close", lambda: say("channel-closed", label=channel.label, id=channel.id))
        if channel.readyState == "open":
            say("channel", label=channel.label, id=channel.id)

    async def on_offer(self, sdp, **_):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await self.pc.setLocalDescription(await self.pc.createAnswer())
        say("answer", sdp=self.pc.localDescription.sdp)
        say("candidate", candidate=None)

    async def on_candidate(self, candidate=None, sdpMid=None, sdpMLineIndex=None, **_):  # noqa: N803  # as in JSON
        if not candidate:
            await self.pc.addIceCandidate(None)
            return
        parsed = candidate_from_sdp(candidate.removeprefix("candidate:"))
        parsed.sdpMid, parsed.sdpMLineIndex = sdpMid, sdpMLineIndex
        await self.pc.addIceCandidate(parsed)

    async def on_create_channel(self, label, ordered=True, max_retransmits=None, **_):
        self.watch(self.pc.createDataChannel(label, ordered=ordered, maxRetransmits=max_retransmits))

    async def on_send(self, label, text, **_):
        self.channels[label].send(text)

    async def on_close_channel(self, label, **_):
        self.channels[label].close()


async def main():
    """Follow requests until the input ends."""
    lines = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    bridge = Bridge()
    while line := await lines.readline():
        request = json.loads(line)
        kind = request.pop("type").replace("-", "_")
        try:
            await getattr(bridge, f"on_{kind}")(**request)
        except Exception as error:  # whatever it stumbles over, the next request may do
            say("error", message=f"{type(error).__name__}: {error}")
    await bridge.pc.close()
    say("closed", reason="the input has ended")


if __name__ == "__main__":
    asyncio.run(main())
