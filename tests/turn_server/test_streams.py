"""Clients over TCP and TLS, and TCP relays (RFC 6062)."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamUnneeded
from sans_rtc.stun import Method, parse_message, serialize_message
from sans_rtc.turn import serialize_channel_data
from sans_rtc.turn.server import (
    AllocationEnded,
    DiscardReason,
    EndReason,
    StreamsJoined,
    User,
)

LISTENER = Address("192.0.2.1", 3478)
CONNECTION_ID = 0x002A


@pytest.fixture
def open_client():
    def open_client(site, port=40000, protocol="tcp", host="198.51.100.7", **changes):
        client = site.client(Address(host, port), protocol=protocol, **changes)
        site.server.stream_opened(client.path, site.now)
        site.drain()
        return client

    return open_client


@pytest.fixture
def tcp(site, open_client):
    return open_client(site)


def unneeded(site):
    return [event.path for event in site.events_of(StreamUnneeded)]


@pytest.mark.proves("RFC8656-12.5-2-5c9c")
@pytest.mark.parametrize("protocol", ["tcp", "tls"])
def test_client_over_a_stream_has_a_udp_relay_and_padded_channel_data(site, open_client, at, protocol):
    client = open_client(site, protocol=protocol)
    relayed = client.allocated()
    assert site.server.allocation_counts[protocol] == 1
    client.bind(at["peer"])
    frame = serialize_channel_data(0x4000, b"12345", pad=True)
    assert client.send(frame) == [Datagram(b"12345", Path(relayed, at["peer"]))]
    assert site.receive(b"12345", Path(relayed, at["peer"])) == [Datagram(frame, client.path)]
    assert len(client.indicate(at["peer"], b"x")) == 1


def test_stream_cut_at_every_byte_says_the_same(site, tcp, at):
    tcp.allocated()
    tcp.bind(at["peer"])
    frames = [serialize_channel_data(0x4000, bytes(size), pad=True) for size in (0, 1, 5, 300)]
    sent = [datagram.data for byte in b"".join(frames) for datagram in tcp.send(bytes([byte]))]
    assert sent == [bytes(size) for size in (0, 1, 5, 300)]


def test_allocation_ends_with_its_stream(site, tcp):
    relayed = tcp.allocated()
    site.server.stream_closed(tcp.path, "reset", site.now)
    site.drain()
    assert site.sockets == set()
    assert site.events_of(AllocationEnded) == [AllocationEnded(tcp.path, (relayed,), EndReason.STREAM_CLOSED)]
    assert unneeded(site) == []
    assert site.server.stream_count == 0


def test_stream_that_closes_while_the_relay_is_being_opened(site, tcp):
    tcp.take_challenge(tcp.bare(Method.ALLOCATE))
    site.holds = True
    tcp.allocate()
    site.server.stream_closed(tcp.path, "reset", site.now)
    assert site.open_relays() == []
    assert site.sockets == set()
    assert site.server.explain(site.now) == ()


@pytest.mark.parametrize("garbage", [b"POST / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\xff" * 20, bytes(20)])
def test_stream_of_something_else_is_closed(site, tcp, garbage):
    tcp.send(garbage)
    assert unneeded(site) == [tcp.path]
    assert site.server.stats.discards == {DiscardReason.BROKEN_STREAM: 1}
    assert tcp.send(b"more") == []
    assert site.server.stats.discards[DiscardReason.UNKNOWN_STREAM] == 1


def test_stream_without_an_allocation_is_closed_after_a_while(site, tcp, open_client):
    busy = open_client(site, port=40001)
    busy.allocated()
    site.wait(29.0)
    assert unneeded(site) == []
    site.wait(2.0)
    assert unneeded(site) == [tcp.path]
    site.wait(500.0)
    assert unneeded(site) == [tcp.path]
    site.wait(200.0)  # the allocation has expired
    assert unneeded(site) == [tcp.path, busy.path]
    assert site.server.stream_count == 0


@pytest.mark.proves("RFC5389-7.2.2-11-200a")
def test_streams_have_bounds_in_all_and_for_each_source(make_site, open_client):
    site = make_site(stream_count_max=3, source_stream_count_max=2)
    for port in (1, 2, 3):
        open_client(site, port=port)
    assert [path.remote.port for path in unneeded(site)] == [3]
    for port in (4, 5):
        open_client(site, port=port, host="198.51.100.8")
    assert [path.remote.port for path in unneeded(site)] == [3, 5]
    assert site.server.stats.discards == {DiscardReason.STREAM_LIMIT: 2}


def test_stream_that_is_there_already_is_an_error_of_the_driver(site, tcp):
    with pytest.raises(InvalidArgument):
        site.server.stream_opened(tcp.path, site.now)
    with pytest.raises(InvalidArgument):
        site.server.stream_opened(Path(LISTENER, Address("198.51.100.9", 1)), site.now)


# -- RFC 6062 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("extra", [("EVEN_PORT", False), ("DONT_FRAGMENT", True), ("RESERVATION_TOKEN", bytes(8))])
def test_attributes_of_udp_relays_get_400_with_tcp(tcp, extra):
    assert tcp.allocate(extra, transport=6).code == 400


def connected(site, tcp, peer):
    """Connect to a peer; return the connection's path and id."""
    message, reply, path = tcp.connect(peer)
    assert reply is None
    site.server.stream_opened(path, site.now)
    reply = tcp.reply_to(message, site.drain())
    assert reply.code == 0
    return path, reply["CONNECTION_ID"]


def joined(site, open_client, connection_id, port=41000, **changes):
    data = open_client(site, port=port, **changes)
    reply = data.request(Method.CONNECTION_BIND, ("CONNECTION_ID", connection_id))
    return data, reply


def test_connect_and_connection_bind_join_two_streams(site, tcp, open_client, at):
    relayed = tcp.allocated(transport=6)
    assert site.sockets == {(relayed, "tcp")}
    path, connection_id = connected(site, tcp, at["peer"])
    assert (path.local, path.remote) == (relayed, at["peer"])
    assert site.receive(b"early", path) == []
    data, reply = joined(site, open_client, connection_id)
    assert reply.code == 0
    assert site.events_of(StreamsJoined) == [StreamsJoined(data.path, path)]
    assert site.sent[-1] == Datagram(b"early", data.path)
    assert data.send(b"\x00anything\xff") == [Datagram(b"\x00anything\xff", path)]
    assert site.receive(b"back", path) == [Datagram(b"back", data.path)]
    site.wait(100.0)
    assert data.send(b"still") == [Datagram(b"still", path)]


def test_peer_that_connects_is_announced_where_it_is_permitted(site, tcp, open_client, at):
    relayed = tcp.allocated(transport=6)
    peer_path = Path(relayed, at["peer"], "tcp")
    site.server.stream_opened(peer_path, site.now)
    site.drain()
    assert unneeded(site) == [peer_path]
    assert site.server.stats.discards == {DiscardReason.PEER_NOT_PERMITTED: 1}
    tcp.permit(at["peer"])
    site.server.stream_opened(peer_path, site.now)
    (datagram,) = site.drain()
    attempt = parse_message(datagram.data)
    assert (datagram.path, attempt.method) == (tcp.path, Method.CONNECTION_ATTEMPT)
    assert attempt.value(0x0012) == at["peer"]
    data, reply = joined(site, open_client, attempt.value(CONNECTION_ID))
    assert reply.code == 0
    assert site.receive(b"hi", peer_path) == [Datagram(b"hi", data.path)]


@pytest.mark.parametrize("end", ["client", "peer", "control", "refresh"])
def test_joined_streams_end_together(site, tcp, open_client, at, end):
    tcp.allocated(transport=6)
    path, connection_id = connected(site, tcp, at["peer"])
    data, _ = joined(site, open_client, connection_id)
    if end == "refresh":
        tcp.refresh(0)
    else:
        site.server.stream_closed({"client": data.path, "peer": path, "control": tcp.path}[end], "over", site.now)
    site.drain()
    expected = {"client": {path}, "peer": {data.path}, "control": {path, data.path}, "refresh": {path, data.path}}[end]
    assert set(unneeded(site)) == expected
    assert len(unneeded(site)) == len(expected)


def test_connection_that_does_not_come_about_gets_447(site, tcp, at):
    tcp.allocated(transport=6)
    message, _, path = tcp.connect(at["peer"])
    site.server.stream_closed(path, "refused", site.now)
    assert tcp.reply_to(message, site.drain()).code == 447
    assert unneeded(site) == []
    message, _, path = tcp.connect(at["peer"])
    count = len(site.sent)
    site.wait(30.0)
    assert tcp.reply_to(message, site.sent[count:]).code == 447
    assert unneeded(site) == [path]


def test_connection_that_the_client_does_not_take_is_closed_after_30_seconds(site, tcp, at, open_client):
    tcp.allocated(transport=6)
    path, connection_id = connected(site, tcp, at["peer"])
    site.wait(29.0)
    assert unneeded(site) == []
    site.wait(2.0)
    assert unneeded(site) == [path]
    assert joined(site, open_client, connection_id)[1].code == 400


def test_second_connection_to_the_same_peer_gets_446(site, tcp, at):
    tcp.allocated(transport=6)
    tcp.connect(at["peer"])
    assert tcp.connect(at["peer"])[1].code == 446
    connected(site, tcp, Address(at["peer"].host, 9))
    assert tcp.connect(Address(at["peer"].host, 9))[1].code == 446


@pytest.mark.parametrize("host", ["127.0.0.1", "192.168.0.1", "192.0.2.1"])
def test_connect_to_a_forbidden_peer_gets_403(site, tcp, host):
    tcp.allocated(transport=6)
    assert tcp.connect(Address(host, 80))[1].code == 403


def test_connect_for_a_udp_allocation_gets_400_and_channels_of_a_tcp_allocation_403(site, open_client, at):
    udp, tcp = open_client(site, port=1), open_client(site, port=2)
    udp.allocated()
    assert udp.connect(at["peer"])[1].code == 400
    tcp.allocated(transport=6)
    assert tcp.bind(at["peer"]).code == 403
    tcp.permit(at["peer"])
    assert tcp.indicate(at["peer"], b"x") == []


def test_connections_of_an_allocation_are_bounded(make_site, open_client, at):
    site = make_site(connection_count_max=2)
    tcp = open_client(site)
    relayed = tcp.allocated(transport=6)
    tcp.permit(at["peer"])
    for port in (1, 2):
        connected(site, tcp, Address(at["peer"].host, port))
    assert tcp.connect(Address(at["peer"].host, 3))[1].code == 508
    site.server.stream_opened(Path(relayed, Address(at["peer"].host, 4), "tcp"), site.now)
    site.drain()
    assert len(unneeded(site)) == 1


def test_what_a_peer_sends_early_is_bounded(make_site, open_client, at):
    site = make_site(early_bytes_max=1000)
    tcp = open_client(site)
    tcp.allocated(transport=6)
    path, _ = connected(site, tcp, at["peer"])
    site.receive(bytes(1000), path)
    assert unneeded(site) == []
    site.receive(b"x", path)
    assert unneeded(site) == [path]
    assert site.server.stats.discards == {DiscardReason.EARLY_DATA_FULL: 1}


def test_another_user_cannot_take_a_connection(make_site, open_client, at):
    site = make_site(users=(User("alice", "secret"), User("bob", "secret")))
    tcp = open_client(site)
    tcp.allocated(transport=6)
    _, connection_id = connected(site, tcp, at["peer"])
    assert joined(site, open_client, connection_id, name="bob")[1].code == 441
    assert joined(site, open_client, connection_id, port=41001)[1].code == 0


def test_connection_is_taken_once_and_not_over_udp_nor_over_the_control_stream(site, tcp, open_client, at):
    tcp.allocated(transport=6)
    _, connection_id = connected(site, tcp, at["peer"])
    assert tcp.request(Method.CONNECTION_BIND, ("CONNECTION_ID", connection_id)).code == 400
    udp = site.client(Address("198.51.100.7", 9))
    assert udp.request(Method.CONNECTION_BIND, ("CONNECTION_ID", connection_id)).code == 400
    assert joined(site, open_client, connection_id + 1, port=1)[1].code == 400
    assert joined(site, open_client, connection_id, port=2)[1].code == 0
    assert joined(site, open_client, connection_id, port=3)[1].code == 400


def test_client_that_does_not_wait_for_its_connection_is_closed(site, tcp, open_client, at):
    tcp.allocated(transport=6)
    path, connection_id = connected(site, tcp, at["peer"])
    data = open_client(site, port=41000)
    data.nonce, data.challenge = tcp.nonce, tcp.challenge
    message = data.message(Method.CONNECTION_BIND, [("CONNECTION_ID", connection_id)])
    message.attributes += data.credentials()
    binding = serialize_message(data.message(Method.BINDING, ()))
    data.send(serialize_message(message, key=data.key) + binding)
    assert set(unneeded(site)) == {path, data.path}
