"""A network change in the middle of a session, in virtual time: data go on, nothing is lost, back within 3 s."""

import random

import pytest

from sans_rtc.datachannel import ChannelOptions
from sans_rtc.ice import AddressFilter, IceConfig
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer import (
    ConnectionState,
    ConnectionStateChanged,
    GatheringNeeded,
    LocalCandidate,
    NegotiationNeeded,
    PeerConfig,
)
from sans_rtc.testing import LinkConditions
from tests.peer.conftest import Pair

WIRE, AIR, LATER = Address("10.0.0.1", 5000), Address("10.1.0.1", 5000), Address("10.2.0.1", 5000)
PEER = Address("10.0.0.2", 5000)
SIZE, COUNT = 20_000, 60
BACK_WITHIN_S = 3.0


class Roaming(Pair):
    """A pair of which each end has the addresses in `hosts`; what has no address there gets nothing and sends nothing.

    hosts  two dicts from address to the interface's name, the truth; the driver follows it when it is asked to
    """

    def __init__(self, *args, hosts=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.hosts = hosts or [{WIRE: "eth0"}, {PEER: "eth0"}]
        self.named = [set(), set()]
        self.asks = [0, 0]
        self.link.filter = self._route
        self.outer = {}

    def _route(self, end, datagram):
        local, remote = datagram.path.local, datagram.path.remote
        remote = next((inner for inner, outer in self.outer.items() if outer == remote), remote)
        if local not in self.hosts[end] or remote not in self.hosts[1 - end]:
            return None
        return Datagram(datagram.data, Path(self.outer.get(local, local), remote), datagram.ecn)

    def _on_event(self, end, event):
        if isinstance(event, GatheringNeeded):
            self.asks[end] += 1
            self.bind(end)
        else:
            super()._on_event(end, event)

    def bind(self, end):
        """What a driver does when it is asked for addresses: the new ones first."""
        peer, hosts = self.peers[end], self.hosts[end]
        for address in set(hosts) - self.named[end]:
            peer.add_local_address(address, hosts[address], self.now)
        for address in self.named[end] - set(hosts):
            peer.remove_local_address(address, self.now)
        self.named[end] = set(hosts)
        peer.end_of_local_addresses(self.now)

    def change(self, end, hosts):
        """The network of an end is another now, and the driver says so."""
        self.hosts[end] = hosts
        self.peers[end].network_changed(self.now)
        self.link.flush()

    def transfer(self, end, handle, count):
        """Queue so many messages, each with its number."""
        for number in range(count):
            self.peers[end].send(handle, number.to_bytes(4, "big") * (SIZE // 4), self.now)

    def numbers(self, end):
        return [int.from_bytes(message[:4], "big") for message in self.messages[end]]

    def states(self, end):
        return [event.state for event in self.events(end, ConnectionStateChanged)]

    def selected(self, end):
        selected = self.peers[end].explain().ice.selected
        return None if selected is None else selected.path


def slow(**more):
    return LinkConditions(delay_s=0.02, rate_bytes_s=1_000_000.0, queue_bytes=100_000, **more)


def middle_of_transfer(roaming, sender):
    """Connected, with a transfer under way."""
    handles = roaming.connect()
    roaming.link.run_for(2.0)
    roaming.transfer(sender, handles[sender], COUNT)
    roaming.link.run_until(lambda: len(roaming.messages[1 - sender]) > 20, within_s=30)
    return handles


@pytest.mark.parametrize("changes", [0, 1])
@pytest.mark.parametrize("sender", [0, 1])
@pytest.mark.parametrize("seed", range(2))
def test_transfer_goes_on_when_the_interface_in_use_is_replaced(seed, sender, changes):
    """The wire is pulled while Wi-Fi comes up; either end may be the one, and either may be controlling."""
    before = ({WIRE: "eth0"}, {PEER: "eth0"})
    roaming = Roaming(seed=seed, conditions=slow(loss=0.02 * seed), hosts=list(before))
    middle_of_transfer(roaming, sender)
    changed_at, received = roaming.now, len(roaming.messages[1 - sender])
    roaming.change(changes, {AIR if changes == 0 else Address("10.1.0.2", 5000): "wlan0"})
    roaming.link.run_until(lambda: len(roaming.messages[1 - sender]) > received + 5, within_s=BACK_WITHIN_S + 0.5)
    assert roaming.now - changed_at <= BACK_WITHIN_S
    roaming.link.run_until(lambda: len(roaming.messages[1 - sender]) == COUNT, within_s=60)
    assert roaming.numbers(1 - sender) == list(range(COUNT))
    assert roaming.selected(changes).local != before[changes]
    assert roaming.selected(0) == roaming.selected(1).reversed()
    assert all(ConnectionState.FAILED not in roaming.states(end) for end in (0, 1))
    assert len(roaming.events(0, NegotiationNeeded)) == 1  # that of the channel


@pytest.mark.parametrize("changes", [0, 1])
def test_other_interface_takes_over_at_once_where_there_is_one(changes):
    hosts = [{WIRE: "eth0"}, {PEER: "eth0"}]
    other = AIR if changes == 0 else Address("10.1.0.2", 5000)
    hosts[changes][other] = "wlan0"
    roaming = Roaming(conditions=slow(), hosts=hosts)
    middle_of_transfer(roaming, 0)
    gone = roaming.selected(changes).local
    received = len(roaming.messages[1])
    roaming.change(changes, {address: name for address, name in hosts[changes].items() if address != gone})
    took_s = roaming.link.run_until(lambda: len(roaming.messages[1]) > received + 5, within_s=BACK_WITHIN_S)
    assert took_s < 2.0
    roaming.link.run_until(lambda: len(roaming.messages[1]) == COUNT, within_s=60)
    assert roaming.numbers(1) == list(range(COUNT))


def test_connection_waits_for_an_interface_that_comes_two_seconds_later():
    roaming = Roaming(conditions=slow())
    middle_of_transfer(roaming, 0)
    roaming.change(0, {})
    assert not roaming.peers[0].explain().ice.pairs
    assert roaming.peers[0].connection_state is ConnectionState.DISCONNECTED
    roaming.link.run_for(2.0)
    roaming.change(0, {LATER: "wwan0"})
    roaming.link.run_until(lambda: len(roaming.messages[1]) == COUNT, within_s=10)
    assert roaming.numbers(1) == list(range(COUNT))
    assert ConnectionState.FAILED not in roaming.states(0)
    assert len(roaming.events(0, NegotiationNeeded)) == 1


def test_nothing_happens_to_a_session_whose_network_is_the_same():
    roaming = Roaming()
    roaming.connect()
    roaming.link.run_for(1.0)
    before = [len(roaming.link.events[end]) for end in (0, 1)]
    roaming.peers[0].network_changed(roaming.now)
    roaming.link.run_for(10.0)
    assert roaming.asks == [2, 1]
    news = roaming.link.events[0][before[0] :]
    assert [type(event) for event in news] == [GatheringNeeded]
    assert roaming.link.events[1][before[1] :] == []


def test_new_candidate_is_told_in_the_same_generation_after_the_end_of_candidates():
    roaming = Roaming()
    roaming.connect()
    ufrag = roaming.events(0, LocalCandidate)[0].candidate.split(" ufrag ")[1]
    roaming.change(0, {WIRE: "eth0", AIR: "wlan0"})
    roaming.link.run_for(1.0)
    told = [event.candidate for event in roaming.events(0, LocalCandidate)]
    assert told[1] == "" == told[-1]
    assert AIR.host in told[2] and told[2].endswith(f"ufrag {ufrag}")
    assert AIR.host in roaming.peers[0].local_description.sdp
    assert AIR in {pair.path.remote for pair in roaming.peers[1].explain().ice.pairs}


def test_way_in_behind_a_firewall_is_found_by_the_late_candidate():
    """The peer's firewall lets in only whom the peer has sent to: without the candidate both would wait for ever."""
    roaming = Roaming()
    roaming.connect()
    roaming.link.run_for(1.0)
    permitted, route = set(), roaming.link.filter

    def firewall(end, datagram):
        arrived = route(end, datagram)
        if end == 1:
            permitted.add(datagram.path.remote)
            return arrived
        return arrived if arrived is not None and arrived.path.local in permitted else None

    roaming.link.filter = firewall
    roaming.link.run_for(2.0)
    roaming.change(0, {AIR: "wlan0"})
    roaming.link.run_until(
        lambda: (
            None not in (roaming.selected(0), roaming.selected(1))
            and roaming.selected(0) == roaming.selected(1).reversed() == Path(AIR, PEER)
        ),
        within_s=BACK_WITHIN_S,
    )


def test_restart_is_asked_for_only_where_no_pair_is_left():
    """The new interface has another version of IP, and the peer has no address of it in this generation."""
    roaming = Roaming()
    handle, _ = roaming.connect()
    roaming.link.run_for(1.0)
    six, peer_six = Address("2001:db8::1", 5000), Address("2001:db8::2", 5000)
    roaming.hosts[1][peer_six] = "eth0"
    roaming.change(0, {six: "wlan0"})
    assert len(roaming.events(0, NegotiationNeeded)) == 2
    roaming.bind(1)
    roaming.offer_and_answer()
    roaming.peers[0].send(handle, b"again", roaming.now)
    roaming.link.run_until(lambda: roaming.messages[1] == [b"again"], within_s=BACK_WITHIN_S)
    assert roaming.peers[0].explain().ice.generation == 1
    roaming.link.run_for(30.0)
    assert len(roaming.events(0, NegotiationNeeded)) == 2
    assert roaming.peers[0].connection_state is ConnectionState.CONNECTED


def test_restart_is_asked_for_after_an_outage_longer_than_consent():
    """RFC 7675 section 5.1: these credentials are not used again."""
    roaming = Roaming()
    handle, _ = roaming.connect()
    roaming.link.run_for(1.0)
    roaming.change(0, {})
    roaming.link.run_for(60.0)
    assert roaming.peers[1].connection_state is ConnectionState.FAILED
    assert len(roaming.events(0, NegotiationNeeded)) == 1  # without a socket a restart is of no use
    roaming.change(0, {AIR: "wlan0"})
    roaming.link.run_for(20.0)
    assert len(roaming.events(0, NegotiationNeeded)) == 2
    roaming.offer_and_answer()
    roaming.peers[0].send(handle, b"again", roaming.now)
    roaming.link.run_until(lambda: roaming.messages[1] == [b"again"], within_s=BACK_WITHIN_S)


def test_network_change_before_gathering_asks_for_nothing():
    roaming = Roaming()
    roaming.peers[0].network_changed(roaming.now)
    roaming.link.flush()
    assert roaming.events(0, GatheringNeeded) == []
    roaming.peers[0].create_channel("x", ChannelOptions(), roaming.now)
    roaming.connect()


@pytest.mark.parametrize("seed", range(8))
def test_transfer_survives_whatever_the_interfaces_do(seed):
    """Both ends change their networks again and again, with loss, reordering and time between; nothing is lost."""
    config = PeerConfig(ice=IceConfig(address_filter=AddressFilter(allow_loopback=True)))
    conditions = slow(loss=0.02 * (seed % 3), reordering=0.05, jitter_s=0.005)
    roaming = Roaming(seed=seed, conditions=conditions, configs=(config, config))
    handles = roaming.connect()
    chance = random.Random(seed)
    for end in (0, 1):
        roaming.transfer(end, handles[end], 40)
    for _ in range(6):
        roaming.link.run_for(chance.uniform(0.1, 4.0))
        end = chance.randrange(2)
        count = chance.choice((1, 1, 2))
        kept = [address for address in roaming.hosts[end] if chance.random() < 0.4]
        new = [Address(f"10.{chance.randrange(3, 9)}.{end}.1", 5000 + end) for _ in range(count)]
        roaming.change(end, dict.fromkeys([*kept, *new], "any0"))
    roaming.link.run_until(lambda: all(len(messages) == 40 for messages in roaming.messages), within_s=60)
    for end in (0, 1):
        assert roaming.numbers(end) == list(range(40))
        assert ConnectionState.FAILED not in roaming.states(end)
    roaming.check()
