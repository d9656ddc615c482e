"""The handshake messages so far, for the hashes that the handshake takes over them (RFC 6347 section 4.2.6)."""

from __future__ import annotations

import hashlib


class Transcript:
    """What has been sent and received, in the order of the protocol.

    Kept as bytes, not as running hashes: CertificateVerify may use a hash other than the suite's. Bounded, since each
    message is, and a handshake has ten.
    """

    __slots__ = ("_messages",)

    def __init__(self) -> None:
        self._messages: list[bytes] = []

    def add(self, message: bytes) -> None:
        """Append one message as if sent in a single fragment, header included."""
        self._messages.append(message)

    def clear(self) -> None:
        """Forget everything: HelloVerifyRequest and the ClientHello before it do not count (RFC 6347 section 4.2.1)."""
        self._messages.clear()

    def content(self) -> bytes:
        """All messages, one after the other."""
        return b"".join(self._messages)

    def digest(self, hash_name: str) -> bytes:
        """The hash over all messages."""
        return hashlib.new(hash_name, self.content()).digest()
