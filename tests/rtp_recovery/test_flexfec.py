"""FlexFEC by its rules: what can be known is found, byte for byte, and nothing else."""

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.rtp.recovery import (
    DiscardReason,
    FecReceiverConfig,
    FlexFecEncoder,
    FlexFecReceiver,
    FlexFecRepair,
    column_pattern,
    mask_pattern,
    parse_flexfec,
    row_and_column_pattern,
    row_pattern,
    serialize_flexfec,
)
from sans_rtc.rtp.wire import RtpPacket, serialize_rtp
from sans_rtc.testing import SeededEntropy

SSRC = 0xCAFE


def media(count, first=0, seed=1):
    """Packets of all kinds: with CSRCs, header extensions, padding, markers, and of many lengths."""
    entropy = SeededEntropy(seed)
    return [
        serialize_rtp(
            RtpPacket(
                96 + index % 3,
                (first + index) & 0xFFFF,
                int.from_bytes(entropy(4), "big"),
                SSRC,
                entropy(entropy(1)[0] % 60),
                marker=index % 4 == 0,
                csrcs=(index, 77) if index % 3 == 0 else (),
                extensions=[(3, entropy(4))] if index % 2 else [],
                padding_bytes=index % 5,
            )
        )
        for index in range(count)
    ]


def encoded(packets, pattern):
    encoder = FlexFecEncoder(120, 0xFEC, pattern, entropy=SeededEntropy(2))
    return [repair for data in packets for repair in encoder.protect(data)], encoder


def recovered(packets, repairs, lost, receiver=None):
    receiver = receiver or FlexFecReceiver(FecReceiverConfig())
    found = []
    for index, data in enumerate(packets):
        if index not in lost:
            found += receiver.receive_media(data)
    for repair in repairs:
        found += receiver.receive_repair(repair)
    return found


def test_repair_of_a_row_is_the_exclusive_or_of_its_packets():
    first = bytes.fromhex("80e0000100000010000000aa") + b"abc"
    second = bytes.fromhex("80600002000000ff000000aa") + b"ABCDE"
    (repair,), _ = encoded([first, second], row_pattern(2))
    head = "4080" + "0006" + "000000ef" + "0001" + "0200"  # F; marker; 3 ^ 5; timestamps; SN base; L 2, D 0
    assert repair.payload == bytes.fromhex(head) + bytes([0x20, 0x20, 0x20]) + b"DE"
    assert (repair.payload_type, repair.ssrc, repair.csrcs, repair.timestamp) == (120, 0xFEC, (0xAA,), 0xFF)


@pytest.mark.parametrize("lost", range(5))
def test_any_single_loss_of_a_row_is_found_byte_for_byte(lost):
    packets = media(5, first=0xFFFD)
    repairs, _ = encoded(packets, row_pattern(5))
    assert recovered(packets, repairs, {lost}) == [packets[lost]]


def test_two_losses_of_a_row_are_not_found():
    packets = media(5)
    repairs, _ = encoded(packets, row_pattern(5))
    receiver = FlexFecReceiver(FecReceiverConfig())
    assert recovered(packets, repairs, {1, 3}, receiver) == []
    assert receiver.equation_count == 1
    assert receiver.receive_media(packets[3]) == [packets[1]], "the late packet tells of the other"
    assert receiver.equation_count == 0


def test_burst_as_long_as_the_columns_is_found():
    packets = media(12)
    repairs, _ = encoded(packets, column_pattern(4, 3))
    assert recovered(packets, repairs, {3, 4, 5, 6}) == [packets[4], packets[5], packets[6], packets[3]]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_and_columns_find_any_three_losses(count):
    packets = media(12)
    repairs, _ = encoded(packets, row_and_column_pattern(4, 3))
    assert len(repairs) == 7
    for lost in combinations(range(12), count):
        assert sorted(recovered(packets, repairs, set(lost))) == sorted(packets[index] for index in lost)


def test_rectangle_of_four_losses_is_not_found():
    packets = media(12)
    repairs, _ = encoded(packets, row_and_column_pattern(4, 3))
    assert recovered(packets, repairs, {0, 2, 4, 6}) == []


def test_equations_that_all_miss_two_are_solved_together():
    packets = media(3)
    repairs, _ = encoded(packets, mask_pattern(3, [[0, 1], [1, 2], [0, 1, 2]]))
    assert sorted(recovered(packets, repairs, {0, 1, 2})) == sorted(packets)


def determined(masks, lost):
    """Which lost packets every solution of the equations agrees on, by trying all."""
    lost = sorted(lost)
    null = [
        chosen
        for size in range(1, len(lost) + 1)
        for chosen in combinations(lost, size)
        if all(len(set(mask) & set(chosen)) % 2 == 0 for mask in masks)
    ]
    return {index for index in lost if not any(index in chosen for chosen in null)}


@settings(max_examples=200, deadline=None)
@given(
    masks=st.lists(st.sets(st.integers(0, 9), min_size=1), min_size=1, max_size=7),
    lost=st.sets(st.integers(0, 9), max_size=7),
    first=st.sampled_from([0, 1000, 0xFFFA]),
    order=st.randoms(use_true_random=False),
)
def test_exactly_what_can_be_known_is_found_in_any_order(masks, lost, first, order):
    packets = media(10, first=first)
    repairs, _ = encoded(packets, mask_pattern(10, masks))
    receiver = FlexFecReceiver(FecReceiverConfig())
    arrivals = [(receiver.receive_media, data) for index, data in enumerate(packets) if index not in lost]
    arrivals += [(receiver.receive_repair, repair) for repair in repairs]
    order.shuffle(arrivals)
    found = [data for receive, item in arrivals for data in receive(item)]
    assert set(found) <= set(packets), "what is found was sent"
    assert len(found) == len(set(found)), "and is found once"
    assert {packets.index(data) for data in found} & lost == determined(masks, lost)


@pytest.mark.parametrize("last", [14, 15, 45, 46, 109])
def test_mask_is_as_long_as_its_last_bit_needs(last):
    repair = FlexFecRepair([(SSRC, 7, (0, 3, last))], bytes(8), b"body")
    data = serialize_flexfec(repair)
    assert len(data) == 12 + (0 if last < 15 else 4 if last < 46 else 12) + 4
    assert parse_flexfec(data, [SSRC]) == repair


def test_one_repair_may_protect_several_streams():
    one = media(1)[0]
    other = one[:2] + b"\0\x09" + one[4:8] + b"\0\0\0\x05" + one[12:] + b"longer"
    string = bytes(a ^ b for a, b in zip(one[12:].ljust(len(other) - 12, b"\0"), other[12:], strict=True))
    length = (len(one) - 12) ^ (len(other) - 12)
    head = bytes([one[0] & 0x3F ^ other[0] & 0x3F, one[1] ^ other[1]]) + length.to_bytes(2, "big") + bytes(4)
    payload = serialize_flexfec(FlexFecRepair([(SSRC, 0, (0,)), (5, 9, (0,))], head, string))
    receiver = FlexFecReceiver(FecReceiverConfig())
    receiver.receive_media(one)
    assert receiver.receive_repair(RtpPacket(120, 1, 1, 0xFEC, payload, csrcs=(SSRC, 5))) == [other]


def test_packet_sent_again_in_a_repair_packet_is_found_once():
    (packet,) = media(1)
    receiver = FlexFecReceiver(FecReceiverConfig())
    again = RtpPacket(120, 1, 1, 0xFEC, packet)
    assert receiver.receive_repair(again) == [packet]
    assert receiver.receive_repair(again) == []
    assert receiver.stats.packets_recovered == 1


def test_block_that_is_cut_short_is_repaired_all_the_same():
    packets = media(7)
    repairs, encoder = encoded(packets, row_pattern(5))
    repairs += encoder.set_pattern(column_pattern(2, 2))
    assert len(repairs) == 2
    assert recovered(packets, repairs, {2, 6}) == [packets[2], packets[6]]
    assert encoder.flush() == []


def test_jump_in_the_numbers_begins_a_new_block():
    packets = media(2) + media(3, first=10)
    repairs, _ = encoded(packets, row_pattern(3))
    assert recovered(packets, repairs, {1, 3}) == [packets[1], packets[3]]


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", Truncated),
        (bytes(11), Truncated),
        (b"\xc0" + bytes(30), Unsupported),
        (b"\x40" + bytes(9) + b"\x00\x05", Malformed),
        (bytes(10) + b"\x80\x01", Truncated),
        (bytes(10) + b"\x80\x01\x80\0\0\0", Truncated),
    ],
)
def test_repair_packet_that_is_none_is_refused_and_counted(payload, error):
    with pytest.raises(error):
        parse_flexfec(payload, [SSRC])
    receiver = FlexFecReceiver(FecReceiverConfig(), ssrcs=[SSRC])
    assert receiver.receive_repair(RtpPacket(120, 1, 1, 0xFEC, payload)) == []
    assert receiver.stats.discards == {DiscardReason.MALFORMED: 1}


def test_repair_that_names_no_stream_is_refused():
    with pytest.raises(Malformed):
        parse_flexfec(bytes(20), [])


@pytest.mark.parametrize("change", [2, 3, 20])
def test_repair_that_fits_no_packet_finds_none(change):
    packets = [serialize_rtp(RtpPacket(96, n, 0, SSRC, bytes([n]) * 20)) for n in range(2)]
    (repair,), _ = encoded(packets, row_pattern(2))
    payload = bytearray(repair.payload)
    if change == 20:
        payload += b"x"  # bits behind the length
    else:
        payload[change] ^= 0x10
    repair.payload = bytes(payload)
    receiver = FlexFecReceiver(FecReceiverConfig())
    assert recovered(packets, [repair], {1}, receiver) == []
    assert receiver.stats.discards == {DiscardReason.INCONSISTENT: 1}


def test_what_is_kept_is_bounded():
    config = FecReceiverConfig(packet_count_max=20, equation_count_max=3, stream_count_max=2, unknown_count_max=4)
    receiver = FlexFecReceiver(config)
    packets = media(200)
    repairs, _ = encoded(packets, row_pattern(4))
    for repair in repairs:
        assert receiver.receive_repair(repair) == []
        assert receiver.equation_count <= 3
    for ssrc in range(5):
        receiver.receive_media(serialize_rtp(RtpPacket(96, 1, 1, ssrc, b"x")))
    assert receiver.stats.discards[DiscardReason.TOO_MANY_STREAMS] == 4
    wide, _ = encoded(media(5, first=300), row_pattern(5))
    receiver.receive_repair(wide[0])
    assert receiver.stats.discards[DiscardReason.TOO_MANY_LOST] == 1


def test_repair_for_packets_long_gone_is_discarded():
    receiver = FlexFecReceiver(FecReceiverConfig(packet_count_max=20))
    packets = media(60)
    repairs, _ = encoded(packets, row_pattern(4))
    for data in packets:
        receiver.receive_media(data)
    assert receiver.receive_repair(repairs[0]) == []
    assert receiver.stats.discards == {DiscardReason.TOO_OLD: 1}


def test_numbers_used_again_after_a_wrap_are_other_packets():
    receiver = FlexFecReceiver(FecReceiverConfig(packet_count_max=100))
    packets = media(4)
    repairs, _ = encoded(packets, row_pattern(4))
    assert recovered(packets, repairs, {1, 2}, receiver) == []
    for number in range(4, 0x10000, 50):
        receiver.receive_media(serialize_rtp(RtpPacket(96, number, 0, SSRC, b"other")))
    assert receiver.receive_media(serialize_rtp(RtpPacket(96, 1, 0, SSRC, b"another"))) == []


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.binary(max_size=60), st.integers(0, 3), st.booleans()), max_size=30))
def test_any_bytes_leave_it_bounded(inputs):
    receiver = FlexFecReceiver(FecReceiverConfig(packet_count_max=10, equation_count_max=4), ssrcs=[0, 1])
    for data, csrc_count, is_media in inputs:
        if is_media:
            receiver.receive_media(data)
        else:
            receiver.receive_repair(RtpPacket(120, 1, 1, 0xFEC, data, csrcs=tuple(range(csrc_count))))
        assert receiver.equation_count <= 4


@pytest.mark.parametrize(
    "make",
    [
        lambda: row_pattern(0),
        lambda: row_pattern(256),
        lambda: column_pattern(33, 32),
        lambda: row_and_column_pattern(2, 0),
        lambda: mask_pattern(111, [[0]]),
        lambda: mask_pattern(5, [[5]]),
        lambda: mask_pattern(5, [[]]),
        lambda: mask_pattern(5, [[-1]]),
        lambda: FlexFecEncoder(128, 1, row_pattern(2), entropy=SeededEntropy(1)),
        lambda: encoded([b"short"], row_pattern(2)),
    ],
)
def test_pattern_or_packet_that_cannot_be_is_refused(make):
    with pytest.raises(InvalidArgument):
        make()
