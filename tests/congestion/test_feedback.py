"""The adapter: both kinds of feedback, wrapping, overtaking, forgetting, and a peer that reports nonsense."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.congestion import DiscardReason, FeedbackAdapter, FeedbackConfig
from sans_rtc.congestion.feedback import CCFB_PERIOD_S, TRANSPORT_WIDE_PERIOD_S
from sans_rtc.errors import InvalidArgument


def make(count=0, **changes):
    adapter = FeedbackAdapter(FeedbackConfig(**changes))
    for number in range(count):
        adapter.on_sent(number, 100, number / 10)
    return adapter


def brief(results):
    return [(result.sequence, result.received_at) for result in results]


def test_transport_feedback_tells_what_became_of_each_packet():
    adapter = make()
    adapter.on_sent(65_535, 1200, 1.0, probe_id=3)
    adapter.on_sent(0, 900, 1.5)
    first, second = adapter.on_transport_feedback([(65_535, 64.25), (0, None)], 2.0)
    assert (
        first.sequence, first.sent_at, first.size_bytes, first.received_at, first.ecn, first.probe_id
    ) == (0, 1.0, 1200, 64.25, 0, 3)  # fmt: skip
    assert (second.sequence, second.sent_at, second.size_bytes, second.received_at) == (1, 1.5, 900, None)


def test_ccfb_streams_are_numbered_together_in_the_order_of_sending():
    adapter = make()
    adapter.on_sent(7, 100, 0.0, ssrc=111)
    adapter.on_sent(7, 100, 0.1, ssrc=222)
    adapter.on_sent(8, 100, 0.2, ssrc=111)
    results = adapter.on_ccfb([(111, 7, 5.0, 1), (111, 8, 5.2, 3), (222, 7, None, 0)], 0.5)
    assert [(r.sequence, r.received_at, r.ecn) for r in results] == [(0, 5.0, 1), (1, None, 0), (2, 5.2, 3)]


def test_packet_reported_twice_counts_once():
    adapter = make(1)
    adapter.on_transport_feedback([(0, 1.0)], 1.0)
    assert adapter.on_transport_feedback([(0, 1.0)], 1.0) == []
    assert adapter.stats.discards[DiscardReason.UNKNOWN_PACKET] == 1


def test_packet_missing_in_overlapping_reports_is_lost_once():
    adapter = make(1)
    assert brief(adapter.on_transport_feedback([(0, None)], 1.0)) == [(0, None)]
    assert adapter.on_transport_feedback([(0, None)], 1.0) == []
    assert adapter.stats.discards[DiscardReason.ALREADY_REPORTED] == 1


def test_packet_that_was_overtaken_is_received_after_all():
    adapter = make(1)
    adapter.on_transport_feedback([(0, None)], 1.0)
    assert brief(adapter.on_transport_feedback([(0, 2.0)], 1.1)) == [(0, 2.0)]


def test_bytes_in_flight_are_those_not_reported():
    adapter = make(3)
    assert adapter.in_flight_bytes == 300
    adapter.on_transport_feedback([(0, 1.0), (1, None)], 1.0)
    assert adapter.in_flight_bytes == 100
    adapter.on_transport_feedback([(1, 1.0), (2, 1.0)], 1.0)
    assert adapter.in_flight_bytes == 0


def test_sequence_number_used_again_is_the_newer_packet():
    adapter = make(1)
    adapter.on_sent(0, 50, 5.0)
    assert brief(adapter.on_transport_feedback([(0, 5.1)], 6.0)) == [(1, 5.1)]
    assert adapter.in_flight_bytes == 0


def test_history_is_bounded_in_time():
    adapter = make(1, history_s=1.0)
    assert adapter.on_transport_feedback([(0, 1.0)], 1.1) == []
    assert (adapter.stats.packets_forgotten, adapter.in_flight_bytes) == (1, 0)


def test_each_packet_is_forgotten_in_its_time():
    adapter = make(history_s=1.0)
    for number in range(50):
        adapter.on_sent(number, 100, number / 8)
        assert list(adapter._history) == list(range(max(0, number - 8), number + 1))
    assert adapter.on_transport_feedback([], 20.0) == []
    assert (adapter.in_flight_bytes, adapter.stats.packets_forgotten) == (0, 50)


def test_history_is_bounded_in_packets():
    adapter = make(5, history_packets_max=3)
    assert brief(adapter.on_transport_feedback([(n, 1.0) for n in range(5)], 1.0)) == [(2, 1.0), (3, 1.0), (4, 1.0)]
    assert adapter.stats.packets_forgotten == 2


@pytest.mark.parametrize("period_s", [TRANSPORT_WIDE_PERIOD_S, CCFB_PERIOD_S])
def test_arrival_times_go_on_where_they_wrap(period_s):
    adapter = make()
    adapter.on_sent(0, 100, 0.0, ssrc=0)
    adapter.on_sent(1, 100, 0.1, ssrc=0)
    arrivals = [(0, period_s - 0.05), (1, 0.05)]
    if period_s == CCFB_PERIOD_S:
        results = adapter.on_ccfb([(0, number, at, 0) for number, at in arrivals], 1.0)
    else:
        results = adapter.on_transport_feedback(arrivals, 1.0)
    assert pytest.approx(0.1) == results[1].received_at - results[0].received_at


@pytest.mark.parametrize("arrival", [math.nan, math.inf, -math.inf, 1e300, -1e300])
def test_arrival_that_is_no_time_is_discarded_and_the_packet_is_not_lost(arrival):
    adapter = make(1)
    assert adapter.on_ccfb([(0, 0, arrival, 0)], 1.0) == []
    assert adapter.stats.discards[DiscardReason.NO_ARRIVAL_TIME] == 1
    assert (adapter.stats.packets_lost, adapter.in_flight_bytes) == (0, 0)


def test_endless_report_is_cut_off():
    adapter = make(1)
    adapter.on_transport_feedback(((1, None) for _ in iter(int, 1)), 1.0)
    assert adapter.stats.discards[DiscardReason.TOO_MANY_REPORTS] == 1


@pytest.mark.parametrize(("number", "size", "ssrc"), [(-1, 1, 0), (65_536, 1, 0), (0, 0, 0), (0, 1, 1 << 32)])
def test_on_sent_refuses_what_is_no_packet(number, size, ssrc):
    adapter = make()
    with pytest.raises(InvalidArgument):
        adapter.on_sent(number, size, 0.0, ssrc=ssrc)
    assert adapter.stats.packets_sent == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("sent"), st.integers(0, 30), st.integers(1, 1500)),
            st.tuples(st.just("report"), st.integers(0, 30), st.one_of(st.none(), st.floats())),
        ),
        max_size=80,
    )
)
def test_any_reports_leave_flight_and_history_in_agreement(steps):
    adapter = make(history_packets_max=10)
    results = []
    for index, (kind, number, value) in enumerate(steps):
        if kind == "sent":
            adapter.on_sent(number, value, index / 10)
        else:
            results += adapter.on_transport_feedback([(number, value)], index / 10)
    kept = adapter._history
    assert sum(size for key, (_, _, size, _) in kept.items() if key not in adapter._missing) == adapter.in_flight_bytes
    assert adapter._missing <= kept.keys()
    assert len(kept) <= 10
    received = [result.sequence for result in results if result.received_at is not None]
    assert len(received) == len(set(received))
