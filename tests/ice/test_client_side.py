"""Our checks: what they carry, how they are repeated, what responses mean (RFC 8445 section 7.2)."""

import pytest

from sans_rtc.ice import CandidateType, DiscardReason, IceConfig, PairState, Parameters, Role, RoleChanged
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import is_fingerprint_valid, is_integrity_valid, short_term_key
from sans_rtc.stun.wire import serialize_message, success_response

OTHER = Address("10.0.0.3", 3333)


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).meet()


def pair_of(hand):
    return hand.agent.explain().pairs[0]


def test_first_check_goes_at_once(hand):
    assert len(hand.checks()) == 1


@pytest.mark.proves("RFC8445-7.2.2-1-f179", "RFC8445-7.2.4-2-7e5e", "RFC5389-10.1.1-1-a284")
def test_credentials_of_a_check(hand, value_of):
    """RFC 8445 section 7.2.2: RFRAG:LFRAG, and the peer's password."""
    (check,) = hand.checks()
    assert value_of(check, "USERNAME") == f"peer:{hand.agent.local_parameters.ufrag}"
    assert is_integrity_valid(check.data, short_term_key("p" * 22))
    assert is_fingerprint_valid(check.data)


@pytest.mark.proves("RFC8445-7.1.3-1-bb54", "RFC8445-7.1.3-2-66d2")
@pytest.mark.parametrize("role", list(Role))
def test_check_asserts_the_role(make_hand, value_of, role):
    hand = make_hand(role).meet()
    (check,) = hand.checks()
    assert value_of(check, f"ICE_{role.name}") is not None
    assert value_of(check, f"ICE_{role.other.name}") is None


@pytest.mark.proves("RFC8445-7.1.1-1-bd30")
def test_priority_of_a_check_is_that_of_a_peer_reflexive_candidate(hand, value_of):
    """7.1.1: the local candidate's priority, with the type preference of peer-reflexive candidates."""
    local = hand.agent.explain().local_candidates[0]
    expected = (110 << 24) | (local.priority & 0xFFFFFF)
    assert value_of(hand.checks()[0], "PRIORITY") == expected


def test_ordinary_check_has_no_use_candidate(hand, value_of):
    assert value_of(hand.checks()[0], "USE_CANDIDATE") is None


def test_further_checks_are_paced(make_hand):
    hand = make_hand(Role.CONTROLLING, check_pace_s=0.05).meet(candidate=False)
    for index in range(4):
        address = Address(f"10.0.1.{index}", 1000)
        hand.agent.add_remote_candidate(hand.candidate(address, foundation=str(index)), hand.now)
    hand.drain()
    times = []
    for _ in range(4):
        times += [round(hand.now - 1000.0, 6)] * len(hand.checks(hand.sent))
        hand.sent.clear()
        hand.wait(0.05)
    assert times == [0.0, 0.05, 0.1, 0.15]


@pytest.mark.proves("RFC8445-14.2-3-564b")
def test_pace_is_the_slower_of_both_ends(make_hand):
    """RFC 8445 section 14.2: "Both agents MUST use the higher value of the proposed values." """
    hand = make_hand(Role.CONTROLLING)
    hand.parameters = Parameters("peer", "p" * 22, check_pace_s=0.2)
    hand.meet()
    hand.agent.add_remote_candidate(hand.candidate(OTHER, foundation="2"), hand.now)
    assert hand.checks(hand.wait(0.19)) == []
    assert len(hand.checks(hand.wait(0.02))) == 1


@pytest.mark.proves("RFC8445-14.2-2-7da1")
def test_pace_is_proposed_where_it_is_not_the_default(make_agent):
    assert make_agent().local_parameters.check_pace_s is None
    assert make_agent(check_pace_s=0.02).local_parameters.check_pace_s == 0.02


@pytest.mark.proves("RFC8445-14.3-3-a006")
def test_check_is_repeated_unchanged_by_the_schedule(hand):
    (check,) = hand.checks()
    hand.sent.clear()
    times = []
    while len(times) < 6:
        hand.wait(hand.agent.deadline - hand.now)
        times += [round(hand.now - 1000.0, 6) for datagram in hand.sent if datagram.data == check.data]
        hand.sent.clear()
    assert times == [0.5, 1.5, 3.5, 5.5, 7.5, 9.5]


@pytest.mark.proves("RFC8445-7.2.5.2.3-1-a653")
def test_unanswered_check_fails_the_pair(hand):
    hand.wait(17.4)
    assert pair_of(hand).state is PairState.IN_PROGRESS
    hand.wait(0.2)
    assert pair_of(hand).state is PairState.FAILED
    assert pair_of(hand).statistics.checks_timed_out == 1


@pytest.mark.proves("RFC8445-14.3-2-1dc6")
def test_first_repetition_waits_longer_where_many_checks_are_due(make_hand):
    """RFC 8445 section 14.3, so that every pair is checked once before any is checked twice."""
    hand = make_hand(Role.CONTROLLING, check_pace_s=0.1)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    for index in range(20):
        address = Address(f"10.0.1.{index}", 1000)
        hand.agent.add_remote_candidate(hand.candidate(address, foundation=str(index)), hand.now)
    hand.meet(candidate=False, address=False)
    hand.wait(1.95)
    assert len(hand.checks()) == len({check.path for check in hand.checks()}) == 20


def test_success_makes_the_pair_valid(hand):
    hand.receive(hand.response(hand.checks()[0]))
    pair = pair_of(hand)
    assert pair.state is PairState.SUCCEEDED
    assert pair.statistics.responses_received == 1
    assert pair.last_response_at == hand.now
    assert hand.agent.can_send


def test_round_trip_time_is_measured(hand):
    hand.now += 0.03
    hand.receive(hand.response(hand.checks()[0]))
    assert pair_of(hand).rtt_s == pytest.approx(0.03)


def test_round_trip_time_is_not_taken_from_a_repeated_check(hand):
    hand.wait(0.6)
    hand.receive(hand.response(hand.checks()[0]))
    assert pair_of(hand).state is PairState.SUCCEEDED
    assert pair_of(hand).rtt_s is None


def test_mapped_address_that_is_ours_is_no_new_candidate(hand):
    hand.receive(hand.response(hand.checks()[0]))
    assert pair_of(hand).local.type is CandidateType.HOST
    assert len(hand.agent.explain().local_candidates) == 1


@pytest.mark.proves("RFC8445-7.2.5.3.1-1-5db9")
def test_unknown_mapped_address_is_a_peer_reflexive_candidate_of_ours(hand, value_of):
    """7.2.5.3.1: type, base, the priority of the check, a foundation of its own."""
    (check,) = hand.checks()
    hand.receive(hand.response(check, mapped=Address("203.0.113.5", 5555)))
    local = pair_of(hand).local
    assert (local.type, local.address, local.related_address) == ("prflx", ("203.0.113.5", 5555), hand.local)
    assert local.priority == value_of(check, "PRIORITY")
    assert local.foundation not in {c.foundation for c in hand.agent.explain().local_candidates if c != local}


def test_made_up_mapped_addresses_are_bounded(hand):
    hand.connect()
    for port in range(100):
        for check in hand.checks(hand.wait(1.3)):
            hand.receive(hand.response(check, mapped=Address("203.0.113.5", 1000 + port)))
    assert len(hand.agent.explain().local_candidates) <= 33


@pytest.mark.proves("RFC8445-7.2.5.2.1-1-a4fa", "RFC8445-7.2.5.2.1-2-b164", "RFC8445-7.2.5.2.1-3-5baa")
def test_success_from_another_address_is_not_taken_and_fails_the_pair_for_want_of_another(hand):
    """7.2.5.2.1: "If the addresses are not symmetric, the agent MUST set the candidate pair state to Failed." """
    (check,) = hand.checks()
    for _ in range(30):
        hand.receive(hand.response(check, path=Path(hand.local, OTHER)))
        hand.wait(1.0)
    assert pair_of(hand).state is PairState.FAILED
    assert pair_of(hand).statistics.asymmetric_responses > 1
    assert not hand.agent.can_send


def test_copy_of_a_response_that_comes_first_from_elsewhere_changes_nothing(hand):
    (check,) = hand.checks()
    hand.receive(hand.response(check, path=Path(hand.local, OTHER)))
    assert hand.agent.stats.discards == {DiscardReason.RESPONSE_WRONG_SOURCE: 1}
    hand.receive(hand.response(check))
    assert pair_of(hand).state is PairState.SUCCEEDED
    assert hand.agent.can_send


def test_success_on_another_socket_is_not_taken(hand):
    (check,) = hand.checks()
    second = Address("10.0.0.9", 999)
    hand.agent.add_local_address(second, "eth1", hand.now)
    hand.receive(hand.response(check, path=Path(second, hand.remote)))
    assert hand.agent.stats.discards == {DiscardReason.RESPONSE_WRONG_SOURCE: 1}
    assert all(pair.state is not PairState.SUCCEEDED for pair in hand.agent.explain().pairs)


def test_response_with_a_wrong_fingerprint_is_discarded(hand):
    (check,) = hand.checks()
    response = hand.response(check)
    response.data = response.data[:-1] + bytes([response.data[-1] ^ 1])
    hand.receive(response)
    assert hand.agent.stats.discards == {DiscardReason.BAD_FINGERPRINT: 1}
    hand.receive(hand.response(check))
    assert pair_of(hand).state is PairState.SUCCEEDED


@pytest.mark.proves("RFC5389-10.1.3-1-8e30", "SECURITY-4.2.1-1-e7b3")
def test_response_without_integrity_is_as_if_it_never_came(hand):
    (check,) = hand.checks()
    hand.receive(hand.response(check, key=False))
    assert pair_of(hand).state is PairState.IN_PROGRESS
    assert hand.agent.stats.discards == {DiscardReason.RESPONSE_NOT_AUTHENTICATED: 1}
    assert len(hand.wait(0.6)) == 1  # repetitions go on
    hand.receive(hand.response(check))
    assert pair_of(hand).state is PairState.SUCCEEDED


@pytest.mark.proves("RFC5389-10.1.3-1-8e30", "SECURITY-4.2.1-1-e7b3")
def test_response_with_a_wrong_password_is_as_if_it_never_came(hand):
    hand.receive(hand.response(hand.checks()[0], pwd="w" * 22))
    assert pair_of(hand).state is PairState.IN_PROGRESS


def test_error_without_integrity_is_a_hint_for_people_only(hand):
    hand.receive(hand.response(hand.checks()[0], code=401, key=False))
    pair = pair_of(hand)
    assert pair.state is PairState.IN_PROGRESS
    assert (pair.statistics.unproven_refusal_code, pair.statistics.refused_code) == (401, 0)


def test_response_to_an_unknown_transaction_is_discarded(hand):
    response = hand.response(hand.checks()[0])
    hand.receive(response)
    hand.receive(response)  # replayed
    assert hand.agent.stats.discards == {DiscardReason.UNKNOWN_TRANSACTION: 1}


@pytest.mark.proves("RFC8445-7.2.5.2.4-1-7fa8")
def test_authenticated_error_fails_the_pair(hand):
    hand.receive(hand.response(hand.checks()[0], code=500))
    pair = pair_of(hand)
    assert pair.state is PairState.FAILED
    assert (pair.statistics.checks_refused, pair.statistics.refused_code) == (1, 500)


def test_success_without_a_mapped_address_fails_the_pair(hand, parsed):
    (check,) = hand.checks()
    response = hand.response(check)
    response.data = serialize_message(success_response(parsed(check)), key=short_term_key("p" * 22), fingerprint=True)
    hand.receive(response)
    assert pair_of(hand).state is PairState.FAILED


@pytest.mark.proves(
    "RFC8445-7.2.5.1-1-2d1e",
    "RFC8445-7.2.5.1-2-50a0",
    "RFC8445-7.2.5.1-3-9efe",
    "RFC8445-7.2.5.1-4-0110",
    "RFC8445-16.1-1-631f",
    "RFC8445-16.1-2-1fbd",
)
@pytest.mark.parametrize("role", list(Role))
def test_487_switches_our_role_and_the_check_is_repeated_in_it(make_hand, value_of, role):
    """7.2.5.1: the other role, a new tie-breaker, and the pair is triggered again."""
    hand = make_hand(role).meet()
    (check,) = hand.checks()
    (again,) = hand.checks(hand.receive(hand.response(check, code=487)))
    assert hand.agent.role is role.other
    assert hand.of(RoleChanged) == [RoleChanged(role.other)]
    assert value_of(again, f"ICE_{role.other.name}") not in (None, value_of(check, f"ICE_{role.name}"))


def test_487_to_a_check_in_a_role_that_has_changed_since_changes_nothing(make_hand):
    hand = make_hand(Role.CONTROLLING).meet()
    (check,) = hand.checks()
    hand.receive(hand.request(role=Role.CONTROLLING, tie_breaker=(1 << 64) - 1))
    assert hand.agent.role is Role.CONTROLLED
    hand.receive(hand.response(check, code=487))
    assert hand.agent.role is Role.CONTROLLED


def test_peer_that_always_answers_487_does_not_go_on_for_ever(hand):
    for _ in range(50):
        hand.answer_all(hand.wait(0.3) or hand.sent[-1:], code=487)
    assert len(hand.of(RoleChanged)) == IceConfig().role_switch_count_max
    assert pair_of(hand).state is PairState.FAILED


def test_transactions_are_bounded(make_hand):
    """A peer that checks without end and never answers: cancelled checks make room, and the number stays."""
    hand = make_hand(Role.CONTROLLED, transaction_count_max=8, check_pace_s=0.005).meet()
    for _ in range(100):
        hand.now += 0.01
        hand.receive(hand.request())
    waiting = hand.agent._generations.current._client._checks
    assert len(waiting) <= 8


def test_checks_wait_where_no_transaction_is_free(make_hand):
    hand = make_hand(Role.CONTROLLING, transaction_count_max=8).meet(candidate=False)
    for index in range(12):
        address = Address(f"10.0.1.{index}", 1000)
        hand.agent.add_remote_candidate(hand.candidate(address, foundation=str(index)), hand.now)
    hand.wait(0.48)
    assert len({check.path for check in hand.checks()}) == 8
    assert hand.agent.stats.discards[DiscardReason.TRANSACTION_LIMIT] > 0
    hand.answer_all(hand.checks()[:1], code=500)
    hand.wait(0.06)
    assert len({check.path for check in hand.checks()}) == 9


def test_check_has_nothing_that_the_peer_did_not_ask_for(hand, parsed):
    types = {attribute.type for attribute in parsed(hand.checks()[0]).attributes}
    assert types == {
        AttributeType.USERNAME,
        AttributeType.ICE_CONTROLLING,
        AttributeType.PRIORITY,
        AttributeType.MESSAGE_INTEGRITY,
        AttributeType.FINGERPRINT,
    }
