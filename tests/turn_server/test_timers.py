"""What expires, and when: allocations, permissions, channels, streams; and that it costs nothing while it does not."""

import math

import pytest

from sans_rtc.machine import Address, Path
from sans_rtc.stun import parse_message
from sans_rtc.turn import serialize_channel_data
from sans_rtc.turn.server import AllocationEnded, EndReason
from sans_rtc.turn.server.deadlines import STALE_COUNT_MAX, Deadlines

FRAME = serialize_channel_data(0x4000, b"x", pad=False)


def test_allocation_expires_after_its_lifetime(site, client):
    relayed = client.allocated()
    site.wait(599.9)
    assert site.sockets == {(relayed, "udp")}
    site.wait(0.2)
    assert site.sockets == set()
    assert site.events_of(AllocationEnded) == [AllocationEnded(client.path, (relayed,), EndReason.EXPIRED)]
    assert site.server.deadline == math.inf
    assert client.refresh().code == 437


def test_refresh_keeps_it(site, client):
    client.allocated()
    for _ in range(5):
        site.wait(500.0)
        assert client.refresh()["LIFETIME"] == 600
    assert len(site.sockets) == 1


def test_refresh_can_shorten_it(site, client):
    client.allocate(("LIFETIME", 3000))
    assert client.refresh(700)["LIFETIME"] == 700
    site.wait(701.0)
    assert site.sockets == set()


def test_data_do_not_keep_it(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    for _ in range(60):
        site.wait(10.0)
        client.send(FRAME)
        site.receive(b"x", Path(relayed, at["peer"]))
    assert site.sockets == set()


def test_one_relay_of_two_expires_alone(site, client):
    four, _ = client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2)).all("XOR_RELAYED_ADDRESS")
    site.wait(500.0)
    client.refresh(REQUESTED_ADDRESS_FAMILY=1)
    site.wait(101.0)
    assert site.sockets == {(four, "udp")}
    assert site.events_of(AllocationEnded) == []


@pytest.mark.proves("RFC8656-9-1-61f2")
def test_permission_expires_after_five_minutes_both_ways(site, client, at):
    relayed = client.allocated()
    client.permit(at["peer"])
    site.wait(299.9)
    assert len(client.indicate(at["peer"], b"x")) == 1
    site.wait(0.2)
    assert client.indicate(at["peer"], b"x") == []
    assert site.receive(b"x", Path(relayed, at["peer"])) == []


@pytest.mark.parametrize("verb", ["permit", "bind"])
def test_permission_is_refreshed_by_either_request(site, client, at, verb):
    client.allocated()
    client.permit(at["peer"])
    site.wait(200.0)
    getattr(client, verb)(at["peer"])
    site.wait(200.0)
    assert len(client.indicate(at["peer"], b"x")) == 1


def test_data_do_not_refresh_a_permission(site, client, at):
    relayed = client.allocated()
    client.permit(at["peer"])
    for _ in range(30):
        client.indicate(at["peer"], b"x")
        site.receive(b"x", Path(relayed, at["peer"]))
        site.wait(10.0)
    site.wait(0.1)
    assert client.indicate(at["peer"], b"x") == []


def test_channel_lets_nothing_in_when_its_permission_has_expired_and_again_when_it_is_renewed(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    site.wait(301.0)
    assert site.receive(b"x", Path(relayed, at["peer"])) == []
    assert len(client.send(FRAME)) == 1
    client.permit(at["peer"])
    (datagram,) = site.receive(b"x", Path(relayed, at["peer"]))
    assert datagram.data[:2] == b"\x40\x00"


@pytest.mark.proves("RFC8656-12.6-2-9320")
def test_channel_expires_after_ten_minutes_and_data_come_as_indications_then(site, client, at):
    relayed = client.allocated(("LIFETIME", 3600))
    client.bind(at["peer"])
    site.wait(400.0)
    client.permit(at["peer"])
    site.wait(199.0)
    assert len(client.send(FRAME)) == 1
    site.wait(2.0)
    assert client.send(FRAME) == []
    (datagram,) = site.receive(b"x", Path(relayed, at["peer"]))
    assert parse_message(datagram.data).method == 7


def test_channel_is_refreshed_by_the_same_request(site, client, at):
    client.allocated(("LIFETIME", 3600))
    client.bind(at["peer"])
    site.wait(500.0)
    assert client.bind(at["peer"]).code == 0
    site.wait(500.0)
    assert len(client.send(FRAME)) == 1


def test_number_and_peer_can_be_bound_otherwise_once_the_channel_has_expired(site, client, at):
    client.allocated(("LIFETIME", 3600))
    other = Address(at["peer"].host, 9)
    client.bind(at["peer"], 0x4000)
    assert client.bind(other, 0x4000).code == 400
    assert client.bind(at["peer"], 0x4001).code == 400
    site.wait(601.0)
    assert client.bind(other, 0x4000).code == 0
    assert client.bind(at["peer"], 0x4001).code == 0


def test_timers_that_are_handled_late_do_all_that_is_due(site, client, at):
    client.allocate(("EVEN_PORT", True))
    client.bind(at["peer"])
    site.now += 10_000.0
    site.monitor.handle_timer(site.now)
    site.drain()
    assert site.sockets == set()
    assert site.server.deadline == math.inf


# -- the heap ----------------------------------------------------------------------------------------------------------


class Item:
    wake_at = math.inf


def test_moving_a_deadline_away_costs_nothing_and_moving_it_near_one_entry():
    deadlines, item = Deadlines(), Item()
    deadlines.wake(item, 10.0)
    for moment in range(11, 100):
        deadlines.wake(item, float(moment))
    assert len(deadlines) == 1
    deadlines.wake(item, 5.0)
    assert (len(deadlines), deadlines.deadline) == (2, 5.0)
    assert deadlines.take_due(7.0) == [item]
    assert deadlines.take_due(20.0) == []


def test_stale_entries_are_thrown_out():
    deadlines = Deadlines()
    kept = Item()
    deadlines.wake(kept, 1e6)
    for _ in range(10 * STALE_COUNT_MAX):
        item = Item()
        deadlines.wake(item, 1e6)
        deadlines.forget(item)
    assert len(deadlines) <= STALE_COUNT_MAX + 4
    assert deadlines.take_due(2e6) == [kept]


def test_packets_and_refreshes_leave_the_heap_as_it_is(make_site, at):
    """With 10,000 allocations a packet must not cost a walk over them: nothing on its way touches the heap."""
    site = make_site()
    client = site.client()
    client.allocated()
    client.bind(at["peer"])
    heap = site.server._context.deadlines
    size = len(heap)
    for _ in range(200):
        site.wait(1.0)
        client.send(FRAME)
        client.refresh()
        client.bind(at["peer"])
    assert len(heap) <= size + 2
