"""Hundreds of pairs behind all kinds of NATs and firewalls. More of them:  python -m tests.nat --topologies 10000"""

import itertools

import pytest

from tests.nat.access import KINDS
from tests.nat.oracle import APART, DIRECT, OUTCOMES, SAME_CARRIER, SAME_LAN, is_direct_possible
from tests.nat.session import simulate
from tests.nat.topology import draw_topology

SEEDS = 300
# Some to a test, so that the list of tests stays readable; a failure names its seed.
AT_ONCE = 20

CLASSIC = ("open", "full cone", "address-restricted", "port-restricted", "symmetric")
DIRECT_PAIRS = """
D D D D D
D D D D D
D D D D D
D D D D R
D D D R R
"""


@pytest.mark.parametrize("first", range(0, SEEDS, AT_ONCE))
def test_pair_connects_as_it_must(first):
    for seed in range(first, first + AT_ONCE):
        simulate(seed)


def test_seed_gives_the_same_run_to_the_byte():
    for seed in (1, 2, 3, 4):
        assert simulate(seed) == simulate(seed)


def test_oracle_knows_the_table_of_the_classic_nats():
    rows = [line.split() for line in DIRECT_PAIRS.strip().splitlines()]
    for (row, first), (column, second) in itertools.product(enumerate(CLASSIC), repeat=2):
        assert is_direct_possible(KINDS[first], KINDS[second]) is (rows[row][column] == "D"), (first, second)


def test_topologies_have_everything_in_them():
    """What the seeds of the test above stand for together."""
    topologies = [draw_topology(seed) for seed in range(SEEDS)]
    assert {access.name for topology in topologies for access in topology.accesses} >= set(KINDS)
    assert {topology.relation for topology in topologies} == {APART, SAME_LAN, SAME_CARRIER}
    assert max(sum(conditions.loss for conditions in topology.weather) for topology in topologies) == 0.2
    assert any(conditions.reordering for topology in topologies for conditions in topology.weather)
    assert OUTCOMES[0] == DIRECT


@pytest.mark.parametrize("seed", [217, 889, 3338, 4243, 6217, 6760])
def test_relay_that_is_heard_of_first_does_not_win_over_a_direct_way(seed):
    """A check through it comes before its candidate and better ones are signalled; or theirs met a closed NAT."""
    assert simulate(seed).outcome == DIRECT
