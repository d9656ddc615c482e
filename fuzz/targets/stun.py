"""STUN messages: the parser, the writer, and the checks of integrity and fingerprint."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec, vector_bytes
from sans_rtc.stun import is_fingerprint_valid, is_integrity_valid, parse_message, serialize_message


def run(data: bytes) -> None:
    """The bytes are a message."""
    message = check_codec(parse_message, serialize_message, data)
    is_fingerprint_valid(data)
    is_integrity_valid(data, b"key")
    if message is not None:
        signed = serialize_message(message, key=b"key", fingerprint=True)
        assert is_fingerprint_valid(signed) and is_integrity_valid(signed, b"key")
        parse_message(signed)


def seeds() -> Iterator[bytes]:
    """The vectors and captures of STUN."""
    yield from vector_bytes("stun", "message", "data")
