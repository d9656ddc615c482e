"""What RFC 8656 and 5389 advise a server (SHOULD) and no other test is about."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun import Attribute, AttributeType, Method
from sans_rtc.turn.server import ServerConfig

SECRETS = ("USERNAME", "MESSAGE_INTEGRITY", "MESSAGE_INTEGRITY_SHA256")


def refused(site, why):
    """The response to a request that is refused so."""
    client = site.client(password="wrong") if why == "password" else site.client()
    if why == "nobody":
        return client.bare(Method.ALLOCATE, ("REQUESTED_TRANSPORT", 17))
    if why == "nonce":
        client.allocated()
        client.nonce = b"not one of the server's"
        return client.refresh()
    return client.allocate()


@pytest.mark.parametrize("why", ["nobody", "password", "nonce"])
@pytest.mark.proves(
    "RFC5389-10.2.2-5-883a",
    "RFC5389-10.2.2-11-83d2",
    "RFC5389-10.2.2-14-883a",
    "RFC5389-10.2.2-17-4e3e",
)
def test_challenge_has_realm_and_nonce_and_neither_name_nor_proof(site, why):
    reply = refused(site, why)
    assert reply.code == (438 if why == "nonce" else 401)
    assert reply["REALM"] == "example.org" and reply["NONCE"] is not None
    assert [reply[name] for name in SECRETS] == [None] * 3


@pytest.mark.proves("RFC5389-10.2.2-7-7e86")
def test_refusal_of_an_incomplete_request_has_nothing_of_a_challenge(client):
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes.append(Attribute(AttributeType.USERNAME, "alice"))
    reply = client.exchange(message, key=client.key)
    assert reply.code == 400
    assert [reply[name] for name in (*SECRETS, "REALM", "NONCE")] == [None] * 5


@pytest.mark.proves("RFC5389-10.2.2-19-1a02")
def test_success_repeats_no_credentials(client):
    reply = client.allocate()
    assert reply.code == 0
    assert [reply[name] for name in ("REALM", "NONCE", "USERNAME")] == [None] * 3


@pytest.mark.proves("RFC8656-5-8-b70b", "RFC5389-7.3.1.1-5-3867", "RFC5389-7.3.1.1-4-85a8")
def test_server_says_its_name_in_authenticated_responses_and_proves_them(make_site):
    client = make_site(software="test").client()
    replies = [client.allocate(), client.allocate(), client.refresh()]
    assert [reply.code for reply in replies] == [0, 437, 0]
    assert [reply["SOFTWARE"] for reply in replies] == ["test"] * 3
    assert all(client.is_proven(reply) for reply in replies)


@pytest.mark.proves("RFC8656-7.2-8-48a9", "RFC8656-7.2-9-a024")
def test_relays_have_dynamic_ports_and_never_well_known_ones():
    config = ServerConfig()
    assert (config.relay_port_min, config.relay_port_max) == (49152, 65535)
    with pytest.raises(InvalidArgument):
        ServerConfig(relay_port_min=1023)


@pytest.mark.proves("RFC8656-7.2-10-b314")
def test_lifetimes_and_nonces_end_within_the_hour_by_default(site, client):
    assert client.allocate(("LIFETIME", 1_000_000))["LIFETIME"] == 3600
    first = client.nonce
    site.wait(3601.0)
    reply = client.refresh()
    assert reply.code == 438 and reply["NONCE"] != first


@pytest.mark.proves("RFC5389-13-4-7c19", "RFC5389-13-2-c44e", "RFC5389-13-3-ccc9")
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_binding_is_answered_over_udp_and_tcp_without_credentials_or_redirection(site, protocol):
    client = site.client(protocol=protocol)
    if protocol == "tcp":
        site.server.stream_opened(client.path, site.now)
        site.drain()
    reply = client.bare(Method.BINDING)
    assert (reply.code, reply["XOR_MAPPED_ADDRESS"]) == (0, client.path.remote)
    assert [reply[name] for name in (*SECRETS, "ALTERNATE_SERVER")] == [None] * 4
