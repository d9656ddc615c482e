"""The whole loop over one bottleneck, in virtual time: each scenario with the bounds it must keep.

The bounds leave room beside what is measured (`docs/congestion.md`), and a second seed keeps them from being luck.
"""

import attrs
import pytest

from tests.congestion.scenarios import SCENARIOS
from tests.congestion.simulation import (
    Simulation,
    converged_after,
    fairness,
    mean,
    queueing,
    utilisation,
    window,
)

SEEDS = (1, 2)
runs = {}


def run(name, seed):
    """Each simulation runs once."""
    if (name, seed) not in runs:
        runs[name, seed] = Simulation(attrs.evolve(SCENARIOS[name], seed=seed)).run()
    return runs[name, seed].flows


# scenario, from, until: utilisation at least, queueing delay at most in the median and in 95 of 100 packets (s)
STEADY_STATE = [
    ("steady", 5, 40, 0.85, 0.030, 0.050),
    ("step-down", 5, 20, 0.85, 0.030, 0.050),
    ("step-down", 25, 40, 0.80, 0.040, 0.090),
    ("step-up", 5, 15, 0.80, 0.030, 0.050),
    ("step-up", 32, 50, 0.80, 0.030, 0.060),
    ("ramp", 5, 50, 0.80, 0.030, 0.060),
    ("cross-traffic", 5, 15, 0.85, 0.030, 0.050),
    # a queue that stands below `drain_queue_s` is let be
    ("cross-traffic", 20, 30, 0.70, 0.100, 0.200),
    ("bursty-loss", 5, 40, 0.82, 0.030, 0.060),
    ("heavy-loss", 20, 60, 0.70, 0.030, 0.060),
    ("bufferbloat", 5, 40, 0.85, 0.030, 0.060),
    ("short-queue", 5, 40, 0.85, 0.020, 0.025),
    ("two-flows", 30, 90, 0.80, 0.030, 0.090),
    ("application-limited", 25, 40, 0.75, 0.030, 0.060),
]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("name", "begin", "end", "used", "median_s", "most_s"), STEADY_STATE)
def test_path_is_used_and_its_queue_stays_short(name, begin, end, used, median_s, most_s, seed):
    flows = run(name, seed)
    assert used <= utilisation(flows, begin, end) <= 1.02
    for flow in flows:
        assert queueing(flow, begin, end, 0.5) <= median_s
        assert queueing(flow, begin, end, 0.95) <= most_s


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(
    ("name", "begin", "within_s"),
    [
        ("steady", 0, 4.0),
        ("step-down", 20, 4.0),
        ("step-up", 15, 15.0),
        ("cross-traffic", 15, 5.0),
        ("cross-traffic", 30, 15.0),
        ("bufferbloat", 0, 4.0),
        ("heavy-loss", 0, 12.0),
        ("application-limited", 20, 3.0),
    ],
)
def test_target_converges_to_the_capacity(name, begin, within_s, seed):
    assert converged_after(run(name, seed)[0], begin, 0.75, 1.1) <= within_s


@pytest.mark.parametrize("seed", SEEDS)
def test_queue_of_a_step_down_is_drained(seed):
    (flow,) = run("step-down", seed)
    assert max(sample.queue_s for sample in window(flow, 20, 22.5)) > 0.3
    assert max(sample.queue_s for sample in window(flow, 23.5, 40)) < 0.15


@pytest.mark.parametrize("seed", SEEDS)
def test_long_queue_is_not_filled(seed):
    (flow,) = run("bufferbloat", seed)
    assert queueing(flow, 0, 40, 1.0) < 0.15  # of the 3 s that it holds


@pytest.mark.parametrize("seed", SEEDS)
def test_two_flows_share_fairly(seed):
    flows = run("two-flows", seed)
    assert fairness(flows, 40, 90) >= 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_in_bursts_does_not_starve(seed):
    (flow,) = run("bursty-loss", seed)
    scenario = flow.simulation.scenario
    assert scenario.bursts.mean_loss > 0.015
    assert min(sample.target_kbps for sample in window(flow, 5, 40)) > 1000


@pytest.mark.parametrize("seed", SEEDS)
def test_loss_of_the_path_itself_is_found_and_that_of_a_short_queue_is_not_excused(seed):
    (lossy,), (short,) = run("heavy-loss", seed), run("short-queue", seed)
    assert mean(sample.target_kbps for sample in window(lossy, 20, 60)) > 1400
    assert mean(sample.loss for sample in window(short, 5, 40)) < 0.08


@pytest.mark.parametrize("seed", SEEDS)
def test_probes_keep_the_target_up_while_the_application_is_limited(seed):
    (flow,) = run("application-limited", seed)
    assert mean(sample.target_kbps for sample in window(flow, 12, 20)) > 1500
    assert mean(sample.received_kbps for sample in window(flow, 12, 20)) < 200


@pytest.mark.parametrize("name", SCENARIOS)
def test_media_never_waits_long_in_the_pacer(name):
    for flow in run(name, 1):
        assert max(delay for _, delay in flow.pacer_delays) < 0.5


@pytest.mark.parametrize("name", SCENARIOS)
def test_events_are_apart_but_for_cuts(name):
    for flow in run(name, 1):
        for (at, before), (then, after) in zip(flow.events, flow.events[1:], strict=False):
            assert then - at >= 0.1 - 1e-9 or after.bitrate_bps < 0.95 * before.bitrate_bps


def test_equal_seeds_give_equal_targets():
    scenario = attrs.evolve(SCENARIOS["heavy-loss"], duration_s=10.0)
    first, second = (Simulation(scenario).run().flows[0] for _ in range(2))
    assert first.events == second.events
