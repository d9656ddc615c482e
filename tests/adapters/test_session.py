"""What is kept for the application, without any loop: a scripted machine, and signals that count."""

import pytest

from sans_rtc.datachannel.events import ChannelClosed, ChannelMessage, ChannelOpened
from sans_rtc.ice import GatheringState
from sans_rtc.machine import Terminated
from sans_rtc.peer.events import (
    ConnectionStateChanged,
    IceGatheringStateChanged,
    LocalCandidate,
    NegotiationNeeded,
    ResolveName,
)
from sans_rtc.peer.states import ConnectionState, TerminationReason
from sans_rtc_net import session as session_module
from sans_rtc_net.candidates import IceCandidate, as_candidate
from sans_rtc_net.errors import ChannelClosed as ChannelIsClosed
from sans_rtc_net.session import Session


class Counter:
    def __init__(self):
        self.count = 0

    def notify(self):
        self.count += 1


class ScriptedMachine:
    connection_state = ConnectionState.CONNECTED
    unacknowledged_bytes = 0

    def __init__(self):
        self.consumed, self.closed = [], []

    def consume(self, channel, byte_count, now):
        self.consumed.append((channel, byte_count))

    def close_channel(self, channel, now):
        self.closed.append(channel)

    def channel(self, channel):
        from sans_rtc.errors import InvalidState

        raise InvalidState("done with")

    def explain(self):
        return "explained"


@pytest.fixture
def asked():
    return []


@pytest.fixture
def session(asked):
    return Session(
        ScriptedMachine(),
        make_signal=Counter,
        clock=lambda: 0.0,
        on_gather=lambda: asked.append("sockets"),
        on_resolve=asked.append,
    )


def opened(handle):
    return ChannelOpened(handle, f"c{handle}", "", is_incoming=True)


def test_reading_a_message_gives_its_credit_back(session):
    session.on_events([opened(1), ChannelMessage(1, "grüße", 7), ChannelMessage(1, b"", 1)])
    inbox = session.incoming.popleft()
    assert session.machine.consumed == []
    assert (inbox.take(), inbox.take()) == ("grüße", b"")
    assert session.machine.consumed == [(1, 7), (1, 1)]


def test_closing_gives_back_the_credit_of_what_is_unread(session):
    session.on_events([opened(1), ChannelMessage(1, "x", 1)])
    inbox = session.channels[1]
    inbox.close()
    inbox.close()
    assert session.machine.consumed == [(1, 1)]


def test_channel_closed_before_anybody_accepted_it_is_forgotten(session):
    session.on_events([opened(1), ChannelClosed(1), opened(2)])
    assert [inbox.handle for inbox in session.incoming] == [2]
    assert list(session.channels) == [2]


def test_channel_closed_with_unread_messages_can_still_be_accepted(session):
    session.on_events([opened(1), ChannelMessage(1, "x", 1), ChannelClosed(1)])
    assert session.incoming.popleft().take() == "x"


def test_channels_nobody_accepts_are_bounded(session, monkeypatch):
    monkeypatch.setattr(session_module, "INCOMING_COUNT_MAX", 2)
    session.on_events([opened(1), ChannelMessage(1, "x", 1), opened(2), opened(3), ChannelMessage(3, "y", 1)])
    assert [inbox.handle for inbox in session.incoming] == [1, 2]
    assert session.machine.closed == [3]
    assert session.machine.consumed == [(3, 1)]
    session.on_events([ChannelClosed(3), ChannelClosed(1), opened(4)])
    assert [inbox.handle for inbox in session.incoming] == [2, 4]
    assert session.machine.consumed == [(3, 1), (1, 1)]


def test_message_wakes_the_reader_of_its_channel_only(session):
    session.on_events([opened(1), opened(2)])
    before = [session.channels[handle].arrived.count for handle in (1, 2)]
    session.on_events([ChannelMessage(2, "x", 1)])
    assert [session.channels[handle].arrived.count for handle in (1, 2)] == [before[0], before[1] + 1]


def test_machine_asks_for_sockets_and_names(session, asked):
    from sans_rtc.peer.events import GatheringNeeded

    session.on_events([GatheringNeeded(), ResolveName("x.local"), NegotiationNeeded()])
    assert asked == ["sockets", "x.local"]
    assert session.is_negotiation_needed


def test_candidates_of_a_restart_are_a_new_list(session):
    first = session.candidates
    session.on_events([LocalCandidate("candidate:1", "0", 0), LocalCandidate("", "0", 0)])
    assert first.items == [IceCandidate("candidate:1", "0", 0)]
    assert first.is_complete
    session.on_events([IceGatheringStateChanged(GatheringState.GATHERING), LocalCandidate("candidate:2", "0", 0)])
    assert session.candidates is not first
    assert session.candidates.items == [IceCandidate("candidate:2", "0", 0)]
    assert not session.candidates.is_complete


def test_states_nobody_looks_at_are_bounded(session):
    watcher = session.watch_states()
    for _ in range(1000):
        session.on_events([ConnectionStateChanged(ConnectionState.DISCONNECTED)])
    assert len(watcher) <= session_module.STATES_KEPT_MAX


def test_states_are_kept_for_nobody_who_has_gone(session):
    dropped, kept = session.watch_states(), session.watch_states()
    del dropped
    session.on_events([ConnectionStateChanged(ConnectionState.CONNECTED)])
    assert len(kept) == 2
    session.watch_states()
    assert len(session._watchers) == 2


@pytest.mark.parametrize("reason", TerminationReason)
def test_only_an_end_that_nobody_here_asked_for_is_a_loss(session, reason):
    session.on_events([opened(1), Terminated(reason, "why")])
    inbox = session.incoming[0] if session.incoming else None
    orderly = reason in ("closed", "close_timeout", "aborted", "closed_by_peer")
    assert (session.loss() is None) == orderly
    assert inbox is None
    assert session.channels == {}
    assert session.close_report().reason == reason


def test_failed_connection_is_a_loss_until_it_comes_back(session):
    session.on_events([opened(1)])
    session.machine.connection_state = ConnectionState.FAILED
    assert str(session.loss()) == "explained"
    session.machine.connection_state = ConnectionState.CONNECTED
    assert session.loss() is None


def test_end_of_a_channel_is_told_to_the_one_who_has_it(session):
    session.on_events([opened(1), ChannelClosed(1)])
    session.on_events([opened(2)])
    inbox = session.incoming.popleft()
    session.on_events([ChannelClosed(2)])
    with pytest.raises(ChannelIsClosed):
        inbox.raise_if_over()
    assert (inbox.state, inbox.buffered_amount, inbox.id) == ("closed", 0, None)


def test_bug_is_told_once_to_everybody(session):
    session.on_events([opened(1)])
    inbox = session.incoming[0]
    session.fail(AssertionError("a bug"))
    session.fail(AssertionError("another"))
    assert "a bug" in str(session.loss())
    assert inbox.is_closed


def test_forms_in_which_candidates_come():
    browser = {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "abcd"}
    assert as_candidate(browser) == IceCandidate("candidate:1", "0", 0)
    assert as_candidate(None) == as_candidate("") == IceCandidate("")
    assert as_candidate({"candidate": ""}) == IceCandidate("")
    assert as_candidate("candidate:1", sdp_mid="a") == IceCandidate("candidate:1", "a")
    assert as_candidate({"candidate": "candidate:1"}, sdp_mid="a") == IceCandidate("candidate:1", "a")
    assert as_candidate(as_candidate(browser)).as_dict() == {
        "candidate": "candidate:1",
        "sdpMid": "0",
        "sdpMLineIndex": 0,
    }
