"""Datagrams on streams (RFC 4571)."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.framing import check_framing
from sans_rtc.ice.framing import FrameReader, serialize_frame


def run(data: bytes) -> None:
    """The size of the pieces less one, the longest frame in words, each in a byte; the rest is the stream."""
    if len(data) < 2:
        return
    longest = 4 * data[1]
    frames = check_framing(lambda: FrameReader(longest), 1 + data[0], data[2:])
    written = b"".join([serialize_frame(frame) for frame in frames])
    assert FrameReader(longest).feed(written) == frames


def seeds() -> Iterator[bytes]:
    """Frames, an empty one and one that is not whole."""
    yield b"\x02\xff" + serialize_frame(b"hello") + serialize_frame(b"") + serialize_frame(bytes(100)) + b"\x00\x09cut"
    yield b"\x00\x02" + serialize_frame(b"too long a frame")
