"""What holds for whatever cuts a stream into frames: where the pieces end makes no difference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Framer(Protocol):
    """A stream's reader."""

    is_broken: bool

    def feed(self, piece: bytes) -> list[bytes]:
        """Take a piece, return the frames that are whole."""
        ...


def check_framing(make: Callable[[], Framer], size: int, stream: bytes) -> list[bytes]:
    """The frames of a stream, the same in one piece as in pieces of this size."""
    whole, pieces = make(), make()
    frames = whole.feed(stream)
    cut: list[bytes] = []
    for start in range(0, len(stream), size):
        cut += pieces.feed(stream[start : start + size])
    assert frames == cut, f"{frames} in one piece, {cut} in pieces of {size}"
    assert whole.is_broken == pieces.is_broken
    return frames
