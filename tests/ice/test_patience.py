"""RFC 8863: when its timer starts, what it holds back, and what it does not."""

import pytest

from sans_rtc.ice import CandidateType, ConnectionStateChanged, IceConfig, Parameters, Role
from sans_rtc.ice.config import CHECK_SCHEDULE, total_s
from sans_rtc.machine import Address, Path
from sans_rtc.stun.transaction import RetransmissionSchedule

PEER = Parameters("peer", "p" * 22)


def states(hand):
    return [str(event.state) for event in hand.of(ConnectionStateChanged)]


def refused(hand):
    """The only pair fails at once (section 3.3)."""
    hand.meet()
    hand.answer_all(hand.sent, code=500)
    hand.agent.end_of_remote_candidates(hand.now)
    return hand


@pytest.mark.proves("ICE-PAC-4-2-d644")
def test_timer_lasts_as_long_as_one_check_with_all_its_repetitions():
    """Section 4: "equal to the agent's connectivity check transaction timeout, including all retransmissions"."""
    assert IceConfig().patience_effective_s == total_s(CHECK_SCHEDULE)
    schedule = RetransmissionSchedule(rto_s=1.0, request_count_max=3, last_wait_factor=4.0)
    assert IceConfig(check_schedule=schedule).patience_effective_s == 1.0 + 2.0 + 4.0


@pytest.mark.proves("TRICKLE-8-1-7ab7", "ICE-PAC-4-1-a2d5")
def test_timer_starts_with_the_parameters_of_both_and_without_a_single_candidate(make_hand):
    """Section 4: "the agent will start the timer even if it has not sent or received any ICE candidates"."""
    hand = make_hand(Role.CONTROLLING, patience_s=5.0)
    hand.agent.set_remote_parameters(PEER, hand.now)
    hand.wait(4.9)
    assert hand.agent.state == "new"
    hand.wait(0.2)
    assert states(hand) == ["failed"]


def test_signalled_parameters_again_do_not_start_it_again(make_hand):
    hand = refused(make_hand(Role.CONTROLLING, patience_s=5.0))
    for _ in range(6):
        hand.wait(1.0)
        hand.agent.set_remote_parameters(PEER, hand.now)
    hand.drain()
    assert hand.agent.state == "failed"


@pytest.mark.proves("ICE-PAC-4-4-046d")
def test_each_generation_has_a_timer_of_its_own(make_hand):
    hand = refused(make_hand(Role.CONTROLLING, patience_s=5.0))
    hand.wait(6.0)
    hand.agent.restart(hand.now)
    hand.wait(60.0)  # the peer has not taken it up: checks have not begun
    assert hand.agent.state == "checking"
    hand.agent.set_remote_parameters(Parameters("next", "q" * 22), hand.now)
    hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(4.9)
    assert hand.agent.state == "checking"
    hand.wait(0.2)
    assert hand.agent.state == "failed"


@pytest.mark.proves("ICE-PAC-5-1-1f1a")
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("reason", ["no candidate", "refused", "unusable"])
@pytest.mark.parametrize("after_s", [0.0, 5.0, 17.4])
def test_peer_reflexive_candidate_before_the_timer_ends_is_in_time(make_hand, role, reason, after_s):
    """Sections 3.1, 3.2 and 3.3: whatever leaves the checklist without a hope, a check of the peer brings one."""
    hand = make_hand(role)
    if reason == "refused":
        refused(hand)
    else:
        hand.meet(candidate=False)
        if reason == "unusable":
            hand.agent.add_remote_candidate(hand.candidate(Address("2001:db8::2", 1)), hand.now)
        hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(after_s)
    late = Path(hand.local, Address("198.51.100.7", 7))
    said = hand.receive(hand.request(path=late, use_candidate=role is Role.CONTROLLED))
    hand.answer_all(hand.answer_all(said))
    assert hand.agent.selected_path == late
    assert hand.agent.explain().selected.remote.type is CandidateType.PEER_REFLEXIVE
    assert "failed" not in states(hand)


def test_timer_that_elapses_alone_fails_nothing(make_hand):
    """Section 4: "if there are no such checklists, no action is necessary"."""
    hand = make_hand(Role.CONTROLLING, patience_s=1.0).connect()
    for _ in range(60):
        hand.answer_all(hand.wait(0.1))
    assert hand.agent.state == "connected"


def test_nomination_does_not_wait_for_the_timer(make_hand):
    """Section 4: the agent "MAY decide, based on its own criteria, to nominate pairs prior to the timer elapsing"."""
    hand = make_hand(Role.CONTROLLING).meet()
    hand.answer_all(hand.answer_all(hand.sent))
    assert hand.agent.state == "connected"


def test_consent_that_is_revoked_is_not_held_back(make_hand):
    """RFC 7675 section 5.2: that is no failure of checks."""
    hand = make_hand(Role.CONTROLLING).connect()
    hand.sent.clear()
    hand.wait(1.3)
    hand.answer_all(hand.sent, code=403)
    assert hand.agent.state == "failed"


def test_lite_agent_needs_no_timer(make_hand):
    """Section 4 speaks of a full implementation: a lite one checks nothing, so nothing fails."""
    hand = make_hand(Role.CONTROLLED, is_lite=True).meet(candidate=False)
    hand.agent.end_of_remote_candidates(hand.now)
    hand.wait(600.0)
    assert "failed" not in states(hand)
    hand.receive(hand.request(use_candidate=True))
    assert hand.agent.state in ("connected", "completed")
