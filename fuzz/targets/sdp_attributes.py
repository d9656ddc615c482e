"""One attribute of a session description by itself: each has a grammar of its own."""

from __future__ import annotations

from collections.abc import Iterator

from fuzz.codec import refuse, text_of
from sans_rtc.sdp import ATTRIBUTES, check_attributes, parse_description

_NAMES = sorted(ATTRIBUTES)
_HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
_MEDIA = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"


def run(data: bytes) -> None:
    """The first byte names the attribute (its first bit: in a media section), the rest is its value in UTF-8."""
    if not data:
        return
    name = _NAMES[(data[0] & 0x7F) % len(_NAMES)]
    section = _MEDIA if data[0] & 0x80 else ""
    description = refuse(parse_description, f"{_HEAD}{section}a={name}:{text_of(data[1:])}\r\n")
    if description is not None:
        refuse(check_attributes, description)


def seeds() -> Iterator[bytes]:
    """A value that many an attribute takes, for each, at both levels."""
    values = {
        "candidate": b"1 1 udp 1 10.0.0.9 1 typ host",
        "fingerprint": b"sha-256 " + b":".join([b"AB"] * 32),
        "group": b"BUNDLE 0 1",
        "rtpmap": b"111 opus/48000/2",
        "fmtp": b"111 minptime=10;useinbandfec=1",
        "rtcp-fb": b"* nack pli",
        "extmap": b"1/sendonly urn:ietf:params:rtp-hdrext:sdes:mid x",
        "ssrc": b"1 cname:x",
        "ssrc-group": b"FID 1 2",
        "rid": b"hi send pt=111;max-width=1280",
        "simulcast": b"send hi;lo,~mid recv x",
        "sctpmap": b"5000 webrtc-datachannel 256",
        "msid": b"stream track",
        "setup": b"actpass",
    }
    for index, name in enumerate(_NAMES):
        for level in (0, 0x80):
            yield bytes((level | index,)) + values.get(name, b"1")
