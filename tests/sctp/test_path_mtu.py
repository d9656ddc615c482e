"""Path MTU discovery: what is probed, what an answer is, and what takes a size back (RFC 8899, RFC 4820)."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.sctp import DiscardReason, Message, SctpConfig
from sans_rtc.sctp.chunks import Data, Heartbeat, Pad, parse_chunk, serialize
from sans_rtc.sctp.path_mtu import PROBE_COUNT_MAX, PROBE_TIMER_S, RAISE_TIMER_S, RETRY_S, MtuState
from sans_rtc.sctp.wire import DATA_HEADER_BYTES, split_chunks, split_data

BASE = 1160
SIZES = (1352, 1432, 8912, 16384)
UNASKED = 1432
LONG = bytes(3000)


@pytest.fixture
def searcher(sctp):
    """An association that may search, before a scripted peer."""
    association = sctp.association(mtu_probe_bytes=SIZES, mtu_unasked_bytes=UNASKED, heartbeat_interval_s=math.inf)
    return sctp.RawPeer(association, window_bytes=1 << 20).establish()


def state_of(raw):
    return raw.association._parts.path_mtu.state


def mtu(raw):
    return raw.association.statistics.mtu_bytes


def take_probe(raw):
    """Its chunks and its size; None where there is none."""
    raw.take()
    packet = raw.association.take_probe(raw.now)
    if packet is None:
        return None
    heartbeat, pad = (parse_chunk(chunk) for chunk in split_chunks(packet, 12)[0])
    assert isinstance(heartbeat, Heartbeat) and isinstance(pad, Pad)
    return heartbeat, len(packet)


def answer(raw, probe):
    raw.send(Heartbeat(probe[0].value, is_ack=True))


def begin(raw, send):
    """Send the first long message; returns the first probe."""
    send(raw.association, LONG)
    probe = take_probe(raw)
    raw.send(raw.sack(3))
    return probe


def search_all(raw, send):
    """Answer every probe until there are no more; returns their sizes."""
    probe, sizes = begin(raw, send), []
    while probe is not None:
        sizes.append(probe[1])
        answer(raw, probe)
        probe = take_probe(raw)
    return sizes


# what begins a search


def test_messages_that_fill_several_packets_begin_the_search(searcher, send):
    for _ in range(3):
        send(searcher.association, bytes(1000))
    assert take_probe(searcher)[1] == SIZES[0]


def test_nothing_is_probed_before_more_is_sent_than_a_packet_holds(searcher, send):
    assert take_probe(searcher) is None
    send(searcher.association, b"short")
    assert take_probe(searcher) is None
    searcher.send(searcher.sack(1))
    assert state_of(searcher) is MtuState.BASE
    send(searcher.association, LONG)
    assert take_probe(searcher)[1] == SIZES[0]


def test_without_sizes_nothing_is_ever_probed(peer, send):
    send(peer.association, LONG)
    peer.send(Heartbeat(b"\0\1\0\x08info"), Pad(1000))
    assert take_probe(peer) is None
    assert state_of(peer) is MtuState.DISABLED


def test_peer_that_is_seen_to_search_is_searched_for_in_turn(searcher):
    searcher.send(Heartbeat(b"\0\1\0\x08info"), Pad(1000))
    assert take_probe(searcher)[1] == SIZES[0]


def test_pad_chunk_of_a_stranger_begins_nothing(searcher):
    searcher.send(Heartbeat(b"\0\1\0\x08info"), Pad(1000), tag=searcher.their_tag ^ 1)
    assert take_probe(searcher) is None


@pytest.mark.proves("RFC8899-4.1-1-9b88")
def test_pad_chunk_is_ignored_but_for_that(peer):
    peer.send(Pad(17), peer.data(b"after it"))
    assert [event.data for event in peer.take_events() if isinstance(event, Message)] == [b"after it"]
    assert not any(peer.association.stats.discards.values())


# probes and answers


@pytest.mark.proves(
    "DATA-CHANNEL-5-4-0f78",
    "RFC8261-4-1-4001",
    "RFC8261-6.2-1-fc66",
    "RFC8899-3-2-1a58",
    "RFC8899-3-5-8c39",
    "RFC8899-6.2-1-625d",
    "RFC8899-6.2-2-345d",
)
def test_probe_is_exactly_of_the_probed_size(searcher, send):
    for size in SIZES[:2]:
        probe = take_probe(searcher) if size != SIZES[0] else begin(searcher, send)
        assert probe[1] == size
        answer(searcher, probe)


def test_length_of_the_heartbeat_counts_no_padding(searcher, send):
    """RFC 9260 section 3.2: a last parameter is not padded within its chunk."""
    heartbeat, _ = begin(searcher, send)
    assert int.from_bytes(heartbeat.value[2:4], "big") == len(heartbeat.value)


@pytest.mark.proves("RFC8899-3-12-5252", "RFC8899-8-1-347f")
def test_one_probe_is_outstanding_at_a_time(searcher, send):
    assert begin(searcher, send) is not None
    send(searcher.association, LONG)
    assert take_probe(searcher) is None


@pytest.mark.proves("RFC4960-7.3-1-4175", "RFC8261-4-2-644e")
def test_answer_confirms_the_size(searcher, send):
    probe = begin(searcher, send)
    assert mtu(searcher) == BASE
    answer(searcher, probe)
    assert mtu(searcher) == SIZES[0]
    send(searcher.association, LONG)
    assert max(map(len, searcher.take_packets())) == SIZES[0]


def test_search_ends_with_the_last_size_for_a_peer_that_searches(searcher, send):
    searcher.send(Heartbeat(b"\0\1\0\x08info"), Pad(0))
    assert tuple(search_all(searcher, send)) == SIZES
    assert (mtu(searcher), state_of(searcher)) == (SIZES[-1], MtuState.SEARCH_COMPLETE)


def test_sizes_beyond_are_not_tried_with_a_peer_that_does_not_search(searcher, send):
    assert tuple(search_all(searcher, send)) == SIZES[:2]
    assert mtu(searcher) == UNASKED


def test_search_goes_on_when_the_peer_begins_to_search(searcher, send):
    search_all(searcher, send)
    searcher.send(Heartbeat(b"\0\1\0\x08info"), Pad(1000))
    assert take_probe(searcher)[1] == SIZES[2]


@pytest.mark.proves("RFC8899-4.1-2-740b")
def test_guessed_answer_confirms_nothing(searcher, send):
    heartbeat, _ = begin(searcher, send)
    value = bytearray(heartbeat.value)
    value[5] ^= 1  # in the nonce
    searcher.send(Heartbeat(bytes(value), is_ack=True))
    assert mtu(searcher) == BASE
    assert searcher.association.stats.discards[DiscardReason.HEARTBEAT_MISMATCH] == 1


@pytest.mark.proves("RFC8899-3-22-37a9", "RFC8899-3-23-b156", "RFC8899-4.1-2-740b")
def test_answer_cannot_be_used_twice(searcher, send):
    probe = begin(searcher, send)
    answer(searcher, probe)
    take_probe(searcher)
    answer(searcher, probe)
    assert mtu(searcher) == SIZES[0]
    assert searcher.association.stats.discards[DiscardReason.HEARTBEAT_MISMATCH] == 1


# what is lost


@pytest.mark.proves("RFC8899-3-7-1ec4")
def test_lost_probe_is_repeated_and_then_the_search_is_complete(searcher, send):
    answer(searcher, begin(searcher, send))
    for _ in range(PROBE_COUNT_MAX):
        assert take_probe(searcher)[1] == SIZES[1]
        searcher.wait(PROBE_TIMER_S + 0.001)
    assert take_probe(searcher) is None
    assert (mtu(searcher), state_of(searcher)) == (SIZES[0], MtuState.SEARCH_COMPLETE)


@pytest.mark.proves("RFC8899-3-13-447a")
def test_lost_probe_costs_the_window_and_the_association_nothing(searcher, send):
    begin(searcher, send)
    before = searcher.association.statistics.congestion_window_bytes
    searcher.wait(PROBE_COUNT_MAX * PROBE_TIMER_S + 1.0)
    assert searcher.association.statistics.congestion_window_bytes == before
    assert searcher.association._tcb.error_count == 0


@pytest.mark.proves("RFC8899-3-24-a7ad")
def test_search_is_taken_up_again_after_the_raise_timer(searcher, send):
    begin(searcher, send)
    for _ in range(PROBE_COUNT_MAX):
        searcher.wait(PROBE_TIMER_S + 0.001)
        take_probe(searcher)
    assert take_probe(searcher) is None
    searcher.wait(RAISE_TIMER_S)
    assert take_probe(searcher)[1] == SIZES[0]


@pytest.mark.proves("RFC8899-3-7-1ec4")
def test_silence_of_the_whole_path_is_not_taken_for_a_size(searcher, send):
    begin(searcher, send)
    send(searcher.association, LONG)
    searcher.wait(0.5)  # T3-rtx has expired
    assert searcher.association._tcb.error_count > 0
    searcher.wait(3.0)
    assert state_of(searcher) is MtuState.SEARCHING


@pytest.mark.proves("RFC8899-3-21-3581", "RFC8899-8-4-f72f", "RFC8899-4.3-1-20a8")
def test_timeouts_in_a_row_take_the_size_back(searcher, send):
    search_all(searcher, send)
    send(searcher.association, LONG)
    sizes = [len(packet) for packet in searcher.take_packets()]
    assert max(sizes) == UNASKED
    while searcher.association._tcb.error_count < 2:
        searcher.wait(0.05)
    assert mtu(searcher) == BASE
    # What has a TSN keeps its size, for the network to cut; what has none is cut to the base.
    send(searcher.association, LONG)
    lengths = [len(chunk.payload) for chunk in searcher.wait(1.0) if isinstance(chunk, Data)]
    assert max(lengths) == UNASKED - 12 - DATA_HEADER_BYTES
    searcher.send(searcher.sack(6))
    lengths = [len(chunk.payload) for chunk in searcher.deliver_all()]
    assert max(lengths) == BASE - 12 - DATA_HEADER_BYTES
    searcher.wait(RETRY_S + 1.0)
    assert take_probe(searcher)[1] == SIZES[0]


@pytest.mark.proves(
    "RFC4960-7.3-1-4175", "RFC8261-6.1-6-3b16", "DATA-CHANNEL-5-3-f378", "RFC8899-3-21-3581", "RFC8899-8-4-f72f"
)
def test_other_path_begins_at_the_base(searcher, send):
    search_all(searcher, send)
    searcher.association.path_changed(searcher.now)
    assert mtu(searcher) == BASE
    send(searcher.association, LONG)
    assert take_probe(searcher)[1] == SIZES[0]


def test_path_that_cannot_be_searched_is_not(searcher, send):
    search_all(searcher, send)
    searcher.association.allow_probes(False, searcher.now)
    assert (mtu(searcher), state_of(searcher)) == (BASE, MtuState.DISABLED)
    send(searcher.association, LONG)
    assert take_probe(searcher) is None
    searcher.association.allow_probes(True, searcher.now)
    send(searcher.association, LONG)
    assert take_probe(searcher) is not None


def test_larger_packets_go_in_bursts_of_as_many_bytes(searcher, send):
    searcher.send(Heartbeat(b"\0\1\0\x08info"), Pad(0))
    flow = searcher.association._outbound.flow
    before = flow.burst_packets * BASE
    search_all(searcher, send)
    assert flow.burst_packets * SIZES[-1] <= max(before, 2 * SIZES[-1])


# configuration


@pytest.mark.parametrize("sizes", [(1160,), (1352, 1352), (1432, 1352), (1354,), (65536,)])
def test_sizes_ascend_from_the_mtu_in_whole_words(sizes):
    with pytest.raises(InvalidArgument):
        SctpConfig(mtu_probe_bytes=sizes)


# packets that several messages share


def test_end_of_a_message_shares_its_packet_with_the_beginning_of_the_next(peer, send):
    for _ in range(8):
        send(peer.association, bytes(1200))
    packets = peer.take_packets()
    assert [len(packet) for packet in packets[:-1]] == [BASE] * 8
    assert len(packets) == 9  # of two each it would be 16


def test_end_that_leaves_little_room_is_sent_as_it_is(peer, send):
    send(peer.association, bytes(1132 + 1000))
    send(peer.association, bytes(5000))
    assert [len(packet) for packet in peer.take_packets()][:2] == [BASE, 1000 + DATA_HEADER_BYTES + 12]


def test_several_messages_in_a_packet_arrive_in_order(peer):
    peer.send(*[peer.data(bytes([index]) * (index + 1), ssn=index) for index in range(9)])
    assert [event.data for event in peer.take_events()] == [bytes([index]) * (index + 1) for index in range(9)]


@given(
    st.lists(
        st.one_of(
            st.builds(
                Data,
                st.integers(0, 15),
                st.integers(0, 2**32 - 1),
                st.integers(0, 65535),
                st.integers(0, 65535),
                st.integers(0, 2**32 - 1),
                st.binary(max_size=9),
            ),
            st.builds(Pad, st.integers(0, 9)),
        ),
        min_size=1,
        max_size=5,
    ),
    st.integers(0, 8),
)
def test_short_way_takes_apart_just_what_the_long_way_does(chunks, cut):
    body = b"".join([serialize(chunk) for chunk in chunks])
    body = body[: len(body) - cut]
    taken = split_data(body)
    if taken is not None:
        raw, is_whole = split_chunks(body, 0)
        assert is_whole
        assert [Data(*chunk) for chunk in taken] == [parse_chunk(chunk) for chunk in raw]
    elif not cut:
        assert any(isinstance(chunk, Pad) or not chunk.payload for chunk in chunks)
