"""The happy path: allocate, permit, send; channels; what passes and what does not (RFC 8656 sections 7 to 12)."""

import pytest

from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import MessageClass, Method, parse_message
from sans_rtc.turn import serialize_channel_data
from sans_rtc.turn.server import AllocationCreated, AllocationEnded, EndReason, RelayNeeded, RelayUnneeded


def from_peer(site, relayed, peer, data):
    return site.receive(data, Path(relayed, peer))


@pytest.mark.proves("RFC8656-5-9-b3eb", "RFC8656-7.2-5-19f8")
def test_allocate_gives_a_relay_a_lifetime_and_the_mapped_address(site, client, at):
    reply = client.allocate()
    assert reply.message.message_class is MessageClass.SUCCESS_RESPONSE
    relayed = reply["XOR_RELAYED_ADDRESS"]
    assert relayed.host == at["relay"]
    assert 49152 <= relayed.port <= 65535
    assert reply["LIFETIME"] == 600
    assert reply["XOR_MAPPED_ADDRESS"] == at["client"]
    assert reply["SOFTWARE"] == "sans_rtc"
    assert client.is_proven(reply)
    assert site.sockets == {(relayed, "udp")}
    assert site.events_of(AllocationCreated) == [AllocationCreated(client.path, (relayed,), "alice")]
    assert site.server.allocation_counts == {"udp": 1, "tcp": 0, "tls": 0}


def test_send_indication_goes_to_a_permitted_peer(site, client, at):
    relayed = client.allocated()
    assert client.permit(at["peer"]).code == 0
    assert client.indicate(at["peer"], b"hello") == [Datagram(b"hello", Path(relayed, at["peer"]))]


@pytest.mark.proves("RFC8656-11.3-1-47fe")
def test_data_of_a_permitted_peer_come_as_an_indication_whatever_its_port(site, client, at):
    relayed = client.allocated()
    client.permit(at["peer"])
    other_port = Address(at["peer"].host, 7)
    (datagram,) = from_peer(site, relayed, other_port, b"answer")
    message = parse_message(datagram.data)
    assert (message.message_class, message.method) == (MessageClass.INDICATION, Method.DATA)
    assert [attribute.value for attribute in message.attributes] == [other_port, b"answer"]
    assert datagram.path == client.path


@pytest.mark.proves("RFC8656-12.5-1-8021")
@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 1200])
def test_channel_carries_data_both_ways(site, client, at, size):
    relayed, data = client.allocated(), bytes(range(256)) * 5
    data = data[:size]
    assert client.bind(at["peer"], 0x4ABC).code == 0
    frame = serialize_channel_data(0x4ABC, data, pad=False)
    assert client.send(frame) == [Datagram(data, Path(relayed, at["peer"]))]
    assert from_peer(site, relayed, at["peer"], data) == [Datagram(frame, client.path)]


def test_padded_channel_data_over_udp_are_taken(client, at):
    client.allocated()
    client.bind(at["peer"])
    (datagram,) = client.send(serialize_channel_data(0x4000, b"abcde", pad=True))
    assert datagram.data == b"abcde"


def test_channel_bind_permits_the_host_so_other_ports_come_as_indications(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    (datagram,) = from_peer(site, relayed, Address(at["peer"].host, 9), b"x")
    assert parse_message(datagram.data).method == Method.DATA


def test_ecn_is_copied_both_ways(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    site.server.receive(Datagram(serialize_channel_data(0x4000, b"a", pad=False), client.path, 2), site.now)
    site.server.receive(Datagram(b"b", Path(relayed, at["peer"]), 3), site.now)
    assert [datagram.ecn for datagram in site.drain()] == [2, 3]


def test_burst_is_relayed_in_order_also_where_a_request_stands_in_it(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    to_peer = Datagram(serialize_channel_data(0x4000, b"1", pad=False), client.path)
    to_client = Datagram(b"2", Path(relayed, at["peer"]))
    binding = Datagram(bytes.fromhex("000100002112a442") + bytes(12), client.path)
    site.server.receive_many([to_peer, to_client, binding, to_peer, to_client], site.now)
    kinds = [datagram.data[:1] for datagram in site.drain()]
    assert kinds == [b"1", b"\x40", b"\x01", b"1", b"\x40"]


def test_ipv6_relay_for_an_ipv4_client(site, client, at):
    relayed = client.allocated(("REQUESTED_ADDRESS_FAMILY", 2))
    assert relayed.family == 6
    client.bind(at["peer6"])
    (datagram,) = client.send(serialize_channel_data(0x4000, b"six", pad=False))
    assert datagram.path == Path(relayed, at["peer6"])
    (datagram,) = from_peer(site, relayed, Address(at["peer6"].host, 1), b"z")
    assert parse_message(datagram.data).value(0x12) == Address(at["peer6"].host, 1)


def test_dual_allocation_has_two_relays_and_relays_each_family(site, client, at):
    reply = client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2))
    four, six = reply.all("XOR_RELAYED_ADDRESS")
    assert (four.family, six.family) == (4, 6)
    assert client.permit(at["peer"], at["peer6"]).code == 0
    assert client.indicate(at["peer6"], b"6")[0].path == Path(six, at["peer6"])
    assert client.indicate(at["peer"], b"4")[0].path == Path(four, at["peer"])


def test_refresh_with_zero_lets_go_of_everything(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    reply = client.refresh(0)
    assert reply["LIFETIME"] == 0
    assert site.sockets == set()
    assert site.events_of(AllocationEnded) == [AllocationEnded(client.path, (relayed,), EndReason.RELEASED)]
    assert client.send(serialize_channel_data(0x4000, b"x", pad=False)) == []
    assert client.refresh(0).code == 437
    assert site.server.explain(site.now) == ()


@pytest.mark.proves("RFC8656-8.1-2-4259", "RFC8656-8.2-1-e8f1")
def test_one_family_of_a_dual_allocation_can_be_let_go_of(site, client, at):
    four, six = client.allocate(("ADDITIONAL_ADDRESS_FAMILY", 2)).all("XOR_RELAYED_ADDRESS")
    client.bind(at["peer"], 0x4000)
    client.bind(at["peer6"], 0x4001)
    assert client.refresh(0, REQUESTED_ADDRESS_FAMILY=2).code == 0
    assert site.sockets == {(four, "udp")}
    assert len(client.send(serialize_channel_data(0x4000, b"x", pad=False))) == 1
    assert client.send(serialize_channel_data(0x4001, b"x", pad=False)) == []
    assert client.refresh(REQUESTED_ADDRESS_FAMILY=2).code == 443
    assert six not in {address for address, _ in site.sockets}


def test_two_clients_speak_with_each_other_through_their_relays(site, at):
    first, second = site.client(), site.client(Address("198.51.100.8", 1))
    relay1, relay2 = first.allocated(), second.allocated()
    first.bind(relay2)
    second.permit(relay1)
    (hop,) = first.send(serialize_channel_data(0x4000, b"hi", pad=False))
    assert hop.path == Path(relay1, relay2)
    (arrived,) = site.receive(hop.data, hop.path.reversed())
    assert arrived.path == second.path
    assert parse_message(arrived.data).value(0x13) == b"hi"


def test_relays_behind_a_one_to_one_nat_are_known_by_the_public_address(make_site, at):
    """The private address is told to nobody and is no peer; the public one of another relay is reached inside."""
    site = make_site(relay_hosts=("10.0.0.5",), own_hosts=("10.0.0.5",), external_hosts=("192.0.2.77",))
    first, second = site.client(), site.client(Address("198.51.100.8", 1))
    public1, public2 = first.allocated(), second.allocated()
    assert (public1.host, public2.host) == ("192.0.2.77", "192.0.2.77")
    assert {address.host for address, _ in site.sockets} == {"10.0.0.5"}
    assert first.permit(Address("10.0.0.5", 1)).code == 403
    assert first.bind(Address("192.0.2.77", 22)).code == 403
    assert first.bind(public2).code == 0
    assert second.permit(public1).code == 0
    (hop,) = first.send(serialize_channel_data(0x4000, b"hi", pad=False))
    assert hop.path.remote == Address("10.0.0.5", public2.port)
    (arrived,) = site.receive(hop.data, hop.path.reversed())
    assert parse_message(arrived.data).value(0x12) == public1
    (hop,) = second.indicate(public1, b"back")
    (arrived,) = site.receive(hop.data, hop.path.reversed())
    assert arrived.data == serialize_channel_data(0x4000, b"back", pad=False)


def test_explain_shows_every_allocation(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    (info,) = site.server.explain(site.now)
    assert (info.client, info.relayed, info.username) == (client.path, (relayed,), "alice")
    assert (info.permission_count, info.channel_count, info.expires_in_s) == (1, 1, 600.0)


def test_relayed_bytes_are_counted(site, client, at):
    relayed = client.allocated()
    client.bind(at["peer"])
    client.send(serialize_channel_data(0x4000, b"12345", pad=False))
    from_peer(site, relayed, at["peer"], b"123")
    from_peer(site, relayed, Address(at["peer"].host, 9), b"12")
    client.indicate(at["peer"], b"1")
    stats = site.server.stats
    assert (stats.packets_to_peers, stats.bytes_to_peers) == (2, 6)
    assert (stats.packets_to_clients, stats.bytes_to_clients) == (2, 5)


def test_relay_ports_are_random_and_a_taken_one_is_left_for_another(make_site):
    site = make_site()
    tried = []
    site.refuses = lambda needed: tried.append(needed.address) or len(tried) < 3
    relayed = site.client().allocated()
    assert tried[-1] == relayed
    assert len(set(tried)) == 3
    assert max(address.port for address in tried) - min(address.port for address in tried) > 10


def test_relay_is_opened_and_closed_in_order(site, client):
    relayed = client.allocated()
    client.refresh(0)
    kinds = [event for event in site.events if isinstance(event, RelayNeeded | RelayUnneeded)]
    assert kinds == [RelayNeeded(1, relayed, "udp"), RelayUnneeded(relayed, "udp")]
