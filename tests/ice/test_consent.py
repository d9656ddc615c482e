"""Liveness and consent (RFC 7675): silence, recovery, expiry, and what does not count."""

from itertools import pairwise

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.ice import ConnectionStateChanged, PairState, Payload, Role
from sans_rtc.machine import Datagram


def states(hand):
    return [str(event.state) for event in hand.of(ConnectionStateChanged)]


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).connect()


def keep_answering(hand, duration_s, step_s=0.05):
    for _ in range(round(duration_s / step_s)):
        hand.answer_all(hand.wait(step_s))


@pytest.mark.proves("ICE-SDP-6-1-32b4")
@pytest.mark.proves("RFC8445-11-1-9d7d", "RFC8445-11-3-ffd1", "RFC8445-11-4-e852", "RFC8445-11-13-490e")
def test_pair_in_use_is_checked_about_once_a_second(hand):
    hand.sent.clear()
    keep_answering(hand, 20.0)
    assert 16 <= len(hand.checks()) <= 25


@pytest.mark.proves("RFC7675-5.1-3-3c79")
def test_interval_is_randomised(hand):
    """RFC 7675 section 5.1: "each interval MUST be randomized from between 0.8 and 1.2 times the basic period"."""
    times = []
    for _ in range(30):
        hand.sent.clear()
        hand.wait(hand.agent.deadline - hand.now)
        if hand.checks():
            times.append(hand.now)
            hand.answer_all(hand.sent)
    intervals = [later - earlier for earlier, later in pairwise(times)]
    assert all(0.8 <= interval <= 1.2 for interval in intervals)
    assert len({round(interval, 3) for interval in intervals}) > 10


@pytest.mark.proves("RFC7675-5.1-6-e63e")
def test_each_consent_check_is_a_transaction_of_its_own_sent_once(hand):
    """Section 5.1: "MUST use a new STUN transaction identifier", "is transmitted once only"."""
    hand.sent.clear()
    hand.wait(10.0)
    identifiers = [check.data[8:20] for check in hand.checks()]
    assert len(set(identifiers)) == len(identifiers) > 10


def test_silent_pair_is_checked_twice_as_often(hand):
    hand.wait(1.2)
    hand.sent.clear()
    hand.wait(20.0)
    assert 34 <= len(hand.checks()) <= 48


def test_silence_gives_disconnected_after_three_seconds(hand):
    last = hand.now
    hand.wait(2.99)
    assert hand.agent.state == "connected"
    hand.wait(0.02)
    assert hand.agent.state == "disconnected"
    assert hand.now - last < 3.05
    assert hand.agent.can_send  # consent lasts for 30 s


def test_peer_that_vanishes_is_noticed_about_three_seconds_later(hand):
    keep_answering(hand, 10.0)
    vanished = hand.now
    while hand.agent.state == "connected":
        hand.wait(0.05)
    assert 1.5 <= hand.now - vanished <= 3.1


def test_program_that_stood_still_asks_before_it_says_disconnected(hand):
    keep_answering(hand, 2.0)
    hand.now += 10.0  # nobody has called anything
    hand.agent.handle_timer(hand.now)
    said = hand.drain()
    assert hand.agent.state == "connected"
    hand.answer_all(said)
    keep_answering(hand, 5.0)
    assert "disconnected" not in states(hand)


def test_program_that_stood_still_and_gets_no_answer_says_disconnected_soon(hand):
    hand.now += 10.0
    hand.wait(1.9)
    assert hand.agent.state == "disconnected"


def test_next_valid_response_gives_connected_again(hand):
    hand.wait(5.0)
    assert hand.agent.state == "disconnected"
    hand.answer_all(hand.sent[-1:])
    assert states(hand)[-2:] == ["disconnected", "connected"]


@pytest.mark.proves("RFC7675-5.1-7-77d8")
def test_late_response_to_an_earlier_consent_check_counts(hand):
    """RFC 7675 section 5.1: "a response might be for a previous request"."""
    hand.sent.clear()
    hand.wait(5.0)
    hand.answer_all(hand.checks()[:1])
    assert hand.agent.state == "connected"


@pytest.mark.proves("RFC8445-12.1-3-c3ff", "RFC7675-5.1-2-215e", "SECURITY-4.2-1-300e")
def test_consent_expires_after_thirty_seconds_and_sending_ends_at_once(hand):
    hand.wait(29.9)
    assert hand.agent.state == "disconnected"
    assert hand.agent.can_send
    hand.wait(0.2)
    assert hand.agent.state == "failed"
    assert not hand.agent.can_send
    with pytest.raises(InvalidState):
        hand.agent.send(b"\x16", hand.now)
    assert hand.wait(60.0) == []
    assert hand.agent.explain().is_consent_lost


def test_failed_after_is_configurable(make_hand):
    hand = make_hand(Role.CONTROLLING, failed_after_s=10.0).connect()
    hand.wait(9.9)
    assert hand.agent.state == "disconnected"
    hand.wait(0.2)
    assert hand.agent.state == "failed"


@pytest.mark.proves("RFC7675-5.1-8-8bd9", "RFC7675-5.1-12-a3bb")
def test_responses_after_expiry_do_not_restore_consent(hand):
    """Section 5.1: "STUN consent responses received after consent expiry do not re-establish consent"."""
    hand.sent.clear()
    hand.wait(31.0)
    hand.answer_all(hand.checks())
    assert hand.agent.state == "failed"
    assert not hand.agent.can_send


@pytest.mark.proves("RFC7675-5.1-13-eece")
def test_credentials_are_not_used_again_on_a_path_whose_consent_is_lost(hand):
    hand.wait(31.0)
    hand.sent.clear()
    said = hand.receive(hand.request())
    assert hand.checks(said) == []  # answered, yet no check of ours
    assert len(said) == 1
    assert hand.agent.state == "failed"


def test_requests_of_the_peer_do_not_extend_consent(hand):
    for _ in range(310):
        hand.wait(0.1)
        hand.receive(hand.request())
    assert states(hand)[-2:] == ["disconnected", "failed"]


def test_payload_does_not_extend_consent(hand):
    hand.receive(hand.request())
    for _ in range(310):
        hand.wait(0.1)
        hand.receive(Datagram(b"\x16data", hand.path))
    assert states(hand)[-2:] == ["disconnected", "failed"]
    assert len(hand.of(Payload)) == 310


def test_unauthenticated_responses_do_not_extend_consent(hand):
    for _ in range(310):
        hand.answer_all(hand.wait(0.1), pwd="w" * 22)
    assert states(hand)[-2:] == ["disconnected", "failed"]


def test_response_from_another_address_does_not_extend_consent(hand):
    elsewhere = hand.path.__class__(hand.local, hand.remote.__class__("10.0.0.3", 1))
    for _ in range(310):
        hand.answer_all(hand.wait(0.1), path=elsewhere)
    assert hand.agent.state == "failed"


def test_forbidden_revokes_consent_at_once(hand):
    """Section 5.2: "a valid and authenticated STUN response with error code Forbidden (403)"."""
    hand.sent.clear()
    hand.wait(1.3)
    hand.receive(hand.response(hand.checks()[0], code=403))
    assert not hand.agent.can_send
    assert hand.agent.state == "failed"


@pytest.mark.proves("RFC7675-5.2-1-410d")
def test_forbidden_without_proof_revokes_nothing(hand):
    hand.sent.clear()
    hand.wait(1.3)
    hand.receive(hand.response(hand.checks()[0], code=403, key=False))
    assert hand.agent.can_send


def test_another_error_to_a_consent_check_is_only_a_lost_one(hand):
    hand.sent.clear()
    hand.wait(1.3)
    hand.receive(hand.response(hand.checks()[0], code=500))
    assert hand.agent.state == "connected"


def test_without_liveness_the_interval_is_that_of_rfc_7675(make_hand):
    hand = make_hand(
        Role.CONTROLLING, liveness_interval_s=None, liveness_retry_s=4.0, disconnected_after_s=15.0
    ).connect()
    hand.sent.clear()
    keep_answering(hand, 60.0)
    assert 10 <= len(hand.checks()) <= 15


def test_valid_pair_that_was_never_nominated_loses_consent_too(make_hand):
    hand = make_hand(Role.CONTROLLED).meet()
    hand.answer_all(hand.sent)
    assert hand.agent.can_send
    hand.wait(31.0)
    assert not hand.agent.can_send
    assert hand.agent.explain().pairs[0].state is PairState.FAILED
    assert hand.agent.state == "failed"


def test_outstanding_consent_checks_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLING, transaction_count_max=16, liveness_retry_s=0.1).connect()
    hand.wait(25.0)
    assert len(hand.agent._generations.current._client._checks) <= 16
    hand.answer_all(hand.sent[-1:])
    assert hand.agent.state == "connected"


def test_nomination_that_comes_again_and_again_does_not_keep_a_silent_path_from_failing(make_hand):
    """Its sender may hear nothing of us, or be somebody who sends an overheard one again."""
    hand = make_hand(Role.CONTROLLED).connect()
    nomination = hand.request(use_candidate=True)
    start = hand.now
    while "failed" not in states(hand):
        hand.receive(nomination)
        hand.wait(0.2)
    assert 29.0 <= hand.now - start <= 30.5
    for _ in range(100):
        hand.receive(nomination)
        hand.wait(0.2)
    assert states(hand)[-2:] == ["disconnected", "failed"]
