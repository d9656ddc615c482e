"""The mux as a machine: peers in and out, their events, one deadline, the end."""

import math

import pytest

from sans_rtc import dtls
from sans_rtc.datachannel import ChannelOptions
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.ice import Parameters
from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.peer import ConnectionState, PeerConnection
from sans_rtc.peer import mux_accept as accept
from sans_rtc.peer.mux_events import PeerEvents, UnknownUfrag
from sans_rtc.testing import SeededEntropy, drain

SERVER = Address("10.0.0.1", 3478)


def test_peers_on_one_port_connect_and_talk_each_with_its_own_client(plaza):
    plaza.connect(5)
    plaza.assert_all_talk(range(5))
    assert {datagram.path.local for datagram in plaza.link.sent[0]} == {SERVER}
    plaza.check()


def test_nothing_is_lost_at_the_beginning_for_want_of_a_route(plaza):
    """The first DTLS flight may come before the check that proves its path: then it waits at the peer's gate."""
    plaza.connect(5)
    assert plaza.mux.stats.discards == {}


def test_closing_one_peer_leaves_the_others(plaza):
    plaza.connect(3)
    plaza.mux.peer(plaza.keys[1]).close(plaza.now)
    plaza.mux.touch(plaza.keys[1], plaza.now)
    plaza.link.run_until(lambda: plaza.ended == [plaza.keys[1]])
    assert plaza.keys[1] not in plaza.mux.keys
    assert plaza.mux.router.owner_of(plaza.path(1)) is None
    plaza.assert_all_talk((0, 2))


def test_peer_that_its_client_closes_leaves_the_mux(plaza):
    plaza.connect(2)
    plaza.clients[0].close(plaza.now)
    plaza.link.run_until(lambda: plaza.ended == [plaza.keys[0]])
    assert plaza.mux.router.sizes["peers"] == 1


def test_closing_the_mux_ends_its_peers_and_then_itself(plaza):
    plaza.connect(3)
    plaza.front.close(plaza.now)
    plaza.link.run_until(lambda: plaza.mux.is_terminated)
    plaza.link.flush()
    assert sorted(plaza.ended) == sorted(plaza.keys.values())
    assert plaza.link.events[0][-1] == Terminated("closed", "")
    assert plaza.mux.deadline == math.inf
    plaza.link.run_for(5.0)
    assert all(client.is_terminated for client in plaza.clients.values())


def test_aborting_the_mux_ends_everything_at_once(plaza):
    plaza.connect(3)
    plaza.mux.abort(plaza.now)
    assert plaza.mux.is_terminated
    plaza.link.flush()
    assert plaza.link.events[0][-1].reason == "aborted"
    assert len(plaza.ended) == 3


def test_mux_without_peers_ends_at_once(make_mux):
    mux = make_mux()
    mux.close(0.0)
    assert mux.is_terminated
    assert list(mux.take_events()) == [Terminated("closed", "")]
    mux.close(1.0)
    mux.abort(1.0)
    assert mux.take_events() == ()


def test_after_the_end_nothing_is_taken_and_nothing_comes(make_mux, make_request):
    mux = make_mux()
    mux.close(0.0)
    mux.take_events()
    mux.receive(make_request(), 1.0)
    mux.handle_timer(2.0)
    assert drain(mux, 2.0) == ([], [])
    with pytest.raises(InvalidState):
        mux.create(None, None, 2.0)


def test_peers_are_given_the_sockets_without_being_told_of_gathering(plaza):
    plaza.offer(0)
    assert "10.0.0.1 3478 typ host" in plaza.mux.peer(plaza.keys[0]).local_description.sdp


def test_socket_that_comes_later_becomes_a_candidate_of_those_that_are_there(plaza):
    plaza.offer(0)
    plaza.mux.add_local_address(Address("10.0.0.2", 3478), "eth1", plaza.now)
    assert "10.0.0.2 3478 typ host" in plaza.mux.peer(plaza.keys[0]).local_description.sdp
    plaza.mux.remove_local_address(Address("10.0.0.2", 3478), plaza.now)
    assert plaza.mux.local_addresses == (SERVER,)


@pytest.mark.parametrize("address", [Address("host.local", 1), Address("10.0.0.1", 0)])
def test_what_is_no_socket_address_is_refused_and_changes_nothing(plaza, address):
    with pytest.raises(InvalidArgument):
        plaza.mux.add_local_address(address, "", plaza.now)
    assert plaza.mux.local_addresses == (SERVER,)


def test_touch_is_what_makes_a_verb_heard(plaza):
    plaza.connect(2)
    key = plaza.keys[0]
    plaza.mux.peer(key).send(plaza.handles[0], "hello", plaza.now)
    assert plaza.mux.take_datagrams(plaza.now) == ()
    plaza.mux.touch(key, plaza.now)
    assert len(plaza.mux.take_datagrams(plaza.now)) == 1


def test_keys_are_never_used_again(make_mux):
    mux = make_mux()
    first = mux.create(None, None, 0.0)
    peer = mux.remove(first, 0.0)
    assert mux.add(peer, 0.0) > first
    with pytest.raises(InvalidArgument):
        mux.peer(first)
    mux.touch(first, 0.0)


def test_peer_that_is_removed_lives_on_elsewhere(plaza):
    plaza.connect(1)
    peer = plaza.mux.remove(plaza.keys[0], plaza.now)
    assert not peer.is_terminated
    assert plaza.mux.router.sizes == dict.fromkeys(plaza.mux.router.sizes, 0) | {
        "transactions": plaza.mux.router.sizes["transactions"]
    }
    assert plaza.mux.deadline == math.inf


def test_peer_is_taken_once(make_mux):
    mux = make_mux()
    key = mux.create(None, None, 0.0)
    with pytest.raises(InvalidArgument):
        mux.add(mux.peer(key), 0.0)


def test_peer_that_has_ended_is_not_taken(make_mux):
    peer = PeerConnection(entropy=SeededEntropy(1))
    peer.abort(0.0)
    with pytest.raises(InvalidState):
        make_mux().add(peer, 0.0)


def test_fragment_of_another_peer_is_not_taken(make_mux, stranger_config):
    mux = make_mux()
    mux.create(stranger_config("same", "p" * 22), None, 0.0)
    with pytest.raises(InvalidArgument):
        mux.create(stranger_config("same", "q" * 22), None, 0.0)
    assert len(mux.keys) == 1


def test_beyond_the_limit_no_peer_is_taken(make_mux):
    mux = make_mux(peer_count_max=2)
    for _ in range(2):
        mux.create(None, None, 0.0)
    with pytest.raises(LimitExceeded):
        mux.create(None, None, 0.0)


def test_deadline_is_never_later_than_that_of_any_peer(plaza):
    plaza.connect(4)
    for _ in range(200):
        plaza.link.run_for(0.05)
        assert plaza.mux.deadline <= min(plaza.mux.peer(key).deadline for key in plaza.mux.keys)
        assert len(plaza.mux._deadlines) <= 4 * len(plaza.mux.keys) + 5
    plaza.check()


def test_timer_of_one_peer_touches_no_other(plaza, monkeypatch):
    plaza.connect(4)
    plaza.link.run_for(3.0)
    due = min(plaza.mux.keys, key=lambda key: plaza.mux.peer(key).deadline)
    called = []
    original = PeerConnection.handle_timer
    monkeypatch.setattr(PeerConnection, "handle_timer", lambda self, now: called.append(self) or original(self, now))
    plaza.mux.handle_timer(plaza.mux.peer(due).deadline)
    assert called == [plaza.mux.peer(due)]


def test_datagram_of_one_peer_drains_no_other(plaza, monkeypatch):
    plaza.connect(4)
    plaza.mux.take_datagrams(plaza.now)
    called = []
    original = PeerConnection.take_datagrams
    monkeypatch.setattr(PeerConnection, "take_datagrams", lambda self, now: called.append(self) or original(self, now))
    plaza.mux.receive(Datagram(b"\x17" + bytes(40), plaza.path(2)), plaza.now)
    plaza.mux.take_datagrams(plaza.now)
    assert called == [plaza.mux.peer(plaza.keys[2])]


def test_same_inputs_give_the_same_bytes(make_plaza):
    def sent(seed):
        plaza = make_plaza(seed=seed)
        plaza.connect(3)
        return [(datagram.data, datagram.path) for datagram in plaza.link.sent[0]]

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


def test_unknown_fragment_is_told_and_its_peer_can_be_made(plaza, make_request):
    """As WebRTC-Direct does it: both ends know the credentials, no description has been carried."""
    asking = make_request("token1234", "token1234")
    plaza.mux.receive(asking, plaza.now)
    plaza.link.flush()
    assert plaza.strangers == [UnknownUfrag("token1234", "token1234", asking.path, asking)]
    assert plaza.mux.take_datagrams(plaza.now) == (), "a stranger gets no answer"
    credentials = Parameters("token1234", "p" * 22)
    key = plaza.mux.create(accept.stranger_config(None, credentials), None, plaza.now)
    offer = accept.stranger_offer(credentials, [dtls.Fingerprint("sha-256", bytes(32))])
    plaza.mux.peer(key).set_remote_description(offer, plaza.now)
    plaza.mux.peer(key).set_local_description(None, plaza.now)
    plaza.mux.touch(key, plaza.now)
    plaza.mux.receive(plaza.strangers[0].datagram, plaza.now)
    answer, *checks = plaza.mux.take_datagrams(plaza.now)
    assert answer.data[:2] == b"\x01\x01", "a success response"
    assert [check.path for check in checks] == [asking.path]


def test_late_checks_of_a_retired_generation_are_no_strangers(plaza):
    plaza.connect(1)
    peer, client = plaza.mux.peer(plaza.keys[0]), plaza.clients[0]
    client.restart_ice(plaza.now)
    client.set_local_description(None, plaza.now)
    plaza.link.flush()
    plaza.answer(0)
    plaza.link.run_for(30.0)
    assert len(peer.routing.local_ufrags) == 1
    assert peer.connection_state is ConnectionState.CONNECTED
    assert plaza.strangers == []
    plaza.assert_all_talk([0])


def test_events_carry_the_key_of_their_peer(make_mux):
    mux = make_mux()
    mux.add_local_address(SERVER, "eth0", 0.0)
    keys = [mux.create(None, None, 0.0) for _ in range(2)]
    for key in keys:
        mux.peer(key).create_channel("x", ChannelOptions(), 0.0)
        mux.touch(key, 0.0)
    events = mux.take_events()
    assert [event.peer for event in events if isinstance(event, PeerEvents)] == keys


def test_two_peers_ask_one_stun_server_from_one_socket(make_mux):
    """The answers come on one path, which is nobody's: the transaction id says whose each is."""
    from sans_rtc.ice import IceConfig, StunServer
    from sans_rtc.peer import PeerConfig
    from sans_rtc.stun.attributes import AttributeType
    from sans_rtc.stun.wire import Attribute, parse_message, serialize_message, success_response

    mux = make_mux()
    mux.add_local_address(SERVER, "eth0", 0.0)
    config = PeerConfig(ice=IceConfig(stun_servers=(StunServer("192.0.2.1"),)))
    keys = [mux.create(config, None, 0.0) for _ in range(3)]
    for key in keys:
        peer = mux.peer(key)
        peer.create_channel("x", ChannelOptions(), 0.0)
        peer.set_local_description(None, 0.0)
        mux.touch(key, 0.0)
    asked = drain(mux, 0.0)[0]
    assert len({datagram.path for datagram in asked}) == 1
    for number, datagram in enumerate(reversed(asked)):
        mapped = Attribute(AttributeType.XOR_MAPPED_ADDRESS, Address("198.51.100.7", 9000 + number))
        response = serialize_message(success_response(parse_message(datagram.data), [mapped]))
        mux.receive(Datagram(response, datagram.path), 0.1)
    for number, key in enumerate(reversed(keys)):
        assert f"198.51.100.7 {9000 + number} typ srflx" in mux.peer(key).local_description.sdp
    assert mux.router.owner_of(Path(SERVER, Address("192.0.2.1", 3478))) is None


def test_one_bad_peer_config_changes_nothing(make_mux, stranger_config):
    mux = make_mux()
    with pytest.raises(InvalidArgument):
        mux.create(stranger_config("a:b", "p" * 22), None, 0.0)
    assert mux.keys == ()
