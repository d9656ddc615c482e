"""Nonces that need no memory: a nonce says itself when, for whom and by whom it was made (RFC 8489 section 9.2).

    obMatJos2 | security features | base64url of:  issued at, 4 bytes | HMAC-SHA256 of all that and the client, 12 bytes

Bound to the client's IP address, so that a request seen on the wire is of no use from elsewhere; not to its port, for
the connections of RFC 6062 come from others, with the nonce of the first. 96 bits of HMAC are more than anybody can
guess in the hour that a nonce lives.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import struct

from sans_rtc.machine import Path
from sans_rtc.stun.long_term import NONCE_COOKIE, NONCE_COOKIE_BYTES, SecurityFeatures

SECRET_BYTES = 32
MAC_BYTES = 12
NONCE_BYTES = NONCE_COOKIE_BYTES + 22

_ISSUED_AT = struct.Struct("!I")


class NonceMint:
    """Makes nonces and tells whether one is its own and still good.

    secret      SECRET_BYTES that nobody else knows
    lifetime_s  how long a nonce is good
    """

    __slots__ = ("_lifetime_s", "_secret")

    def __init__(self, secret: bytes, lifetime_s: float) -> None:
        self._secret = secret
        self._lifetime_s = lifetime_s

    def make(self, path: Path, features: SecurityFeatures, now: float) -> bytes:
        """A nonce for this client, good from now on."""
        # The 24 bits count from the least significant, as the nonce of RFC 8489 appendix B.1 does.
        cookie = NONCE_COOKIE + base64.b64encode(int(features).to_bytes(3, "big"))
        issued_at = _ISSUED_AT.pack(int(now) & 0xFFFFFFFF)
        return cookie + base64.urlsafe_b64encode(issued_at + self._mac(cookie, issued_at, path)).rstrip(b"=")

    def is_good(self, nonce: bytes, path: Path, now: float) -> bool:
        """True where this mint has made the nonce for this client, not longer ago than the lifetime."""
        if len(nonce) != NONCE_BYTES:
            return False
        cookie = nonce[:NONCE_COOKIE_BYTES]
        try:
            stamp = base64.b64decode(nonce[NONCE_COOKIE_BYTES:] + b"==", altchars=b"-_", validate=True)
        except binascii.Error:
            return False
        issued_at, mac = stamp[:4], stamp[4:]
        if not hmac.compare_digest(mac, self._mac(cookie, issued_at, path)):
            return False
        age_s: int = (int(now) - int.from_bytes(issued_at, "big")) & 0xFFFFFFFF
        return age_s <= self._lifetime_s

    def _mac(self, cookie: bytes, issued_at: bytes, path: Path) -> bytes:
        return hmac.digest(self._secret, cookie + issued_at + path.remote.host.encode(), "sha256")[:MAC_BYTES]
