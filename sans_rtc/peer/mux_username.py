"""Whom a check is for: the USERNAME of a STUN Binding request, and nothing else of it (RFC 8445 section 7.2.2).

A whole parse costs ten times as much, and belongs to the peer that the request turns out to be for.
"""

from __future__ import annotations

import re
import struct

from sans_rtc.stun.wire import ATTRIBUTE_COUNT_MAX, HEADER_BYTES, MAGIC_COOKIE

_TYPE_LENGTH = struct.Struct("!HH")
_BINDING_REQUEST = b"\x00\x01"
_COOKIE = MAGIC_COOKIE.to_bytes(4, "big")
_USERNAME = 0x0006
_TURNS = range(ATTRIBUTE_COUNT_MAX)
# RFC 8839 section 5.4: 4 to 256 characters; the same that `ice.Parameters` takes.
_USERNAME_TEXT = re.compile(rb"([!-9;-~]{4,256}):([!-9;-~]{4,256})")


def addressed_ufrags(data: bytes) -> tuple[str, str] | None:
    """The fragments of the peer that is asked and of the one that asks; None where it is no Binding request with both.

    data  whatever came; nothing is raised, and nothing but the shape is checked
    """
    end = len(data)
    if end < HEADER_BYTES or data[:2] != _BINDING_REQUEST or data[4:8] != _COOKIE:
        return None
    if (data[2] << 8 | data[3]) != end - HEADER_BYTES or end & 3:
        return None
    offset = HEADER_BYTES
    for _ in _TURNS:
        if offset >= end:
            return None
        code, size = _TYPE_LENGTH.unpack_from(data, offset)  # offset and end are multiples of 4
        start = offset + 4
        offset = start + (size + 3 & ~3)
        if offset > end:
            return None
        if code == _USERNAME:
            match = _USERNAME_TEXT.fullmatch(data, start, start + size)
            return None if match is None else (match[1].decode("ascii"), match[2].decode("ascii"))
    return None
