"""When checking has failed, and what brings it back (RFC 8445 sections 6.1.2.1, 7.2.5.4; RFC 8863; RFC 8838)."""

import pytest

from sans_rtc.ice import ConnectionStateChanged, Role
from sans_rtc.machine import Address

NAME = "n.local"


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).meet(candidate=False)


def states(hand):
    return [str(event.state) for event in hand.of(ConnectionStateChanged)]


def refuse(hand):
    """Let the peer refuse the check of its only candidate."""
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.answer_all(hand.drain(), code=500)


@pytest.mark.proves("ICE-PAC-4-3-7f87", "ICE-PAC-4-4-046d")
def test_failure_waits_for_the_timer_of_rfc_8863_though_no_pair_is_left(hand):
    refuse(hand)
    hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(17.4)
    assert hand.agent.state == "checking"
    hand.wait(0.2)
    assert hand.agent.state == "failed"


@pytest.mark.proves("ICE-PAC-5-2-dded")
def test_failure_without_the_end_of_candidates_comes_with_the_timer(hand):
    """RFC 8863 section 5: agents MAY use the timer as a fallback for end-of-candidates."""
    refuse(hand)
    hand.wait(17.6)
    assert states(hand) == ["checking", "failed"]


def test_failure_without_any_candidate_comes_with_the_timer(hand):
    hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(17.6)
    assert states(hand) == ["failed"]


def test_patience_is_configurable(make_hand):
    hand = make_hand(Role.CONTROLLING, patience_s=1.0).meet(candidate=False)
    refuse(hand)
    hand.wait(1.1)
    assert hand.agent.state == "failed"


def test_timer_does_not_fail_a_checklist_that_is_still_being_checked(make_hand):
    hand = make_hand(Role.CONTROLLING, patience_s=1.0).meet()
    hand.wait(17.4)
    assert hand.agent.state == "checking"
    hand.wait(0.2)
    assert hand.agent.state == "failed"


def test_patience_begins_with_the_parameters_of_the_peer(make_hand):
    hand = make_hand(Role.CONTROLLING)
    hand.agent.add_local_address(hand.local, "", hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    hand.wait(600.0)
    assert hand.agent.state == "new"
    assert hand.agent.deadline == float("inf")


def test_name_that_is_being_resolved_holds_failure_up(make_hand):
    hand = make_hand(Role.CONTROLLING, patience_s=0.5).meet(candidate=False)
    hand.agent.add_remote_candidate(hand.candidate(Address(NAME, 1)), hand.now)
    hand.drain()
    hand.wait(4.9)
    assert hand.agent.state == "new"
    hand.wait(0.2)
    assert hand.agent.state == "failed"


def test_failed_agent_is_quiet(hand):
    refuse(hand)
    hand.wait(20.0)
    assert hand.wait(600.0) == []
    assert hand.agent.deadline == float("inf")


def test_check_of_the_peer_brings_a_failed_agent_back(hand):
    """RFC 8445 section 7.3.1.4: "a state change of the pair from Failed to Waiting might also trigger a state change of
    the associated checklist"."""
    refuse(hand)
    hand.wait(20.0)
    hand.answer_all(hand.answer_all(hand.receive(hand.request())))
    assert states(hand) == ["checking", "failed", "checking", "connected"]


def test_new_candidate_brings_a_failed_agent_back(hand):
    refuse(hand)
    hand.wait(20.0)
    hand.remote = Address("10.0.0.5", 5)
    hand.agent.add_remote_candidate(hand.candidate(foundation="2"), hand.now)
    hand.answer_all(hand.answer_all(hand.drain()))
    assert states(hand) == ["checking", "failed", "checking", "connected"]


def test_two_agents_that_cannot_reach_each_other_fail_and_say_why(duo):
    pair = duo()
    pair.is_cut = True
    pair.start()
    pair.run(18.0)
    for agent in pair.agents:
        explanation = agent.explain()
        assert agent.state == "failed"
        assert [p.statistics.checks_timed_out for p in explanation.pairs] == [1]
        assert [p.statistics.requests_sent for p in explanation.pairs] == [7]


def test_peer_that_starts_late_finds_an_agent_that_had_failed(duo):
    pair = duo()
    first, second = pair.agents
    pair.gather()
    first.set_remote_parameters(second.local_parameters, pair.now)
    pair.drops = lambda end, datagram: end == 0 and second.remote_parameters is None
    pair.run(60.0)
    assert first.state == "failed"
    second.set_remote_parameters(first.local_parameters, pair.now)
    pair.describe(0)
    pair.link.run_until(pair.is_connected, within_s=1.0)
