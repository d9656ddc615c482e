"""Cipher suites, and how each protects a record.

    AES-GCM (RFC 5288 section 3)            header, 13 | explicit nonce, 8 | ciphertext | tag, 16     37 bytes more
    ChaCha20-Poly1305 (RFC 7905 section 2)  header, 13 | ciphertext | tag, 16                         29 bytes more

Both authenticate epoch and sequence number (8 bytes), content type, version and the plaintext's length
(RFC 5246 section 6.2.3.3, RFC 6347 section 4.1.2.1). A protection object belongs to one direction and one epoch.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from sans_rtc.dtls.wire import ProtocolVersion

#   type, version, epoch and sequence number, length
RECORD_HEADER = struct.Struct(">BHQH")
#   the same with the explicit nonce behind, which is the epoch and sequence number once more
_GCM_HEADER = struct.Struct(">BHQHQ")
#   epoch and sequence number, type, version, plaintext length
_ADDITIONAL_DATA = struct.Struct(">QBHH")

HEADER_BYTES = RECORD_HEADER.size
_EXPLICIT_NONCE_BYTES = 8
_TAG_BYTES = 16
_GCM_EXPANSION = _EXPLICIT_NONCE_BYTES + _TAG_BYTES
_VERSION = int(ProtocolVersion.DTLS_1_2)


class Protection(Protocol):
    """How records of one epoch are written or read; `numbers` is the epoch (16 bits) before the sequence number."""

    overhead_bytes: int

    def seal(self, content_type: int, numbers: int, data: bytes) -> bytes:
        """Return the whole record, header included."""

    def open(self, content_type: int, numbers: int, body: bytes, start: int = 0) -> bytes | None:
        """Return what the body of a record holds, which begins at `start`; None where it is not authentic."""


class NullProtection:
    """Epoch 0: nothing is hidden and nothing is authentic."""

    overhead_bytes = HEADER_BYTES

    def seal(self, content_type: int, numbers: int, data: bytes) -> bytes:
        """Put the header before the data."""
        return RECORD_HEADER.pack(content_type, _VERSION, numbers, len(data)) + data

    def open(self, content_type: int, numbers: int, body: bytes, start: int = 0) -> bytes | None:
        """Return the body as it is."""
        return body[start:]


class GcmProtection:
    """AES-GCM with the explicit nonce of RFC 5288: 4 bytes of salt, then epoch and sequence number, which never repeat.

    key   16 or 32 bytes
    salt  4 bytes, the "implicit" part of the nonce
    """

    overhead_bytes = HEADER_BYTES + _GCM_EXPANSION
    __slots__ = ("_decrypt", "_encrypt", "key", "salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self.key = key
        self.salt = salt
        aead = AESGCM(key)
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt

    def seal(self, content_type: int, numbers: int, data: bytes) -> bytes:
        """Encrypt one record."""
        size = len(data)
        header = _GCM_HEADER.pack(content_type, _VERSION, numbers, size + _GCM_EXPANSION, numbers)
        additional = _ADDITIONAL_DATA.pack(numbers, content_type, _VERSION, size)
        return header + self._encrypt(self.salt + header[HEADER_BYTES:], data, additional)

    def open(self, content_type: int, numbers: int, body: bytes, start: int = 0) -> bytes | None:
        """Decrypt the body of one record, which begins at `start`."""
        start += _EXPLICIT_NONCE_BYTES
        size = len(body) - start - _TAG_BYTES
        if size < 0:
            return None
        additional = _ADDITIONAL_DATA.pack(numbers, content_type, _VERSION, size)
        try:
            return self._decrypt(self.salt + body[start - _EXPLICIT_NONCE_BYTES : start], body[start:], additional)
        except InvalidTag:
            return None


class ChaChaProtection:
    """ChaCha20-Poly1305; the nonce is the write IV with epoch and sequence number folded in, none of it on the wire.

    key   32 bytes
    salt  12 bytes, the write IV
    """

    overhead_bytes = HEADER_BYTES + _TAG_BYTES
    __slots__ = ("_decrypt", "_encrypt", "_iv", "key", "salt")

    def __init__(self, key: bytes, salt: bytes) -> None:
        self.key = key
        self.salt = salt
        self._iv = int.from_bytes(salt, "big")
        aead = ChaCha20Poly1305(key)
        self._encrypt = aead.encrypt
        self._decrypt = aead.decrypt

    def seal(self, content_type: int, numbers: int, data: bytes) -> bytes:
        """Encrypt one record."""
        size = len(data)
        header = RECORD_HEADER.pack(content_type, _VERSION, numbers, size + _TAG_BYTES)
        additional = _ADDITIONAL_DATA.pack(numbers, content_type, _VERSION, size)
        return header + self._encrypt((self._iv ^ numbers).to_bytes(12, "big"), data, additional)

    def open(self, content_type: int, numbers: int, body: bytes, start: int = 0) -> bytes | None:
        """Decrypt the body of one record, which begins at `start`."""
        size = len(body) - start - _TAG_BYTES
        if size < 0:
            return None
        additional = _ADDITIONAL_DATA.pack(numbers, content_type, _VERSION, size)
        try:
            return self._decrypt((self._iv ^ numbers).to_bytes(12, "big"), body[start:], additional)
        except InvalidTag:
            return None


class CipherSuite(IntEnum):
    """The suites that this library negotiates, by their numbers in the IANA registry."""

    ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 = 0xC02B
    ECDHE_ECDSA_WITH_AES_256_GCM_SHA384 = 0xC02C
    ECDHE_RSA_WITH_AES_128_GCM_SHA256 = 0xC02F
    ECDHE_RSA_WITH_AES_256_GCM_SHA384 = 0xC030
    ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA8
    ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256 = 0xCCA9


class SuiteRow(NamedTuple):
    """What a suite means.

    key_kind         of the server's certificate: "ecdsa" or "rsa"
    hash_name        of the PRF and of the Finished message, as in hashlib
    key_bytes        of a write key
    salt_bytes       of a fixed write IV
    protection       GcmProtection or ChaChaProtection
    block_count_max  how many 16-byte blocks one key may encrypt
    """

    key_kind: str
    hash_name: str
    key_bytes: int
    salt_bytes: int
    protection: type[GcmProtection] | type[ChaChaProtection]
    block_count_max: int


# RFC 8446 section 5.5 allows 2**24.5 full-size records under one AES-GCM key: of 2**14 bytes, or 2**10 blocks, each, so
# 2**34.5 blocks. "For ChaCha20/Poly1305, the record sequence number would wrap before the safety limit is reached."
_GCM_BLOCK_COUNT_MAX = int(2**34.5)
_UNLIMITED = 1 << 64

BLOCK_BITS = 4
# What a record costs besides whole blocks of data: the last one, begun, and the tag's own.
RECORD_BLOCKS_EXTRA = 2

SUITES = {
    CipherSuite.ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: SuiteRow(
        "ecdsa", "sha256", 16, 4, GcmProtection, _GCM_BLOCK_COUNT_MAX
    ),
    CipherSuite.ECDHE_RSA_WITH_AES_128_GCM_SHA256: SuiteRow(
        "rsa", "sha256", 16, 4, GcmProtection, _GCM_BLOCK_COUNT_MAX
    ),
    CipherSuite.ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: SuiteRow(
        "ecdsa", "sha384", 32, 4, GcmProtection, _GCM_BLOCK_COUNT_MAX
    ),
    CipherSuite.ECDHE_RSA_WITH_AES_256_GCM_SHA384: SuiteRow(
        "rsa", "sha384", 32, 4, GcmProtection, _GCM_BLOCK_COUNT_MAX
    ),
    CipherSuite.ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256: SuiteRow(
        "ecdsa", "sha256", 32, 12, ChaChaProtection, _UNLIMITED
    ),
    CipherSuite.ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256: SuiteRow(
        "rsa", "sha256", 32, 12, ChaChaProtection, _UNLIMITED
    ),
}
DEFAULT_CIPHER_SUITES = tuple(SUITES)
OVERHEAD_BYTES_MAX = max(row.protection.overhead_bytes for row in SUITES.values())
