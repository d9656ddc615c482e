"""The presentation language of TLS (RFC 5246 section 4): unsigned integers, opaque bytes, vectors with a length prefix.

Every `take_...` function reads at an offset and returns the value and the offset behind it. They raise `WireError` and
nothing else, whatever the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from sans_rtc.errors import Malformed, Truncated


class ProtocolVersion(IntEnum):
    """Versions as they stand on the wire: the one's complement of TLS's, so a newer version is a smaller number."""

    DTLS_1_0 = 0xFEFF
    DTLS_1_2 = 0xFEFD
    DTLS_1_3 = 0xFEFC


class ContentType(IntEnum):
    """What a record carries (RFC 5246 section 6.2.1)."""

    CHANGE_CIPHER_SPEC = 20
    ALERT = 21
    HANDSHAKE = 22
    APPLICATION_DATA = 23


def take_bytes(data: bytes, offset: int, size: int, field: str) -> tuple[bytes, int]:
    """Read `size` bytes."""
    end = offset + size
    if end > len(data):
        raise Truncated(f"{field} needs {size} bytes, {len(data) - offset} are left", field=field, offset=offset)
    return data[offset:end], end


def take_uint(data: bytes, offset: int, size: int, field: str) -> tuple[int, int]:
    """Read an unsigned integer of `size` bytes."""
    value, end = take_bytes(data, offset, size, field)
    return int.from_bytes(value, "big"), end


def take_vector(
    data: bytes, offset: int, prefix_size: int, field: str, *, minimum: int = 0, maximum: int = 1 << 24
) -> tuple[bytes, int]:
    """Read a vector: its length in bytes as an unsigned integer of `prefix_size` bytes, then so many bytes."""
    size, start = take_uint(data, offset, prefix_size, field)
    if not minimum <= size <= maximum:
        raise Malformed(f"{field} is {size} bytes long, not {minimum} to {maximum}", field=field, offset=offset)
    return take_bytes(data, start, size, field)


def expect_end(data: bytes, offset: int, field: str) -> None:
    """Refuse bytes behind the last field."""
    if offset != len(data):
        raise Malformed(f"{len(data) - offset} bytes too many behind {field}", field=field, offset=offset)


def parse_uint16_list(body: bytes, field: str) -> tuple[int, ...]:
    """Read the body of a vector of 16-bit integers."""
    if len(body) % 2:
        raise Malformed(f"{field} has an odd number of bytes", field=field)
    return tuple([int.from_bytes(body[index : index + 2], "big") for index in range(0, len(body), 2)])


def serialize_uint16_list(values: Sequence[int]) -> bytes:
    """Write 16-bit integers one after the other, without a length."""
    return b"".join([value.to_bytes(2, "big") for value in values])


def serialize_vector(body: bytes, prefix_size: int) -> bytes:
    """Write a vector: the length in `prefix_size` bytes, then the body."""
    return len(body).to_bytes(prefix_size, "big") + body
