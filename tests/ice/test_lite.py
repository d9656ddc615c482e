"""Lite implementations, here and there (RFC 8445 sections 6.1.1, 7.3.2, 8.2)."""

import pytest

from sans_rtc.ice import IceConfig, LocalCandidate, Parameters, Payload, Role, RoleChanged, StunServer
from sans_rtc.machine import Address, Datagram, Path

LITE_PEER = Parameters("peer", "p" * 22, is_lite=True)


@pytest.mark.proves("RFC8445-6.1.1-2-2715")
def test_full_agent_takes_the_controlling_role_before_a_lite_peer(make_hand):
    hand = make_hand(Role.CONTROLLED)
    hand.parameters = LITE_PEER
    hand.meet()
    assert hand.agent.role is Role.CONTROLLING
    assert hand.of(RoleChanged) == [RoleChanged(Role.CONTROLLING)]


def test_full_agent_connects_to_a_lite_peer_that_only_answers(make_hand):
    hand = make_hand(Role.CONTROLLED)
    hand.parameters = LITE_PEER
    hand.connect()
    assert hand.agent.explain().is_remote_lite


@pytest.fixture
def lite(make_hand):
    return make_hand(Role.CONTROLLED, is_lite=True, stun_servers=(StunServer("192.0.2.2"),)).meet()


def test_lite_agent_says_that_it_is_lite(lite):
    assert lite.agent.local_parameters.is_lite


def test_lite_agent_gathers_host_candidates_only_and_sends_no_checks(lite):
    lite.wait(60.0)
    assert [event.candidate.type for event in lite.of(LocalCandidate)] == ["host"]
    assert lite.sent == []


@pytest.mark.proves("RFC8445-6.1.1-2-2715")
def test_lite_agent_leaves_control_to_a_full_peer(make_hand):
    hand = make_hand(Role.CONTROLLING, is_lite=True).meet()
    assert hand.agent.role is Role.CONTROLLED


def test_lite_agent_answers_checks_and_selects_what_is_nominated(lite):
    assert len(lite.receive(lite.request())) == 1
    assert lite.agent.state == "checking"
    lite.receive(lite.request(use_candidate=True))
    assert lite.agent.selected_path == lite.path
    assert lite.agent.can_send


def test_lite_agent_selects_a_pair_that_nobody_has_signalled(lite):
    path = Path(lite.local, Address("198.51.100.1", 7))
    lite.receive(lite.request(path=path, use_candidate=True))
    assert lite.agent.selected_path == path


def test_lite_agent_tells_a_peer_that_thinks_it_is_controlled(lite, parsed):
    (response,) = lite.receive(lite.request(role=Role.CONTROLLED, tie_breaker=0))
    assert parsed(response).message_class.name == "ERROR_RESPONSE"
    assert lite.agent.role is Role.CONTROLLED


def test_lite_agent_takes_the_checks_of_the_peer_for_life(lite):
    lite.receive(lite.request(use_candidate=True))
    for _ in range(20):
        lite.wait(6.0)
        lite.receive(lite.request())
    assert lite.agent.state == "connected"
    lite.wait(13.0)
    assert lite.agent.state == "disconnected"
    lite.receive(lite.request())
    assert lite.agent.state == "connected"
    lite.wait(31.0)
    assert lite.agent.state == "failed"
    assert not lite.agent.can_send


def test_lite_agent_comes_back_when_it_is_nominated_again(lite):
    lite.receive(lite.request(use_candidate=True))
    lite.wait(31.0)
    lite.receive(lite.request(use_candidate=True))
    assert lite.agent.state == "connected"


def test_two_lite_agents_take_the_best_pair_without_checks(make_hand):
    hand = make_hand(Role.CONTROLLING, is_lite=True)
    hand.parameters = LITE_PEER
    hand.meet(candidate=False)
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.drain()
    assert hand.agent.selected_path == hand.path
    hand.wait(120.0)
    assert hand.agent.state == "connected"
    assert hand.sent == []


@pytest.mark.parametrize("lite_end", [0, 1])
def test_full_and_lite_agent_connect(duo, lite_end):
    configs = [IceConfig(), IceConfig()]
    configs[lite_end] = IceConfig(is_lite=True)
    pair = duo(configs=configs)
    assert pair.connect() < 0.01
    assert pair.agents[lite_end].role is Role.CONTROLLED
    pair.run(60.0)
    assert pair.is_connected()


ICE2 = Parameters("peer", "p" * 22, options=("ice2",))


def test_lite_agent_follows_a_second_nomination_of_a_peer_that_is_not_aggressive(make_hand):
    lite = make_hand(Role.CONTROLLED, is_lite=True)
    lite.parameters = ICE2
    lite.meet()
    other = Path(lite.local, Address("198.51.100.1", 7))
    lite.receive(lite.request(use_candidate=True))
    first = lite.request(path=other, priority=1, use_candidate=True)
    lite.receive(first)
    assert lite.agent.selected_path == other
    lite.receive(lite.request(use_candidate=True))
    assert lite.agent.selected_path == lite.path
    lite.receive(first)  # somebody replays it
    assert lite.agent.selected_path == lite.path


def test_lite_agent_is_not_moved_by_a_nomination_that_is_replayed_from_elsewhere(make_hand):
    lite = make_hand(Role.CONTROLLED, is_lite=True)
    lite.parameters = ICE2
    lite.meet()
    nomination = lite.request(use_candidate=True)
    lite.receive(nomination)
    lite.receive(Datagram(nomination.data, Path(lite.local, Address("198.51.100.6", 6))))
    assert lite.agent.selected_path == lite.path


def test_lite_agent_never_suspects_nor_searches(lite):
    lite.receive(lite.request(use_candidate=True))
    lite.sent.clear()
    lite.agent.network_changed(lite.now)
    lite.wait(20.0)
    assert lite.sent == []


def test_payload_between_two_lite_agents_is_taken_from_the_peers_candidates_only(make_hand):
    hand = make_hand(Role.CONTROLLING, is_lite=True)
    hand.parameters = LITE_PEER
    hand.meet(candidate=False)
    hand.agent.receive(Datagram(b"\x16early", hand.path), hand.now)
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.drain()
    hand.receive(Datagram(b"\x16data", hand.path))
    hand.receive(Datagram(b"\x16stranger", Path(hand.local, Address("198.51.100.6", 6))))
    assert [event.data for event in hand.of(Payload)] == [b"\x16data"]
