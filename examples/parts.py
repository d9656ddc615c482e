"""What several examples of media need: bytes in the form of frames, and signalling between two peers of one process."""

from __future__ import annotations

import asyncio

from sans_rtc_asyncio import PeerConnection


def vp8_frame(number: int, *, is_keyframe: bool, size: int = 4_000, mark: str = " ") -> bytes:
    """A frame in the form of VP8: its header (RFC 6386 section 9.1), and what would be a picture; ends with `mark`."""
    body = bytes((number * 7 + i) & 0xFF for i in range(256)) * (size // 256) + mark.encode()
    if is_keyframe:
        return b"\x10\x00\x00\x9d\x01\x2a" + (640).to_bytes(2, "little") + (360).to_bytes(2, "little") + body
    return b"\x11\x00\x00" + body


async def connect(caller: PeerConnection, callee: PeerConnection) -> None:
    """Signalling, which here is a few calls: everything is in the descriptions once gathering is complete."""
    await caller.set_local_description()
    await caller.gathering_complete()
    await callee.set_remote_description(caller.local_description)
    await callee.set_local_description()
    await callee.gathering_complete()
    await caller.set_remote_description(callee.local_description)
    await asyncio.gather(caller.wait_connected(10), callee.wait_connected(10))
