"""What proves a message: MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT (RFC 8489 sections 14.5 to 14.7).

Each is computed over the message before it, with the header's length set as if the message ended with it. The functions
that check take the bytes as they arrived, whatever they are: they raise nothing, and what cannot be read is not valid.
"""

from __future__ import annotations

import hmac
import struct
import zlib
from enum import IntEnum

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun.credentials import PasswordAlgorithm, long_term_key, short_term_key, userhash

__all__ = [
    "IntegrityAlgorithm",
    "PasswordAlgorithm",
    "append_fingerprint",
    "append_integrity",
    "has_integrity",
    "is_fingerprint_valid",
    "is_integrity_valid",
    "long_term_key",
    "short_term_key",
    "userhash",
]

HEADER_BYTES = 20
# Of a value, its header, and the whole of FINGERPRINT.
SHA1_BYTES = 20
SHA256_BYTES = 32
FINGERPRINT_BYTES = 8

# RFC 8489 section 14.6: "at least 16 bytes", where a usage allows truncation at all; no usage of WebRTC does.
SHA256_BYTES_MIN = 16

_MESSAGE_INTEGRITY = 0x0008
_MESSAGE_INTEGRITY_SHA256 = 0x001C
_FINGERPRINT = 0x8028
# 14.7: the CRC-32 "is XORed with the 32-bit value 0x5354554e", so that a packet of another protocol that ends with
# a CRC-32 of its own is not taken for STUN.
_FINGERPRINT_XOR = 0x5354554E

_TYPE_LENGTH = struct.Struct("!HH")
_SHA1_HEADER = _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY, SHA1_BYTES)
_SHA256_HEADER = _TYPE_LENGTH.pack(_MESSAGE_INTEGRITY_SHA256, SHA256_BYTES)
_FINGERPRINT_ATTRIBUTE = struct.Struct("!HHI")
_FINGERPRINT_HEADER = struct.pack("!HH", _FINGERPRINT, 4)


class IntegrityAlgorithm(IntEnum):
    """Which integrity attributes a message carries."""

    SHA1 = 1
    SHA256 = 2
    # RFC 8489 section 9.1.2: a first request to a peer of unknown age carries both.
    SHA1_AND_SHA256 = 3


def append_integrity(message: bytes, key: bytes, algorithm: IntegrityAlgorithm) -> bytes:
    """Return the message with its integrity attribute at the end and its length set anew.

    message  header and attributes; the length in the header is not read
    """
    if not key:
        raise InvalidArgument("an empty key protects nothing")
    if algorithm is not IntegrityAlgorithm.SHA256:
        message = _with_length(message, len(message), SHA1_BYTES + 4)
        message = b"".join((message, _SHA1_HEADER, hmac.digest(key, message, "sha1")))
    if algorithm is not IntegrityAlgorithm.SHA1:
        message = _with_length(message, len(message), SHA256_BYTES + 4)
        message = b"".join((message, _SHA256_HEADER, hmac.digest(key, message, "sha256")))
    return message


def append_fingerprint(message: bytes) -> bytes:
    """Return the message with FINGERPRINT at the end and its length set anew."""
    message = _with_length(message, len(message), FINGERPRINT_BYTES)
    return message + _FINGERPRINT_ATTRIBUTE.pack(_FINGERPRINT, 4, zlib.crc32(message) ^ _FINGERPRINT_XOR)


def has_integrity(data: bytes) -> bool:
    """True where the message carries MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256; says nothing of its validity."""
    return _integrity_offset(data) > 0


def is_integrity_valid(data: bytes, key: bytes, *, sha256_bytes_min: int = SHA256_BYTES) -> bool:
    """True where the message was made by somebody who has the key; compared in constant time.

    data              the whole message as it arrived
    key               from short_term_key or long_term_key
    sha256_bytes_min  the shortest MESSAGE-INTEGRITY-SHA256 to take; below 32 only for a usage that allows truncation
    Where both attributes are present, MESSAGE-INTEGRITY-SHA256 decides alone: a valid SHA-1 beside it saves nothing.
    Source            RFC 8489 sections 14.5, 14.6, 9.1.3
    """
    offset = _integrity_offset(data)
    if not offset or not key:
        return False
    code, size = _TYPE_LENGTH.unpack_from(data, offset)
    value = data[offset + 4 : offset + 4 + size]
    if code == _MESSAGE_INTEGRITY:
        if size != SHA1_BYTES:
            return False
        return hmac.compare_digest(hmac.digest(key, _with_length(data, offset, SHA1_BYTES + 4), "sha1"), value)
    # 14.6: at most 32 bytes, at least 16, a multiple of 4.
    if not max(sha256_bytes_min, SHA256_BYTES_MIN) <= size <= SHA256_BYTES or size % 4:
        return False
    return hmac.compare_digest(hmac.digest(key, _with_length(data, offset, size + 4), "sha256")[:size], value)


def is_fingerprint_valid(data: bytes) -> bool:
    """True where the message ends with a FINGERPRINT that fits (RFC 8489 section 14.7: it is the last attribute)."""
    before = len(data) - FINGERPRINT_BYTES
    if before < HEADER_BYTES or data[before : before + 4] != _FINGERPRINT_HEADER:
        return False
    if (data[2] << 8 | data[3]) != len(data) - HEADER_BYTES:
        return False
    crc = zlib.crc32(data[:before]) ^ _FINGERPRINT_XOR
    return crc == int.from_bytes(data[-4:], "big")


def _integrity_offset(data: bytes) -> int:
    """Where the integrity attribute that counts begins, 0 where there is none or the attributes cannot be walked.

    The first MESSAGE-INTEGRITY-SHA256 where there is one, else the first MESSAGE-INTEGRITY.
    """
    end = len(data)
    if end < HEADER_BYTES or (data[2] << 8 | data[3]) != end - HEADER_BYTES:
        return 0
    found = 0
    offset = HEADER_BYTES
    while offset < end:
        if offset + 4 > end:
            return 0
        code, size = _TYPE_LENGTH.unpack_from(data, offset)
        following = offset + 4 + (size + 3 & ~3)
        if following > end:
            return 0
        if code == _MESSAGE_INTEGRITY_SHA256:
            return offset
        if code == _MESSAGE_INTEGRITY and not found:
            found = offset
        offset = following
    return found


def _with_length(data: bytes, end: int, more: int) -> bytes:
    """The message up to `end`, its header's length saying that `more` bytes follow."""
    return b"".join((data[:2], (end - HEADER_BYTES + more).to_bytes(2, "big"), data[4:end]))
