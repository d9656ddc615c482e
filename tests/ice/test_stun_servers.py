"""Server-reflexive candidates: several servers at once, each for itself (RFC 8445 section 5.1.1.2), some by name."""

import pytest

from sans_rtc.ice import (
    AddressFilter,
    CandidateError,
    CandidateType,
    DiscardReason,
    GatheringState,
    GatheringStateChanged,
    LocalCandidate,
    ResolveName,
    Role,
    StunServer,
)
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun.attributes import AttributeType
from sans_rtc.stun.wire import Attribute, error_response, parse_message, serialize_message, success_response

SERVERS = (StunServer("192.0.2.2"), StunServer("192.0.2.3"))
MAPPED = Address("203.0.113.9", 9999)


def candidates(hand):
    return [event.candidate for event in hand.of(LocalCandidate)]


def states(hand):
    return [event.state for event in hand.of(GatheringStateChanged)]


def gather(hand, *addresses, network="eth0", end=True):
    for address in addresses or (hand.local,):
        hand.agent.add_local_address(address, network, hand.now)
    if end:
        hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    return hand


def answer(request, mapped=MAPPED, *, code=0, attribute=AttributeType.XOR_MAPPED_ADDRESS, path=None):
    message = parse_message(request.data)
    if code:
        response = error_response(message, code)
    else:
        response = success_response(message, [] if mapped is None else [Attribute(attribute, mapped)])
    return Datagram(serialize_message(response), path or request.path)


@pytest.mark.proves("RFC8445-5.1.1.2-4-ffa7", "RFC8445-5.1.1.2-7-8417")
def test_every_server_is_asked_paced_the_first_at_once(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS, check_pace_s=0.05))
    assert [datagram.path.remote.host for datagram in hand.sent] == ["192.0.2.2"]
    hand.wait(0.05)
    assert [datagram.path.remote.host for datagram in hand.sent] == ["192.0.2.2", "192.0.2.3"]


def test_request_to_a_server_is_not_authenticated(make_hand, parsed):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    assert [attribute.type for attribute in parsed(hand.sent[0]).attributes] == [AttributeType.FINGERPRINT]


@pytest.mark.proves("ICE-SDP-5.1-7-ca7b")
@pytest.mark.proves("RFC8445-5.1.1.2-1-5520")
def test_server_reflexive_candidate(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0]))
    host, reflexive = candidates(hand)
    assert (reflexive.type, reflexive.address, reflexive.related_address) == ("srflx", MAPPED, hand.local)
    assert reflexive.priority >> 24 == 100
    assert reflexive.foundation != host.foundation
    assert states(hand)[-1] is GatheringState.COMPLETE


def test_host_candidate_does_not_wait_for_any_server(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    assert [candidate.type for candidate in candidates(hand)] == ["host"]
    hand.meet(address=False)
    assert len([d for d in hand.checks() if d.path.remote == hand.remote]) == 1


def test_fast_server_does_not_wait_for_a_slow_one(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.wait(0.05)
    hand.receive(answer(hand.sent[1]))
    assert [candidate.type for candidate in candidates(hand)] == ["host", "srflx"]
    assert states(hand)[-1] is GatheringState.GATHERING


def test_silent_server_is_given_up_and_reported(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.wait(0.05)
    hand.receive(answer(hand.sent[1]))
    hand.wait(6.5)
    (error,) = hand.of(CandidateError)
    assert (error.server, error.address, error.code) == (SERVERS[0], hand.local, 701)
    assert states(hand)[-1] is GatheringState.COMPLETE


def test_requests_to_a_server_are_repeated_by_the_schedule(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    (request,) = hand.sent
    hand.wait(6.0)
    assert [datagram.data for datagram in hand.sent] == [request.data] * 7


@pytest.mark.parametrize("code", [300, 401, 420, 500])
def test_server_that_answers_an_error_is_reported_with_it(make_hand, code):
    """Section 5.1.1.2: Binding requests are not authenticated, ALTERNATE-SERVER is ignored."""
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0], code=code))
    assert [error.code for error in hand.of(CandidateError)] == [code]


@pytest.mark.proves("RFC8445-5.1.1.2-5-abd4", "RFC5389-12.1-2-c3c4")
def test_answer_with_mapped_address_alone_is_taken(make_hand):
    """Section 5.1.1.2: "Agents MUST support the backwards-compatibility mode for the Binding request"."""
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0], attribute=AttributeType.MAPPED_ADDRESS))
    assert candidates(hand)[-1].address == MAPPED


@pytest.mark.parametrize("mapped", [None, Address("0.0.0.0", 5), Address("224.0.0.1", 5), Address("203.0.113.1", 0)])
def test_answer_without_a_usable_address_is_an_error(make_hand, mapped):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0], mapped))
    assert [error.code for error in hand.of(CandidateError)] == [701]


def test_answer_from_anybody_else_is_discarded(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0], path=Path(hand.local, Address("198.51.100.1", 3478))))
    assert len(candidates(hand)) == 1
    assert hand.agent.stats.discards == {DiscardReason.RESPONSE_WRONG_SOURCE: 1}
    hand.receive(answer(hand.sent[0]))
    assert len(candidates(hand)) == 2


@pytest.mark.proves("RFC8445-5.1.3-1-302f")
def test_without_a_nat_the_server_reflexive_candidate_is_redundant(make_hand):
    """Section 5.1.3: same transport address and base."""
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0], hand.local))
    assert len(candidates(hand)) == 1
    assert hand.of(CandidateError) == []


@pytest.mark.proves("RFC8445-5.1.1.2-2-5792")
def test_candidate_types_that_are_not_wanted_are_not_told(make_hand):
    hand = make_hand(candidate_types=frozenset({CandidateType.SERVER_REFLEXIVE}), stun_servers=SERVERS[:1])
    gather(hand)
    hand.receive(answer(hand.sent[0]))
    assert [candidate.type for candidate in candidates(hand)] == ["srflx"]


def test_two_servers_that_see_the_same_address_make_one_candidate(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.wait(0.05)
    for request in hand.sent[:2]:
        hand.receive(answer(request))
    assert [candidate.type for candidate in candidates(hand)] == ["host", "srflx"]


def test_two_servers_that_see_different_addresses_make_two(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.wait(0.05)
    for port, request in enumerate(hand.sent[:2], start=5000):
        hand.receive(answer(request, Address("203.0.113.9", port)))
    reflexive = candidates(hand)[1:]
    assert len({candidate.priority for candidate in reflexive}) == 2
    assert len({candidate.foundation for candidate in reflexive}) == 2


def test_servers_are_asked_from_sockets_of_their_family_only(make_hand):
    hand = make_hand(stun_servers=(*SERVERS[:1], StunServer("2001:db8::53")))
    gather(hand, hand.local, Address("2001:db8::1", 6))
    hand.wait(0.2)
    asked = {(datagram.path.local.family, datagram.path.remote.family) for datagram in hand.sent}
    assert asked == {(4, 4), (6, 6)}


def test_loopback_socket_does_not_ask_a_server_elsewhere(make_hand):
    hand = make_hand(stun_servers=SERVERS, address_filter=AddressFilter(allow_loopback=True))
    gather(hand, Address("127.0.0.1", 6))
    assert hand.sent == []
    assert states(hand)[-1] is GatheringState.COMPLETE


@pytest.mark.proves("RFC8445-5.1.1.4-1-583b", "RFC8445-5.1.1.4-2-2244")
def test_bindings_are_kept_alive_until_a_pair_is_selected(make_hand):
    """Section 5.1.1.4."""
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0]))
    hand.sent.clear()
    hand.wait(14.9)
    assert hand.sent == []
    hand.wait(0.2)
    (refresh,) = hand.sent
    hand.receive(answer(refresh))
    assert len(candidates(hand)) == 2


def test_bindings_lapse_once_a_pair_is_selected(make_hand):
    hand = make_hand(Role.CONTROLLING, stun_servers=SERVERS[:1])
    gather(hand)
    hand.receive(answer(hand.sent[0]))
    hand.connect()
    hand.sent.clear()
    for _ in range(50):
        hand.answer_all(hand.wait(0.5))
    assert all(datagram.path.remote == hand.remote for datagram in hand.sent)


def test_binding_that_moves_is_a_new_candidate(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0]))
    hand.wait(15.1)
    hand.receive(answer(hand.sent[-1], Address("203.0.113.9", 1)))
    assert [candidate.address.port for candidate in candidates(hand)] == [1111, 9999, 1]


def test_refresh_that_fails_is_no_error(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS[:1]))
    hand.receive(answer(hand.sent[0]))
    hand.wait(60.0)
    assert hand.of(CandidateError) == []


def test_removed_socket_stops_asking(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.sent.clear()
    hand.drain()
    assert hand.wait(10.0) == []
    assert states(hand)[-1] is GatheringState.COMPLETE


def test_socket_that_comes_back_is_a_candidate_again(make_hand):
    hand = gather(make_hand())
    hand.agent.remove_local_address(hand.local, hand.now)
    hand.agent.add_local_address(hand.local, "eth0", hand.now)
    hand.drain()
    assert [candidate.address for candidate in candidates(hand)] == [hand.local, hand.local]


def test_filtered_addresses_that_are_gone_count_no_more(make_agent):
    agent = make_agent(local_address_count_max=1)
    agent.add_local_address(Address("127.0.0.1", 1), "", 0.0)
    agent.remove_local_address(Address("127.0.0.1", 1), 0.0)
    agent.add_local_address(Address("10.0.0.1", 1), "", 0.0)
    assert len(agent.explain().local_candidates) == 1


# --- servers by name --------------------------------------------------------------------------------------------------

NAMED = (StunServer("stun.example.org", 3479),)


def test_name_of_a_server_is_asked_for_once(make_hand):
    hand = make_hand(stun_servers=(*NAMED, StunServer("stun.example.org", 3480)))
    gather(hand, hand.local, Address("10.0.0.7", 7))
    assert hand.of(ResolveName) == [ResolveName("stun.example.org")]
    assert states(hand) == [GatheringState.GATHERING]


def test_resolved_server_is_asked_from_each_socket(make_hand):
    hand = make_hand(stun_servers=NAMED)
    gather(hand, hand.local, Address("10.0.0.7", 7))
    hand.agent.name_resolved("stun.example.org", ["2001:db8::1", "192.0.2.9", "192.0.2.10"], hand.now)
    hand.drain()
    hand.wait(0.1)
    assert [(d.path.local.port, d.path.remote) for d in hand.sent] == [
        (1111, ("192.0.2.9", 3479)),
        (7, ("192.0.2.9", 3479)),
    ]


@pytest.mark.parametrize("by", ["answer", "silence"])
def test_server_whose_name_does_not_exist_is_reported(make_hand, by):
    hand = gather(make_hand(stun_servers=NAMED))
    if by == "answer":
        hand.agent.name_resolved("stun.example.org", [], hand.now)
        hand.drain()
    else:
        hand.wait(5.0)
    (error,) = hand.of(CandidateError)
    assert (error.server, error.address, error.code) == (NAMED[0], None, 701)
    assert states(hand)[-1] is GatheringState.COMPLETE
    assert hand.agent.explain().unresolved_servers == ("stun.example.org:3479",)


def test_answer_for_a_name_that_nobody_asked_for_is_ignored(make_hand):
    hand = gather(make_hand(stun_servers=NAMED))
    hand.agent.name_resolved("other.example.org", ["192.0.2.9"], hand.now)
    assert hand.drain() == []


def test_outcome_of_each_server_is_explained(make_hand):
    hand = gather(make_hand(stun_servers=SERVERS))
    hand.wait(0.05)
    hand.now += 0.02
    hand.receive(answer(hand.sent[1]))
    hand.wait(7.0)
    first, second = hand.agent.explain().servers
    assert (first.server, first.state, first.code, first.reason) == (SERVERS[0], "failed", 701, "no answer")
    assert (second.state, second.mapped, second.rtt_s) == ("succeeded", MAPPED, pytest.approx(0.02))
