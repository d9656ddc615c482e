"""Audio and video of the aiortc peer: a tone and a moving picture go out, what comes is decoded and counted."""

import asyncio
import fractions
import math
import os
import struct

import av
from aiortc import MediaStreamTrack, RTCRtpReceiver, VideoStreamTrack
from aiortc.mediastreams import MediaStreamError

from interop_peers.tone import AMPLITUDE, SAMPLE_RATE_HZ, TONE_HZ

PTIME_S = 0.02
VIDEO_CLOCK_HZ = 90_000


class Tone(MediaStreamTrack):
    """A tone in real time, in frames of 20 ms."""

    kind = "audio"

    def __init__(self):
        super().__init__()
        self.count, self.started_at, self.is_on = 0, None, True

    async def recv(self):
        loop = asyncio.get_running_loop()
        if self.started_at is None:
            self.started_at = loop.time()
        await asyncio.sleep(max(0.0, self.started_at + self.count * PTIME_S - loop.time()))
        size = round(SAMPLE_RATE_HZ * PTIME_S)
        first = self.count * size
        level = AMPLITUDE if self.is_on else 0
        turns = (2 * math.pi * TONE_HZ * (first + n) / SAMPLE_RATE_HZ for n in range(size))
        frame = av.AudioFrame(format="s16", layout="mono", samples=size)
        frame.planes[0].update(struct.pack(f"<{size}h", *(round(level * math.sin(turn)) for turn in turns)))
        frame.pts, frame.sample_rate = first, SAMPLE_RATE_HZ
        frame.time_base = fractions.Fraction(1, SAMPLE_RATE_HZ)
        self.count += 1
        return frame


class Picture(VideoStreamTrack):
    """A bar that moves over grey; grey alone while it is off."""

    def __init__(self, width, height, rate):
        super().__init__()
        self.size, self.rate, self.count, self.is_on = (width, height), rate, 0, True

    async def recv(self):
        loop = asyncio.get_running_loop()
        if self.count == 0:
            self.started_at = loop.time()
        await asyncio.sleep(max(0.0, self.started_at + self.count / self.rate - loop.time()))
        width, height = self.size
        bar = self.count * 4 % (width - 32)
        frame = av.VideoFrame(width, height, "yuv420p")
        # Noise, so that there is something to encode.
        rows = (bytes([90]) * bar + (os.urandom(32) if self.is_on else b"")).ljust(width, b"\x5a")
        self.fill(frame.planes[0], rows)
        for plane in frame.planes[1:]:
            self.fill(plane, bytes([128]) * plane.width)
        frame.pts = self.count * VIDEO_CLOCK_HZ // self.rate
        frame.time_base = fractions.Fraction(1, VIDEO_CLOCK_HZ)
        self.count += 1
        return frame

    @staticmethod
    def fill(plane, row):
        plane.update(row.ljust(plane.line_size, b"\0") * plane.height)


class Media:
    """The media of one connection: transceivers by name, and the count of what was decoded by kind."""

    def __init__(self, pc):
        self.pc, self.transceivers, self.tracks, self.tasks = pc, {}, {}, set()
        self.decoded = {"audio": 0, "video": 0}
        pc.on("track", self.take)

    def take(self, track):
        task = asyncio.create_task(self.count(track))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def count(self, track):
        try:
            while True:
                await track.recv()
                self.decoded[track.kind] += 1
        except MediaStreamError:
            return

    async def add(self, name, kind, direction="sendrecv", codecs=(), waits=False, width=320, height=240, rate=15, **_):
        track = None
        if direction.startswith("send"):
            track = Tone() if kind == "audio" else Picture(width, height, rate)
        if waits and track is not None:
            sender = self.pc.addTrack(track)
            transceiver = next(each for each in self.pc.getTransceivers() if each.sender is sender)
        else:
            transceiver = self.pc.addTransceiver(track or kind, direction=direction)
        if codecs:
            known = RTCRtpReceiver.getCapabilities(kind).codecs
            wanted = [each for codec in codecs for each in known if each.mimeType.lower().endswith("/" + codec.lower())]
            transceiver.setCodecPreferences([*wanted, *(each for each in known if each.mimeType.endswith("/rtx"))])
        self.transceivers[name], self.tracks[name] = transceiver, track

    async def enable(self, name, on):
        self.tracks[name].is_on = on

    async def direct(self, name, direction):
        self.transceivers[name].direction = direction

    async def remove(self, name):
        self.transceivers[name].sender.replaceTrack(None)
        self.transceivers[name].direction = "recvonly"

    async def prepare(self, name):
        """Nothing is needed to ask for keyframes."""

    async def request_keyframe(self, name):
        receiver = self.transceivers[name].receiver
        for source in receiver.getSynchronizationSources():
            await receiver._send_rtcp_pli(source.source)

    async def end(self):
        for track in self.tracks.values():
            if track is not None:
                track.stop()

    async def stats(self):
        sent = {track.kind: track.count for track in self.tracks.values() if track is not None}
        reports = []
        for each in (await self.pc.getStats()).values():
            if each.type == "inbound-rtp":
                lost = max(0, each.packetsLost)
                counts = {"packetsReceived": each.packetsReceived, "packetsLost": lost, "jitter": each.jitter}
                counts["framesDecoded"] = self.decoded[each.kind]
            elif each.type == "outbound-rtp":
                counts = {"packetsSent": each.packetsSent, "framesSent": sent.get(each.kind, 0)}
                counts["bytesSent"] = each.bytesSent
            else:
                continue
            reports.append({"type": each.type, "kind": each.kind, "ssrc": each.ssrc, **counts})
        return reports
