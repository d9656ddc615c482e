"""Peer connections through relays and over TCP: the verbs and events of streams, the end, and what `explain` says."""

from functools import partial

import pytest

from sans_rtc.datachannel import ChannelMessage, ChannelOptions
from sans_rtc.ice import IceConfig, StunServer, TcpPolicy, TransportPolicy, TurnServer
from sans_rtc.machine import Address, Path
from sans_rtc.peer import CandidateError, GatheringNeeded, LocalCandidate, PeerConfig, PeerConnection
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import SYMMETRIC, Cable, Firewall, LinkConditions, Network, SeededEntropy
from sans_rtc.turn.server import Credentials, RelayNeeded, RelayUnneeded, Server, ServerConfig, User

HOST = "203.0.113.200"
UDP = TurnServer(HOST, 3478, "user", "password")
TCP = TurnServer(HOST, 3478, "user", "password", "tcp")
TLS = TurnServer(HOST, 5349, "user", "password", "tls")
HOSTS = ("192.0.2.1", "198.51.100.1")


def relay_only(*servers, **more):
    return IceConfig(turn_servers=servers, transport_policy=TransportPolicy.RELAY, **more)


class Pair:
    """Two peer connections behind gateways, a TURN server between them, and signalling that never fails."""

    def __init__(self, configs, *, behaviours=(None, None), firewalls=(None, None), listeners=(), loss=0.0, seed=0):
        self.network = Network(seed=seed)
        self.listeners = listeners
        self.peers, self.programs = [], []
        for end in (0, 1):
            realm = self.network.realm(f"realm {end}")
            self.network.gateway(
                inside=realm,
                outside=self.network.internet,
                hosts=() if behaviours[end] is None else (f"203.0.113.{end + 1}",),
                behaviour=behaviours[end],
                firewall=firewalls[end],
                cable=Cable(LinkConditions(delay_s=0.01, loss=loss)),
            )
            computer = self.network.host(f"host {end}")
            computer.attach(realm, HOSTS[end])
            peer = PeerConnection(PeerConfig(ice=configs[end]), entropy=SeededEntropy(f"{seed}/{end}"))
            self.peers.append(peer)
            self.programs.append(computer.run(peer, partial(self._on_event, end)))
        self.turn = self._serve()

    @property
    def now(self):
        return self.network.now

    def events(self, end, kind):
        return [event for event in self.programs[end].events if isinstance(event, kind)]

    def connect(self, within_s=15.0):
        self.offer()
        self.network.run_until(lambda: self.is_open(0) and self.is_open(1), within_s=within_s)

    def offer(self):
        first, second = self.peers
        first.create_channel("test", ChannelOptions(), self.now)
        first.set_local_description(None, self.now)
        self.network.touch_all()
        self.network.flush()
        second.set_remote_description(first.local_description, self.now)
        second.set_local_description(None, self.now)
        self.network.touch_all()
        self.network.flush()
        first.set_remote_description(second.local_description, self.now)
        self.network.touch_all()

    def is_open(self, end):
        return any(info.state == "open" for info in self.peers[end].channels())

    def allocations(self):
        return self.turn.machine.explain(self.now)

    def _on_event(self, end, event):
        peer, program = self.peers[end], self.programs[end]
        if isinstance(event, GatheringNeeded):
            peer.add_local_address(program.open_socket(HOSTS[end], 5000), "eth0", self.now)
            if end in self.listeners:
                peer.add_tcp_listener(program.listen(HOSTS[end], 6000), "eth0", self.now)
            peer.end_of_local_addresses(self.now)
        elif isinstance(event, LocalCandidate):
            self.network.after(0.001, partial(self._carry, 1 - end, event))
        elif isinstance(event, ChannelMessage):
            peer.consume(event.channel, event.byte_count, self.now)

    def _carry(self, end, event):
        if self.peers[end].is_terminated:
            return
        if self.peers[end].remote_description is None:
            self.network.after(0.01, partial(self._carry, end, event))
        else:
            self.peers[end].add_remote_candidate(event.candidate, event.mid, self.now)

    def _serve(self):
        credentials = Credentials(users=(User("user", "password"),))
        server = Server(
            ServerConfig(relay_hosts=(HOST,), realm="test"), credentials=credentials, entropy=SeededEntropy("turn")
        )
        computer = self.network.host("turn")
        computer.attach(self.network.internet, HOST)
        program = computer.run(server)

        def on_event(event):
            if isinstance(event, RelayNeeded):
                program.open_socket(event.address.host, event.address.port)
                server.relay_opened(event.relay_id, event.address, self.now)
            elif isinstance(event, RelayUnneeded):
                program.close_socket(event.address)

        program.on_event = on_event
        program.open_socket(HOST, 3478)
        program.listen(HOST, 3478)
        program.listen(HOST, 5349, "tls")
        return program


@pytest.mark.parametrize("server", [UDP, TCP, TLS])
def test_messages_pass_through_relays_and_the_end_gives_them_back(server):
    pair = Pair((relay_only(server), relay_only(server)))
    pair.connect()
    (channel,) = [info.channel for info in pair.peers[0].channels()]
    for _ in range(20):
        pair.peers[0].send(channel, bytes(10_000), pair.now)
    pair.network.touch_all()
    pair.network.run_until(lambda: len(pair.events(1, ChannelMessage)) == 20, within_s=10.0)
    assert f"relayed by {server}" in pair.peers[0].explain().likely_cause
    pair.peers[0].close(pair.now)
    pair.network.touch_all()
    pair.network.run_until(lambda: all(peer.is_terminated for peer in pair.peers), within_s=5.0)
    pair.network.run_for(0.5)
    assert pair.allocations() == ()
    assert pair.turn.machine.stream_count == 0


@pytest.mark.parametrize("seed", range(6))
def test_relays_and_ten_per_cent_of_loss(seed):
    servers = ((UDP,), (TCP,), (UDP, TCP, TLS))[seed % 3]
    pair = Pair((relay_only(*servers), relay_only(*servers)), loss=0.1, seed=seed)
    pair.connect(within_s=40.0)
    (channel,) = [info.channel for info in pair.peers[0].channels()]
    for number in range(30):
        pair.peers[0].send(channel, b"%d" % number, pair.now)
    pair.network.touch_all()
    pair.network.run_until(lambda: len(pair.events(1, ChannelMessage)) == 30, within_s=60.0)
    assert [event.data for event in pair.events(1, ChannelMessage)] == [b"%d" % number for number in range(30)]


@pytest.mark.proves("RFC8899-5-2-7b4b")
def test_packets_through_a_relay_are_smaller_by_what_it_puts_around_them():
    sizes = []
    for config in (IceConfig(), relay_only(UDP)):
        pair = Pair((config, config))
        pair.connect()
        sizes.append(pair.peers[0].explain().sctp.mtu_bytes)
    assert sizes[0] - sizes[1] == 36


def test_streams_are_asked_for_and_told_by_events_and_verbs():
    pair = Pair((relay_only(TLS), IceConfig()))
    peer = pair.peers[0]
    peer.create_channel("test", ChannelOptions(), 0.0)
    peer.set_local_description(None, 0.0)
    peer.take_events()
    peer.add_local_address(Address(HOSTS[0], 5000), "eth0", 0.0)
    peer.take_datagrams(0.0)
    (needed,) = [event for event in peer.take_events() if isinstance(event, StreamNeeded)]
    assert (needed.path.remote, needed.path.protocol, needed.server_name) == (Address(HOST, 5349), "tls", "")
    peer.stream_opened(needed.path, 0.0)
    assert [datagram.path for datagram in peer.take_datagrams(0.0)] == [needed.path]
    peer.close(0.0)
    assert [event.path for event in peer.take_events() if isinstance(event, StreamUnneeded)] == [needed.path]
    peer.stream_opened(needed.path, 0.0)
    peer.stream_closed(needed.path, "late", 0.0)
    assert peer.take_events() == ()


def test_name_of_the_server_is_what_its_certificate_must_prove():
    server = TurnServer("turn.example", 5349, "user", "password", "tls")
    pair = Pair((relay_only(server), IceConfig()))
    peer = pair.peers[0]
    peer.create_channel("test", ChannelOptions(), 0.0)
    peer.set_local_description(None, 0.0)
    peer.add_local_address(Address(HOSTS[0], 5000), "eth0", 0.0)
    peer.name_resolved("turn.example", [HOST], 0.0)
    peer.take_datagrams(0.0)
    (needed,) = [event for event in peer.take_events() if isinstance(event, StreamNeeded)]
    assert (needed.path.remote.host, needed.server_name) == (HOST, "turn.example")


def test_session_over_tcp_where_udp_is_blocked():
    config = IceConfig(tcp=TcpPolicy(active=True, passive=True))
    pair = Pair((config, config), firewalls=(Firewall(udp=False), None), listeners=(1,))
    pair.connect()
    pair.network.run_until(lambda: pair.peers[0].connection_state == "connected", within_s=2.0)
    assert pair.peers[0].explain().likely_cause.startswith("connected over TCP from 192.0.2.1 to 198.51.100.1:6000")
    assert "TCP connection to 198.51.100.1:6000: open" in str(pair.peers[0].explain())


def test_listener_that_goes_ends_its_pair():
    config = IceConfig(tcp=TcpPolicy(active=True, passive=True))
    pair = Pair((config, config), firewalls=(Firewall(udp=False), None), listeners=(1,))
    pair.connect()
    pair.peers[1].remove_tcp_listener(Address(HOSTS[1], 6000), pair.now)
    pair.network.touch_all()
    pair.network.run_for(0.5)
    assert pair.peers[0].ice_connection_state != "connected"


# --- why is it not connected? -----------------------------------------------------------------------------------------


def test_wrong_password_is_the_likely_cause():
    wrong = TurnServer(HOST, 3478, "user", "wrong")
    pair = Pair((relay_only(wrong), IceConfig()))
    pair.offer()
    pair.network.run_for(2.0)
    explanation = pair.peers[0].explain()
    assert explanation.likely_cause == (
        "only relays may be used, and there is none: the TURN server turn:203.0.113.200:3478?transport=udp refused the "
        "credentials: 401 Unauthenticated"
    )
    assert "turn:203.0.113.200:3478?transport=udp asked from 192.0.2.1:5000: failed, 401" in str(explanation)
    assert "wrong" not in str(explanation)
    assert [(event.server, event.code) for event in pair.events(0, CandidateError)] == [(str(wrong), 401)]


def test_relay_that_would_have_helped_is_the_likely_cause():
    wrong = TurnServer(HOST, 3478, "user", "wrong")
    config = IceConfig(turn_servers=(wrong,), stun_servers=(StunServer(HOST),))
    pair = Pair((config, config), behaviours=(SYMMETRIC, SYMMETRIC))
    pair.offer()
    pair.network.run_until(lambda: pair.peers[0].ice_connection_state == "failed", within_s=60.0)
    cause = pair.peers[0].explain().likely_cause
    assert "a relay (TURN) would be needed, and the TURN server turn:203.0.113.200:3478" in cause
    assert "refused the credentials: 401" in cause


def test_server_that_is_not_reached_is_the_likely_cause():
    absent = TurnServer("203.0.113.77", 3478, "user", "password", "tcp")
    pair = Pair((relay_only(absent, relay_timeout_s=3.0), IceConfig()))
    pair.offer()
    pair.network.run_for(1.0)
    assert "no TURN server has given one yet" in pair.peers[0].explain().likely_cause
    pair.network.run_for(4.0)
    assert "turn:203.0.113.77:3478?transport=tcp is not reached: no answer" in pair.peers[0].explain().likely_cause


def test_relay_only_without_a_server_is_the_likely_cause():
    pair = Pair((relay_only(), IceConfig()))
    pair.offer()
    pair.network.run_for(1.0)
    assert "no TURN server could be asked" in pair.peers[0].explain().likely_cause


def test_closed_tcp_port_is_named_where_nothing_else_works():
    config = IceConfig(tcp=TcpPolicy(active=True, passive=True))
    wall = Firewall(udp=False)
    pair = Pair((config, config), firewalls=(wall, Firewall(udp=False)), listeners=(1,))
    pair.offer()
    pair.programs[1].close_socket(Address(HOSTS[1], 6000))
    pair.network.run_until(lambda: pair.peers[0].ice_connection_state == "failed", within_s=60.0)
    assert "TCP to 198.51.100.1:6000: connection refused" in pair.peers[0].explain().likely_cause


def test_explanation_of_a_working_relay_names_it():
    pair = Pair((relay_only(UDP), IceConfig()))
    pair.connect()
    text = str(pair.peers[0].explain())
    assert f"TURN server {UDP} asked from 192.0.2.1:5000: succeeded, relays from {HOST}:" in text
    assert "password" not in text


def test_unwanted_connection_is_sent_away_by_the_peer():
    pair = Pair((IceConfig(), IceConfig()))
    path = Path(Address(HOSTS[0], 6000), Address(HOSTS[1], 40000), "tcp")
    pair.peers[0].stream_opened(path, 0.0)
    assert [event.path for event in pair.peers[0].take_events()] == [path]
