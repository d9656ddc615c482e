"""Opens records of DTLS 1.3 (RFC 9147) as a bystander who has the key log.

    0 0 1 C S L E E | connection id | sequence number, 8 or 16 bits, encrypted | length, 16, where L | ciphertext

key log secret -> key, iv, sn (RFC 8446 section 7.3, RFC 9147 sections 4 and 5.9 for "dtls13" before each label)
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.ciphers.algorithms import AES, ChaCha20
from cryptography.hazmat.primitives.ciphers.modes import ECB

from sans_rtc.trace.key_ring import KeyRing

_CONNECTION_ID, _LONG_NUMBER, _HAS_LENGTH, _EPOCH = 0x10, 0x08, 0x04, 0x03
_MASK_BYTES: Final = 16
_HANDSHAKE_EPOCH: Final = 2
_FIRST_EPOCH: Final = 3
# A session whose keys are updated more often than this is followed no further.
_EPOCH_MAX: Final = 64


class Suite13(NamedTuple):
    """What a cipher suite means (RFC 8446 appendix B.4)."""

    name: str
    hash_name: str
    key_bytes: int
    is_chacha: bool


SUITES_13: Final = {
    0x1301: Suite13("TLS_AES_128_GCM_SHA256", "sha256", 16, False),
    0x1302: Suite13("TLS_AES_256_GCM_SHA384", "sha384", 32, False),
    0x1303: Suite13("TLS_CHACHA20_POLY1305_SHA256", "sha256", 32, True),
}


class Ciphertext(NamedTuple):
    """Where a record lies in a datagram: its header, the number in it, and what is encrypted."""

    start: int
    number_bytes: int
    body: int
    end: int


class Opened(NamedTuple):
    """What was in a record."""

    content_type: int
    content: bytes
    epoch: int
    is_from_client: bool


def split_ciphertext(data: bytes, start: int) -> Ciphertext | None:
    """Find the parts of the record at `start`; None for one with a connection id, whose length only its ends know."""
    first = data[start]
    number_bytes = 2 if first & _LONG_NUMBER else 1
    body = start + 1 + number_bytes
    if first & _CONNECTION_ID:
        return None
    if not first & _HAS_LENGTH:
        return Ciphertext(start, number_bytes, body, len(data))
    end = body + 2 + int.from_bytes(data[body : body + 2], "big")
    return Ciphertext(start, number_bytes, body + 2, end) if end <= len(data) else None


def hkdf_expand(secret: bytes, info: bytes, length: int, hash_name: str) -> bytes:
    """HKDF-Expand (RFC 5869 section 2.3)."""
    output = block = b""
    counter = 1
    while len(output) < length:  # each round adds a hash's length
        block = hmac.digest(secret, block + info + bytes([counter]), hash_name)
        output += block
        counter += 1
    return output[:length]


def expand_label(
    secret: bytes, label: str, context: bytes, length: int, hash_name: str, *, prefix: bytes = b"dtls13"
) -> bytes:
    """HKDF-Expand-Label (RFC 8446 section 7.1), with the prefix that RFC 9147 section 5.9 has instead of "tls13 "."""
    full = prefix + label.encode()
    info = length.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return hkdf_expand(secret, info, length, hash_name)


def export_13(suite: Suite13, exporter_secret: bytes, label: str, length: int) -> bytes:
    """The exporter of RFC 8446 section 7.5, without a context."""
    nothing = hashlib.new(suite.hash_name, b"").digest()
    derived = expand_label(exporter_secret, label, nothing, len(nothing), suite.hash_name)
    return expand_label(derived, "exporter", nothing, length, suite.hash_name)


class _Keys:
    """Those of one epoch and direction."""

    def __init__(self, suite: Suite13, secret: bytes) -> None:
        size = suite.key_bytes
        key = expand_label(secret, "key", b"", size, suite.hash_name)
        self._iv = int.from_bytes(expand_label(secret, "iv", b"", 12, suite.hash_name), "big")
        self._number_key = expand_label(secret, "sn", b"", size, suite.hash_name)
        self._is_chacha = suite.is_chacha
        self._aead: AESGCM | ChaCha20Poly1305 = ChaCha20Poly1305(key) if suite.is_chacha else AESGCM(key)
        self._next = 0
        self.secret = secret

    def open(self, data: bytes, at: Ciphertext) -> bytes | None:
        """Decrypt one record; None where it is of other keys."""
        ciphertext = data[at.body : at.end]
        if len(ciphertext) < _MASK_BYTES:
            return None
        mask = self._mask(ciphertext[:_MASK_BYTES])
        number_at = at.start + 1
        encrypted = data[number_at : number_at + at.number_bytes]
        number = bytes([byte ^ masked for byte, masked in zip(encrypted, mask, strict=False)])
        sequence = _nearest(self._next, int.from_bytes(number, "big"), 8 * at.number_bytes)
        header = data[at.start : number_at] + number + data[number_at + at.number_bytes : at.body]
        try:
            opened = self._aead.decrypt((self._iv ^ sequence).to_bytes(12, "big"), ciphertext, header)
        except InvalidTag:
            return None
        self._next = max(self._next, sequence + 1)
        return opened

    def _mask(self, sample: bytes) -> bytes:
        """RFC 9147 section 4.2.3."""
        if self._is_chacha:
            stream = Cipher(ChaCha20(self._number_key, sample), None).encryptor()
            return stream.update(bytes(_MASK_BYTES))
        block = Cipher(AES(self._number_key), ECB()).encryptor()  # one block, as the RFC has it
        return block.update(sample)


class Records13:
    """Opens the records of one session."""

    def __init__(self, suite: Suite13, keys: KeyRing, client_random: bytes) -> None:
        self.suite = suite
        self._ring = keys
        self._random = client_random
        self._keys: dict[tuple[bool, int], _Keys] = {}
        self._epochs = {True: _FIRST_EPOCH, False: _FIRST_EPOCH}

    @property
    def has_keys(self) -> bool:
        """The key log has what opens the application's data."""
        return self._ring.secret(self._random, "CLIENT_TRAFFIC_SECRET_0") is not None

    def exported(self, label: str, length: int) -> bytes | None:
        """Keying material for another protocol; None without the secret."""
        secret = self._ring.secret(self._random, "EXPORTER_SECRET")
        return None if secret is None else export_13(self.suite, secret, label, length)

    def open(self, data: bytes, at: Ciphertext, *, is_from_client: bool | None) -> Opened | None:
        """Open one record; of an unknown direction both are tried."""
        for direction in (True, False) if is_from_client is None else (is_from_client,):
            for epoch in self._candidates(direction, data[at.start] & _EPOCH):
                keys = self._keys_of(direction, epoch)
                inner = None if keys is None else keys.open(data, at)
                if inner is not None:
                    self._epochs[direction] = max(self._epochs[direction], epoch)
                    content = inner.rstrip(b"\0")  # RFC 8446 section 5.4: the type, then zeros
                    return Opened(content[-1], content[:-1], epoch, direction) if content else None
        return None

    def _candidates(self, direction: bool, low_bits: int) -> Iterator[int]:
        """The epochs that these two bits may mean: the handshake's, the present one, the next, the one before."""
        if low_bits == _HANDSHAKE_EPOCH:
            yield _HANDSHAKE_EPOCH
        current = self._epochs[direction]
        for epoch in (current, current + 1, current - 1):
            if epoch & _EPOCH == low_bits and _FIRST_EPOCH <= epoch <= _EPOCH_MAX:
                yield epoch

    def _keys_of(self, direction: bool, epoch: int) -> _Keys | None:
        found = self._keys.get((direction, epoch))
        if found is None:
            secret = self._secret(direction, epoch)
            if secret is not None:
                found = self._keys[direction, epoch] = _Keys(self.suite, secret)
        return found

    def _secret(self, direction: bool, epoch: int) -> bytes | None:
        end = "CLIENT" if direction else "SERVER"
        if epoch == _HANDSHAKE_EPOCH:
            return self._ring.secret(self._random, f"{end}_HANDSHAKE_TRAFFIC_SECRET")
        if epoch == _FIRST_EPOCH:
            return self._ring.secret(self._random, f"{end}_TRAFFIC_SECRET_0")
        before = self._keys_of(direction, epoch - 1)
        if before is None:
            return None
        return expand_label(before.secret, "traffic upd", b"", len(before.secret), self.suite.hash_name)


def _nearest(expected: int, number: int, bits: int) -> int:
    """The sequence number nearest to the expected one that ends in these bits (RFC 9147 section 4.2.2)."""
    window = 1 << bits
    guess = expected & ~(window - 1) | number
    if guess > expected + window // 2 and guess >= window:
        return guess - window
    return guess + window if guess + window // 2 < expected else guess
