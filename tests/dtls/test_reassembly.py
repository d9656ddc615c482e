"""Handshake messages out of fragments: any order, overlaps, and every bound."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.dtls import DtlsConfig, DtlsStats
from sans_rtc.dtls.handshake import Fragment, HandshakeMessage
from sans_rtc.dtls.reassembly import RANGE_COUNT_MAX, Arrival, Reassembler

BODY = bytes(range(256)) * 4


def make(**config):
    return Reassembler(DtlsConfig(**config), DtlsStats())


def fragment(start, end, *, seq=0, body=BODY, type_=11):
    return Fragment(type_, len(body), seq, start, body[start:end])


def discards(reassembler):
    return {str(reason): count for reason, count in reassembler._stats.discards.items()}


def test_whole_message_is_there_at_once():
    reassembler = make()
    assert reassembler.add(fragment(0, 1024), 0) is Arrival.TAKEN
    assert reassembler.peek() == HandshakeMessage(11, 0, BODY)
    reassembler.accept()
    assert reassembler.next_seq == 1
    assert reassembler.peek() is None
    assert reassembler.is_empty


def test_empty_message_is_there_at_once():
    reassembler = make()
    reassembler.add(Fragment(14, 0, 0, 0, b""), 0)
    assert reassembler.peek() == HandshakeMessage(14, 0, b"")


@pytest.mark.proves("RFC6347-4.2.3-4-b434")
def test_fragments_may_come_in_any_order():
    pieces = [fragment(start, start + 128) for start in range(0, 1024, 128)]
    for seed in range(20):
        random.Random(seed).shuffle(pieces)
        reassembler = make()
        for piece in pieces[:-1]:
            reassembler.add(piece, 0)
            assert reassembler.peek() is None
        reassembler.add(pieces[-1], 0)
        assert reassembler.peek().body == BODY


@pytest.mark.proves("RFC6347-4.2.3-5-699d")
def test_fragments_may_overlap():
    """RFC 6347 section 4.2.3: retransmissions may use smaller fragments."""
    reassembler = make()
    for start, end in [(0, 600), (300, 900), (100, 200), (850, 1024)]:
        reassembler.add(fragment(start, end), 0)
    assert reassembler.peek().body == BODY


@pytest.mark.proves("RFC6347-4.2.2-2-4472")
def test_messages_ahead_wait_for_their_turn():
    reassembler = make()
    for seq in (2, 1, 0):
        reassembler.add(fragment(0, 1024, seq=seq), 0)
    seen = []
    while (message := reassembler.peek()) is not None:
        seen.append(message.message_seq)
        reassembler.accept()
    assert seen == [0, 1, 2]


@pytest.mark.proves("RFC6347-4.2.2-1-eb59")
def test_message_that_has_been_processed_is_a_duplicate():
    reassembler = make()
    reassembler.add(fragment(0, 1024), 0)
    reassembler.accept()
    assert reassembler.add(fragment(0, 1024), 0) is Arrival.DUPLICATE
    assert reassembler.is_empty


def test_rejected_message_is_awaited_again():
    reassembler = make()
    reassembler.add(fragment(0, 1024, body=b"\xff" * 1024), 0)
    reassembler.reject()
    assert (reassembler.next_seq, reassembler.buffered_bytes) == (0, 0)
    reassembler.add(fragment(0, 1024), 0)
    assert reassembler.peek().body == BODY


@pytest.mark.parametrize("epoch_and_type", [(1, 11), (0, 12)])
def test_fragment_that_contradicts_starts_the_message_anew(epoch_and_type):
    epoch, type_ = epoch_and_type
    reassembler = make()
    reassembler.add(fragment(0, 500), 0)
    reassembler.add(fragment(500, 1024, type_=type_), epoch)
    assert reassembler.peek() is None
    reassembler.add(fragment(0, 500, type_=type_), epoch)
    assert reassembler.peek() == HandshakeMessage(type_, 0, BODY)
    assert reassembler.buffered_bytes == 1024


def test_fragment_of_another_length_starts_the_message_anew():
    reassembler = make()
    reassembler.add(fragment(0, 10, body=bytes(5000)), 0)
    reassembler.add(fragment(0, 1024), 0)
    assert reassembler.peek().body == BODY


def test_message_too_long_is_discarded():
    reassembler = make(handshake_message_bytes_max=2048)
    assert reassembler.add(Fragment(11, 2049, 0, 0, b"x"), 0) is Arrival.DISCARDED
    assert reassembler.add(Fragment(11, 0xFFFFFF, 0, 0, b"x"), 0) is Arrival.DISCARDED
    assert reassembler.add(Fragment(11, 2048, 0, 0, b"x"), 0) is Arrival.TAKEN
    assert discards(reassembler) == {"message_too_long": 2}


def test_message_too_far_ahead_is_discarded():
    reassembler = make(message_ahead_count_max=8)
    assert reassembler.add(fragment(0, 10, seq=8), 0) is Arrival.DISCARDED
    assert reassembler.add(fragment(0, 10, seq=7), 0) is Arrival.TAKEN
    assert reassembler.add(fragment(0, 10, seq=65535), 0) is Arrival.DISCARDED
    assert discards(reassembler) == {"message_too_far_ahead": 2}


def test_full_buffer_lets_the_farthest_message_give_way_to_a_nearer():
    reassembler = make(handshake_message_bytes_max=2048, reassembly_bytes_max=2048)
    reassembler.add(fragment(0, 10, seq=3), 0)
    reassembler.add(fragment(0, 10, seq=5), 0)
    assert reassembler.add(fragment(0, 10, seq=6), 0) is Arrival.DISCARDED
    assert reassembler.add(fragment(0, 1024, seq=0), 0) is Arrival.TAKEN
    assert reassembler.peek().body == BODY
    assert reassembler.buffered_bytes == 2048
    assert discards(reassembler) == {"reassembly_full": 2}


def test_holes_in_one_message_are_bounded():
    reassembler = make()
    body = bytes(1000)
    arrivals = [reassembler.add(fragment(i, i + 1, body=body), 0) for i in range(0, 1000, 2)]
    assert arrivals.count(Arrival.TAKEN) == RANGE_COUNT_MAX
    assert discards(reassembler) == {"reassembly_full": 500 - RANGE_COUNT_MAX}
    # a fragment that closes holes is still taken
    assert reassembler.add(fragment(0, 1000, body=body), 0) is Arrival.TAKEN
    assert reassembler.peek() is not None


FRAGMENTS = st.builds(
    lambda type_, length, seq, start, size: Fragment(type_, length, seq, min(start, length), b"x" * min(size, length)),
    st.integers(0, 255),
    st.sampled_from([0, 1, 7, 2000, 16384, 20000, 0xFFFFFF]),
    st.integers(0, 12) | st.just(65535),
    st.integers(0, 2000),
    st.integers(0, 2000),
).filter(lambda f: f.offset + len(f.body) <= f.length and (f.body or not f.length))


@settings(deadline=None)
@given(st.lists(st.tuples(FRAGMENTS, st.integers(0, 1)), max_size=40))
def test_no_fragments_exceed_the_bounds(arrivals):
    reassembler = make(reassembly_bytes_max=20000)
    for piece, epoch in arrivals:
        reassembler.add(piece, epoch)
        assert reassembler.buffered_bytes <= 20000
        assert reassembler.buffered_bytes == sum(p.length for p in reassembler._partials.values())
        assert len(reassembler._partials) <= 8
        if reassembler.peek() is not None:
            reassembler.accept()


@settings(deadline=None)
@given(st.data())
def test_any_cut_of_a_message_gives_the_message(data):
    body = data.draw(st.binary(min_size=1, max_size=300))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(body)), max_size=10)) | {0, len(body)})
    pieces = [fragment(a, b, body=body) for a, b in itertools.pairwise(cuts)]
    pieces += data.draw(st.lists(st.sampled_from(pieces), max_size=5))
    reassembler = make()
    for piece in data.draw(st.permutations(pieces)):
        reassembler.add(piece, 0)
    assert reassembler.peek().body == body
