"""Lite agents, renomination, hidden addresses and restarts that cross, from descriptions to data, in virtual time."""

import re

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.ice import AddressRewrite, IceConfig, RenominationPolicy, Role
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    GatheringNeeded,
    IceConnectionStateChanged,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
    PublishName,
    ResolveName,
    WithdrawName,
)
from sans_rtc.stun.wire import MessageClass, parse_message
from sans_rtc.testing import LinkConditions
from tests.peer.conftest import HOSTS, Pair

LITE = PeerConfig(ice=IceConfig(is_lite=True))
FULL = PeerConfig()
PUBLIC = "203.0.113.1"


def requests_of(pair, end):
    """The STUN requests that an end has sent."""
    sent = [datagram.data for _, datagram in _sent(pair, end)]
    return [data for data in sent if data[0] < 4 and parse_message(data).message_class is MessageClass.REQUEST]


def _sent(pair, end):
    return [entry if isinstance(entry, tuple) else (0.0, entry) for entry in pair.link.sent[end]]


def states(pair, end):
    return [event.state for event in pair.events(end, ConnectionStateChanged)]


# --- lite -------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.1.1-4-0aee")
@pytest.mark.parametrize("lite_end", [0, 1])
def test_lite_peer_connects_as_offerer_and_as_answerer_and_sends_no_checks(lite_end):
    configs = (LITE, FULL) if lite_end == 0 else (FULL, LITE)
    pair = Pair(configs=configs)
    handle, other = pair.connect()
    lite, full = pair.peers[lite_end], pair.peers[1 - lite_end]
    assert "a=ice-lite" in lite.local_description.sdp
    assert "a=ice-lite" not in full.local_description.sdp
    pair.peers[0].send(handle, b"to", pair.now)
    pair.peers[1].send(other, b"fro", pair.now)
    pair.link.run_for(60.0)
    assert pair.messages == ([b"fro"], [b"to"])
    assert requests_of(pair, lite_end) == []
    assert len(requests_of(pair, 1 - lite_end)) > 30
    assert [peer.explain().ice.role for peer in (lite, full)] == [Role.CONTROLLED, Role.CONTROLLING]
    assert all(states(pair, end) == [ConnectionState.CONNECTING, ConnectionState.CONNECTED] for end in (0, 1))


@pytest.mark.parametrize("lite_end", [0, 1])
def test_lite_peer_behind_a_one_to_one_nat_tells_its_public_address(lite_end):
    rewrite = AddressRewrite(HOSTS[lite_end], PUBLIC)
    server = PeerConfig(ice=IceConfig(is_lite=True, rewrites=(rewrite,)))
    pair = Pair(configs=(server, FULL) if lite_end == 0 else (FULL, server))

    def route(end, datagram):
        path = datagram.path
        local = Address(PUBLIC, path.local.port) if end == lite_end else path.local
        remote = Address(HOSTS[lite_end], path.remote.port) if path.remote.host == PUBLIC else path.remote
        is_private = path.remote.host == HOSTS[lite_end]  # nobody outside can send there
        return None if is_private else Datagram(datagram.data, Path(local, remote), datagram.ecn)

    pair.link.filter = route
    pair.connect()
    sdp = pair.peers[lite_end].local_description.sdp
    assert f"c=IN IP4 {PUBLIC}" in sdp and HOSTS[lite_end] not in sdp
    assert pair.peers[1 - lite_end].explain().ice.selected.path.remote.host == PUBLIC


@pytest.mark.parametrize("lite_end", [0, 1])
def test_lite_peer_notices_that_the_other_is_gone_by_the_silence_of_its_checks(lite_end):
    """RFC 7675 section 4 asks no consent checks of it; RFC 8445 section 2.5: it answers only."""
    pair = Pair(configs=(LITE, FULL) if lite_end == 0 else (FULL, LITE))
    pair.connect()
    pair.link.run_for(10.0)
    pair.link.filter = lambda end, datagram: None
    pair.link.run_for(13.0)
    assert pair.peers[lite_end].connection_state is ConnectionState.DISCONNECTED
    pair.link.run_for(18.0)
    assert pair.peers[lite_end].connection_state is ConnectionState.FAILED
    pair.link.filter = lambda end, datagram: datagram
    pair.peers[0].restart_ice(pair.now)
    pair.offer_and_answer()
    pair.link.run_until(
        lambda: all(peer.connection_state is ConnectionState.CONNECTED for peer in pair.peers), within_s=3.0
    )


@pytest.mark.parametrize("lite_end", [0, 1])
@pytest.mark.parametrize("restarter", [0, 1])
def test_restart_with_a_lite_peer_keeps_the_roles_and_the_data(lite_end, restarter):
    pair = Pair(configs=(LITE, FULL) if lite_end == 0 else (FULL, LITE))
    handle, _ = pair.connect()
    pair.link.run_for(1.0)
    pair.peers[restarter].restart_ice(pair.now)
    pair.offer_and_answer(restarter)
    pair.peers[0].send(handle, b"on", pair.now)
    pair.link.run_for(1.0)
    assert pair.messages[1] == [b"on"]
    assert [peer.explain().ice.generation for peer in pair.peers] == [1, 1]
    assert pair.peers[lite_end].explain().ice.role is Role.CONTROLLED


def test_two_lite_peers_connect_without_a_single_check():
    pair = Pair(configs=(LITE, LITE))
    handle, _ = pair.connect()
    pair.peers[0].send(handle, b"lite", pair.now)
    pair.link.run_for(60.0)
    assert pair.messages[1] == [b"lite"]
    assert requests_of(pair, 0) == requests_of(pair, 1) == []
    assert all(peer.connection_state is ConnectionState.CONNECTED for peer in pair.peers)


# --- renomination -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offers", [True, False])
@pytest.mark.parametrize("answers", [True, False])
def test_renomination_is_offered_where_it_is_on_and_answered_where_it_was_offered(offers, answers):
    pair = Pair(configs=tuple(PeerConfig(ice=IceConfig(renomination=is_on)) for is_on in (offers, answers)))
    pair.connect()
    offer, answer = (peer.local_description.sdp for peer in pair.peers)
    assert ("renomination" in offer, "renomination" in answer) == (offers, offers and answers)
    remote = [peer._transport.agent.remote_parameters for peer in pair.peers]
    assert ["renomination" in parameters.options for parameters in remote] == [offers and answers, offers]
    is_on = [peer._transport.agent._generations.current.search.is_renominating for peer in pair.peers]
    assert is_on[0] == (offers and answers)


@pytest.mark.proves("RFC5763-6.7.1-1-8ad1")
def test_session_moves_to_the_better_path_and_no_message_is_lost():
    ice = IceConfig(renomination=True, renomination_policy=RenominationPolicy(hold_s=1.0), network_costs=(("w*", 900),))
    pair = Pair(configs=(PeerConfig(ice=ice), PeerConfig(ice=ice)), conditions=LinkConditions(delay_s=0.01))
    handle, _ = pair.connect()
    pair.peers[0].remove_local_address(Address(HOSTS[0], 5000), pair.now)
    pair.peers[0].add_local_address(Address("10.1.0.1", 5000), "wwan0", pair.now)
    pair.link.run_for(5.0)
    for number in range(200):
        pair.peers[0].send(handle, b"%d" % number * 100, pair.now)
    pair.peers[0].add_local_address(Address("10.0.0.1", 6000), "eth0", pair.now)
    pair.link.run_for(8.0)
    assert [peer.explain().ice.selected.path.local.port for peer in pair.peers] == [6000, 5000]
    assert pair.messages[1] == [b"%d" % number * 100 for number in range(200)]
    assert "network-id" in pair.peers[0].local_description.sdp


# --- hidden addresses -------------------------------------------------------------------------------------------------


def hidden_pair():
    """Both ends hide, and each can look up what the other has published."""
    config = PeerConfig(ice=IceConfig(hide_host_addresses=True))
    pair = Pair(configs=(config, config))
    published, said = {}, pair.link.on_event

    def on_event(end, event):
        if isinstance(event, PublishName):
            published[event.name] = event.hosts
        elif isinstance(event, WithdrawName):
            del published[event.name]
        elif isinstance(event, ResolveName):
            pair.peers[end].name_resolved(event.name, published.get(event.name, ()), pair.now)
        else:
            said(end, event)

    pair.link.on_event = on_event
    return pair, published


@pytest.mark.proves("MDNS-ICE-3.1.2.4-4-0235")
def test_no_description_and_no_candidate_tells_a_hidden_address():
    pair, published = hidden_pair()
    handle, _ = pair.connect()
    pair.peers[0].send(handle, b"hidden", pair.now)
    pair.link.run_for(1.0)
    assert pair.messages[1] == [b"hidden"]
    assert sorted(published.values()) == [(host,) for host in HOSTS]
    for end in (0, 1):
        said = pair.peers[end].local_description.sdp
        said += "".join(event.candidate for event in pair.events(end, LocalCandidate))
        assert not any(host in said for host in HOSTS)
        assert re.search(r"candidate:\S+ 1 udp \d+ [0-9a-f-]{36}\.local 5000 typ host", said)


@pytest.mark.proves("MDNS-ICE-3.1.2.4-2-6054", "MDNS-ICE-3.1.2.4-3-2e85")
def test_name_is_not_told_in_the_c_line():
    """Section 3.1.2.4: 0.0.0.0 and port 9 in its place."""
    pair, _ = hidden_pair()
    pair.connect()
    for peer in pair.peers:
        assert "c=IN IP4 0.0.0.0" in peer.local_description.sdp
        assert "m=application 9 " in peer.local_description.sdp


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_names_are_withdrawn_before_the_end_is_told(verb):
    pair, published = hidden_pair()
    pair.connect()
    getattr(pair.peers[0], verb)(pair.now)
    pair.link.run_for(1.0)
    assert published == {}
    assert isinstance(pair.link.events[0][-1], Terminated)


# --- restarts that cross ----------------------------------------------------------------------------------------------


def fail(pair):
    """An outage that consent does not survive, and its end."""
    pair.link.run_for(1.0)
    pair.link.filter = lambda end, datagram: None
    pair.link.run_for(40.0)
    assert [peer.connection_state for peer in pair.peers] == [ConnectionState.FAILED] * 2
    pair.link.filter = lambda end, datagram: datagram


def test_restart_offer_that_gives_way_to_the_peers_does_not_say_failed_once_more():
    """Both ends restart a failed session at once: the polite one's offer is rolled back by the other's."""
    pair = Pair()
    pair.connect()
    fail(pair)
    impolite, polite = pair.peers
    for peer in pair.peers:
        peer.restart_ice(pair.now)
        peer.set_local_description(None, pair.now)
    pair.link.flush()
    before = len(pair.events(1, IceConnectionStateChanged))
    polite.set_remote_description(impolite.local_description, pair.now)
    polite.set_local_description(None, pair.now)
    pair.link.flush()
    impolite.set_remote_description(polite.local_description, pair.now)
    pair.link.run_until(
        lambda: all(peer.connection_state is ConnectionState.CONNECTED for peer in pair.peers), within_s=5.0
    )
    said = [str(event.state) for event in pair.events(1, IceConnectionStateChanged)][before:]
    assert "failed" not in said
    assert polite.explain().ice.generation == 1


def test_restart_offer_that_is_rolled_back_leaves_a_failed_session_failed():
    pair = Pair()
    pair.connect()
    fail(pair)
    pair.peers[0].restart_ice(pair.now)
    pair.peers[0].set_local_description(None, pair.now)
    assert pair.peers[0].ice_connection_state == "checking"
    pair.peers[0].set_local_description(type(pair.peers[0].local_description)("rollback"), pair.now)
    assert pair.peers[0].ice_connection_state == "failed"
    assert len(pair.events(0, GatheringNeeded)) == 1
    assert len(pair.events(0, NegotiationNeeded)) >= 1


@pytest.mark.parametrize("seed", range(5))
def test_both_ends_restart_at_once_while_data_flow(seed):
    pair = Pair(seed=seed, conditions=LinkConditions(delay_s=0.02, loss=0.05 * (seed % 3)))
    handle, _ = pair.connect()
    pair.link.run_for(1.0)
    for number in range(50):
        pair.peers[0].send(handle, b"%d" % number * 500, pair.now)
    impolite, polite = pair.peers
    for peer in pair.peers:
        peer.restart_ice(pair.now)
        peer.set_local_description(None, pair.now)
    pair.link.run_for(0.05)
    polite.set_remote_description(impolite.local_description, pair.now)
    polite.set_local_description(None, pair.now)
    pair.link.flush()
    impolite.set_remote_description(polite.local_description, pair.now)
    pair.link.run_for(5.0)
    assert pair.messages[1] == [b"%d" % number * 500 for number in range(50)]
    assert [peer.explain().ice.selected.generation for peer in pair.peers] == [1, 1]
    assert pair.peers[0].create_channel("more", ChannelOptions(), pair.now)
