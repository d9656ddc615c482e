"""Audio and video of two peers of an adapter over 127.0.0.1. Adapter-neutral: `peers` makes them."""

import anyio
import anyio.lowlevel
import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media import EncodingSettings
from sans_rtc_net.errors import ConnectionLost
from sans_rtc_net.media_inbox import FRAMES_KEPT_MAX

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]

OPUS = b"\xf8" + bytes(range(80))
KEYFRAME = b"\x10\x00\x00\x9d\x01\x2a\x80\x02\x68\x01" + bytes(3000)
DELTA = b"\x11\x00\x00" + bytes(2000)


async def until(is_reached):
    with anyio.fail_after(5):
        while not is_reached():  # noqa: ASYNC110  # callbacks of the loop, which nothing signals
            await anyio.sleep(0.005)


async def test_frames_go_both_ways(peers):
    _, _, (audio, video), (other_audio, other_video) = await peers.media_pair("audio", "video")
    for sender, receiver, data in (
        (audio.sender, other_audio.receiver, OPUS),
        (video.sender, other_video.receiver, KEYFRAME),
        (other_audio.sender, audio.receiver, OPUS + b"!"),
        (other_video.sender, video.receiver, KEYFRAME + b"!"),
    ):
        assert sender.can_send
        sender.send_frame(data, 0)
        (frame,) = await peers.take(receiver.frames(), 1)
        assert frame.data == data
    assert video.sender.codec.codec.name == "VP8" and video.kind == "video" and video.mid == "1"
    assert not video.receiver.is_muted


async def test_the_peer_that_is_called_is_given_its_transceivers(peers):
    first, second, _, _ = await peers.media_pair("audio", "video")
    assert [each.kind for each in await peers.take(second.incoming_transceivers(), 2)] == ["audio", "video"]
    assert [each.kind for each in await peers.take(first.incoming_transceivers(), 2)] == ["audio", "video"]


async def test_packets_are_echoed_without_decoding(peers):
    _, _, (video,), (other,) = await peers.media_pair("video")
    packets = other.receiver.packets()
    video.sender.send_frame(KEYFRAME, 0)
    for packet in await peers.take(packets, 3):
        other.sender.send_packet(packet)
    (frame,) = await peers.take(video.receiver.frames(), 1)
    assert frame.data == KEYFRAME


async def test_a_keyframe_request_is_told_to_the_callback_and_to_who_waits(peers):
    _, _, (video,), (other,) = await peers.media_pair("video")
    asked = []
    other.sender.on_keyframe_request(asked.append)
    requests = video.sender.keyframe_requests()
    for sender in (video.sender, other.sender):
        sender.send_frame(KEYFRAME, 0)
    for receiver in (video.receiver, other.receiver):
        await peers.take(receiver.frames(), 1)
        receiver.request_keyframe()
    assert await peers.take(requests, 1) == [""]
    await until(lambda: asked)


async def test_the_bitrate_is_told(peers):
    _, _, (video,), _ = await peers.media_pair("video")
    told = []

    @video.sender.on_bitrate
    def on_bitrate(bitrate_bps):
        told.append(bitrate_bps)

    video.sender.set_encodings([EncodingSettings(max_bitrate_bps=100_000)])
    (bitrate,) = await peers.take(video.sender.bitrates(), 1)
    assert 0 < bitrate <= 300_000
    await until(lambda: 100_000 in told)
    assert video.sender.target_bitrate_bps == 100_000


async def test_frames_that_nobody_takes_are_bounded_and_the_loss_is_told(peers):
    _, _, (audio,), (other,) = await peers.media_pair("audio")
    for number in range(FRAMES_KEPT_MAX + 10):
        audio.sender.send_frame(OPUS + bytes([number]), number * 960)
    await until(lambda: other.receiver.dropped_frames == 10)
    frames = await peers.take(other.receiver.frames(), FRAMES_KEPT_MAX)
    assert frames[0].data[-1] == 10 and not frames[0].is_contiguous and frames[1].is_contiguous


async def test_iterations_end_with_the_transceiver(peers):
    first, second, (audio, video), (_, other) = await peers.media_pair("audio", "video")
    video.stop()
    await peers.signal(first, second)
    assert first.transceivers == [audio]
    with anyio.fail_after(5):
        assert [frame async for frame in other.receiver.frames()] == []
        assert [frame async for frame in video.receiver.frames()] == []
    assert other.is_stopped and video.is_stopped


async def test_iterations_end_with_a_close_and_raise_where_the_connection_is_lost(peers):
    first, second, (audio,), (other,) = await peers.media_pair("audio")
    with anyio.fail_after(5):
        first.abort()
        assert [frame async for frame in audio.receiver.frames()] == []
        await second.close()
        assert [packet async for packet in other.receiver.packets()] == []
    with pytest.raises(InvalidState):
        audio.sender.send_frame(OPUS, 0)


async def test_a_track_is_removed_and_added(peers):
    first, second, (video,), (other,) = await peers.media_pair("video")
    first.remove_track(video.sender)
    await peers.signal(first, second)
    assert video.current_direction == "recvonly" and other.current_direction == "sendonly"
    sender = first.add_track("video", streams=["again"])
    assert sender is not video.sender, "one that has sent is not taken again (W3C addTrack)"
    await peers.signal(first, second)
    assert [each.info.remote_streams for each in second.transceivers] == [(), ("again",)]
    sender.send_frame(KEYFRAME, 0)
    await peers.take(second.transceivers[1].receiver.frames(), 1)


async def test_simulcast_layers_are_told_apart(peers):
    layers = ["q", {"rid": "h", "max_bitrate_bps": 500_000}, EncodingSettings(rid="f")]
    _, _, (video,), (other,) = await peers.media_pair("video", direction="recvonly", send_encodings=layers)
    for rid in "qhf":
        video.sender.send_frame(KEYFRAME + rid.encode(), 0, rid=rid)
    frames = await peers.take(other.receiver.frames(), 3)
    assert {frame.rid: frame.data[-1:] for frame in frames} == {"q": b"q", "h": b"h", "f": b"f"}


async def test_statistics_have_the_names_of_the_w3c(peers):
    first, second, (video,), (other,) = await peers.media_pair("video")
    video.sender.send_frame(KEYFRAME, 0)
    await peers.take(other.receiver.frames(), 1)
    sent = {stats["type"]: stats for stats in first.get_stats().values()}
    received = {stats["type"]: stats for stats in second.get_stats().values()}
    assert sent["outbound-rtp"]["framesSent"] == received["inbound-rtp"]["framesReceived"] == 1
    # Padding that probes the path may follow, and be on the way.
    assert sent["outbound-rtp"]["packetsSent"] >= received["inbound-rtp"]["packetsReceived"] >= 3
    assert (
        received["transport"]["srtpCipher"] == "SRTP_AEAD_AES_128_GCM"
        and received["transport"]["dtlsState"] == "connected"
    )
    assert sent["candidate-pair"]["state"] == "succeeded" and sent["codec"]["mimeType"] == "video/VP8"
    assert {"certificate", "local-candidate", "remote-candidate", "peer-connection"} <= sent.keys()


async def test_misuse_is_refused(peers):
    first = peers.make()
    with pytest.raises(InvalidArgument, match="smell"):
        first.add_transceiver("smell")
    with pytest.raises(InvalidArgument, match="sideways"):
        first.add_transceiver("audio", direction="sideways")
    with pytest.raises(InvalidArgument, match="H999"):
        first.add_transceiver("video", codecs=["H999"])
    transceiver = first.add_transceiver("video")
    with pytest.raises(InvalidState):
        transceiver.sender.send_frame(KEYFRAME, 0)
    assert not transceiver.sender.can_send and transceiver.sender.codecs == ()


async def test_media_end_with_the_path(peers):
    first, second, _, (other,) = await peers.media_pair("audio")
    channel = first.create_data_channel("x")
    await peers.signal(first, second)
    with anyio.fail_after(5):
        await channel.opened()
        first.abort()
        with pytest.raises(ConnectionLost):
            await anext(other.receiver.frames())
