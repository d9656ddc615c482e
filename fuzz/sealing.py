"""Proofs put right on altered STUN messages: what the peer itself could send, and nobody else."""

from __future__ import annotations

import hashlib
import hmac
import zlib

_HEADER_BYTES = 20
_SHA1, _SHA256, _FINGERPRINT = 0x0008, 0x001C, 0x8028
_FINGERPRINT_XOR = 0x5354554E


def reseal_stun(data: bytes, key: bytes) -> bytes:
    """The message up to its proofs, its length put right, with proofs of this key; as it is where it is no STUN."""
    if len(data) < _HEADER_BYTES or data[0] > 3:
        return data
    end, kind = _proofs_at(data)
    body = data[_HEADER_BYTES:end]
    digest = hashlib.sha256 if kind == _SHA256 else hashlib.sha1
    size = digest().digest_size
    signed = _with_length(data, len(body) + 4 + size) + body
    proof = hmac.new(key, signed, digest).digest()
    body += kind.to_bytes(2, "big") + size.to_bytes(2, "big") + proof
    message = _with_length(data, len(body) + 8) + body
    checksum = (zlib.crc32(message) ^ _FINGERPRINT_XOR).to_bytes(4, "big")
    return message + _FINGERPRINT.to_bytes(2, "big") + b"\x00\x04" + checksum


def _proofs_at(data: bytes) -> tuple[int, int]:
    """Where the first proof stands, or the first bytes that are no attribute; and which proof is to be made."""
    offset = _HEADER_BYTES
    while offset + 4 <= len(data):  # each turn takes four bytes at least
        kind, size = (int.from_bytes(data[at : at + 2], "big") for at in (offset, offset + 2))
        if kind in (_SHA1, _SHA256):
            return offset, kind
        after = offset + 4 + (size + 3 & ~3)
        if kind == _FINGERPRINT or after > len(data):
            break
        offset = after
    return offset, _SHA1


def _with_length(data: bytes, length: int) -> bytes:
    return data[:2] + (length & 0xFFFF).to_bytes(2, "big") + data[4:_HEADER_BYTES]
