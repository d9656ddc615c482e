"""Parameters, error causes, RE-CONFIG parameters, and cookies."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, WireError
from sans_rtc.sctp import Reliability, SctpConfig
from sans_rtc.sctp.chunks import Init
from sans_rtc.sctp.cookie import COOKIE_BYTES, Cookie, CookieJar
from sans_rtc.sctp.opening import REPORTED_BYTES_MAX, Feature, init_problem, read_parameters
from sans_rtc.sctp.params import (
    AddStreams,
    CauseCode,
    IncomingReset,
    OutgoingReset,
    Parameter,
    ReconfigResponse,
    ReconfigType,
    SsnTsnReset,
    describe_cause,
    parse_parameters,
    parse_reconfig,
    serialize_parameter,
    serialize_parameters,
    serialize_reconfig,
    stale_cookie,
    text_cause,
)

RECONFIG_SAMPLES = [
    OutgoingReset(1, 2, 3, ()),
    OutgoingReset(0xFFFFFFFF, 0, 0xFFFFFFFF, (0, 1, 65534)),
    IncomingReset(9, ()),
    IncomingReset(9, (5,)),
    SsnTsnReset(4),
    ReconfigResponse(1, 6),
    ReconfigResponse(1, 1, 77, 78),
    AddStreams(3, 16, is_incoming=False),
    AddStreams(3, 16, is_incoming=True),
]


@pytest.mark.parametrize("item", RECONFIG_SAMPLES, ids=lambda item: type(item).__name__)
def test_reconfig_parameter_survives_a_round_trip(item):
    assert parse_reconfig(serialize_reconfig(item)) == item


def test_every_reconfig_type_has_a_sample():
    assert {serialize_reconfig(item).type for item in RECONFIG_SAMPLES} == set(ReconfigType)


@pytest.mark.proves("RFC6525-4.4-2-b2b3")
def test_response_with_one_tsn_only_is_written_without():
    assert len(serialize_reconfig(ReconfigResponse(1, 1, 77)).value) == 8


@pytest.mark.parametrize("kind", ReconfigType)
def test_short_reconfig_parameter_is_truncated(kind):
    with pytest.raises(Truncated):
        parse_reconfig(Parameter(kind, bytes(3)))


@pytest.mark.parametrize("kind", [ReconfigType.OUTGOING_SSN_RESET, ReconfigType.INCOMING_SSN_RESET])
def test_half_a_stream_number_is_malformed(kind):
    with pytest.raises(Malformed):
        parse_reconfig(Parameter(kind, bytes(13)))


def test_unknown_reconfig_parameter_is_none():
    assert parse_reconfig(Parameter(19, bytes(8))) is None


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.binary(max_size=20)), max_size=6))
def test_parameters_survive_a_round_trip(pairs):
    parameters = [Parameter(*pair) for pair in pairs]
    assert parse_parameters(serialize_parameters(parameters)) == parameters


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_give_parameters_or_wire_error(data):
    try:
        parse_parameters(data)
    except WireError:
        pass


def init_with(*parameters, tag=1, streams=10, window=1500):
    return Init(tag, window, streams, streams, 0, list(parameters))


@pytest.mark.parametrize(
    ("kind", "goes_on", "is_reported"),
    [(0x3FFF, False, False), (0x7FFF, False, True), (0xBFF0, True, False), (0xFFF0, True, True)],
)
def test_high_bits_of_an_unknown_parameter_say_what_to_do(kind, goes_on, is_reported):
    unknown = Parameter(kind, b"abc")
    peer = read_parameters(init_with(unknown, Parameter(0xC000, b"")))
    assert (Feature.FORWARD_TSN in peer.features) is goes_on
    assert peer.unrecognized == ([serialize_parameter(unknown)] if is_reported else [])


def test_reports_of_unknown_parameters_are_bounded():
    peer = read_parameters(init_with(*[Parameter(0xFFF0, bytes(60))] * 100))
    assert 0 < sum(map(len, peer.unrecognized)) <= REPORTED_BYTES_MAX


def test_extensions_not_known_to_us_are_no_obstacle():
    peer = read_parameters(init_with(Parameter(0x8008, bytes((0x82, 0xC0, 0x40, 0xC2, 0x0F, 0x80, 0xC1)))))
    assert peer.features == Feature.FORWARD_TSN | Feature.RE_CONFIG
    assert peer.unrecognized == []


@pytest.mark.parametrize("changes", [{"tag": 0}, {"streams": 0}, {"window": 1499}])
def test_init_without_tag_streams_or_window_is_a_problem(changes):
    assert init_problem(init_with(**changes)).type == CauseCode.INVALID_MANDATORY_PARAMETER
    assert init_problem(init_with()) is None


def test_stale_cookie_is_told_in_microseconds_and_saturates():
    assert stale_cookie(1.5).value == (1_500_000).to_bytes(4, "big")
    assert stale_cookie(1e9).value == b"\xff" * 4


def test_cause_text_is_cut_and_printable():
    assert len(text_cause(CauseCode.PROTOCOL_VIOLATION, "x" * 1000).value) == 128
    assert describe_cause(Parameter(12, b"by\x00\x1be\xff")) == "user initiated abort: bye�"
    assert describe_cause(Parameter(999, b"")) == "cause 999"


# cookies

COOKIE = Cookie(1000.25, 60.0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 3, 5000, 5001)


def test_cookie_survives_a_round_trip():
    jar = CookieJar(b"k" * 32)
    data = jar.seal(COOKIE)
    assert len(data) == COOKIE_BYTES
    assert jar.open(data) == COOKIE


def test_cookie_of_another_key_is_refused():
    assert CookieJar(b"k" * 32).open(CookieJar(b"l" * 32).seal(COOKIE)) is None


@pytest.mark.proves("RFC4960-3.3.3.1-1-4632", "RFC4960-4-1-f680")
@pytest.mark.parametrize("position", range(0, COOKIE_BYTES, 3))
def test_changed_cookie_is_refused(position):
    jar = CookieJar(b"k" * 32)
    data = bytearray(jar.seal(COOKIE))
    data[position] ^= 1
    assert jar.open(bytes(data)) is None


@pytest.mark.parametrize("size", [0, 1, COOKIE_BYTES - 1, COOKIE_BYTES + 1])
def test_cookie_of_another_size_is_refused(size):
    assert CookieJar(b"k" * 32).open(bytes(size)) is None


# configuration


@pytest.mark.proves(
    "RFC4960-3.1-1-e3ef",
    "RFC4960-3.1-2-e3ef",
    "RFC4960-3.3.2-9-9282",
    "RFC4960-3.3.2-11-917e",
    "RFC4960-3.3.3-7-917e",
    "RFC4960-6-9-e494",
    "RFC4960-6.2-11-7ad2",
    "RFC4960-6.2-12-439a",
)
@pytest.mark.parametrize(
    "changes",
    [
        {"local_port": 0},
        {"remote_port": 65536},
        {"mtu_bytes": 100},
        {"streams_outbound": 0},
        {"streams_inbound_max": 65536},
        {"receive_window_bytes": 1499},
        {"message_bytes_max": 5 << 20},
        {"send_buffer_bytes_max": 0},
        {"sack_delay_s": 0.51},
        {"sack_delay_s": -0.1},
        {"rto_min_s": 1.0, "rto_initial_s": 0.5},
        {"rto_max_s": 0.1},
        {"burst_packets_max": 1},
        {"cookie_lifetime_s": 0.0},
        {"heartbeat_interval_s": float("nan")},
    ],
)
def test_configuration_out_of_bounds_is_refused(changes):
    with pytest.raises(InvalidArgument):
        SctpConfig(**changes)


def test_packets_are_whole_words():
    assert SctpConfig(mtu_bytes=1163).packet_bytes_max == 1160


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_retransmits": 1, "lifetime_s": 1.0},
        {"max_retransmits": -1},
        {"lifetime_s": -0.1},
        {"lifetime_s": float("inf")},
        {"lifetime_s": float("nan")},
    ],
)
def test_contradictory_reliability_is_refused(arguments):
    with pytest.raises(InvalidArgument):
        Reliability(**arguments)
