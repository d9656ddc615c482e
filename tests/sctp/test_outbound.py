"""Sending DATA: fragments, bundles, windows, timers (RFC 9260 6.1, 6.3, 6.9, 6.10, 7)."""

import math

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.sctp import RELIABLE, BufferLow, DiscardReason, Reliability, SctpConfig, SendFailed, TerminationReason
from sans_rtc.sctp.chunks import CookieAck, Data, Sack
from sans_rtc.sctp.congestion import CongestionControl
from sans_rtc.sctp.rto import RetransmissionTimeout

B, E, U, IMMEDIATE = 2, 1, 4, 8
FULL = 1160 - 12 - 16  # payload of a chunk that fills a packet
PACKET = 1160 - 12


def data(said):
    return [chunk for chunk in said if isinstance(chunk, Data)]


def offsets(raw, said):
    """Which of the association's TSNs these are, counted from 0."""
    return [(chunk.tsn - raw.their_tsn) & 0xFFFFFFFF for chunk in data(said)]


def cwnd(raw):
    return raw.association.statistics.congestion_window_bytes


def flight(raw):
    return raw.association.statistics.flight_bytes


# cutting and bundling


@pytest.mark.proves("RFC4960-6.5-2-5ae3")
def test_short_message_is_one_chunk(peer, send):
    send(peer.association, b"hello", stream_id=3, ppid=51)
    (chunk,) = peer.take()
    assert chunk == Data(B | E, peer.their_tsn, 3, 0, 51, b"hello")


@pytest.mark.proves("RFC4960-3.3.1-5-56c3", "RFC4960-6.9-8-447f", "RFC4960-6.9-2-f677", "RFC4960-6.9-10-e2bc")
@pytest.mark.parametrize("size", [FULL, FULL + 1, 2 * FULL, 2 * FULL + 1, 5 * FULL - 1])
def test_message_is_cut_into_full_chunks_and_a_last(peer, sctp, send, size):
    message = bytes(index % 251 for index in range(size))
    send(peer.association, message)
    datagrams = peer.take_packets()
    assert all(len(datagram) == 1160 for datagram in datagrams[:-1]) and len(datagrams[-1]) <= 1160
    chunks = sctp.chunks_of(datagrams)
    assert b"".join([chunk.payload for chunk in chunks]) == message
    assert offsets(peer, chunks) == list(range(len(chunks)))
    assert [chunk.flags for chunk in chunks] == ([B | E] if len(chunks) == 1 else [B] + [0] * (len(chunks) - 2) + [E])


@pytest.mark.proves(
    "RFC4960-6.9-5-b110", "RFC4960-6.9-7-c9eb", "RFC4960-6.10-1-a7f7", "RFC4960-6.10-4-0776", "RFC8899-3-1-ccfb"
)
@pytest.mark.parametrize("mtu", [256, 576, 1163, 1400, 65535])
def test_no_packet_exceeds_the_mtu(sctp, send, mtu):
    raw = sctp.RawPeer(sctp.association(mtu_bytes=mtu), window_bytes=1 << 24).establish()
    send(raw.association, bytes(100_000))
    for _ in range(20):
        send(raw.association, bytes(333))
    seen = 0
    while not raw.association._outbound.is_all_acknowledged:
        datagrams = raw.take_packets()
        assert datagrams
        assert all(len(datagram) <= mtu and len(datagram) % 4 == 0 for datagram in datagrams)
        seen += len(data(sctp.chunks_of(datagrams)))
        raw.send(raw.sack(seen))


def test_short_messages_share_a_packet(peer, send):
    for index in range(100):
        send(peer.association, bytes([index]))
    datagrams = peer.take_packets()
    assert len(datagrams) == 2
    assert len(datagrams[0]) == 12 + 57 * 20


def test_ssn_counts_ordered_messages_of_a_stream_only(peer, send):
    for stream_id, ordered in ((0, True), (0, False), (1, True), (0, True)):
        send(peer.association, b"x", stream_id=stream_id, reliability=Reliability(ordered=ordered))
    sent = [(chunk.stream_id, chunk.flags, chunk.ssn) for chunk in peer.take()]
    assert [item for item in sent if item[0] == 0] == [(0, B | E, 0), (0, U | B | E, 0), (0, B | E, 1)]
    assert (1, B | E, 0) in sent


@pytest.mark.proves("RFC4960-3.3.1-4-a257", "RFC4960-6.9-9-910b")
def test_unordered_fragments_carry_the_u_flag(peer, send):
    send(peer.association, bytes(2 * FULL + 1), reliability=Reliability(ordered=False))
    assert [chunk.flags for chunk in peer.take()] == [U | B, U, U | E]


# misuse


@pytest.mark.proves("RFC4960-3.3.1-6-f7de")
@pytest.mark.parametrize(
    "arguments",
    [
        (-1, 51, b"x"),
        (65535, 51, b"x"),
        (0, -1, b"x"),
        (0, 1 << 32, b"x"),
        (0, 51, b""),
        (0, 51, "text"),
        (0, 51, None),
    ],
)
def test_wrong_argument_raises_and_changes_nothing(peer, arguments):
    with pytest.raises(InvalidArgument):
        peer.association.send(*arguments, RELIABLE, peer.now)
    assert peer.take() == []


def test_send_beyond_the_buffer_raises_until_it_is_lower(sctp, send):
    raw = sctp.RawPeer(sctp.association(send_buffer_bytes_max=1000))
    send(raw.association, bytes(999))
    with pytest.raises(LimitExceeded):
        send(raw.association, b"xx")
    send(raw.association, b"x")
    raw.establish()
    assert raw.association.buffered_bytes(0) == 0
    send(raw.association, bytes(1000))


def test_room_is_told_at_half_and_at_nothing_though_no_threshold_is_crossed(sctp, send):
    raw = sctp.RawPeer(sctp.association(send_buffer_bytes_max=10_000, initial_cwnd_packets=4)).establish()
    for stream_id in (0, 1):
        raw.association.set_low_threshold(stream_id, 8000, raw.now)
        send(raw.association, bytes(5000), stream_id=stream_id)
    with pytest.raises(LimitExceeded):
        send(raw.association, b"x", stream_id=1)
    said = raw.take()
    assert raw.association.statistics.queued_bytes > 5000 and raw.events == []
    raw.deliver_all(said)
    assert len(raw.events) == 2 and all(isinstance(event, BufferLow) for event in raw.events)
    assert raw.association.statistics.queued_bytes == 0


def test_send_beyond_the_number_of_messages_raises(sctp, send):
    raw = sctp.RawPeer(sctp.association(send_buffer_messages_max=3))
    for _ in range(3):
        send(raw.association, b"x")
    with pytest.raises(LimitExceeded):
        send(raw.association, b"x")


def test_full_buffer_makes_room_where_lifetimes_are_over(sctp, send):
    raw = sctp.RawPeer(sctp.association(send_buffer_bytes_max=1000))
    send(raw.association, bytes(600), reliability=Reliability(lifetime_s=1.0), now=raw.now)
    with pytest.raises(LimitExceeded):
        send(raw.association, bytes(600), now=raw.now + 0.5)
    send(raw.association, bytes(600), now=raw.now + 1.0)
    assert raw.association.buffered_bytes(0) == 600


def test_message_that_is_refused_drops_nothing_whose_lifetime_is_over(sctp, send):
    """Found by fuzzing: where even their room is not enough, SendFailed told of others all the same."""
    association = sctp.association(send_buffer_bytes_max=1000)
    send(association, bytes(100), reliability=Reliability(lifetime_s=1.0), now=1.0)
    with pytest.raises(LimitExceeded):
        send(association, bytes(1001), now=2.0)
    assert association.buffered_bytes(0) == 100 and not association.take_events()


def test_send_after_close_raises(peer, send):
    peer.association.close(peer.now)
    with pytest.raises(InvalidState):
        send(peer.association, b"x")


@pytest.mark.proves("RFC4960-5.1.1-2-8a97", "RFC4960-6.5-1-300f")
def test_messages_for_streams_the_peer_lacks_fail(sctp, send):
    raw = sctp.RawPeer(sctp.association(), streams=2)
    for stream_id in (0, 1, 2, 9):
        send(raw.association, b"x", stream_id=stream_id)
    raw.association.connect(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.send(CookieAck())
    assert sorted(chunk.stream_id for chunk in data(raw.take())) == [0, 1]
    assert sorted(event.stream_id for event in raw.events if isinstance(event, SendFailed)) == [2, 9]
    with pytest.raises(InvalidArgument):
        send(raw.association, b"x", stream_id=2)


# buffered amounts


def test_buffered_bytes_fall_as_chunks_leave(peer, send):
    send(peer.association, bytes(100_000), stream_id=7)
    assert peer.association.buffered_bytes(7) == 100_000
    sent = sum(len(chunk.payload) for chunk in data(peer.take()))
    assert peer.association.buffered_bytes(7) == 100_000 - sent
    assert peer.association.unacknowledged_bytes == 100_000


@pytest.mark.proves("RFC4960-6.7-3-75d8")
def test_unacknowledged_bytes_fall_with_acknowledgement(peer, send):
    send(peer.association, bytes(3 * FULL))
    peer.take()
    peer.send(peer.sack(1))
    assert peer.association.unacknowledged_bytes == 2 * FULL
    peer.send(peer.sack(3))
    assert peer.association.unacknowledged_bytes == 0


def test_buffer_low_comes_once_when_the_threshold_is_crossed(peer, send):
    peer.association.set_low_threshold(0, 20_000, peer.now)
    send(peer.association, bytes(30_000))
    peer.take()
    assert peer.take_events() == [BufferLow(0)]
    peer.deliver_all([])
    assert peer.take_events() == []


def test_buffer_low_comes_at_zero_by_default(peer, send):
    send(peer.association, b"x")
    peer.take()
    assert peer.take_events() == [BufferLow(0)]


@pytest.mark.parametrize("arguments", [(-1, 0), (65535, 0), (0, -1)])
def test_wrong_threshold_raises(peer, arguments):
    with pytest.raises(InvalidArgument):
        peer.association.set_low_threshold(*arguments, peer.now)


# congestion window


@pytest.mark.proves("RFC4960-6.1-8-13d6")
def test_initial_window_is_ten_packets(peer, send):
    send(peer.association, bytes(100_000))
    assert len(peer.take()) == 10
    assert cwnd(peer) == 10 * PACKET


def test_initial_window_of_the_rfc(sctp, send):
    raw = sctp.RawPeer(sctp.association(initial_cwnd_packets=0)).establish()
    assert cwnd(raw) == min(4 * PACKET, max(2 * PACKET, 4404))


@pytest.mark.proves("RFC4960-7.2-1-380e")
def test_slow_start_grows_by_what_was_acknowledged(peer, send):
    send(peer.association, bytes(200_000))
    peer.take()
    peer.send(peer.sack(4))
    assert cwnd(peer) == 14 * PACKET
    assert len(peer.take()) == 8


def test_slow_start_growth_of_one_sack_is_limited(sctp, send):
    raw = sctp.RawPeer(sctp.association(slow_start_packets_max=1)).establish()
    send(raw.association, bytes(200_000))
    raw.take()
    raw.send(raw.sack(4))
    assert cwnd(raw) == 11 * PACKET


@pytest.mark.proves("RFC4960-7.2.1-3-7005", "RFC4960-7.2.1-4-2e83")
def test_window_does_not_grow_while_it_is_not_used(peer, send):
    send(peer.association, bytes(FULL))
    peer.take()
    peer.send(peer.sack(1))
    assert cwnd(peer) == 10 * PACKET


@pytest.mark.proves("RFC4960-7.2.1-6-9c2e")
def test_window_does_not_grow_without_cumulative_advance(peer, send):
    send(peer.association, bytes(200_000))
    peer.take()
    peer.send(peer.sack(0, gaps=[(2, 2)]))
    assert cwnd(peer) == 10 * PACKET


@pytest.mark.proves("RFC4960-7.2-1-380e")
def test_congestion_avoidance_grows_by_one_packet_a_window():
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd, control.ssthresh = 20_000, 10_000
    control.on_sent(20_000, is_held_back=False)
    for _ in range(9):
        control.on_cumulative_advance(2000)
        assert control.cwnd == 20_000
    control.on_cumulative_advance(2000)
    assert control.cwnd == 21_000


def test_congestion_avoidance_needs_a_full_window():
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd, control.ssthresh = 20_000, 10_000
    control.on_sent(5000, is_held_back=False)
    for _ in range(100):
        control.on_cumulative_advance(2000)
    assert control.cwnd == 20_000


def test_loss_halves_the_window_not_below_four_packets():
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd = 20_000
    control.on_loss(50)
    assert (control.cwnd, control.ssthresh, control.recovery_exit_tsn) == (10_000, 10_000, 50)
    control.on_cumulative(49)
    assert control.recovery_exit_tsn == 50
    control.on_cumulative(50)
    assert control.recovery_exit_tsn is None
    control.cwnd = 5000
    control.on_loss(60)
    assert control.cwnd == 4000


@pytest.mark.proves("RFC4960-7.2.1-3-7005", "RFC4960-7.2.1-4-2e83")
def test_no_growth_in_fast_recovery():
    control = CongestionControl(SctpConfig(), 1000)
    control.on_loss(50)
    before = control.cwnd
    control.on_sent(before, is_held_back=False)
    control.on_cumulative_advance(5000)
    assert control.cwnd == before


@pytest.mark.parametrize(
    ("flight", "is_held_back", "is_full"),
    [(20_000, False, True), (19_001, False, True), (19_000, False, False), (10_001, True, True), (10_000, True, False)],
)
def test_window_is_full_to_the_packet_or_half_full_between_bursts(flight, is_held_back, is_full):
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd = 20_000
    control.on_sent(flight, is_held_back=is_held_back)
    assert control.is_full is is_full


@pytest.mark.proves("RFC4960-7.2.1-2-6c2e")
def test_timeout_leaves_one_packet():
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd = 20_000
    control.on_timeout()
    assert (control.cwnd, control.ssthresh) == (1000, 10_000)


@pytest.mark.parametrize(("idle_s", "expected"), [(0.1, 100_000), (1.0, 50_000), (2.5, 25_000), (60.0, 10_000)])
def test_idle_window_halves_each_rto_down_to_the_initial(idle_s, expected):
    control = CongestionControl(SctpConfig(), 1000)
    control.cwnd = 100_000
    control.on_idle(idle_s, 1.0)
    assert control.cwnd == expected
    assert control.ssthresh == math.inf


def test_idle_window_remembers_what_it_was_after_a_loss():
    control = CongestionControl(SctpConfig(initial_cwnd_packets=0), 1000)
    control.cwnd, control.ssthresh = 100_000, 30_000
    control.on_idle(10.0, 1.0)
    assert (control.cwnd, control.ssthresh) == (4000, 100_000)


@pytest.mark.proves("RFC8261-6.1-6-3b16", "DATA-CHANNEL-5-3-f378")
def test_new_path_begins_anew(peer, send):
    send(peer.association, bytes(200_000))
    peer.take()
    peer.send(peer.sack(10))
    assert cwnd(peer) > 10 * PACKET
    peer.association.path_changed(peer.now)
    assert cwnd(peer) == 10 * PACKET
    assert peer.association.statistics.srtt_s == 0.0


def with_round_trip(sctp, rtt_s, **config):
    """A peer whose association has measured this round trip in the handshake."""
    raw = sctp.RawPeer(sctp.association(**config))
    raw.association.connect(raw.now)
    raw.take()
    raw.now += rtt_s
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.now += rtt_s
    raw.send(CookieAck())
    return raw


@pytest.mark.proves("RFC4960-6.1-10-f346")
def test_burst_is_limited_and_renewed_by_sacks(sctp, send):
    raw = with_round_trip(sctp, 0.1, burst_packets_max=4)
    send(raw.association, bytes(100_000), now=raw.now)
    assert len(raw.take()) == 4
    assert raw.take() == []
    raw.send(raw.sack(2))
    assert len(raw.take()) == 4


@pytest.mark.parametrize(("rtt_s", "packets"), [(0.0005, 40), (0.002, 40), (0.0039, 20), (0.0098, 8), (0.1, 4)])
def test_burst_is_what_the_window_lets_go_in_one_tick_of_the_timer(sctp, send, rtt_s, packets):
    raw = with_round_trip(sctp, rtt_s, burst_packets_max=4, initial_cwnd_packets=40)
    send(raw.association, bytes(100_000), now=raw.now)
    assert len(raw.take()) == packets


def test_next_burst_follows_without_a_sack(sctp, send):
    raw = with_round_trip(sctp, 0.1, burst_packets_max=4)
    send(raw.association, bytes(100_000), now=raw.now)
    assert len(raw.take()) == 4
    interval = raw.association.deadline - raw.now
    assert interval == pytest.approx(raw.association.statistics.srtt_s * 4 / 10 / 2)
    assert len(raw.wait(interval)) == 4
    assert len(raw.wait(interval)) == 2  # the window is full
    assert raw.association.statistics.flight_bytes == 10 * PACKET


def test_outstanding_bytes_are_bounded(sctp, send):
    raw = sctp.RawPeer(
        sctp.association(outstanding_bytes_max=5 * PACKET, initial_cwnd_packets=100), window_bytes=1 << 24
    ).establish()
    send(raw.association, bytes(100_000))
    assert len(raw.take()) == 5


@pytest.mark.proves("RFC4960-1.6-2-9ec0", "RFC4960-6.1-15-9303")
def test_outstanding_chunks_are_bounded(sctp, send):
    raw = sctp.RawPeer(sctp.association(outstanding_chunks_max=20), window_bytes=1 << 24).establish()
    for _ in range(100):
        send(raw.association, b"x")
    assert len(raw.take()) == 20


# the peer's window


@pytest.mark.proves("RFC4960-6.1-1-1846", "RFC4960-6.1-2-34da", "RFC4960-6.1-11-e4dc", "RFC4960-6.2.1-1-3cd6")
def test_peer_window_is_never_exceeded(sctp, send):
    raw = sctp.RawPeer(sctp.association(), window_bytes=5 * PACKET).establish()
    send(raw.association, bytes(100_000))
    assert len(raw.take()) == 5
    assert raw.take() == []
    raw.send(raw.sack(2, window_bytes=3 * PACKET))
    assert raw.take() == []
    raw.send(raw.sack(2, window_bytes=4 * PACKET))
    assert len(raw.take()) == 1


def closed(raw, send):
    send(raw.association, bytes(3 * FULL))
    send(raw.association, bytes(10 * FULL))
    count = len(data(raw.take()))
    raw.send(raw.sack(count, window_bytes=0))
    assert raw.take() == []
    return count


@pytest.mark.proves("RFC4960-6.1-4-7e1d", "RFC4960-6.1-5-133d")
def test_closed_window_is_probed_after_an_rto_with_back_off(sctp, send):
    raw = sctp.RawPeer(sctp.association(), window_bytes=5 * PACKET).establish()
    count = closed(raw, send)
    times = []
    for _ in range(4):
        before = raw.now
        while not (probe := data(raw.wait(0.01))):
            assert raw.now < before + 10
        assert offsets(raw, probe) == [count]
        times.append(round(raw.now - before, 1))
        raw.send(raw.sack(count, window_bytes=0))  # dropped, and answered
        assert raw.take() == []
    assert times == [0.2, 0.2, 0.4, 0.8]


def test_answered_probes_never_end_the_association(sctp, send):
    raw = sctp.RawPeer(sctp.association(association_retransmissions_max=3), window_bytes=5 * PACKET).establish()
    count = closed(raw, send)
    for _ in range(600):
        if data(raw.wait(0.1)):
            raw.send(raw.sack(count, window_bytes=0))
    assert not raw.association.is_terminated
    assert raw.association.statistics.congestion_window_bytes >= 10 * PACKET


def test_unanswered_probes_end_the_association(sctp, send):
    raw = sctp.RawPeer(
        sctp.association(association_retransmissions_max=3, heartbeat_interval_s=math.inf), window_bytes=5 * PACKET
    ).establish()
    closed(raw, send)
    raw.wait(60.0)
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE


def test_opened_window_sends_the_refused_probe_at_once(sctp, send):
    raw = sctp.RawPeer(sctp.association(), window_bytes=5 * PACKET).establish()
    count = closed(raw, send)
    while not data(raw.wait(0.05)):
        pass
    raw.send(raw.sack(count, window_bytes=0))
    raw.send(raw.sack(count, window_bytes=5 * PACKET))
    assert offsets(raw, raw.take()) == [count, count + 1, count + 2, count + 3, count + 4]
    assert raw.association.stats.loss_events == 0


def test_accepted_probe_goes_on_probing_while_the_window_stays_closed(sctp, send):
    raw = sctp.RawPeer(sctp.association(), window_bytes=5 * PACKET).establish()
    count = closed(raw, send)
    for extra in range(1, 4):
        probe = raw.wait(0.25)
        assert offsets(raw, probe) == [count + extra - 1]
        raw.send(raw.sack(count + extra, window_bytes=0))


def test_window_smaller_than_a_chunk_takes_one(sctp, send):
    raw = sctp.RawPeer(sctp.association(), window_bytes=1500).establish()
    send(raw.association, bytes(5 * FULL))
    assert len(raw.take()) == 1
    raw.send(raw.sack(1, window_bytes=100))
    assert len(raw.take()) == 1
    assert raw.take() == []


# SACKs


@pytest.mark.proves("RFC4960-6.2.1-1-3cd6")
def test_old_sack_is_ignored(peer, send):
    send(peer.association, bytes(5 * FULL))
    peer.take()
    peer.send(peer.sack(3))
    peer.send(peer.sack(2, window_bytes=0))
    assert peer.association.statistics.peer_window_bytes == peer.window_bytes
    assert peer.association.stats.discards[DiscardReason.OLD_SACK] == 1


@pytest.mark.parametrize(
    "gaps",
    [[(1, 1)], [(0, 0)], [(3, 2)], [(2, 3), (4, 4)], [(4, 4), (2, 2)], [(2, 9)], [(60000, 65535)], [(2, 3), (3, 4)]],
)
def test_invalid_gap_blocks_are_ignored(peer, send, gaps):
    send(peer.association, bytes(5 * FULL))
    peer.take()
    before = flight(peer)
    peer.send(peer.sack(0, gaps=gaps))
    assert flight(peer) == before
    assert peer.association.stats.discards[DiscardReason.INVALID_GAP_BLOCK] == 1


@pytest.mark.proves("RFC4960-5.1-14-77ba")
def test_gap_acknowledged_chunks_leave_the_flight(peer, send):
    send(peer.association, bytes(5 * FULL))
    peer.take()
    before = flight(peer)
    peer.send(peer.sack(0, gaps=[(2, 2)]))
    assert flight(peer) == before - PACKET
    peer.send(peer.sack(0, gaps=[(2, 3)]))
    assert flight(peer) == before - 2 * PACKET
    peer.send(peer.sack(3))
    assert flight(peer) == before - 3 * PACKET


def test_reneged_chunks_are_in_flight_again(peer, send):
    send(peer.association, bytes(6 * FULL))
    peer.take()
    before = flight(peer)
    peer.send(peer.sack(1, gaps=[(2, 3)]))
    peer.send(peer.sack(1, gaps=[(3, 3)]))
    assert flight(peer) == before - 2 * PACKET
    peer.send(peer.sack(1))
    assert flight(peer) == before - PACKET
    peer.send(peer.sack(6))
    assert flight(peer) == 0


def test_huge_gap_list_for_nothing_is_cheap_and_harmless(peer, send):
    send(peer.association, b"x")
    peer.take()
    peer.send(Sack((peer.their_tsn - 1) & 0xFFFFFFFF, 0, [(index, index) for index in range(2, 32000, 2)]))
    assert peer.association.stats.discards[DiscardReason.INVALID_GAP_BLOCK] == 1


# RTT and T3-rtx


def test_rto_follows_the_rfc():
    rto = RetransmissionTimeout(SctpConfig(rto_min_s=0.01))
    assert rto.rto_s == 0.5
    rto.measure(0.2)
    assert (rto.srtt_s, rto.rttvar_s, rto.rto_s) == (0.2, 0.1, pytest.approx(0.6))
    rto.measure(0.4)
    assert rto.rttvar_s == pytest.approx(0.75 * 0.1 + 0.25 * 0.2)
    assert rto.srtt_s == pytest.approx(0.875 * 0.2 + 0.125 * 0.4)


def test_rto_is_bounded_and_backs_off():
    rto = RetransmissionTimeout(SctpConfig(rto_min_s=0.2, rto_max_s=1.0))
    rto.measure(0.001)
    seen = []
    for _ in range(5):
        seen.append(rto.rto_s)
        rto.back_off()
    assert seen == [0.2, 0.4, 0.8, 1.0, 1.0]
    rto.measure(0.001)
    assert rto.rto_s == 0.2


@pytest.mark.proves("RFC4960-6.3.1-1-df24", "RFC4960-6.3.1-2-0ac2")
def test_round_trip_is_measured_once_per_round_trip(peer, send):
    send(peer.association, bytes(5 * FULL))
    peer.take()
    peer.now += 0.08
    peer.send(peer.sack(1))
    first = peer.association.statistics.srtt_s
    assert first > 0.0
    peer.now += 0.5
    peer.send(peer.sack(2))
    assert peer.association.statistics.srtt_s == first


@pytest.mark.proves("RFC4960-6.3.1-3-cc27")
def test_repeated_chunk_is_not_measured(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    before = raw.association.statistics.srtt_s
    send(raw.association, b"x")
    raw.take()
    assert offsets(raw, raw.wait(0.2)) == [0]
    raw.now += 0.05
    raw.send(raw.sack(1))
    assert raw.association.statistics.srtt_s == before


@pytest.mark.proves("RFC4960-6.1-12-2713", "RFC4960-6.1-13-6699")
def test_t3_expires_after_an_rto_and_doubles(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False, heartbeat_interval_s=math.inf)).establish()
    send(raw.association, b"x")
    raw.take()
    times = []
    while not raw.association.is_terminated:
        times.append(round(raw.association.deadline - raw.now, 3))
        raw.wait(raw.association.deadline - raw.now)
    assert times == [0.2, 0.4, 0.8, 1.6, 3.2] + [5.0] * 8
    assert raw.events[-1].reason == TerminationReason.PEER_UNREACHABLE
    assert raw.association.stats.timeouts == 13


@pytest.mark.proves("RFC4960-6.1-9-3e26")
def test_t3_sends_one_packet_and_the_rest_as_sacks_come(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    send(raw.association, bytes(8 * FULL))
    raw.take()
    assert offsets(raw, raw.wait(0.25)) == [0]
    assert (cwnd(raw), flight(raw)) == (PACKET, PACKET)
    raw.send(raw.sack(1))
    assert offsets(raw, raw.take()) == [1, 2]
    raw.send(raw.sack(8))
    assert (flight(raw), raw.association.statistics.lost_bytes) == (0, 0)


def test_t3_repetition_asks_for_an_immediate_sack(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    send(raw.association, b"x")
    raw.take()
    (again,) = raw.wait(0.25)
    assert again.flags == B | E | IMMEDIATE


@pytest.mark.proves("RFC4960-6.10-3-5be8")
def test_several_lost_chunks_share_the_packet_of_t3(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    for _ in range(5):
        send(raw.association, bytes(100))
    raw.take()
    assert offsets(raw, raw.wait(0.25)) == [0, 1, 2, 3, 4]


def test_t3_is_restarted_by_progress_and_stopped_at_the_end(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False, heartbeat_interval_s=math.inf)).establish()
    send(raw.association, bytes(2 * FULL))
    raw.take()
    assert raw.association.deadline == raw.now + 0.2
    raw.now += 0.15
    raw.send(raw.sack(1))
    assert raw.association.deadline == raw.now + raw.association.statistics.rto_s
    raw.send(raw.sack(2))
    assert raw.association.deadline == math.inf


def test_back_off_ends_when_the_repetition_is_answered(sctp, send):
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    send(raw.association, b"x")
    raw.take()
    raw.wait(1.0)
    assert raw.association.statistics.rto_s > 0.5
    raw.now += 0.02
    raw.send(raw.sack(1))
    assert raw.association.statistics.rto_s == 0.2


def test_superfluous_timeout_is_noticed_and_measured(sctp, send):
    """The round trip has grown beyond the RTO: the duplicate that the peer reports tells its length."""
    raw = sctp.RawPeer(sctp.association(tail_loss_probe=False)).establish()
    send(raw.association, b"x")
    raw.take()
    raw.wait(0.3)  # T3 expires at 0.2
    raw.send(raw.sack(1))  # the answer to the first sending, after 0.3 s
    raw.now += 0.2
    raw.send(raw.sack(1, duplicates=[raw.their_tsn]))
    assert raw.association.statistics.srtt_s == pytest.approx(0.3, rel=0.9)
    assert raw.association.statistics.rto_s > 0.3
    assert raw.association.stats.spurious_retransmissions == 1


def test_i_bit_on_the_last_chunk_while_shutting_down(peer, send):
    for _ in range(3):
        send(peer.association, b"x")
    peer.association.close(peer.now)
    assert [chunk.flags for chunk in peer.take()] == [3, 3, 3 | IMMEDIATE]
