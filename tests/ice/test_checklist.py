"""The checklist: order, pruning, the cap, freezing (RFC 8445 section 6.1.2; RFC 8838 sections 10 to 12)."""

import pytest

from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.pair import PAIR_TRANSITIONS, CandidatePair, PairState, RemoteCandidate
from sans_rtc.ice.role import Role
from sans_rtc.machine import Address

F, W, P, S, X = PairState.FROZEN, PairState.WAITING, PairState.IN_PROGRESS, PairState.SUCCEEDED, PairState.FAILED


BASE = Address("10.0.0.1", 1)


def make_pair(priority=100, *, port=1, foundation="1", base=BASE):
    local = Candidate("1", 1, "udp", 1 << 30, base, CandidateType.HOST)
    remote = Candidate(foundation, 1, "udp", priority, Address("10.0.0.2", port), CandidateType.HOST)
    gathered = GatheredCandidate(local, Base(base, "", 65535, local))
    return CandidatePair(gathered, RemoteCandidate(remote, remote.address), gathered.base.path_to(remote.address))


def checklist_of(*pairs, count_max=100):
    checklist = Checklist(count_max)
    for pair in pairs:
        checklist.add(pair, Role.CONTROLLING)
    return checklist


def test_pairs_are_ordered_by_priority():
    low, high = make_pair(1, port=1), make_pair(2, port=2)
    assert list(checklist_of(low, high)) == [high, low]


def test_role_decides_between_pairs_with_swapped_priorities():
    pair = make_pair(1)
    pair.reprioritise(Role.CONTROLLING)
    as_controlling = pair.priority
    pair.reprioritise(Role.CONTROLLED)
    assert as_controlling == pair.priority + 1


def test_redundant_pair_with_lower_priority_is_pruned():
    checklist = checklist_of(make_pair(2))
    assert not checklist.add(make_pair(1), Role.CONTROLLING)
    assert len(checklist) == 1


def test_redundant_pair_with_higher_priority_takes_the_place():
    checklist = checklist_of(make_pair(1))
    better = make_pair(2)
    assert not checklist.add(better, Role.CONTROLLING)
    (pair,) = checklist
    assert pair.remote is better.remote


def test_pair_that_is_being_checked_is_not_pruned():
    first = make_pair(1)
    checklist = checklist_of(first)
    first.enter(P)
    checklist.add(make_pair(2), Role.CONTROLLING)
    assert first.remote.candidate.priority == 1


def test_first_pair_of_each_foundation_waits_and_the_others_are_frozen():
    pairs = [make_pair(9, port=1), make_pair(8, port=2), make_pair(7, port=3, foundation="2")]
    checklist_of(*pairs)
    assert [pair.state for pair in pairs] == [W, F, W]


def test_new_topmost_pair_of_a_foundation_waits():
    """RFC 8838 section 12, rule 1."""
    low, high = make_pair(1, port=1), make_pair(2, port=2)
    checklist_of(low, high)
    assert high.state is W


def test_new_pair_of_a_foundation_that_has_succeeded_waits():
    """Rule 2."""
    first, second = make_pair(2, port=1), make_pair(1, port=2)
    checklist = checklist_of(first)
    first.enter(P)
    first.enter(S)
    checklist.add(second, Role.CONTROLLING)
    assert second.state is W


def test_success_unfreezes_the_foundation():
    first, same, other = make_pair(9, port=1), make_pair(8, port=2), make_pair(7, port=3, foundation="2")
    checklist = checklist_of(first, same, other, make_pair(6, port=4, foundation="2"))
    checklist.unfreeze(first.foundation)
    assert [pair.state for pair in checklist] == [W, W, W, F]


def test_ordinary_check_takes_the_best_waiting_pair():
    low, high = make_pair(1, port=1), make_pair(2, port=2, foundation="2")
    checklist = checklist_of(low, high)
    assert checklist.take_ordinary() is high
    high.enter(P)
    assert checklist.take_ordinary() is low


def test_frozen_pair_thaws_when_nothing_waits_and_its_foundation_is_idle():
    """RFC 8445 section 6.1.4.2 step 2."""
    first, second = make_pair(2, port=1), make_pair(1, port=2)
    checklist = checklist_of(first, second)
    first.enter(P)
    assert not checklist.has_ordinary
    assert checklist.take_ordinary() is None
    first.enter(X)
    assert checklist.has_ordinary
    assert checklist.take_ordinary() is second


def test_triggered_checks_are_first_in_first_out_each_once():
    pairs = [make_pair(priority, port=priority) for priority in (1, 2, 3)]
    checklist = checklist_of(*pairs)
    for pair in (pairs[0], pairs[2], pairs[0]):
        checklist.trigger(pair)
    checklist.trigger(pairs[1], is_urgent=True)
    taken = [checklist.take_triggered() for _ in range(4)]
    assert taken == [pairs[1], pairs[0], pairs[2], None]


def test_triggered_pair_is_not_taken_as_ordinary():
    pair = make_pair()
    checklist = checklist_of(pair)
    checklist.trigger(pair)
    assert checklist.take_ordinary() is None


@pytest.mark.proves("TRICKLE-10-3-5a91", "TRICKLE-11-3-5a91")
def test_cap_discards_a_failed_pair_first():
    failed, waiting = make_pair(9, port=1), make_pair(1, port=2, foundation="2")
    checklist = checklist_of(failed, waiting, count_max=2)
    failed.enter(X)
    assert checklist.add(make_pair(5, port=3), Role.CONTROLLING)
    assert failed not in checklist
    assert waiting in checklist


@pytest.mark.proves("TRICKLE-10-4-8a8e", "TRICKLE-11-4-8a8e")
def test_cap_discards_the_lowest_untried_pair_below_the_new_one():
    low, middle = make_pair(1, port=1), make_pair(2, port=2)
    checklist = checklist_of(low, middle, count_max=2)
    assert checklist.add(make_pair(3, port=3), Role.CONTROLLING)
    assert low not in checklist


def test_cap_refuses_what_is_lower_than_all():
    checklist = checklist_of(make_pair(2, port=1), make_pair(3, port=2), count_max=2)
    assert not checklist.add(make_pair(1, port=3), Role.CONTROLLING)
    assert len(checklist) == 2


def test_cap_never_discards_what_is_being_checked_or_has_succeeded():
    busy, done = make_pair(1, port=1), make_pair(2, port=2, foundation="2")
    checklist = checklist_of(busy, done, count_max=2)
    busy.enter(P)
    done.enter(P)
    done.enter(S)
    assert not checklist.add(make_pair(9, port=3), Role.CONTROLLING)


def test_base_that_is_gone_takes_its_pairs_with_it():
    here, there = make_pair(1), make_pair(2, base=Address("10.0.0.9", 1))
    checklist = checklist_of(here, there)
    checklist.trigger(there)
    gone = checklist.remove_where(lambda pair: pair.local.base is there.local.base)
    assert gone == [there]
    assert list(checklist) == [here]
    assert not checklist.has_triggered
    assert checklist.find(there.path) is None


@pytest.mark.parametrize("state", list(PairState))
def test_pair_moves_only_as_the_table_says(state):
    for target in PairState:
        pair = make_pair()
        pair.state = state
        if target is state or target in PAIR_TRANSITIONS[state]:
            pair.enter(target)
            assert pair.state is target
        else:
            with pytest.raises(AssertionError):
                pair.enter(target)


def test_round_trip_time_is_smoothed():
    pair = make_pair()
    pair.note_response(1.0, 0.1)
    assert pair.rtt_s == 0.1
    pair.note_response(2.0, 0.2)
    assert pair.rtt_s == pytest.approx(0.1125)
    pair.note_response(3.0, None)
    assert pair.rtt_s == pytest.approx(0.1125)
