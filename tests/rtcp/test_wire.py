"""RTCP packets: round trip of every kind, compound rules, each field malformed, bounds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc import rtcp
from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported, WireError
from sans_rtc.rtcp import parse_compound, serialize_compound
from sans_rtc.rtcp.feedback import NACK_PAIR_COUNT_MAX
from sans_rtc.rtcp.wire import PACKET_COUNT_MAX, TABLE


def uint(bits):
    return st.integers(0, (1 << bits) - 1)


def lists(items, most=5, least=0):
    return st.lists(items, min_size=least, max_size=most)


def words(most=4):
    return st.integers(0, most).flatmap(lambda count: st.binary(min_size=4 * count, max_size=4 * count))


def bitrate(bits):
    return st.builds(lambda mantissa, exponent: mantissa << exponent, uint(bits), st.integers(0, 63))


@st.composite
def losses(draw):
    numbers, at = [], draw(uint(16))
    for step in draw(lists(st.integers(1, 30), 40)):
        numbers.append(at & 0xFFFF)
        at += step
    return [*numbers, at & 0xFFFF]


SSRC = uint(32)
BLOCK = st.builds(
    rtcp.ReportBlock, SSRC, uint(8), st.integers(-(1 << 23), (1 << 23) - 1), uint(32), uint(32), uint(32), uint(32)
)
ITEM = st.builds(rtcp.SdesItem, st.integers(1, 255), st.binary(max_size=20))
LIMIT = st.builds(rtcp.BitrateLimit, SSRC, bitrate(17), uint(9))
DELTA = st.none() | st.integers(0, 255) | st.integers(-32768, 32767)
METRIC = st.none() | st.tuples(uint(2), uint(13))
XR_BLOCK = (
    st.builds(rtcp.ReceiverReferenceTime, uint(64))
    | st.builds(rtcp.DelaySinceLastReport, lists(st.builds(rtcp.ReceiverDelay, SSRC, uint(32), uint(32))))
    | st.builds(rtcp.UnknownBlock, st.sampled_from([0, 1, 6, 255]), uint(8), words())
)


@st.composite
def transport_feedback(draw):
    runs = draw(lists(st.tuples(DELTA, st.integers(1, 40)), 12, 1))
    deltas = [delta for delta, count in runs for _ in range(count)]
    return rtcp.TransportFeedback(draw(SSRC), draw(SSRC), draw(uint(16)), draw(uint(24)), draw(uint(8)), deltas)


STRATEGIES = {
    rtcp.SenderReport: st.builds(
        rtcp.SenderReport, SSRC, uint(64), uint(32), uint(32), uint(32), lists(BLOCK, 31), words()
    ),
    rtcp.ReceiverReport: st.builds(rtcp.ReceiverReport, SSRC, lists(BLOCK, 31), words()),
    rtcp.SourceDescription: st.builds(rtcp.SourceDescription, lists(st.builds(rtcp.SdesChunk, SSRC, lists(ITEM)), 31)),
    rtcp.Goodbye: st.builds(rtcp.Goodbye, lists(SSRC, 31).map(tuple), st.binary(max_size=255)),
    rtcp.App: st.builds(rtcp.App, SSRC, st.text("abXY01", min_size=4, max_size=4).map(str.encode), words(), uint(5)),
    rtcp.Nack: st.builds(rtcp.Nack, SSRC, SSRC, losses()),
    rtcp.BitrateRequest: st.builds(rtcp.BitrateRequest, SSRC, lists(LIMIT, 5, 1), SSRC),
    rtcp.BitrateNotification: st.builds(rtcp.BitrateNotification, SSRC, lists(LIMIT), SSRC),
    rtcp.CongestionControlFeedback: st.builds(
        rtcp.CongestionControlFeedback,
        SSRC,
        uint(32),
        lists(st.builds(rtcp.StreamFeedback, SSRC, uint(16), lists(METRIC, 9))),
    ),
    rtcp.TransportFeedback: transport_feedback(),
    rtcp.PictureLossIndication: st.builds(rtcp.PictureLossIndication, SSRC, SSRC),
    rtcp.SliceLossIndication: st.builds(
        rtcp.SliceLossIndication, SSRC, SSRC, lists(st.builds(rtcp.SliceLoss, uint(13), uint(13), uint(6)), 5, 1)
    ),
    rtcp.ReferencePictureSelection: st.builds(
        rtcp.ReferencePictureSelection, SSRC, SSRC, uint(7), st.binary(min_size=1, max_size=20), uint(3)
    ),
    rtcp.FullIntraRequest: st.builds(
        rtcp.FullIntraRequest, SSRC, lists(st.builds(rtcp.FirEntry, SSRC, uint(8)), 5, 1), SSRC
    ),
    rtcp.Remb: st.builds(rtcp.Remb, SSRC, bitrate(18), lists(SSRC).map(tuple), SSRC),
    rtcp.ExtendedReport: st.builds(rtcp.ExtendedReport, SSRC, lists(XR_BLOCK)),
    rtcp.UnknownFeedback: st.builds(
        rtcp.UnknownFeedback, st.sampled_from([205, 206]), st.integers(16, 31), SSRC, SSRC, words()
    ),
    rtcp.UnknownPacket: st.builds(rtcp.UnknownPacket, st.integers(208, 255), uint(5), words()),
}
KINDS = sorted(STRATEGIES, key=lambda kind: kind.__name__)


def test_every_row_has_a_strategy():
    assert {row.kind for row in TABLE} == set(STRATEGIES) - {rtcp.UnknownFeedback, rtcp.UnknownPacket}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_packet_comes_back_as_it_was(kind, data):
    packet = data.draw(STRATEGIES[kind])
    assert parse_compound(serialize_compound([packet]), allow_reduced_size=True) == [packet]


@given(st.lists(st.one_of(*STRATEGIES.values()), min_size=1, max_size=6), st.integers(0, 63))
@settings(max_examples=60, deadline=None)
@pytest.mark.proves("RFC3550-6.1-1-7826")
def test_compound_comes_back_as_it_was_with_and_without_padding(packets, padding_words):
    packets = [rtcp.ReceiverReport(1), *packets]
    data = serialize_compound(packets, padding_bytes=4 * padding_words)
    assert len(data) % 4 == 0
    assert parse_compound(data) == packets


@given(
    st.binary(max_size=120)
    | st.tuples(st.integers(128, 191), st.integers(200, 207), st.binary(max_size=64)).map(
        lambda parts: bytes(parts[:2]) + (len(parts[2]) // 4).to_bytes(2, "big") + parts[2][: len(parts[2]) // 4 * 4]
    )
)
@settings(max_examples=400, deadline=None)
def test_any_bytes_raise_only_wire_errors(data):
    try:
        parse_compound(data, allow_reduced_size=True)
    except WireError:
        pass


@given(st.one_of(*STRATEGIES.values()), st.data())
@settings(max_examples=200, deadline=None)
def test_mutated_packet_raises_only_wire_errors(packet, data):
    raw = bytearray(serialize_compound([packet]))
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        parse_compound(bytes(raw), allow_reduced_size=True)
    except WireError:
        pass


RR = bytes.fromhex("80c9000100000001")
PLI = bytes.fromhex("81ce00020000000100000002")


def test_compound_that_begins_with_feedback_needs_reduced_size():
    with pytest.raises(Malformed):
        parse_compound(PLI)
    assert parse_compound(PLI, allow_reduced_size=True) == [rtcp.PictureLossIndication(1, 2)]


@pytest.mark.parametrize("data", [b"", RR[:3], RR[:7], RR + b"\x80", RR + PLI[:8], bytes.fromhex("80c90002") + RR[4:]])
def test_lengths_that_do_not_add_up_are_truncated(data):
    with pytest.raises(Truncated):
        parse_compound(data)


@pytest.mark.parametrize("first", [0x00, 0x40, 0xC0])
def test_another_version_is_unsupported(first):
    with pytest.raises(Unsupported):
        parse_compound(bytes([first]) + RR[1:])


def test_padding_in_the_first_of_several_is_malformed():
    with pytest.raises(Malformed):
        parse_compound(bytes.fromhex("a0c900020000000100000004") + PLI)


@pytest.mark.parametrize("count", ["00", "09", "ff"])
def test_count_of_padding_beyond_the_packet_is_malformed(count):
    with pytest.raises(Malformed):
        parse_compound(bytes.fromhex("a0c9000200000001000000" + count))


def test_browser_pads_transport_feedback_wherever_it_stands():
    data = bytes.fromhex("afcd00050000000100000002000000010000010020010501")
    feedback = rtcp.TransportFeedback(1, 2, 0, 1, 0, [5])
    assert parse_compound(data + PLI, allow_reduced_size=True) == [feedback, rtcp.PictureLossIndication(1, 2)]


# Packet type and count or format, body: too short, or at odds with itself.
BROKEN = [
    ("SR without sender information", 200, 0, "00000001" * 5),
    ("SR with half a block", 200, 1, "00000001" * 11),
    ("RR without SSRC", 201, 0, ""),
    ("RR with half a block", 201, 1, "00000001" * 6),
    ("SDES with a chunk less", 202, 2, "0000000101016100"),
    ("SDES item that leaves", 202, 1, "0000000101056100"),
    ("SDES item without length", 202, 1, "00000001010161" + "01"),
    ("SDES chunk without end", 202, 1, "0000000101026161"),
    ("BYE with a source less", 203, 2, "00000001"),
    ("BYE reason that leaves", 203, 1, "0000000104616263"),
    ("APP without name", 204, 0, "00000001"),
    ("APP with a name that is not ASCII", 204, 0, "00000001ff000000"),
    ("feedback without sources", 205, 31, "00000001"),
    ("NACK without pairs", 205, 1, "0000000100000002"),
    ("TMMBR without entries", 205, 3, "0000000100000002"),
    ("TMMBR with half an entry", 205, 3, "000000010000000200000003"),
    ("TMMBN with half an entry", 205, 4, "000000010000000200000003"),
    ("CCFB without timestamp", 205, 11, "00000001"),
    ("CCFB with half a stream", 205, 11, "000000010000000200000003"),
    ("CCFB with too few metrics", 205, 11, "00000001" "00000002" "00000003" "80008000" "00000000"),
    ("CCFB with too many metrics", 205, 11, "00000001" "00000002" "00004001" + "00000000" * 8193 + "00000000"),
    ("transport feedback without header", 205, 15, "000000010000000200000001"),
    ("transport feedback on no packet", 205, 15, "0000000100000002000000000000010000000000"),
    ("transport feedback with too few chunks", 205, 15, "000000010000000200000020000001000001" "0001"),
    ("transport feedback with a run of none", 205, 15, "000000010000000200000001000001000000" "0000"),
    ("transport feedback with the reserved symbol", 205, 15, "000000010000000200000001000001006001" "0000"),
    ("transport feedback with too few deltas", 205, 15, "000000010000000200000009000001004009" "0000"),
    ("PLI with FCI", 206, 1, "000000010000000200000003"),
    ("SLI without entries", 206, 2, "0000000100000002"),
    ("RPSI without FCI", 206, 3, "0000000100000002"),
    ("RPSI with more padding than bits", 206, 3, "000000010000000219600000"),
    ("RPSI with padding into its head", 206, 3, "000000010000000211600000"),
    ("FIR without entries", 206, 4, "0000000100000002"),
    ("FIR with half an entry", 206, 4, "000000010000000200000003"),
    ("REMB without bitrate", 206, 15, "0000000100000000" "52454d42"),
    ("REMB with a source less", 206, 15, "0000000100000000" "52454d42" "02000001" "00000001"),
    ("XR without SSRC", 207, 0, ""),
    ("XR block that leaves", 207, 0, "00000001" "0e000002" "00000000"),
    ("RRTR of another size", 207, 0, "00000001" "04000001" "00000000"),
    ("DLRR of another size", 207, 0, "00000001" "05000001" "00000000"),
]  # fmt: skip


@pytest.mark.parametrize(("packet_type", "count", "body"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
@pytest.mark.proves("RFC4585-6.3.1-1-9eb4")
def test_broken_field_is_a_wire_error(packet_type, count, body):
    data = bytes.fromhex(body)
    head = bytes([0x80 | count, packet_type]) + (len(data) // 4).to_bytes(2, "big")
    with pytest.raises(WireError):
        parse_compound(head + data, allow_reduced_size=True)


REFUSED = [
    rtcp.ReceiverReport(1, [rtcp.ReportBlock(1, 0, 0, 0, 0)] * 32),
    rtcp.ReceiverReport(1, [rtcp.ReportBlock(1, 256, 0, 0, 0)]),
    rtcp.ReceiverReport(1, [rtcp.ReportBlock(1, 0, 1 << 23, 0, 0)]),
    rtcp.ReceiverReport(1, [rtcp.ReportBlock(1, 0, 0, 1 << 32, 0)]),
    rtcp.ReceiverReport(1, extension=b"1"),
    rtcp.ReceiverReport(1 << 32),
    rtcp.SenderReport(1, 1 << 64, 0, 0, 0),
    rtcp.SourceDescription([rtcp.SdesChunk(1)] * 32),
    rtcp.SourceDescription([rtcp.SdesChunk(1, [rtcp.SdesItem(0, b"")])]),
    rtcp.SourceDescription([rtcp.SdesChunk(1, [rtcp.SdesItem(1, bytes(256))])]),
    rtcp.Goodbye((1,) * 32),
    rtcp.Goodbye((1,), bytes(256)),
    rtcp.App(1, b"abc"),
    rtcp.App(1, b"abcd", b"1"),
    rtcp.App(1, b"abcd", b"", 32),
    rtcp.Nack(1, 2, []),
    rtcp.Nack(1, 2, [65536]),
    rtcp.SliceLossIndication(1, 2, [rtcp.SliceLoss(8192, 0, 0)]),
    rtcp.SliceLossIndication(1, 2, []),
    rtcp.ReferencePictureSelection(1, 2, 128, b"a"),
    rtcp.ReferencePictureSelection(1, 2, 96, b"", 1),
    rtcp.FullIntraRequest(1, []),
    rtcp.FullIntraRequest(1, [rtcp.FirEntry(1, 256)]),
    rtcp.BitrateRequest(1, [rtcp.BitrateLimit(1, -1, 0)]),
    rtcp.BitrateRequest(1, [rtcp.BitrateLimit(1, 1, 512)]),
    rtcp.Remb(1, 1 << 82, ()),
    rtcp.Remb(1, 1, (1,) * 256),
    rtcp.UnknownFeedback(204, 1, 1, 2),
    rtcp.UnknownFeedback(205, 32, 1, 2),
    rtcp.UnknownPacket(256, 0, b""),
    rtcp.ExtendedReport(1, [rtcp.UnknownBlock(1, 0, b"1")]),
    rtcp.ExtendedReport(1, [rtcp.ReceiverReferenceTime(0)] * 257),
    rtcp.CongestionControlFeedback(1, 0, [rtcp.StreamFeedback(1, 0, [(4, 0)])]),
    rtcp.CongestionControlFeedback(1, 0, [rtcp.StreamFeedback(1, 0, [None] * 16385)]),
    rtcp.TransportFeedback(1, 2, 0, 0, 0, []),
    rtcp.TransportFeedback(1, 2, 0, 0, 0, [None] * 65536),
    rtcp.TransportFeedback(1, 2, 0, 0, 0, [32768]),
    rtcp.TransportFeedback(1, 2, 0, 1 << 24, 0, [0]),
]


@pytest.mark.parametrize("packet", REFUSED, ids=lambda packet: type(packet).__name__)
@pytest.mark.proves("RFC3550-6.7-4-851f")
def test_value_that_does_not_fit_its_field_is_refused(packet):
    with pytest.raises(InvalidArgument):
        serialize_compound([packet])


@pytest.mark.parametrize("padding_bytes", [-4, 2, 256])
def test_padding_that_is_not_whole_words_is_refused(padding_bytes):
    with pytest.raises(InvalidArgument):
        serialize_compound([rtcp.ReceiverReport(1)], padding_bytes=padding_bytes)


def test_no_packet_at_all_is_refused():
    with pytest.raises(InvalidArgument):
        serialize_compound([])


def test_as_many_packets_as_are_taken_and_one_more():
    assert len(parse_compound(RR * PACKET_COUNT_MAX)) == PACKET_COUNT_MAX
    with pytest.raises(Malformed):
        parse_compound(RR * (PACKET_COUNT_MAX + 1))


def test_nack_of_all_sequence_numbers_is_taken_and_longer_ones_are_not():
    every = list(range(65536))
    data = serialize_compound([rtcp.Nack(1, 2, every)])
    assert parse_compound(data, allow_reduced_size=True)[0].lost == every
    pairs = NACK_PAIR_COUNT_MAX + 1
    head = bytes.fromhex("81cd") + (2 + pairs).to_bytes(2, "big") + PLI[4:]
    with pytest.raises(Malformed):
        parse_compound(head + bytes(4 * pairs), allow_reduced_size=True)


def test_feedback_of_65535_packets_comes_back_as_it_was():
    for deltas in ([None] * 65535, [1] * 65535, [None, 1] * 32767 + [7]):
        packet = rtcp.TransportFeedback(1, 2, 65535, 0, 0, deltas)
        assert parse_compound(serialize_compound([packet]), allow_reduced_size=True) == [packet]


def test_datagram_that_tells_of_more_packets_than_there_are_is_malformed():
    one = serialize_compound([rtcp.TransportFeedback(1, 2, 0, 0, 0, [None] * 65535)])
    assert len(one) < 48
    with pytest.raises(Malformed):
        parse_compound(one * 20, allow_reduced_size=True)


def test_nack_packs_17_packets_into_a_pair():
    assert rtcp.pack_lost([65530, *range(65531, 65536), *range(11)]) == [(65530, 0xFFFF)]
    assert rtcp.pack_lost([1, 18, 19]) == [(1, 0), (18, 1)]
    assert rtcp.pack_lost([5, 5]) == [(5, 0)]
    assert rtcp.pack_lost([]) == []


def test_arrivals_of_feedback_count_from_its_reference_time():
    packet = rtcp.TransportFeedback(1, 2, 65535, 2, 0, [3, None, -1, 10])
    assert packet.arrivals() == [(65535, 515), (0, None), (1, 514), (2, 524)]


@given(st.lists(st.booleans(), min_size=1, max_size=100))
@settings(max_examples=100, deadline=None)
def test_feedback_without_times_comes_back_as_it_was(received):
    deltas = [0 if arrived else None for arrived in received]
    packet = rtcp.TransportFeedback(1, 2, 0, 0, 0, deltas, has_times=not any(received))
    assert parse_compound(serialize_compound([packet]), allow_reduced_size=True) == [packet]


def test_items_of_a_source_are_found_by_type():
    items = [rtcp.SdesItem(rtcp.SdesType.CNAME, b"me"), rtcp.private_item(b"x", b"yz"), rtcp.SdesItem(2, b"\xff")]
    chunk = rtcp.SdesChunk(1, items)
    assert (chunk.cname, chunk.value(rtcp.SdesType.MID), chunk.value(2)) == ("me", None, "\ufffd")
    assert [item.private for item in items] == [None, (b"x", b"yz"), None]
    assert rtcp.SdesItem(rtcp.SdesType.PRIV, b"\x05ab").private is None
    with pytest.raises(InvalidArgument):
        rtcp.private_item(bytes(200), bytes(55))


def test_arrival_offset_is_in_1024ths_and_bounded():
    assert [rtcp.arrival_offset(seconds) for seconds in (-1.0, 0.5, 100.0)] == [0, 512, 0x1FFE]


@pytest.mark.parametrize("packet_type", [205, 206, 209])
def test_unknown_packet_that_was_padded_to_a_word_can_be_sent_on(packet_type):
    padded = bytes([0x80 | 0x20 | 20, packet_type, 0, 3]) + bytes(11) + b"\x01"
    (packet,) = parse_compound(padded, allow_reduced_size=True)
    assert serialize_compound([packet]) == padded
