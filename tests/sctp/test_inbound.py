"""Receiving DATA: acknowledgement, order, fragments, windows (RFC 9260 6.2, 6.5 to 6.7, 6.9; RFC 7053)."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.sctp import BufferLow, DiscardReason, Message
from sans_rtc.sctp.chunks import CookieAck, CookieEcho, Data, ForwardTsn, Sack
from sans_rtc.sctp.config import HELD_OVERHEAD_BYTES
from sans_rtc.sctp.params import ParameterType
from sans_rtc.sctp.tsn_map import TsnMap
from sans_rtc.testing import SeededEntropy

B, E, U, IMMEDIATE = 2, 1, 4, 8


def sacks(said):
    return [chunk for chunk in said if isinstance(chunk, Sack)]


def received(raw):
    return [event.data for event in raw.take_events() if isinstance(event, Message)]


def begun(raw):
    """The first DATA of the association, which has a SACK of its own, is behind it."""
    raw.send(raw.data())
    assert len(sacks(raw.take())) == 1
    return raw


# when


@pytest.mark.proves("RFC4960-5.1-13-bf27")
def test_first_data_of_an_association_is_acknowledged_at_once(peer):
    peer.send(peer.data())
    (sack,) = peer.take()
    assert sack.cumulative_tsn == peer.tsn - 1
    peer.send(peer.data())
    assert peer.take() == []


@pytest.mark.proves("RFC4960-5.1-13-bf27")
def test_first_data_with_the_cookie_echo_is_acknowledged_in_the_answer(sctp):
    peer = sctp.RawPeer(sctp.association())
    peer.send(peer.init(), tag=0)
    (init_ack,) = peer.take()
    cookie = next(each.value for each in init_ack.parameters if each.type == ParameterType.STATE_COOKIE)
    peer.their_tag, peer.their_tsn = init_ack.initiate_tag, init_ack.initial_tsn
    peer.send(CookieEcho(cookie), peer.data())
    (answer,) = peer.take_packets()
    assert [type(chunk) for chunk in sctp.chunks_of([answer])] == [CookieAck, Sack]
    assert sctp.chunks_of([answer])[1].cumulative_tsn == peer.tsn - 1


@pytest.mark.proves("RFC4960-6.2-1-6cb2", "RFC4960-6.2-13-efb9")
def test_single_packet_waits_for_the_delay(peer):
    begun(peer)
    peer.send(peer.data())
    assert peer.take() == []
    (sack,) = peer.wait(0.02)
    assert sack.cumulative_tsn == peer.tsn - 1


@pytest.mark.parametrize("delay", [0.0, 0.02, 0.2])
def test_delay_is_the_configured_one(sctp, delay):
    raw = begun(sctp.RawPeer(sctp.association(sack_delay_s=delay)).establish())
    raw.send(raw.data())
    assert raw.association.deadline == raw.now + delay
    assert len(sacks(raw.wait(delay))) == 1


@pytest.mark.proves("RFC4960-6.2-1-6cb2", "RFC4960-6.2-13-efb9")
def test_second_packet_is_answered_at_once(peer):
    begun(peer)
    peer.send(peer.data())
    peer.take()
    peer.send(peer.data())
    assert len(sacks(peer.take())) == 1
    assert peer.wait(1.0) == []


def test_two_chunks_in_one_packet_count_once(peer):
    begun(peer)
    peer.send(peer.data(), peer.data())
    assert peer.take() == []


def test_every_second_packet_of_a_batch_is_answered_at_first(peer):
    begun(peer)
    for _ in range(8):
        peer.send(peer.data())
    assert [sack.cumulative_tsn - peer.tsn + 1 for sack in sacks(peer.take())] == [-6, -4, -2, 0]


def test_last_odd_packet_of_a_batch_rides_with_the_last_sack(peer):
    begun(peer)
    for _ in range(5):
        peer.send(peer.data())
    assert [sack.cumulative_tsn - peer.tsn + 1 for sack in sacks(peer.take())] == [-3, 0]


def test_one_sack_for_sixteen_packets_once_the_window_is_large(sctp):
    raw = sctp.RawPeer(sctp.association(sack_batching_after_packets=10)).establish()
    for _ in range(10):
        raw.send(raw.data())
    raw.take()
    for _ in range(48):
        raw.send(raw.data())
    assert len(sacks(raw.take())) == 3


def test_a_pause_ends_the_batching(sctp):
    raw = sctp.RawPeer(sctp.association(sack_batching_after_packets=10)).establish()
    for _ in range(10):
        raw.send(raw.data())
    raw.take()
    raw.now += 1.5
    for _ in range(8):
        raw.send(raw.data())
    assert len(sacks(raw.take())) == 4


def test_a_gap_ends_the_batching(sctp):
    raw = sctp.RawPeer(sctp.association(sack_batching_after_packets=10)).establish()
    for _ in range(10):
        raw.send(raw.data())
    raw.take()
    missing = raw.data()
    raw.send(raw.data())
    raw.send(missing)
    raw.take()
    for _ in range(8):
        raw.send(raw.data())
    assert len(sacks(raw.take())) == 4


def test_i_bit_is_answered_at_once(peer):
    peer.send(peer.data(flags=B | E | IMMEDIATE))
    assert len(sacks(peer.take())) == 1


@pytest.mark.proves("RFC4960-6.2-10-ce60", "RFC4960-6.7-1-a543", "RFC4960-7.2.4-1-224b")
def test_gap_is_reported_at_once_and_for_each_packet(peer):
    peer.data()
    for count in range(1, 4):
        peer.send(peer.data())
        (sack,) = sacks(peer.take())
        assert sack.gaps == [(2, 1 + count)]


def test_sacks_for_a_batch_above_a_gap_are_bounded(peer):
    peer.data()
    for _ in range(50):
        peer.send(peer.data())
    said = sacks(peer.take())
    assert len(said) == 5
    assert said[-1].gaps == [(2, 51)]


@pytest.mark.proves("RFC4960-6.2-14-5c1e")
def test_filled_gap_moves_the_cumulative_tsn(peer):
    missing = peer.data(b"1")
    peer.send(peer.data(b"2", ssn=1))
    peer.send(missing)
    assert sacks(peer.take())[-1] == Sack(peer.tsn - 1, peer.association.statistics.local_window_bytes, [])
    assert received(peer) == [b"1", b"2"]


@pytest.mark.proves("RFC4960-6.2-16-47a4", "RFC4960-6.2-17-3a1c")
def test_duplicate_is_reported_at_once(peer):
    chunk = peer.data()
    peer.send(chunk)
    peer.wait(1.0)
    peer.send(chunk)
    (sack,) = sacks(peer.take())
    assert sack.duplicates == (chunk.tsn,)
    peer.send(peer.data(ssn=1, flags=B | E | IMMEDIATE))
    assert sacks(peer.take())[0].duplicates == ()
    assert received(peer)[0:] == [b"x", b"x"]


def test_duplicate_above_a_gap_is_reported(peer):
    peer.data()
    chunk = peer.data()
    peer.send(chunk)
    peer.take()
    peer.send(chunk)
    assert sacks(peer.take())[-1].duplicates == (chunk.tsn,)


def test_duplicates_in_one_sack_are_bounded(peer):
    chunk = peer.data()
    for _ in range(1000):
        peer.send(*[chunk] * 10)
    (*_, sack) = sacks(peer.take())
    assert len(sack.duplicates) <= 16
    assert len(peer.association._inbound._duplicates) == 0


def test_sack_rides_with_data(peer, send):
    peer.send(peer.data())
    send(peer.association, b"answer")
    (datagram,) = peer.take_packets()
    assert len(datagram) == 12 + 16 + 16 + 8


def test_sack_does_not_wait_for_data_that_cannot_go(peer, send):
    begun(peer)
    peer.send(peer.data())
    assert peer.take() == []
    assert peer.wait(0.02)


@pytest.mark.proves("RFC4960-6.2-15-706c", "RFC4960-6.7-6-cc1f")
def test_as_many_gap_blocks_as_fit_the_mtu(sctp):
    raw = sctp.RawPeer(sctp.association(mtu_bytes=256)).establish()
    for _ in range(200):
        raw.data()
        raw.send(raw.data())
    for datagram in raw.take_packets():
        assert len(datagram) <= 256
    raw.data()
    raw.send(raw.data())
    assert len(sacks(raw.take())[-1].gaps) == (256 - 12 - 16) // 4


# which


@pytest.mark.proves("RFC4960-1.6-1-c842")
def test_tsn_wraps(sctp):
    raw = sctp.RawPeer(sctp.association(), tsn=0xFFFFFFFE).establish()
    for index in range(5):
        raw.send(raw.data(bytes([index]), ssn=index))
    assert sacks(raw.take())[-1].cumulative_tsn == 2
    assert received(raw) == [b"\0", b"\1", b"\2", b"\3", b"\4"]


@pytest.mark.proves("RFC4960-1.6-1-c842")
def test_tsn_wraps_above_a_gap(sctp):
    raw = sctp.RawPeer(sctp.association(), tsn=0xFFFFFFFE).establish()
    missing = raw.data(b"0")
    for index in range(1, 5):
        raw.send(raw.data(bytes([index]), ssn=index))
    assert sacks(raw.take())[-1].gaps == [(2, 5)]
    raw.send(missing)
    assert received(raw) == [b"0", b"\1", b"\2", b"\3", b"\4"]


def test_tsn_beyond_what_a_gap_block_can_tell_is_dropped(peer):
    peer.send(peer.data(tsn=peer.tsn + 0xFFFF))
    assert peer.association.stats.discards[DiscardReason.TSN_OUT_OF_RANGE] == 1
    peer.send(peer.data(tsn=peer.tsn + 0xFFFE))
    assert sacks(peer.take())[-1].gaps == [(0xFFFF, 0xFFFF)]


def test_gaps_for_ever_are_bounded(sctp):
    raw = sctp.RawPeer(sctp.association(gap_ranges_max=100)).establish()
    for offset in range(1, 2000, 2):
        raw.send(raw.data(tsn=raw.tsn + offset, flags=B | E | U))
    assert raw.association._inbound.tsns.range_count == 100
    assert raw.association.stats.discards[DiscardReason.TOO_MANY_GAPS] == 900
    raw.send(raw.data(tsn=raw.tsn))
    assert sacks(raw.take())[-1].cumulative_tsn == raw.tsn + 1


# order


@pytest.mark.proves("RFC4960-6.6-1-9009", "RFC4960-6.6-2-51aa")
def test_ordered_messages_wait_for_the_one_before(peer):
    first = peer.data(b"a", ssn=0)
    peer.send(peer.data(b"c", ssn=2), peer.data(b"b", ssn=1))
    assert received(peer) == []
    peer.send(first)
    assert received(peer) == [b"a", b"b", b"c"]


@pytest.mark.proves("DATA-CHANNEL-6.1-2-f0df")
def test_streams_do_not_wait_for_each_other(peer):
    peer.data(b"missing", stream_id=1)
    peer.send(peer.data(b"other", stream_id=2))
    assert received(peer) == [b"other"]


@pytest.mark.proves("RFC4960-3.3.1-3-acd6")
def test_unordered_messages_overtake(peer):
    missing = peer.data(b"a", ssn=0)
    peer.send(peer.data(b"b", flags=B | E | U))
    assert received(peer) == [b"b"]
    peer.send(missing)
    assert received(peer) == [b"a"]


@pytest.mark.proves("RFC4960-1.6-4-adb5")
def test_ssn_wraps(peer):
    peer.association._inbound.reassembly._next_ssn[0] = 0xFFFF
    peer.send(peer.data(b"b", ssn=0), peer.data(b"a", ssn=0xFFFF))
    assert received(peer) == [b"a", b"b"]


def test_old_ssn_is_dropped(peer):
    peer.send(peer.data(b"a", ssn=0))
    peer.send(peer.data(b"again", ssn=0))
    assert received(peer) == [b"a"]
    assert peer.association.stats.discards[DiscardReason.OLD_SSN] == 1


def test_same_ssn_twice_in_waiting_keeps_the_first(peer):
    peer.send(peer.data(b"b", ssn=1), peer.data(b"B", ssn=1), peer.data(b"a", ssn=0))
    assert received(peer) == [b"a", b"b"]


# fragments


def fragments(raw, data, size, *, ssn=0, stream_id=0, unordered=0):
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    last = len(pieces) - 1
    return [
        raw.data(
            piece,
            flags=unordered | (B if index == 0 else 0) | (E if index == last else 0),
            ssn=ssn,
            stream_id=stream_id,
            ppid=53 if index == 0 else 99,
        )
        for index, piece in enumerate(pieces)
    ]


@pytest.mark.proves("RFC4960-6-11-6b69", "RFC4960-6.9-1-296e", "RFC4960-6.9-11-29fd")
@pytest.mark.parametrize("unordered", [0, U])
@pytest.mark.parametrize(
    "order",
    [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 2, 4, 1, 3), (1, 3, 0, 4, 2), (2, 1, 3, 0, 4), (4, 0, 3, 1, 2)],
)
def test_fragments_in_any_order_make_the_message(peer, order, unordered):
    chunks = fragments(peer, bytes(range(50)), 10, unordered=unordered)
    for index in order:
        assert received(peer) == []
        peer.send(chunks[index])
    (event,) = peer.take_events()
    assert event == Message(0, 53, bytes(range(50)))


def test_two_messages_interleaved_by_reordering(peer):
    first, second = fragments(peer, b"aabb", 2, ssn=0), fragments(peer, b"ccdd", 2, ssn=1)
    for chunk in (second[1], first[1], second[0], first[0]):
        peer.send(chunk)
    assert received(peer) == [b"aabb", b"ccdd"]


def test_beginning_without_end_is_dropped_when_another_begins(peer):
    peer.send(peer.data(b"orphan", flags=B))
    peer.send(peer.data(b"whole", stream_id=1))
    assert received(peer) == [b"whole"]
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 1


def test_end_without_beginning_is_dropped_when_another_ends_before(peer):
    whole = peer.data(b"whole", stream_id=1)
    peer.send(peer.data(b"orphan", flags=E))
    peer.send(whole)
    assert received(peer) == [b"whole"]
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"flags": B}, {"flags": E, "stream_id": 1}),
        ({"flags": B}, {"flags": E, "ssn": 1}),
        ({"flags": B}, {"flags": E | U}),
        ({"flags": 0}, {"flags": 0, "stream_id": 1}),
    ],
)
@pytest.mark.parametrize("is_reversed", [False, True])
def test_fragments_of_two_messages_side_by_side_end_the_association(peer, first, second, is_reversed):
    chunks = [peer.data(b"1", **first), peer.data(b"2", **second)]
    for chunk in reversed(chunks) if is_reversed else chunks:
        peer.send(chunk)
    assert peer.association.is_terminated


@pytest.mark.parametrize(("first", "second"), [(E, 0), (E, E), (B, B), (0, B)])
@pytest.mark.parametrize("is_reversed", [False, True])
def test_one_of_two_neighbours_that_can_not_be_whole_is_dropped(peer, first, second, is_reversed):
    chunks = [peer.data(b"1", flags=first), peer.data(b"2", flags=second, stream_id=1)]
    for chunk in reversed(chunks) if is_reversed else chunks:
        peer.send(chunk)
    assert not peer.association.is_terminated
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 1
    assert received(peer) == []


@pytest.mark.parametrize("first", [B, 0])
def test_fragment_before_a_whole_message_is_dropped(peer, first):
    peer.send(peer.data(b"1", flags=first))
    peer.send(peer.data(b"2", stream_id=1))
    assert received(peer) == [b"2"]
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 1


def test_beginning_whose_rest_was_cut_off_by_another_is_dropped_with_it(peer):
    chunks = [peer.data(b"1", flags=B), peer.data(b"2", flags=0), peer.data(b"3", flags=B)]
    for index in (0, 2, 1):
        peer.send(chunks[index])
    peer.send(peer.data(b"4", flags=E))
    assert received(peer) == [b"34"]
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 2


@pytest.mark.proves("RFC4960-3.3.1-2-9d65", "RFC4960-6.6-3-7235")
def test_ssn_of_unordered_fragments_does_not_matter(peer):
    peer.send(peer.data(b"1", flags=B | U, ssn=1), peer.data(b"2", flags=E | U, ssn=2))
    assert received(peer) == [b"12"]


# the window


def small(sctp, window=10_000):
    return sctp.RawPeer(sctp.association(receive_window_bytes=window, message_bytes_max=window)).establish()


@pytest.mark.proves("RFC4960-6.2-19-fa35", "RFC4960-6.2-20-0131")
def test_window_shrinks_with_what_is_held_and_opens_with_consume(sctp):
    raw = small(sctp)
    raw.send(raw.data(bytes(1000)), raw.data(bytes(500), flags=B))
    held = 1500 + 2 * HELD_OVERHEAD_BYTES
    assert sacks(raw.wait(0.1))[-1].window_bytes == 10_000 - held
    raw.association.consume(1000, raw.now)
    assert raw.association.statistics.local_window_bytes == 10_000 - 500 - HELD_OVERHEAD_BYTES


def test_consume_in_steps_gives_everything_back(sctp):
    raw = small(sctp)
    for index in range(5):
        raw.send(raw.data(bytes(100), ssn=index))
    for _ in range(500):
        raw.association.consume(1, raw.now)
    assert raw.association.statistics.local_window_bytes == 10_000


def test_consume_more_than_was_delivered_raises(peer):
    peer.send(peer.data(b"12345"))
    with pytest.raises(InvalidArgument):
        peer.association.consume(6, peer.now)
    with pytest.raises(InvalidArgument):
        peer.association.consume(-1, peer.now)
    peer.association.consume(5, peer.now)


@pytest.mark.proves("RFC4960-6.2-6-773a", "RFC4960-6.2-18-5b6c")
def test_window_update_comes_with_a_quarter_not_before(sctp):
    raw = small(sctp)
    for index in range(8):
        raw.send(raw.data(bytes(1000), ssn=index))
    raw.take()
    raw.association.consume(1000, raw.now)
    raw.association.consume(1000, raw.now)
    assert raw.take() == []
    raw.association.consume(1000, raw.now)
    (sack,) = raw.take()
    assert sack.window_bytes > 2500


@pytest.mark.proves("RFC4960-6.2-2-cf8c", "RFC4960-6.2-4-7e45", "RFC4960-6.2-5-e3f8", "RFC4960-6.2-22-7e51")
def test_closed_window_drops_new_data_and_says_so(sctp):
    raw = small(sctp, 2000)
    raw.send(raw.data(bytes(1990)))
    raw.take()
    raw.send(raw.data(b"too much", ssn=1))
    (sack,) = sacks(raw.take())
    assert (sack.cumulative_tsn, sack.window_bytes, sack.gaps) == (raw.tsn - 2, 0, [])
    assert raw.association.stats.discards[DiscardReason.WINDOW_CLOSED] == 1


@pytest.mark.proves("RFC4960-6-8-7a86")
def test_closed_window_still_takes_what_fills_a_gap(sctp):
    raw = small(sctp, 2000)
    missing = raw.data(b"first", ssn=0)
    raw.send(raw.data(bytes(1990), ssn=1))
    raw.send(missing)
    assert received(raw) == [b"first", bytes(1990)]


def test_twice_the_window_is_never_exceeded(sctp):
    raw = small(sctp, 2000)
    base = raw.tsn
    raw.send(raw.data(b"x", tsn=base + 1000, flags=B | E | U))
    raw.send(raw.data(bytes(1900), tsn=base + 999, flags=B | E | U))
    for offset in range(998, 0, -1):
        raw.send(raw.data(bytes(100), tsn=base + offset, flags=B | E | U))
    held = raw.association._inbound.reassembly.held_bytes
    assert held <= 2 * 2000 + 100 + HELD_OVERHEAD_BYTES


def test_consumed_window_takes_data_again(sctp):
    raw = small(sctp, 2000)
    raw.send(raw.data(bytes(1990)))
    refused = raw.data(b"later", ssn=1)
    raw.send(refused)
    raw.take_events()
    raw.association.consume(1990, raw.now)
    raw.send(refused)
    assert received(raw) == [b"later"]


# FORWARD-TSN, the receiver's side (RFC 3758 3.6)


def test_forward_tsn_moves_on_and_is_acknowledged_at_once(peer):
    peer.tsn += 3
    peer.send(ForwardTsn(peer.tsn - 1, []))
    assert sacks(peer.take())[-1].cumulative_tsn == peer.tsn - 1


def test_forward_tsn_swallows_what_has_arrived_above(peer):
    base = peer.tsn
    peer.send(peer.data(tsn=base + 1, flags=B | E | U), peer.data(tsn=base + 3, flags=B | E | U))
    peer.send(ForwardTsn(base, []))
    assert sacks(peer.take())[-1].gaps == [(2, 2)]
    peer.send(ForwardTsn(base + 2, []))
    assert sacks(peer.take())[-1] == Sack(base + 3, peer.association.statistics.local_window_bytes, [])


def test_forward_tsn_releases_ordered_messages_behind_the_skipped(peer):
    base = peer.tsn
    peer.send(peer.data(b"c", ssn=2, tsn=base + 2))
    peer.send(ForwardTsn(base + 1, [(0, 1)]))
    assert received(peer) == [b"c"]


def test_forward_tsn_delivers_what_arrived_of_the_skipped(peer):
    base = peer.tsn
    peer.send(peer.data(b"b", ssn=1, tsn=base + 1), peer.data(b"d", ssn=3, tsn=base + 3))
    peer.send(ForwardTsn(base + 2, [(0, 2)]))
    assert received(peer) == [b"b", b"d"]


def test_forward_tsn_drops_fragments_of_the_abandoned(peer):
    base = peer.tsn
    peer.send(peer.data(b"half", flags=B, tsn=base), peer.data(b"tail", flags=E, tsn=base + 2))
    peer.send(ForwardTsn(base + 2, [(0, 0)]))
    peer.send(peer.data(b"next", ssn=1, tsn=base + 3))
    assert received(peer) == [b"next"]
    assert peer.association.stats.discards[DiscardReason.ORPHAN_FRAGMENT] == 2


def test_old_forward_tsn_changes_nothing_and_is_acknowledged(peer):
    base = peer.tsn
    peer.send(peer.data(b"a", tsn=base, ssn=0), peer.data(b"half", flags=B, tsn=base + 1, ssn=1))
    peer.send(ForwardTsn(base, [(0, 0)]))
    assert sacks(peer.take())[-1].cumulative_tsn == base + 1
    peer.send(peer.data(b"whole", flags=E, tsn=base + 2, ssn=1))
    assert received(peer) == [b"a", b"halfwhole"]


def test_forward_tsn_for_a_stream_that_does_not_exist_is_harmless(sctp):
    raw = sctp.RawPeer(sctp.association(streams_inbound_max=4)).establish()
    raw.send(ForwardTsn(raw.tsn, [(60000, 3), (1, 0)]))
    assert raw.association._inbound.reassembly._next_ssn == {1: 1}


def test_forward_tsn_with_an_old_ssn_does_not_go_back(peer):
    peer.send(peer.data(b"a", ssn=0), peer.data(b"b", ssn=1))
    peer.send(ForwardTsn(peer.tsn, [(0, 0)]))
    peer.tsn += 1
    peer.send(peer.data(b"c", ssn=2))
    assert received(peer) == [b"a", b"b", b"c"]


# the map of TSNs


def test_tsn_map_agrees_with_a_set():
    chance = SeededEntropy(3)
    for _ in range(50):
        tsns, model, cumulative = TsnMap(100), set(), 99
        for _ in range(60):
            tsn = 100 + chance.below(40)
            assert tsns.contains(tsn) == (tsn in model or tsn <= cumulative)
            if chance.below(15) == 0 and tsn > cumulative:
                tsns.skip_to(tsn)
                cumulative = tsn
            elif not tsns.contains(tsn):
                ranges = tsns.range_count
                begins = tsns.begins_range(tsn)
                tsns.add(tsn)
                model.add(tsn)
                assert begins == (tsns.range_count == ranges + 1)
            while cumulative + 1 in model:
                cumulative += 1
            assert tsns.cumulative == cumulative
            above = {tsn for tsn in model if tsn > cumulative}
            covered = {cumulative + offset for first, last in tsns.gap_blocks(100) for offset in range(first, last + 1)}
            assert covered == above
            assert tsns.highest == max(above, default=cumulative)


def test_buffer_low_is_not_confused_with_receiving(peer):
    peer.send(peer.data())
    assert not any(isinstance(event, BufferLow) for event in peer.take_events())
    assert isinstance(peer.data(), Data)
