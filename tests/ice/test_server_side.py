"""The peer's checks: authentication, roles, responses, triggered checks (RFC 8445 section 7.3, RFC 8489 9.1)."""

import pytest

from sans_rtc.ice import DiscardReason, PairState, Parameters, Payload, Role, RoleChanged
from sans_rtc.machine import Address, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.integrity import IntegrityAlgorithm, is_fingerprint_valid, is_integrity_valid, short_term_key
from sans_rtc.stun.wire import Attribute, MessageClass, Method

STRANGER = Address("198.51.100.7", 7000)


def code_of(parsed, datagram):
    message = parsed(datagram)
    assert message.message_class is MessageClass.ERROR_RESPONSE
    return message.value(AttributeType.ERROR_CODE).code


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLED).meet()


@pytest.mark.proves("RFC8445-7.3-1-7da1")
def test_check_is_answered_with_the_address_it_came_from(hand, parsed):
    response, _ = hand.receive(hand.request())
    message = parsed(response)
    assert message.message_class is MessageClass.SUCCESS_RESPONSE
    assert message.value(AttributeType.XOR_MAPPED_ADDRESS) == hand.remote
    assert response.path == hand.path


@pytest.mark.proves("RFC8445-7.3-3-4c08", "RFC5389-10.1.2-10-4e04", "RFC5389-10.1.2-11-fa5a")
def test_response_is_authenticated_with_our_password_and_has_no_username(hand, parsed):
    response, _ = hand.receive(hand.request())
    assert is_integrity_valid(response.data, short_term_key(hand.agent.local_parameters.pwd))
    assert is_fingerprint_valid(response.data)
    assert parsed(response).value(AttributeType.USERNAME) is None


def test_response_uses_the_integrity_algorithm_of_the_request(hand, parsed):
    request = hand.request(serialize={"algorithm": IntegrityAlgorithm.SHA256})
    message = parsed(hand.receive(request)[0])
    assert message.value(AttributeType.MESSAGE_INTEGRITY_SHA256) is not None
    assert message.value(AttributeType.MESSAGE_INTEGRITY) is None


@pytest.mark.proves(
    "RFC8445-7.3-2-3037",
    "RFC8445-7.3-4-6f45",
    "RFC5389-10.1.2-1-405c",
    "RFC5389-10.1.2-2-7f15",
    "RFC5389-10.1.2-4-405c",
    "RFC5389-10.1.2-5-60b2",
    "RFC5389-10.1.2-7-405c",
    "RFC5389-10.1.2-8-60b2",
    "RFC5389-10.1.2-12-f186",
)
@pytest.mark.parametrize(
    ("choices", "code"),
    [
        ({"integrity": False}, 400),
        ({"username": None}, 400),
        ({"username": "wrong:peer"}, 401),
        ({"username": "peer"}, 401),
        ({"pwd": "w" * 22}, 401),
    ],
)
def test_request_that_proves_nothing_is_refused(hand, parsed, choices, code):
    (response,) = hand.receive(hand.request(**choices))
    assert code_of(parsed, response) == code
    # RFC 8489 section 9.1.3: with neither USERNAME nor integrity.
    assert parsed(response).value(AttributeType.MESSAGE_INTEGRITY) is None
    assert hand.agent.stats.discards == {DiscardReason.NOT_AUTHENTICATED: 1}


@pytest.mark.proves("RFC8445-7.3-4-6f45")
def test_username_without_our_fragment_alone_is_refused(hand, parsed):
    (response,) = hand.receive(hand.request(username=hand.agent.local_parameters.ufrag))
    assert code_of(parsed, response) == 401


def test_refusals_are_limited_in_rate(make_hand):
    hand = make_hand(Role.CONTROLLED, refusals_per_s_max=3).meet()
    responses = [hand.receive(hand.request(pwd="w" * 22)) for _ in range(10)]
    assert sum(map(len, responses)) == 3
    hand.now += 1.0
    assert len(hand.receive(hand.request(pwd="w" * 22))) == 1


@pytest.mark.proves("RFC8445-7.3-8-11b0")
@pytest.mark.parametrize("broken", [False, True])
def test_request_without_a_valid_fingerprint_is_not_answered(hand, broken):
    request = hand.request(fingerprint=broken)
    if broken:
        request.data = request.data[:-1] + bytes([request.data[-1] ^ 1])
    assert hand.receive(request) == []
    assert hand.agent.stats.discards == {DiscardReason.BAD_FINGERPRINT: 1}


def test_request_with_another_method_is_not_answered(hand):
    assert hand.receive(hand.request(method=Method.ALLOCATE)) == []
    assert hand.agent.stats.discards == {DiscardReason.UNEXPECTED_STUN: 1}


def test_unknown_required_attribute_gets_420(hand, parsed):
    (response,) = hand.receive(hand.request(more=[Attribute(0x7777, b"")]))
    assert code_of(parsed, response) == 420
    assert parsed(response).value(AttributeType.UNKNOWN_ATTRIBUTES) == (0x7777,)


@pytest.mark.proves("RFC5389-7.3-1-53d0", "RFC5389-7.3-2-87f3")
def test_unknown_optional_attribute_is_ignored(hand, parsed):
    response, _ = hand.receive(hand.request(more=[Attribute(0xC057, 65541), Attribute(0xFFEE, b"1234")]))
    assert parsed(response).message_class is MessageClass.SUCCESS_RESPONSE


def test_request_without_priority_gets_400(hand, parsed):
    (response,) = hand.receive(hand.request(priority=None))
    assert code_of(parsed, response) == 400


@pytest.mark.proves("RFC5389-10.1.2-3-42f8", "RFC5389-10.1.2-6-42f8", "RFC5389-10.1.2-9-42f8")
def test_indication_is_counted_and_nothing_else(hand):
    request = hand.request()
    request.data = b"\x00\x11" + request.data[2:]
    assert hand.receive(request) == []
    assert hand.agent.stats.indications_received == 1


def test_request_to_a_socket_that_is_not_ours_is_discarded(hand):
    assert hand.receive(hand.request(path=Path(STRANGER, hand.remote))) == []
    assert hand.agent.stats.discards == {DiscardReason.UNKNOWN_LOCAL_ADDRESS: 1}


# --- roles (7.3.1.1) --------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC8445-7.3.1.1-2-880e", "RFC8445-7.3.1.1-3-f1c3")
@pytest.mark.parametrize("role", list(Role))
def test_check_with_the_same_role_and_a_smaller_claim_gets_487(make_hand, parsed, role):
    """The controlling agent keeps its role against a smaller tie-breaker, the controlled one against a larger."""
    hand = make_hand(role).meet()
    tie_breaker = 0 if role is Role.CONTROLLING else (1 << 64) - 1
    (response,) = hand.receive(hand.request(role=role, tie_breaker=tie_breaker))
    assert code_of(parsed, response) == 487
    assert is_integrity_valid(response.data, short_term_key(hand.agent.local_parameters.pwd))
    assert hand.agent.role is role


@pytest.mark.proves("RFC8445-6.1.1-6-5a1a", "RFC8445-7.3.1.1-2-880e", "RFC8445-7.3.1.1-3-f1c3")
@pytest.mark.parametrize("role", list(Role))
def test_check_with_the_same_role_and_a_larger_claim_switches_ours(make_hand, parsed, role):
    hand = make_hand(role).meet()
    tie_breaker = (1 << 64) - 1 if role is Role.CONTROLLING else 0
    response = hand.receive(hand.request(role=role, tie_breaker=tie_breaker))[0]
    assert parsed(response).message_class is MessageClass.SUCCESS_RESPONSE
    assert hand.agent.role is role.other
    assert hand.of(RoleChanged) == [RoleChanged(role.other)]


def test_an_equal_tie_breaker_is_settled_in_favour_of_the_receiver(make_hand, value_of):
    hand = make_hand(Role.CONTROLLING).meet()
    tie_breaker = value_of(hand.checks()[0], "ICE_CONTROLLING")
    hand.receive(hand.request(role=Role.CONTROLLING, tie_breaker=tie_breaker))
    assert hand.agent.role is Role.CONTROLLING


def test_priorities_of_pairs_follow_the_role(make_hand):
    hand = make_hand(Role.CONTROLLING).meet(candidate=False)
    hand.agent.add_remote_candidate(hand.candidate(priority=5), hand.now)
    before = hand.agent.explain().pairs[0].priority
    hand.receive(hand.request(role=Role.CONTROLLING, tie_breaker=(1 << 64) - 1))
    assert hand.agent.explain().pairs[0].priority == before - 1


def test_role_switches_end_at_the_limit(make_hand, parsed):
    hand = make_hand(Role.CONTROLLING, role_switch_count_max=3).meet()
    for _ in range(10):
        role = hand.agent.role
        tie_breaker = (1 << 64) - 1 if role is Role.CONTROLLING else 0
        response = hand.receive(hand.request(role=role, tie_breaker=tie_breaker))[0]
    assert code_of(parsed, response) == 487
    assert len(hand.of(RoleChanged)) == 3


# --- triggered checks and peer-reflexive candidates (7.3.1.3, 7.3.1.4) ------------------------------------------------


@pytest.mark.proves("RFC8445-7.3.1.4-1-e86c")
def test_check_from_an_unknown_address_makes_a_peer_reflexive_candidate(hand, value_of):
    path = Path(hand.local, STRANGER)
    _, check = hand.receive(hand.request(path=path, priority=123456))
    assert check.path == path
    learned = hand.agent.explain().remote_candidates[-1]
    assert (learned.type, learned.address, learned.priority) == ("prflx", STRANGER, 123456)
    assert value_of(check, "USERNAME") == f"peer:{hand.agent.local_parameters.ufrag}"


def test_learned_candidate_has_a_foundation_of_its_own(hand):
    for port in (7000, 7001):
        hand.receive(hand.request(path=Path(hand.local, Address(STRANGER.host, port))))
    foundations = [candidate.foundation for candidate in hand.agent.explain().remote_candidates]
    assert len(set(foundations)) == 3


def test_signalled_candidate_takes_the_place_of_the_learned_one(hand):
    """RFC 8445 section 7.3.1.3; RFC 8838 section 11: both ends see the same priority afterwards."""
    hand.receive(hand.request(path=Path(hand.local, STRANGER), priority=5))
    hand.agent.add_remote_candidate(hand.candidate(STRANGER, priority=2000, foundation="9"), hand.now)
    candidates = [c for c in hand.agent.explain().remote_candidates if c.address == STRANGER]
    assert [(c.type, c.foundation, c.priority) for c in candidates] == [("host", "9", 2000)]
    pair = next(pair for pair in hand.agent.explain().pairs if pair.path.remote == STRANGER)
    assert pair.priority >> 32 == 2000


def test_check_of_a_pair_in_progress_is_repeated_at_once_and_the_old_one_cancelled(hand):
    (first,) = hand.checks()
    _, second = hand.receive(hand.request())
    assert second.path == first.path
    assert second.data[8:20] != first.data[8:20]
    repeated = hand.wait(0.6)
    assert [datagram.data[8:20] for datagram in repeated] == [second.data[8:20]]


def test_response_to_a_cancelled_check_still_counts(hand):
    (first,) = hand.checks()
    hand.receive(hand.request())
    hand.receive(hand.response(first))
    assert hand.agent.explain().pairs[0].state is PairState.SUCCEEDED


def test_check_of_a_pair_that_has_succeeded_triggers_nothing(hand):
    hand.answer_all(hand.sent)
    assert hand.checks(hand.receive(hand.request())) == []


@pytest.mark.proves("RFC8445-7.3.1.4-2-b165")
def test_check_of_a_failed_pair_wakes_it(hand):
    (check,) = hand.checks()
    hand.receive(hand.response(check, code=500))
    assert hand.agent.explain().pairs[0].state is PairState.FAILED
    assert len(hand.checks(hand.receive(hand.request()))) == 1


def test_triggered_checks_have_a_small_burst_and_then_the_pace(make_hand):
    hand = make_hand(Role.CONTROLLED, triggered_burst_max=2, check_pace_s=0.1).meet(candidate=False)
    for port in range(7000, 7006):
        hand.receive(hand.request(path=Path(hand.local, Address(STRANGER.host, port))))
    # The first goes unconditionally, two more run ahead by two intervals.
    assert len(hand.checks()) == 3
    times = []
    for _ in range(3):
        times.append(round(hand.agent.deadline - hand.now, 6))
        hand.wait(hand.agent.deadline - hand.now)
    assert times == [0.1, 0.1, 0.1]
    assert len(hand.checks()) == 6


# --- before the peer's parameters are known (7.3) ---------------------------------------------------------------------


@pytest.mark.proves("ICE-SDP-4.2.4-1-f9ad")
@pytest.mark.proves("RFC8445-5.3-3-0020", "RFC8445-7.3-5-1760", "RFC8445-7.3-6-6aca")
def test_early_check_is_answered_at_once_and_triggers_when_the_parameters_come(make_hand, parsed):
    hand = make_hand(Role.CONTROLLED)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    (response,) = hand.receive(hand.request())
    assert parsed(response).message_class is MessageClass.SUCCESS_RESPONSE
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    (check,) = hand.checks(hand.drain())
    assert check.path == hand.path


def test_early_nomination_is_remembered(make_hand):
    hand = make_hand(Role.CONTROLLED)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    hand.receive(hand.request(use_candidate=True))
    hand.receive(hand.request())
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    hand.answer_all(hand.drain())
    assert hand.agent.state == "connected"


def test_early_checks_of_another_generation_are_dropped(make_hand):
    hand = make_hand(Role.CONTROLLED)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    hand.receive(hand.request(username=f"{hand.agent.local_parameters.ufrag}:other"))
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    assert hand.checks(hand.drain()) == []


def test_early_checks_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLED, early_request_count_max=2)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    for port in range(7000, 7005):
        assert len(hand.receive(hand.request(path=Path(hand.local, Address(STRANGER.host, port))))) == 1
    assert hand.agent.stats.discards == {DiscardReason.EARLY_REQUESTS_FULL: 3}
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    assert len(hand.agent.explain().pairs) == 2


def test_check_of_another_generation_of_the_peer_with_our_old_credentials_is_refused(hand, parsed):
    """A success would make a peer that restarts stay with the credentials that it is about to leave."""
    username = f"{hand.agent.local_parameters.ufrag}:other"
    path = Path(hand.local, STRANGER)
    (response,) = hand.receive(hand.request(username=username, path=path))
    assert code_of(parsed, response) == 401
    assert len(hand.agent.explain().pairs) == 1
    assert hand.agent.stats.discards == {DiscardReason.FOREIGN_GENERATION: 1}


def test_check_with_our_new_credentials_is_answered_before_the_peer_has_signalled_its_own(hand, parsed):
    hand.agent.restart(hand.now)
    username = f"{hand.agent.local_parameters.ufrag}:other"
    (response,) = hand.receive(hand.request(username=username))
    assert parsed(response).message_class is MessageClass.SUCCESS_RESPONSE


def test_authenticated_check_opens_the_path_for_payload(hand):
    hand.receive(hand.request())
    payload = hand.request()
    payload.data = b"\x16 dtls"
    hand.receive(payload)
    assert hand.of(Payload) == [Payload(b"\x16 dtls", hand.path, 0)]


def test_parameters_of_the_peer_are_kept(hand):
    assert hand.agent.remote_parameters == Parameters("peer", "p" * 22)
