"""The key schedule of TLS 1.2: PRF, master secret, traffic keys, Finished, exporter, key log."""

from __future__ import annotations

import hmac

import attrs

from sans_rtc.dtls.ciphers import SUITES, CipherSuite, Protection
from sans_rtc.errors import InvalidArgument

MASTER_SECRET_BYTES = 48
VERIFY_DATA_BYTES = 12
# The PRF is called with these labels by TLS itself; an exporter must not repeat one (RFC 5705 section 4).
_OWN_LABELS = (
    b"client finished",
    b"server finished",
    b"master secret",
    b"extended master secret",
    b"key expansion",
)


def prf(secret: bytes, label: bytes, seed: bytes, length: int, hash_name: str) -> bytes:
    """The pseudorandom function of RFC 5246 section 5, with the hash of the cipher suite."""
    seed = label + seed
    output = b""
    a = seed
    while len(output) < length:
        a = hmac.digest(secret, a, hash_name)
        output += hmac.digest(secret, a + seed, hash_name)
    return output[:length]


@attrs.define(slots=True, repr=False)
class SessionKeys:
    """The secrets of one handshake. Plain bytes: protections and exports are made from them again at any time.

    suite          the cipher suite
    master_secret  48 bytes
    client_random  32 bytes
    server_random  32 bytes
    """

    suite: CipherSuite
    master_secret: bytes
    client_random: bytes
    server_random: bytes

    @classmethod
    def derive(
        cls,
        suite: CipherSuite,
        premaster_secret: bytes,
        session_hash: bytes,
        client_random: bytes,
        server_random: bytes,
    ) -> SessionKeys:
        """Compute the extended master secret (RFC 7627 section 4).

        session_hash  of the handshake messages up to and including ClientKeyExchange
        """
        master_secret = prf(
            premaster_secret, b"extended master secret", session_hash, MASTER_SECRET_BYTES, SUITES[suite].hash_name
        )
        return cls(suite, master_secret, client_random, server_random)

    def protections(self) -> tuple[Protection, Protection]:
        """Make the protections of what the client writes and of what the server writes (RFC 5246 section 6.3)."""
        row = SUITES[self.suite]
        size, salt = row.key_bytes, row.salt_bytes
        seed = self.server_random + self.client_random
        block = prf(self.master_secret, b"key expansion", seed, 2 * (size + salt), row.hash_name)
        salts = block[2 * size :]
        client = row.protection(block[:size], salts[:salt])
        return client, row.protection(block[size : 2 * size], salts[salt:])

    def verify_data(self, sender: str, handshake_hash: bytes) -> bytes:
        """The content of the Finished message of "client" or "server" (RFC 5246 section 7.4.9)."""
        label = f"{sender} finished".encode()
        return prf(self.master_secret, label, handshake_hash, VERIFY_DATA_BYTES, SUITES[self.suite].hash_name)

    def export(self, label: bytes, length: int, context: bytes | None) -> bytes:
        """Export keying material (RFC 5705 section 4). An empty context differs from None."""
        if label in _OWN_LABELS:
            raise InvalidArgument(f"the label {label!r} belongs to TLS itself")
        if length <= 0 or (context is not None and len(context) > 0xFFFF):
            raise InvalidArgument("an export has at least one byte, and its context at most 65535")
        seed = self.client_random + self.server_random
        if context is not None:
            seed += len(context).to_bytes(2, "big") + context
        return prf(self.master_secret, label, seed, length, SUITES[self.suite].hash_name)

    def key_log_line(self) -> str:
        """The line that lets analysers decrypt the session, in the format of NSS."""
        return f"CLIENT_RANDOM {self.client_random.hex()} {self.master_secret.hex()}"
