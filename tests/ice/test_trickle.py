"""The peer's candidates as they trickle in (RFC 8838), names among them, and the end."""

import attrs
import pytest

from sans_rtc.ice import (
    AddressFilter,
    AddressRewrite,
    CandidateType,
    DiscardReason,
    PairState,
    Parameters,
    ResolveName,
    RewriteMode,
    Role,
)
from sans_rtc.machine import Address

NAME = "1f4712db-ea17-4bcf-a596-105139dfd8bf.local"


@pytest.fixture
def hand(make_hand):
    return make_hand(Role.CONTROLLING).meet(candidate=False)


def add(hand, address, **fields):
    hand.agent.add_remote_candidate(hand.candidate(address, **fields), hand.now)
    return hand.checks(hand.drain())


def test_candidate_is_checked_when_it_comes(hand):
    assert [check.path.remote for check in add(hand, Address("10.0.0.5", 5))] == [("10.0.0.5", 5)]


def test_candidates_before_the_parameters_wait_for_them(make_hand):
    hand = make_hand(Role.CONTROLLING)
    hand.agent.add_local_address(hand.local, "", hand.now)
    assert add(hand, hand.remote) == []
    assert hand.agent.state == "new"
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    assert len(hand.checks(hand.drain())) == 1


def test_candidates_before_any_socket_wait_for_one(make_hand):
    hand = make_hand(Role.CONTROLLING).meet(address=False)
    assert hand.agent.state == "checking"
    assert hand.sent == []
    hand.agent.add_local_address(hand.local, "", hand.now)
    assert len(hand.checks(hand.drain())) == 1


def test_only_addresses_that_fit_are_paired(hand):
    hand.agent.add_local_address(Address("2001:db8::1", 6), "", hand.now)
    add(hand, Address("2001:db8::9", 5))
    add(hand, Address("10.0.0.5", 5))
    add(hand, Address("fe80::5", 5))
    pairs = {(pair.path.local.family, pair.path.remote.host) for pair in hand.agent.explain().pairs}
    assert pairs == {(6, "2001:db8::9"), (4, "10.0.0.5")}


def test_link_local_peer_is_reached_in_the_zone_of_the_socket(make_hand):
    hand = make_hand(Role.CONTROLLING, address_filter=AddressFilter(allow_link_local=True))
    hand.local = Address("fe80::1%eth0", 1111)
    hand.remote = Address("fe80::2%eth0", 2222)
    hand.meet(candidate=False)
    (check,) = add(hand, Address("fe80::2", 2222))
    assert check.path == hand.path
    hand.receive(hand.response(check, mapped=Address("fe80::1", 1111)))
    hand.receive(hand.request())
    assert hand.agent.can_send
    (pair,) = hand.agent.explain().pairs
    assert (pair.local.type, pair.remote.type) == ("host", "host")


@pytest.mark.proves("RFC8445-6.1.2.4-1-34ed", "TRICKLE-10-2-a628", "TRICKLE-11-1-5c55")
def test_server_reflexive_candidate_of_ours_makes_no_pair_of_its_own(make_hand):
    """RFC 8445 section 6.1.2.4: it is replaced by its base, and the pair is redundant."""
    rule = AddressRewrite("10.0.0.1", "203.0.113.1", RewriteMode.ADD, CandidateType.SERVER_REFLEXIVE)
    hand = make_hand(Role.CONTROLLING, rewrites=(rule,)).meet()
    assert len(hand.agent.explain().local_candidates) == 2
    assert len(hand.agent.explain().pairs) == 1


@pytest.mark.parametrize(
    ("address", "fields", "reason"),
    [
        (Address("10.0.0.5", 9), {"protocol": "tcp"}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("10.0.0.5", 9), {"component": 2}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("10.0.0.5", 0), {}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("0.0.0.0", 9), {}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("224.0.0.1", 9), {}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("127.0.0.1", 9), {}, DiscardReason.REMOTE_CANDIDATE_UNUSABLE),
        (Address("10.0.0.2", 2222), {}, DiscardReason.REMOTE_CANDIDATE_REPEATED),
        (Address("10.0.0.5", 9), {"extensions": (("ufrag", "other"),)}, DiscardReason.FOREIGN_GENERATION),
    ],
)
def test_candidate_of_no_use_is_counted(make_hand, address, fields, reason):
    hand = make_hand(Role.CONTROLLING).meet()
    hand.agent.add_remote_candidate(attrs.evolve(hand.candidate(address), **fields), hand.now)
    assert hand.checks(hand.drain()) == []
    assert hand.agent.stats.discards == {reason: 1}


def test_candidate_of_this_generation_is_taken(hand):
    assert len(add(hand, hand.remote, extensions=(("ufrag", "peer"),))) == 1


def test_candidates_of_another_generation_are_dropped_when_this_one_is_known(make_hand):
    hand = make_hand(Role.CONTROLLING)
    hand.agent.add_local_address(hand.local, "", hand.now)
    add(hand, Address("10.0.0.5", 5), extensions=(("ufrag", "other"),))
    add(hand, Address("10.0.0.6", 6), extensions=(("ufrag", "peer"),))
    add(hand, Address("10.0.0.7", 7), foundation="2")
    hand.agent.set_remote_parameters(hand.parameters, hand.now)
    hand.wait(0.2)
    assert {check.path.remote.port for check in hand.checks()} == {6, 7}
    assert len(hand.agent.explain().pairs) == 2


def test_candidates_after_the_end_are_ignored(hand):
    """RFC 8838 section 14: it "MUST ignore any newly received candidates"."""
    hand.agent.end_of_remote_candidates(hand.now)
    assert add(hand, hand.remote) == []
    assert hand.agent.stats.discards == {DiscardReason.REMOTE_CANDIDATE_AFTER_END: 1}


def test_completed_needs_the_end_of_both_sides(make_hand):
    hand = make_hand(Role.CONTROLLING).connect()
    assert hand.agent.state == "connected"
    hand.agent.end_of_remote_candidates(hand.now)
    assert hand.agent.state == "completed"


def test_signalled_candidates_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLING, remote_candidate_count_max=3).meet(candidate=False)
    for port in range(1, 10):
        add(hand, Address("10.0.0.5", port))
    assert len(hand.agent.explain().remote_candidates) == 3
    assert hand.agent.stats.discards == {DiscardReason.REMOTE_CANDIDATE_LIMIT: 6}


def test_learned_candidates_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLING, peer_reflexive_count_max=2).meet()
    for port in range(1, 10):
        path = type(hand.path)(hand.local, Address("10.0.0.5", port))
        assert hand.receive(hand.request(path=path)) != []  # answered all the same
    assert len(hand.agent.explain().remote_candidates) == 3
    assert hand.agent.stats.discards == {DiscardReason.PEER_REFLEXIVE_LIMIT: 7}


@pytest.mark.proves("RFC8445-6.1.2.5-1-5420", "RFC8445-6.1.2.5-2-ea9f")
def test_pairs_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLING, pair_count_max=5).meet(candidate=False)
    for port in range(1, 20):
        add(hand, Address("10.0.0.5", port), priority=100 - port, foundation="1")
    assert len(hand.agent.explain().pairs) == 5
    assert hand.agent.stats.discards[DiscardReason.PAIR_LIMIT] == 14


# --- names ------------------------------------------------------------------------------------------------------------


def test_name_is_asked_for_and_then_checked(hand):
    assert add(hand, Address(NAME, 5)) == []
    assert hand.of(ResolveName) == [ResolveName(NAME)]
    assert hand.agent.explain().unresolved_names == (NAME,)
    hand.agent.name_resolved(NAME, ["10.0.0.5"], hand.now)
    (check,) = hand.checks(hand.drain())
    assert check.path.remote == ("10.0.0.5", 5)
    assert hand.agent.explain().unresolved_names == ()


def test_name_stays_a_name_in_what_is_told_of_the_pair(hand):
    add(hand, Address(NAME, 5))
    hand.agent.name_resolved(NAME, ["10.0.0.5"], hand.now)
    assert hand.agent.explain().pairs[0].remote.address == (NAME, 5)


def test_same_name_is_asked_for_once(hand):
    add(hand, Address(NAME, 5), foundation="5")
    add(hand, Address(NAME, 6), foundation="6")
    hand.agent.name_resolved(NAME, ["10.0.0.5"], hand.now)
    add(hand, Address(NAME, 7), foundation="7")
    hand.wait(0.2)
    assert len(hand.of(ResolveName)) == 1
    assert {check.path.remote.port for check in hand.checks()} == {5, 6, 7}


@pytest.mark.proves("MDNS-ICE-3.2.2-1-37b5")
def test_mdns_name_with_several_addresses_is_ignored(hand):
    """draft-ietf-rtcweb-mdns-ice-candidates section 3.2.2."""
    add(hand, Address(NAME, 5))
    hand.agent.name_resolved(NAME, ["10.0.0.5", "10.0.0.6"], hand.now)
    assert hand.checks(hand.drain()) == []
    assert hand.agent.stats.discards == {DiscardReason.REMOTE_NAME_AMBIGUOUS: 1}


def test_mdns_name_with_one_address_twice_is_taken(hand):
    add(hand, Address(NAME, 5))
    hand.agent.name_resolved(NAME, ["10.0.0.5", "10.0.0.5"], hand.now)
    assert len(hand.checks(hand.drain())) == 1


@pytest.mark.parametrize("name", ["peer.example.org", "two.labels.local"])
def test_dns_name_with_several_addresses_gives_the_first_of_a_usable_family(make_hand, name):
    hand = make_hand(Role.CONTROLLING, address_filter=AddressFilter(families=(4,))).meet(candidate=False)
    add(hand, Address(name, 5))
    hand.agent.name_resolved(name, ["2001:db8::1", "not an address", "127.0.0.1", "10.0.0.5", "10.0.0.6"], hand.now)
    (check,) = hand.checks(hand.drain())
    assert check.path.remote == ("10.0.0.5", 5)


@pytest.mark.proves("ICE-SDP-5.1-3-03d6")
@pytest.mark.parametrize("by", ["answer", "silence"])
def test_name_that_does_not_exist_is_counted(hand, by):
    add(hand, Address(NAME, 5))
    if by == "answer":
        hand.agent.name_resolved(NAME, [], hand.now)
    else:
        hand.wait(5.0)
    assert hand.agent.stats.discards == {DiscardReason.REMOTE_NAME_UNRESOLVED: 1}
    assert hand.agent.explain().unresolved_names == ()


def test_answer_that_comes_too_late_is_ignored(hand):
    add(hand, Address(NAME, 5))
    hand.wait(5.0)
    hand.agent.name_resolved(NAME, ["10.0.0.5"], hand.now)
    assert hand.checks(hand.drain()) == []


def test_names_are_bounded(make_hand):
    hand = make_hand(Role.CONTROLLING, remote_candidate_count_max=3).meet(candidate=False)
    for index in range(10):
        add(hand, Address(f"n{index}.local", 5))
    assert len(hand.of(ResolveName)) == 3


def test_peer_reflexive_candidate_that_was_a_name_is_one_pair(hand):
    """Section 5.3 of the mDNS draft: the check may come before its name is resolved."""
    add(hand, Address(NAME, 2222))
    hand.receive(hand.request())
    hand.agent.name_resolved(NAME, [hand.remote.host], hand.now)
    hand.drain()
    (pair,) = hand.agent.explain().pairs
    assert pair.remote.type == "host"
    assert pair.state is PairState.IN_PROGRESS


def test_parameters_given_again_change_nothing(hand):
    hand.agent.set_remote_parameters(Parameters("peer", "p" * 22), hand.now)
    assert hand.agent.explain().generation == 0
