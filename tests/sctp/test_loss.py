"""Finding and repairing losses before T3-rtx does (RFC 9260 7.2.4, RFC 8985 and 9002 adapted)."""

import math

import pytest

from sans_rtc.sctp.chunks import CookieAck, CookieEcho, Data
from sans_rtc.sctp.outstanding import subtract_ranges
from sans_rtc.testing import SeededEntropy

FULL = 1160 - 12 - 16
PACKET = 1160 - 12
IMMEDIATE = 8


def data(said):
    return [chunk for chunk in said if isinstance(chunk, Data)]


def offsets(raw, said):
    return [(chunk.tsn - raw.their_tsn) & 0xFFFFFFFF for chunk in data(said)]


def measured(sctp, rtt_s=0.05, **changes):
    """A scripted peer at a known distance: SRTT is `rtt_s`."""
    raw = sctp.RawPeer(sctp.association(**changes))
    raw.association.connect(raw.now)
    raw.take()
    raw.now += rtt_s
    raw.send(raw.init(is_ack=True, cookie=b"c"))
    raw.take()
    raw.now += rtt_s
    raw.send(CookieAck())
    raw.take()
    assert raw.association.statistics.srtt_s == pytest.approx(rtt_s)
    return raw


def sent(raw, send, packets=8):
    send(raw.association, bytes(packets * FULL), now=raw.now)
    assert len(data(raw.take())) == packets
    raw.now += 0.05
    return raw


# by packets


@pytest.mark.proves("RFC4960-7.2.4-2-ae47")
@pytest.mark.parametrize("overtaken_by", [1, 2])
def test_fewer_than_three_packets_above_are_no_loss(sctp, send, overtaken_by):
    raw = sent(measured(sctp, tail_loss_probe=False), send)
    raw.send(raw.sack(0, gaps=[(2, 1 + overtaken_by)]))
    assert raw.take() == []
    assert raw.association.stats.loss_events == 0


def test_three_packets_above_are_a_loss_in_one_sack(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send)
    raw.send(raw.sack(0, gaps=[(2, 4)]))
    assert offsets(raw, raw.take()) == [0]
    assert raw.association.stats.loss_events == 1


@pytest.mark.proves("RFC4960-6.7-4-d4eb", "RFC4960-6.7-5-49cc", "RFC4960-7.2.4-2-ae47")
def test_three_sacks_one_after_the_other_are_a_loss(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send)
    raw.send(raw.sack(0, gaps=[(2, 2)]))
    raw.send(raw.sack(0, gaps=[(2, 3)]))
    assert raw.take() == []
    raw.send(raw.sack(0, gaps=[(2, 4)]))
    assert offsets(raw, raw.take()) == [0]


@pytest.mark.proves("RFC4960-7.2.4-3-a9e7")
def test_same_sack_again_is_no_further_indication(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send)
    for _ in range(5):
        raw.send(raw.sack(0, gaps=[(2, 2)]))
    assert raw.take() == []


def test_chunks_of_one_packet_count_as_one(sctp, send):
    raw = measured(sctp, tail_loss_probe=False)
    send(raw.association, bytes(FULL))
    for _ in range(10):
        send(raw.association, bytes(50))
    raw.take()
    raw.send(raw.sack(0, gaps=[(2, 11)]))
    assert raw.take() == []


def test_only_what_was_overtaken_far_enough_is_lost(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send)
    raw.send(raw.sack(0, gaps=[(3, 3), (6, 6)]))
    assert offsets(raw, raw.take()) == [0]
    assert raw.association.statistics.lost_bytes == PACKET  # 1 waits for the window; 3 and 4 are still in flight
    raw.send(raw.sack(1, gaps=[(2, 2), (5, 5)]))
    assert offsets(raw, raw.take()) == [1]


def test_patience_is_configurable(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False, reordering_packets=5), send)
    raw.send(raw.sack(0, gaps=[(2, 5)]))
    assert raw.take() == []
    raw.send(raw.sack(0, gaps=[(2, 6)]))
    assert offsets(raw, raw.take()) == [0]


@pytest.mark.proves("RFC4960-7.2.4-5-ca1e")
def test_window_is_halved_once_per_round_trip(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send, packets=10)
    raw.send(raw.sack(0, gaps=[(2, 4)]))
    raw.take()
    halved = raw.association.statistics.congestion_window_bytes
    assert halved == 5 * PACKET
    raw.send(raw.sack(0, gaps=[(2, 4), (6, 9)]))
    raw.take()
    assert raw.association.statistics.congestion_window_bytes == halved
    assert raw.association.stats.loss_events == 1


def test_loss_after_the_recovery_halves_again(sctp, send):
    raw = sent(measured(sctp, tail_loss_probe=False), send, packets=10)
    raw.send(raw.sack(0, gaps=[(2, 10)]))
    raw.take()
    raw.send(raw.sack(10))
    sent(raw, send, packets=5)
    raw.send(raw.sack(10, gaps=[(2, 5)]))
    assert raw.association.stats.loss_events == 2


@pytest.mark.proves("RFC4960-6.1-9-3e26", "RFC4960-7.2.4-4-32b8")
def test_first_repetition_ignores_the_window(sctp, send):
    """Half of the window is still more in flight than cwnd allows: one packet goes all the same (7.2.4 step 3)."""
    raw = measured(sctp, tail_loss_probe=False)
    send(raw.association, bytes(100 * FULL))
    raw.take()
    raw.send(raw.sack(0, gaps=[(4, 4)]))
    told = raw.association.statistics
    assert told.flight_bytes > told.congestion_window_bytes
    assert offsets(raw, raw.take()) == [0]
    assert raw.association.statistics.flight_bytes > told.flight_bytes


def test_lost_repetition_is_found_by_packets_sent_after_it(sctp, send):
    raw = measured(sctp, tail_loss_probe=False)
    send(raw.association, bytes(100 * FULL), now=raw.now)
    raw.take()
    raw.now += 0.05
    raw.send(raw.sack(0, gaps=[(2, 10)]))
    first = offsets(raw, raw.take())
    assert first[0] == 0 and len(first) >= 4
    raw.now += 0.05
    raw.send(raw.sack(0, gaps=[(2, 10 + len(first) - 1)]))
    assert offsets(raw, raw.take())[0] == 0
    assert raw.association.stats.timeouts == 0


# by time


def test_overtaken_chunk_is_lost_after_nine_eighths_of_a_round_trip(sctp, send):
    raw = sent(measured(sctp), send, packets=3)
    raw.send(raw.sack(0, gaps=[(2, 2)]))
    assert raw.take() == []
    lost_at = raw.association.deadline
    assert lost_at == pytest.approx(raw.now - 0.05 + 0.05 * 9 / 8)
    assert offsets(raw, raw.wait(lost_at - raw.now)) == [0]


def test_time_does_not_judge_where_nothing_was_overtaken(sctp, send):
    raw = sent(measured(sctp), send, packets=3)
    raw.send(raw.sack(1))
    raw.monitor.handle_timer(raw.now + 0.01)
    assert raw.association.stats.loss_events == 0


# the tail


def test_lost_last_packet_is_repeated_after_two_round_trips(sctp, send):
    raw = measured(sctp, rtt_s=0.02)
    send(raw.association, b"last", now=raw.now)
    raw.take()
    before = raw.now
    said = raw.wait(0.041)
    assert offsets(raw, said) == [0]
    assert said[0].flags & IMMEDIATE
    assert raw.association.stats.probes_sent == 1
    assert raw.now - before < 0.05


def test_probe_is_never_sooner_than_ten_milliseconds(sctp, send):
    raw = measured(sctp, rtt_s=0.0001)
    send(raw.association, b"last", now=raw.now)
    raw.take()
    assert raw.wait(0.0099) == []
    assert offsets(raw, raw.wait(0.0002)) == [0]


def test_probes_back_off_until_t3(sctp, send):
    raw = measured(sctp, rtt_s=0.02)
    send(raw.association, b"last", now=raw.now)
    raw.take()
    start = raw.now
    times = []
    while raw.association.stats.timeouts == 0:
        raw.wait(raw.association.deadline - raw.now)
        times.append(round(raw.now - start, 3))
    assert times == [0.04, 0.12, 0.28, 0.48]


def test_probe_repeats_the_last_chunk_not_the_first(sctp, send):
    raw = sent(measured(sctp), send, packets=3)
    assert offsets(raw, raw.wait(0.1)) == [2]


def test_probe_shows_what_is_missing_before_it(sctp, send):
    raw = sent(measured(sctp), send, packets=5)
    assert offsets(raw, raw.wait(0.1)) == [4]
    raw.now += 0.05
    raw.send(raw.sack(0, gaps=[(5, 5)]))
    assert offsets(raw, raw.take()) == [0, 1, 2, 3]
    assert raw.association.stats.timeouts == 0


def test_probe_answered_sooner_than_any_round_trip_shows_what_is_missing_before_it_too(sctp, send):
    """Whichever sending of the last chunk has arrived, it was after the others."""
    raw = sent(measured(sctp), send, packets=5)
    assert offsets(raw, raw.wait(0.0501)) == [4]
    raw.now += 0.04
    raw.send(raw.sack(0, gaps=[(5, 5)]))
    assert offsets(raw, raw.take()) == [0, 1, 2, 3]
    assert raw.association.stats.timeouts == 0


def test_loss_repaired_by_the_probe_halves_the_window(sctp, send):
    raw = sent(measured(sctp), send, packets=10)
    raw.send(raw.sack(9))
    before = raw.association.statistics.congestion_window_bytes
    raw.wait(0.11)
    raw.now += 0.05
    raw.send(raw.sack(10))
    assert raw.association.statistics.congestion_window_bytes == before // 2


def test_probe_answered_too_soon_was_not_needed(sctp, send):
    raw = sent(measured(sctp), send, packets=2)
    before = raw.association.statistics.congestion_window_bytes
    assert len(data(raw.wait(0.0501))) == 1
    raw.now += 0.001
    raw.send(raw.sack(2))
    assert raw.association.statistics.congestion_window_bytes == before


def delayed_answer(raw, send):
    """One message, a probe, and then the answers to both."""
    count = raw.association.stats.chunks_sent
    send(raw.association, b"x", now=raw.now)
    raw.take()
    probes = raw.association.stats.probes_sent
    while raw.association.stats.probes_sent == probes:
        raw.wait(0.001)
    raw.send(raw.sack(count + 1))
    raw.now += 0.05
    raw.send(raw.sack(count + 1, duplicates=[raw.their_tsn + count]))


def test_peer_that_delays_its_sacks_is_asked_for_them(sctp, send):
    raw = measured(sctp)
    delayed_answer(raw, send)
    assert raw.association.stats.spurious_retransmissions == 1
    send(raw.association, b"y", now=raw.now)
    (chunk,) = data(raw.take())
    assert chunk.flags & IMMEDIATE


def test_peer_that_ignores_the_i_bit_is_given_more_time(sctp, send):
    raw = measured(sctp)
    delayed_answer(raw, send)
    before = raw.association._outbound.flow.loss.probe_timeout_s
    delayed_answer(raw, send)
    assert raw.association._outbound.flow.loss.probe_timeout_s > before
    for _ in range(10):
        send(raw.association, b"x", now=raw.now)
        raw.take()
        raw.association._outbound.flow.loss.on_spurious_probe()
        raw.send(raw.sack(raw.association.stats.chunks_sent))
    assert raw.association._outbound.flow.loss.probe_timeout_s <= 0.1 + 0.2 + 0.01


def test_no_probe_where_it_is_switched_off(sctp, send):
    raw = measured(sctp, tail_loss_probe=False)
    send(raw.association, b"x", now=raw.now)
    raw.take()
    raw.wait(5.0)
    assert raw.association.stats.probes_sent == 0


def test_no_probe_before_a_round_trip_was_measured(sctp, send):
    raw = sctp.RawPeer(sctp.association())
    raw.send(raw.init(), tag=0)
    (init_ack,) = raw.take()
    raw.send(CookieEcho(init_ack.parameters[0].value))
    send(raw.association, b"x")
    raw.take()
    raw.wait(0.4)
    assert raw.association.stats.probes_sent == 0


def test_everything_acknowledged_disarms_all(sctp, send):
    raw = sent(measured(sctp, heartbeat_interval_s=math.inf), send, packets=3)
    raw.send(raw.sack(3))
    assert raw.association.deadline == math.inf


# reordering


def test_superfluous_repetition_makes_more_patient(sctp, send):
    raw = sent(measured(sctp), send, packets=4)
    raw.send(raw.sack(0, gaps=[(2, 4)]))
    assert offsets(raw, raw.take()) == [0]
    raw.send(raw.sack(4))  # the first sending came late
    raw.send(raw.sack(4, duplicates=[raw.their_tsn]))
    assert raw.association.stats.spurious_retransmissions == 1
    sent(raw, send, packets=4)
    raw.send(raw.sack(4, gaps=[(2, 4)]))
    assert raw.take() == []
    assert raw.association.deadline - raw.now == pytest.approx(0.05 * (9 / 8 + 1 / 4) - 0.05)


def test_duplicate_of_a_chunk_that_was_sent_once_says_nothing(sctp, send):
    raw = sent(measured(sctp), send, packets=2)
    raw.send(raw.sack(2, duplicates=[raw.their_tsn, raw.their_tsn + 1]))
    assert raw.association.stats.spurious_retransmissions == 0


# ranges


def test_subtract_ranges_agrees_with_sets():
    chance = SeededEntropy(5)

    def ranges():
        members = {chance.below(40) for _ in range(chance.below(30))}
        found, start = [], None
        for value in range(41):
            if value in members and start is None:
                start = value
            if value not in members and start is not None:
                found.append((start, value - 1))
                start = None
        return members, found

    for _ in range(300):
        (left, left_ranges), (right, right_ranges) = ranges(), ranges()
        difference = subtract_ranges(left_ranges, right_ranges)
        assert {value for first, last in difference for value in range(first, last + 1)} == left - right


def test_chunk_repeated_after_a_loss_is_not_measured(sctp, send):
    """Karn's rule where no timer expires: the timed chunk is the first, which is lost, repeated and acknowledged."""
    raw = sent(measured(sctp, tail_loss_probe=False), send, packets=5)
    before = raw.association.statistics.srtt_s
    raw.now += 0.1
    raw.send(raw.sack(0, gaps=[(2, 5)]))
    assert offsets(raw, raw.take()) == [0]
    raw.now += 0.01
    raw.send(raw.sack(5))
    assert raw.association.statistics.srtt_s == before


def test_chunk_repeated_as_a_probe_is_not_measured(sctp, send):
    raw = measured(sctp)
    before = raw.association.statistics.srtt_s
    send(raw.association, b"x", now=raw.now)
    raw.take()
    assert raw.wait(0.11)
    raw.now += 0.3
    raw.send(raw.sack(1))
    assert raw.association.statistics.srtt_s == before


def test_losses_and_timeouts_are_traced(sctp, send):
    records = []
    raw = sctp.RawPeer(sctp.association(trace=records.append, tail_loss_probe=False)).establish()
    send(raw.association, bytes(5 * FULL))
    raw.take()
    raw.send(raw.sack(0, gaps=[(2, 5)]))
    raw.wait(0.5)
    assert [record.name for record in records if record.name in ("loss", "timeout")][:2] == ["loss", "timeout"]
