"""One publisher, many subscribers: a forwarder sends each the layer of a simulcast that its own path carries.

python examples/forward.py [--subscribers N] [--seconds S]

Everything is in one process, over real UDP. There is no codec: packets are forwarded as they come, and what the
publisher sends are bytes in the form of VP8. Every third subscriber has all the path there is, the next ones are
limited to 700 and 250 kbit/s. A layer is changed only where a keyframe begins, which the publisher is asked for.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack

from parts import connect, vp8_frame

from sans_rtc_asyncio import EncodingSettings, PacketReceived, PeerConnection, Receiver, Sender

FRAMES_PER_S = 30
LAYERS = {"q": 150_000, "h": 500_000, "f": 1_500_000}  # bits a second, the smallest first
LIMITS_BPS = (None, 700_000, 250_000)
HEADROOM = 1.1  # packets are a little larger than what is in them
SEEN_S = 1.0  # a layer that has sent nothing for so long is off


async def publish(sender: Sender) -> None:
    """Send each layer that the path has room for; a keyframe first, and one whenever it is asked for."""
    wanted = set(LAYERS)
    sender.on_keyframe_request(wanted.add)
    for number in range(1 << 30):
        for rid, bitrate_bps in LAYERS.items():
            if sender.bitrate_by_rid.get(rid, 0) == 0:
                wanted.add(rid)  # what it begins with again
                continue
            size = bitrate_bps // 8 // FRAMES_PER_S
            frame = vp8_frame(number, is_keyframe=rid in wanted, size=size, mark=rid)
            wanted.discard(rid)
            sender.send_frame(frame, number * 90_000 // FRAMES_PER_S, rid=rid)
        await asyncio.sleep(1 / FRAMES_PER_S)


class Subscriber:
    """One who watches: `sender` is the forwarder's end towards it."""

    def __init__(self, name: str, sender: Sender, source: Source) -> None:
        self.name = name
        self.layer = self.wanted = ""
        self._sender = sender
        self._source = source
        sender.on_bitrate(lambda bitrate_bps: self.choose())
        sender.on_keyframe_request(lambda rid: source.receiver.request_keyframe(self.layer or None))

    def choose(self) -> None:
        """Wish for the largest layer that fits; ask for a keyframe to begin it with."""
        bitrate_bps = self._sender.target_bitrate_bps or 0
        layers = self._source.layers()
        fitting = [rid for rid in layers if LAYERS[rid] * HEADROOM <= bitrate_bps]
        self.wanted = (fitting or layers[:1] or [""])[-1]
        if self.wanted and self.wanted != self.layer:
            self._source.receiver.request_keyframe(self.wanted)

    def forward(self, packet: PacketReceived, *, begins_keyframe: bool) -> None:
        """Send a packet on where it is of the chosen layer."""
        if packet.rid == self.wanted and self.wanted != self.layer and begins_keyframe:
            print(f"{self.name}: {self.layer or 'nothing'} -> {self.wanted}")
            self.layer = self.wanted
        if packet.rid == self.layer and self._sender.can_send:
            self._sender.send_packet(packet)


class Source:
    """What comes from the publisher, and who gets it."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.subscribers: list[Subscriber] = []
        self._seen_at: dict[str, float] = {}

    def layers(self) -> list[str]:
        """The layers that come at present, the smallest first."""
        now = time.monotonic()
        return [rid for rid in LAYERS if now - self._seen_at.get(rid, 0.0) < SEEN_S]

    async def run(self) -> None:
        """Hand every packet to every subscriber."""
        async for packet in self.receiver.packets():
            if packet.codec is None:
                continue
            is_new = packet.rid not in self.layers()
            self._seen_at[packet.rid] = time.monotonic()
            begins_keyframe = packet.codec.codec.is_keyframe_payload(packet.packet.payload)
            for subscriber in self.subscribers:
                if is_new:
                    subscriber.choose()
                subscriber.forward(packet, begins_keyframe=begins_keyframe)


async def watch(receiver: Receiver, counts: Counter[str]) -> None:
    """Count what a subscriber gets; a decoder would want a keyframe at each change and after each gap."""
    layer = ""
    async for frame in receiver.frames():
        came = frame.data[-1:].decode()
        if not frame.is_keyframe and (came != layer or not frame.is_contiguous):
            counts["broken"] += 1
        layer = came
        counts[came] += 1


async def subscribe(stack: AsyncExitStack, number: int, source: Source) -> tuple[str, Receiver]:
    """Connect one more subscriber to the forwarder; gives its name and its own end."""
    near = await stack.enter_async_context(PeerConnection(bind="127.0.0.1"))
    far = await stack.enter_async_context(PeerConnection(bind="127.0.0.1"))
    sender = near.add_transceiver("video", direction="sendonly", codecs=["VP8"]).sender
    await connect(near, far)
    limit_bps = LIMITS_BPS[number % len(LIMITS_BPS)]
    if limit_bps is not None:
        sender.set_encodings([EncodingSettings(max_bitrate_bps=limit_bps)])
    name = f"subscriber {number + 1} ({f'{limit_bps // 1000} kbit/s' if limit_bps else 'no limit'})"
    source.subscribers.append(Subscriber(name, sender, source))
    return name, far.transceivers[0].receiver


async def main(subscriber_count: int, seconds: float) -> None:
    """Forward for so long, and say who got what."""
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(PeerConnection(bind="127.0.0.1"))
        forwarder = await stack.enter_async_context(PeerConnection(bind="127.0.0.1"))
        sending = publisher.add_transceiver("video", direction="sendonly", send_encodings=list(LAYERS), codecs=["VP8"])
        await connect(publisher, forwarder)
        source = Source(forwarder.transceivers[0].receiver)
        watchers = dict([await subscribe(stack, number, source) for number in range(subscriber_count)])
        counts: dict[str, Counter[str]] = {name: Counter() for name in watchers}
        async with asyncio.TaskGroup() as group:
            work = [source.run(), publish(sending.sender)]
            work += [watch(receiver, counts[name]) for name, receiver in watchers.items()]
            tasks = [group.create_task(each) for each in work]
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
        for subscriber in source.subscribers:
            count = counts[subscriber.name]
            frames = ", ".join(f"{count[rid]} of {rid}" for rid in LAYERS)
            print(f"{subscriber.name}: gets {subscriber.layer}; frames: {frames}; {count['broken']} not decodable")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--subscribers", metavar="N", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.subscribers, arguments.seconds))
