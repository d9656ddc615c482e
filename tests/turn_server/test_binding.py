"""Binding: the address a client is seen with (RFC 8489), and the helper of NAT discovery (RFC 5780)."""

import pytest

from sans_rtc.machine import Address, Path
from sans_rtc.stun import Attribute, AttributeType, Method
from sans_rtc.turn.server import PeerRules

A = AttributeType
PRIMARY, ALTERNATE = Address("192.0.2.1", 3478), Address("192.0.2.3", 3479)


def test_binding_tells_the_mapped_address_without_credentials(client, at):
    reply = client.bare(Method.BINDING)
    assert reply["XOR_MAPPED_ADDRESS"] == at["client"]
    assert [attribute.type for attribute in reply.message.attributes] == [A.XOR_MAPPED_ADDRESS]
    assert reply.path == client.path


def test_binding_over_ipv6_leaves_the_zone_out(site):
    client = site.client()
    client.path = Path(Address("fe80::1", 3478), Address("fe80::2%eth0", 5))
    assert client.bare(Method.BINDING)["XOR_MAPPED_ADDRESS"] == Address("fe80::2", 5)


@pytest.mark.parametrize("name", ["CHANGE_REQUEST", "RESPONSE_PORT"])
def test_discovery_gets_420_where_there_is_one_address(client, name):
    reply = client.bare(Method.BINDING, (name, 6))
    assert reply.code == 420
    assert reply["UNKNOWN_ATTRIBUTES"] == (int(A[name]),)


def test_unknown_attribute_gets_420(client):
    message = client.message(Method.BINDING, ())
    message.attributes.append(Attribute(0x7ABC, b""))
    reply = client.exchange(message)
    assert reply.code == 420
    assert reply["UNKNOWN_ATTRIBUTES"] == (0x7ABC,)


@pytest.mark.parametrize(
    ("local", "other"),
    [
        (PRIMARY, ALTERNATE),
        (ALTERNATE, PRIMARY),
        (Address(PRIMARY.host, ALTERNATE.port), Address(ALTERNATE.host, PRIMARY.port)),
    ],
)
def test_other_address_differs_in_host_and_port(make_site, at, local, other):
    client = make_site(binding_addresses=(PRIMARY, ALTERNATE)).client()
    client.path = Path(local, at["client"])
    reply = client.bare(Method.BINDING)
    assert reply["RESPONSE_ORIGIN"] == local
    assert reply["OTHER_ADDRESS"] == other


@pytest.mark.parametrize(
    ("change", "origin"),
    [
        (0, PRIMARY),
        (2, Address(PRIMARY.host, ALTERNATE.port)),
        (4, Address(ALTERNATE.host, PRIMARY.port)),
        (6, ALTERNATE),
    ],
)
def test_change_request_is_answered_from_another_address(make_site, at, change, origin):
    client = make_site(binding_addresses=(PRIMARY, ALTERNATE)).client()
    client.path = Path(PRIMARY, at["client"])
    reply = client.bare(Method.BINDING, ("CHANGE_REQUEST", change))
    assert reply.path == Path(origin, at["client"])
    assert reply["RESPONSE_ORIGIN"] == origin


def test_both_addresses_are_the_servers_own(make_site):
    site = make_site(binding_addresses=(PRIMARY, ALTERNATE), peers=PeerRules())
    client = site.client()
    client.allocated()
    assert client.permit(ALTERNATE).code == 403


def test_bindings_are_counted(site, client):
    client.bare(Method.BINDING)
    client.bare(Method.BINDING)
    assert site.server.stats.bindings_answered == 2
