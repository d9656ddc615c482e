"""Files are played: as they are where they can be, else transcoded, with timestamps that go on and times when due."""

import itertools
import socket
import threading
import wave

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.rtp.payload import MediaKind, codecs_named

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

from fractions import Fraction

import av

from sans_rtc_av import (
    CodecFailed,
    EncoderSettings,
    PictureSource,
    Player,
    Recorder,
    SourcePlayer,
    ToneSource,
    Transcode,
    available_encoders,
    frame_number_of,
    new_decoder,
    new_encoder,
    samples_of_sound,
)


@pytest.fixture(scope="module")
def recording(tmp_path_factory):
    """recording(video, audio, suffix) -> the path of a file of a second, and the frames in it."""
    known = {}

    def make(video, audio, suffix):
        key = video, audio, suffix
        if key not in known:
            known[key] = path = tmp_path_factory.mktemp("media") / f"a{suffix}"
            record(path, video, audio)
        return known[key]

    return make


def record(path, video, audio):
    if video is not None and video not in available_encoders():
        pytest.skip(f"this build of PyAV has no encoder of {video}")
    player = SourcePlayer(
        PictureSource(160, 120) if video else None, ToneSource(440) if audio else None, duration_s=1.0
    )
    player.choose(video=video, audio=audio)
    with Recorder(path) as recorder:
        tracks = {k: recorder.add_track(n) for k, n in (("video", video), ("audio", audio)) if n}
        for frame in player.frames():
            recorder.write(tracks[frame.kind], frame.data, frame.timestamp)


def numbers_of(frames, codec_name):
    decoder = new_decoder(codec_name)
    return [frame_number_of(p) for f in frames for p in decoder.decode(f.data, f.timestamp)]


def samples_in(frames, codec_name):
    decoder = new_decoder(codec_name)
    return b"".join(samples_of_sound(s) for f in frames for s in decoder.decode(f.data, f.timestamp))


def by_kind(frames):
    frames = list(frames)
    return [[frame for frame in frames if frame.kind is kind] for kind in (MediaKind.VIDEO, MediaKind.AUDIO)]


@pytest.mark.parametrize(
    ("video", "suffix"),
    [("VP8", ".webm"), ("VP9", ".webm"), ("AV1", ".mkv"), ("AV1", ".mp4"), ("H264", ".mp4"), ("H264", ".mkv")],
)
def test_file_is_passed_on_as_it_is(video, suffix, recording):
    with Player(recording(video, "opus", suffix), transcode=Transcode.NEVER) as player:
        assert (player.video_codec, player.audio_codec) == (video, "opus")
        assert player.duration_s == pytest.approx(1.0, abs=0.05)
        pictures, sounds = by_kind(player.frames())
    codec = codecs_named(video)[0]
    assert numbers_of(pictures, video) == list(range(30))
    assert [n for n, frame in enumerate(pictures) if frame.is_keyframe] == [0]
    assert [codec.is_keyframe(frame.data) for frame in pictures] == [frame.is_keyframe for frame in pictures]
    assert [frame.due_s for frame in pictures] == pytest.approx([n / 30 for n in range(30)], abs=0.01)
    assert [frame.timestamp for frame in sounds] == list(range(0, 960 * len(sounds), 960))
    assert len(sounds) in (50, 51)


def test_passed_frames_are_those_that_were_recorded(recording):
    encoder = new_encoder("VP8")
    source = PictureSource(160, 120)
    encoded = [frame.data for number in range(30) for frame in encoder.encode(source.frame(number))]
    with Player(recording("VP8", "opus", ".webm"), audio=False) as player:
        assert [frame.data for frame in player.frames()] == encoded


@pytest.mark.parametrize(("video", "audio"), [("H264", "PCMU"), ("VP8", "G722"), ("VP9", "opus"), ("AV1", "PCMA")])
def test_file_is_transcoded_into_what_was_negotiated(video, audio, recording, frequency_of):
    if video not in available_encoders():
        pytest.skip(f"this build of PyAV has no encoder of {video}")
    with Player(recording("VP8", "opus", ".webm")) as player:
        player.choose(video=video, audio=audio)
        pictures, sounds = by_kind(player.frames())
    assert {frame.codec_name for frame in pictures} == {video}
    assert {frame.codec_name for frame in sounds} == {audio}
    assert numbers_of(pictures, video) == list(range(30))
    channels = 2 if audio == "opus" else 1
    samples = samples_in(sounds, audio)
    rate = {"opus": 48000, "G722": 16000}.get(audio, 8000)
    assert frequency_of(samples[len(samples) // 10 & ~3 : -len(samples) // 10 & ~3], rate, channels) == pytest.approx(
        440, rel=0.01
    )
    assert len(samples) / (2 * channels * rate) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("codec_name", ["PCMU", "PCMA"])
def test_samples_of_a_file_are_cut_to_packets(codec_name, recording, frequency_of):
    with Player(recording(None, codec_name, ".wav"), transcode="never") as player:
        frames = list(player.frames())
    assert [(frame.timestamp, len(frame.data)) for frame in frames] == [(n * 160, 160) for n in range(len(frames))]
    assert len(frames) in (50, 51)
    assert frequency_of(samples_in(frames, codec_name)[:-640], 8000) == pytest.approx(440, rel=0.01)


def test_file_of_plain_samples_becomes_opus(recording, frequency_of):
    with Player(recording(None, "G722", ".wav")) as player:
        assert (player.audio_codec, player.video_codec) == ("opus", None)
        frames = list(player.frames())
    assert frequency_of(samples_in(frames, "opus")[20000:], 48000, 2) == pytest.approx(440, rel=0.01)


@pytest.mark.parametrize("transcode", ["auto", "always"])
def test_loop_goes_on_in_time(transcode, recording):
    with Player(recording("VP8", "opus", ".webm"), loop=True, transcode=transcode) as player:
        pictures, sounds = by_kind(itertools.islice(player.frames(), 200))
    assert player.stats.rounds == 3
    for frames, step in ((pictures, 3000), (sounds, 960)):
        steps = [b.timestamp - a.timestamp for a, b in itertools.pairwise(frames)]
        assert min(steps) > step / 2
        assert max(steps) < 2.5 * step
    assert numbers_of(pictures, "VP8")[:65] == [n % 30 for n in range(65)]


@pytest.mark.parametrize("samples", [22049, 22050 + 317, 22050 + 890, 22050 + 905])
def test_loop_of_a_sound_of_any_length_goes_on(samples, tmp_path):
    path, tone = tmp_path / "a.wav", b"".join(map(samples_of_sound, ToneSource(441, sample_rate=44100).frames(30)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(44100)
        file.writeframes(tone[: 2 * samples])
    with Player(path, loop=True) as player:
        frames = list(itertools.islice(player.frames(), 120))
    assert player.stats.rounds >= 4
    assert [frame.timestamp for frame in frames] == [n * 960 for n in range(120)]


def test_keyframes_and_bitrate_follow_where_frames_are_encoded(recording):
    with Player(recording("VP8", "opus", ".webm"), audio=False, transcode="always") as player:
        player.set_bitrate("video", 500_000)
        keyframes = []
        for number, frame in enumerate(player.frames()):
            if frame.is_keyframe:
                keyframes.append(number)
            if number == 9:
                player.request_keyframe()
    assert keyframes == [0, 10]


@pytest.mark.parametrize("has_b_frames", [True, False])
def test_pictures_out_of_order_are_transcoded(has_b_frames, tmp_path):
    path, source = tmp_path / "a.mp4", PictureSource(160, 120)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(
            "libx264", rate=30, options={"bf": "2", "b_strategy": "0"} if has_b_frames else {}
        )
        stream.width, stream.height, stream.pix_fmt, stream.time_base = 160, 120, "yuv420p", Fraction(1, 90000)
        if not has_b_frames:
            stream.codec_context.max_b_frames = 0
        for number in range(30):
            container.mux(stream.encode(source.frame(number)))
        container.mux(stream.encode(None))
    if has_b_frames:
        with pytest.raises(InvalidArgument):
            list(Player(path, transcode="never").frames())
    with Player(path) as player:
        frames = list(player.frames())
    assert numbers_of(frames, "H264") == list(range(30))
    timestamps = [frame.timestamp for frame in frames]
    assert timestamps == sorted(timestamps)
    assert timestamps[0] == 0


def test_damaged_file_is_played_as_far_as_it_goes(recording, tmp_path):
    path = tmp_path / "a.webm"
    data = bytearray(recording("VP8", "opus", ".webm").read_bytes())
    data[len(data) // 3 :: 97] = bytes(len(data[len(data) // 3 :: 97]))
    path.write_bytes(data[: len(data) * 2 // 3])
    for transcode in ("auto", "always"):
        with Player(path, transcode=transcode) as player:
            player.choose(video="VP8", audio="opus")
            assert len(list(player.frames())) < 80


def test_nothing_comes_after_close(recording):
    player = Player(recording("VP8", "opus", ".webm"), loop=True)
    frames = player.frames()
    next(frames)
    player.close()
    assert list(frames) == []


def test_misuse_is_refused(recording, tmp_path):
    path = recording("VP8", "opus", ".webm")
    with Player(path) as player:
        with pytest.raises(InvalidArgument):
            player.choose(video="opus")
        with pytest.raises(InvalidArgument):
            player.set_bitrate("video", 0)
        next(player.frames())
        with pytest.raises(InvalidState):
            player.choose(video="VP8")
        with pytest.raises(InvalidState):
            next(player.frames())
    with pytest.raises(InvalidArgument):
        Player(path, audio=False, video=False)
    with pytest.raises(CodecFailed):
        Player(tmp_path / "none.webm")
    (tmp_path / "text.webm").write_text("no film")
    with pytest.raises(CodecFailed):
        Player(tmp_path / "text.webm")
    with pytest.raises(InvalidArgument):
        SourcePlayer()


def test_only_local_files_are_opened(tmp_path):
    visits = []

    def serve(server):
        while visits[-1:] != ["end"]:
            connection, _ = server.accept()
            visits.append(connection.recv(3).decode())
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        listing = tmp_path / "list.m3u8"
        listing.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{url}\n#EXT-X-ENDLIST\n")
        for path in (url, listing):
            with pytest.raises((CodecFailed, InvalidArgument)):
                Player(path)
        with socket.create_connection(server.getsockname()) as connection:
            connection.send(b"end")
            thread.join()
    assert visits == ["end"]


def test_sources_are_played_in_the_order_of_their_times():
    player = SourcePlayer(PictureSource(160, 120), ToneSource(), duration_s=0.5)
    player.choose(video="VP8", audio="PCMU")
    frames = list(player.frames())
    pictures, sounds = by_kind(frames)
    assert [frame.timestamp for frame in pictures] == [n * 3000 for n in range(15)]
    assert [frame.timestamp for frame in sounds] == [n * 160 for n in range(len(sounds))]
    assert len(sounds) in (25, 26)  # the last one filled with silence
    assert all(abs(a.due_s - b.due_s) < 0.05 for a, b in itertools.pairwise(frames))


def test_bitrate_said_before_the_first_frame_is_the_first_one():
    sizes = []
    for bitrate_bps in (12_000, 128_000):
        player = SourcePlayer(tone=ToneSource(), duration_s=0.5)
        player.set_bitrate("audio", bitrate_bps)
        sizes.append(sum(len(frame.data) for frame in player.frames()))
    assert sizes[1] > 3 * sizes[0]


def test_encoder_and_bitrate_of_the_settings_are_those_of_video():
    settings = EncoderSettings(encoder="libvpx", bitrate_bps=2_000_000, speed="-4")
    player = SourcePlayer(PictureSource(160, 120), ToneSource(), duration_s=0.5, settings=settings)
    _, sounds = by_kind(player.frames())
    assert sum(len(frame.data) for frame in sounds) * 8 / 0.5 < 100_000


def test_source_gives_keyframes_on_request_until_it_is_closed():
    with SourcePlayer(PictureSource(160, 120)) as player:
        keyframes = []
        for number, frame in enumerate(player.frames()):
            keyframes += [number] * frame.is_keyframe
            if number == 4:
                player.request_keyframe()
                player.set_bitrate("video", 2_000_000)
            if number == 8:
                player.close()
    assert keyframes == [0, 5]
    assert number == 8
