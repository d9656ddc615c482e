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

# What a chart says above its lines.
TITLES = {
    "steady": "2 Mbit/s, 25 ms, jitter of 4 ms",
    "step-down": "2.5 Mbit/s, at 20 s 0.8 Mbit/s; the queue holds 0.94 s then",
    "step-up": "0.8 Mbit/s, at 15 s 2.5 Mbit/s",
    "ramp": "0.6 to 2.4 Mbit/s and back towards 1.2 Mbit/s",
    "cross-traffic": "2.5 Mbit/s, of which a constant stream takes 1.5 Mbit/s from 15 s to 30 s",
    "bursty-loss": "2 Mbit/s, Gilbert-Elliott loss of 1.6 %, in bursts of 5 packets",
    "heavy-loss": "2 Mbit/s, 12 % of all packets lost, whatever is sent",
    "bufferbloat": "1.5 Mbit/s behind a queue of 3 s",
    "short-queue": "2 Mbit/s behind a queue of 20 ms: only loss tells",
    "two-flows": "3 Mbit/s, a second flow from 15 s on",
    "application-limited": "3 Mbit/s, the encoder gives 0.1 Mbit/s until 20 s; no initial probes",
}
