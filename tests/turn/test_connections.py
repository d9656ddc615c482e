"""TCP through the relay (RFC 6062): connections out and in, each a stream of its own."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.turn import (
    ConnectionClosed,
    ConnectionFailed,
    ConnectionOpened,
    ConnectionState,
    DataReceived,
    TurnConfig,
)
from sans_rtc.turn.client import Client

A = AttributeType
RELAYED, PEER, OTHER = Address("198.51.100.1", 50002), Address("198.51.100.77", 4000), Address("198.51.100.88", 5000)


@pytest.fixture
def tcp(make_scene):
    scene = make_scene("tcp", transport="tcp")
    scene.allocated()
    return scene


@pytest.fixture
def connected(tcp):
    """A scene with a connection to PEER; `scene.data_path` is its stream."""
    tcp.client.connect(PEER, tcp.now)
    tcp.pump()
    (needed,) = tcp.take(StreamNeeded)
    tcp.data_path = needed.path
    assert tcp.take(ConnectionOpened) == [ConnectionOpened(PEER, RELAYED, False)]
    return tcp


def attempt(peer=PEER, id=99):
    attributes = [Attribute(A.XOR_PEER_ADDRESS, peer)] if peer else []
    if id is not None:
        attributes.append(Attribute(A.CONNECTION_ID, id))
    return serialize_message(Message(MessageClass.INDICATION, Method.CONNECTION_ATTEMPT, bytes(12), attributes))


def test_relay_of_tcp_is_asked_for(make_scene):
    scene = make_scene("tcp", transport="tcp")
    scene.client.allocate(scene.now)
    scene.pump()
    assert scene.requests(Method.ALLOCATE)[0].value(A.REQUESTED_TRANSPORT) == 6


def test_connection_is_a_stream_of_its_own_bound_by_its_id(connected):
    connect, bind = connected.server.requests
    assert (connect.method, connect.value(A.XOR_PEER_ADDRESS)) == (Method.CONNECT, PEER)
    assert (bind.method, bind.value(A.CONNECTION_ID)) == (Method.CONNECTION_BIND, 8)
    path = connected.data_path
    assert (path.remote, path.protocol) == (connected.path.remote, "tcp") and path != connected.path
    assert connected.sent[-1].path == path


def test_data_pass_byte_for_byte_both_ways(connected):
    connected.client.send(b"\xffanything", PEER, connected.now)
    assert list(connected.client.take_datagrams(connected.now)) == [Datagram(b"\xffanything", connected.data_path)]
    assert connected.deliver(b"\x40\x00", connected.data_path) == [DataReceived(b"\x40\x00", PEER, RELAYED)]
    assert connected.deliver(b"", connected.data_path) == [DataReceived(b"", PEER, RELAYED)]


def bind_by_hand(tcp):
    """Up to the ConnectionBind response, which is returned with the path it belongs on."""
    tcp.client.connect(PEER, tcp.now)
    (request,) = tcp.client.take_datagrams(tcp.now)
    (answer,) = tcp.server.receive(request, tcp.now)
    (needed,) = tcp.deliver(answer.data)
    tcp.client.stream_opened(needed.path, tcp.now)
    (bind,) = tcp.client.take_datagrams(tcp.now)
    (answer,) = tcp.server.receive(bind, tcp.now)
    return answer.data, needed.path


def test_first_bytes_may_come_with_the_response_cut_anywhere(make_scene):
    cut, last = 0, 1
    while cut <= last:
        scene = make_scene("tcp", transport="tcp")
        scene.allocated()
        response, path = bind_by_hand(scene)
        stream = response + b"HELLO"
        last = len(stream)
        events = scene.deliver(stream[:cut], path) + scene.deliver(stream[cut:], path)
        assert events[0] == ConnectionOpened(PEER, RELAYED, False)
        assert b"".join(event.data for event in events[1:]) == b"HELLO"
        cut += 1


def test_stale_nonce_on_the_new_stream_is_renewed(tcp):
    bind = tcp.server.on_connect

    def renewing(request, now):
        tcp.server.serial += 1
        return bind(request, now)

    tcp.server.on_connect = renewing
    tcp.client.connect(PEER, tcp.now)
    tcp.pump()
    assert tcp.take(ConnectionOpened) and tcp.requests(Method.CONNECTION_BIND)[0].transaction_id


def test_garbage_on_the_new_stream_costs_only_this_connection(tcp):
    _, path = bind_by_hand(tcp)
    events = tcp.deliver(b"\xff\xff\xff\xff", path)
    assert [type(event) for event in events] == [StreamUnneeded, ConnectionFailed]
    assert not tcp.client.is_terminated


def test_stranger_on_the_new_stream_is_counted(tcp):
    response, path = bind_by_hand(tcp)
    assert tcp.deliver(attempt(), path) == [] and tcp.discards == {"unexpected_stun": 1}
    assert tcp.deliver(bytes.fromhex("0103000021"), path) == []
    assert tcp.deliver(response) == [] and tcp.discards == {"unexpected_stun": 1, "wrong_path": 1}


@pytest.mark.parametrize(
    ("code", "name"),
    [(403, "Forbidden"), (446, "Connection Already Exists"), (447, "Connection Timeout or Failure")],
)
@pytest.mark.parametrize("method", [Method.CONNECT, Method.CONNECTION_BIND])
def test_connection_that_is_refused_is_named_and_others_go_on(connected, method, code, name):
    connected.server.errors[method] = [(code, "no")]
    connected.client.connect(OTHER, connected.now)
    connected.pump()
    assert connected.take(ConnectionFailed) == [ConnectionFailed(OTHER, code, name, "no")]
    assert connected.deliver(b"x", connected.data_path) == [DataReceived(b"x", PEER, RELAYED)]
    assert connected.open_streams == {connected.path, connected.data_path}


def test_success_without_an_id_is_of_no_use(tcp):
    tcp.server.on_connect = tcp.server.on_connection_bind
    tcp.client.connect(PEER, tcp.now)
    tcp.pump()
    (event,) = tcp.take(ConnectionFailed)
    assert event.name == "Unusable Response"


def test_stream_that_cannot_be_opened_is_named(make_scene):
    scene = make_scene("tcp", transport="tcp", opens_streams=False)
    scene.open(scene.path)
    scene.allocated()
    scene.client.connect(PEER, scene.now)
    scene.pump()
    (needed,) = scene.take(StreamNeeded)
    scene.client.stream_closed(needed.path, "unreachable", scene.now)
    scene.pump()
    assert scene.events == [ConnectionFailed(PEER, 0, "Not Connected", "unreachable")]


def test_stream_that_does_not_come_is_given_up(make_scene):
    scene = make_scene("tcp", transport="tcp", opens_streams=False)
    scene.open(scene.path)
    scene.allocated()
    scene.client.connect(PEER, scene.now)
    scene.pump()
    (needed,) = scene.take(StreamNeeded)
    scene.advance(30)
    assert [type(event) for event in scene.events] == [StreamUnneeded, ConnectionFailed]
    scene.client.stream_opened(needed.path, scene.now)
    assert scene.client.take_datagrams(scene.now) == ()


def test_connection_that_ends_is_told(connected):
    connected.client.stream_closed(connected.data_path, "end of stream", connected.now)
    connected.pump()
    assert connected.events == [ConnectionClosed(PEER, "end of stream")]
    with pytest.raises(InvalidState):
        connected.client.send(b"", PEER, connected.now)


def test_disconnect_closes_the_stream(connected):
    connected.client.disconnect(PEER, connected.now)
    connected.client.disconnect(PEER, connected.now)
    connected.pump()
    assert connected.events == [StreamUnneeded(connected.data_path)]
    connected.client.connect(PEER, connected.now)
    connected.pump()
    assert connected.take(ConnectionOpened)


def test_end_of_the_client_ends_its_connections(connected):
    connected.client.close(connected.now)
    connected.pump()
    assert connected.terminated.reason == "closed" and connected.open_streams == set()


def test_end_of_the_control_stream_ends_its_connections(connected):
    connected.client.stream_closed(connected.path, "reset", connected.now)
    connected.pump()
    assert connected.terminated.reason == "stream_closed"
    assert connected.take(StreamUnneeded) == [StreamUnneeded(connected.data_path)]


# --- peers that connect


def test_permitted_peer_may_connect(tcp):
    tcp.client.create_permission(PEER.host, tcp.now)
    tcp.pump()
    tcp.deliver(attempt())
    tcp.events = [event for event in tcp.events if not isinstance(event, StreamNeeded) or tcp.open(event.path)]
    tcp.pump()
    assert tcp.take(ConnectionOpened) == [ConnectionOpened(PEER, RELAYED, True)]
    assert tcp.server.requests[-1].value(A.CONNECTION_ID) == 99
    assert tcp.client.explain().connections[0].state is ConnectionState.OPEN


def test_peer_without_permission_may_not_connect(tcp):
    assert tcp.deliver(attempt()) == [] and tcp.discards == {"no_permission": 1}


@pytest.mark.parametrize(("peer", "id"), [(None, 1), (PEER, None)])
def test_attempt_field_by_field(tcp, peer, id):
    tcp.client.create_permission(PEER.host, tcp.now)
    tcp.pump()
    assert tcp.deliver(attempt(peer, id)) == [] and tcp.discards == {"malformed_indication": 1}


def test_connections_are_bounded(make_scene):
    scene = make_scene("tcp", transport="tcp", connection_count_max=1)
    scene.allocated()
    scene.client.create_permission(PEER.host, scene.now)
    scene.client.connect(OTHER, scene.now)
    with pytest.raises(LimitExceeded):
        scene.client.connect(PEER, scene.now)
    scene.pump()
    scene.take(StreamNeeded, ConnectionOpened)
    assert scene.deliver(attempt()) == [] and scene.discards == {"connection_limit": 1}


def test_attempt_of_a_peer_that_is_connected_is_counted(connected):
    connected.client.create_permission(PEER.host, connected.now)
    connected.pump()
    assert connected.deliver(attempt()) == [] and connected.discards == {"connection_limit": 1}
    assert connected.deliver(b"x", connected.data_path) == [DataReceived(b"x", PEER, RELAYED)]


def test_second_connection_with_a_peer_is_the_callers_fault(connected):
    with pytest.raises(InvalidState):
        connected.client.connect(PEER, connected.now)
    assert connected.client.take_datagrams(connected.now) == ()


def test_misuse_is_refused(tcp):
    for call, error in (
        (lambda: tcp.client.send(b"", PEER, tcp.now), InvalidState),
        (lambda: tcp.client.bind_channel(PEER, tcp.now), InvalidState),
        (lambda: tcp.client.connect(Address("2001:db8::1", 1), tcp.now), InvalidArgument),
        (lambda: tcp.client.connect(Address("peer.example", 1), tcp.now), InvalidArgument),
    ):
        with pytest.raises(error):
            call()


def test_relay_of_tcp_is_not_asked_for_over_udp():
    path = Path(Address("192.0.2.10", 50000), Address("198.51.100.1", 3478))
    with pytest.raises(InvalidArgument):
        Client(TurnConfig(transport="tcp"), path, entropy=bytes)
