"""Priorities and foundations (RFC 8445 sections 5.1.1.3, 5.1.2, 6.1.2.3; RFC 8421)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sans_rtc.ice import CandidateType
from sans_rtc.ice.priority import (
    CANDIDATES_PER_ADDRESS_MAX,
    Foundations,
    LocalPreferences,
    candidate_priority,
    pair_priority,
)

HOST, SRFLX = CandidateType.HOST, CandidateType.SERVER_REFLEXIVE


@pytest.mark.proves(
    "RFC8445-5.1.2.1-1-4c5a", "RFC8445-5.1.2.1-2-7f8d", "RFC8445-5.1.2-2-b317", "RFC8445-5.1.2.2-1-8771"
)
@pytest.mark.parametrize(
    ("kind", "preference", "priority"),
    [
        # RFC 8839 section 4.2.6: the example's host and srflx candidates.
        (HOST, 65535, 2130706431),
        (SRFLX, 65535, 1694498815),
        (CandidateType.PEER_REFLEXIVE, 65535, 1862270975),
        (CandidateType.RELAYED, 65535, 16777215),
        (HOST, 0, 2113929471),
    ],
)
def test_candidate_priority(kind, preference, priority):
    assert candidate_priority(kind, preference) == priority


def test_component_lowers_the_priority():
    assert candidate_priority(HOST, 65535, 2) == candidate_priority(HOST, 65535, 1) - 1


def test_pair_priority_by_the_formula():
    assert pair_priority(2, 1) == (1 << 32) + 4 + 1
    assert pair_priority(1, 2) == (1 << 32) + 4
    assert pair_priority(5, 5) == (5 << 32) + 10


@given(*[st.integers(0, 0xFFFFFFFF)] * 4)
def test_both_ends_order_pairs_alike(g, d, other_g, other_d):
    """The priority is a function of what both ends know, and the pair of the better worst candidate comes first."""
    if min(g, d) > min(other_g, other_d):
        assert pair_priority(g, d) > pair_priority(other_g, other_d)


@pytest.mark.proves("RFC8445-5.1.2.1-6-2de0", "RFC8445-5.1.2.2-2-d5c0")
def test_families_take_turns_ipv6_first():
    preferences = LocalPreferences()
    drawn = [(family, preferences.draw(family)) for family in (4, 4, 4, 6, 6, 6)]
    order = [family for family, _ in sorted(drawn, key=lambda entry: -entry[1])]
    assert order == [6, 4, 6, 4, 6, 4]
    assert max(preference for _, preference in drawn) == 65535


def test_a_late_family_stands_between_the_others():
    preferences = LocalPreferences()
    six = [preferences.draw(6) for _ in range(3)]
    four = preferences.draw(4)
    assert six[0] > four > six[1]


@pytest.mark.proves("RFC8445-5.1.2.1-6-2de0", "RFC8445-5.1.2.2-2-d5c0")
def test_unreliable_networks_rank_below_all_others():
    preferences = LocalPreferences()
    tunnel = preferences.draw(6, is_unreliable=True)
    assert tunnel < min(preferences.draw(4) for _ in range(500))


@pytest.mark.proves("RFC8445-5.1.2-1-a777", "RFC8445-5.2-6-8a55", "RFC8445-5.1.2.1-3-0e66", "RFC8445-5.1.2.1-5-336d")
def test_every_candidate_of_every_address_has_a_preference_of_its_own():
    preferences = LocalPreferences()
    kinds = [(family, is_unreliable) for family in (4, 6) for is_unreliable in (False, True)]
    slots = [preferences.draw(family, is_unreliable=bad) for family, bad in kinds for _ in range(1000)]
    every = [slot - index for slot in slots for index in range(CANDIDATES_PER_ADDRESS_MAX)]
    assert len(set(every)) == len(every)
    assert min(every) >= 0
    assert max(every) <= 65535


def test_preferences_never_leave_their_range():
    preferences = LocalPreferences()
    drawn = [preferences.draw(4, is_unreliable=True) for _ in range(5000)]
    assert min(drawn) >= CANDIDATES_PER_ADDRESS_MAX - 1


@pytest.mark.proves("RFC8445-5.2-5-efe0")
def test_foundation_is_equal_where_type_base_server_and_protocol_are():
    foundations = Foundations()
    first = foundations.name(HOST, "10.0.0.1")
    assert foundations.name(HOST, "10.0.0.1") == first


@pytest.mark.proves("RFC8445-5.2-5-efe0")
@pytest.mark.parametrize(
    "other",
    [(SRFLX, "10.0.0.1"), (HOST, "10.0.0.2"), (HOST, "10.0.0.1", "192.0.2.2"), (HOST, "10.0.0.1", "", "tcp")],
)
def test_foundation_differs_where_any_of_them_does(other):
    foundations = Foundations()
    assert foundations.name(HOST, "10.0.0.1") != foundations.name(*other)
