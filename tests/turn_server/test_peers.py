"""Which peers can be reached: the must-fail tests of the rules that keep a relay from reaching behind a firewall."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path
from sans_rtc.turn import serialize_channel_data
from sans_rtc.turn.server import SPECIAL_NETWORKS, DiscardReason, PeerRules

FORBIDDEN = [
    "127.0.0.1", "127.255.255.254", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "0.0.0.0", "0.1.2.3", "224.0.0.251", "239.255.255.250", "255.255.255.255", "240.0.0.1",
    "198.18.0.1", "192.0.0.8",
]  # fmt: skip
FORBIDDEN_6 = [
    "::1", "::", "fe80::1", "fc00::1", "fd12:3456::1", "ff02::fb", "fec0::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8",
    "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::1", "2001::1",
]  # fmt: skip
ALLOWED = ["8.8.8.8", "203.0.113.9", "172.32.0.1", "100.128.0.1", "2001:db8::9", "2606:4700::1111"]


@pytest.mark.proves("RFC8656-21.4-2-591d")
@pytest.mark.parametrize("host", FORBIDDEN + FORBIDDEN_6)
def test_peer_that_the_internet_cannot_reach_gets_403(site, host):
    client = site.client()
    assert client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2)).code == 0
    peer = Address(host, 50000)
    for reply in (client.permit(peer), client.bind(peer)):
        assert reply.code == 403
        assert reply.reason.startswith("Forbidden: ")
        assert client.is_proven(reply)
    assert client.indicate(peer, b"x") == []
    assert client.send(serialize_channel_data(0x4000, b"x", pad=False)) == []
    (info,) = site.server.explain(site.now)
    assert (info.permission_count, info.channel_count) == (0, 0)


@pytest.mark.parametrize("host", ALLOWED)
def test_peer_on_the_internet_is_permitted(site, host):
    client = site.client()
    client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2))
    assert client.permit(Address(host, 1)).code == 0


def test_one_forbidden_peer_among_several_permits_none(site, client, at):
    client.allocated()
    assert client.permit(at["peer"], Address("127.0.0.1", 1)).code == 403
    assert client.indicate(at["peer"], b"x") == []


def test_loopback_is_allowed_where_asked_for(make_site):
    site = make_site(peers=PeerRules(allow_loopback=True))
    client = site.client()
    client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2))
    assert client.permit(Address("127.0.0.1", 1), Address("::1", 1)).code == 0
    assert client.permit(Address("10.0.0.1", 1)).code == 403


def test_networks_can_be_allowed_and_denied_and_denied_wins(make_site):
    site = make_site(peers=PeerRules(allow=("10.1.0.0/16",), deny=("10.1.2.0/24", "8.8.8.8/32")))
    client = site.client()
    client.allocated()
    codes = [
        client.permit(Address(host, 1)).code for host in ("10.1.0.1", "10.1.2.1", "10.2.0.1", "8.8.8.8", "8.8.4.4")
    ]
    assert codes == [0, 403, 403, 403, 0]


def test_own_address_is_no_peer(site, client, at):
    client.allocated()
    reply = client.permit(at["listener"])
    assert (reply.code, reply.reason) == (403, "Forbidden: the server's own address")


def test_relay_address_is_a_peer_with_the_ports_of_relays_only(site, client, at):
    client.allocated()
    assert client.permit(Address(at["relay"], 1)).code == 0
    assert client.bind(Address(at["relay"], 22)).code == 403
    assert client.bind(Address(at["relay"], 3478)).code == 403
    assert client.indicate(Address(at["relay"], 53), b"x") == []
    assert site.server.stats.discards[DiscardReason.FORBIDDEN_PEER] == 1
    assert client.bind(Address(at["relay"], 50000)).code == 0
    assert len(client.indicate(Address(at["relay"], 50000), b"x")) == 1


def test_own_address_is_a_peer_where_a_network_names_it(make_site, at):
    site = make_site(peers=PeerRules(allow=("192.0.2.0/24",)))
    client = site.client()
    client.allocated()
    assert client.bind(Address(at["relay"], 22)).code == 0


@pytest.mark.parametrize("network", ["10.0.0.1/8", "nonsense", "10.0.0.0/33"])
def test_network_that_is_none_is_refused(network):
    with pytest.raises(InvalidArgument):
        PeerRules(allow=(network,))


@pytest.mark.proves("RFC8656-21.4-1-5dc4")
def test_every_special_network_is_refused_by_default():
    rules = PeerRules()
    assert all(rules.refusal(network.partition("/")[0]) for network, _ in SPECIAL_NETWORKS)


@pytest.mark.proves("RFC8656-10.2-2-fa3f", "RFC8656-12.2-1-a232")
def test_peer_of_another_family_gets_443(client, at):
    client.allocated()
    assert client.permit(at["peer6"]).code == 443
    assert client.bind(at["peer6"]).code == 443


def test_data_of_a_peer_without_permission_are_dropped(site, client, at):
    """The must-fail test of permissions: nobody reaches a client that it has not called (RFC 8656 section 9)."""
    relayed = client.allocated()
    client.permit(at["peer"])
    assert site.receive(b"x", Path(relayed, Address("203.0.113.10", 50000))) == []
    assert site.server.stats.discards == {DiscardReason.PEER_NOT_PERMITTED: 1}


def test_permission_of_one_allocation_is_not_anothers(site, at):
    first, second = site.client(), site.client(Address("198.51.100.8", 1))
    first.allocated()
    second.allocated()
    first.permit(at["peer"])
    assert second.indicate(at["peer"], b"x") == []
    assert site.server.stats.discards == {DiscardReason.NO_PERMISSION: 1}
