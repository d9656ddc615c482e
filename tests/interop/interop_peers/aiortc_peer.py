"""An aiortc peer that takes requests as JSON lines on stdin and answers on stdout; lines.py is its reader.

Loopback is the only network it knows: aioice leaves loopback out on its own.
"""

import asyncio
import contextlib
import json
import sys

import aioice.ice
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import candidate_from_sdp

from interop_peers.aiortc_media import Media
from interop_peers.messages import Message, content, digest

BUFFERED_BYTES_MAX = 1 << 20
REQUEST_BYTES_MAX = 1 << 22

aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Peer:
    """One connection and its channels by label."""

    def __init__(self):
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels = {}
        self.echoed = set()
        self.is_gone = False
        self.pc.on("connectionstatechange", self.report_state)
        self.pc.on("iceconnectionstatechange", self.report_state)
        self.pc.on("datachannel", self.watch)
        self.media = Media(self.pc)

    def report(self, **event):
        if not self.is_gone:
            say(event)

    def report_state(self):
        self.report(event="state", connection=self.pc.connectionState, ice=self.pc.iceConnectionState)

    def watch(self, channel: RTCDataChannel):
        self.channels[channel.label] = channel
        channel.on("open", lambda: self.report_open(channel))
        channel.on("close", lambda: self.report(event="closed", label=channel.label))
        channel.on("message", lambda data: self.take(channel, data))
        if channel.readyState == "open":
            self.report_open(channel)

    def report_open(self, channel):
        self.report(
            event="open",
            label=channel.label,
            id=channel.id,
            ordered=channel.ordered,
            protocol=channel.protocol,
            maxRetransmits=channel.maxRetransmits,
            maxPacketLifeTime=channel.maxPacketLifeTime,
        )

    def take(self, channel, data):
        self.report(event="received", label=channel.label, messages=[digest(data)])
        if channel.label in self.echoed:
            channel.send(data)

    async def describe_locally(self, description, trickle):
        await self.pc.setLocalDescription(description)
        lines = self.pc.localDescription.sdp.splitlines(keepends=True)
        if not trickle:
            return {"sdp": "".join(lines)}
        # aiortc has gathered everything by now: take the candidates out and send them one by one.
        mid = next(line[6:].strip() for line in lines if line.startswith("a=mid:"))
        for line in lines:
            if line.startswith("a=candidate:"):
                candidate = {"candidate": line[2:].strip(), "sdpMid": mid, "sdpMLineIndex": 0}
                self.report(event="candidate", candidate=candidate)
        self.report(event="candidate", candidate=None)
        return {"sdp": "".join(line for line in lines if not line.startswith(("a=candidate:", "a=end-of-cand")))}

    async def offer(self, trickle, restart):
        return await self.describe_locally(await self.pc.createOffer(), trickle)

    async def answer(self, sdp, trickle):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        return await self.describe_locally(await self.pc.createAnswer(), trickle)

    async def accept(self, sdp):
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    async def candidate(self, candidate):
        if candidate is None or not candidate["candidate"]:
            await self.pc.addIceCandidate(None)
            return
        parsed = candidate_from_sdp(candidate["candidate"].removeprefix("candidate:"))
        parsed.sdpMid, parsed.sdpMLineIndex = candidate.get("sdpMid"), candidate.get("sdpMLineIndex")
        await self.pc.addIceCandidate(parsed)

    async def create_channel(self, label, negotiated=None, **options):
        if negotiated is not None:
            options |= {"negotiated": True, "id": negotiated}
        self.watch(self.pc.createDataChannel(label, **options))

    async def add_media(self):
        for kind in ("audio", "video"):
            self.pc.addTransceiver(kind)

    async def send_all(self, label, messages):
        channel, low = self.channels[label], asyncio.Event()
        channel.bufferedAmountLowThreshold = BUFFERED_BYTES_MAX // 2
        channel.on("bufferedamountlow", low.set)
        for message in messages:
            if channel.bufferedAmount > BUFFERED_BYTES_MAX:
                low.clear()
                await low.wait()
            channel.send(content(Message(*message)))

    async def echo(self, label):
        self.echoed.add(label)

    async def close_channel(self, label):
        self.channels[label].close()

    async def describe(self):
        pc = self.pc
        return {"connection": pc.connectionState, "ice": pc.iceConnectionState, "signaling": pc.signalingState}

    async def close(self):
        await self.pc.close()


async def answer(peer, request):
    number, do = request.pop("id"), request.pop("do").replace("-", "_")
    target = peer.media if do.startswith("media_") else peer
    try:
        say({"id": number, "value": await getattr(target, do.removeprefix("media_"))(**request)})
    except Exception as error:
        say({"id": number, "error": f"{type(error).__name__}: {error}"})


async def main():
    requests = asyncio.StreamReader(limit=REQUEST_BYTES_MAX)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    peer, slow = None, set()
    while line := await requests.readline():
        request = json.loads(line)
        if request["do"] == "open":
            if peer is not None:
                peer.is_gone = True
                with contextlib.suppress(Exception):  # it stumbles over a connection that the other side has closed
                    await peer.pc.close()
            peer = Peer()
            say({"id": request["id"], "value": None})
        elif request["do"] == "send-all":  # as long as the window allows
            task = asyncio.create_task(answer(peer, request))
            slow.add(task)
            task.add_done_callback(slow.discard)
        else:
            await answer(peer, request)


asyncio.run(main())
