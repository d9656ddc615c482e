"""What RFC 8445 and its companions advise (SHOULD) and no other test is about."""

import pytest

from sans_rtc.ice import IceConfig, Role
from sans_rtc.machine import Address


@pytest.mark.proves("RFC8445-14.2-1-96fd", "RFC8445-19.5.1-1-38d4", "RFC8445-6.1.2.5-4-139a")
def test_defaults_are_those_of_the_rfc_and_can_be_lowered():
    config = IceConfig()
    assert (config.check_pace_s, config.pair_count_max) == (0.05, 100)
    assert IceConfig(pair_count_max=4).pair_count_max == 4


@pytest.mark.proves("RFC5389-7.1-5-ae10", "RFC5389-7.1-4-6606", "RFC5389-7.1-7-7697")
@pytest.mark.parametrize("role", list(Role))
def test_check_fits_the_smallest_mtu_of_ipv4(make_hand, role):
    hand = make_hand(role).meet()
    assert 0 < max(len(check.data) for check in hand.sent) <= 576 - 20 - 8


@pytest.mark.proves("RFC8445-5.1.1.1-3-7bfa", "RFC8445-5.2-7-e2b2")
@pytest.mark.parametrize("is_lite", [False, True])
def test_candidate_is_of_component_1_and_a_host_has_type_preference_126(make_hand, is_lite):
    hand = make_hand(Role.CONTROLLED, is_lite=is_lite).meet()
    (candidate,) = hand.agent.explain().local_candidates
    assert (candidate.component, candidate.priority >> 24) == (1, 126)


@pytest.mark.proves("RFC8445-11-2-bd8c", "RFC8445-11-5-ebe3")
def test_pair_in_use_is_kept_alive_by_requests_that_every_agent_answers_within_15_seconds(make_hand):
    hand = make_hand(Role.CONTROLLING).connect()
    for _ in range(4):
        hand.sent.clear()
        for _ in range(15):
            hand.answer_all(hand.wait(1.0))
        assert len(hand.checks()) >= 1


@pytest.mark.proves("RFC8445-8.3.1-1-ccd1")
def test_checks_of_other_candidates_are_answered_for_three_seconds_after_the_selection(make_hand):
    hand = make_hand(Role.CONTROLLED).connect()
    other = Address("10.0.0.9", 9)
    hand.wait(3.0)
    path = type(hand.path)(hand.local, other)
    assert [datagram.path for datagram in hand.receive(hand.request(path=path))][:1] == [path]
