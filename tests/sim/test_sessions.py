"""Hundreds of whole sessions in virtual time, each from a seed. More of them:  python -m tests.sim --seeds 10000"""

import pytest

from tests.sim.plan import ENDINGS, OPTIONS, draw_plan
from tests.sim.session import simulate

SEEDS = 400
# Some to a test, so that the list of tests stays readable; a failure names its seed.
AT_ONCE = 10


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_session_keeps_every_promise_on_a_bad_network(first):
    for seed in range(first, first + AT_ONCE):
        simulate(seed)


def test_seed_gives_the_same_session_to_the_byte():
    for seed in (1, 2, 3):
        assert simulate(seed) == simulate(seed)


def test_plans_have_everything_in_them():
    """What the seeds of the test above stand for together."""
    plans = [draw_plan(seed) for seed in range(SEEDS)]
    words = {what for plan in plans for _, what, *_ in plan.script}
    assert words == {
        "create", "send", "close channel", "cut", "cut connected", "mend", "restart", "kill way", "lose address",
        "weather", "stop reading", "read", "rebind", "corrupt",
    }  # fmt: skip
    assert {plan.ending for plan in plans} == set(ENDINGS)
    kinds = {label.rstrip("0123456789 ") for plan in plans for _, what, *rest in plan.script if what == "create"
             for label in rest[1:2]}  # fmt: skip
    assert kinds >= set(OPTIONS)
    assert max(plan.conditions.loss for plan in plans) == 0.2
    assert sum(plan.faults_end_s > 30.0 for plan in plans) >= 5, "outages that consent does not survive"
