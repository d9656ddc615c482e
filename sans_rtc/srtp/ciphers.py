"""How packets are protected: AES in counter mode with HMAC-SHA1 (RFC 3711 section 4), AES-GCM (RFC 7714).

              AES-CM and HMAC-SHA1                                     AES-GCM
    RTP       header | ciphertext | MKI | tag                          header | ciphertext, tag | MKI
    RTCP      header, 8 | ciphertext | E, index | MKI | tag            header, 8 | ciphertext, tag | E, index | MKI

Where Cryptex has put a packet's header in another order (see `header`), `csrc_bytes` says so: it is encrypted in that
order and stands on the wire, and under the tag of HMAC-SHA1, in the usual one.

The keys are plain bytes; all else are caches made from them: one cipher context for each key, whose nonce is set anew
for every packet, and the two halves of HMAC, hashed up to where the packet begins, of which each packet takes a copy.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from typing import Protocol, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sans_rtc.srtp.header import E_FLAG, RTCP_HEADER_BYTES, RTCP_TRAILER, to_cipher_order, to_wire_order
from sans_rtc.srtp.keys import MasterKey, SessionKeys, derive_rtcp_keys, derive_rtp_keys
from sans_rtc.srtp.profile import ProfileRow
from sans_rtc.srtp.streams import INDEX_BITS

_SHA1_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_GCM_TAG_BYTES = 16
_RTCP_TRAILER_BYTES = RTCP_TRAILER.size
_ROC_MASK = 0xFFFFFFFF


class SealRtp(Protocol):
    """Encrypts an RTP packet from `start` on and appends the trailer. What `number` is, see `streams`."""

    def __call__(self, packet: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes:
        """Protect."""


class OpenRtp(Protocol):
    """Returns an RTP packet without its trailer and decrypted from `start` on; None where it is not authentic."""

    def __call__(self, data: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes | None:
        """Unprotect."""


Aead: TypeAlias = Callable[[bytes, bytes, bytes], bytes]
"""Of nonce, data and additional data; decrypting raises InvalidTag for what is not authentic."""


class Transform(Protocol):
    """One master key's way to write and read packets.

    seal_rtp, open_rtp   functions rather than methods: they run for every packet, and reach what they need faster
    rtp_trailer_bytes    of the tag, without an MKI
    rtcp_trailer_bytes   of tag, E flag and index, without an MKI
    rtp_after_mki_bytes  what follows an MKI in an RTP packet
    rtcp_after_mki_bytes what follows an MKI in an RTCP packet
    encrypt_rtp, decrypt_rtp  AES-GCM itself; None where it is not what protects packets
    rtp_salt             as a number
    """

    seal_rtp: SealRtp
    open_rtp: OpenRtp
    encrypt_rtp: Aead | None
    decrypt_rtp: Aead | None
    rtp_salt: int
    rtp_trailer_bytes: int
    rtcp_trailer_bytes: int
    rtp_after_mki_bytes: int
    rtcp_after_mki_bytes: int

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int) -> bytes:
        """Encrypt where `word`, the E flag and SRTCP index, says so, and append the trailer."""

    def open_rtcp(self, data: bytes, ssrc: int, word: int) -> bytes | None:
        """Return the packet without its trailer and decrypted where `word` says so; None where it is not authentic."""


class Keystream:
    """AES in counter mode (RFC 3711 section 4.1.1)."""

    __slots__ = ("_reset_nonce", "_salt", "_update", "keys")

    def __init__(self, keys: SessionKeys) -> None:
        self.keys = keys
        context = Cipher(AES(keys.encryption), CTR(bytes(16))).encryptor()
        self._reset_nonce = context.reset_nonce
        self._update = context.update
        self._salt = int.from_bytes(keys.salt, "big")

    def apply(self, data: bytes, number: int) -> bytes:
        """Encrypt or decrypt, which is the same."""
        self._reset_nonce(((self._salt ^ number) << 16).to_bytes(16, "big"))
        return self._update(data)


class _Authentication:
    """HMAC-SHA1 (RFC 2104), cut to the left-most bytes (RFC 3711 section 4.2.1)."""

    __slots__ = ("inner", "outer", "tag_bytes")

    def __init__(self, key: bytes, tag_bytes: int) -> None:
        block = key.ljust(_SHA1_BLOCK_BYTES, b"\0")
        self.inner = hashlib.sha1(block.translate(_INNER_PAD), usedforsecurity=False)
        self.outer = hashlib.sha1(block.translate(_OUTER_PAD), usedforsecurity=False)
        self.tag_bytes = tag_bytes

    def tag(self, data: bytes, rollover_counter: bytes = b"") -> bytes:
        """The tag of these bytes, with a rollover counter behind them."""
        inner = self.inner.copy()
        inner.update(data)
        inner.update(rollover_counter)
        outer = self.outer.copy()
        outer.update(inner.digest())
        return outer.digest()[: self.tag_bytes]


class CounterModeTransform:
    """AES-CM with HMAC-SHA1, whose RTP tag covers the rollover counter as well (RFC 3711 section 4.2)."""

    __slots__ = (
        "_mki",
        "_rtcp",
        "_rtcp_authentication",
        "decrypt_rtp",
        "encrypt_rtp",
        "open_rtp",
        "rtcp_after_mki_bytes",
        "rtcp_trailer_bytes",
        "rtp_after_mki_bytes",
        "rtp_salt",
        "rtp_trailer_bytes",
        "seal_rtp",
    )

    def __init__(self, row: ProfileRow, rtp: SessionKeys, rtcp: SessionKeys, mki: bytes = b"") -> None:
        self._mki = mki
        self.encrypt_rtp: Aead | None = None
        self.decrypt_rtp: Aead | None = None
        self.rtp_salt = int.from_bytes(rtp.salt, "big")
        self.seal_rtp, self.open_rtp = _counter_mode_rtp(rtp, row.rtp_tag_bytes, mki)
        self._rtcp = Keystream(rtcp)
        self._rtcp_authentication = _Authentication(rtcp.authentication, row.rtcp_tag_bytes)
        self.rtp_trailer_bytes = self.rtp_after_mki_bytes = row.rtp_tag_bytes
        self.rtcp_after_mki_bytes = row.rtcp_tag_bytes
        self.rtcp_trailer_bytes = row.rtcp_tag_bytes + _RTCP_TRAILER_BYTES

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int) -> bytes:
        """Encrypt behind the first 8 bytes, then authenticate with the index (RFC 3711 section 3.4)."""
        if word & E_FLAG:
            body = self._rtcp.apply(packet[RTCP_HEADER_BYTES:], _rtcp_number(ssrc, word))
            packet = packet[:RTCP_HEADER_BYTES] + body
        sealed = packet + RTCP_TRAILER.pack(word)
        return sealed + self._mki + self._rtcp_authentication.tag(sealed)

    def open_rtcp(self, data: bytes, ssrc: int, word: int) -> bytes | None:
        """Authenticate, then decrypt."""
        authentication = self._rtcp_authentication
        tag_start = len(data) - authentication.tag_bytes
        sealed = data[: tag_start - len(self._mki)]
        if not hmac.compare_digest(authentication.tag(sealed), data[tag_start:]):
            return None
        body = sealed[RTCP_HEADER_BYTES:-_RTCP_TRAILER_BYTES]
        if word & E_FLAG:
            body = self._rtcp.apply(body, _rtcp_number(ssrc, word))
        return sealed[:RTCP_HEADER_BYTES] + body


def _counter_mode_rtp(keys: SessionKeys, tag_bytes: int, mki: bytes) -> tuple[SealRtp, OpenRtp]:
    # What `Keystream` and `_Authentication` do, in one piece: it runs for every packet.
    context = Cipher(AES(keys.encryption), CTR(bytes(16))).encryptor()
    reset_nonce, crypt = context.reset_nonce, context.update
    salt = int.from_bytes(keys.salt, "big")
    authentication = _Authentication(keys.authentication, tag_bytes)
    copy_inner, copy_outer = authentication.inner.copy, authentication.outer.copy
    mki_bytes = len(mki)
    is_equal = hmac.compare_digest

    def seal(packet: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes:
        """Encrypt, then authenticate with the rollover counter behind."""
        reset_nonce((salt ^ number).to_bytes(14, "big") + b"\0\0")
        sealed = packet[:start] + crypt(packet[start:])
        if csrc_bytes:
            sealed = to_wire_order(sealed, csrc_bytes)
        inner = copy_inner()
        inner.update(sealed)
        inner.update((number >> 16 & _ROC_MASK).to_bytes(4, "big"))
        outer = copy_outer()
        outer.update(inner.digest())
        tag = outer.digest()[:tag_bytes]
        return sealed + mki + tag if mki else sealed + tag

    def open_(data: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes | None:
        """Authenticate, then decrypt."""
        tag_start = len(data) - tag_bytes
        sealed = data[: tag_start - mki_bytes]
        inner = copy_inner()
        inner.update(sealed)
        inner.update((number >> 16 & _ROC_MASK).to_bytes(4, "big"))
        outer = copy_outer()
        outer.update(inner.digest())
        if not is_equal(outer.digest()[:tag_bytes], data[tag_start:]):
            return None
        if csrc_bytes:
            sealed = to_cipher_order(sealed, csrc_bytes)
        reset_nonce((salt ^ number).to_bytes(14, "big") + b"\0\0")
        opened = sealed[:start] + crypt(sealed[start:])
        return to_wire_order(opened, csrc_bytes) if csrc_bytes else opened

    return seal, open_


class GcmTransform:
    """AES-GCM: the nonce is the salt with SSRC and index folded in (RFC 7714 sections 8.1 and 9.1)."""

    __slots__ = (
        "_mki",
        "_rtcp_decrypt",
        "_rtcp_encrypt",
        "_rtcp_salt",
        "decrypt_rtp",
        "encrypt_rtp",
        "open_rtp",
        "rtcp_after_mki_bytes",
        "rtcp_trailer_bytes",
        "rtp_after_mki_bytes",
        "rtp_salt",
        "rtp_trailer_bytes",
        "seal_rtp",
    )

    def __init__(self, row: ProfileRow, rtp: SessionKeys, rtcp: SessionKeys, mki: bytes = b"") -> None:
        self._mki = mki
        aead = AESGCM(rtp.encryption)
        self.encrypt_rtp: Aead | None = aead.encrypt
        self.decrypt_rtp: Aead | None = aead.decrypt
        self.rtp_salt = int.from_bytes(rtp.salt, "big")
        self.seal_rtp, self.open_rtp = _gcm_rtp(aead, self.rtp_salt, mki)
        aead = AESGCM(rtcp.encryption)
        self._rtcp_encrypt, self._rtcp_decrypt = aead.encrypt, aead.decrypt
        self._rtcp_salt = int.from_bytes(rtcp.salt, "big")
        self.rtp_trailer_bytes = row.rtp_tag_bytes
        self.rtcp_trailer_bytes = row.rtcp_tag_bytes + _RTCP_TRAILER_BYTES
        self.rtp_after_mki_bytes = self.rtcp_after_mki_bytes = 0

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int) -> bytes:
        """Encrypt behind the first 8 bytes, or nothing (RFC 7714 section 9.2); what is readable is additional data."""
        trailer = RTCP_TRAILER.pack(word)
        split = RTCP_HEADER_BYTES if word & E_FLAG else len(packet)
        header = packet[:split]
        sealed = self._rtcp_encrypt(self._rtcp_nonce(ssrc, word), packet[split:], header + trailer)
        return b"".join((header, sealed, trailer, self._mki))

    def open_rtcp(self, data: bytes, ssrc: int, word: int) -> bytes | None:
        """Decrypt; all that is readable is additional data."""
        end = len(data) - len(self._mki) - _RTCP_TRAILER_BYTES
        split = RTCP_HEADER_BYTES if word & E_FLAG else end - _GCM_TAG_BYTES
        header = data[:split]
        additional = header + RTCP_TRAILER.pack(word)
        try:
            return header + self._rtcp_decrypt(self._rtcp_nonce(ssrc, word), data[split:end], additional)
        except InvalidTag:
            return None

    def _rtcp_nonce(self, ssrc: int, word: int) -> bytes:
        return (self._rtcp_salt ^ _rtcp_number(ssrc, word)).to_bytes(12, "big")


def _gcm_rtp(aead: AESGCM, salt: int, mki: bytes) -> tuple[SealRtp, OpenRtp]:
    encrypt, decrypt = aead.encrypt, aead.decrypt
    mki_bytes = len(mki)

    def seal(packet: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes:
        """Encrypt; the header is additional data."""
        header = packet[:start]
        sealed = header + encrypt((salt ^ number).to_bytes(12, "big"), packet[start:], header)
        if csrc_bytes:
            sealed = to_wire_order(sealed, csrc_bytes)
        return sealed + mki if mki_bytes else sealed

    def open_(data: bytes, start: int, number: int, csrc_bytes: int = 0) -> bytes | None:
        """Decrypt; the header is additional data."""
        if mki_bytes:
            data = data[:-mki_bytes]
        if csrc_bytes:
            data = to_cipher_order(data, csrc_bytes)
        header = data[:start]
        try:
            opened = header + decrypt((salt ^ number).to_bytes(12, "big"), data[start:], header)
        except InvalidTag:
            return None
        return to_wire_order(opened, csrc_bytes) if csrc_bytes else opened

    return seal, open_


def _rtcp_number(ssrc: int, word: int) -> int:
    return ssrc << INDEX_BITS | word & ~E_FLAG


def make_transform(row: ProfileRow, master: MasterKey) -> CounterModeTransform | GcmTransform:
    """Derive the session keys of a master key, and make what protects packets with them."""
    kind = GcmTransform if row.is_aead else CounterModeTransform
    return kind(row, derive_rtp_keys(row, master), derive_rtcp_keys(row, master), master.mki)
