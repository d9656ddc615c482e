"""Groups, the rate of arrival, the line, the detector, and the drain of a queue that stands."""

import math

import pytest

from sans_rtc.congestion import EstimatorConfig, Usage
from sans_rtc.congestion.arrival import ArrivalRate, GroupDelta, InterArrival
from sans_rtc.congestion.drain import DRAIN_MAX_S, QueueDrain
from sans_rtc.congestion.trendline import OveruseDetector, Trendline

CONFIG = EstimatorConfig()


def deltas(packets, burst_s=0.005):
    groups = InterArrival(burst_s)
    found = [groups.add(sent_at, received_at, 1200) for sent_at, received_at in packets]
    return [(round(d.sent_s, 6), round(d.received_s, 6)) for d in found if d is not None]


def test_packets_sent_within_the_burst_time_are_one_group():
    packets = [(0.0, 1.0), (0.004, 1.004), (0.02, 1.03), (0.024, 1.034), (0.04, 1.05)]
    assert deltas(packets) == [(0.02, 0.03)]


def test_packets_that_arrive_bunched_after_an_outage_are_one_group():
    packets = [(0.0, 1.0), (0.02, 1.02), (0.04, 1.1), (0.06, 1.101), (0.08, 1.102), (0.2, 1.2)]
    assert deltas(packets) == [(0.02, 0.02), (0.06, 0.082)]


def test_packet_overtaken_by_a_group_is_not_looked_at():
    packets = [(0.0, 1.0), (0.02, 1.02), (0.01, 1.025), (0.04, 1.04)]
    assert deltas(packets) == [(0.02, 0.02)]


def test_group_that_arrives_before_the_one_ahead_is_not_compared_and_three_begin_anew():
    packets = [(0.0, 1.0), (0.02, 1.2), (0.04, 1.1), (0.06, 1.12), (0.08, 1.14)]
    assert deltas(packets) == [(0.02, 0.2), (0.02, 0.02)]
    backwards = [(n / 50, 2.0 - n / 50) for n in range(5)]
    assert deltas([*backwards, (0.2, 3.0), (0.22, 3.02), (0.24, 3.04)]) == [(0.12, 1.08), (0.02, 0.02)]


def test_jump_of_the_clock_begins_anew():
    packets = [(0.0, 1.0), (0.02, 1.02), (0.04, 100.0), (0.06, 100.02), (0.08, 100.04), (0.1, 100.06)]
    assert deltas(packets) == [(0.02, 0.02), (0.02, 0.02)]


def test_arrival_rate_is_that_of_the_windows():
    rate = ArrivalRate()
    for index in range(100):
        rate.add(index / 100, 1250)
    assert pytest.approx(rate.bitrate_bps, rel=0.02) == 1_000_000


@pytest.mark.parametrize("factor", [0.2, 5])
def test_arrival_rate_follows_a_change_in_under_a_second(factor):
    rate = ArrivalRate()
    for index in range(100):
        rate.add(index / 100, 1000)
    for index in range(100):
        rate.add(1 + index / 100, int(1000 * factor))
    assert 800_000 * factor == pytest.approx(rate.bitrate_bps, rel=0.1)


def test_arrival_rate_survives_a_clock_that_goes_back():
    rate = ArrivalRate()
    for at in (100.0, 100.2, 3.0, 3.1, 3.3, 3.6):
        rate.add(at, 1000)
    assert math.isfinite(rate.bitrate_bps)


def feed(trend, detector, growth_ms, count, start=0.0):
    usages = []
    for index in range(count):
        delta = GroupDelta(0.01, 0.01 + growth_ms / 1000, start + index * (0.01 + growth_ms / 1000))
        trend.add(delta)
        detector.update(trend.trend_ms, delta)
        usages.append(detector.usage)
    return usages


def test_slope_is_the_growth_of_the_delay():
    trend = Trendline(20)
    feed(trend, OveruseDetector(CONFIG), 1.0, 200)
    assert pytest.approx(trend.slope, rel=0.01) == 1 / 11


def test_steady_delay_is_normal():
    assert {Usage.NORMAL} == set(feed(Trendline(20), OveruseDetector(CONFIG), 0.0, 100))


def test_growing_delay_is_overuse_and_shrinking_is_underuse():
    trend, detector = Trendline(20), OveruseDetector(CONFIG)
    assert Usage.OVERUSE in feed(trend, detector, 1.0, 60)
    assert Usage.UNDERUSE in feed(trend, detector, -1.0, 60, 10.0)


def test_one_late_group_is_no_overuse():
    trend, detector = Trendline(20), OveruseDetector(CONFIG)
    feed(trend, detector, 0.0, 60)
    late = feed(trend, detector, 8.0, 1, 1.0) + feed(trend, detector, -8.0, 1, 1.02)
    assert Usage.OVERUSE not in late + feed(trend, detector, 0.0, 30, 1.03)


def test_threshold_rises_with_the_trend_and_falls_back_within_bounds():
    detector = OveruseDetector(CONFIG)
    for index in range(1000):
        detector.update(detector.threshold_ms + 10, GroupDelta(0.01, 0.01, index / 100))
    high = detector.threshold_ms
    for index in range(5000):
        detector.update(0.0, GroupDelta(0.01, 0.01, 10 + index / 100))
    assert high > 100
    assert detector.threshold_ms == 6.0


def test_threshold_does_not_follow_a_spike():
    detector = OveruseDetector(CONFIG)
    detector.update(1000.0, GroupDelta(0.01, 0.5, 1.0))
    assert detector.threshold_ms == 12.5


def drain_over(delays, arrival_bps=1e6):
    drain, caps = QueueDrain(CONFIG), []
    for index, delay in enumerate(delays):
        drain.update(delay, arrival_bps, index / 20)
        caps.append(drain.bitrate_bps)
    return caps


def test_queue_that_stands_caps_the_rate_until_it_is_gone():
    caps = drain_over([5.0] * 20 + [5.2] * 20 + [5.01] * 5)
    assert math.inf == caps[19]
    assert pytest.approx(caps[39]) == 600_000
    assert math.inf == caps[-1]


def test_queue_that_is_short_or_passes_is_let_be():
    assert {math.inf} == set(drain_over([5.0] * 20 + [5.09] * 40))
    assert {math.inf} == set(drain_over(([5.0] * 4 + [5.3] * 2) * 20))


def test_path_that_became_longer_is_drained_once_and_then_believed():
    caps = drain_over([5.0] * 20 + [5.3] * 400)
    capped = [cap for cap in caps if cap < math.inf]
    assert 0 < len(capped) <= 20 * (DRAIN_MAX_S + 0.1)
    assert {math.inf} == set(caps[-200:])


def test_drain_never_takes_more_than_half():
    assert min(drain_over([5.0] * 20 + [9.0] * 20)) == 500_000
