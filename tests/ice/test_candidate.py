"""Candidate lines (RFC 8839 section 5.1)."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported, WireError
from sans_rtc.ice import Candidate, CandidateType, parse_candidate, serialize_candidate
from sans_rtc.ice.candidate import EXTENSION_COUNT_MAX
from sans_rtc.machine import Address

HOST = "candidate:633865722 1 udp 2122260223 127.0.0.1 53185 typ host generation 0 network-id 1 network-cost 50"
SRFLX = "candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998"
TCP = "a=candidate:1527244642 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0"
LOCAL = "candidate:1 1 udp 2122262783 1f4712db-ea17-4bcf-a596-105139dfd8bf.local 54596 typ host"


def test_host_candidate_of_a_browser():
    candidate = parse_candidate(HOST)
    assert candidate == Candidate(
        "633865722",
        1,
        "udp",
        2122260223,
        Address("127.0.0.1", 53185),
        CandidateType.HOST,
        extensions=(("generation", "0"), ("network-id", "1"), ("network-cost", "50")),
    )


def test_example_of_rfc_8839_with_related_address():
    candidate = parse_candidate("a=" + SRFLX)
    assert candidate.type is CandidateType.SERVER_REFLEXIVE
    assert candidate.related_address == ("203.0.113.141", 8998)
    assert candidate.protocol == "udp"


def test_tcp_candidate_keeps_its_type():
    candidate = parse_candidate(TCP)
    assert (candidate.protocol, candidate.tcp_type) == ("tcp", "active")


def test_mdns_name_is_an_address_to_be_resolved():
    candidate = parse_candidate(LOCAL)
    assert candidate.is_named
    assert candidate.address.host.endswith(".local")


def test_ipv6_is_brought_to_one_spelling():
    candidate = parse_candidate("candidate:1 1 udp 1 2001:DB8:0:0::0001 9 typ host")
    assert candidate.address.host == "2001:db8::1"
    assert not candidate.is_named


def test_extension_lookup():
    candidate = parse_candidate(SRFLX + " ufrag 8hhY generation 2")
    assert candidate.extension("ufrag") == "8hhY"
    assert candidate.extension("network-cost") is None


def test_extension_with_an_empty_value_at_the_end():
    assert parse_candidate(HOST + " empty").extension("empty") == ""


@pytest.mark.parametrize("line", [HOST, SRFLX.replace("UDP", "udp"), TCP.removeprefix("a="), LOCAL])
def test_serializing_gives_the_line_back(line):
    candidate = parse_candidate(line)
    assert serialize_candidate(candidate) == line
    assert parse_candidate(serialize_candidate(candidate)) == candidate


@pytest.mark.parametrize(
    "line",
    [
        # Offers of Chromium 156 and Firefox ESR 153.
        "a=candidate:633865722 1 udp 2122260223 127.0.0.1 56238 typ host generation 0 network-id 1 network-cost 50",
        "a=candidate:1527244642 1 tcp 1518280447 127.0.0.1 9 typ host tcptype active generation 0 network-id 1",
        "a=candidate:0 1 UDP 2122187007 127.0.0.1 36343 typ host",
        "a=candidate:1 1 UDP 2122252543 ::1 48161 typ host",
        "a=candidate:2 1 TCP 2105458943 127.0.0.1 9 typ host tcptype active",
        "a=candidate:0 2 UDP 2122187006 127.0.0.1 41912 typ host",
    ],
)
def test_candidates_of_browsers(line):
    candidate = parse_candidate(line)
    assert candidate.type is CandidateType.HOST
    assert serialize_candidate(candidate).lower() == line.removeprefix("a=").lower()


@pytest.mark.proves("RFC8445-5.1.2.1-7-72af")
@pytest.mark.parametrize(
    ("line", "error", "field"),
    [
        ("", Malformed, "candidate"),
        ("candidate", Malformed, "candidate"),
        ("candidat:1 1 udp 1 192.0.2.1 9 typ host", Malformed, "candidate"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ", Truncated, "candidate"),
        ("candidate:" + "x" * 3000, Malformed, "candidate"),
        ("candidate:f-1 1 udp 1 192.0.2.1 9 typ host", Malformed, "foundation"),
        (f"candidate:{'f' * 33} 1 udp 1 192.0.2.1 9 typ host", Malformed, "foundation"),
        ("candidate:1 0 udp 1 192.0.2.1 9 typ host", Malformed, "component"),
        ("candidate:1 257 udp 1 192.0.2.1 9 typ host", Malformed, "component"),
        ("candidate:1 x udp 1 192.0.2.1 9 typ host", Malformed, "component"),
        ("candidate:1 1 sctp 1 192.0.2.1 9 typ host", Unsupported, "transport"),
        ("candidate:1 1 udp -1 192.0.2.1 9 typ host", Malformed, "priority"),
        ("candidate:1 1 udp 4294967296 192.0.2.1 9 typ host", Malformed, "priority"),
        ("candidate:1 1 udp ١ 192.0.2.1 9 typ host", Malformed, "priority"),
        ("candidate:1 1 udp 1 192.0.2.256 9 typ host", Malformed, "address"),
        ("candidate:1 1 udp 1 fe80::1%eth0 9 typ host", Malformed, "address"),
        ("candidate:1 1 udp 1 a..b 9 typ host", Malformed, "address"),
        ("candidate:1 1 udp 1 ☃.local 9 typ host", Malformed, "address"),
        (f"candidate:1 1 udp 1 {'a.' * 130}b 9 typ host", Malformed, "address"),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", Malformed, "port"),
        ("candidate:1 1 udp 1 192.0.2.1 9 type host", Malformed, "typ"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ hosts", Unsupported, "type"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr x..y rport 9", Malformed, "address"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 192.0.2.1 rport y", Malformed, "rport"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host " + "a b " * 33, Malformed, "extensions"),
        ("candidate:1 1 udp 1 192.0.2.1 9 typ host name \x01", Malformed, "extensions"),
    ],
)
def test_malformed_field(line, error, field):
    with pytest.raises(error) as caught:
        parse_candidate(line)
    assert caught.value.field == field


@pytest.mark.proves("RFC8445-5.1.2.1-7-72af")
@pytest.mark.parametrize(
    "change",
    [
        {"foundation": ""},
        {"foundation": "a b"},
        {"component": 0},
        {"component": 257},
        {"protocol": "UDP"},
        {"priority": -1},
        {"priority": 1 << 32},
        {"address": Address("192.0.2.1", 65536)},
        {"address": Address("not an address", 1)},
        {"related_address": Address("192.0.2.1", -1)},
        {"tcp_type": "sometimes"},
        {"extensions": (("a", "b"),) * 33},
    ],
)
def test_candidate_made_by_hand_is_checked(change):
    fields = {
        "foundation": "1",
        "component": 1,
        "protocol": "udp",
        "priority": 1,
        "address": Address("192.0.2.1", 9),
        "type": CandidateType.HOST,
    }
    Candidate(**fields)
    with pytest.raises(InvalidArgument):
        Candidate(**(fields | change))


@given(st.text(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_text_parses_or_is_a_wire_error(text):
    for line in (text, "candidate:" + text, "candidate:1 1 udp 1 192.0.2.1 9 typ host " + text):
        try:
            candidate = parse_candidate(line)
        except WireError:
            continue
        assert parse_candidate(serialize_candidate(candidate)) == candidate


@given(
    st.from_regex(r"[A-Za-z0-9+/]{1,32}", fullmatch=True),
    st.integers(1, 256),
    st.integers(0, 0xFFFFFFFF),
    st.ip_addresses(),
    st.integers(0, 65535),
    st.sampled_from(CandidateType),
)
@settings(max_examples=100, deadline=None)
def test_round_trip(foundation, component, priority, host, port, kind):
    related = None if kind is CandidateType.HOST else Address("0.0.0.0", 9)
    address = Address(str(host).partition("%")[0], port)
    line = serialize_candidate(Candidate(foundation, component, "udp", priority, address, kind, related))
    candidate = parse_candidate(line)
    assert serialize_candidate(candidate) == serialize_candidate(parse_candidate(serialize_candidate(candidate)))
    assert (candidate.foundation, candidate.component, candidate.priority) == (foundation, component, priority)
    assert (candidate.address.port, candidate.type, candidate.related_address) == (port, kind, related)


def test_candidate_with_as_many_extensions_as_there_may_be_can_be_told_on_with_its_related_address():
    line = SRFLX.removesuffix(" rport 8998") + " a b" * EXTENSION_COUNT_MAX
    candidate = parse_candidate(line)
    assert parse_candidate(serialize_candidate(candidate)) == candidate
