"""A path that dies during the handshakes of DTLS and SCTP: a restart of ICE, however late, finds them waiting."""

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.dtls import DtlsConfig
from sans_rtc.machine import Terminated
from sans_rtc.peer import ConnectionState, PeerConfig, TerminationReason
from sans_rtc.sctp import SctpConfig
from sans_rtc.testing import LinkConditions
from tests.peer.conftest import Pair

CONFIG = PeerConfig(dtls=DtlsConfig(handshake_timeout_s=10.0), sctp=SctpConfig(init_retransmissions_max=3))
SLOW = LinkConditions(delay_s=0.02)


def is_in_dtls(pair):
    connections = [peer._transport.connection for peer in pair.peers]
    return connections[0]._handshake.message_count > 0 and not any(each.is_terminated for each in connections)


def is_echoing(pair):
    associations = [peer._transport.data.association for peer in pair.peers]
    return any(each is not None and each.state == "cookie-echoed" for each in associations)


HANDSHAKES = [pytest.param(is_in_dtls, id="dtls"), pytest.param(is_echoing, id="cookie-echo")]


def in_the_middle(is_there):
    """A pair that is that far, with a path that ICE has selected; from now on nothing arrives."""
    pair = Pair(configs=(CONFIG, CONFIG), conditions=SLOW)
    pair.peers[0].create_channel("early", ChannelOptions(), pair.now)
    pair.offer_and_answer()
    pair.link.filter = lambda end, datagram: None if 20 <= datagram.data[0] <= 63 else datagram
    pair.link.run_until(lambda: all(peer._transport.agent.selected_path for peer in pair.peers), within_s=5.0)
    pair.link.filter = lambda end, datagram: datagram
    pair.link.run_until(lambda: is_there(pair), within_s=5.0)
    pair.link.filter = lambda end, datagram: None
    return pair


def is_open(pair):
    return pair.handle_at(1, "early") is not None


@pytest.mark.parametrize("is_there", HANDSHAKES)
def test_handshake_outlives_a_dead_path_until_ice_is_restarted(is_there):
    pair = in_the_middle(is_there)
    pair.link.run_for(60.0)
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.FAILED] * 2
    pair.link.filter = lambda end, datagram: datagram
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    assert pair.link.run_until(lambda: is_open(pair), within_s=5.0) < 2.0


@pytest.mark.parametrize("is_there", HANDSHAKES)
def test_handshake_goes_on_with_the_path_that_answers_again(is_there):
    """No restart: the outage is shorter than consent, and longer than the handshakes' patience."""
    pair = in_the_middle(is_there)
    pair.link.run_for(25.0)
    assert pair.peers[0].connection_state == ConnectionState.DISCONNECTED
    pair.link.filter = lambda end, datagram: datagram
    assert pair.link.run_until(lambda: is_open(pair), within_s=5.0) < 2.0


@pytest.mark.parametrize("is_there", HANDSHAKES)
def test_silence_that_is_left_by_a_restart_still_holds_while_that_is_checking(is_there):
    pair = in_the_middle(is_there)
    pair.link.run_for(8.0)
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    pair.link.run_for(15.0)
    assert not any(peer.is_terminated for peer in pair.peers)
    pair.link.filter = lambda end, datagram: datagram
    pair.link.run_until(lambda: is_open(pair), within_s=10.0)


@pytest.mark.parametrize(
    ("is_there", "reason"),
    [
        pytest.param(is_in_dtls, TerminationReason.DTLS_FAILED, id="dtls"),
        pytest.param(is_echoing, TerminationReason.SCTP_FAILED, id="cookie-echo"),
    ],
)
def test_peer_that_answers_checks_and_no_handshake_is_given_up_as_ever(is_there, reason):
    """ICE is alive, so that it is the peer that is silent, not the path."""
    pair = in_the_middle(is_there)
    pair.link.filter = lambda end, datagram: None if 20 <= datagram.data[0] <= 63 else datagram
    pair.link.run_for(20.0)
    assert reason in [event.reason for end in (0, 1) for event in pair.events(end, Terminated)]


@pytest.mark.parametrize("is_there", HANDSHAKES)
def test_application_ends_a_handshake_that_waits_for_a_path(is_there):
    pair = in_the_middle(is_there)
    pair.link.run_for(20.0)
    for peer in pair.peers:
        peer.close(pair.now)
    pair.link.run_for(10.0)
    assert all(peer.is_terminated for peer in pair.peers)
