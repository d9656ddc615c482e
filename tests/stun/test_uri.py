"""URIs of STUN and TURN servers (RFC 7064, RFC 7065)."""

import pytest

from sans_rtc.errors import Malformed, Unsupported, WireError
from sans_rtc.stun import Scheme, StunUri, parse_stun_uri
from sans_rtc.stun.uri import URI_CHARACTERS_MAX


@pytest.mark.proves("RFC8656-4.1-1-97a5", "RFC8656-7.1-2-2f73")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stun:example.org", StunUri(Scheme.STUN, "example.org", 3478, "udp")),
        ("stun:example.org:8000", StunUri(Scheme.STUN, "example.org", 8000, "udp")),
        ("stuns:example.org", StunUri(Scheme.STUNS, "example.org", 5349, "tcp")),
        ("STUN:example.org", StunUri(Scheme.STUN, "example.org", 3478, "udp")),
        ("stun:192.0.2.1:1", StunUri(Scheme.STUN, "192.0.2.1", 1, "udp")),
        ("stun:[2001:DB8::1]", StunUri(Scheme.STUN, "2001:db8::1", 3478, "udp")),
        ("stun:[2001:db8:0:0::1]:65535", StunUri(Scheme.STUN, "2001:db8::1", 65535, "udp")),
        ("turn:example.org", StunUri(Scheme.TURN, "example.org", 3478, "udp")),
        ("turns:example.org", StunUri(Scheme.TURNS, "example.org", 5349, "tcp")),
        ("turn:example.org:8000", StunUri(Scheme.TURN, "example.org", 8000, "udp")),
        ("turn:example.org?transport=udp", StunUri(Scheme.TURN, "example.org", 3478, "udp")),
        ("turn:example.org?transport=tcp", StunUri(Scheme.TURN, "example.org", 3478, "tcp")),
        ("turn:example.org?transport=TCP", StunUri(Scheme.TURN, "example.org", 3478, "tcp")),
        ("turns:example.org?transport=tcp", StunUri(Scheme.TURNS, "example.org", 5349, "tcp")),
        ("turns:[::1]:443?transport=udp", StunUri(Scheme.TURNS, "::1", 443, "udp")),
    ],
)
def test_uri_is_parsed(text, expected):
    assert parse_stun_uri(text) == expected


@pytest.mark.proves("RFC7064-3.1-1-10c4")
@pytest.mark.parametrize(
    "text",
    [
        "",
        "stun",
        "stun:",
        ":example.org",
        "http:example.org",
        "stun://example.org",
        "stun:example.org/",
        "stun:example.org/path",
        "stun:user@example.org",
        "stun:example.org:",
        "stun:example.org:0",
        "stun:example.org:65536",
        "stun:example.org:999999",
        "stun:example.org:-1",
        "stun:example.org: 1",
        "stun: example.org",
        "stun:example.org\n",
        "stun:2001:db8::1",
        "stun:[2001:db8::1",
        "stun:[192.0.2.1]",
        "stun:[:::]",
        "stun:[fe80::1%25eth0]",
        "stun:exämple.org",
        "stun:example.org?transport=udp",
        "stuns:example.org?",
        "turn:example.org?",
        "turn:example.org?transport=",
        "turn:example.org?transports=udp",
        "turn:example.org?udp",
        "turn:example.org#fragment",
        "stun:" + "x" * URI_CHARACTERS_MAX,
    ],
)
def test_what_is_no_uri_is_malformed(text):
    with pytest.raises(Malformed):
        parse_stun_uri(text)


@pytest.mark.parametrize("transport", ["sctp", "tcp&x=1", "udp?"])
def test_other_transport_is_unsupported(transport):
    with pytest.raises(Unsupported):
        parse_stun_uri(f"turn:example.org?transport={transport}")


@pytest.mark.proves("RFC7064-3.2-1-d8c8")
@pytest.mark.parametrize(
    ("text", "is_secure", "is_turn"),
    [("stun:a", False, False), ("stuns:a", True, False), ("turn:a", False, True), ("turns:a", True, True)],
)
def test_scheme_tells_security_and_usage(text, is_secure, is_turn):
    uri = parse_stun_uri(text)
    assert (uri.is_secure, uri.is_turn) == (is_secure, is_turn)


@pytest.mark.parametrize(
    "text", ["stun:a:1", "stuns:a:5349", "turn:[::1]:3478?transport=tcp", "turns:a:9?transport=udp"]
)
def test_uri_as_text_is_the_uri(text):
    assert str(parse_stun_uri(text)) == text


def test_error_is_a_wire_error_and_a_value_error():
    with pytest.raises(WireError):
        parse_stun_uri("x")
    with pytest.raises(ValueError):
        parse_stun_uri("x")
