"""The server's cookies (RFC 6347 section 4.2.1): a client must repeat what was sent to where it says it is.

    Cookie = HMAC(Secret, Client-Parameters)

The RFC's formula has the client's address in it, which a connection here never sees; instead each connection draws its
own secret, and a connection talks to one path. The cookie is recomputed, not stored.
"""

from __future__ import annotations

import hmac

from sans_rtc.dtls.messages import ClientHello
from sans_rtc.dtls.wire import serialize_uint16_list, serialize_vector
from sans_rtc.entropy import Entropy

COOKIE_BYTES = 32  # as many as DTLS 1.0 clients take
_SECRET_BYTES = 32


class CookieJar:
    """Bakes cookies and knows its own."""

    __slots__ = ("_secret",)

    def __init__(self, entropy: Entropy) -> None:
        self._secret = entropy(_SECRET_BYTES)

    def bake(self, hello: ClientHello) -> bytes:
        """The cookie for a ClientHello, over the parameters that the client must not change."""
        parameters = b"".join(
            (
                hello.version.to_bytes(2, "big"),
                hello.random,
                serialize_vector(hello.session_id, 1),
                serialize_vector(serialize_uint16_list(hello.cipher_suites), 2),
                serialize_vector(hello.compression_methods, 1),
            )
        )
        return hmac.digest(self._secret, parameters, "sha256")[:COOKIE_BYTES]

    def is_ours(self, hello: ClientHello) -> bool:
        """Whether the ClientHello carries the cookie that was baked for it."""
        return hmac.compare_digest(self.bake(hello), hello.cookie)
