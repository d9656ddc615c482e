"""RTP packets: round trip, each field malformed, bounds, and RTP told from RTCP."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported, WireError
from sans_rtc.rtp import RtpPacket, is_rtcp, is_usable_with_rtcp_mux, parse_rtp, serialize_rtp
from sans_rtc.rtp.header_extension import ELEMENT_COUNT_MAX

UINT16, UINT32 = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)
ONE_BYTE = st.lists(st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16)), max_size=8)
TWO_BYTE = st.lists(st.tuples(st.integers(1, 255), st.binary(max_size=255)), max_size=8)
OTHER = st.tuples(
    UINT16.filter(lambda profile: profile != 0xBEDE and profile & 0xFFF0 != 0x1000),
    st.binary(max_size=40).map(lambda data: data + bytes(-len(data) & 3)),
)


@st.composite
def packets(draw):
    other = draw(st.none() | OTHER)
    return RtpPacket(
        draw(st.integers(0, 127)),
        draw(UINT16),
        draw(UINT32),
        draw(UINT32),
        draw(st.binary(max_size=64)),
        draw(st.booleans()),
        tuple(draw(st.lists(UINT32, max_size=15))),
        [] if other else draw(ONE_BYTE | TWO_BYTE),
        draw(st.integers(0, 255)),
        other,
    )


@given(packets())
@settings(max_examples=200, deadline=None)
def test_packet_comes_back_as_it_was(packet):
    assert parse_rtp(serialize_rtp(packet)) == packet


@given(ONE_BYTE)
@settings(max_examples=50, deadline=None)
def test_two_byte_form_carries_the_same_elements(elements):
    packet = RtpPacket(96, 1, 2, 3, b"", extensions=elements)
    assert parse_rtp(serialize_rtp(packet, is_two_byte=True)) == packet


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: b"\xbf\x60" + tail))
@settings(max_examples=200, deadline=None)
def test_any_bytes_raise_only_wire_errors(data):
    try:
        parse_rtp(data)
    except WireError:
        pass


@given(packets(), st.data())
@settings(max_examples=100, deadline=None)
def test_mutated_packet_raises_only_wire_errors(packet, data):
    raw = bytearray(serialize_rtp(packet))
    raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_rtp(bytes(raw[: data.draw(st.integers(0, len(raw)))]))
    except WireError:
        pass


FIXED = bytes.fromhex("8060000100000002") + bytes.fromhex("00000003")


def with_first(first, tail=b""):
    return bytes([first]) + FIXED[1:] + tail


@pytest.mark.parametrize("size", range(12))
def test_less_than_a_header_is_truncated(size):
    with pytest.raises(Truncated):
        parse_rtp(FIXED[:size])


@pytest.mark.parametrize("first", [0x00, 0x40, 0xC0])
def test_another_version_is_unsupported(first):
    with pytest.raises(Unsupported):
        parse_rtp(with_first(first))


def test_contributing_sources_beyond_the_packet_are_truncated():
    with pytest.raises(Truncated):
        parse_rtp(with_first(0x82, bytes(7)))


@pytest.mark.parametrize("tail", [b"", b"\xbe\xde\x00", b"\xbe\xde\x00\x01", b"\xbe\xde\xff\xff" + bytes(40)])
def test_extension_beyond_the_packet_is_truncated(tail):
    with pytest.raises(Truncated):
        parse_rtp(with_first(0x90, tail))


@pytest.mark.parametrize("tail", ["bede00011f000000", "1000000101050000", "1000000100000001"])
def test_element_beyond_its_block_is_truncated(tail):
    with pytest.raises(Truncated):
        parse_rtp(with_first(0x90, bytes.fromhex(tail)))


@pytest.mark.parametrize("tail", ["bede000210aaf0bb20cc2000", "bede000210aa03bb20cc2000"])
def test_processing_ends_at_id_15_and_at_id_0_with_a_length(tail):
    assert parse_rtp(with_first(0x90, bytes.fromhex(tail))).extensions == [(1, b"\xaa")]


@pytest.mark.parametrize("tail", [b"", b"\x00", b"\x02", b"\xff" * 254])
def test_padding_of_zero_or_more_than_the_payload_is_malformed(tail):
    with pytest.raises(Malformed):
        parse_rtp(with_first(0xA0, tail) if tail else with_first(0xA0)[:-1] + b"\x00")


def test_packet_of_padding_alone_has_no_payload():
    packet = parse_rtp(with_first(0xA0, bytes(254) + b"\xff"))
    assert (packet.payload, packet.padding_bytes) == (b"", 255)


def test_padding_does_not_reach_into_the_header_extension():
    with pytest.raises(Malformed):
        parse_rtp(with_first(0xB0, bytes.fromhex("bede0001 10aa0005".replace(" ", "")) + b"\x02"))


def test_as_many_elements_as_are_taken_and_one_more():
    elements = [(1, b"\x00")] * ELEMENT_COUNT_MAX
    packet = RtpPacket(96, 1, 2, 3, b"", extensions=elements)
    assert parse_rtp(serialize_rtp(packet)).extensions == elements
    packet.extensions = [*elements, (1, b"\x00")]
    with pytest.raises(InvalidArgument):
        serialize_rtp(packet)
    with pytest.raises(Malformed):
        parse_rtp(with_first(0x90, b"\xbe\xde\x00\x21" + b"\x10\x00" * 66))


@pytest.mark.parametrize(
    "change",
    [
        {"payload_type": 128},
        {"payload_type": -1},
        {"sequence_number": 65536},
        {"timestamp": 1 << 32},
        {"ssrc": -1},
        {"csrcs": tuple(range(16))},
        {"csrcs": (1 << 32,)},
        {"padding_bytes": 256},
        {"padding_bytes": -1},
        {"extensions": [(0, b"")]},
        {"extensions": [(256, b"")]},
        {"extensions": [(1, bytes(256))]},
        {"other_extension": (0xBEDE, b"")},
        {"other_extension": (0x1003, b"")},
        {"other_extension": (1, b"123")},
        {"other_extension": (1, b""), "extensions": [(1, b"1")]},
    ],
    ids=str,
)
def test_value_that_does_not_fit_its_field_is_refused(change):
    packet = RtpPacket(96, 1, 2, 3, b"")
    for name, value in change.items():
        setattr(packet, name, value)
    with pytest.raises(InvalidArgument):
        serialize_rtp(packet)


@pytest.mark.proves("RFC3550-6-1-4086", "RFC5761-5.1.1-5-06ac", "RTP-USAGE-4.5-1-422c")
def test_packet_types_192_to_223_are_rtcp():
    assert [second for second in range(256) if is_rtcp(bytes((0x80, second)))] == list(range(192, 224))


def test_less_than_two_bytes_are_not_rtcp():
    assert not is_rtcp(b"") and not is_rtcp(b"\x80")


@pytest.mark.proves("RFC3550-12-1-7430", "RFC5761-4-3-8c83")
def test_payload_types_that_would_look_like_rtcp_are_not_usable():
    unusable = [number for number in range(128) if not is_usable_with_rtcp_mux(number)]
    assert unusable == list(range(64, 96))
    assert not is_usable_with_rtcp_mux(128)
