"""Candidate attributes."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import check_codec, refuse, text_of
from sans_rtc.ice import parse_candidate, serialize_candidate
from sans_rtc.ice.candidate import LINE_CHARACTERS_MAX

# What may be left out and is written: a line of almost the greatest length grows beyond it.
WRITTEN_IN_FULL = "candidate:" + " rport 0" + 2 * "0000:0000:0000:0000:0000:ffff:255.255.255.255"


def run(data: bytes) -> None:
    """The bytes are a candidate line in UTF-8."""
    line = text_of(data)
    if len(line) <= LINE_CHARACTERS_MAX - len(WRITTEN_IN_FULL):
        check_codec(parse_candidate, serialize_candidate, line)
    else:
        refuse(parse_candidate, line)


def seeds() -> Iterator[bytes]:
    """As browsers write them, and one of each kind."""
    yield b"candidate:842163049 1 udp 1677729535 203.0.113.7 61000 typ srflx raddr 10.0.0.1 rport 5000 ufrag x"
    yield b"a=candidate:0 1 UDP 2122252543 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 56789 typ host network-cost 10"
    yield b"candidate:1 1 tcp 1518280447 2001:DB8::1 9 typ host tcptype active"
    yield b"candidate:f 2 udp 1 192.0.2.2 3479 typ relay raddr 0.0.0.0 rport 0"
