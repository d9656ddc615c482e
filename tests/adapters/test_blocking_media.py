"""Audio and video of two blocking peers over 127.0.0.1: the same verbs as on a loop, with waits."""

import threading

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media import EncodingSettings
from sans_rtc_net import BlockingPeerConnection, ChannelClosed, ConnectionLost
from sans_rtc_net.media_inbox import FRAMES_KEPT_MAX

pytestmark = pytest.mark.usefixtures("no_leaks")

OPUS = b"\xf8" + bytes(range(80))
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)
TIMEOUT_S = 5.0


@pytest.fixture
def pair():
    with BlockingPeerConnection(bind="127.0.0.1") as first, BlockingPeerConnection(bind="127.0.0.1") as second:
        yield first, second
        for peer in (first, second):
            peer.abort()


def negotiate(first, second, direction=None):
    first.set_local_description()
    first.gathering_complete(TIMEOUT_S)
    second.set_remote_description(first.local_description)
    for transceiver in second.transceivers:
        if direction is not None:
            transceiver.direction = direction
    second.set_local_description()
    second.gathering_complete(TIMEOUT_S)
    first.set_remote_description(second.local_description)
    first.wait_connected(TIMEOUT_S)
    second.wait_connected(TIMEOUT_S)


def connect(pair, *kinds, direction="sendrecv", **options):
    """The transceivers of the first and of the second, in order, connected."""
    first, second = pair
    mine = [first.add_transceiver(kind, **options) for kind in kinds]
    negotiate(first, second, direction)
    return mine, second.transceivers


def test_frames_go_both_ways(pair):
    (audio, video), (other_audio, other_video) = connect(pair, "audio", "video")
    for sender, receiver, data in (
        (audio.sender, other_audio.receiver, OPUS),
        (video.sender, other_video.receiver, KEYFRAME),
        (other_audio.sender, audio.receiver, OPUS + b"!"),
        (other_video.sender, video.receiver, KEYFRAME + b"!"),
    ):
        assert sender.can_send
        sender.send_frame(data, 0)
        assert next(receiver.frames(TIMEOUT_S)).data == data
    assert video.sender.codec.codec.name == "VP8" and (video.kind, video.mid) == ("video", "1")
    assert not video.receiver.is_muted and video.receiver.codecs


def test_a_wait_for_a_frame_ends_with_its_time_and_can_be_repeated(pair):
    (audio,), (other,) = connect(pair, "audio")
    frames = other.receiver.frames(0.02)
    with pytest.raises(TimeoutError):
        next(frames)
    audio.sender.send_frame(OPUS, 0)
    assert next(other.receiver.frames(TIMEOUT_S)).data == OPUS


def test_the_peer_that_is_called_is_given_its_transceivers(pair):
    connect(pair, "audio", "video")
    for peer in pair:
        assert [peer.accept_transceiver(TIMEOUT_S).kind for _ in range(2)] == ["audio", "video"]
        with pytest.raises(TimeoutError):
            peer.accept_transceiver(0.01)


def test_packets_are_echoed_without_decoding(pair):
    (video,), (other,) = connect(pair, "video")
    packets = other.receiver.packets(TIMEOUT_S)
    video.sender.send_frame(KEYFRAME, 0)
    for _ in range(3):
        other.sender.send_packet(next(packets))
    assert next(video.receiver.frames(TIMEOUT_S)).data == KEYFRAME


def test_a_keyframe_request_is_told_to_who_waits_and_to_the_callback_which_may_send(pair):
    (video,), (other,) = connect(pair, "video")
    threads = []

    @other.sender.on_keyframe_request
    def send(rid):
        threads.append(threading.current_thread())
        other.sender.send_frame(KEYFRAME + b"asked", 3000)

    requests = video.sender.keyframe_requests(TIMEOUT_S)
    for sender, receiver in ((video.sender, other.receiver), (other.sender, video.receiver)):
        sender.send_frame(KEYFRAME, 0)
        next(receiver.frames(TIMEOUT_S))
        receiver.request_keyframe()
    assert next(requests) == ""
    assert next(video.receiver.frames(TIMEOUT_S)).data == KEYFRAME + b"asked"
    assert threads[0] not in (threading.current_thread(), None)


def test_the_bitrate_is_told(pair):
    (video,), _ = connect(pair, "video")
    told, is_told = [], threading.Event()
    video.sender.on_bitrate(lambda bitrate_bps: (told.append(bitrate_bps), is_told.set()))
    video.sender.set_encodings([EncodingSettings(max_bitrate_bps=100_000)])
    assert 0 < next(video.sender.bitrates(TIMEOUT_S)) <= 300_000
    assert is_told.wait(TIMEOUT_S) and told[-1] == video.sender.target_bitrate_bps == 100_000
    assert video.sender.bitrate_by_rid == {"": 100_000}


def test_an_error_in_a_callback_ends_the_connection_and_is_not_swallowed(pair, monkeypatch):
    first, _ = pair
    (video,), _ = connect(pair, "video")
    raised = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: raised.append(arguments.exc_value))
    video.sender.on_bitrate(lambda bitrate_bps: 1 // 0)
    video.sender.set_encodings([EncodingSettings(max_bitrate_bps=100_000)])
    with pytest.raises(ConnectionLost):
        next(video.receiver.frames(TIMEOUT_S))
    first.abort()
    assert [type(error) for error in raised] == [ZeroDivisionError]


def test_frames_that_nobody_takes_are_bounded_and_the_loss_is_told(pair):
    (audio,), (other,) = connect(pair, "audio")
    for number in range(FRAMES_KEPT_MAX + 10):
        audio.sender.send_frame(OPUS + bytes([number]), number * 960)
    done = threading.Event()
    for _ in range(500):
        if other.receiver.dropped_frames == 10:
            break
        done.wait(0.01)
    frames = other.receiver.frames(TIMEOUT_S)
    first, second = next(frames), next(frames)
    assert first.data[-1] == 10 and not first.is_contiguous and second.is_contiguous


def test_a_thread_that_waits_for_frames_ends_with_the_transceiver(pair):
    first, second = pair
    (audio, video), (_, other) = connect(pair, "audio", "video")
    counts = []
    waiting = threading.Thread(target=lambda: counts.append(len(list(other.receiver.frames()))))
    waiting.start()
    video.stop()
    negotiate(first, second)
    waiting.join(TIMEOUT_S)
    assert not waiting.is_alive() and counts == [0]
    assert first.transceivers == [audio] and other.is_stopped and video.is_stopped


def test_iterations_end_with_a_close_of_either_end(pair):
    first, second = pair
    (audio,), (other,) = connect(pair, "audio")
    first.close()
    assert list(audio.receiver.frames(TIMEOUT_S)) == list(other.receiver.packets(TIMEOUT_S)) == []
    assert [each.kind for each in second.incoming_transceivers()] == ["audio"]
    with pytest.raises(InvalidState):
        audio.sender.send_frame(OPUS, 0)


def test_iterations_raise_where_the_connection_is_lost(pair):
    first, second = pair
    _, (other,) = connect(pair, "audio")
    second.accept_transceiver(TIMEOUT_S)
    first.abort()
    with pytest.raises(ConnectionLost):
        next(other.receiver.frames(TIMEOUT_S))
    with pytest.raises(ConnectionLost):
        second.accept_transceiver(TIMEOUT_S)
    with pytest.raises(ChannelClosed):
        first.accept_transceiver(TIMEOUT_S) and first.accept_transceiver(TIMEOUT_S)


def test_a_track_is_removed_and_added(pair):
    first, second = pair
    (video,), (other,) = connect(pair, "video")
    first.remove_track(video.sender)
    negotiate(first, second)
    assert video.current_direction == "recvonly" and other.current_direction == "sendonly"
    sender = first.add_track("video", streams=["again"])
    assert sender is not video.sender
    negotiate(first, second)
    sender.send_frame(KEYFRAME, 0)
    assert next(second.transceivers[1].receiver.frames(TIMEOUT_S)).data == KEYFRAME
    with pytest.raises(InvalidArgument):
        second.remove_track(sender)


def test_simulcast_layers_are_told_apart(pair):
    layers = ["q", {"rid": "h", "max_bitrate_bps": 500_000}, EncodingSettings(rid="f")]
    (video,), (other,) = connect(pair, "video", direction="recvonly", send_encodings=layers)
    for rid in "qhf":
        video.sender.send_frame(KEYFRAME + rid.encode(), 0, rid=rid)
    frames = other.receiver.frames(TIMEOUT_S)
    assert {frame.rid: frame.data[-1:] for frame in (next(frames) for _ in range(3))} == {
        "q": b"q",
        "h": b"h",
        "f": b"f",
    }


def test_statistics_have_the_names_of_the_w3c(pair):
    first, second = pair
    (video,), (other,) = connect(pair, "video")
    video.sender.send_frame(KEYFRAME, 0)
    next(other.receiver.frames(TIMEOUT_S))
    sent = {stats["type"]: stats for stats in first.get_stats().values()}
    received = {stats["type"]: stats for stats in second.get_stats().values()}
    assert sent["outbound-rtp"]["packetsSent"] == received["inbound-rtp"]["packetsReceived"] == 3
    assert sent["codec"]["mimeType"] == "video/VP8"


def test_many_threads_send_at_once(pair):
    (audio, video), (other_audio, other_video) = connect(pair, "audio", "video")

    def send(sender, data, clock):
        for number in range(50):
            sender.send_frame(data, number * clock)

    work = [(audio.sender, OPUS, 960), (video.sender, KEYFRAME[:500], 3000)]
    threads = [threading.Thread(target=send, args=arguments) for arguments in work]
    for thread in threads:
        thread.start()
    for receiver in (other_audio.receiver, other_video.receiver):
        frames = receiver.frames(TIMEOUT_S)
        assert sum(next(frames).is_contiguous for _ in range(50)) >= 49
    for thread in threads:
        thread.join(TIMEOUT_S)


def test_misuse_is_refused(pair):
    first, _ = pair
    with pytest.raises(InvalidArgument, match="smell"):
        first.add_transceiver("smell")
    with pytest.raises(InvalidArgument, match="sideways"):
        first.add_transceiver("audio", direction="sideways")
    transceiver = first.add_transceiver("video")
    with pytest.raises(InvalidState):
        transceiver.sender.send_frame(KEYFRAME, 0)
    with pytest.raises(InvalidArgument, match="rid"):
        first.add_transceiver("video", send_encodings=[{"smell": 1}])
    assert not transceiver.sender.can_send and transceiver.sender.codecs == ()
    assert "BlockingTransceiver" in repr(transceiver)
