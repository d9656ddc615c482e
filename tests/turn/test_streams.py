"""Over TCP and TLS: a stream cut at every byte, broken, closed, not yet open."""

import pytest

from sans_rtc.machine import Address, Datagram, Terminated
from sans_rtc.streams import StreamUnneeded
from sans_rtc.stun import AttributeType, Method
from sans_rtc.turn import Allocated, AllocationFailed, ChannelBound, ClientState, DataReceived, serialize_channel_data

A = AttributeType
RELAYED, PEER = Address("198.51.100.1", 50002), Address("198.51.100.77", 4000)


@pytest.fixture
def stream(make_scene):
    scene = make_scene("tcp")
    scene.allocated()
    scene.client.bind_channel(PEER, scene.now)
    scene.pump()
    scene.take(ChannelBound)
    scene.sent.clear()
    return scene


def test_allocate_waits_for_the_stream(make_scene):
    scene = make_scene("tls", opens_streams=False)
    scene.client.allocate(scene.now)
    assert scene.client.state is ClientState.WAITING_FOR_STREAM and scene.client.take_datagrams(scene.now) == ()
    scene.open(scene.path)
    scene.pump()
    assert len(scene.take(Allocated)) == 1


def test_stream_may_be_open_before(make_scene):
    scene = make_scene("tcp")
    scene.allocated()
    assert scene.client.path == scene.path


@pytest.mark.parametrize("verb", ["close", "abort"])
def test_end_while_the_stream_is_not_open_needs_it_no_more(make_scene, verb):
    scene = make_scene("tcp", opens_streams=False)
    scene.client.allocate(scene.now)
    getattr(scene.client, verb)(scene.now)
    scene.pump()
    assert [type(event) for event in scene.events] == [StreamUnneeded, Terminated] and scene.sent == []


@pytest.mark.proves("RFC8656-12.5-2-5c9c")
@pytest.mark.parametrize("size", range(6))
def test_every_message_is_padded_to_four_bytes(stream, size):
    stream.send(bytes(size))
    stream.send(bytes(size), Address(PEER.host, 9))
    assert all(len(datagram.data) % 4 == 0 for datagram in stream.sent)
    assert [data for data, _ in stream.server.relayed] == [bytes(size)] * 2


def whole_conversation(make_scene, cut=None, protocol="tcp"):
    """Everything that a server says in one session; `cut` splits each piece after that many bytes."""
    scene = make_scene(protocol)
    pieces = []
    receive = scene.client.receive

    def in_pieces(datagram, now):
        pieces.append(datagram.data)
        data = datagram.data
        cuts = [data] if cut is None else [data[:cut], data[cut:]]
        for piece in cuts:
            receive(Datagram(piece, datagram.path), now)

    scene.client.receive = in_pieces
    scene.client.allocate(scene.now)
    scene.pump()
    scene.client.bind_channel(PEER, scene.now)
    scene.pump()
    scene.on_channel(0x4000, b"hello")
    scene.from_peer(b"world")
    scene.client.close(scene.now)
    scene.pump()
    return scene.events, max(map(len, pieces))


def test_stream_may_be_cut_at_every_byte(make_scene):
    whole, longest = whole_conversation(make_scene)
    assert [type(event).__name__ for event in whole] == [
        "Allocated",
        "ChannelBound",
        "DataReceived",
        "DataReceived",
        "StreamUnneeded",
        "Terminated",
    ]
    for cut in range(longest + 1):
        assert whole_conversation(make_scene, cut) == (whole, longest)


def test_several_messages_may_come_in_one_piece(stream, indication):
    frames = [serialize_channel_data(0x4000, b"%d" % index, pad=True) for index in range(3)]
    events = stream.deliver(b"".join([*frames, indication(b"last"), frames[0][:5]]))
    assert [event.data for event in events] == [b"0", b"1", b"2", b"last"]
    assert stream.deliver(frames[0][5:]) == [DataReceived(b"0", PEER, RELAYED)]


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n" * 3, b"SSH-2.0-x\r\n", bytes(20), b"\xff" * 20])
def test_stream_of_garbage_ends_the_client(make_scene, garbage):
    scene = make_scene("tcp")
    scene.client.allocate(scene.now)
    scene.deliver(garbage if garbage[0] != 0x48 else b"\x00" + garbage)
    assert scene.terminated.reason == "stream_broken"
    assert [type(event) for event in scene.events] == [AllocationFailed, StreamUnneeded, Terminated]


def test_long_message_breaks_the_stream_before_it_is_buffered(make_scene):
    scene = make_scene("tcp", stream_frame_bytes_max=2048)
    scene.allocated()
    scene.deliver(b"\x40\x00\xff\xff")
    assert scene.terminated.reason == "stream_broken"


def test_messages_before_the_garbage_count(stream):
    events = stream.deliver(serialize_channel_data(0x4000, b"last", pad=True) + b"\xff\xff\xff\xff")
    assert [type(event).__name__ for event in events] == [
        "DataReceived",
        "AllocationFailed",
        "StreamUnneeded",
        "Terminated",
    ]


def test_stream_that_closes_takes_the_relay_with_it(stream):
    stream.client.stream_closed(stream.path, "reset by peer", stream.now)
    stream.pump()
    assert stream.events[0] == AllocationFailed(0, "Stream Closed", "reset by peer", True)
    assert stream.terminated == Terminated("stream_closed", "Stream Closed: reset by peer")
    assert len(stream.events) == 2  # nobody needs to be told to close what is closed


def test_stream_that_cannot_be_opened_is_named(make_scene):
    scene = make_scene("tls", opens_streams=False)
    scene.client.allocate(scene.now)
    scene.client.stream_closed(scene.path, "the certificate is another's", scene.now)
    scene.pump()
    assert scene.terminated.detail == "Stream Closed: the certificate is another's"


def test_stream_that_closes_while_the_end_is_awaited_is_the_end(stream):
    stream.client.close(stream.now)
    stream.client.stream_closed(stream.path, "bye", stream.now)
    stream.pump()
    assert stream.terminated.reason == "closed"


def test_other_streams_are_nobodys_business(stream):
    other = stream.path.reversed()
    stream.client.stream_opened(other, stream.now)
    stream.client.stream_closed(other, "", stream.now)
    assert stream.deliver(b"x", other) == [] and stream.discards == {"wrong_path": 1}


def test_replayed_piece_of_a_response_is_a_strangers(stream):
    stream.client.create_permission("198.51.100.99", stream.now)
    (request,) = stream.client.take_datagrams(stream.now)
    (answer,) = stream.server.receive(request, stream.now)
    stream.deliver(answer.data + answer.data)
    assert stream.discards == {"unknown_transaction": 1}
    assert [m.method for m in stream.server.requests][-1] == Method.CREATE_PERMISSION
