"""Rollover counters: estimated as in RFC 3711 appendix A, over wraps, with loss and reordering."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.srtp import SrtpReceiver, SrtpSender
from sans_rtc.srtp.streams import Stream, estimate_index

INDEX_MAX = (1 << 48) - 1


def appendix_a(highest, sequence_number):
    """The pseudocode of RFC 3711 appendix A, literally."""
    roc, s_l = highest >> 16, highest & 0xFFFF
    if s_l < 32768:
        v = (roc - 1) % 2**32 if sequence_number - s_l > 32768 else roc
    else:
        v = (roc + 1) % 2**32 if s_l - 32768 > sequence_number else roc
    return sequence_number + v * 65536


EDGES = [0, 1, 2, 32766, 32767, 32768, 32769, 65533, 65534, 65535]


@pytest.mark.parametrize("roc", [1, 7, (1 << 32) - 2])
def test_estimate_is_that_of_appendix_a(roc):
    pairs = [(roc << 16 | s_l, sequence_number) for s_l in EDGES for sequence_number in EDGES]
    assert {pair: estimate_index(*pair) for pair in pairs} == {pair: appendix_a(*pair) for pair in pairs}


@settings(max_examples=200, deadline=None)
@given(st.integers(65536, INDEX_MAX - 65536), st.integers(0, 65535))
def test_estimate_is_that_of_appendix_a_everywhere(highest, sequence_number):
    assert estimate_index(highest, sequence_number) == appendix_a(highest, sequence_number)


@pytest.mark.parametrize("s_l", [0, 1, 100, 32767])
def test_there_is_nothing_before_rollover_counter_0(s_l):
    for sequence_number in EDGES:
        assert estimate_index(s_l, sequence_number) == sequence_number


@pytest.mark.proves("RFC3711-3.3.1-3-984a", "RFC3711-3.3.1-5-7d85", "RFC3711-3.3.1-7-7115", "RFC3711-3.3.1-6-cff5")
@settings(max_examples=200, deadline=None)
@given(st.integers(0, 65535), st.lists(st.integers(-30, 32767), max_size=40), st.data())
def test_receiver_follows_a_reference_index_through_loss_reordering_and_wraps(tools, make_pair, begin, steps, data):
    """The sender goes forward by up to 32767 or back by a little; some packets are lost and neighbours swapped."""
    pair = make_pair(replay_window_size=64)
    index, highest, sent = begin, begin, {begin}
    packets = [(begin, pair.send(begin))]
    for step in steps:
        index = highest + step
        if index in sent or index < begin or highest - index >= 64:
            continue
        highest = max(highest, index)
        sent.add(index)
        packets.append((index, pair.send(index & 0xFFFF)))
    received = {begin}
    assert pair.receive(packets[0][1])[2:4] == (begin & 0xFFFF).to_bytes(2, "big")
    highest_heard = begin
    for index, protected in packets[1:]:
        # what is lost must leave the next one within reach
        if index - highest_heard < 16384 and data.draw(st.integers(0, 9)) == 0:
            continue
        if index - highest_heard > 32767:
            continue
        if highest_heard - index >= 64:
            assert pair.receive(protected) == "too_old"
            continue
        assert pair.receive(protected)[2:4] == (index & 0xFFFF).to_bytes(2, "big")
        received.add(index)
        highest_heard = max(highest_heard, index)
        (stream,) = pair.receiver.explain().rtp
        assert stream.rollover_counter << 16 | stream.sequence_number == highest_heard
    assert pair.receiver.explain().rtp[0].packet_count == len(received)


@settings(max_examples=100, deadline=None)
@given(st.permutations(range(65520, 65560)), st.sets(st.integers(65520, 65559), max_size=20))
def test_packets_around_a_wrap_arrive_in_any_order(tools, make_pair, order, lost):
    """The first ones too: whichever comes first, the tag tells its rollover counter."""
    pair = make_pair()
    packets = {index: pair.send(index & 0xFFFF) for index in range(65520, 65560)}
    for index in order:
        if index not in lost:
            assert pair.receive(packets[index])[2:4] == (index & 0xFFFF).to_bytes(2, "big")
    assert pair.receiver.stats.discards == {}


def test_receiver_that_missed_all_before_the_first_wrap_learns_rollover_counter_1(profile, make_pair):
    pair = make_pair(profile)
    lost = [pair.send(number) for number in (65534, 65535)]
    assert pair.receive(pair.send(0)) is not None
    assert pair.receiver.explain().rtp[0].rollover_counter == 1
    assert [pair.receive(data)[2:4] for data in lost] == [b"\xff\xfe", b"\xff\xff"]


def test_first_packet_with_a_high_sequence_number_is_not_tried_with_rollover_counter_1(make_pair):
    pair = make_pair()
    for index in range(0, 65536 + 40000, 30000):
        data = pair.send(index & 0xFFFF)
    data = pair.send(40000)
    assert pair.receive(data) == "authentication_failed"


@pytest.mark.parametrize("gap", [1, 100, 32767])
def test_gap_of_less_than_half_the_numbers_is_bridged(make_pair, gap):
    for start in (10, 40000, 65535):
        pair = make_pair()
        pair.receive(pair.send(start))
        later = pair.send(start + gap & 0xFFFF)
        assert pair.receive(later)[2:4] == (start + gap & 0xFFFF).to_bytes(2, "big")


@pytest.mark.proves("RFC3711-3.3.1-7-7115")
def test_late_packet_from_before_the_wrap_keeps_its_rollover_counter(profile, make_pair):
    pair = make_pair(profile)
    late = pair.send(65535)
    for number in range(10):
        assert pair.receive(pair.send(number)) is not None
    assert pair.receive(late) is not None
    (stream,) = pair.receiver.explain().rtp
    assert (stream.rollover_counter, stream.sequence_number) == (1, 9)


@pytest.mark.proves("RFC3711-3.3.1-1-4a83", "RFC3711-3.3.1-2-ea4a")
def test_sender_counts_wraps_also_where_numbers_are_left_out(profile, make_pair):
    pair = make_pair(profile)
    for index in range(5, 10 * 65536, 20011):
        assert pair.receive(pair.send(index & 0xFFFF)) is not None
        (stream,) = pair.sender.explain().rtp
        assert stream.rollover_counter << 16 | stream.sequence_number == index


@pytest.mark.proves("RFC3711-3.3.1-4-1154")
@pytest.mark.parametrize("roc", [1, 5, (1 << 32) - 1])
def test_rollover_counter_can_be_told(kind, tools, make_pair, roc):
    pair = make_pair(kind)
    pair.sender.set_rollover_counter(tools.SSRC, roc)
    data = pair.send(60000)
    assert pair.receive(data) == "authentication_failed"
    pair.receiver.set_rollover_counter(tools.SSRC, roc)
    assert pair.receive(data) == tools.rtp(60000)
    assert pair.receiver.explain().rtp[0].rollover_counter == roc


@pytest.mark.parametrize("end", [SrtpSender, SrtpReceiver])
def test_rollover_counter_is_told_before_the_first_packet_and_in_32_bits(end, tools, make_pair):
    pair = make_pair()
    pair.receive(pair.send(1))
    this = pair.sender if end is SrtpSender else pair.receiver
    with pytest.raises(InvalidState):
        this.set_rollover_counter(tools.SSRC, 1)
    for ssrc, roc in ((-1, 0), (1 << 32, 0), (1, -1), (1, 1 << 32)):
        with pytest.raises(InvalidArgument):
            this.set_rollover_counter(ssrc, roc)


def test_rollover_counters_told_are_bounded(make_pair):
    pair = make_pair(stream_count_max=2)
    for ssrc in (1, 2, 1):
        pair.receiver.set_rollover_counter(ssrc, 1)
    with pytest.raises(LimitExceeded):
        pair.receiver.set_rollover_counter(3, 1)


@pytest.mark.proves("RFC3711-3.3.2-3-4fdf")
@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 400), max_size=200), st.sampled_from([64, 65, 100]))
def test_replay_list_says_fresh_exactly_where_a_set_would(indices, size):
    stream, seen = Stream(1, size), set()
    for index in indices:
        is_fresh = index not in seen and (not seen or max(seen) - index < size)
        assert stream.is_fresh(index) == is_fresh
        if is_fresh:
            stream.accept(index)
            seen.add(index)
    assert stream.packet_count == len(seen)
