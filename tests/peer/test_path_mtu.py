"""Path MTU discovery through all layers: probes are sent whole or not at all, and nothing else is (RFC 8899)."""

import pytest

from sans_rtc.peer import PeerConfig
from sans_rtc.peer.config import PROBE_BYTES

SEARCHING = PeerConfig(mtu_discovery=True)
BLOCK = bytes(range(256)) * 256


class Pipe:
    """A path that drops what may not be fragmented beyond its MTU; `is_hole`: and whatever else is too large."""

    def __init__(self, pair, mtu_bytes, *, is_hole=False):
        self.mtu_bytes, self.is_hole = mtu_bytes, is_hole
        self.largest = 0
        self.whole = []
        pair.link.filter = self.carry

    def carry(self, end, datagram):
        size = len(datagram.data)
        if datagram.dont_fragment:
            self.whole.append(size)
        if size > self.mtu_bytes and (self.is_hole or datagram.dont_fragment):
            return None
        self.largest = max(self.largest, size)
        return datagram


def mtu(pair, end=0):
    """The size of UDP payload that an end's SCTP packets make."""
    transport = pair.peers[end]._transport
    return transport.data.association.statistics.mtu_bytes + transport.connection.record_overhead_bytes


def transfer(pair, handle, count, within_s=60.0):
    before = len(pair.messages[1])
    for _ in range(count):
        pair.peers[0].send(handle, BLOCK, pair.now)
    pair.link.run_until(lambda: len(pair.messages[1]) == before + count, within_s=within_s)
    assert set(pair.messages[1]) == {BLOCK}


@pytest.mark.parametrize(("mtu_bytes", "expected"), [(1200, 1200), (1400, 1392), (1472, 1472), (9000, 8952)])
def test_packets_grow_to_what_the_path_takes(make_pair, mtu_bytes, expected):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    pipe = Pipe(pair, mtu_bytes)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    assert expected - 4 < mtu(pair) <= expected
    assert pipe.largest <= mtu_bytes
    pair.check()


@pytest.mark.proves("RFC8899-5-2-7b4b")
def test_packets_grow_to_the_largest_record(make_pair):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    Pipe(pair, 65_507)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    assert mtu(pair) == max(PROBE_BYTES)


def test_peer_that_does_not_search_gets_no_more_than_ethernet_takes(make_pair):
    pair = make_pair(configs=(SEARCHING, None))
    pipe = Pipe(pair, 65_507)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    assert 1468 < mtu(pair) <= 1472
    assert max(pipe.whole) <= 1472


@pytest.mark.proves("RFC6347-4.1.1.1-8-d40a")
def test_only_probes_are_sent_whole_or_not_at_all(make_pair):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    pipe = Pipe(pair, 65_507)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    assert len(pipe.whole) == 2 * len(PROBE_BYTES)


def test_connection_without_bulk_is_not_probed(make_pair):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    pipe = Pipe(pair, 65_507)
    mine, _ = pair.connect()
    for _ in range(100):
        pair.peers[0].send(mine, "hello", pair.now)
        pair.link.run_for(1.0)
    assert pipe.whole == []


def test_driver_that_cannot_send_whole_is_not_asked_to(make_pair):
    pair = make_pair()
    pipe = Pipe(pair, 65_507)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    assert pipe.whole == [] and pipe.largest <= 1200


def test_path_that_shrinks_is_survived_while_the_network_may_fragment(make_pair):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    pipe = Pipe(pair, 9000)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    pipe.mtu_bytes = 1472
    transfer(pair, mine, 30)


@pytest.mark.proves("RFC8899-3-18-4411")
def test_hole_that_swallows_large_packets_is_noticed_and_left_by_all_that_was_not_cut_yet(make_pair):
    pair = make_pair(configs=(SEARCHING, SEARCHING))
    pipe = Pipe(pair, 9000, is_hole=True)
    mine, _ = pair.connect()
    transfer(pair, mine, 30)
    pipe.mtu_bytes = 1300
    pair.peers[0].send(mine, BLOCK, pair.now)
    pair.link.run_until(lambda: mtu(pair) <= 1200, within_s=5.0)
    # The chunks that are out keep their size: here even fragments do not pass, so they must wait for a better path.
    pipe.mtu_bytes = 9000
    transfer(pair, mine, 30)
    pair.link.run_for(30.0)
    transfer(pair, mine, 30)
    assert mtu(pair) > 8000
