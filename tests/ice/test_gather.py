"""Gathering: host candidates at once, server-reflexive ones as they arrive (RFC 8445 section 5.1.1, RFC 8838)."""

import pytest

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.ice import (
    AddressFilter,
    AddressRewrite,
    CandidateType,
    GatheringState,
    GatheringStateChanged,
    LocalCandidate,
    RewriteMode,
)
from sans_rtc.machine import Address


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


# --- host candidates --------------------------------------------------------------------------------------------------


def test_host_candidate_comes_out_at_once(make_hand):
    hand = gather(make_hand(), end=False)
    (candidate,) = candidates(hand)
    assert (candidate.type, candidate.address, candidate.related_address) == ("host", hand.local, None)
    assert states(hand) == [GatheringState.GATHERING]


def test_candidate_names_its_generation(make_hand):
    hand = gather(make_hand())
    assert candidates(hand)[0].extension("ufrag") == hand.agent.local_parameters.ufrag


@pytest.mark.proves("TRICKLE-13-2-8a4d", "TRICKLE-13-3-6c98")
def test_gathering_is_complete_after_the_last_socket_where_no_server_is_asked(make_hand):
    hand = gather(make_hand())
    assert states(hand) == [GatheringState.GATHERING, GatheringState.COMPLETE]
    assert isinstance(hand.events[-1], GatheringStateChanged)


def test_gathering_of_nothing_is_complete(make_hand):
    hand = make_hand()
    hand.agent.end_of_local_addresses(hand.now)
    hand.drain()
    assert states(hand) == [GatheringState.COMPLETE]


def test_socket_that_comes_late_opens_gathering_again(make_hand):
    hand = gather(make_hand())
    gather(hand, Address("10.0.0.7", 7), end=False)
    assert states(hand)[2:] == [GatheringState.GATHERING, GatheringState.COMPLETE]
    assert len(candidates(hand)) == 2


def test_same_address_twice_is_one_candidate(make_hand):
    hand = make_hand()
    gather(hand, hand.local, hand.local)
    assert len(candidates(hand)) == 1


@pytest.mark.proves("RFC8421-5-1-7d0d")
def test_priorities_of_host_candidates_are_unique_and_families_take_turns(make_hand):
    hand = make_hand()
    addresses = [Address(f"10.0.0.{i}", 1) for i in (1, 2)] + [Address(f"2001:db8::{i}", 1) for i in (1, 2)]
    gather(hand, *addresses)
    ordered = sorted(candidates(hand), key=lambda candidate: -candidate.priority)
    assert [candidate.address.family for candidate in ordered] == [6, 4, 6, 4]
    assert len({candidate.priority for candidate in ordered}) == 4


def test_zone_of_a_link_local_address_stays_at_home(make_hand):
    hand = make_hand(address_filter=AddressFilter(allow_link_local=True))
    gather(hand, Address("fe80::1%eth0", 5))
    assert candidates(hand)[0].address == ("fe80::1", 5)


@pytest.mark.proves("RFC8445-5.1.1.1-4-201c", "RFC8445-5.1.1.1-8-7fe7")
def test_filtered_address_is_no_candidate_and_is_explained(make_hand):
    hand = gather(make_hand(), Address("127.0.0.1", 5))
    assert candidates(hand) == []
    assert hand.agent.explain().filtered == ((Address("127.0.0.1", 5), "loopback"),)


@pytest.mark.parametrize("address", [Address("name", 5), Address("10.0.0.1", 0), Address("10.0.0.1", 65536)])
def test_what_is_no_socket_address_is_refused(make_agent, address):
    agent = make_agent()
    with pytest.raises(InvalidArgument):
        agent.add_local_address(address, "", 0.0)
    assert agent.gathering_state is GatheringState.NEW


def test_local_addresses_are_bounded(make_agent):
    agent = make_agent(local_address_count_max=2)
    agent.add_local_address(Address("10.0.0.1", 1), "", 0.0)
    agent.add_local_address(Address("127.0.0.1", 1), "", 0.0)  # filtered ones count
    with pytest.raises(LimitExceeded):
        agent.add_local_address(Address("10.0.0.3", 1), "", 0.0)
    assert len(agent.take_events()) == 2


# --- rewriting --------------------------------------------------------------------------------------------------------


def test_rewriting_replaces_the_address(make_hand):
    hand = gather(make_hand(rewrites=(AddressRewrite("10.0.0.1", "203.0.113.1"),)))
    assert [(c.type, c.address) for c in candidates(hand)] == [("host", ("203.0.113.1", 1111))]


def test_rewriting_adds_an_address(make_hand):
    rule = AddressRewrite("10.0.0.1", "203.0.113.1", RewriteMode.ADD, CandidateType.SERVER_REFLEXIVE)
    hand = gather(make_hand(rewrites=(rule,)))
    assert [(c.type, c.address) for c in candidates(hand)] == [
        ("host", hand.local),
        ("srflx", ("203.0.113.1", 1111)),
    ]
    assert candidates(hand)[1].related_address == hand.local


def test_checks_leave_from_the_socket_whatever_peers_are_told(make_hand):
    hand = make_hand(rewrites=(AddressRewrite("10.0.0.1", "203.0.113.1"),)).meet()
    (check,) = hand.checks()
    assert check.path.local == hand.local
    hand.receive(hand.response(check, mapped=Address("203.0.113.1", 1111)))
    pair = hand.agent.explain().pairs[0]
    assert (pair.local.type, pair.local.address) == ("host", ("203.0.113.1", 1111))
