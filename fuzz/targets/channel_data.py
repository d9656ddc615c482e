"""ChannelData of TURN."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec
from sans_rtc.turn import parse_channel_data, serialize_channel_data
from sans_rtc.turn.channel_data import ChannelData


def run(data: bytes) -> None:
    """The bytes are a message, of which the first bit is lent: whether it is written with padding."""
    pad = bool(data) and data[0] >= 0x80
    message = data and bytes((data[0] & 0x7F,)) + data[1:]

    def write(parsed: ChannelData) -> bytes:
        return serialize_channel_data(parsed.number, parsed.data, pad=pad)

    check_codec(parse_channel_data, write, message)


def seeds() -> Iterator[bytes]:
    """With padding and without."""
    yield from (b"\x40\x00\x00\x04data", b"\xc0\x01\x00\x05hello\x00\x00\x00", b"\x4f\xff\x00\x00")
