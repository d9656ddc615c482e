"""The history of what was sent, and its retransmission by RFC 4588."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery import DiscardReason, RtxReceiver, RtxSender, SendHistory, SendHistoryConfig
from sans_rtc.rtp.wire import RtpPacket, parse_rtp, serialize_rtp
from sans_rtc.testing import SeededEntropy

OPEN = SendHistoryConfig(ratio_max=10.0, burst_bytes_max=1 << 20)


def packets(count, size=100, first=0):
    return [RtpPacket(96, (first + n) & 0xFFFF, n * 3000, 7, bytes([n & 0xFF]) * size) for n in range(count)]


def filled(config, sent, now=0.0, rtt_s=0.1):
    history = SendHistory(config, rtt_s=rtt_s)
    for packet in sent:
        history.add(packet, now)
    return history


def test_what_is_asked_for_is_sent_again_in_that_order():
    sent = packets(10, first=0xFFFA)
    assert filled(OPEN, sent).answer([3, 0xFFFB], 0.2) == [sent[9], sent[1]]


def test_unknown_number_is_counted():
    history = filled(OPEN, packets(3))
    assert history.answer([9], 1.0) == []
    assert history.stats.discards == {DiscardReason.NOT_HELD: 1}


def test_same_number_within_a_round_trip_is_answered_once():
    sent = packets(1)
    history = filled(OPEN, sent)
    assert history.answer([0, 0], 0.2) == sent
    assert history.answer([0], 0.28) == []
    assert history.answer([0], 0.3) == sent
    assert history.stats.discards == {DiscardReason.JUST_SENT: 2}


def test_first_request_is_answered_however_short_its_way_was():
    sent = packets(1)
    assert filled(OPEN, sent, rtt_s=0.5).answer([0], 0.01) == sent


def test_old_packet_is_not_sent_again():
    history = filled(OPEN, packets(1))
    assert history.answer([0], 3.1) == []
    assert history.stats.discards == {DiscardReason.TOO_OLD: 1}


def test_bytes_sent_again_stay_below_the_ratio_of_those_sent():
    history = SendHistory(SendHistoryConfig(ratio_max=0.25, burst_bytes_max=1000), rtt_s=0.0)
    for index, packet in enumerate(packets(2000)):
        history.add(packet, index * 0.01)
        history.answer(range(max(0, index - 20), index), index * 0.01 + 0.005)
    stats = history.stats
    assert stats.bytes_resent <= 1000 + 0.25 * stats.bytes_sent
    assert stats.bytes_resent >= 0.25 * stats.bytes_sent - 100
    assert stats.discards[DiscardReason.OVER_RATIO] > 0


@pytest.mark.parametrize("bound", [{"packet_count_max": 5}, {"byte_count_max": 599}])
def test_history_is_bounded_and_forgets_the_oldest(bound):
    history = filled(SendHistoryConfig(**bound), packets(100))
    assert (history.packet_count, history.byte_count) == (5, 500)
    assert [packet.sequence_number for packet in history.answer(range(90, 100), 0.1)] == [95, 96, 97, 98, 99]


def test_number_used_again_is_answered_though_the_old_packet_was_just_sent_again():
    old, again = packets(1), packets(1)[0]
    history = filled(OPEN, old)
    assert history.answer([0], 1.0) == old
    history.add(again, 1.01)
    assert history.answer([0], 1.02) == [again]
    assert history._resent_at == {0: 1.02}


def test_what_is_forgotten_leaves_nothing():
    history = filled(SendHistoryConfig(packet_count_max=1), packets(1))
    history.answer([0], 1.0)
    history.add(packets(2)[1], 1.1)
    assert (list(history._by_number), history._resent_at) == ([1], {})


def test_number_used_again_after_a_wrap_is_the_new_packet():
    sent = packets(6, first=0)
    again = RtpPacket(96, 0, 1, 7, b"new")
    history = filled(SendHistoryConfig(packet_count_max=3), [sent[0], again, *sent[1:3]])
    assert history.answer([0], 1.0) == [again]
    history.add(sent[4], 1.0)
    assert history.answer([0], 2.0) == []


def pair():
    sender = RtxSender(99, {96: 97, 100: 101}, entropy=SeededEntropy(1), extension_ids={4: 5})
    return sender, RtxReceiver(7, {97: 96, 101: 100}, extension_ids={5: 4})


def test_retransmission_has_its_own_ssrc_type_and_numbers_and_begins_with_the_original_number():
    sender, _ = pair()
    original = RtpPacket(100, 0xABCD, 5, 7, b"payload", True, (1, 2), [(4, b"hi"), (1, b"x")], 8)
    first, second = sender.wrap(original), sender.wrap(original)
    assert (first.ssrc, first.payload_type, first.payload) == (99, 101, b"\xab\xcdpayload")
    assert (first.timestamp, first.marker, first.csrcs, first.padding_bytes) == (5, True, (1, 2), 0)
    assert first.extensions == [(5, b"hi"), (1, b"x")]
    assert second.sequence_number == (first.sequence_number + 1) & 0xFFFF
    assert original.extensions == [(4, b"hi"), (1, b"x")]


@given(st.integers(0, 0xFFFF), st.binary(min_size=1), st.booleans())
def test_retransmission_restores_the_packet(number, payload, marker):
    sender, receiver = pair()
    original = RtpPacket(96, number, 5, 7, payload, marker, (), [(4, b"r"), (9, b"y")])
    wrapped = parse_rtp(serialize_rtp(sender.wrap(original)))
    assert receiver.unwrap(wrapped) == original


def test_what_is_no_retransmission_is_discarded_by_reason():
    _, receiver = pair()
    assert receiver.unwrap(RtpPacket(96, 1, 1, 99, b"abc")) is None
    assert receiver.unwrap(RtpPacket(97, 1, 1, 99, b"a")) is None
    assert receiver.unwrap(RtpPacket(97, 1, 1, 99, b"", padding_bytes=255)) is None
    assert receiver.stats.discards == {DiscardReason.UNKNOWN_PAYLOAD_TYPE: 1, DiscardReason.MALFORMED: 1}
    assert receiver.stats.packets_empty == 1


@pytest.mark.parametrize("types", [{96: 97, 98: 97}, {96: 128}, {96: 96}, {-1: 5}])
def test_payload_types_that_cannot_be_told_apart_are_refused(types):
    with pytest.raises(InvalidArgument):
        RtxSender(1, types, entropy=SeededEntropy(1))


def test_payload_type_without_retransmission_is_refused_and_uses_no_number():
    sender, _ = pair()
    before = sender.wrap(packets(1)[0]).sequence_number
    with pytest.raises(InvalidArgument):
        sender.wrap(RtpPacket(55, 1, 1, 7, b"x"))
    assert sender.wrap(packets(1)[0]).sequence_number == (before + 1) & 0xFFFF
