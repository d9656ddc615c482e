"""The State Cookie: all that is needed to make an association, signed, so that nothing is kept (RFC 9260 5.1.3).

    version | created at | lifetime | tags and TSNs of both ends | windows, streams | tie tags | features | ports | MAC

Who answers an INIT keeps no state for it. Everything that a later COOKIE ECHO needs travels to the peer and back under
an HMAC whose key never leaves this object. The key is drawn for one association and dies with it, which is shorter than
any rotation RFC 9260 5.1.3 has in mind. The creation time is inside, so an old cookie is told from a fresh one; the
ports and the tag are inside, so a cookie made for one association does not open another (5.1.5 steps 2 to 4).
"""

from __future__ import annotations

import hmac
import struct

import attrs

_FIELDS = struct.Struct(">BddIIIIIHHIIBHH")
_VERSION = 1
_MAC_BYTES = 32
COOKIE_BYTES = _FIELDS.size + _MAC_BYTES


@attrs.define(slots=True)
class Cookie:
    """What a State Cookie carries.

    peer_window_bytes  the a_rwnd of the peer's INIT
    streams_outbound   from the maker of the cookie to the peer, both ends' wishes combined; inbound the other way
    tie tags           0 where the maker had no association when it made the cookie
    features           `handshake.Feature` bits of the peer
    """

    created_at: float
    lifetime_s: float
    local_tag: int
    peer_tag: int
    local_initial_tsn: int
    peer_initial_tsn: int
    peer_window_bytes: int
    streams_outbound: int
    streams_inbound: int
    local_tie_tag: int
    peer_tie_tag: int
    features: int
    local_port: int
    remote_port: int


class CookieJar:
    """Signs cookies and takes back only its own.

    key  32 bytes from the machine's entropy
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        self._key = key

    def seal(self, cookie: Cookie) -> bytes:
        """The cookie as bytes for the peer."""
        fields = _FIELDS.pack(_VERSION, *attrs.astuple(cookie))
        return fields + self._mac(fields)

    def open(self, data: bytes) -> Cookie | None:
        """The cookie, or None where this jar has not made it."""
        if len(data) != COOKIE_BYTES:
            return None
        fields, mac = data[: _FIELDS.size], data[_FIELDS.size :]
        if not hmac.compare_digest(mac, self._mac(fields)):
            return None
        return Cookie(*_FIELDS.unpack(fields)[1:])

    def _mac(self, fields: bytes) -> bytes:
        return hmac.digest(self._key, fields, "sha256")
