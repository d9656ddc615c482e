"""A burst taken at once has the same effect as its datagrams one by one: the bytes that come out are equal."""

import pytest

from sans_rtc.datachannel.config import ChannelOptions
from sans_rtc.ice.config import AddressFilter, IceConfig
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.events import LocalCandidate
from sans_rtc.testing import SeededEntropy
from sans_rtc_net.socket_set import burst_receiver

ADDRESSES = (Address("127.0.0.1", 1111), Address("127.0.0.1", 2222))
CONFIG = PeerConfig(ice=IceConfig(address_filter=AddressFilter(allow_loopback=True)), wall_clock_offset_s=1.8e9)


def session(receive_burst):
    """Run two peers from the offer to the end in virtual time; return all datagrams and events of both."""
    peers = [PeerConnection(CONFIG, entropy=SeededEntropy(seed)) for seed in (1, 2)]
    sent, events = ([], []), ([], [])
    now = 1000.0
    channel = peers[0].create_channel("x", ChannelOptions(), now)
    peers[0].set_local_description(None, now)
    peers[1].set_remote_description(peers[0].local_description, now)
    peers[1].set_local_description(None, now)
    peers[0].set_remote_description(peers[1].local_description, now)
    for peer, address in zip(peers, ADDRESSES, strict=True):
        peer.add_local_address(address, "lo", now)
        peer.end_of_local_addresses(now)
    for step in range(300):
        now += 0.002
        if step in range(100, 110):
            for size in (3000, 10, 0, 40_000):
                peers[0].send(channel, bytes(size), now)
        if step == 200:
            peers[0].close(now)
        for end, peer in enumerate(peers):
            if peer.deadline <= now:
                peer.handle_timer(now)
            datagrams = peer.take_datagrams(now)
            sent[end].extend(datagram.data for datagram in datagrams)
            path = Path(ADDRESSES[1 - end], ADDRESSES[end])
            receive_burst(peers[1 - end], [Datagram(datagram.data, path) for datagram in datagrams], now)
            for event in peer.take_events():
                events[end].append(event)
                if isinstance(event, LocalCandidate):
                    peers[1 - end].add_remote_candidate(event.candidate, event.mid, now)
    assert all(peer.is_terminated for peer in peers)
    return sent, events


def receive_each(peer, datagrams, now):
    for datagram in datagrams:
        peer.receive(datagram, now)


def receive_many(peer, datagrams, now):
    peer.receive_many(datagrams, now)


def test_burst_at_once_equals_one_by_one():
    each, many = session(receive_each), session(receive_many)
    assert [len(sent) for sent in each[0]] == [len(sent) for sent in many[0]]
    assert each == many


def test_end_in_the_same_burst_as_the_last_message_comes_after_it():
    _, events = session(receive_many)
    names = [type(event).__name__ for event in events[1]]
    assert names.count("ChannelMessage") == 40
    assert names[-1] == "Terminated"
    assert events[1][-1].reason == "closed_by_peer"


def test_machine_without_bursts_gets_its_datagrams_one_by_one(pinger):
    machine = pinger()
    path = Path(*ADDRESSES)
    burst_receiver(machine)([Datagram(b"a", path), Datagram(b"b", path)], 0.0)
    assert [datagram.data for datagram in machine.received] == [b"a", b"b"]


def test_burst_for_an_ended_peer_is_ignored():
    peer = PeerConnection(CONFIG, entropy=SeededEntropy(1))
    peer.abort(0.0)
    burst_receiver(peer)([Datagram(b"a", Path(*ADDRESSES))], 0.0)
    assert peer.take_datagrams(0.0) in ((), [])


@pytest.mark.parametrize("count", [0, 1])
def test_small_bursts_are_bursts_too(count):
    peer = PeerConnection(CONFIG, entropy=SeededEntropy(1))
    peer.receive_many([Datagram(b"", Path(*ADDRESSES))] * count, 0.0)
    assert not peer.is_terminated
