"""ChannelData messages: four bytes before the data, where Send and Data indications have 36 (RFC 8656 section 12.4).

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
|         Channel Number        |            Length             |
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
/                       Application Data                        /
+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
"""

from __future__ import annotations

import struct

import attrs

from sans_rtc.errors import InvalidArgument, Truncated, Unsupported

# RFC 8656 section 12: 4096 numbers; what is beyond belongs to other protocols (RFC 7983).
CHANNEL_NUMBER_MIN = 0x4000
CHANNEL_NUMBER_MAX = 0x4FFF
CHANNEL_DATA_HEADER_BYTES = 4
DATA_BYTES_MAX = 0xFFFF

HEADER = struct.Struct("!HH")
PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
"""What fills a frame of this many bytes, modulo 4, up to a multiple of 4."""


@attrs.define(slots=True)
class ChannelData:
    """One ChannelData message: a channel number of 0x4000 to 0x4FFF, and 0 to 65535 bytes of data."""

    number: int
    data: bytes


def parse_channel_data(data: bytes) -> ChannelData:
    """Parse one ChannelData message that begins `data`; what stands behind its length is padding and ignored.

    Errors   Truncated; Unsupported for a number that is no channel's
    Source   RFC 8656 section 12.6: what claims more than it holds, and reserved numbers, are discarded
    """
    if len(data) < CHANNEL_DATA_HEADER_BYTES:
        raise Truncated(f"a ChannelData header in {len(data)} bytes", field="header")
    number, size = HEADER.unpack_from(data)
    if not CHANNEL_NUMBER_MIN <= number <= CHANNEL_NUMBER_MAX:
        raise Unsupported(f"0x{number:04X} is not the number of a channel", field="channel number", offset=0)
    end = CHANNEL_DATA_HEADER_BYTES + size
    if end > len(data):
        raise Truncated(f"{size} bytes of data in a message of {len(data)}", field="length", offset=2)
    return ChannelData(number, data[CHANNEL_DATA_HEADER_BYTES:end])


def serialize_channel_data(number: int, data: bytes, *, pad: bool) -> bytes:
    """Serialize one ChannelData message.

    pad      fill up to a multiple of 4 bytes: a must over TCP and TLS, needless over UDP (RFC 8656 section 12.5)
    Errors   InvalidArgument for a number that is no channel's, and for more than 65535 bytes
    """
    if not CHANNEL_NUMBER_MIN <= number <= CHANNEL_NUMBER_MAX:
        raise InvalidArgument(f"a channel number is 0x4000 to 0x4FFF, not 0x{number:04X}")
    size = len(data)
    if size > DATA_BYTES_MAX:
        raise InvalidArgument(f"{size} bytes in one message, {DATA_BYTES_MAX} is the most")
    if pad and size & 3:
        return b"".join((HEADER.pack(number, size), data, PADDING[size & 3]))
    return HEADER.pack(number, size) + data
