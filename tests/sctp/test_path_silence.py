"""What the layer below says of its path: nothing is given up while that is silent, and all goes on when it is alive."""

import pytest

from sans_rtc.machine import Terminated
from sans_rtc.sctp import TerminationReason
from sans_rtc.sctp.chunks import CookieAck, CookieEcho, Data, Init

WAITS = ["cookie-wait", "cookie-echoed"]


def asking(sctp, state):
    """A scripted peer before an association that waits in this state; it gives up after three times, within 3 s."""
    raw = sctp.RawPeer(sctp.association(init_retransmissions_max=2, rto_initial_s=0.5, rto_max_s=8.0))
    raw.association.connect(raw.now)
    raw.take()
    if state == "cookie-echoed":
        raw.now += 0.2
        raw.send(raw.init(is_ack=True, cookie=b"peer cookie"))
        raw.take()
    assert raw.association.state == state
    return raw


def asked(said):
    return [chunk for chunk in said if isinstance(chunk, Init | CookieEcho)]


@pytest.mark.parametrize("state", WAITS)
def test_handshake_is_not_given_up_while_the_path_is_silent(sctp, state):
    raw = asking(sctp, state)
    raw.association.path_silent(raw.now)
    assert len(asked(raw.wait(100.0))) > 10  # it may be the answers only that are lost
    assert raw.association.state == state


@pytest.mark.parametrize("state", WAITS)
def test_handshake_without_such_words_is_given_up_as_ever(sctp, state):
    raw = asking(sctp, state)
    raw.wait(100.0)
    (ended,) = [event for event in raw.events if isinstance(event, Terminated)]
    assert ended.reason == TerminationReason.HANDSHAKE_TIMEOUT


@pytest.mark.parametrize("state", WAITS)
def test_handshake_asks_at_once_when_the_path_is_alive_again_and_is_given_up_where_nobody_answers(sctp, state):
    raw = asking(sctp, state)
    raw.association.path_silent(raw.now)
    raw.wait(50.0)
    raw.association.path_alive(raw.now)
    assert len(asked(raw.take())) == 1
    assert len(asked(raw.wait(1.1))) == 1  # the timeouts are as at the beginning
    raw.wait(20.0)
    assert raw.association.is_terminated


def test_answer_after_the_silence_opens_the_association_and_is_no_measurement(sctp):
    raw = asking(sctp, "cookie-wait")
    raw.association.path_silent(raw.now)
    raw.association.path_alive(raw.now)
    raw.take()
    raw.send(raw.init(is_ack=True, cookie=b"peer cookie"))  # to which INIT?
    assert raw.association.statistics.srtt_s == 0.0
    raw.send(CookieAck())
    assert raw.association.state == "established"


def test_path_that_was_not_silent_is_alive_without_effect(sctp):
    raw = asking(sctp, "cookie-wait")
    deadline = raw.association.deadline
    raw.association.path_alive(raw.now)
    assert not raw.take() and raw.association.deadline == deadline


def test_data_is_not_given_up_while_the_path_is_silent(sctp, send):
    raw = sctp.RawPeer(sctp.association(association_retransmissions_max=2)).establish()
    send(raw.association, b"waits", now=raw.now)
    raw.association.path_silent(raw.now)
    assert len([chunk for chunk in raw.wait(100.0) if isinstance(chunk, Data)]) > 5
    assert not raw.association.is_terminated
    raw.association.path_alive(raw.now)
    raw.wait(100.0)
    (ended,) = [event for event in raw.events if isinstance(event, Terminated)]
    assert ended.reason == TerminationReason.PEER_UNREACHABLE


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_application_ends_what_waits_for_a_silent_path(sctp, verb):
    raw = asking(sctp, "cookie-echoed")
    raw.association.path_silent(raw.now)
    getattr(raw.association, verb)(raw.now)
    raw.association.path_alive(raw.now)
    assert raw.association.is_terminated and raw.association.deadline == float("inf")
    assert not asked(raw.take())
