"""Two clients of this project, their relays on one server, over a bad network in virtual time."""

import heapq
import math

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.testing import SeededEntropy
from sans_rtc.turn import Client, TurnConfig
from sans_rtc.turn.events import DataReceived

LISTENER = Address("192.0.2.1", 3478)
HOSTS = (Address("198.51.100.1", 1000), Address("198.51.100.2", 2000))


class Network:
    """A server's site and clients; each datagram is lost, delayed, or arrives twice, as the seed has it."""

    def __init__(self, site, clients, *, seed, loss=0.0, duplication=0.0, delay_s=0.02, jitter_s=0.02):
        self.site, self.clients = site, clients
        self.chance = SeededEntropy(f"network {seed}")
        self.loss, self.duplication, self.delay_s, self.jitter_s = loss, duplication, delay_s, jitter_s
        self.arrivals, self.order = [], 0
        self.events = {path: [] for path in clients}

    @property
    def now(self):
        return self.site.now

    def run_until(self, condition, within_s):
        end = self.now + within_s
        self.flush()
        while not condition():
            moment = self.next_moment()
            assert moment <= end, "the condition does not hold in time"
            self.site.now = max(moment, self.now)
            self.step()

    def run_for(self, seconds):
        end = self.now + seconds
        self.flush()
        while (moment := self.next_moment()) <= end:
            self.site.now = max(moment, self.now)
            self.step()
        self.site.now = end

    def next_moment(self):
        machines = (self.site.server, *self.clients.values())
        return min(self.first_arrival(), *[machine.deadline for machine in machines])

    def step(self):
        while self.first_arrival() <= self.now:
            _, _, target, datagram = heapq.heappop(self.arrivals)
            target.receive(datagram, self.now)
        for machine in (self.site.server, *self.clients.values()):
            if machine.deadline <= self.now:
                machine.handle_timer(self.now)
        self.flush()

    def flush(self):
        for datagram in self.site.drain():
            self.carry(datagram)
        for path, client in self.clients.items():
            for datagram in client.take_datagrams(self.now):
                self.carry(datagram)
            self.events[path] += client.take_events()

    def carry(self, datagram):
        path = datagram.path.reversed()
        target = self.clients.get(path) or self.site.server
        if self.chance.fraction() < self.loss:
            return
        for _ in range(2 if self.chance.fraction() < self.duplication else 1):
            self.order += 1
            at = self.now + self.delay_s + self.jitter_s * self.chance.fraction()
            heapq.heappush(self.arrivals, (at, self.order, target, Datagram(datagram.data, path, datagram.ecn)))

    def first_arrival(self):
        return self.arrivals[0][0] if self.arrivals else math.inf

    def received(self, path):
        return [event.data for event in self.events[path] if isinstance(event, DataReceived)]


@pytest.fixture
def make_network(make_site):
    def make_network(seed, **conditions):
        paths = [Path(host, LISTENER) for host in HOSTS]
        config = TurnConfig(username="alice", password="secret")
        clients = {path: Client(config, path, entropy=SeededEntropy(f"{seed} {path}")) for path in paths}
        network = Network(make_site(seed=seed), clients, seed=seed, **conditions)
        for client in clients.values():
            client.allocate(network.now)
        return network, list(clients.values()), paths

    return make_network


@pytest.mark.parametrize("seed", range(12))
def test_two_clients_reach_each_other_over_a_lossy_network(make_network, seed):
    network, clients, paths = make_network(seed, loss=0.2, duplication=0.1, jitter_s=0.1)
    network.run_until(lambda: all(client.relayed_addresses for client in clients), 60.0)
    first, second = clients
    relays = [client.relayed_addresses[0] for client in clients]
    sent = 0
    while len(network.received(paths[0])) < 20 or len(network.received(paths[1])) < 20:
        sent += 1
        assert sent < 400
        first.send(b"to second %d" % sent, relays[1], network.now)
        second.send(b"to first %d" % sent, relays[0], network.now)
        network.run_for(0.1)
    assert set(network.received(paths[1])) <= {b"to second %d" % number for number in range(sent + 1)}
    assert network.site.server.stats.auth_failures.keys() == {"no_credentials"}


def test_session_of_an_hour_outlives_every_timer(make_network):
    network, clients, paths = make_network(99, loss=0.05)
    network.run_until(lambda: all(client.relayed_addresses for client in clients), 60.0)
    relays = [client.relayed_addresses[0] for client in clients]
    for minute in range(75):
        for client, relay in zip(clients, reversed(relays), strict=True):
            for number in range(5):
                client.send(b"%d.%d" % (minute, number), relay, network.now)
        network.run_for(60.0)
    minutes = {int(data.split(b".")[0]) for data in network.received(paths[0])}
    assert minutes >= set(range(1, 75))  # refreshes, permissions, channels and the nonce have all been renewed
    assert network.site.server.stats.auth_failures.get("stale_nonce", 0) >= 2
