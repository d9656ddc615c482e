"""Twenty clients behind bad lines at one port, in virtual time: they connect, restart, roam, come and go."""

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer import ConnectionState
from sans_rtc.testing import LinkConditions

BAD = LinkConditions(delay_s=0.03, jitter_s=0.01, loss=0.1, duplication=0.02, reordering=0.05)
COUNT = 20


@pytest.mark.parametrize("seed", range(3))
def test_twenty_clients_connect_and_talk_over_a_bad_network(make_plaza, seed):
    plaza = make_plaza(seed=seed, conditions=BAD)
    plaza.connect(COUNT, within_s=30.0)
    plaza.assert_all_talk(range(COUNT), within_s=30.0)
    assert plaza.mux.router.sizes["paths"] == COUNT
    plaza.check()


def test_twenty_clients_restart_ice_on_both_sides_and_lose_nothing(make_plaza):
    plaza = make_plaza(conditions=BAD)
    plaza.connect(COUNT, within_s=30.0)
    before = {number: plaza.mux.peer(plaza.keys[number]).routing.local_ufrags[0] for number in range(COUNT)}
    for number in range(COUNT):
        client, peer = plaza.clients[number], plaza.mux.peer(plaza.keys[number])
        if number % 2:
            client.restart_ice(plaza.now)
            client.set_local_description(None, plaza.now)
            plaza.link.flush()
            plaza.answer(number)
        else:
            peer.restart_ice(plaza.now)
            peer.set_local_description(None, plaza.now)
            plaza.mux.touch(plaza.keys[number], plaza.now)
            plaza.link.flush()
            client.set_remote_description(peer.local_description, plaza.now)
            client.set_local_description(None, plaza.now)
            plaza.link.flush()
            peer.set_remote_description(client.local_description, plaza.now)
            plaza.mux.touch(plaza.keys[number], plaza.now)
        plaza.ask(number, "in between")
    plaza.link.run_for(20.0)
    after = {number: plaza.mux.peer(plaza.keys[number]).routing.local_ufrags for number in range(COUNT)}
    assert all(len(after[number]) == 1 and before[number] != after[number][0] for number in range(COUNT))
    plaza.assert_all_talk(range(COUNT), within_s=30.0)
    assert [number for number in range(COUNT) if plaza.messages[number][0] != "in between"] == []
    assert plaza.strangers == []
    plaza.check()


def test_clients_whose_nat_rebinds_are_found_at_their_new_port(make_plaza):
    """The clients notice nothing; their checks come from other ports, and the routes follow what these prove."""
    plaza = make_plaza()
    plaza.connect(5)
    outside = {number: plaza.path(number).remote for number in range(5)}

    def through_nat(end, datagram):
        path = datagram.path
        if end == 1:
            number = next(number for number in range(5) if plaza.path(number).remote == path.local)
            return Datagram(datagram.data, Path(outside[number], path.remote))
        number = next((number for number in range(5) if outside[number] == path.remote), None)
        return None if number is None else Datagram(datagram.data, Path(path.local, plaza.path(number).remote))

    plaza.link.filter = through_nat
    for number in range(5):
        outside[number] = Address("192.0.2.99", 10_000 + number)
    plaza.link.run_for(30.0)
    plaza.assert_all_talk(range(5), within_s=30.0)
    owners = {plaza.mux.router.owner_of(Path(plaza.path(0).local, outside[number])) for number in range(5)}
    assert owners == set(plaza.keys.values())


def test_port_that_a_nat_gives_to_another_client_becomes_that_clients(make_plaza):
    """The first has vanished without a word; the second gets its port: the path moves when its peer proves it."""
    plaza = make_plaza()
    plaza.connect(1)
    plaza.crowd.clients.pop(plaza.path(0).remote)
    plaza.offer(1)
    plaza.crowd.clients[plaza.path(0).remote] = plaza.crowd.clients.pop(plaza.path(1).remote)
    plaza.clients[1].remove_local_address(plaza.path(1).remote, plaza.now)
    plaza.clients[1].add_local_address(plaza.path(0).remote, "eth0", plaza.now)
    plaza.link.run_until(lambda: 1 in plaza.handles, within_s=30.0)
    assert plaza.mux.router.owner_of(plaza.path(0)) == plaza.keys[1]
    assert plaza.mux.stats.paths_moved == 1
    plaza.assert_all_talk([1])


def test_clients_come_and_go_and_leave_nothing_behind(make_plaza):
    plaza = make_plaza()
    for number in range(30):
        plaza.offer(number)
        plaza.link.run_until(lambda number=number: number in plaza.handles, within_s=10.0)
        if number >= 5:
            leaving = plaza.mux.peer(plaza.keys[number - 5])
            leaving.close(plaza.now)
            plaza.mux.touch(plaza.keys[number - 5], plaza.now)
    plaza.link.run_for(10.0)
    assert len(plaza.mux.keys) == 5
    tables = plaza.mux.router.sizes
    assert (tables["peers"], tables["paths"], tables["ufrags"], tables["early"]) == (5, 5, 5, 0)
    plaza.assert_all_talk(range(25, 30))


def test_client_that_vanishes_fails_alone(make_plaza):
    plaza = make_plaza()
    plaza.connect(3)
    plaza.crowd.clients.pop(plaza.path(1).remote)
    plaza.link.run_for(60.0)
    states = [plaza.mux.peer(plaza.keys[number]).connection_state for number in range(3)]
    assert states == [ConnectionState.CONNECTED, ConnectionState.FAILED, ConnectionState.CONNECTED]
    plaza.assert_all_talk((0, 2))
