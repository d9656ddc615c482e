import pytest

from sans_rtc_net import interfaces
from sans_rtc_net.interfaces import LocalAddress, interface_of, is_loopback, listed_addresses, usable_addresses

LOOPBACK = [LocalAddress("::1", "lo"), LocalAddress("127.0.0.1", "lo")]
GLOBAL = [LocalAddress("fd00::2", "eth0"), LocalAddress("192.0.2.2", "eth0")]
LINK_LOCAL = [LocalAddress("fe80::1%eth0", "eth0"), LocalAddress("169.254.7.7", "eth0")]


def usable(addresses, **options):
    return usable_addresses(listed=lambda: addresses, **options)


def test_loopback_is_left_out_where_anything_else_exists():
    assert usable(LOOPBACK + GLOBAL) == GLOBAL


def test_loopback_is_used_where_nothing_else_exists():
    assert usable(LOOPBACK) == LOOPBACK


def test_loopback_is_used_on_request():
    assert usable(LOOPBACK + GLOBAL, include_loopback=True) == GLOBAL + LOOPBACK


def test_loopback_can_be_ruled_out():
    assert usable(LOOPBACK, include_loopback=False) == []


def test_link_local_is_left_out_beside_others_of_its_family():
    assert usable(LINK_LOCAL + GLOBAL) == GLOBAL


def test_link_local_is_used_where_its_family_has_nothing_else():
    assert [GLOBAL[0], LINK_LOCAL[1]] == usable([LINK_LOCAL[1], GLOBAL[0]])


def test_link_local_is_preferred_to_loopback():
    assert usable(LOOPBACK + LINK_LOCAL) == LINK_LOCAL


@pytest.mark.parametrize(("families", "expected"), [((4,), GLOBAL[1:]), ((6,), GLOBAL[:1]), ((4, 6), GLOBAL)])
def test_families_are_chosen(families, expected):
    assert expected == usable(GLOBAL, families=families)


@pytest.mark.proves("RFC8445-19.1-1-610c")
def test_interfaces_are_chosen_by_name():
    docker = LocalAddress("172.17.0.1", "docker0")
    assert usable([*GLOBAL, docker], interface_filter=lambda name: not name.startswith("docker")) == GLOBAL


@pytest.mark.proves("RFC8445-5.1.1.1-6-c4fe")
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::ffff:192.0.2.1", "fec0::1", "224.0.0.251", "ff02::fb"])
def test_addresses_that_rfc_8445_excludes_are_left_out(host):
    assert usable([LocalAddress(host, "eth0"), *GLOBAL]) == GLOBAL


def test_machine_has_a_loopback_address():
    addresses = listed_addresses()
    assert any(is_loopback(address.host) for address in addresses)
    assert interface_of("127.0.0.1") in {address.interface for address in addresses}


def test_address_nobody_has_belongs_to_no_interface():
    assert interface_of("203.0.113.9") == ""


def test_listing_is_shared_for_a_moment_and_then_made_anew(monkeypatch):
    now, calls = [1000.0], []
    monkeypatch.setattr(interfaces, "monotonic", lambda: now[0])
    monkeypatch.setattr(interfaces, "_last", interfaces._Listing(-1.0, []))
    monkeypatch.setattr(interfaces.ifaddr, "get_adapters", lambda: calls.append(1) or [])
    for _ in range(3):
        assert listed_addresses() == []
    now[0] += interfaces.FRESH_S * 1.01
    listed_addresses()
    assert len(calls) == 2


def test_address_whose_pair_is_best_comes_first_since_the_first_is_checked_at_once():
    assert usable([*LOOPBACK[::-1], *LINK_LOCAL[::-1], *GLOBAL[::-1]], include_loopback=True) == GLOBAL + LOOPBACK
    assert usable([GLOBAL[1], LINK_LOCAL[0]]) == [GLOBAL[1], LINK_LOCAL[0]]
