"""Streams of TURN, cut into messages."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import vector_bytes
from fuzz.framing import check_framing
from sans_rtc.turn import TurnFramer


def run(data: bytes) -> None:
    """The first byte is the size of the pieces, less one; the rest is the stream."""
    if data:
        check_framing(TurnFramer, 1 + data[0], data[1:])


def seeds() -> Iterator[bytes]:
    """Messages of STUN, each with ChannelData behind it."""
    for size, message in enumerate(vector_bytes("stun", "message"), 1):
        yield bytes((size,)) + message + b"\x40\x00\x00\x05hello\x00\x00\x00" + message
