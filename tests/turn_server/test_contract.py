"""What design.md asks of every machine, and what hostile bytes, in any order and at any time, cannot do."""

import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.machine import Address, Datagram, Path, Terminated
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.turn.server import AllocationEnded, Credentials, EndReason, TerminationReason

A = AttributeType
LISTENER = Address("192.0.2.1", 3478)


def test_new_server_waits_for_nothing(site):
    assert site.server.deadline == math.inf
    assert site.drain() == []
    assert not site.server.is_terminated


@pytest.mark.parametrize(
    ("verb", "reason"), [("close", TerminationReason.CLOSED), ("abort", TerminationReason.ABORTED)]
)
def test_end_comes_once_and_last_and_leaves_no_socket(site, client, at, verb, reason):
    client.allocate(("EVEN_PORT", True))
    client.bind(at["peer"])
    tcp = site.client(protocol="tcp")
    site.server.stream_opened(tcp.path, site.now)
    tcp.allocated(transport=6)
    for _ in range(2):
        getattr(site.server, verb)(site.now)
    site.drain()
    assert site.events[-1] == Terminated(reason)
    assert len(site.events_of(Terminated)) == 1
    assert {event.reason for event in site.events_of(AllocationEnded)} == {EndReason.SERVER_CLOSED}
    assert site.sockets == set()
    assert site.server.is_terminated


def test_inputs_after_the_end_are_ignored(site, client, at):
    client.allocated()
    client.bind(at["peer"])
    site.server.close(site.now)
    site.drain()
    assert client.send(b"\x40\x00\x00\x01x") == []
    assert client.bare(Method.BINDING) is None
    site.server.stream_opened(Path(LISTENER, at["client"], "tcp"), site.now)
    site.server.stream_closed(Path(LISTENER, at["client"], "tcp"), "", site.now)
    site.server.relay_opened(9, LISTENER, site.now)
    site.server.relay_failed(9, "", site.now)
    site.server.set_credentials(Credentials(), site.now)
    site.server.handle_timer(site.now)
    assert site.drain() == []
    assert site.server.deadline == math.inf


def run(make_site, seed):
    site = make_site(seed=seed)
    client = site.client(with_sha256=True)
    client.allocate(("EVEN_PORT", True))
    client.bind(Address("203.0.113.9", 5))
    client.indicate(Address("203.0.113.9", 5), b"x")
    site.wait(400.0)
    client.bare(Method.REFRESH)
    site.wait(1000.0)
    return [datagram.data for datagram in site.sent], site.events


def test_equal_inputs_give_equal_bytes(make_site):
    assert run(make_site, 3) == run(make_site, 3)
    assert run(make_site, 3) != run(make_site, 4)


def paths(relayed):
    clients = [
        Path(LISTENER, Address("198.51.100.7", port), protocol) for port in (1, 2) for protocol in ("udp", "tcp")
    ]
    return [*clients, Path(relayed, Address("203.0.113.9", 5)), Path(relayed, Address("203.0.113.9", 5), "tcp")]


attribute = st.one_of(
    st.sampled_from(
        [
            Attribute(A.REQUESTED_TRANSPORT, 17),
            Attribute(A.REQUESTED_TRANSPORT, 6),
            Attribute(A.LIFETIME, 0),
            Attribute(A.LIFETIME, 1200),
            Attribute(A.EVEN_PORT, True),
            Attribute(A.ADDITIONAL_ADDRESS_FAMILY, 2),
            Attribute(A.REQUESTED_ADDRESS_FAMILY, 2),
            Attribute(A.XOR_PEER_ADDRESS, Address("203.0.113.9", 5)),
            Attribute(A.XOR_PEER_ADDRESS, Address("127.0.0.1", 5)),
            Attribute(A.CHANNEL_NUMBER, 0x4000),
            Attribute(A.CHANNEL_NUMBER, 0x4001),
            Attribute(A.CONNECTION_ID, 7),
            Attribute(A.DATA, b"data"),
            Attribute(A.DONT_FRAGMENT, True),
            Attribute(A.CHANGE_REQUEST, 6),
            Attribute(A.NONCE, b"x"),
            Attribute(0x7ABC, b"x"),
        ]
    ),
    st.builds(Attribute, st.integers(0xC100, 0xFFFF), st.binary(max_size=9)),
)
step = st.one_of(
    st.tuples(st.just("bytes"), st.integers(0, 5), st.binary(max_size=60)),
    st.tuples(st.just("channel"), st.integers(0, 5), st.binary(max_size=10)),
    st.tuples(st.just("message"), st.integers(0, 5), st.sampled_from(MessageClass), st.lists(attribute, max_size=5)),
    st.tuples(st.just("request"), st.integers(0, 3), st.sampled_from(Method), st.lists(attribute, max_size=5)),
    st.tuples(st.just("wait"), st.floats(0.0, 700.0)),
    st.tuples(st.just("opened"), st.integers(0, 5)),
    st.tuples(st.just("closed"), st.integers(0, 5)),
    st.tuples(st.just("refuse"), st.booleans()),
)


def apply(site, known, kind, arguments):
    if kind == "wait":
        site.wait(arguments[0])
    elif kind == "refuse":
        site.refuses = lambda needed, refuses=arguments[0]: refuses
    else:
        path = paths(next((address for address, _ in sorted(site.sockets)), Address("192.0.2.2", 50000)))[arguments[0]]
        verbs = {"opened": lambda: open_stream(site, path), "closed": lambda: close_stream(site, path)}
        act = verbs.get(kind, lambda: site.receive(make_data(site, known, kind, path, arguments[1:]), path))
        act()
        site.drain()


def open_stream(site, path):
    if path.protocol == "tcp" and path not in known_streams(site):
        site.server.stream_opened(path, site.now)


def close_stream(site, path):
    site.server.stream_closed(path, "over", site.now)


def known_streams(site):
    return {*site.server._tables.streams, *site.server._tables.connections}


def make_data(site, known, kind, path, arguments):
    if kind == "bytes":
        return arguments[0]
    if kind == "channel":
        return b"\x40\x00" + len(arguments[0]).to_bytes(2, "big") + arguments[0]
    if kind == "message":
        message_class, attributes = arguments
        method = Method.SEND if message_class is MessageClass.INDICATION else Method.ALLOCATE
        return serialize_message(Message(message_class, method, site.entropy(12), attributes))
    method, attributes = arguments
    client = known.setdefault(path, site.client())
    client.path = path
    if client.nonce is None:
        reply = client.bare(Method.ALLOCATE)
        if reply is None or reply.code != 401:
            return b""
        client.take_challenge(reply)
    message = Message(MessageClass.REQUEST, method, site.entropy(12), [*attributes, *client.credentials()])
    return serialize_message(message, key=client.key)


@given(st.lists(step, min_size=1, max_size=30))
@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_inputs_in_any_order_keep_the_contract_and_the_bounds(make_site, steps):
    site = make_site(allocation_count_max=4, connection_count_max=2, stream_count_max=4)
    known = {}
    for kind, *arguments in steps:
        apply(site, known, kind, arguments)
        tables = site.server._tables
        assert len(tables.allocations) + len(tables.reservations) <= 4
        assert len(tables.streams) <= 4
        assert set(tables.relays) | {(held.address, "udp") for held in tables.reservations.values()} == site.sockets
        channels = {
            channel.path for allocation in tables.allocations.values() for channel in allocation.channels.values()
        }
        assert {path for path in tables.routes if path not in tables.allocations} == channels
    site.server.close(site.now)
    site.drain()
    assert site.sockets == set()
    assert isinstance(site.events[-1], Terminated)
    assert len(site.server._context.ports) == 0
    tables = site.server._tables
    assert not any([tables.allocations, tables.routes, tables.relays, tables.reservations, tables.connections,
                    tables.connection_ids, tables.streams, tables._user_counts, tables._source_counts,
                    tables._stream_counts])  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from(["udp", "tcp", "tls"]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_from_anybody_raise_nothing(make_site, data, protocol):
    site = make_site()
    path = Path(LISTENER, Address("198.51.100.7", 1), protocol)
    if protocol != "udp":
        site.server.stream_opened(path, site.now)
    site.receive(data, path)
    site.server.receive(Datagram(data, Path(Address("192.0.2.2", 50000), Address("203.0.113.9", 1))), site.now)
    site.drain()
    assert site.server.explain(site.now) == ()


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_real_request_with_any_byte_changed_allocates_nothing(make_site, data):
    site = make_site()
    client = site.client(with_sha256=data.draw(st.booleans()))
    client.take_challenge(client.bare(Method.ALLOCATE))
    message = client.message(Method.ALLOCATE, [("REQUESTED_TRANSPORT", 17)])
    message.attributes += client.credentials()
    request = bytearray(serialize_message(message, key=client.key, algorithm=client.algorithm))
    request[data.draw(st.integers(0, len(request) - 1))] ^= data.draw(st.integers(1, 255))
    client.send(bytes(request))
    assert site.sockets == set()
