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
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from sans_rtc.srtp.header import E_FLAG, RTCP_HEADER_BYTES, RTCP_TRAILER, to_cipher_order, to_wire_order
from sans_rtc.srtp.keys import MasterKey, SessionKeys, derive_rtcp_keys, derive_rtp_keys
from sans_rtc.srtp.profile import ProfileRow

_SHA1_BLOCK_BYTES = 64
_INNER_PAD = bytes(byte ^ 0x36 for byte in range(256))
_OUTER_PAD = bytes(byte ^ 0x5C for byte in range(256))
_GCM_TAG_BYTES = 16
_RTCP_TRAILER_BYTES = RTCP_TRAILER.size


class Transform(Protocol):
    """One master key's way to write and read packets. `index` is that of RFC 3711 section 3.3.1, or SRTCP's.

    rtp_trailer_bytes    of the tag, without an MKI
    rtcp_trailer_bytes   of tag, E flag and index, without an MKI
    rtp_after_mki_bytes  what follows an MKI in an RTP packet
    rtcp_after_mki_bytes what follows an MKI in an RTCP packet
    """

    rtp_trailer_bytes: int
    rtcp_trailer_bytes: int
    rtp_after_mki_bytes: int
    rtcp_after_mki_bytes: int

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int, mki: bytes, csrc_bytes: int = 0) -> bytes:
        """Encrypt from `start` on and append the trailer."""

    def open_rtp(
        self, data: bytes, start: int, mki_bytes: int, ssrc: int, index: int, csrc_bytes: int = 0
    ) -> bytes | None:
        """Return the packet without its trailer and decrypted from `start` on; None where it is not authentic."""

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int, mki: bytes) -> bytes:
        """Encrypt where `word`, the E flag and SRTCP index, says so, and append the trailer."""

    def open_rtcp(self, data: bytes, mki_bytes: int, ssrc: int, word: int) -> bytes | None:
        """Return the packet without its trailer and decrypted where `word` says so; None where it is not authentic."""


class Keystream:
    """AES in counter mode (RFC 3711 section 4.1.1)."""

    __slots__ = ("_reset_nonce", "_salt", "_update", "keys")

    def __init__(self, keys: SessionKeys) -> None:
        self.keys = keys
        context = Cipher(AES(keys.encryption), CTR(bytes(16))).encryptor()
        self._reset_nonce = context.reset_nonce
        self._update = context.update
        self._salt = int.from_bytes(keys.salt, "big") << 16

    def apply(self, data: bytes, ssrc: int, index: int) -> bytes:
        """Encrypt or decrypt, which is the same."""
        self._reset_nonce((self._salt ^ ssrc << 64 ^ index << 16).to_bytes(16, "big"))
        return self._update(data)


class _Authentication:
    """HMAC-SHA1 (RFC 2104), cut to the left-most bytes (RFC 3711 section 4.2.1)."""

    __slots__ = ("_inner", "_outer", "tag_bytes")

    def __init__(self, key: bytes, tag_bytes: int) -> None:
        block = key.ljust(_SHA1_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha1(block.translate(_INNER_PAD), usedforsecurity=False)
        self._outer = hashlib.sha1(block.translate(_OUTER_PAD), usedforsecurity=False)
        self.tag_bytes = tag_bytes

    def tag(self, data: bytes) -> bytes:
        """The tag of these bytes."""
        inner = self._inner.copy()
        inner.update(data)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[: self.tag_bytes]


class CounterModeTransform:
    """AES-CM with HMAC-SHA1, whose RTP tag covers the rollover counter as well (RFC 3711 section 4.2)."""

    __slots__ = (
        "_rtcp",
        "_rtcp_authentication",
        "_rtp",
        "_rtp_authentication",
        "rtcp_after_mki_bytes",
        "rtcp_trailer_bytes",
        "rtp_after_mki_bytes",
        "rtp_trailer_bytes",
    )

    def __init__(self, row: ProfileRow, rtp: SessionKeys, rtcp: SessionKeys) -> None:
        self._rtp = Keystream(rtp)
        self._rtcp = Keystream(rtcp)
        self._rtp_authentication = _Authentication(rtp.authentication, row.rtp_tag_bytes)
        self._rtcp_authentication = _Authentication(rtcp.authentication, row.rtcp_tag_bytes)
        self.rtp_trailer_bytes = self.rtp_after_mki_bytes = row.rtp_tag_bytes
        self.rtcp_after_mki_bytes = row.rtcp_tag_bytes
        self.rtcp_trailer_bytes = row.rtcp_tag_bytes + _RTCP_TRAILER_BYTES

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int, mki: bytes, csrc_bytes: int = 0) -> bytes:
        """Encrypt, then authenticate with the rollover counter behind."""
        sealed = packet[:start] + self._rtp.apply(packet[start:], ssrc, index)
        if csrc_bytes:
            sealed = to_wire_order(sealed, csrc_bytes)
        tag = self._rtp_authentication.tag(sealed + (index >> 16).to_bytes(4, "big"))
        return sealed + mki + tag

    def open_rtp(
        self, data: bytes, start: int, mki_bytes: int, ssrc: int, index: int, csrc_bytes: int = 0
    ) -> bytes | None:
        """Authenticate, then decrypt."""
        authentication = self._rtp_authentication
        tag_start = len(data) - authentication.tag_bytes
        sealed = data[: tag_start - mki_bytes]
        expected = authentication.tag(sealed + (index >> 16).to_bytes(4, "big"))
        if not hmac.compare_digest(expected, data[tag_start:]):
            return None
        if csrc_bytes:
            sealed = to_cipher_order(sealed, csrc_bytes)
        opened = sealed[:start] + self._rtp.apply(sealed[start:], ssrc, index)
        return to_wire_order(opened, csrc_bytes) if csrc_bytes else opened

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int, mki: bytes) -> bytes:
        """Encrypt behind the first 8 bytes, then authenticate with the index (RFC 3711 section 3.4)."""
        if word & E_FLAG:
            body = self._rtcp.apply(packet[RTCP_HEADER_BYTES:], ssrc, word ^ E_FLAG)
            packet = packet[:RTCP_HEADER_BYTES] + body
        sealed = packet + RTCP_TRAILER.pack(word)
        return sealed + mki + self._rtcp_authentication.tag(sealed)

    def open_rtcp(self, data: bytes, mki_bytes: int, ssrc: int, word: int) -> bytes | None:
        """Authenticate, then decrypt."""
        authentication = self._rtcp_authentication
        tag_start = len(data) - authentication.tag_bytes
        sealed = data[: tag_start - mki_bytes]
        if not hmac.compare_digest(authentication.tag(sealed), data[tag_start:]):
            return None
        body = sealed[RTCP_HEADER_BYTES:-_RTCP_TRAILER_BYTES]
        if word & E_FLAG:
            body = self._rtcp.apply(body, ssrc, word ^ E_FLAG)
        return sealed[:RTCP_HEADER_BYTES] + body


class GcmTransform:
    """AES-GCM: the nonce is the salt with SSRC and index folded in (RFC 7714 sections 8.1 and 9.1)."""

    __slots__ = (
        "_rtcp_decrypt",
        "_rtcp_encrypt",
        "_rtcp_salt",
        "_rtp_decrypt",
        "_rtp_encrypt",
        "_rtp_salt",
        "rtcp_after_mki_bytes",
        "rtcp_trailer_bytes",
        "rtp_after_mki_bytes",
        "rtp_trailer_bytes",
    )

    def __init__(self, row: ProfileRow, rtp: SessionKeys, rtcp: SessionKeys) -> None:
        rtp_aead, rtcp_aead = AESGCM(rtp.encryption), AESGCM(rtcp.encryption)
        self._rtp_encrypt, self._rtp_decrypt = rtp_aead.encrypt, rtp_aead.decrypt
        self._rtcp_encrypt, self._rtcp_decrypt = rtcp_aead.encrypt, rtcp_aead.decrypt
        self._rtp_salt = int.from_bytes(rtp.salt, "big")
        self._rtcp_salt = int.from_bytes(rtcp.salt, "big")
        self.rtp_trailer_bytes = row.rtp_tag_bytes
        self.rtcp_trailer_bytes = row.rtcp_tag_bytes + _RTCP_TRAILER_BYTES
        self.rtp_after_mki_bytes = self.rtcp_after_mki_bytes = 0

    def seal_rtp(self, packet: bytes, start: int, ssrc: int, index: int, mki: bytes, csrc_bytes: int = 0) -> bytes:
        """Encrypt; the header is additional data."""
        header = packet[:start]
        nonce = (self._rtp_salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        sealed = header + self._rtp_encrypt(nonce, packet[start:], header)
        if csrc_bytes:
            sealed = to_wire_order(sealed, csrc_bytes)
        return sealed + mki if mki else sealed

    def open_rtp(
        self, data: bytes, start: int, mki_bytes: int, ssrc: int, index: int, csrc_bytes: int = 0
    ) -> bytes | None:
        """Decrypt; the header is additional data."""
        if mki_bytes:
            data = data[:-mki_bytes]
        if csrc_bytes:
            data = to_cipher_order(data, csrc_bytes)
        header = data[:start]
        nonce = (self._rtp_salt ^ ssrc << 48 ^ index).to_bytes(12, "big")
        try:
            opened = header + self._rtp_decrypt(nonce, data[start:], header)
        except InvalidTag:
            return None
        return to_wire_order(opened, csrc_bytes) if csrc_bytes else opened

    def seal_rtcp(self, packet: bytes, ssrc: int, word: int, mki: bytes) -> bytes:
        """Encrypt behind the first 8 bytes, or nothing (RFC 7714 section 9.2); what is readable is additional data."""
        trailer = RTCP_TRAILER.pack(word)
        split = RTCP_HEADER_BYTES if word & E_FLAG else len(packet)
        header = packet[:split]
        sealed = self._rtcp_encrypt(self._rtcp_nonce(ssrc, word), packet[split:], header + trailer)
        return b"".join((header, sealed, trailer, mki))

    def open_rtcp(self, data: bytes, mki_bytes: int, ssrc: int, word: int) -> bytes | None:
        """Decrypt; all that is readable is additional data."""
        end = len(data) - mki_bytes - _RTCP_TRAILER_BYTES
        split = RTCP_HEADER_BYTES if word & E_FLAG else end - _GCM_TAG_BYTES
        header = data[:split]
        additional = header + RTCP_TRAILER.pack(word)
        try:
            return header + self._rtcp_decrypt(self._rtcp_nonce(ssrc, word), data[split:end], additional)
        except InvalidTag:
            return None

    def _rtcp_nonce(self, ssrc: int, word: int) -> bytes:
        return (self._rtcp_salt ^ ssrc << 48 ^ (word & ~E_FLAG)).to_bytes(12, "big")


def make_transform(row: ProfileRow, master: MasterKey) -> CounterModeTransform | GcmTransform:
    """Derive the session keys of a master key, and make what protects packets with them."""
    kind = GcmTransform if row.is_aead else CounterModeTransform
    return kind(row, derive_rtp_keys(row, master), derive_rtcp_keys(row, master))
