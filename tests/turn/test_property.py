"""Whatever comes, in whatever order: no exception, bounded state, the contract of machines; and bad networks."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import LocalError
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.testing import ContractMonitor, Link, LinkConditions, SeededEntropy
from sans_rtc.turn import Allocated, Client, DataReceived, PeerRefused, TurnConfig, serialize_channel_data

A = AttributeType
LOCAL, SERVER = Address("192.0.2.10", 50000), Address("198.51.100.1", 3478)
PEERS = [Address(f"198.51.100.{index}", 4000 + index) for index in range(50, 58)]
PROTOCOLS = ["udp", "tcp", "tls"]

methods = st.sampled_from(list(Method))
classes = st.sampled_from(list(MessageClass))
attributes = st.one_of(
    st.builds(Attribute, st.just(A.XOR_PEER_ADDRESS), st.sampled_from(PEERS)),
    st.builds(Attribute, st.just(A.XOR_RELAYED_ADDRESS), st.sampled_from(PEERS)),
    st.builds(Attribute, st.just(A.XOR_MAPPED_ADDRESS), st.sampled_from(PEERS)),
    st.builds(Attribute, st.just(A.ALTERNATE_SERVER), st.sampled_from([*PEERS, SERVER])),
    st.builds(Attribute, st.just(A.LIFETIME), st.sampled_from([0, 1, 600, 0xFFFFFFFF])),
    st.builds(Attribute, st.just(A.ERROR_CODE), st.tuples(st.sampled_from([300, 401, 403, 437, 438]), st.just("x"))),
    st.builds(Attribute, st.just(A.NONCE), st.sampled_from([b"nonce", b"obMatJos2AAAB"])),
    st.builds(Attribute, st.just(A.REALM), st.sampled_from(["", "a", "b"])),
    st.builds(Attribute, st.just(A.DATA), st.binary(max_size=5)),
    st.builds(Attribute, st.just(A.CONNECTION_ID), st.integers(0, 5)),
)
# A hostile server: it may know the transaction id, and says what it likes.
messages = st.tuples(classes, st.lists(attributes, max_size=5), st.booleans())
verbs = st.one_of(
    st.tuples(st.just("send"), st.binary(max_size=9), st.sampled_from(PEERS)),
    st.tuples(st.just("create_permission"), st.sampled_from([peer.host for peer in PEERS])),
    st.tuples(st.just("bind_channel"), st.sampled_from(PEERS)),
    st.tuples(st.just("connect"), st.sampled_from(PEERS)),
    st.tuples(st.just("disconnect"), st.sampled_from(PEERS)),
    st.tuples(st.just("set_credentials"), st.sampled_from(["alice", "bob"]), st.just("other")),
    st.tuples(st.just("close")),
    st.tuples(st.just("abort")),
)
steps = st.one_of(
    st.tuples(st.just("verb"), verbs),
    st.tuples(st.just("bytes"), st.binary(max_size=60)),
    st.tuples(st.just("response"), messages),
    st.tuples(st.just("channel"), st.integers(0x4000, 0x4003), st.binary(max_size=4)),
    st.tuples(st.just("serve"), st.booleans()),
    st.tuples(st.just("wait"), st.sampled_from([0.0, 0.5, 40.0, 250.0, 700.0])),
    st.tuples(st.just("stream_opened")),
    st.tuples(st.just("stream_closed")),
)


def play(make_server, protocol, seed, script):
    """Play a script against one client; everything that came of it."""
    path = Path(LOCAL, SERVER, protocol, 0 if protocol == "udp" else 1)
    config = TurnConfig(
        username="alice",
        password="secret",
        transport="udp" if protocol != "tls" else "tcp",
        peer_count_max=4,
        connection_count_max=2,
        queued_datagram_count_max=3,
        channel_after=2,
    )
    client = Client(config, path, entropy=SeededEntropy(seed))
    monitor, server, now = ContractMonitor(client), make_server(), 1000.0
    said, sent = [], []
    client.allocate(now)
    for kind, *arguments in script:
        if kind == "verb":
            name, *rest = arguments[0]
            try:
                getattr(client, name)(*rest, now)
            except LocalError as error:
                said.append(str(error))
        elif kind == "bytes":
            monitor.receive(Datagram(arguments[0], client.path), now)
        elif kind == "response":
            message_class, items, is_known = arguments[0]
            known = client._context.requester._outstanding
            id, request = next(iter(known.items()), (bytes(12), None)) if is_known else (bytes(12), None)
            method = Method.DATA if request is None else (int(request.transaction.request[1]) & 0xF)
            data = serialize_message(Message(message_class, method, id, list(items)))
            monitor.receive(Datagram(data, client.path), now)
        elif kind == "channel":
            data = serialize_channel_data(*arguments, pad=protocol != "udp")
            monitor.receive(Datagram(data, client.path), now)
        elif kind == "serve":
            for datagram in sent[-3:]:
                for answer in serve(server, datagram, now):
                    monitor.receive(answer, now)
        elif kind == "wait":
            now += arguments[0]
            monitor.handle_timer(now)
        else:
            call = client.stream_opened if kind == "stream_opened" else client.stream_closed
            call(*([client.path] if kind == "stream_opened" else [client.path, "x"]), now)
        sent += monitor.take_datagrams(now)
        said += monitor.take_events()
        monitor.check(now)
        sent += monitor.take_datagrams(now)
        said += monitor.take_events()
        explanation = client.explain()
        assert len(explanation.peers) <= 4 and len(explanation.connections) <= 2
        assert sum(entry.queued_datagrams for entry in explanation.permissions) <= 3
        assert len(client._context.requester._outstanding) <= config.request_window + 2
    return said, sent


def serve(server, datagram, now):
    try:
        return server.receive(datagram, now)
    except (AssertionError, KeyError):  # a script may send again what is old
        return []


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(PROTOCOLS), st.integers(0, 3), st.lists(steps, max_size=25))
def test_any_script_keeps_the_contract_and_is_repeatable(protocol, seed, script):
    make_server = play.make_server
    assert play(make_server, protocol, seed, script) == play(make_server, protocol, seed, script)


@pytest.fixture(autouse=True)
def _server_for_scripts(make_server):
    play.make_server = make_server


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=80), max_size=8))
def test_any_bytes_before_and_after_the_allocation_change_nothing(pieces):
    client = Client(TurnConfig(), Path(LOCAL, SERVER), entropy=SeededEntropy(0))
    client.allocate(0.0)
    client.take_datagrams(0.0)
    before = client.explain().permissions, client.state, client.deadline
    for piece in pieces:
        client.receive(Datagram(piece, client.path), 0.0)
    assert (client.explain().permissions, client.state, client.deadline) == before
    assert client.take_events() == () and sum(client.stats.discards.values()) == len(pieces)


class LinkServer:
    """The fake server as one end of a link."""

    deadline = math.inf
    is_terminated = False

    def __init__(self, server):
        self.server = server
        self.outgoing = []

    def receive(self, datagram, now):
        try:
            self.outgoing += self.server.receive(datagram, now)
        except (ValueError, KeyError, AssertionError):  # corrupted, or before its permission: dropped
            return

    def handle_timer(self, now):
        pass

    def take_datagrams(self, now):
        taken, self.outgoing = self.outgoing, []
        return taken

    def take_events(self):
        return ()


def allocated_over(link, client):
    client.allocate(link.now)
    link.run_until(lambda: any(isinstance(event, Allocated) for event in link.events[0]), within_s=80)


@pytest.mark.parametrize("seed", range(20))
def test_relay_stands_on_a_bad_network(make_server, indication, seed):
    """20 % loss, duplication, reordering, a nonce that goes stale: peers and data come, and the relay stays."""
    config = TurnConfig(username="alice", password="secret", channel_after=5)
    client = Client(config, Path(LOCAL, SERVER), entropy=SeededEntropy(seed))
    server = make_server(algorithms=None)
    end = LinkServer(server)
    conditions = LinkConditions(loss=0.2, duplication=0.1, reordering=0.1, jitter_s=0.02)
    link = Link(client, end, seed=seed, conditions=conditions)
    allocated_over(link, client)
    peers = set(PEERS[:4])
    for round_ in range(60):
        server.serial += round_ == 30
        for peer in sorted(peers):
            client.send(b"%d" % round_, peer, link.now)
        link.run_for(25.0)
        end.outgoing += [Datagram(indication(b"back", peer), Path(SERVER, LOCAL)) for peer in sorted(peers)]
        link.flush()
    link.run_for(1.0)
    assert not client.is_terminated, link.events[0][-2:]
    assert {event.peer for event in link.events[0] if isinstance(event, DataReceived)} == peers
    assert {peer for _, peer in server.relayed} == peers
    assert not [event for event in link.events[0] if isinstance(event, PeerRefused)]


@pytest.mark.parametrize("seed", range(10))
def test_relay_stands_where_datagrams_are_damaged(make_server, seed):
    client = Client(TurnConfig(username="alice", password="secret"), Path(LOCAL, SERVER), entropy=SeededEntropy(seed))
    link = Link(client, LinkServer(make_server()), seed=seed)
    allocated_over(link, client)
    link.conditions = LinkConditions(corruption=0.1)
    for _ in range(20):
        client.create_permission(PEERS[0].host, link.now)
        link.run_for(300.0)
    assert not client.is_terminated, link.events[0][-2:]
