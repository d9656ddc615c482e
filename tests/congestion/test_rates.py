"""Rate control by delay, the bound by loss, probes, and the application's own limit."""

import math

import pytest

from sans_rtc.congestion import EstimatorConfig, ProbeCluster, Usage
from sans_rtc.congestion.loss_bound import LossBound
from sans_rtc.congestion.probing import ApplicationLimit, ProbePlanner, ProbeResults
from sans_rtc.congestion.rate_control import LinkCapacity, RateControl

CONFIG = EstimatorConfig(start_bitrate_bps=1_000_000)
NORMAL, OVERUSE, UNDERUSE = Usage


def test_unknown_capacity_is_approached_by_eight_percent_a_second():
    rate = RateControl(CONFIG)
    for tenth in range(11):
        rate.update(NORMAL, None, tenth / 10)
    assert pytest.approx(rate.bitrate_bps, rel=0.001) == 1_080_000


def test_known_capacity_is_approached_by_about_a_packet_in_a_response_time():
    rate = RateControl(CONFIG)
    rate.rtt_s = 0.1
    rate.update(OVERUSE, 1_000_000, 0.0)
    for tenth in range(1, 12):
        rate.update(NORMAL, 1_000_000, tenth / 10)
    packet_bits = 850_000 / 30 / 3
    assert 850_000 + packet_bits / 0.2 == pytest.approx(rate.bitrate_bps, rel=0.01)


def test_overuse_cuts_below_what_arrives():
    rate = RateControl(CONFIG)
    assert rate.update(OVERUSE, 800_000, 0.0)
    assert rate.bitrate_bps == 680_000


def test_overuse_never_raises():
    rate = RateControl(CONFIG)
    rate.update(OVERUSE, 5_000_000, 0.0)
    assert rate.bitrate_bps == 1_000_000


def test_second_cut_waits_a_round_trip():
    rate = RateControl(CONFIG)
    rate.rtt_s = 0.1
    rate.update(OVERUSE, 900_000, 0.0)
    assert not rate.update(OVERUSE, 700_000, 0.05)
    assert rate.update(OVERUSE, 700_000, 0.11)


def test_second_cut_does_not_wait_where_much_less_arrives():
    rate = RateControl(CONFIG)
    rate.update(OVERUSE, 900_000, 0.0)
    assert rate.update(OVERUSE, 300_000, 0.01)


def changes_by(usages):
    """How each signal, a second after the one before, moved the rate: up, down or not."""
    rate = RateControl(CONFIG)
    rate.update(NORMAL, 1_000_000, 0.0)
    moves = []
    for second, usage in enumerate(usages, 1):
        before = rate.bitrate_bps
        rate.update(usage, 1_000_000, float(second))
        moves.append((rate.bitrate_bps > before) - (rate.bitrate_bps < before))
    return moves


@pytest.mark.parametrize(
    ("usages", "moves"),
    [
        ([NORMAL, NORMAL], [1, 1]),
        ([UNDERUSE, UNDERUSE, NORMAL], [0, 0, 1]),
        ([OVERUSE, NORMAL, NORMAL], [-1, 0, 1]),
        ([OVERUSE, UNDERUSE, NORMAL], [-1, 0, 1]),
    ],
)
def test_states_follow_their_table(usages, moves):
    assert moves == changes_by(usages)


def test_rate_does_not_run_away_from_what_arrives():
    rate = RateControl(CONFIG)
    for second in range(100):
        rate.update(NORMAL, 800_000, second)
    assert pytest.approx(rate.bitrate_bps) == 1_210_000


def test_rate_is_not_lowered_where_the_application_sends_less():
    rate = RateControl(CONFIG)
    for second in range(10):
        rate.update(NORMAL, 100_000, second)
    assert rate.bitrate_bps == 1_000_000


def test_rate_stays_within_its_limits():
    config = EstimatorConfig(start_bitrate_bps=50_000, min_bitrate_bps=40_000, max_bitrate_bps=60_000)
    rate = RateControl(config)
    for second in range(100):
        rate.update(NORMAL, None, second)
    assert rate.bitrate_bps == 60_000
    rate.update(OVERUSE, 1000, 200.0)
    assert rate.bitrate_bps == 40_000


def test_capacity_is_forgotten_where_far_more_arrives():
    rate = RateControl(CONFIG)
    rate.update(OVERUSE, 1_000_000, 0.0)
    rate.update(NORMAL, 1_000_000, 0.5)
    assert not rate.has_outgrown
    rate.update(NORMAL, 2_000_000, 1.0)
    assert rate.has_outgrown
    assert rate.capacity.bitrate_bps is None


def test_capacity_bounds_hold_its_samples():
    capacity = LinkCapacity()
    assert (0.0, math.inf) == capacity.bounds_bps
    for sample in (1_000_000, 1_020_000, 980_000):
        capacity.add(sample)
    low, high = capacity.bounds_bps
    assert low < 980_000 < 1_020_000 < high


def run_loss(bound, losses, rates, start=0.0):
    """A window of a hundred packets each half second; how many cuts."""
    cuts = 0
    for index, (loss, rate) in enumerate(zip(losses, rates, strict=True)):
        bound.add(round(loss * 100), 100, int(rate / 16))
        cuts += bound.update(rate, 10e6, 0.05, start + index / 2)
    return cuts


def test_little_loss_does_not_bound():
    bound = LossBound(CONFIG)
    assert run_loss(bound, [0.01] * 10, [1e6] * 10) == 0
    assert math.inf == bound.bitrate_bps


def test_much_loss_cuts_by_half_of_it():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.2], [1e6])
    assert pytest.approx(bound.bitrate_bps) == 900_000


def test_loss_between_holds():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.2, 0.05, 0.05], [1e6] * 3)
    assert pytest.approx(bound.bitrate_bps) == 900_000


def test_bound_grows_and_goes_where_loss_has_ended():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.2] + [0.0] * 10, [1e6] * 11)
    assert pytest.approx(bound.bitrate_bps, rel=0.01) == 900_000 * 1.08**5
    run_loss(bound, [0.0] * 100, [1e6] * 100, 5.5)
    assert math.inf == bound.bitrate_bps


def test_loss_is_not_judged_on_few_packets():
    bound = LossBound(CONFIG)
    bound.add(10, 19, 0)
    assert not bound.update(1e6, 10e6, 0.05, 10.0)


def test_same_loss_at_falling_rates_is_the_paths_own():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.15] * 16, [1e6 * 0.95**n for n in range(16)])
    assert pytest.approx(0.15) == bound.inherent_loss


def test_loss_that_falls_with_the_rate_is_not_excused():
    rates = [1e6 * 0.95**n for n in range(16)]
    bound = LossBound(CONFIG)
    run_loss(bound, [max(0.0, 1 - 450_000 / rate) for rate in rates], rates)
    assert bound.inherent_loss == 0.0


def test_loss_at_a_constant_rate_is_not_excused():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.15] * 40, [1e6] * 40)
    assert bound.inherent_loss == 0.0


def test_excused_loss_is_not_excused_any_more_once_it_has_ended():
    bound = LossBound(CONFIG)
    run_loss(bound, [0.15] * 16, [1e6 * 0.95**n for n in range(16)])
    run_loss(bound, [0.0] * 16, [5e5] * 16, 8.0)
    assert bound.inherent_loss == 0.0


def send_probe(results, cluster, count=5, size=1000, send_gap=0.002, receive_gap=0.002):
    results.expect(cluster)
    for index in range(count):
        results.add(cluster.probe_id, 1 + index * send_gap, 9 + index * receive_gap, size)
    return results.take()


CLUSTER = ProbeCluster(1, 4_000_000, 5000, 5)


def test_probe_that_passes_shows_the_rate_that_was_sent():
    (result,) = send_probe(ProbeResults(), CLUSTER)
    assert (pytest.approx(4_000_000), False) == (result.bitrate_bps, result.is_saturated)


def test_probe_that_is_slowed_down_shows_a_little_less_than_what_arrived():
    (result,) = send_probe(ProbeResults(), CLUSTER, receive_gap=0.008)
    assert (pytest.approx(950_000), True) == (result.bitrate_bps, result.is_saturated)


@pytest.mark.parametrize(
    "changes", [{"count": 3}, {"size": 100}, {"receive_gap": 0.0005}, {"send_gap": 0.0}, {"send_gap": 0.5}]
)
def test_probe_that_cannot_be_measured_shows_nothing(changes):
    assert send_probe(ProbeResults(), CLUSTER, **changes) == []


def test_probe_is_answered_once():
    results = ProbeResults()
    send_probe(results, CLUSTER)
    results.add(1, 1.01, 9.01, 1000)
    assert results.take() == []


def test_clusters_unknown_or_forgotten_are_ignored():
    results = ProbeResults()
    results.add(99, 1.0, 9.0, 1000)
    for number in range(100):
        results.expect(ProbeCluster(number, 1_000_000, 1000, 2))
    results.add(0, 1.0, 9.0, 1000)
    assert results.take() == []


def bitrates(planner):
    return [cluster.bitrate_bps for cluster in planner.planned.take()]


def test_probing_begins_with_three_and_six_times_the_start():
    planner = ProbePlanner(CONFIG)
    planner.start(1e6, 0.0)
    assert bitrates(planner) == [3_000_000, 6_000_000]


def test_probing_goes_on_with_twice_a_good_result_and_ends_with_a_poor_one():
    planner = ProbePlanner(CONFIG)
    (result,) = send_probe(ProbeResults(), CLUSTER)
    planner.on_result(result, 4e6, 1.0)
    assert [round(rate, -3) for rate in bitrates(planner)] == [8_000_000]
    (result,) = send_probe(ProbeResults(), CLUSTER, receive_gap=0.008)
    planner.on_result(result, 1e6, 1.0)
    assert bitrates(planner) == []


def test_no_probe_is_above_the_maximum_nor_below_the_target():
    planner = ProbePlanner(CONFIG)
    planner.start(20e6, 0.0)
    assert {30_000_000} == set(bitrates(planner))
    planner.start(30e6, 0.0)
    assert bitrates(planner) == []


def test_limited_application_is_probed_every_five_seconds():
    planner = ProbePlanner(CONFIG)
    assert math.inf == planner.deadline(None)
    assert planner.deadline(1.0) == 6.0
    planner.process(1e6, 1.0, 6.0)
    assert bitrates(planner) == [2_000_000]
    assert planner.deadline(1.0) == 11.0


def test_drop_is_probed_after_three_six_and_twelve_seconds_and_then_left():
    planner = ProbePlanner(CONFIG)
    planner.on_cut(2e6, 1.5e6, 0.0)
    planner.on_cut(1.5e6, 1e6, 0.5)
    times = []
    while planner.deadline(None) < math.inf:
        now = planner.deadline(None)
        planner.process(1e6, None, now)
        times += [(now, rate) for rate in bitrates(planner)]
    assert times == [(3.5, 1_700_000), (9.5, 1_700_000), (21.5, 1_700_000)]


def test_small_cut_is_no_drop():
    planner = ProbePlanner(CONFIG)
    planner.on_cut(2e6, 1.7e6, 0.0)
    assert math.inf == planner.deadline(None)


def test_cut_after_a_probe_is_no_drop():
    planner = ProbePlanner(CONFIG)
    planner.on_outgrown(1e6, 0.0)
    planner.on_cut(2e6, 1e6, 0.5)
    assert math.inf == planner.deadline(None)


def test_application_that_sends_less_than_its_share_is_limited_until_it_sends_more():
    limit = ApplicationLimit(0.65)
    for tenth in range(50):
        limit.on_sent(2500, 1e6, tenth / 10)
    assert limit.limited_since is not None
    for tenth in range(50, 70):
        limit.on_sent(12_000, 1e6, tenth / 10)
    assert limit.limited_since is None
