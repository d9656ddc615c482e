"""Packets into datagrams: nothing is lost, each begins as it must, none is too large."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc import rtcp
from sans_rtc.errors import InvalidArgument, Malformed
from sans_rtc.rtcp import parse_compound, serialize_datagrams

CNAME = rtcp.SourceDescription([rtcp.SdesChunk(1, [rtcp.SdesItem(rtcp.SdesType.CNAME, b"a@b")])])


def blocks(count):
    return [rtcp.ReportBlock(ssrc, 0, 0, 0, 0) for ssrc in range(count)]


def test_small_compound_is_one_datagram():
    packets = [rtcp.SenderReport(1, 2, 3, 4, 5, blocks(2)), CNAME, rtcp.PictureLossIndication(1, 2)]
    [datagram] = serialize_datagrams(packets)
    assert parse_compound(datagram) == packets


@given(st.integers(0, 200), st.integers(1, 3000), st.integers(200, 1500), st.booleans())
@settings(max_examples=50, deadline=None)
@pytest.mark.proves("RFC3550-6.1-16-ad43", "RFC3550-6.1-17-e33b", "RFC8108-5.3-2-ad43", "RFC8108-5.3-3-e33b")
def test_long_lists_are_split_and_nothing_is_lost(block_count, lost_count, bytes_max, is_reduced_size):
    lost = [number * 18 & 0xFFFF for number in range(lost_count)]
    packets = [rtcp.SenderReport(1, 2, 3, 4, 5, blocks(block_count)), CNAME, rtcp.Nack(1, 2, lost)]
    datagrams = serialize_datagrams(packets, datagram_bytes_max=bytes_max, is_reduced_size=is_reduced_size)
    assert max(map(len, datagrams)) <= bytes_max
    parsed = [parse_compound(datagram, allow_reduced_size=is_reduced_size) for datagram in datagrams]
    flat = [packet for packets in parsed for packet in packets]
    reports = [packet for packet in flat if isinstance(packet, rtcp.SenderReport | rtcp.ReceiverReport)]
    assert [block.ssrc for report in reports for block in report.blocks] == list(range(block_count))
    assert [number for packet in flat if isinstance(packet, rtcp.Nack) for number in packet.lost] == lost
    if not is_reduced_size:
        assert all(CNAME in packets for packets in parsed[1:])


@pytest.mark.proves("RFC3550-6.1-9-602a", "RFC3550-6.4-1-f46e")
def test_more_than_31_blocks_follow_in_receiver_reports():
    [datagram] = serialize_datagrams([rtcp.SenderReport(1, 2, 3, 4, 5, blocks(40))])
    first, second = parse_compound(datagram)
    assert (len(first.blocks), type(second), len(second.blocks)) == (31, rtcp.ReceiverReport, 9)


@pytest.mark.parametrize(
    "packet",
    [
        rtcp.SourceDescription([rtcp.SdesChunk(ssrc, [rtcp.SdesItem(1, bytes(100))]) for ssrc in range(40)]),
        rtcp.Goodbye(tuple(range(100))),
        rtcp.FullIntraRequest(1, [rtcp.FirEntry(ssrc, 0) for ssrc in range(500)]),
        rtcp.Remb(1, 1000, tuple(range(600))),
        rtcp.ExtendedReport(1, [rtcp.ReceiverReferenceTime(0)] * 300),
        rtcp.CongestionControlFeedback(1, 0, [rtcp.StreamFeedback(ssrc, 0, [None] * 50) for ssrc in range(40)]),
    ],
    ids=lambda packet: type(packet).__name__,
)
def test_packet_that_is_too_large_is_split(packet):
    datagrams = serialize_datagrams([packet], is_reduced_size=True)
    assert len(datagrams) > 1 or isinstance(packet, rtcp.Goodbye)
    assert all(len(datagram) <= 1200 for datagram in datagrams)
    pieces = [piece for datagram in datagrams for piece in parse_compound(datagram, allow_reduced_size=True)]
    assert {type(piece) for piece in pieces} == {type(packet)}


def test_packet_that_cannot_be_split_is_refused():
    with pytest.raises(InvalidArgument):
        serialize_datagrams([rtcp.App(1, b"abcd", bytes(2000))], is_reduced_size=True)


@pytest.mark.parametrize("packets", [[], [CNAME]])
@pytest.mark.proves("RFC3550-6.1-7-d46e", "RFC3550-12.1-1-3485")
def test_compound_that_does_not_begin_with_a_report_is_refused(packets):
    with pytest.raises(InvalidArgument):
        serialize_datagrams(packets)


@pytest.mark.parametrize(
    "packet", [rtcp.ReceiverReport(1), rtcp.Goodbye((1,)), rtcp.App(1, b"abcd", bytes(4)), rtcp.ExtendedReport(1, [])]
)
def test_padding_of_less_than_a_word_is_malformed_but_in_feedback(packet):
    data = bytearray(rtcp.serialize_packet(packet, padding_bytes=4))
    data[-1] = 2
    with pytest.raises(Malformed):
        parse_compound(bytes(data), allow_reduced_size=True)
