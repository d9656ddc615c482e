"""Cheaper networks first: local preference, candidate extensions, GOOG_NETWORK_INFO, and the choice between pairs."""

from itertools import pairwise

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import IceConfig, LocalCandidate, Role
from sans_rtc.ice.network_cost import LEVEL_COUNT_MAX, NETWORK_COST_UNKNOWN, NetworkCosts, cost_of_info, parse_cost
from sans_rtc.ice.priority import LocalPreferences
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute
from sans_rtc.testing import drain

COSTS = (("eth*", 0), ("wlan*", 10), ("wwan*", 900))
FIRST, SECOND = Address("10.0.1.1", 1001), Address("10.0.1.2", 1002)


def told(make_agent, *networks, **config):
    """The candidates of an agent that has one address on each of these networks, in this order."""
    agent = make_agent(Role.CONTROLLING, **config)
    for number, network in enumerate(networks):
        agent.add_local_address(Address(f"10.0.{number}.1", 5000), network, 0.0)
    return [event.candidate for event in drain(agent, 0.0)[1] if isinstance(event, LocalCandidate)]


def test_cheaper_network_has_the_higher_priority_whatever_comes_first(make_agent):
    candidates = told(make_agent, "wwan0", "wlan0", "tun0", "eth0", network_costs=COSTS)
    order = sorted(range(4), key=lambda number: -candidates[number].priority)
    assert [("wwan0", "wlan0", "tun0", "eth0")[number] for number in order] == ["eth0", "wlan0", "tun0", "wwan0"]


def test_candidates_tell_id_and_cost_as_libwebrtc_writes_them(make_agent):
    candidates = told(make_agent, "eth0", "wlan0", "wlan0", network_costs=COSTS)
    assert [candidate.extensions[1:] for candidate in candidates] == [
        (("network-id", "1"),),
        (("network-id", "2"), ("network-cost", "10")),
        (("network-id", "2"), ("network-cost", "10")),
    ]


def test_without_costs_nothing_is_told_and_nothing_differs(make_agent, make_hand, value_of):
    candidates = told(make_agent, "wwan0", "eth0")
    assert [candidate.extensions[1:] for candidate in candidates] == [(), ()]
    assert candidates[0].priority > candidates[1].priority
    hand = make_hand(Role.CONTROLLING).meet()
    assert [value_of(check, "GOOG_NETWORK_INFO") for check in hand.checks()] == [None]


def test_checks_carry_id_and_cost(make_hand, value_of):
    hand = make_hand(Role.CONTROLLING, network_costs=(("eth*", 10),)).meet()
    assert [value_of(check, "GOOG_NETWORK_INFO") for check in hand.checks()] == [1 << 16 | 10]


def test_cost_of_the_peer_is_read_from_its_candidate_and_from_its_checks(make_hand):
    hand = make_hand(Role.CONTROLLING).meet(candidate=False)
    costly = hand.candidate(FIRST, extensions=(("network-id", "3"), ("network-cost", "900")))
    hand.agent.add_remote_candidate(costly, hand.now)
    info = [Attribute(AttributeType.GOOG_NETWORK_INFO, 4 << 16 | 50)]
    hand.receive(hand.request(path=Path(hand.local, SECOND), more=info))
    pairs = {pair.path.remote: pair for pair in hand.agent._generations.current.checklist}
    assert {remote: pair.network_cost for remote, pair in pairs.items()} == {FIRST: 900, SECOND: 50}


def test_cost_in_a_check_that_proves_nothing_is_not_read(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    info = [Attribute(AttributeType.GOOG_NETWORK_INFO, 900)]
    hand.receive(hand.request(more=info, pwd="w" * 22))
    (pair,) = hand.agent._generations.current.checklist
    assert pair.network_cost == 0


@pytest.mark.parametrize(
    ("text", "cost"), [("0", 0), ("10", 10), ("999", 999), ("5000", 999), ("", 0), ("-1", 0), ("x", 0), ("9" * 40, 0)]
)
def test_any_text_is_some_cost(text, cost):
    assert parse_cost(text) == cost


@pytest.mark.parametrize(("info", "cost"), [(0, 0), (1 << 16 | 10, 10), (0xFFFFFFFF, 999)])
def test_any_number_is_some_cost(info, cost):
    assert cost_of_info(info) == cost


@pytest.mark.parametrize(("cost_of_first", "chosen"), [(0, FIRST), (10, FIRST), (900, SECOND)])
def test_of_two_valid_pairs_of_a_kind_the_cheaper_is_nominated(make_hand, value_of, cost_of_first, chosen):
    hand = make_hand(Role.CONTROLLED).meet(candidate=False)
    for remote, priority, cost in (FIRST, 2000, cost_of_first), (SECOND, 1000, 10):
        extensions = (("network-cost", str(cost)),)
        candidate = hand.candidate(remote, priority=priority, foundation=str(priority), extensions=extensions)
        hand.agent.add_remote_candidate(candidate, hand.now)
    hand.drain()
    hand.wait(0.06)
    hand.answer_all(hand.checks())
    # A role conflict, by which it is on us to nominate.
    hand.receive(hand.request(path=Path(hand.local, FIRST), role=Role.CONTROLLED, tie_breaker=0))
    assert hand.agent.role is Role.CONTROLLING
    nominations = [check.path.remote for check in hand.checks() if value_of(check, "USE_CANDIDATE")]
    assert nominations == [chosen]


def test_cheaper_pair_of_the_kind_is_waited_for_a_little(make_hand, value_of):
    """It is being checked, and its answer is due."""
    hand = make_hand(Role.CONTROLLING, nomination_wait_s=0.5).meet(candidate=False)
    dear = hand.candidate(FIRST, priority=2000, extensions=(("network-cost", "900"),))
    hand.agent.add_remote_candidate(dear, hand.now)
    hand.agent.add_remote_candidate(hand.candidate(SECOND, priority=1000, foundation="2"), hand.now)
    hand.drain()
    hand.wait(0.06)
    checks = {check.path.remote: check for check in hand.checks()}
    hand.receive(hand.response(checks[FIRST]))
    hand.now += 0.01
    hand.receive(hand.response(checks[SECOND]))
    nominations = [check.path.remote for check in hand.checks() if value_of(check, "USE_CANDIDATE")]
    assert nominations == [SECOND]


@pytest.mark.parametrize("cost", [-1, 1000])
def test_cost_out_of_range_is_refused(cost):
    with pytest.raises(InvalidArgument):
        IceConfig(network_costs=(("eth0", cost),))


def test_first_pattern_that_fits_counts():
    costs = NetworkCosts((("eth1", 900), ("eth*", 0)))
    assert [costs.cost_of(name) for name in ("eth0", "eth1", "tap0")] == [0, 900, NETWORK_COST_UNKNOWN]


@pytest.mark.parametrize("level_count", range(1, LEVEL_COUNT_MAX + 1))
def test_levels_never_overlap_however_many_addresses_there_are(level_count):
    preferences = LocalPreferences(level_count)
    drawn = {
        (is_unreliable, level): [
            preferences.draw(family, is_unreliable=is_unreliable, level=level) for _ in range(300) for family in (4, 6)
        ]
        for is_unreliable in (False, True)
        for level in range(level_count)
    }
    keys = sorted(drawn)
    for higher, lower in pairwise(keys):
        assert min(drawn[higher]) - 15 > max(drawn[lower])
    assert min(map(min, drawn.values())) >= 15


def test_more_costs_than_levels_share_the_last_one():
    costs = NetworkCosts(tuple((f"net{number}", 100 * number) for number in range(10)))
    levels = [costs.level_of(f"net{number}") for number in range(10)]
    assert levels == sorted(levels)
    assert max(levels) == LEVEL_COUNT_MAX - 1 == costs.level_count - 1
