"""Our client and our server, in memory and virtual time: SHA-256, hidden user names, both families, TCP, rotation."""

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing import SeededEntropy
from sans_rtc.turn import (
    Allocated,
    AllocationFailed,
    ChannelBound,
    Client,
    ConnectionOpened,
    DataReceived,
    PeerRefused,
    TurnConfig,
    ephemeral_credentials,
)
from sans_rtc.turn.server import Credentials, PeerRules, RelayNeeded, Server, ServerConfig, User

SERVER = Address("198.51.100.1", 3478)
PEER = Address("203.0.113.9", 7000)
PROTOCOLS = ["udp", "tcp", "tls"]


class World:
    """One server and its clients; sockets are dictionaries."""

    def __init__(self, **changes):
        changes = {
            "relay_hosts": ("198.51.100.1", "2001:db8::1"),
            "peers": PeerRules(allow=("203.0.113.0/24",)),
            **changes,
        }
        self.credentials = Credentials(users=(User("alice", "secret"),), rest_secrets=("old",))
        self.server = Server(ServerConfig(**changes), credentials=self.credentials, entropy=SeededEntropy("server"))
        self.clients, self.events, self.relays = {}, {}, set()
        self.to_peer, self.peer_streams = [], []
        self.now = 1000.0

    def client(self, protocol="udp", **changes):
        local = Address("192.0.2.10", 50000 + len(self.clients))
        path = Path(local, SERVER, protocol, 0 if protocol == "udp" else 1)
        config = TurnConfig(**{"username": "alice", "password": "secret", "keepalive_s": None, **changes})
        client = Client(config, path, entropy=SeededEntropy(f"client {local}"))
        self.events[client] = []
        self.clients[path] = client
        if protocol != "udp":
            self.open(client, path)
        return client

    def open(self, client, path):
        self.clients[path] = client
        self.server.stream_opened(path.reversed(), self.now)
        client.stream_opened(path, self.now)

    def allocated(self, protocol="udp", **changes):
        client = self.client(protocol, **changes)
        client.allocate(self.now)
        self.pump()
        assert self.take(client, Allocated), self.events[client]
        return client

    def take(self, client, *types):
        found = [event for event in self.events[client] if isinstance(event, types)]
        self.events[client] = [event for event in self.events[client] if not isinstance(event, types)]
        return found

    def pump(self):
        is_busy = True
        while is_busy:
            is_busy = self._pump_server()
            for client in list(self.events):
                is_busy |= self._pump_client(client)

    def advance(self, seconds):
        end = self.now + seconds
        machines = [self.server, *self.events]
        while (moment := min(machine.deadline for machine in machines)) <= end:
            self.now = max(self.now, moment)
            for machine in machines:
                machine.handle_timer(self.now)
            self.pump()
        self.now = end

    def _pump_client(self, client):
        datagrams = client.take_datagrams(self.now)
        for datagram in datagrams:
            self.server.receive(Datagram(datagram.data, datagram.path.reversed()), self.now)
        events = client.take_events()
        for event in events:
            if isinstance(event, StreamNeeded):
                self.open(client, event.path)
            elif isinstance(event, StreamUnneeded):
                self.server.stream_closed(event.path.reversed(), "closed", self.now)
            else:
                self.events[client].append(event)
        return bool(datagrams or events)

    def _pump_server(self):
        datagrams = self.server.take_datagrams(self.now)
        for datagram in datagrams:
            path = datagram.path
            if path.reversed() in self.clients:
                self.clients[path.reversed()].receive(Datagram(datagram.data, path.reversed()), self.now)
            elif path.remote in self.relays:
                self.server.receive(Datagram(datagram.data, Path(path.remote, path.local)), self.now)
            else:
                self.to_peer.append(datagram.data)
        events = self.server.take_events()
        for event in events:
            if isinstance(event, RelayNeeded):
                self.relays.add(event.address)
                self.server.relay_opened(event.relay_id, event.address, self.now)
            elif isinstance(event, StreamNeeded):
                self.peer_streams.append(event.path)
                self.server.stream_opened(event.path, self.now)
        return bool(datagrams or events)


def exchange(world, clients, relayed):
    for index in (0, 1):
        clients[index].send(b"hello", relayed[1 - index], world.now)
    world.pump()
    for index in (0, 1):
        assert world.take(clients[index], DataReceived) == [
            DataReceived(b"hello", relayed[1 - index], relayed[index]),
        ]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("family", [4, 6])
def test_two_clients_relay_to_each_other_for_an_hour(protocol, family):
    world = World()
    clients = [world.allocated(protocol, families=(family,), channel_after=5) for _ in range(2)]
    relayed = [client.relayed_addresses[0] for client in clients]
    assert [client.explain().signed_with for client in clients] == ["SHA256"] * 2
    for client, peer in zip(clients, reversed(relayed), strict=True):
        client.create_permission(peer.host, world.now)
    world.pump()
    for _ in range(36):
        exchange(world, clients, relayed)
        world.advance(100)
    assert [world.take(client, ChannelBound) for client in clients] == [
        [ChannelBound(peer, 0x4000)] for peer in reversed(relayed)
    ]
    for client in clients:
        assert world.events[client] == [] and client.stats.discards == {}
        client.close(world.now)
    world.pump()
    assert world.server.explain(world.now) == ()


def test_both_families_come_with_one_allocation():
    world = World()
    assert [address.family for address in world.allocated(families=(4, 6)).relayed_addresses] == [4, 6]


def test_family_that_is_not_there_is_named():
    world = World(relay_hosts=("198.51.100.1",))
    client = world.client(families=(4, 6))
    client.allocate(world.now)
    world.pump()
    (event,) = world.take(client, Allocated)
    assert [(refused.family, refused.code) for refused in event.refused] == [(6, 440)]


def test_reserved_port_is_had_by_another_client():
    world = World()
    first = world.client(reserve_next=True)
    first.allocate(world.now)
    world.pump()
    (event,) = world.take(first, Allocated)
    second = world.allocated(reservation_token=event.reservation_token)
    assert second.relayed_addresses[0].port == event.relayed[0].port + 1


def test_refused_peer_and_quota_are_named():
    world = World(user_allocation_count_max=1)
    client = world.allocated()
    client.create_permission("10.0.0.1", world.now)
    world.pump()
    (refused,) = world.take(client, PeerRefused)
    assert (refused.code, refused.name) == (403, "Forbidden")
    other = world.client()
    other.allocate(world.now)
    world.pump()
    (failed,) = world.take(other, AllocationFailed)
    assert (failed.code, failed.name) == (486, "Allocation Quota Reached")


def test_nonces_go_stale_and_nobody_notices():
    world = World(nonce_lifetime_s=60.0)
    client = world.allocated()
    world.advance(3600)
    assert world.events[client] == [] and client.stats.challenges > 3


def test_ephemeral_credentials_and_a_secret_that_is_rotated():
    world = World()
    username, password = ephemeral_credentials("old", world.now, 600, "fred")
    client = world.allocated(username=username, password=password)
    world.server.set_credentials(Credentials(rest_secrets=("new", "old")), world.now)
    world.advance(540)
    assert world.events[client] == []
    username, password = ephemeral_credentials("new", world.now, 600, "fred")
    world.allocated(username=username, password=password)


@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_tcp_is_relayed(protocol):
    world = World()
    client = world.allocated(protocol, transport="tcp")
    client.create_permission(PEER.host, world.now)
    client.connect(PEER, world.now)
    world.pump()
    assert world.take(client, ConnectionOpened) == [ConnectionOpened(PEER, client.relayed_addresses[0], False)]
    client.send(b"to the peer", PEER, world.now)
    world.pump()
    (path,) = world.peer_streams
    world.server.receive(Datagram(b"from the peer", path), world.now)
    world.pump()
    assert world.to_peer == [b"to the peer"]
    assert world.take(client, DataReceived) == [DataReceived(b"from the peer", PEER, client.relayed_addresses[0])]
