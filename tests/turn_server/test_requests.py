"""What is wrong with requests, indications and ChannelData for an allocation that is there, and what happens then."""

import pytest

from sans_rtc.machine import Address, Path
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.turn.server import DiscardReason

A = AttributeType


@pytest.mark.proves("RFC8656-5-5-1a60")
@pytest.mark.parametrize("method", [Method.REFRESH, Method.CREATE_PERMISSION, Method.CHANNEL_BIND, Method.CONNECT])
def test_request_without_an_allocation_gets_437(client, method):
    reply = client.request(method)
    assert reply.code == 437
    assert client.is_proven(reply)


@pytest.mark.proves("RFC8656-10.2-1-b050")
def test_create_permission_without_a_peer_gets_400(client):
    client.allocated()
    assert client.permit().code == 400


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [("CHANNEL_NUMBER", 0x4000)],
        [("XOR_PEER_ADDRESS", Address("203.0.113.9", 5))],
        [("CHANNEL_NUMBER", 0x3FFF), ("XOR_PEER_ADDRESS", Address("203.0.113.9", 5))],
        [("CHANNEL_NUMBER", 0x5000), ("XOR_PEER_ADDRESS", Address("203.0.113.9", 5))],
        [("CHANNEL_NUMBER", 0x4000), ("XOR_PEER_ADDRESS", Address("203.0.113.9", 0))],
    ],
)
def test_channel_bind_that_lacks_something_gets_400(client, attributes):
    client.allocated()
    assert client.request(Method.CHANNEL_BIND, *attributes).code == 400


def test_number_of_another_peer_and_peer_of_another_number_get_400(client, at):
    client.allocated()
    other = Address(at["peer"].host, 9)
    assert client.bind(at["peer"], 0x4000).code == 0
    assert client.bind(at["peer"], 0x4000).code == 0
    assert client.bind(other, 0x4000).code == 400
    assert client.bind(at["peer"], 0x4001).code == 400
    assert client.bind(other, 0x4001).code == 0
    assert client.bind(other, 0x4000).code == 400


def test_numbers_of_rfc_5766_are_taken_where_the_configuration_says_so(make_site, at):
    client = make_site(channel_number_max=0x7FFF).client()
    client.allocated()
    assert client.bind(at["peer"], 0x7ABC).code == 0
    assert len(client.send(b"\x7a\xbc\x00\x01x")) == 1
    assert client.send(b"\x7a\xbd\x00\x01x") == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", DiscardReason.NOT_STUN),
        (b"\x40", DiscardReason.TRUNCATED_CHANNEL_DATA),
        (b"\x40\x00\x00", DiscardReason.TRUNCATED_CHANNEL_DATA),
        (b"\x40\x00\x00\x02x", DiscardReason.TRUNCATED_CHANNEL_DATA),
        (b"\x40\x01\x00\x00", DiscardReason.UNBOUND_CHANNEL),
        (b"\x50\x00\x00\x00", DiscardReason.NOT_STUN),
        (b"\x16\xfe\xfd", DiscardReason.NOT_STUN),
        (b"\x80\x00", DiscardReason.NOT_STUN),
        (b"\x00\x01\x00\x00", DiscardReason.NOT_STUN),
        (b"\x00\x03\x00\x00\x21\x12\xa4\x43" + bytes(12), DiscardReason.NOT_STUN),
    ],
)
def test_datagram_that_is_nothing_is_dropped_and_counted(site, client, at, data, reason):
    client.allocated()
    client.bind(at["peer"])
    assert client.send(data) == []
    assert site.server.stats.discards == {reason: 1}


@pytest.mark.proves("RFC8656-5-5-1a60")
def test_channel_data_of_nobody_are_dropped(site, client):
    assert client.send(b"\x40\x00\x00\x01x") == []
    assert site.server.stats.discards == {DiscardReason.NO_ALLOCATION: 1}


@pytest.mark.proves("RFC8656-11.2-1-abb1")
@pytest.mark.parametrize(
    "attributes",
    [
        [],
        [Attribute(A.XOR_PEER_ADDRESS, Address("203.0.113.9", 5))],
        [Attribute(A.DATA, b"x")],
        [Attribute(A.XOR_PEER_ADDRESS, Address("203.0.113.9", 0)), Attribute(A.DATA, b"x")],
        [Attribute(A.XOR_PEER_ADDRESS, Address("203.0.113.9", 5)), Attribute(A.DATA, b"x"), Attribute(0x7ABC, b"")],
    ],
)
def test_send_indication_that_lacks_something_is_dropped(site, client, at, attributes):
    client.allocated()
    client.permit(at["peer"])
    data = serialize_message(Message(MessageClass.INDICATION, Method.SEND, bytes(12), attributes))
    assert client.send(data) == []
    assert site.server.stats.discards == {DiscardReason.INVALID_INDICATION: 1}


@pytest.mark.proves("RFC8656-5-5-1a60")
def test_send_indication_of_nobody_is_dropped(site, client, at):
    assert client.indicate(at["peer"], b"x") == []
    assert site.server.stats.discards == {DiscardReason.NO_ALLOCATION: 1}


@pytest.mark.parametrize("kind", [MessageClass.SUCCESS_RESPONSE, MessageClass.ERROR_RESPONSE, MessageClass.INDICATION])
def test_messages_that_only_a_server_sends_are_dropped(site, client, kind):
    assert client.send(serialize_message(Message(kind, Method.DATA, bytes(12)))) == []
    assert site.server.stats.discards == {DiscardReason.UNEXPECTED_STUN: 1}


def test_binding_indication_keeps_a_mapping_alive_and_is_no_fault(site, client):
    assert client.send(serialize_message(Message(MessageClass.INDICATION, Method.BINDING, bytes(12)))) == []
    assert site.server.stats.discards == {}


@pytest.mark.proves("RFC5389-13-5-4e95")
def test_fingerprint_is_answered_with_one_and_a_wrong_one_is_dropped(site, client):
    message = client.message(Method.BINDING, ())
    assert client.exchange(message, fingerprint=True)["FINGERPRINT"] is not None
    assert client.exchange(message)["FINGERPRINT"] is None
    data = bytearray(serialize_message(message, fingerprint=True))
    data[-1] ^= 1
    assert client.send(bytes(data)) == []
    assert site.server.stats.discards == {DiscardReason.BAD_FINGERPRINT: 1}


def test_large_data_of_a_peer_that_fit_no_indication_are_dropped(site, client, at):
    relayed = client.allocated()
    client.permit(at["peer"])
    assert site.receive(bytes(65_507), Path(relayed, at["peer"])) == []
    client.bind(at["peer"])
    assert len(site.receive(bytes(65_503), Path(relayed, at["peer"]))) == 1
    assert site.receive(bytes(65_504), Path(relayed, at["peer"])) == []
    assert site.server.stats.discards == {DiscardReason.TOO_LARGE: 2}
