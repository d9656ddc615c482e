"""DNS messages, and names in text."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import allow_misuse, check_codec, text_of
from sans_rtc.mdns.wire import (
    DnsMessage,
    Question,
    address_record,
    nsec_record,
    parse_message,
    serialize_message,
    serialize_name,
)


def run(data: bytes) -> None:
    """The bytes are a message, and a name in UTF-8."""
    check_codec(parse_message, serialize_message, data)
    allow_misuse(serialize_name, text_of(data[:300]))


def seeds() -> Iterator[bytes]:
    """A question, a response, a name that points back."""
    yield serialize_message(DnsMessage(questions=[Question("known.local", 255, True)]))
    records = [address_record("a.local", host, 120) for host in ("10.0.0.9", "fe80::1")]
    negative = [nsec_record("a.local", (1, 28), 120)]
    yield serialize_message(DnsMessage(is_response=True, is_authoritative=True, answers=records, additionals=negative))
    yield bytes.fromhex("000084000000000200000000 0161056c6f63616c00 0001 8001 00000078 0004 0a000001")
    yield bytes.fromhex("000000000002000000000000 0161056c6f63616c00 0001 0001 c00c 001c 8001")
