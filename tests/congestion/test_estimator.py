"""The estimator as a whole: limits, causes, events, REMB, silence, and any feedback at all."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.congestion import (
    Cause,
    EstimatorConfig,
    FeedbackConfig,
    PacerConfig,
    PacketResult,
    ProbeCluster,
    SendSideEstimator,
    TargetBitrate,
)
from sans_rtc.congestion.stats import EstimatorDiscardReason
from sans_rtc.errors import InvalidArgument


class Feeder:
    """Sends packets of 1200 bytes at a rate, with a feedback every 50 ms."""

    def __init__(self, **changes):
        changes.setdefault("initial_probe_factors", ())
        self.estimator = SendSideEstimator(EstimatorConfig(**changes))
        self.now = 0.0
        self.sequence = 0
        self.delay_s = 0.03
        self.events = []

    def run(self, seconds, rate_bps=None, growth=0.0, lost=lambda sequence: False, ecn=0, has_feedback=True):
        estimator, until = self.estimator, self.now + seconds
        results, feedback_at = [], self.now + 0.05
        while self.now < until:
            rate = rate_bps or estimator.target_bitrate_bps
            estimator.on_sent(self.sequence, 1200, self.now)
            received_at = None if lost(self.sequence) else self.now + self.delay_s
            results.append(PacketResult(self.sequence, self.now, 1200, received_at, ecn))
            self.sequence += 1
            self.now += 9600 / rate
            self.delay_s += growth * 9600 / rate
            if self.now >= feedback_at:
                if has_feedback:
                    estimator.on_feedback(results, self.now)
                results, feedback_at = [], self.now + 0.05
            if estimator.deadline <= self.now:
                estimator.handle_timer(self.now)
            self.events += estimator.take_events()
        return self

    @property
    def target(self):
        return self.estimator.target_bitrate_bps

    @property
    def causes(self):
        return [event.cause for event in self.events if isinstance(event, TargetBitrate)]


def test_target_begins_at_the_start_bitrate():
    assert Feeder().target == 300_000


def test_path_without_queue_or_loss_lets_the_target_grow():
    feeder = Feeder().run(10.0)
    assert feeder.target > 1.8 * 300_000
    assert {Cause.INCREASE} == set(feeder.causes)


def test_growing_delay_cuts():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(2.0).run(0.5, growth=0.2)
    assert feeder.target < 950_000
    assert feeder.causes[-1] == Cause.DELAY


def test_loss_cuts():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(3.0, lost=lambda sequence: sequence % 4 == 0)
    assert feeder.target < 700_000
    assert Cause.LOSS in feeder.causes


def test_congestion_marks_are_counted_as_loss():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(2.0, ecn=3)
    assert Cause.LOSS in feeder.causes
    assert feeder.estimator.stats.ce_marks > 50
    assert Cause.LOSS not in Feeder(start_bitrate_bps=1_000_000).run(2.0, ecn=1).causes


def test_remb_is_a_cap_until_the_next():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(1.0)
    feeder.estimator.on_remb(400_000, feeder.now)
    assert feeder.target == 400_000
    assert TargetBitrate(400_000, Cause.REMB) == feeder.estimator.take_events()[-1]
    feeder.estimator.on_remb(10_000_000, feeder.now)
    assert feeder.target > 900_000


def test_remb_alone_is_followed():
    estimator = SendSideEstimator(EstimatorConfig())
    for bitrate in (800_000, 2_000_000, 500_000):
        estimator.on_remb(bitrate, 1.0)
        assert bitrate == estimator.target_bitrate_bps


def test_remb_of_nothing_gives_the_minimum_and_a_negative_one_is_discarded():
    estimator = SendSideEstimator(EstimatorConfig())
    estimator.on_remb(-5, 1.0)
    assert (
        estimator.target_bitrate_bps, estimator.stats.discards[EstimatorDiscardReason.INVALID_REMB]
    ) == (300_000, 1)  # fmt: skip
    estimator.on_remb(0, 1.0)
    assert estimator.target_bitrate_bps == 30_000


def test_loss_reports_bound_where_there_is_no_feedback():
    estimator = SendSideEstimator(EstimatorConfig(start_bitrate_bps=1_000_000))
    estimator.on_loss_report(20, 100, 1.0)
    assert estimator.target_bitrate_bps == 900_000
    with pytest.raises(InvalidArgument):
        estimator.on_loss_report(2, 1, 1.0)


def test_first_packet_starts_the_probes():
    estimator = SendSideEstimator(EstimatorConfig())
    estimator.on_sent(0, 1200, 5.0)
    assert [event.bitrate_bps for event in estimator.take_events()] == [900_000, 1_800_000]
    estimator.on_sent(1, 1200, 5.1)
    assert list(estimator.take_events()) == []


def probe_results(cluster, receive_gap):
    send_gap = 9600 / cluster.bitrate_bps
    return [
        PacketResult(n, 1 + n * send_gap, 1200, 2 + n * receive_gap(send_gap), 0, cluster.probe_id) for n in range(6)
    ]


def test_probe_that_passes_raises_the_target_and_doubles():
    estimator = SendSideEstimator(EstimatorConfig())
    estimator.on_sent(0, 1200, 1.0)
    cluster = estimator.take_events()[-1]
    estimator.on_feedback(probe_results(cluster, lambda gap: gap), 1.1)
    further, target = estimator.take_events()
    assert (pytest.approx(1_800_000, rel=0.01), Cause.PROBE) == (target.bitrate_bps, target.cause)
    assert isinstance(further, ProbeCluster)
    assert pytest.approx(3_600_000, rel=0.01) == further.bitrate_bps


def test_first_probe_on_a_narrow_path_lowers_the_target():
    estimator = SendSideEstimator(EstimatorConfig())
    estimator.on_sent(0, 1200, 1.0)
    cluster = estimator.take_events()[-1]
    estimator.on_feedback(probe_results(cluster, lambda gap: 0.0768), 2.1)
    assert pytest.approx(0.95 * 125_000, rel=0.01) == estimator.target_bitrate_bps


def test_silence_cuts_once_a_second():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(1.0)
    before = feeder.target
    feeder.run(4.5, has_feedback=False)
    assert before * 0.8**3 == pytest.approx(feeder.target, rel=0.01)
    assert feeder.estimator.stats.timeouts == 3
    assert feeder.causes[-1] == Cause.TIMEOUT


def test_silence_of_the_sender_or_of_a_peer_that_never_reported_is_none():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(5.0, has_feedback=False)
    assert feeder.target == 1_000_000
    assert feeder.estimator.stats.timeouts == 0


def test_events_keep_their_distance_and_the_last_is_told_by_the_timer():
    estimator = SendSideEstimator(EstimatorConfig(event_interval_s=0.1))
    estimator.on_remb(500_000, 0.0)
    estimator.on_remb(510_000, 0.02)
    assert [event.bitrate_bps for event in estimator.take_events()] == [500_000]
    assert estimator.deadline == 0.1
    estimator.handle_timer(0.1)
    assert [TargetBitrate(510_000, Cause.REMB)] == list(estimator.take_events())
    assert math.inf == estimator.deadline


def test_sharp_cut_is_told_at_once():
    estimator = SendSideEstimator(EstimatorConfig())
    estimator.on_remb(500_000, 0.0)
    estimator.on_remb(100_000, 0.01)
    assert [event.bitrate_bps for event in estimator.take_events()] == [500_000, 100_000]


def test_limits_can_be_narrowed_and_a_higher_maximum_is_probed():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(1.0)
    feeder.estimator.set_limits(30_000, 500_000, feeder.now)
    assert feeder.target == 500_000
    feeder.estimator.take_events()
    feeder.estimator.set_limits(30_000, 2_000_000, feeder.now)
    assert 2_000_000 in [event.bitrate_bps for event in feeder.estimator.take_events()]


@pytest.mark.parametrize(("low", "high"), [(1, 1_000_000), (2_000_000, 1_000_000), (30_000, 10**11)])
def test_limits_beyond_the_configuration_are_refused(low, high):
    with pytest.raises(InvalidArgument):
        SendSideEstimator(EstimatorConfig()).set_limits(low, high, 0.0)


@pytest.mark.parametrize("rtt_s", [-1.0, math.inf, math.nan])
def test_rtt_that_is_no_time_is_refused(rtt_s):
    with pytest.raises(InvalidArgument):
        SendSideEstimator(EstimatorConfig()).on_rtt(rtt_s, 0.0)


def test_path_change_begins_anew():
    feeder = Feeder().run(10.0)
    feeder.estimator.on_path_changed(feeder.now)
    assert feeder.target == 300_000
    assert feeder.estimator.statistics.arrival_bps is None
    feeder.run(5.0)
    assert feeder.target > 350_000


def test_what_a_limited_application_sent_is_no_measure_once_it_sends_more():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(6.0, rate_bps=100_000)
    assert feeder.estimator.statistics.is_application_limited
    while feeder.estimator.statistics.is_application_limited:
        feeder.run(0.01, rate_bps=1_000_000, has_feedback=False)
    assert feeder.estimator.statistics.arrival_bps is None


def test_limited_application_is_not_cut_to_what_it_sends():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(6.0, rate_bps=100_000)
    feeder.estimator.on_rtt(0.2, feeder.now)
    feeder.run(1.0, rate_bps=100_000, growth=0.3)
    assert 1 <= feeder.estimator.stats.delay_cuts <= 6
    assert feeder.estimator.statistics.delay_bps > 350_000


def test_statistics_tell_how_it_stands():
    feeder = Feeder(start_bitrate_bps=1_000_000).run(3.0)
    statistics = feeder.estimator.statistics
    assert feeder.target == statistics.target_bps
    assert feeder.target == pytest.approx(statistics.arrival_bps, rel=0.1)
    assert 0.0 <= statistics.rtt_s < 0.2
    assert not statistics.is_application_limited


@pytest.mark.parametrize(
    "make",
    [
        lambda: EstimatorConfig(min_bitrate_bps=400_000),
        lambda: EstimatorConfig(max_bitrate_bps=200_000),
        lambda: EstimatorConfig(loss_low=0.2),
        lambda: EstimatorConfig(initial_probe_factors=(0.5,)),
        lambda: EstimatorConfig(initial_probe_factors=(2.0,) * 5),
        lambda: EstimatorConfig(beta=1.5),
        lambda: PacerConfig(pacing_factor=0.5),
        lambda: PacerConfig(queue_bytes_max=0),
        lambda: FeedbackConfig(history_packets_max=65_536),
    ],
)
def test_configuration_out_of_range_is_refused(make):
    with pytest.raises(InvalidArgument):
        make()


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 3),
            st.lists(
                st.tuples(
                    st.floats(-10, 10), st.one_of(st.none(), st.floats(-1e9, 1e9)), st.integers(0, 3), st.integers(0, 4)
                ),
                max_size=12,
            ),
            st.one_of(st.none(), st.integers(-1, 1 << 63)),
        ),
        max_size=25,
    )
)
def test_any_feedback_leaves_the_target_within_limits_and_the_deadline_ahead(steps):
    estimator = SendSideEstimator(EstimatorConfig(max_bitrate_bps=5_000_000))
    now = 100.0
    for elapsed, packets, remb in steps:
        now += elapsed
        estimator.on_sent(0, 1200, now)
        results = [
            PacketResult(index, now + offset, 1200, received_at, ecn, probe_id)
            for index, (offset, received_at, ecn, probe_id) in enumerate(packets)
        ]
        estimator.on_feedback(results, now)
        if remb is not None:
            estimator.on_remb(remb, now)
        if estimator.deadline <= now:
            estimator.handle_timer(now)
        assert estimator.deadline > now
        assert 30_000 <= estimator.target_bitrate_bps <= 5_000_000
        assert len(estimator.take_events()) < 20
