"""What an agent does when its network, or the peer's, has changed: suspicion, new candidates, another pair."""

import pytest

from sans_rtc.ice import (
    AddressesNeeded,
    ConnectionStateChanged,
    GatheringStateChanged,
    IceConfig,
    LocalCandidate,
    Parameters,
    RestartNeeded,
    Role,
    StunServer,
)
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.testing import LinkConditions

OTHER, ELSEWHERE = Address("10.9.9.9", 999), Address("10.0.0.3", 3333)


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).connect()


def states(hand):
    return [str(event.state) for event in hand.of(ConnectionStateChanged)]


def keep_answering(hand, duration_s, only=None):
    """Let time pass while the peer answers, where given only to these paths' remote addresses."""
    for _ in range(round(duration_s / 0.05)):
        said = hand.wait(0.05)
        hand.answer_all([check for check in hand.checks(said) if only is None or check.path.remote in only])


# --- suspicion --------------------------------------------------------------------------------------------------------


def test_pair_in_use_is_asked_at_once_when_the_network_has_changed(hand):
    keep_answering(hand, 2.0)
    hand.sent.clear()
    hand.agent.network_changed(hand.now)
    hand.wait(0.3)
    assert len(hand.checks()) >= 1
    assert hand.of(AddressesNeeded) == [AddressesNeeded()]


def test_suspected_pair_that_does_not_answer_is_silent_after_a_third_of_the_time(hand):
    keep_answering(hand, 2.0)
    hand.agent.network_changed(hand.now)
    hand.wait(0.95)
    assert hand.agent.state == "connected"
    hand.wait(0.4)
    assert hand.agent.state == "disconnected"


def test_suspected_pair_is_asked_several_times_before_it_counts_as_silent(hand):
    keep_answering(hand, 2.0)
    hand.sent.clear()
    hand.agent.network_changed(hand.now)
    while hand.agent.state == "connected":
        hand.wait(0.02)
    assert 4 <= len(hand.checks()) <= 6


def test_answer_ends_the_suspicion(hand):
    keep_answering(hand, 2.0)
    hand.agent.network_changed(hand.now)
    hand.answer_all(hand.wait(0.3))
    hand.wait(2.0)
    assert hand.agent.state == "connected"


def test_peer_that_checks_another_pair_raises_the_suspicion(make_hand):
    """It does so where it has lost the socket of the pair in use; it has no other way to tell us."""
    hand = make_hand(Role.CONTROLLING).meet()
    hand.agent.add_remote_candidate(hand.candidate(ELSEWHERE, foundation="2", priority=1), hand.now)
    hand.drain()
    hand.answer_all(hand.answer_all(hand.sent))
    keep_answering(hand, 2.0)
    hand.receive(hand.request(path=Path(hand.local, ELSEWHERE)))
    lost_at = hand.now
    while hand.agent.selected_path.remote != ELSEWHERE:
        keep_answering(hand, 0.05, only={ELSEWHERE})
        assert hand.now < lost_at + 2.0
    assert hand.agent.state == "connected"


def test_nomination_by_which_a_pair_is_selected_raises_no_suspicion(make_hand):
    """Else whoever dies right after that would be missed too soon."""
    hand = make_hand(Role.CONTROLLED).connect()
    hand.wait(2.9)
    assert hand.agent.state == "connected"
    hand.wait(0.2)
    assert hand.agent.state == "disconnected"


def test_request_replayed_from_elsewhere_only_makes_us_ask(hand):
    keep_answering(hand, 2.0)
    old = hand.request()
    hand.receive(old)
    for _ in range(40):
        hand.receive(Datagram(old.data, Path(hand.local, ELSEWHERE)))
        keep_answering(hand, 0.1, only={hand.remote})
    assert hand.agent.selected_path.remote == hand.remote
    assert "disconnected" not in states(hand)
    assert len([check for check in hand.checks() if check.path.remote == hand.remote]) < 40


@pytest.mark.parametrize("seed", range(8))
def test_suspicion_on_a_lossy_network_rarely_says_disconnected(duo, seed):
    pair = duo(seed=seed, conditions=LinkConditions(delay_s=0.03, loss=0.1))
    pair.connect(within_s=12.0)
    for _ in range(20):
        pair.agents[0].network_changed(pair.now)
        pair.agents[0].end_of_local_addresses(pair.now)
        pair.run(2.0)
    assert sum(states.count("disconnected") for states in pair.states) <= 2
    assert pair.is_connected()


# --- candidates that come later ---------------------------------------------------------------------------------------


def test_new_address_is_told_and_checked_though_a_pair_is_selected(hand):
    keep_answering(hand, 1.0)
    hand.agent.end_of_remote_candidates(hand.now)
    hand.agent.network_changed(hand.now)
    hand.sent.clear()
    hand.agent.add_local_address(OTHER, "wlan0", hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    hand.wait(0.2)
    assert hand.of(LocalCandidate)[-1].candidate.address == OTHER
    assert hand.of(LocalCandidate)[-1].candidate.extension("ufrag") == hand.agent.local_parameters.ufrag
    assert Path(OTHER, hand.remote) in {check.path for check in hand.checks()}
    assert hand.agent.selected_path == hand.path


def test_new_address_without_a_network_change_is_told_and_not_checked(hand):
    """RFC 8445 section 8.1.2: once a pair is selected there are no more ordinary checks."""
    hand.agent.add_local_address(OTHER, "wlan0", hand.now)
    hand.sent.clear()
    keep_answering(hand, 3.0)
    assert {check.path.local for check in hand.checks()} == {hand.local}


def test_servers_are_asked_again_and_the_same_answer_tells_nothing_new(duo):
    server = Address("192.0.2.2", 3478)
    config = IceConfig(stun_servers=(StunServer(server.host, server.port),))
    pair = duo(configs=(config, config), servers={server: "answer"})
    pair.connect()
    pair.run(1.0)
    asked = sum(datagram.path.remote == server for datagram in pair.link.sent[0])
    told = len(pair.events(0, LocalCandidate))
    pair.agents[0].network_changed(pair.now)
    pair.agents[0].end_of_local_addresses(pair.now)
    pair.run(1.0)
    assert sum(datagram.path.remote == server for datagram in pair.link.sent[0]) == asked + 1
    assert len(pair.events(0, LocalCandidate)) == told
    assert pair.events(0, GatheringStateChanged)[-1].state == "complete"


def test_candidate_after_the_end_is_taken_once_a_pair_is_selected(hand):
    """The peer has moved. Before that RFC 8838 section 14 holds: see test_trickle."""
    hand.agent.end_of_remote_candidates(hand.now)
    hand.sent.clear()
    hand.agent.add_remote_candidate(hand.candidate(ELSEWHERE, foundation="2"), hand.now)
    hand.drain()
    hand.wait(0.2)
    assert ELSEWHERE in {check.path.remote for check in hand.checks()}
    assert hand.agent.stats.discards == {}


# --- the socket in use is gone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", list(Role))
def test_data_move_at_once_to_another_valid_pair(make_hand, role):
    hand = make_hand(role)
    hand.meet()
    hand.agent.add_local_address(OTHER, "wlan0", hand.now)
    hand.drain()
    hand.wait(0.1)
    hand.answer_all(hand.answer_all(hand.checks()))
    if role is Role.CONTROLLED:
        hand.receive(hand.request(use_candidate=True))
    assert hand.agent.selected_path == hand.path
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.drain()
    assert hand.agent.can_send
    assert hand.agent.state == "connected"
    hand.agent.send(b"\x16", hand.now)
    assert hand.drain()[-1].path == Path(OTHER, hand.remote)


def test_agent_without_a_socket_waits_patiently(hand):
    keep_answering(hand, 60.0)
    hand.agent.network_changed(hand.now)
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    assert hand.agent.state == "disconnected"
    hand.wait(17.0)
    assert hand.agent.state == "disconnected"
    assert hand.of(RestartNeeded) == []
    hand.wait(1.0)
    assert hand.agent.state == "failed"


def test_agent_that_has_failed_so_is_brought_back_by_a_new_socket(hand):
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.wait(20.0)
    assert hand.agent.state == "failed"
    hand.agent.network_changed(hand.now)
    hand.agent.add_local_address(OTHER, "wlan0", hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    said = hand.receive(hand.request(path=Path(OTHER, hand.remote)))
    hand.answer_all(hand.answer_all(said))
    assert hand.agent.state == "connected"


# --- where nothing is left --------------------------------------------------------------------------------------------


def strand(hand):
    """The only socket gives way to one of another IP version, of which the peer has no address."""
    hand.agent.network_changed(hand.now)
    hand.agent.add_local_address(Address("2001:db8::1", 1), "wlan0", hand.now)
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.drain()


def test_restart_is_asked_for_when_all_addresses_are_named_and_none_reaches_the_peer(hand):
    strand(hand)
    assert hand.of(RestartNeeded) == []
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    assert hand.of(RestartNeeded) == [RestartNeeded()]


def test_restart_is_asked_for_once_in_a_generation(hand):
    strand(hand)
    hand.agent.end_of_local_addresses(hand.now)
    hand.wait(60.0)
    hand.agent.network_changed(hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    assert len(hand.of(RestartNeeded)) == 1
    hand.agent.restart(hand.now)
    hand.agent.set_remote_parameters(Parameters("next", "q" * 22), hand.now)
    hand.wait(60.0)
    assert len(hand.of(RestartNeeded)) == 1  # that generation has never had a path


def test_no_restart_is_asked_for_while_a_pair_may_still_work(hand):
    hand.agent.network_changed(hand.now)
    hand.agent.add_local_address(OTHER, "wlan0", hand.now)
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.agent.end_of_local_addresses(hand.now)
    hand.wait(10.0)
    assert hand.of(RestartNeeded) == []
    hand.wait(15.0)  # the check of the last pair has timed out
    assert hand.of(RestartNeeded) == [RestartNeeded()]


def test_first_connection_that_fails_asks_for_no_restart(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.wait(60.0)
    assert hand.agent.state == "failed"
    assert hand.of(RestartNeeded) == []


def test_network_change_after_the_end_does_nothing(hand):
    hand.agent.close(hand.now)
    hand.drain()
    hand.agent.network_changed(hand.now)
    assert hand.drain() == [] and hand.agent.take_events() == ()


# --- valid pairs that are not selected yet ----------------------------------------------------------------------------


def test_valid_pair_that_nobody_nominates_is_kept_alive(make_hand):
    """Else the NAT on its way closes, and nobody notices."""
    hand = make_hand(Role.CONTROLLED).meet()
    hand.answer_all(hand.sent)
    hand.sent.clear()
    keep_answering(hand, 20.0)
    assert 14 <= len(hand.checks()) <= 26


@pytest.mark.parametrize("seed", range(6))
def test_nat_that_rebinds_during_a_restart_is_followed_by_both_ends(duo, nat, seed):
    outside = nat("203.0.113.1", filtering="endpoint_independent")
    pair = duo(seed=seed, nats=(outside, None) if seed % 2 else (None, outside))
    pair.connect()
    pair.run(2.0)
    pair.restart(seed // 2 % 2)
    pair.run(0.001 * (seed % 3))
    outside.outer_of.clear(), outside.inner_of.clear(), outside.permitted.clear()
    pair.link.run_until(
        lambda: all(agent.explain().selected and agent.explain().selected.generation == 1 for agent in pair.agents),
        within_s=8.0,
    )
    pair.run(5.0)
    assert pair.is_connected()
    assert {str(agent.state) for agent in pair.agents} <= {"connected", "completed"}
