"""Two peers in one process send each other audio and video over real UDP and DTLS-SRTP, without any codec.

    python examples/media_loopback.py [SECONDS]

What is sent are bytes in the form of Opus packets and VP8 frames: an encoder would make such, a decoder take them.
"""

from __future__ import annotations

import asyncio
import sys
import time

from sans_rtc_asyncio import PeerConnection, Sender, Transceiver

FRAMES_PER_S = 30


def opus_packet(number: int) -> bytes:
    """20 ms in the form of Opus: a table of contents (CELT, 20 ms, mono), and what would be sound."""
    return b"\xf8" + bytes((number + i) & 0xFF for i in range(80))


def vp8_frame(number: int, *, is_keyframe: bool) -> bytes:
    """A frame in the form of VP8: its header (RFC 6386 section 9.1), and what would be a picture."""
    body = bytes((number * 7 + i) & 0xFF for i in range(12_000 if is_keyframe else 4_000))
    if is_keyframe:
        return b"\x10\x00\x00\x9d\x01\x2a" + (640).to_bytes(2, "little") + (360).to_bytes(2, "little") + body
    return b"\x11\x00\x00" + body


async def send_audio(sender: Sender) -> None:
    """One packet every 20 ms."""
    for number in range(1 << 30):
        sender.send_frame(opus_packet(number), number * 960)
        await asyncio.sleep(0.02)


async def send_video(sender: Sender) -> None:
    """A frame every 1/30 s, the first a keyframe, and one whenever the other end asks for it."""
    wanted = {""}
    sender.on_keyframe_request(wanted.add)
    for number in range(1 << 30):
        is_keyframe = bool(wanted)
        wanted.clear()
        sender.send_frame(vp8_frame(number, is_keyframe=is_keyframe), number * 90_000 // FRAMES_PER_S)
        await asyncio.sleep(1 / FRAMES_PER_S)


async def receive(transceiver: Transceiver, counts: dict[str, int]) -> None:
    """Count what arrives."""
    async for frame in transceiver.receiver.frames():
        counts[transceiver.kind] = counts.get(transceiver.kind, 0) + 1
        counts["bytes"] = counts.get("bytes", 0) + len(frame.data)


async def connect(caller: PeerConnection, callee: PeerConnection) -> None:
    """Signalling, which here is two calls: everything is in the descriptions once gathering is complete."""
    await caller.set_local_description()
    await caller.gathering_complete()
    assert caller.local_description is not None
    await callee.set_remote_description(caller.local_description)
    for transceiver in callee.transceivers:
        transceiver.direction = "sendrecv"
    await callee.set_local_description()
    await callee.gathering_complete()
    assert callee.local_description is not None
    await caller.set_remote_description(callee.local_description)
    await asyncio.gather(caller.wait_connected(10), callee.wait_connected(10))


async def main(seconds: float) -> None:
    """Send both ways for so long, and say what came."""
    async with PeerConnection() as caller, PeerConnection() as callee:
        began = time.monotonic()
        for kind in ("audio", "video"):
            caller.add_transceiver(kind)
        await connect(caller, callee)
        print(f"connected in {(time.monotonic() - began) * 1000:.0f} ms")
        counts: dict[str, dict[str, int]] = {"caller": {}, "callee": {}}
        async with asyncio.TaskGroup() as group:
            tasks = []
            for name, peer in (("caller", caller), ("callee", callee)):
                for transceiver in peer.transceivers:
                    send = send_audio if transceiver.kind == "audio" else send_video
                    tasks.append(group.create_task(send(transceiver.sender)))
                    tasks.append(group.create_task(receive(transceiver, counts[name])))
            await asyncio.sleep(seconds)
            for task in tasks:
                task.cancel()
        for name, count in counts.items():
            print(
                f"{name} received {count['audio']} audio packets, {count['video']} video frames, {count['bytes']} bytes"
            )


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 3.0))
