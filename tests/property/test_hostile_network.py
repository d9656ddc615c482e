"""A whole session among strangers who overhear everything: it completes as if nobody were there.

What is made up without a secret changes nothing, wherever it comes from, but for one thing: a DTLS handshake is not
protected, so that what comes from the peer's own address may spoil it (`test_hostile_handshake`). What is authentic and
comes again is answered where ICE must answer it, and has no other effect.
"""

import functools

import pytest

from sans_rtc.machine import Terminated
from sans_rtc.peer import TerminationReason
from tests.property.hostile import (
    FOLLOWING_S,
    FORMS,
    MADE_UP,
    OVERTAKING_S,
    STRANGERS,
    HostileSession,
    accounted,
    expected,
    is_protected,
)

WHEN = {"overtaking": OVERTAKING_S, "following": FOLLOWING_S}
FROM_STRANGERS = [(form, source, when) for form in FORMS for source in STRANGERS for when in WHEN]
MADE_UP_BY_STRANGERS = [case for case in FROM_STRANGERS if case[0] in MADE_UP]
FROM_THE_PEER = [(form, "own address", when) for form in FORMS for when in WHEN]


@functools.cache
def session(form=None, source=None, when="following"):
    """A session that was lived and ended; what its tests ask about is noted before the end."""
    is_hostile = is_protected if (form, source) == ("flipped", "own address") else lambda data: True
    lived = HostileSession((form,) if form else (), (source,), WHEN[when], is_hostile=is_hostile).live()
    lived.accounted = [accounted(peer) for peer in lived.peers]
    lived.injected_before_the_end = list(lived.injected)
    lived.pairs = [peer.explain().ice.selected for peer in lived.peers]
    lived.end()
    return lived


def quiet():
    """The same session where nobody else is."""
    return session()


@pytest.mark.parametrize("case", FROM_STRANGERS + FROM_THE_PEER, ids=" ".join)
def test_every_message_arrives_once_and_in_order(case):
    for end in (0, 1):
        assert session(*case).messages[end] == expected(end)


@pytest.mark.parametrize("case", FROM_STRANGERS + FROM_THE_PEER, ids=" ".join)
def test_session_ends_as_its_ends_want_it_to(case):
    reasons = [[event.reason for event in session(*case).events(end, Terminated)] for end in (0, 1)]
    assert reasons == [[TerminationReason.CLOSED], [TerminationReason.CLOSED_BY_PEER]]
    session(*case).check()


@pytest.mark.parametrize("case", FROM_STRANGERS + FROM_THE_PEER, ids=" ".join)
def test_selected_path_is_not_moved(case):
    assert [pair.path for pair in session(*case).pairs] == [pair.path for pair in quiet().pairs]


@pytest.mark.parametrize("case", MADE_UP_BY_STRANGERS, ids=" ".join)
def test_strangers_change_no_byte_that_the_peers_exchange_nor_its_time(case):
    assert session(*case).traffic == quiet().traffic
    assert [repr(session(*case).link.events[end]) for end in (0, 1)] == [
        repr(quiet().link.events[end]) for end in (0, 1)
    ]


@pytest.mark.parametrize("form", ["empty", "random", "cut"])
@pytest.mark.parametrize("when", WHEN)
def test_what_makes_no_sense_changes_no_byte_though_it_comes_from_the_peers_address(form, when):
    assert session(form, "own address", when).traffic == quiet().traffic


@pytest.mark.parametrize("case", MADE_UP_BY_STRANGERS, ids=" ".join)
def test_every_datagram_of_a_stranger_is_counted_under_one_reason(case):
    lived = session(*case)
    assert min(lived.injected_before_the_end) > 100
    for end in (0, 1):
        assert lived.accounted[end] == quiet().accounted[end] + lived.injected_before_the_end[end]


@pytest.mark.parametrize("when", WHEN)
def test_every_empty_datagram_is_counted_though_it_comes_from_the_peers_address(when):
    lived = session("empty", "own address", when)
    for end in (0, 1):
        assert lived.accounted[end] == quiet().accounted[end] + lived.injected_before_the_end[end]


@pytest.mark.parametrize("case", FROM_STRANGERS, ids=" ".join)
def test_strangers_are_answered_less_than_they_say(case):
    """Error responses up to a rate; to a replayed check its response and checks of our own, as ICE must."""
    lived = session(*case)
    duration_s = lived.now - 1000.0
    if case[0] == "replayed":
        assert len(lived.strays) < sum(lived.injected)
    else:
        assert len(lived.strays) <= 2 * 10 * (duration_s + 1)
        assert case[0] == "unproven" or not lived.strays


def test_strangers_are_never_sent_anything_but_stun():
    for case in FROM_STRANGERS:
        assert all(stray.data[0] <= 3 for stray in session(*case).strays)
