"""Queriers and responders of several hosts on one lossy link, in virtual time: who hears what, and how much is said."""

import heapq
import itertools
import math
import random

import attrs
import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.mdns import MdnsConfig, NameResolved, NameUnresolved, Querier, Responder, ResponderConfig
from sans_rtc.mdns.wire import parse_message
from sans_rtc.testing import SeededEntropy

START = 1000.0


@attrs.define
class Host:
    """A querier and a responder on one socket, as an adapter has them."""

    address: Address
    querier: Querier
    responder: Responder
    events: list = attrs.Factory(list)

    @property
    def machines(self):
        return self.querier, self.responder

    @property
    def resolved(self):
        return {event.name: event.hosts for event in self.events if isinstance(event, NameResolved)}

    @property
    def unresolved(self):
        return [event.name for event in self.events if isinstance(event, NameUnresolved)]


class Ether:
    """One link: what is sent to the group reaches every host, the sender too; a copy may be lost, late or doubled."""

    def __init__(self, count, *, loss=0.0, duplication=0.0, delay_s=0.002, jitter_s=0.003, seed=1, **config):
        self.chance = random.Random(seed)
        self.loss, self.duplication, self.delay_s, self.jitter_s = loss, duplication, delay_s, jitter_s
        self.now = START
        self.heap, self.number = [], itertools.count()
        self.said = []  # (when, who, message, to whom)
        self.hosts = [self._make(index, seed, config) for index in range(count)]

    def _make(self, index, seed, config):
        address = Address(f"192.0.2.{index + 1}", 5353)
        host = Host(
            address,
            Querier(MdnsConfig(**config), entropy=SeededEntropy(seed * 1000 + index)),
            Responder(ResponderConfig(), entropy=SeededEntropy(seed * 1000 + 500 + index)),
        )
        for machine in host.machines:
            machine.add_local_address(address, self.now)
            machine.set_networks(address, ["192.0.2.0/24"], self.now)
        return host

    def publish(self, index, name):
        self.hosts[index].responder.publish(name, [self.hosts[index].address.host], self.now)
        self.flush()

    def resolve(self, index, name):
        self.hosts[index].querier.resolve(name, self.now)
        self.flush()

    def flush(self):
        for host in self.hosts:
            for machine in host.machines:
                for datagram in machine.take_datagrams(self.now):
                    self._send(host, datagram)
            host.events += host.querier.take_events()

    def _send(self, host, datagram):
        remote = datagram.path.remote
        self.said.append((self.now, host.address, parse_message(datagram.data), remote))
        for other in self.hosts:
            if remote.host == "224.0.0.251" or remote == other.address:
                copies = 0 if self.chance.random() < self.loss else 1 + (self.chance.random() < self.duplication)
                for _ in range(copies):
                    at = self.now + self.delay_s + self.jitter_s * self.chance.random()
                    arrived = Datagram(datagram.data, Path(other.address, host.address))
                    heapq.heappush(self.heap, (at, next(self.number), other, arrived))

    def run_for(self, duration_s):
        end = self.now + duration_s
        while True:
            deadlines = [machine.deadline for host in self.hosts for machine in host.machines]
            at = min([*deadlines, self.heap[0][0] if self.heap else math.inf])
            if at > end:
                self.now = end
                return
            self.now = max(self.now, at)
            while self.heap and self.heap[0][0] <= self.now:
                _, _, host, datagram = heapq.heappop(self.heap)
                for machine in host.machines:
                    machine.receive(datagram, self.now)
            for host in self.hosts:
                for machine in host.machines:
                    if machine.deadline <= self.now:
                        machine.handle_timer(self.now)
            self.flush()

    def multicast_records(self):
        """When each record with a TTL was told to the group, by who told it."""
        told = {}
        for at, who, message, remote in self.said:
            if message.is_response and remote.host == "224.0.0.251":
                for record in message.answers:
                    if record.ttl_s:
                        told.setdefault((who, record.name, record.type, record.data), []).append(at)
        return told


def name_of(index):
    return f"00000000-0000-4000-8000-{index:012d}.local"


def busy(ether, rounds=3):
    """Every host publishes a name, and every other host asks for it at once."""
    count = len(ether.hosts)
    for index in range(count):
        ether.publish(index, name_of(index))
    for _ in range(rounds):
        for asker, index in itertools.permutations(range(count), 2):
            ether.resolve(asker, name_of(index))
        ether.run_for(7.0)


def test_name_is_resolved_within_one_round_trip_of_being_published():
    ether = Ether(2)
    ether.publish(0, name_of(0))
    ether.resolve(1, name_of(0))
    ether.run_for(0.02)
    assert ether.hosts[1].resolved == {name_of(0): ("192.0.2.1",)}


@pytest.mark.parametrize("seed", range(30))
def test_all_names_are_resolved_over_a_link_that_loses_a_fifth(seed):
    ether = Ether(5, loss=0.2, duplication=0.1, seed=seed)
    busy(ether)
    for asker, host in enumerate(ether.hosts):
        expected = {name_of(index): (f"192.0.2.{index + 1}",) for index in range(5) if index != asker}
        assert host.resolved == expected


@pytest.mark.parametrize("seed", range(30))
def test_no_record_is_told_to_the_group_twice_within_a_second(seed):
    ether = Ether(5, loss=0.3, duplication=0.2, jitter_s=0.4, seed=seed)
    busy(ether)
    told = ether.multicast_records()
    assert len(told) >= 5
    for times in told.values():
        assert all(later - earlier >= 1.0 for earlier, later in itertools.pairwise(times))


@pytest.mark.parametrize("seed", range(10))
def test_asking_hosts_say_little(seed):
    ether = Ether(8, seed=seed)
    busy(ether, rounds=1)
    queries = sum(not message.is_response for _, _, message, _ in ether.said)
    assert queries <= 8 * 7 * 2 * 3  # each name in both versions of IP, at most three times
    assert sum(message.is_response for _, _, message, _ in ether.said) <= 8 * (3 + 2 * 4)


def test_withdrawn_name_is_forgotten_on_the_whole_link():
    ether = Ether(3)
    ether.publish(0, name_of(0))
    ether.resolve(1, name_of(0))
    ether.run_for(3.0)
    ether.hosts[0].responder.withdraw(name_of(0), ether.now)
    ether.flush()
    ether.run_for(2.0)
    for asker in (1, 2):
        ether.resolve(asker, name_of(0))
    ether.run_for(10.0)
    assert [host.unresolved for host in ether.hosts] == [[], [name_of(0)], [name_of(0)]]


def test_host_that_comes_later_resolves_what_was_published_long_ago():
    ether = Ether(2)
    ether.publish(0, name_of(0))
    ether.run_for(1000.0)
    ether.resolve(1, name_of(0))
    ether.run_for(0.02)
    assert ether.hosts[1].resolved == {name_of(0): ("192.0.2.1",)}


def test_same_seed_says_the_same():
    said = []
    for _ in range(2):
        ether = Ether(4, loss=0.2, duplication=0.1, seed=7)
        busy(ether)
        said.append(ether.said)
    assert said[0] == said[1]
