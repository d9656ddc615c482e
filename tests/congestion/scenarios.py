"""The scenarios, as a table: what the tests assert on is what the charts show."""

from sans_rtc.congestion import EstimatorConfig
from tests.congestion.simulation import GilbertElliott, Scenario

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("steady", jitter_s=0.004),
        Scenario("step-down", rates=((0.0, 2500), (20.0, 800))),
        Scenario("step-up", duration_s=50.0, rates=((0.0, 800), (15.0, 2500))),
        Scenario("ramp", duration_s=50.0, rates=tuple((float(t), 600 + 60 * min(t, 60 - t)) for t in range(50))),
        Scenario("cross-traffic", duration_s=50.0, rates=((0.0, 2500),), cross=((15.0, 30.0, 1500),)),
        Scenario("bursty-loss", bursts=GilbertElliott(to_bad=0.004, to_good=0.2, loss_bad=0.8)),
        Scenario("heavy-loss", duration_s=60.0, loss=0.12),
        Scenario("bufferbloat", rates=((0.0, 1500),), queue_s=3.0),
        Scenario("short-queue", queue_s=0.02),
        Scenario("two-flows", duration_s=90.0, rates=((0.0, 3000),), flows_at=(0.0, 15.0)),
        Scenario(
            "application-limited",
            encoder_max_kbps=((0.0, 100), (20.0, 100_000)),
            rates=((0.0, 3000),),
            estimator=EstimatorConfig(initial_probe_factors=()),
        ),
    )
}
