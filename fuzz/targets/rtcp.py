"""RTCP packets, compound and of reduced size."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from fuzz.codec import check_codec, vector_bytes
from sans_rtc.rtcp import parse_compound, serialize_compound


def run(data: bytes) -> None:
    """The bytes are a datagram."""
    check_codec(partial(parse_compound, allow_reduced_size=True), serialize_compound, data)


def seeds() -> Iterator[bytes]:
    """The vectors of RTCP."""
    yield from vector_bytes("rtcp", "bytes")
