"""The messages that open data channels."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec
from sans_rtc.datachannel.wire import parse_dcep, serialize_dcep


def run(data: bytes) -> None:
    """The bytes are a message."""
    message = check_codec(parse_dcep, serialize_dcep, data)
    if message is not None:
        assert parse_dcep(serialize_dcep(message)) == message


def seeds() -> Iterator[bytes]:
    """An acknowledgement, and openings of each channel type."""
    yield b"\x02"
    for kind in (0x00, 0x80, 0x01, 0x81, 0x02, 0x82):
        yield bytes((3, kind, 1, 0, 0, 0, 0, 9, 0, 4, 0, 2)) + "chät".encode()[:4] + b"v1"
