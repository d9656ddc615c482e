"""Nomination and selection (RFC 8445 sections 7.2.5.3.4, 7.3.1.5, 8.1.1), and the death of the chosen pair."""

import pytest

from sans_rtc.ice import PairState, Role, SelectedPathChanged
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute

FIRST, SECOND = Address("10.0.1.1", 1001), Address("10.0.1.2", 1002)


def with_two(make_hand, role, *, same_kind=True, **config):
    """An agent with two pairs of different foundations; FIRST has the higher priority."""
    hand = make_hand(role, **config).meet(candidate=False)
    second_type = {} if same_kind else {"type": "srflx", "related_address": Address("0.0.0.0", 9)}
    hand.agent.add_remote_candidate(hand.candidate(FIRST, foundation="1", priority=2000), hand.now)
    hand.agent.add_remote_candidate(hand.candidate(SECOND, foundation="2", priority=1000, **second_type), hand.now)
    hand.drain()
    return hand


def check_to(hand, remote):
    return [check for check in hand.checks() if check.path.remote == remote][-1]


def nominations(hand, value_of):
    return [check for check in hand.checks() if value_of(check, "USE_CANDIDATE")]


# --- controlling ------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8445-7.1.2-1-f8e2", "RFC8445-8.1.1-2-0dcb")
def test_best_pair_is_nominated_at_its_first_success(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING)
    said = hand.receive(hand.response(check_to(hand, FIRST)))
    (nomination,) = nominations(hand, value_of)
    assert nomination in said
    assert nomination.path.remote == FIRST


def test_pair_is_selected_when_the_nomination_is_answered(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.receive(hand.response(check_to(hand, FIRST)))
    assert hand.agent.state == "checking"
    assert hand.agent.selected_path is None
    hand.receive(hand.response(nominations(hand, value_of)[0]))
    assert hand.agent.state == "connected"
    (selected,) = hand.of(SelectedPathChanged)
    assert selected.path == Path(hand.local, FIRST) == hand.agent.selected_path


def test_data_may_be_sent_on_a_valid_pair_before_nomination(make_hand):
    """RFC 8445 section 12.1."""
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.agent.send(b"\x16", hand.now)
    (datagram,) = hand.drain()
    assert datagram.path.remote == FIRST


def test_lesser_pair_waits_for_a_better_one_of_the_same_kind_only_as_long_as_that_is_likely(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING, nomination_wait_s=5.0)
    hand.wait(0.05)
    hand.now += 0.01
    hand.receive(hand.response(check_to(hand, SECOND)))
    # FIRST was sent 60 ms ago; four round trips of 10 ms have passed.
    assert [check.path.remote for check in nominations(hand, value_of)] == [SECOND]


@pytest.mark.proves("ICE-PAC-4-5-6b57")
def test_lesser_pair_waits_for_one_of_a_better_kind_as_configured(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING, same_kind=False, nomination_wait_s=0.3)
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.wait(0.29)
    assert nominations(hand, value_of) == []
    hand.wait(0.02)
    assert [check.path.remote for check in nominations(hand, value_of)] == [SECOND]


def test_better_pair_that_succeeds_during_the_wait_is_nominated(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING, same_kind=False)
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, FIRST)))
    assert [check.path.remote for check in nominations(hand, value_of)] == [FIRST]


def test_better_pair_that_fails_ends_the_wait(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING, same_kind=False)
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, SECOND)))
    assert nominations(hand, value_of) == []
    hand.receive(hand.response(check_to(hand, FIRST), code=500))
    assert [check.path.remote for check in nominations(hand, value_of)] == [SECOND]


@pytest.mark.proves("ICE-SDP-4.3.4-4-be97")
@pytest.mark.proves("RFC8445-8.1.1-3-ece7")
def test_one_pair_only_is_nominated(make_hand, value_of):
    """RFC 8445 section 8.1.1: once it has nominated a pair, the agent does not nominate another."""
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.receive(hand.response(nominations(hand, value_of)[0]))
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.wait(2.0)
    assert [check.path.remote for check in nominations(hand, value_of)] == [SECOND]


@pytest.mark.proves("RFC8445-8.1.2-1-71e1")
def test_ordinary_checks_end_with_selection(make_hand, value_of):
    """Section 8.1.2: no more ordinary checks, no repetition of those on their way."""
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.receive(hand.response(nominations(hand, value_of)[0]))
    hand.sent.clear()
    hand.answer_all(hand.wait(0.9))
    assert hand.checks() == []


def test_failed_nomination_fails_the_pair_and_the_next_is_nominated(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.receive(hand.response(check_to(hand, SECOND)))
    (nomination,) = nominations(hand, value_of)
    hand.receive(hand.response(nomination, code=400))
    assert [check.path.remote for check in nominations(hand, value_of)] == [FIRST, SECOND]
    assert hand.agent.explain().pairs[0].state is PairState.FAILED


def test_unanswered_nomination_gives_way_to_another_pair_that_answers(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.receive(hand.response(check_to(hand, SECOND)))
    for _ in range(50):
        said = hand.wait(0.1)
        for check in hand.checks(said):
            if check.path.remote == SECOND:
                hand.receive(hand.response(check))
    assert hand.agent.selected_path.remote == SECOND


def test_restart_while_a_better_pair_is_waited_for_leaves_no_timer_behind(make_hand):
    hand = with_two(make_hand, Role.CONTROLLING, same_kind=False, nomination_wait_s=0.3)
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.agent.restart(hand.now)
    hand.wait(0.29)
    hand.wait(60.0)  # would never return
    assert hand.agent.deadline > hand.now


def test_rebinding_of_our_nat_is_told_by_another_nomination(make_hand, value_of):
    hand = make_hand(Role.CONTROLLING).connect()
    hand.sent.clear()
    hand.wait(1.3)
    said = hand.receive(hand.response(hand.checks()[0], mapped=Address("203.0.113.9", 9)))
    assert [value_of(check, "USE_CANDIDATE") for check in hand.checks(said)] == [True]
    hand.answer_all(said, mapped=Address("203.0.113.9", 9))
    assert len(nominations(hand, value_of)) == 1
    hand.wait(20.0)  # and where the peer never answers that, no timer stays behind
    assert hand.agent.deadline > hand.now


def test_rebinding_that_an_older_check_tells_of_is_told_as_well(make_hand, value_of):
    """Found by simulation: the response came together with that of a consent check, which then saw nothing new."""
    hand = make_hand(Role.CONTROLLING).meet()
    (older,) = hand.checks(hand.sent)
    (newer,) = hand.checks(hand.receive(hand.request()))
    hand.receive(hand.response(newer))
    (nomination,) = nominations(hand, value_of)
    hand.receive(hand.response(nomination))
    assert hand.agent.selected_path == nomination.path
    hand.receive(hand.response(older, mapped=Address("203.0.113.9", 9)))
    assert len(nominations(hand, value_of)) == 2


def test_nomination_is_dropped_where_the_role_is_lost(make_hand, value_of):
    hand = with_two(make_hand, Role.CONTROLLING)
    hand.receive(hand.response(check_to(hand, FIRST)))
    (nomination,) = nominations(hand, value_of)
    hand.receive(hand.response(nomination, code=487))
    assert hand.agent.role is Role.CONTROLLED
    hand.answer_all(hand.sent[-1:])
    hand.wait(1.0)
    assert len(nominations(hand, value_of)) == 1
    assert hand.agent.selected_path is None


# --- controlled -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8445-7.1.2-2-a6ee")
def test_controlled_agent_never_nominates(make_hand, value_of):
    """7.1.2: "The controlled agent MUST NOT include the USE-CANDIDATE attribute in a Binding request." """
    hand = with_two(make_hand, Role.CONTROLLED)
    for _ in range(20):
        hand.answer_all(hand.wait(0.5) or hand.sent)
    assert nominations(hand, value_of) == []
    assert hand.agent.state == "checking"


def test_nomination_of_a_pair_whose_consent_was_lost_fails(make_hand):
    """Found by simulation: the peer has settled on a pair that nothing may be sent on, and nominates no other."""
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.sent.clear()
    hand.wait(2.0)
    hand.receive(hand.response(check_to(hand, FIRST), code=403))
    assert hand.agent.state == "checking"
    hand.receive(hand.request(path=Path(hand.local, FIRST)))
    assert hand.agent.state == "checking"
    hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    assert hand.agent.state == "failed" and hand.agent.explain().is_consent_lost


def test_consent_lost_on_the_pair_that_is_being_nominated_fails(make_hand):
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.wait(0.06)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    hand.receive(hand.response(check_to(hand, FIRST), code=403))
    assert hand.agent.state == "failed" and hand.agent.explain().is_consent_lost


def test_nomination_of_a_pair_that_has_succeeded_selects_it(make_hand):
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.receive(hand.response(check_to(hand, FIRST)))
    hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    assert hand.agent.selected_path.remote == FIRST


def test_nomination_of_a_pair_that_has_not_succeeded_selects_it_when_it_does(make_hand):
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    assert hand.agent.selected_path is None
    hand.receive(hand.response(check_to(hand, FIRST)))
    assert hand.agent.selected_path.remote == FIRST


def test_use_candidate_of_a_controlled_peer_means_nothing(make_hand):
    hand = with_two(make_hand, Role.CONTROLLING, nomination_wait_s=10.0, same_kind=False)
    hand.wait(0.05)
    hand.receive(hand.response(check_to(hand, SECOND)))
    hand.receive(hand.request(path=Path(hand.local, SECOND), use_candidate=True))
    assert hand.agent.selected_path is None


@pytest.mark.proves("RFC8445-8.1.1-4-2606")
def test_aggressive_peer_gets_the_highest_priority_of_what_it_nominates(make_hand):
    """8.1.1: "the agents MUST produce the selected pairs and use the pairs with the highest priority"."""
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.wait(0.06)
    hand.answer_all(hand.checks())
    hand.receive(hand.request(path=Path(hand.local, SECOND), use_candidate=True))
    assert hand.agent.selected_path.remote == SECOND
    hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    assert hand.agent.selected_path.remote == FIRST
    hand.receive(hand.request(path=Path(hand.local, SECOND), use_candidate=True))
    assert hand.agent.selected_path.remote == FIRST
    assert [event.path.remote for event in hand.of(SelectedPathChanged)] == [SECOND, FIRST]


def test_aggressive_nomination_of_an_unknown_pair_after_selection_is_still_checked(make_hand):
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.wait(0.06)
    hand.answer_all([check_to(hand, SECOND)])
    hand.receive(hand.request(path=Path(hand.local, SECOND), use_candidate=True))
    said = hand.receive(hand.request(path=Path(hand.local, FIRST), use_candidate=True))
    hand.answer_all(said)
    assert hand.agent.selected_path.remote == FIRST


def test_peer_that_counts_its_nominations_gets_the_last_one(make_hand):
    """draft-thatcher-ice-renomination section 4: the largest value of the attribute is selected."""
    hand = with_two(make_hand, Role.CONTROLLED)
    hand.wait(0.06)
    hand.answer_all(hand.checks())
    for value, remote in ((1, FIRST), (2, SECOND)):
        more = [Attribute(AttributeType.NOMINATION, value)]
        hand.receive(hand.request(path=Path(hand.local, remote), use_candidate=True, more=more))
        assert hand.agent.selected_path.remote == remote


# --- the selected pair dies -------------------------------------------------------------------------------------------


def serve(hand, duration_s, *, alive, role=None):
    """Let time pass while the peer answers on these addresses only; as controlling it nominates what it hears from."""
    for _ in range(round(duration_s / 0.1)):
        hand.wait(0.1)
        if role is Role.CONTROLLING:
            for remote in alive:
                hand.receive(hand.request(path=Path(hand.local, remote), use_candidate=True))
        while hand.sent:
            said = [check for check in hand.checks() if check.path.remote in alive]
            hand.sent.clear()
            hand.answer_all(said)


def test_controlling_agent_nominates_another_pair_when_the_selected_one_is_silent(make_hand):
    hand = with_two(make_hand, Role.CONTROLLING)
    serve(hand, 2.0, alive={FIRST, SECOND})
    assert hand.agent.selected_path.remote == FIRST
    serve(hand, 5.0, alive={SECOND})
    assert hand.agent.selected_path.remote == SECOND
    assert hand.agent.state == "connected"


def test_pair_that_was_never_valid_is_found_when_the_selected_one_dies(make_hand):
    hand = with_two(make_hand, Role.CONTROLLING)
    serve(hand, 25.0, alive={FIRST})
    serve(hand, 6.0, alive={SECOND})
    assert hand.agent.selected_path.remote == SECOND


def test_controlled_agent_follows_to_a_lesser_pair_when_the_selected_one_is_silent(make_hand):
    hand = with_two(make_hand, Role.CONTROLLED)
    serve(hand, 1.0, alive={FIRST}, role=Role.CONTROLLING)
    assert hand.agent.selected_path.remote == FIRST
    serve(hand, 6.0, alive={SECOND}, role=Role.CONTROLLING)
    assert hand.agent.selected_path.remote == SECOND
    assert hand.agent.state == "connected"


def test_search_ends_when_the_selected_pair_is_heard_of_again(make_hand):
    hand = with_two(make_hand, Role.CONTROLLING)
    serve(hand, 2.0, alive={FIRST})
    serve(hand, 4.0, alive=set())
    assert hand.agent.state == "disconnected"
    serve(hand, 2.0, alive={FIRST})
    assert hand.agent.state == "connected"
    said = [check for _ in range(50) for check in hand.answer_all(hand.wait(0.1)) or hand.sent]
    assert {check.path.remote for check in hand.checks(said)} == {FIRST}


@pytest.mark.parametrize("role", list(Role))
def test_removed_socket_moves_the_data_to_another(make_hand, role):
    hand = with_two(make_hand, role)
    peer_role = role.other
    other = Address("10.0.0.9", 999)
    hand.agent.add_local_address(other, "eth1", hand.now)
    serve(hand, 2.0, alive={FIRST, SECOND}, role=peer_role)
    assert hand.agent.selected_path.local == hand.local
    gone = hand.local
    hand.agent.remove_local_address(gone, hand.now)
    hand.drain()
    hand.local = other
    serve(hand, 3.0, alive={FIRST}, role=peer_role)
    assert hand.agent.selected_path.local == other
    assert all(pair.path.local != gone for pair in hand.agent.explain().pairs)
