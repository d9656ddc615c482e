"""URIs of STUN and TURN servers (RFC 7064, RFC 7065)."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import refuse, text_of
from sans_rtc.stun import parse_stun_uri


def run(data: bytes) -> None:
    """The bytes are a URI in UTF-8."""
    refuse(parse_stun_uri, text_of(data))


def seeds() -> Iterator[bytes]:
    """One of each scheme and form."""
    yield from (b"stun:example.org", b"stuns:[2001:db8::1]:5349", b"turn:192.0.2.1:3478?transport=tcp", b"turns:h")
