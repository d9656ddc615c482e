"""Silence cannot be hidden: only fresh answers of the peer extend consent, whatever else is said in its name."""

import pytest

from sans_rtc.peer import ConnectionState, ConnectionStateChanged
from tests.property.hostile import MADE_UP, SOURCES, HostileSession

REPEAT_S = 0.5


def live_then_vanish(forms, source):
    """A session that was connected for a while; then nothing gets through any more."""
    lived = HostileSession()
    lived.connect()
    lived.link.run_for(4.0)
    lived.link.filter = lambda end, datagram: None
    lived.forms, lived.sources = forms, (source,)
    return lived


def repeat_until(lived, condition, within_s):
    """Everything that was ever overheard comes again and again; returns how long the condition took to hold."""
    start = lived.now
    while not condition():
        assert lived.now < start + within_s, f"not after {within_s} s"
        lived.volley()
        lived.link.run_for(REPEAT_S)
    return lived.now - start


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("forms", [MADE_UP, ("replayed",)], ids=["made up", "replayed"])
def test_peer_that_has_gone_is_missed_whatever_is_said_in_its_name(forms, source):
    lived = live_then_vanish(forms, source)
    heard = [peer.explain().ice.selected.last_response_at for peer in lived.peers]
    peers = lived.peers
    took_s = repeat_until(
        lived, lambda: all(peer.connection_state is ConnectionState.DISCONNECTED for peer in peers), within_s=5.0
    )
    assert took_s <= 3.0 + REPEAT_S
    assert [peer.explain().ice.selected.last_response_at for peer in peers] == heard
    took_s += repeat_until(
        lived, lambda: all(peer.connection_state is ConnectionState.FAILED for peer in peers), within_s=40.0
    )
    assert took_s <= 30.0 + REPEAT_S
    for end in (0, 1):
        states = [event.state for event in lived.events(end, ConnectionStateChanged)]
        assert states[-2:] == [ConnectionState.DISCONNECTED, ConnectionState.FAILED], "it never came back in between"


def test_replayed_checks_of_the_peer_do_not_bring_a_failed_session_back():
    lived = live_then_vanish(("replayed",), "own address")
    lived.link.run_for(40.0)
    assert [peer.connection_state for peer in lived.peers] == [ConnectionState.FAILED] * 2
    for _ in range(50):
        lived.volley()
        lived.link.run_for(REPEAT_S)
    assert [peer.connection_state for peer in lived.peers] == [ConnectionState.FAILED] * 2


def test_nothing_is_sent_to_anybody_but_stun_once_consent_is_lost():
    lived = live_then_vanish(("replayed",), "own address")
    said = []
    lived.link.filter = lambda end, datagram: said.append((lived.now, datagram.data))
    lived.peers[0].send(lived.handle_at(0, "test"), b"x" * 5000, lived.now)
    lived.link.run_for(31.0)
    lost_at = lived.now
    for _ in range(50):
        lived.volley()
        lived.link.run_for(REPEAT_S)
    assert [data for at, data in said if at > lost_at and data[0] > 3] == []
