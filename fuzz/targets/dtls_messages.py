"""The messages of the DTLS handshake, their fragments, alerts, and fingerprints as text."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec, refuse, text_of, vector_bytes
from sans_rtc.dtls.alert import parse_alert, serialize_alert
from sans_rtc.dtls.fingerprint import Fingerprint
from sans_rtc.dtls.handshake import parse_fragments
from sans_rtc.dtls.messages import MESSAGES

_ALERT, _FRAGMENTS, _FINGERPRINT = 0xFD, 0xFE, 0xFF


def run(data: bytes) -> None:
    """The first byte is the handshake type, or one of the three above; the rest is the message's body."""
    kind, body = data[:1], data[1:]
    if not kind:
        return
    row = {int(type_): row for type_, row in MESSAGES.items()}.get(kind[0])
    if row is not None:
        check_codec(row.parse, row.serialize, body)
    elif kind[0] == _ALERT:
        check_codec(parse_alert, serialize_alert, body)
    elif kind[0] == _FRAGMENTS:
        refuse(parse_fragments, body)
    elif kind[0] == _FINGERPRINT:
        check_codec(Fingerprint.parse, str, text_of(body))


def seeds() -> Iterator[bytes]:
    """The messages of captured handshakes, in the form of records with one message."""
    for datagram in vector_bytes("dtls", "datagram", "datagrams"):
        offset = 0
        while offset + 13 < len(datagram):
            size = int.from_bytes(datagram[offset + 11 : offset + 13], "big")
            content = datagram[offset + 13 : offset + 13 + size]
            if datagram[offset] == 22 and datagram[offset + 3 : offset + 5] == b"\0\0" and len(content) > 12:
                yield bytes((_FRAGMENTS,)) + content
                yield content[:1] + content[12:]
            offset += 13 + size
    yield bytes((_ALERT, 2, 40))
    yield bytes((_FINGERPRINT,)) + b"sha-256 " + b":".join([b"AB"] * 32)
