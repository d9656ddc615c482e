"""Rules of RFC 8445 that no other test is about."""

import math

import pytest

from sans_rtc.errors import InvalidState
from sans_rtc.ice import LocalCandidate, PairState, Role
from sans_rtc.ice.parameters import draw_parameters
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import (
    Attribute,
    AttributeType,
    MessageClass,
    serialize_message,
    short_term_key,
    success_response,
)
from sans_rtc.testing import SeededEntropy

SECOND = Address("10.0.0.2", 2223)


@pytest.mark.proves("RFC8445-7.2.4-1-2d56")
def test_mapped_address_of_rfc_3489_is_no_answer_to_a_check(make_hand, parsed):
    hand = make_hand(Role.CONTROLLING).meet()
    (check,) = hand.checks()
    answer = success_response(parsed(check), [Attribute(AttributeType.MAPPED_ADDRESS, check.path.local)])
    data = serialize_message(answer, key=short_term_key("p" * 22), fingerprint=True)
    hand.receive(Datagram(data, check.path))
    assert hand.agent.explain().pairs[0].state is PairState.FAILED


@pytest.mark.proves("RFC8445-7.3-7-f135")
def test_request_of_rfc_3489_is_not_answered(make_hand):
    hand = make_hand(Role.CONTROLLED).meet()
    request = hand.request()
    request.data = request.data[:4] + b"\0\0\0\0" + request.data[8:]  # no magic cookie
    assert hand.receive(request) == []


@pytest.mark.proves("RFC8445-7.3-7-f135")
def test_no_answer_names_another_server(make_hand, parsed):
    hand = make_hand(Role.CONTROLLED).meet()
    requests = [hand.request(), hand.request(pwd="w" * 22), hand.request(priority=None)]
    for request in requests:
        answer = parsed(hand.receive(request)[0])
        assert answer.value(AttributeType.ALTERNATE_SERVER) is None


@pytest.mark.proves("RFC8445-7.2.5.3.3-1-7ab4")
def test_pair_of_the_same_foundation_is_checked_once_the_first_has_succeeded(make_hand):
    hand = make_hand(Role.CONTROLLED).meet()
    hand.agent.add_remote_candidate(hand.candidate(SECOND, priority=5), hand.now)
    hand.wait(0.3)
    (check,) = {check.data: check for check in hand.checks()}.values()
    said = hand.receive(hand.response(check)) + hand.wait(0.1)
    assert [again.path.remote for again in hand.checks(said)] == [SECOND]


@pytest.mark.proves("RFC8445-8.1.2-2-cc61", "RFC8445-11-12-7792")
def test_checks_of_any_pair_are_answered_after_the_selection(make_hand, parsed):
    hand = make_hand(Role.CONTROLLING).connect()
    selected = hand.agent.selected_path
    for path in (hand.path, Path(hand.local, SECOND)):
        answer = parsed(hand.receive(hand.request(path=path))[0])
        assert answer.message_class is MessageClass.SUCCESS_RESPONSE
    assert hand.agent.selected_path == selected


@pytest.mark.proves("RFC8445-12.1-1-bc03")
def test_data_go_over_the_selected_pair_though_a_better_one_is_valid(make_hand, value_of):
    hand = make_hand(Role.CONTROLLED).meet()
    hand.agent.add_remote_candidate(hand.candidate(SECOND, priority=5, foundation="2"), hand.now)
    hand.answer_all(hand.sent + hand.wait(0.1))
    hand.receive(hand.request(path=Path(hand.local, SECOND), use_candidate=True))
    assert hand.agent.selected_path.remote == SECOND
    hand.agent.send(b"\x16", hand.now)
    assert [datagram.path.remote for datagram in hand.drain() if datagram.data == b"\x16"] == [SECOND]


@pytest.mark.proves("RFC8445-12.1.1-1-4c30")
def test_lite_agent_sends_nothing_before_a_pair_is_nominated(make_hand):
    lite = make_hand(Role.CONTROLLED, is_lite=True).meet()
    lite.receive(lite.request())
    with pytest.raises(InvalidState):
        lite.agent.send(b"\x16", lite.now)
    lite.receive(lite.request(use_candidate=True))
    lite.agent.send(b"\x16", lite.now)
    assert [datagram.data for datagram in lite.drain()] == [b"\x16"]


@pytest.mark.proves("RFC8445-11-8-d10a")
@pytest.mark.parametrize("verb", ["close", "abort"])
def test_nothing_keeps_a_pair_alive_after_the_end(make_hand, verb):
    hand = make_hand(Role.CONTROLLING).connect()
    getattr(hand.agent, verb)(hand.now)
    hand.drain()
    assert hand.wait(120.0) == []


@pytest.mark.proves("RFC8445-16.1-1-631f", "RFC8445-16.1-2-1fbd")
def test_tie_breaker_is_the_same_in_all_checks(make_hand, value_of):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.agent.add_remote_candidate(hand.candidate(SECOND, priority=5, foundation="2"), hand.now)
    hand.wait(0.2)
    hand.answer_all(hand.answer_all(hand.checks()))
    hand.wait(5.0)
    assert len(hand.checks()) > 5
    assert len({value_of(check, "ICE_CONTROLLING") for check in hand.checks()}) == 1


@pytest.mark.proves("RFC8445-5.1.2-1-a777", "RFC8445-5.2-6-8a55")
def test_candidates_have_priorities_of_their_own_of_31_bits(make_hand):
    hand = make_hand(Role.CONTROLLING)
    for number in range(1, 6):
        for host in (f"10.0.0.{number}", f"2001:db8::{number}"):
            hand.agent.add_local_address(Address(host, 1), "eth0", hand.now)
    hand.drain()
    priorities = [event.candidate.priority for event in hand.of(LocalCandidate)]
    assert len(set(priorities)) == len(priorities) == 10
    assert all(1 <= priority < 1 << 31 for priority in priorities)


@pytest.mark.proves("RFC8445-5.3-2-4766")
def test_fragment_and_password_differ_in_as_many_bits_as_are_asked_for():
    drawn = [draw_parameters(SeededEntropy(seed), is_lite=False, check_pace_s=None) for seed in range(2000)]
    for texts, bits in (([each.ufrag for each in drawn], 24), ([each.pwd for each in drawn], 128)):
        characters = [len(set(column)) for column in zip(*texts, strict=True)]
        assert sum(map(math.log2, characters)) >= bits


@pytest.mark.proves("RFC8445-7.3.1.4-2-b165")
def test_check_of_a_frozen_pair_triggers_one_of_ours(make_hand):
    hand = make_hand(Role.CONTROLLED).meet()
    hand.agent.add_remote_candidate(hand.candidate(SECOND, priority=5), hand.now)
    hand.wait(0.1)
    assert [pair.state for pair in hand.agent.explain().pairs if pair.path.remote == SECOND] == [PairState.FROZEN]
    said = hand.receive(hand.request(path=Path(hand.local, SECOND)))
    assert [check.path.remote for check in hand.checks(said)] == [SECOND]


@pytest.mark.proves("RFC8445-7.3-1-7da1")
def test_check_on_any_socket_is_answered_there(make_hand, parsed):
    hand = make_hand(Role.CONTROLLED).meet()
    other = Address("10.0.0.9", 999)
    hand.agent.add_local_address(other, "eth1", hand.now)
    hand.drain()
    for local in (hand.local, other):
        answer = hand.receive(hand.request(path=Path(local, hand.remote)))[0]
        assert parsed(answer).message_class is MessageClass.SUCCESS_RESPONSE
        assert answer.path == Path(local, hand.remote)
