"""The handshake header of DTLS (RFC 6347 section 4.2.2) and its fragments; the bodies are in `messages`.

msg_type | length, 24 bits | message_seq, 16 | fragment_offset, 24 | fragment_length, 24 | body
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from sans_rtc.errors import Malformed, Truncated


class HandshakeType(IntEnum):
    """What a handshake message is (RFC 6347 section 4.3.2)."""

    HELLO_REQUEST = 0
    CLIENT_HELLO = 1
    SERVER_HELLO = 2
    HELLO_VERIFY_REQUEST = 3
    CERTIFICATE = 11
    SERVER_KEY_EXCHANGE = 12
    CERTIFICATE_REQUEST = 13
    SERVER_HELLO_DONE = 14
    CERTIFICATE_VERIFY = 15
    CLIENT_KEY_EXCHANGE = 16
    FINISHED = 20


_NAMES = {type_.value: type_.name.lower() for type_ in HandshakeType}

# Twenty-four bits are read as eight and sixteen.
_HEADER = struct.Struct(">BBHHBHBH")
HANDSHAKE_HEADER_BYTES = _HEADER.size


def handshake_name(type_: int) -> str:
    """The name of a message type in the RFC's words, or its number."""
    return _NAMES.get(type_, f"handshake type {type_}")


class Fragment(NamedTuple):
    """A range of one message.

    type         of the message; any number from 0 to 255
    length       of the whole message's body
    message_seq  which message of this sender's it is
    offset       where the range begins
    body         the range
    """

    type: int
    length: int
    message_seq: int
    offset: int
    body: bytes


class HandshakeMessage(NamedTuple):
    """A whole message.

    type         any number from 0 to 255
    message_seq  counts the sender's messages from 0
    body         what follows the header
    """

    type: int
    message_seq: int
    body: bytes

    def serialize(self) -> bytes:
        """The message as if sent in one fragment: what goes into the transcript."""
        return self.serialize_fragment(0, len(self.body))

    def serialize_fragment(self, offset: int, size: int) -> bytes:
        """One fragment with its header."""
        length = len(self.body)
        header = _HEADER.pack(
            self.type,
            length >> 16,
            length & 0xFFFF,
            self.message_seq,
            offset >> 16,
            offset & 0xFFFF,
            size >> 16,
            size & 0xFFFF,
        )
        return header + self.body[offset : offset + size]


def parse_fragments(data: bytes) -> list[Fragment]:
    """Read the content of a handshake record: one fragment or several.

    Errors  WireError: no fragment, one that ends behind the record or its own message, or an empty range of a message
            that is not empty
    """
    fragments = []
    offset = 0
    while True:  # each round takes the header's twelve bytes at least
        fragment = _parse_fragment(data, offset)
        fragments.append(fragment)
        offset += HANDSHAKE_HEADER_BYTES + len(fragment.body)
        if offset == len(data):
            return fragments


def _parse_fragment(data: bytes, offset: int) -> Fragment:
    if len(data) - offset < HANDSHAKE_HEADER_BYTES:
        raise Truncated("a handshake header has 12 bytes", field="handshake header", offset=offset)
    type_, length_high, length_low, message_seq, offset_high, offset_low, size_high, size_low = _HEADER.unpack_from(
        data, offset
    )
    length = length_high << 16 | length_low
    position = offset_high << 16 | offset_low
    size = size_high << 16 | size_low
    if position + size > length:
        raise Malformed("a fragment ends behind its message", field="fragment_length", offset=offset + 9)
    if length and not size:
        raise Malformed("an empty fragment of a message that is not", field="fragment_length", offset=offset + 9)
    start = offset + HANDSHAKE_HEADER_BYTES
    if start + size > len(data):
        raise Truncated("a fragment ends behind its record", field="fragment_length", offset=offset + 9)
    return Fragment(type_, length, message_seq, position, data[start : start + size])
