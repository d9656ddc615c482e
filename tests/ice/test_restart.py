"""ICE restarts: two generations side by side (RFC 8445 sections 9, 12.1; W3C WebRTC section 5.6.4)."""

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.ice import (
    ConnectionStateChanged,
    GatheringStateChanged,
    LocalCandidate,
    Parameters,
    Payload,
    Role,
    SelectedPathChanged,
    StunServer,
)
from sans_rtc.machine import Address, Datagram
from sans_rtc.testing import LinkConditions

NEW = Parameters("next", "q" * 22)


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).connect()


@pytest.mark.proves("RFC8445-9-2-ae92")
def test_restart_changes_both_credentials(hand):
    before = hand.agent.local_parameters
    hand.agent.restart(hand.now)
    after = hand.agent.local_parameters
    assert before.ufrag != after.ufrag
    assert before.pwd != after.pwd
    assert hand.agent.remote_parameters is None


@pytest.mark.proves("ICE-SDP-4.4.3.1.1-2-ca99", "ICE-SDP-4.4.3.2-1-f6a4")
def test_restart_gathers_and_tells_every_candidate_anew(hand):
    hand.events.clear()
    hand.agent.restart(hand.now)
    hand.drain()
    kinds = [type(event) for event in hand.events]
    assert kinds[:3] == [GatheringStateChanged, LocalCandidate, GatheringStateChanged]
    (candidate,) = [event.candidate for event in hand.of(LocalCandidate)]
    assert candidate.extension("ufrag") == hand.agent.local_parameters.ufrag


def test_restart_asks_the_servers_again(make_hand):
    hand = make_hand(Role.CONTROLLING, stun_servers=(StunServer("192.0.2.2"),)).connect()
    hand.wait(0.1)
    hand.sent.clear()
    hand.agent.restart(hand.now)
    hand.drain()
    assert [datagram.path.remote.host for datagram in hand.sent] == ["192.0.2.2"]


def test_restart_before_gathering_tells_nothing(make_agent):
    agent = make_agent()
    agent.restart(0.0)
    assert agent.take_events() == ()


@pytest.mark.proves("ICE-SDP-4.4.3.1.1-1-0d38", "ICE-SDP-4.4.3.2-2-174f")
def test_data_flow_on_the_old_path_until_the_new_one_is_selected(hand):
    old = hand.agent.selected_path
    hand.agent.restart(hand.now)
    hand.agent.send(b"\x16one", hand.now)
    hand.parameters = NEW
    hand.remote = Address("10.0.0.5", 5555)
    hand.agent.set_remote_parameters(NEW, hand.now)
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    said = hand.drain()
    hand.agent.send(b"\x16two", hand.now)
    said += hand.drain()
    assert [d.path for d in said if d.data[0] == 0x16] == [old, old]
    hand.answer_all(hand.answer_all(said))
    assert hand.agent.selected_path == hand.path
    hand.agent.send(b"\x16three", hand.now)
    assert hand.drain()[-1].path == hand.path
    assert [event.path for event in hand.of(SelectedPathChanged)] == [old, hand.path]


@pytest.mark.parametrize("is_old_silent", [False, True])
def test_valid_pair_of_the_new_generation_carries_data_only_where_the_old_path_is_silent(make_hand, is_old_silent):
    """RFC 8445 section 12.1: during a restart the selected pair is the previous one."""
    hand = make_hand(Role.CONTROLLED).connect()
    old = hand.path
    hand.agent.restart(hand.now)
    hand.parameters, hand.remote = NEW, Address("10.0.0.5", 5555)
    hand.agent.set_remote_parameters(NEW, hand.now)
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.drain()
    if is_old_silent:
        hand.wait(4.0)
        hand.sent.clear()
        hand.receive(hand.request())
    hand.answer_all([check for check in hand.checks() if check.path == hand.path])
    hand.agent.send(b"\x16", hand.now)
    assert hand.drain()[-1].path == (hand.path if is_old_silent else old)


def test_payload_of_the_old_path_still_arrives(hand):
    old = hand.path
    hand.agent.restart(hand.now)
    hand.receive(Datagram(b"\x16", old))
    assert len(hand.of(Payload)) == 1


def test_old_credentials_are_still_answered(hand, parsed):
    request = hand.request()
    hand.agent.restart(hand.now)
    hand.drain()
    (response,) = hand.receive(request)
    assert parsed(response).message_class.name == "SUCCESS_RESPONSE"


@pytest.mark.proves("RFC7675-5.1-10-fe6f")
def test_consent_of_the_old_path_is_kept_fresh(hand):
    """RFC 7675 section 5.1: an endpoint that goes on sending there MUST go on with consent checks."""
    hand.agent.restart(hand.now)
    hand.sent.clear()
    for _ in range(400):
        hand.answer_all(hand.wait(0.1))
    assert len(hand.checks()) > 30
    assert hand.agent.can_send
    assert hand.agent.state == "connected"


def test_old_path_whose_consent_expires_ends_sending(hand):
    hand.agent.restart(hand.now)
    hand.drain()
    hand.wait(31.0)
    assert not hand.agent.can_send


def replace(hand, address=None):
    """The peer takes up the restart, and a pair of the new generation is selected."""
    hand.parameters = NEW
    hand.remote = address or hand.remote
    hand.agent.set_remote_parameters(NEW, hand.now)
    hand.agent.add_remote_candidate(hand.candidate(), hand.now)
    hand.answer_all(hand.answer_all(hand.drain()))


def test_old_generation_is_dropped_some_time_after_it_was_replaced(hand, parsed):
    old_request, old_path = hand.request(), hand.path
    hand.agent.restart(hand.now)
    replace(hand, Address("10.0.0.5", 5))
    for _ in range(149):
        hand.answer_all(hand.wait(0.1))
    assert parsed(hand.receive(old_request)[0]).message_class.name == "SUCCESS_RESPONSE"
    for _ in range(3):
        hand.answer_all(hand.wait(0.1))
    assert parsed(hand.receive(old_request)[0]).message_class.name == "ERROR_RESPONSE"
    hand.receive(Datagram(b"\x16", old_path))
    assert hand.of(Payload) == []
    assert {pair.generation for pair in hand.agent.explain().pairs} == {1}


def test_same_path_stays_proven_when_its_old_generation_is_dropped(hand):
    hand.agent.restart(hand.now)
    replace(hand)
    for _ in range(200):
        hand.answer_all(hand.wait(0.1))
    hand.receive(Datagram(b"\x16", hand.path))
    assert len(hand.of(Payload)) == 1


def test_new_parameters_of_the_peer_are_a_restart_by_it(hand):
    before = hand.agent.local_parameters
    replace(hand)
    assert hand.agent.local_parameters.ufrag != before.ufrag
    assert hand.agent.explain().generation == 1
    assert hand.agent.explain().selected.generation == 1


def test_answer_to_our_restart_is_not_another_one(hand):
    hand.agent.restart(hand.now)
    ours = hand.agent.local_parameters
    replace(hand)
    assert hand.agent.local_parameters == ours


def test_early_checks_of_the_new_generation_are_answered_and_remembered(hand):
    hand.agent.restart(hand.now)
    hand.drain()
    hand.parameters = NEW
    assert len(hand.receive(hand.request())) == 1
    hand.agent.set_remote_parameters(NEW, hand.now)
    assert len(hand.checks(hand.drain())) == 1


@pytest.mark.proves("RFC8445-6.1.1-4-70ee", "RFC8445-9-3-279a")
def test_roles_outlive_a_restart(hand):
    hand.agent.restart(hand.now)
    assert hand.agent.role is Role.CONTROLLING
    with pytest.raises(InvalidState):
        hand.agent.set_role(Role.CONTROLLED, hand.now)


@pytest.mark.proves("ICE-SDP-4.4.3.2-3-c07e")
@pytest.mark.parametrize(
    ("wait_s", "before", "after"),
    [(0.0, "completed", "connected"), (5.0, "disconnected", "checking"), (31.0, "failed", "checking")],
)
def test_state_after_a_restart(make_hand, wait_s, before, after):
    """W3C: to connected from completed; from disconnected to checking, as if connectivity had not been lost."""
    hand = make_hand(Role.CONTROLLING).connect()
    hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(wait_s)
    assert hand.agent.state == before
    hand.agent.restart(hand.now)
    assert hand.agent.state == after
    hand.drain()
    assert [event.state for event in hand.of(ConnectionStateChanged)][-1] == after


def test_restart_brings_a_failed_agent_back(hand):
    hand.wait(31.0)
    assert hand.agent.state == "failed"
    hand.agent.restart(hand.now)
    hand.drain()
    replace(hand)
    assert hand.agent.state == "connected"


def test_failed_restart_leaves_the_old_path_in_use(hand):
    hand.agent.restart(hand.now)
    hand.agent.set_remote_parameters(NEW, hand.now)
    hand.agent.end_of_remote_candidates(hand.now)
    for _ in range(400):
        hand.answer_all(hand.wait(0.1))
    assert hand.agent.state == "connected"
    assert hand.agent.can_send


def test_second_restart_keeps_the_generation_that_carries_data(hand):
    path = hand.agent.selected_path
    for _ in range(3):
        hand.agent.restart(hand.now)
        hand.drain()
    assert hand.agent.selected_path == path
    assert hand.agent.can_send
    assert hand.agent.explain().generation == 3


def test_cancelled_restart_goes_back_to_the_old_credentials(hand):
    before = hand.agent.local_parameters
    hand.agent.restart(hand.now)
    hand.agent.cancel_restart(hand.now)
    assert hand.agent.local_parameters == before
    assert hand.agent.state == "connected"
    for _ in range(100):
        hand.answer_all(hand.wait(0.1))
    assert hand.agent.state == "connected"


def test_cancelled_restart_of_a_failed_agent_leaves_it_failed(hand):
    hand.wait(31.0)
    hand.agent.restart(hand.now)
    assert hand.agent.state == "checking"
    hand.agent.cancel_restart(hand.now)
    assert hand.agent.state == "failed"


def test_restart_that_the_peer_has_taken_up_cannot_be_cancelled(hand):
    with pytest.raises(InvalidState):
        hand.agent.cancel_restart(hand.now)
    hand.agent.restart(hand.now)
    hand.agent.set_remote_parameters(NEW, hand.now)
    with pytest.raises(InvalidState):
        hand.agent.cancel_restart(hand.now)


@pytest.mark.parametrize("end", [0, 1])
def test_two_agents_restart_without_a_gap(duo, end):
    pair = duo(seed=end)
    pair.connect()
    pair.run(2.0)
    for agent in pair.agents:
        agent.send(b"\x16before", pair.now)
    pair.restart(end)
    for agent in pair.agents:
        agent.send(b"\x16during", pair.now)
    pair.run(0.1)
    for agent in pair.agents:
        agent.send(b"\x16after", pair.now)
    pair.run(3.0)
    for number in (0, 1):
        assert [event.data for event in pair.events(number, Payload)] == [b"\x16before", b"\x16during", b"\x16after"]
        assert pair.agents[number].explain().selected.generation == 1
        assert "disconnected" not in pair.states[number]


def test_restart_moves_to_an_address_that_came_later(duo):
    pair = duo()
    pair.connect()
    new = Address("10.0.0.7", 7777)
    pair.addresses = ((pair.addresses[0][0], new), pair.addresses[1])
    pair.agents[0].add_local_address(new, "wlan0", pair.now)
    pair.agents[0].remove_local_address(pair.addresses[0][0], pair.now)
    pair.restart(0)
    pair.run(3.0)
    assert pair.agents[0].selected_path.local == new
    assert pair.agents[1].selected_path.remote == new


@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.031, 0.041, 0.05, 0.07, 0.1])
def test_path_that_dies_during_a_restart_is_found_silent_once_and_for_all(duo, after_s):
    """Found by simulation: watching the old and the new pair in turn, each silent, looked like a sign of life."""
    two = duo(conditions=LinkConditions(delay_s=0.01))
    two.connect()
    two.run(1.0)
    two.restart()
    two.run(after_s)
    two.is_cut = True
    for states in two.states:
        states.clear()
    two.run(4.0)
    assert all(agent.state not in ("connected", "completed") for agent in two.agents)
    for states in two.states:
        states.clear()
    two.run(20.0)
    assert not {"connected", "completed"} & {*two.states[0], *two.states[1]}
