"""The pacer: order, rate, bursts, probes, padding, and each bound."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.congestion import Pacer, PacerConfig, Priority, ProbeCluster
from sans_rtc.errors import InvalidArgument, LimitExceeded

AUDIO, RTX, VIDEO, PADDING = Priority


def make(target_bps=800_000, **changes):
    """A pacer of 1,000,000 bytes in ten seconds, with no factor."""
    changes.setdefault("pacing_factor", 1.0)
    return Pacer(PacerConfig(start_bitrate_bps=target_bps, **changes))


def drain(pacer, now, until):
    """Take at each deadline; a list of (when, packet)."""
    taken = [(now, packet) for packet in pacer.take(now)]
    while pacer.deadline <= until:
        now = max(pacer.deadline, now)
        taken += [(now, packet) for packet in pacer.take(now)]
    return taken


def test_packets_leave_by_priority_and_in_order_within_it():
    pacer = make()
    for item, priority in (("v1", VIDEO), ("r1", RTX), ("a1", AUDIO), ("v2", VIDEO), ("r2", RTX)):
        pacer.enqueue(item, 100, priority, 0.0)
    assert [packet.item for _, packet in drain(pacer, 0.0, 10.0)] == ["a1", "r1", "r2", "v1", "v2"]


def test_packets_leave_at_the_pacing_rate():
    pacer = make(burst_s=0.0)
    for number in range(11):
        pacer.enqueue(number, 1000, VIDEO, 0.0)
    assert [number * 0.01 for number in range(11)] == pytest.approx([at for at, _ in drain(pacer, 0.0, 1.0)])


def test_the_pace_is_the_target_times_the_factor():
    pacer = make(pacing_factor=2.5)
    pacer.set_target(400_000)
    assert pacer.rate_bps(0.0) == 1_000_000


def test_an_idle_time_earns_no_burst():
    pacer = make(burst_s=0.0)
    pacer.enqueue(1, 1000, VIDEO, 0.0)
    pacer.take(0.0)
    for number in range(5):
        pacer.enqueue(number, 1000, VIDEO, 100.0)
    assert len(pacer.take(100.0)) == 1


def test_audio_leaves_at_once_and_is_charged():
    pacer = make(burst_s=0.0)
    pacer.enqueue("v1", 1000, VIDEO, 0.0)
    pacer.take(0.0)
    pacer.enqueue("v2", 1000, VIDEO, 0.0)
    pacer.enqueue("a1", 500, AUDIO, 0.0)
    assert pacer.deadline == 0.0
    assert [packet.item for packet in pacer.take(0.0)] == ["a1"]
    assert pytest.approx(0.015) == pacer.deadline


def test_audio_waits_where_it_is_paced():
    pacer = make(burst_s=0.0, paces_audio=True)
    pacer.enqueue("v1", 1000, VIDEO, 0.0)
    pacer.take(0.0)
    pacer.enqueue("a1", 500, AUDIO, 0.0)
    assert list(pacer.take(0.005)) == []
    assert [packet.item for packet in pacer.take(0.01)] == ["a1"]


def test_deadline_is_infinite_where_nothing_waits():
    pacer = make()
    assert math.inf == pacer.deadline
    pacer.enqueue(1, 1000, VIDEO, 5.0)
    pacer.take(5.0)
    assert math.inf == pacer.deadline


def test_rate_is_raised_so_that_nothing_waits_longer_than_the_bound():
    pacer = make(target_bps=80_000, queue_time_max_s=1.0)
    for number in range(200):
        pacer.enqueue(number, 1000, VIDEO, 0.0)
    taken = drain(pacer, 0.0, 10.0)
    assert len(taken) == 200
    assert taken[-1][0] <= 1.0 + 0.05


def test_enqueue_beyond_the_bytes_raises_and_changes_nothing():
    pacer = make(queue_bytes_max=1500)
    pacer.enqueue(1, 1000, VIDEO, 0.0)
    with pytest.raises(LimitExceeded):
        pacer.enqueue(2, 501, VIDEO, 0.0)
    assert (pacer.queued_packets, pacer.queued_bytes) == (1, 1000)
    pacer.enqueue(2, 500, VIDEO, 0.0)


def test_enqueue_beyond_the_packets_raises():
    pacer = make(queue_packets_max=1)
    pacer.enqueue(1, 10, VIDEO, 0.0)
    with pytest.raises(LimitExceeded):
        pacer.enqueue(2, 10, AUDIO, 0.0)


@pytest.mark.parametrize(("size", "priority"), [(0, VIDEO), (-1, AUDIO), (10, PADDING)])
def test_enqueue_refuses_what_is_no_packet(size, priority):
    with pytest.raises(InvalidArgument):
        make().enqueue(1, size, priority, 0.0)


@pytest.mark.parametrize(
    "misuse",
    [lambda p: p.set_target(0), lambda p: p.set_padding(-1, 0.0), lambda p: p.request_padding(-1)],
)
def test_senseless_numbers_are_refused(misuse):
    with pytest.raises(InvalidArgument):
        misuse(make())


def test_clear_drops_everything():
    pacer = make()
    pacer.enqueue(1, 1000, VIDEO, 0.0)
    pacer.request_padding(1000)
    pacer.probe(ProbeCluster(1, 1_000_000, 1000, 2), 0.0)
    pacer.clear()
    assert (0, 0, math.inf) == (pacer.queued_packets, pacer.queued_bytes, pacer.deadline)
    assert list(pacer.take(1.0)) == []


def test_padding_asked_for_leaves_behind_media_in_packets_of_the_largest_size():
    pacer = make(padding_bytes_max=500)
    pacer.request_padding(1200)
    pacer.enqueue("v1", 1000, VIDEO, 0.0)
    taken = [packet for _, packet in drain(pacer, 0.0, 1.0)]
    assert [(p.item, p.size_bytes) for p in taken] == [("v1", 1000), (None, 500), (None, 500), (None, 200)]
    assert pacer.stats.padding_bytes_sent == 1200


def test_padding_asked_for_is_bounded():
    pacer = make(padding_request_bytes_max=1000, padding_bytes_max=500)
    pacer.request_padding(10_000_000)
    assert len(drain(pacer, 0.0, 10.0)) == 2


def test_padding_rate_fills_up_what_media_leaves():
    pacer = make()
    pacer.set_padding(96_000, 0.0)
    taken = []
    for tenth in range(10):
        pacer.enqueue("v", 600, VIDEO, tenth / 10)
        taken += drain(pacer, tenth / 10, tenth / 10 + 0.0999)
    assert pytest.approx(sum(packet.size_bytes for _, packet in taken), abs=1200) == 12_000


def test_no_padding_where_the_session_can_make_none():
    pacer = make(padding_bytes_max=0)
    pacer.set_padding(96_000, 0.0)
    pacer.request_padding(1000)
    pacer.probe(ProbeCluster(1, 1_000_000, 1000, 2), 0.0)
    assert math.inf == pacer.deadline
    assert list(pacer.take(1.0)) == []


def test_probe_leaves_at_its_own_rate_padded_and_marked():
    pacer = make(padding_bytes_max=1000)
    pacer.enqueue("v1", 1000, VIDEO, 0.0)
    assert pacer.probe(ProbeCluster(7, 4_000_000, 3000, 5), 0.0)
    taken = drain(pacer, 0.0, 1.0)
    assert pytest.approx([at for at, _ in taken]) == [0.0, 0.002, 0.004, 0.006, 0.008]
    assert [(packet.item, packet.probe_id) for _, packet in taken] == [("v1", 7)] + 4 * [(None, 7)]
    assert pacer.stats.probes_sent == 1


def test_probe_lasts_until_its_bytes_are_out():
    pacer = make(padding_bytes_max=1000)
    pacer.probe(ProbeCluster(1, 8_000_000, 9500, 2), 0.0)
    assert len(drain(pacer, 0.0, 1.0)) == 10


def test_probes_do_not_mix():
    pacer = make(padding_bytes_max=1000)
    pacer.probe(ProbeCluster(1, 4_000_000, 2000, 2), 0.0)
    pacer.probe(ProbeCluster(2, 8_000_000, 2000, 2), 0.0)
    assert [(pytest.approx(at), packet.probe_id) for at, packet in drain(pacer, 0.0, 1.0)] == [
        (0.0, 1),
        (0.002, 1),
        (0.004, 2),
        (0.005, 2),
    ]


def test_media_after_a_probe_is_not_marked():
    pacer = make(padding_bytes_max=1000)
    pacer.probe(ProbeCluster(1, 4_000_000, 2000, 2), 0.0)
    drain(pacer, 0.0, 1.0)
    pacer.enqueue("v", 100, VIDEO, 1.0)
    assert [packet.probe_id for packet in pacer.take(1.0)] == [0]


def test_probes_beyond_the_bound_are_refused():
    pacer = make(probes_max=1)
    assert pacer.probe(ProbeCluster(1, 1_000_000, 1000, 2), 0.0)
    assert not pacer.probe(ProbeCluster(2, 1_000_000, 1000, 2), 0.0)


def test_probe_that_found_no_packets_is_given_up():
    pacer = make(padding_bytes_max=0, probe_wait_max_s=1.0)
    pacer.probe(ProbeCluster(1, 1_000_000, 1000, 2), 0.0)
    pacer.enqueue("v", 100, VIDEO, 1.5)
    assert [packet.probe_id for packet in pacer.take(1.5)] == [0]
    assert pacer.stats.probes_abandoned == 1


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 0.2), st.integers(1, 1500), st.sampled_from([RTX, VIDEO])), min_size=1, max_size=60
    ),
    st.sampled_from([0.0, 0.005, 0.04]),
)
def test_no_interval_carries_more_than_the_rate_a_burst_and_a_packet(arrivals, burst_s):
    pacer = make(burst_s=burst_s, queue_time_max_s=60.0)
    now, taken = 0.0, []
    for gap, size, priority in arrivals:
        taken += drain(pacer, now, now + gap)
        now += gap
        pacer.enqueue("x", size, priority, now)
    taken += drain(pacer, now, 1000.0)
    assert len(arrivals) == len(taken)
    for index, (begin, _) in enumerate(taken):
        total = 0
        for at, packet in taken[index:]:
            total += packet.size_bytes
            assert total <= 100_000 * (at - begin + burst_s) + 1500 + 1e-6


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 0.3), st.integers(1, 1500), st.sampled_from([AUDIO, RTX, VIDEO])), max_size=60))
def test_after_take_the_deadline_is_in_the_future_and_counts_agree(arrivals):
    pacer, now = make(), 0.0
    for gap, size, priority in arrivals:
        now += gap
        pacer.enqueue("x", size, priority, now)
        pacer.take(now)
        assert pacer.deadline > now
        assert (pacer.queued_packets == 0) == (pacer.queued_bytes == 0)


def test_packets_that_pass_keep_the_pace():
    pacer = Pacer(PacerConfig(start_bitrate_bps=1_000_000))
    sent = sum(pacer.passes(1200, step / 1000) for step in range(1000))
    assert 2_500_000 - 9600 <= sent * 9600 <= 2_500_000 * 1.005 + 9600
    assert pacer.stats.bytes_sent == 1200 * sent


def test_packet_does_not_pass_those_that_wait():
    pacer = Pacer(PacerConfig())
    pacer.enqueue("item", 1200, Priority.VIDEO, 0.0)
    assert not pacer.passes(1200, 0.0)


def test_oldest_packet_can_be_dropped():
    pacer = Pacer(PacerConfig())
    for item in "abc":
        pacer.enqueue(item, 1200, Priority.VIDEO, 0.0)
    assert (pacer.oldest(Priority.VIDEO), pacer.drop_oldest(Priority.VIDEO)) == ("a", "a")
    assert (pacer.queued_packets, pacer.queued_bytes) == (2, 2400)
    assert pacer.drop_oldest(Priority.AUDIO) is None
