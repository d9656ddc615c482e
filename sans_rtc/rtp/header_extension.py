"""The block of header extensions in an RTP packet (RFC 8285 section 4): elements of (id, value).

one-byte form, 0xBEDE                      two-byte form, 0x100 and 4 bits for the application
     0                                          0                   1
     0 1 2 3 4 5 6 7                            0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
    +-+-+-+-+-+-+-+-+                          +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
    |  ID   | len-1 |  1 to 14; 1 to 16 bytes  |       ID      |     length    |  1 to 255; 0 to 255 bytes
    +-+-+-+-+-+-+-+-+                          +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+

In both, a byte of 0 where an element may begin is padding.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from sans_rtc.errors import InvalidArgument, Malformed, Truncated

ONE_BYTE_PROFILE = 0xBEDE
TWO_BYTE_PROFILE = 0x1000
# The two-byte form leaves four bits to the application (4.3); they carry nothing that we know.
_APPLICATION_BITS = 0x000F

ONE_BYTE_ID_MAX = 14
ONE_BYTE_VALUE_MAX = 16
TWO_BYTE_ID_MAX = 255
TWO_BYTE_VALUE_MAX = 255
# A packet of a browser has three to eight. A block could hold 65535 words of elements.
ELEMENT_COUNT_MAX = 64

_HEAD = struct.Struct("!HH")
_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


def is_rfc_8285(profile: int) -> bool:
    """True where the 16 bits that the profile defines announce elements of RFC 8285."""
    return profile == ONE_BYTE_PROFILE or profile & ~_APPLICATION_BITS == TWO_BYTE_PROFILE


def parse_one_byte(data: bytes, offset: int, end: int, into: list[tuple[int, bytes]]) -> None:
    """Append the elements of a one-byte block, between two offsets of a packet, to `into`.

    Errors   Truncated for an element that leaves the block, Malformed for too many
    """
    append = into.append
    while offset < end:
        head = data[offset]
        offset += 1
        if head > 0x0F:
            if head > 0xEF:  # 4.2: at id 15 the processing of the whole extension ends
                break
            stop = offset + (head & 0x0F) + 1
            if stop > end:
                raise Truncated(f"element {head >> 4} leaves its block", field="header extension", offset=offset - 1)
            append((head >> 4, data[offset:stop]))
            offset = stop
        elif head:  # 4.2: and at id 0 with a length
            break
    _check_count(into)


def parse_two_byte(data: bytes, offset: int, end: int, into: list[tuple[int, bytes]]) -> None:
    """Append the elements of a two-byte block, between two offsets of a packet, to `into`.

    Errors   Truncated for an element that leaves the block, Malformed for too many
    """
    append = into.append
    while offset < end:
        element_id = data[offset]
        offset += 1
        if not element_id:
            continue
        stop = offset + 1 + data[offset] if offset < end else end + 1
        if stop > end:
            raise Truncated(f"element {element_id} leaves its block", field="header extension", offset=offset - 1)
        append((element_id, data[offset + 1 : stop]))
        offset = stop
    _check_count(into)


def _check_count(elements: list[tuple[int, bytes]]) -> None:
    if len(elements) > ELEMENT_COUNT_MAX:
        raise Malformed(f"{len(elements)} elements; {ELEMENT_COUNT_MAX} are taken", field="header extension")


def fits_one_byte(element_id: int, value: bytes) -> bool:
    """True where the one-byte form can carry the element."""
    return 0 < element_id <= ONE_BYTE_ID_MAX and 0 < len(value) <= ONE_BYTE_VALUE_MAX


def serialize_elements(elements: Sequence[tuple[int, bytes]], *, is_two_byte: bool = False) -> bytes:
    """The header extension with its first word, padded to whole words; in the one-byte form where all elements fit it.

    Errors   InvalidArgument for an id or a value that neither form carries
    """
    if len(elements) > ELEMENT_COUNT_MAX:
        raise InvalidArgument(f"{len(elements)} elements; {ELEMENT_COUNT_MAX} are taken")
    if is_two_byte:
        return _serialize_two_byte(elements)
    block = b""
    for element_id, value in elements:
        size = len(value)
        if not (0 < element_id <= ONE_BYTE_ID_MAX and 0 < size <= ONE_BYTE_VALUE_MAX):
            return _serialize_two_byte(elements)
        block += _ONE_BYTE_HEADS[element_id << 4 | size - 1] + value
    size = len(block)
    return _HEAD.pack(ONE_BYTE_PROFILE, size + 3 >> 2) + block + _PADDING[size & 3]


_ONE_BYTE_HEADS = tuple(bytes([byte]) for byte in range(256))


def _serialize_two_byte(elements: Sequence[tuple[int, bytes]]) -> bytes:
    parts = [b""]
    size = 0
    for element_id, value in elements:
        if not 0 < element_id <= TWO_BYTE_ID_MAX or len(value) > TWO_BYTE_VALUE_MAX:
            raise InvalidArgument(f"element {element_id} of {len(value)} bytes fits no form of RFC 8285")
        parts += (bytes((element_id, len(value))), value)
        size += 2 + len(value)
    parts[0] = _HEAD.pack(TWO_BYTE_PROFILE, size + 3 >> 2)
    parts.append(_PADDING[size & 3])
    return b"".join(parts)
