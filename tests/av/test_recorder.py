"""What a recorder writes is opened again: codecs, counts, durations, gaps, the tone in it."""

import itertools
import shutil
from fractions import Fraction

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

import av

from sans_rtc_av import (
    CodecFailed,
    EncoderSettings,
    PictureSource,
    Recorder,
    RecorderDiscardReason,
    RecorderSettings,
    ToneSource,
    available_encoders,
    frame_number_of,
    new_encoder,
    samples_of_sound,
)

VIDEO_FILES = [
    ("VP8", ".webm"), ("VP8", ".mkv"), ("VP9", ".webm"), ("VP9", ".mkv"), ("H264", ".mkv"), ("H264", ".mp4"),
    ("AV1", ".webm"), ("AV1", ".mkv"), ("AV1", ".mp4"), ("VP8", ".ivf"), ("VP9", ".ivf"), ("AV1", ".ivf"),
]  # fmt: skip
AUDIO_FILES = [
    ("opus", ".mkv", "opus"), ("opus", ".webm", "opus"), ("opus", ".mp4", "opus"), ("opus", ".ogg", "opus"),
    ("opus", ".wav", "pcm_s16le"), ("PCMU", ".wav", "pcm_mulaw"), ("PCMA", ".wav", "pcm_alaw"),
    ("G722", ".wav", "pcm_s16le"), ("PCMU", ".mkv", "pcm_s16le"), ("PCMA", ".mkv", "pcm_s16le"),
    ("G722", ".mkv", "pcm_s16le"), ("PCMU", ".webm", "opus"), ("G722", ".mp4", "opus"), ("PCMA", ".ogg", "opus"),
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures():
    """pictures(codec_name) -> 30 frames, a keyframe every ten."""
    known = {}

    def make(codec_name):
        if codec_name not in available_encoders():
            pytest.skip(f"this build of PyAV has no encoder of {codec_name}")
        if codec_name not in known:
            encoder, source = (
                new_encoder(codec_name, EncoderSettings(keyframe_interval_s=1 / 3)),
                PictureSource(160, 120),
            )
            known[codec_name] = [f for number in range(30) for f in encoder.encode(source.frame(number))]
        return known[codec_name]

    return make


@pytest.fixture(scope="module")
def tones():
    """tones(codec_name) -> 50 frames, a second of 440 Hz."""
    known = {}

    def make(codec_name):
        if codec_name not in known:
            encoder, source = new_encoder(codec_name), ToneSource(440)
            known[codec_name] = ([f for n in range(52) for f in encoder.encode(source.frame(n))] + encoder.flush())[:50]
        return known[codec_name]

    return make


def packets_of(path):
    with av.open(str(path)) as container:
        codecs = [stream.codec_context.codec.canonical_name for stream in container.streams]
        times = [[] for _ in codecs]
        for packet in container.demux():
            if packet.size:
                times[packet.stream_index].append(float(packet.pts * packet.time_base))
        return codecs, times


def pictures_of(path):
    with av.open(str(path)) as container:
        return [(frame.time, frame_number_of(frame)) for frame in container.decode(video=0)]


def sound_of(path):
    """Samples, rate, channels and the begin of each sound."""
    with av.open(str(path)) as container:
        sounds = list(container.decode(audio=0))
        channels = len(sounds[0].layout.channels)
        return b"".join(map(samples_of_sound, sounds)), sounds[0].sample_rate, channels, [s.time for s in sounds]


@pytest.mark.parametrize(("codec_name", "suffix"), VIDEO_FILES)
def test_video_is_in_the_file_as_it_was(codec_name, suffix, pictures, tmp_path):
    path = tmp_path / f"a{suffix}"
    with Recorder(path) as recorder:
        track = recorder.add_track(codec_name, "video")
        for frame in pictures(codec_name):
            recorder.write(track, frame.data, (frame.timestamp + 0xFFFF0000) % 2**32, frame.is_keyframe)
    codecs, times = packets_of(path)
    assert codecs == [codec_name.lower()]
    assert times[0] == pytest.approx([n / 30 for n in range(30)], abs=0.002)
    assert [number for _, number in pictures_of(path)] == list(range(30))
    assert recorder.track_stats(track).frames == 30
    assert recorder.track_stats(track).discards == {}
    with av.open(str(path)) as container:
        assert (container.streams[0].width, container.streams[0].height) == (160, 120)


@pytest.mark.parametrize(("codec_name", "suffix", "file_codec"), AUDIO_FILES)
def test_tone_is_in_the_file_without_gaps(codec_name, suffix, file_codec, tones, tmp_path, frequency_of, quietest_of):
    path = tmp_path / f"a{suffix}"
    with Recorder(path) as recorder:
        track = recorder.add_track(codec_name, "audio")
        for frame in tones(codec_name):
            recorder.write(track, frame.data, (frame.timestamp + 0xFFFFFF00) % 2**32)
    codecs, _ = packets_of(path)
    assert codecs == [file_codec]
    samples, rate, channels, _ = sound_of(path)
    assert len(samples) / (2 * channels * rate) == pytest.approx(1, abs=0.03)
    middle = samples[4 * (rate // 20) : -4 * (rate // 20)]
    assert frequency_of(middle, rate, channels) == pytest.approx(440, rel=0.005)
    assert quietest_of(middle, rate, channels) > 3000


@pytest.mark.parametrize(("video", "suffix"), [("VP8", ".webm"), ("H264", ".mp4"), ("H264", ".mkv"), ("AV1", ".mkv")])
def test_picture_and_sound_lie_side_by_side_by_their_clock(video, suffix, pictures, tones, tmp_path):
    path = tmp_path / f"a{suffix}"
    with Recorder(path) as recorder:
        ids = recorder.add_track(video), recorder.add_track("opus")
        # Video was captured 0.2 s before the sound, and comes after it.
        for frame in tones("opus"):
            recorder.write(ids[1], frame.data, frame.timestamp, at_s=100.2 + frame.timestamp / 48000)
        for frame in pictures(video):
            recorder.write(ids[0], frame.data, frame.timestamp, at_s=100 + frame.timestamp / 90000)
    _, times = packets_of(path)
    assert times[0][0] == pytest.approx(0, abs=0.01)
    assert times[1][0] == pytest.approx(0.2, abs=0.01)


def test_track_without_a_clock_begins_where_the_others_are(pictures, tones, tmp_path):
    path = tmp_path / "a.mkv"
    with Recorder(path) as recorder:
        audio, video = recorder.add_track("opus"), recorder.add_track("VP8")
        for frame in tones("opus")[:26]:
            recorder.write(audio, frame.data, frame.timestamp)
        for frame in pictures("VP8"):
            recorder.write(video, frame.data, frame.timestamp)
    _, times = packets_of(path)
    assert times[1][0] - times[0][0] == pytest.approx(0.5, abs=0.01)


def test_video_begins_with_the_first_keyframe(pictures, tmp_path):
    path, frames = tmp_path / "a.webm", pictures("VP8")
    with Recorder(path) as recorder:
        track = recorder.add_track("VP8")
        for frame in frames[4:]:
            recorder.write(track, frame.data, frame.timestamp)
    assert [number for _, number in pictures_of(path)] == list(range(10, 30))
    assert recorder.track_stats(track).discards == {RecorderDiscardReason.AWAITING_KEYFRAME: 6}


@pytest.mark.parametrize("codec_name", ["VP8", "VP9", "H264", "AV1"])
def test_what_comes_after_a_loss_is_left_out_until_the_next_keyframe(codec_name, pictures, tmp_path):
    path, frames = tmp_path / "a.mkv", pictures(codec_name)
    with Recorder(path) as recorder:
        track = recorder.add_track(codec_name)
        assert recorder.needs_keyframe(track)
        for number in (*range(5), *range(7, 30)):
            recorder.write(track, frames[number].data, frames[number].timestamp, is_contiguous=number != 7)
            assert recorder.needs_keyframe(track) == (number in (7, 8, 9))
    assert [number for _, number in pictures_of(path)] == [*range(5), *range(10, 30)]
    assert recorder.track_stats(track).discards == {RecorderDiscardReason.AWAITING_KEYFRAME: 3}


def test_what_comes_after_a_loss_is_kept_where_the_settings_say_so(pictures, tmp_path):
    frames = pictures("VP8")
    with Recorder(tmp_path / "a.mkv", settings=RecorderSettings(waits_for_keyframe=False)) as recorder:
        track = recorder.add_track("VP8")
        for frame in (*frames[:5], *frames[7:]):
            recorder.write(track, frame.data, frame.timestamp, is_contiguous=frame is not frames[7])
    assert recorder.track_stats(track).frames == 28


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_gap_of_pictures_stays_a_gap(suffix, pictures, tmp_path):
    path, frames = tmp_path / f"a{suffix}", pictures("VP8")
    with Recorder(path) as recorder:
        track = recorder.add_track("VP8")
        for frame in frames[:5] + frames[20:]:
            recorder.write(track, frame.data, frame.timestamp)
    times = packets_of(path)[1][0]
    assert times[5] - times[4] == pytest.approx(16 / 30, abs=0.002)


@pytest.mark.parametrize("codec_name", ["opus", "PCMU", "PCMA", "G722"])
def test_gap_of_sound_is_silence_in_a_file_without_timestamps(codec_name, tones, tmp_path, quietest_of):
    path, frames = tmp_path / "a.wav", tones(codec_name)
    with Recorder(path) as recorder:
        track = recorder.add_track(codec_name)
        for frame in frames[:20] + frames[30:]:
            recorder.write(track, frame.data, frame.timestamp)
    samples, rate, channels, _ = sound_of(path)
    assert len(samples) / (2 * channels * rate) == pytest.approx(1, abs=0.01)
    begin, end = (2 * channels * int(rate * at) for at in (0.43, 0.57))
    assert quietest_of(samples[begin:end], rate, channels) < 20


def test_frames_that_come_late_or_twice_are_left_out(pictures, tones, tmp_path):
    frames, sounds = pictures("VP8"), tones("PCMU")
    with Recorder(tmp_path / "a.mkv") as recorder, Recorder(tmp_path / "a.wav") as wav:
        video, audio = recorder.add_track("VP8"), wav.add_track("PCMU")
        for number in (0, 1, 3, 2, 3, 4):
            recorder.write(video, frames[number].data, frames[number].timestamp)
            wav.write(audio, sounds[number].data, sounds[number].timestamp)
    assert recorder.track_stats(video).discards == {RecorderDiscardReason.LATE: 2}
    assert packets_of(tmp_path / "a.mkv")[1][0] == pytest.approx([0, 1 / 30, 3 / 30, 4 / 30], abs=0.002)
    assert len(sound_of(tmp_path / "a.wav")[0]) == 2 * 5 * 160


def test_timestamps_that_begin_anew_go_on_in_the_file(tones, tmp_path):
    frames, path = tones("opus"), tmp_path / "a.mkv"
    with Recorder(path) as recorder:
        track = recorder.add_track("opus")
        for number, frame in enumerate(frames):
            recorder.write(
                track, frame.data, frame.timestamp + (2_000_000_000 if number >= 25 else 0), at_s=number / 50
            )
    times = packets_of(path)[1][0]
    assert recorder.track_stats(track).jumps == 1
    assert [b - a for a, b in itertools.pairwise(times)] == pytest.approx([0.02] * 49, abs=0.002)


def test_track_that_has_nothing_is_left_out_after_a_while(tones, pictures, tmp_path):
    path = tmp_path / "a.mkv"
    with Recorder(path, settings=RecorderSettings(start_wait_s=0.5)) as recorder:
        video, audio = recorder.add_track("VP8"), recorder.add_track("opus")
        for frame in tones("opus"):
            recorder.write(audio, frame.data, frame.timestamp)
        assert recorder.is_started
        recorder.write(video, pictures("VP8")[0].data, 0)
    assert packets_of(path)[0] == ["opus"]
    assert recorder.track_stats(video).discards == {RecorderDiscardReason.TRACK_TOO_LATE: 1}
    assert recorder.track_stats(audio).frames == 50


@pytest.mark.parametrize("settings", [{"wait_frames_max": 3}, {"wait_bytes_max": 200}])
def test_waiting_is_bounded(settings, tones, tmp_path):
    with Recorder(tmp_path / "a.mkv", settings=RecorderSettings(**settings)) as recorder:
        recorder.add_track("VP8")
        audio = recorder.add_track("opus")
        for frame in tones("opus")[:5]:
            recorder.write(audio, frame.data, frame.timestamp)
        assert recorder.is_started


@pytest.mark.parametrize(
    ("codec_name", "suffix"), [("VP8", ".mkv"), ("VP8", ".webm"), ("H264", ".mkv"), ("H264", ".mp4")]
)
def test_file_of_a_recorder_that_never_came_to_its_end_can_be_read(codec_name, suffix, pictures, tmp_path):
    recorder = Recorder(tmp_path / f"a{suffix}")
    track = recorder.add_track(codec_name)
    for round_ in range(3):
        for frame in pictures(codec_name):
            recorder.write(track, frame.data, frame.timestamp + 90000 * round_)
    copy = tmp_path / f"b{suffix}"
    shutil.copy(tmp_path / f"a{suffix}", copy)
    assert len(pictures_of(copy)) >= 45
    recorder.close()
    assert len(pictures_of(tmp_path / f"a{suffix}")) == 90


def test_h264_begins_with_parameter_sets_that_came_before(pictures, tmp_path):
    from sans_rtc.rtp.payload import join_annex_b, split_annex_b

    def bare(frame):
        return join_annex_b(unit for unit in split_annex_b(frame.data) if unit[0] & 0x1F not in (7, 8))

    frames = pictures("H264")
    with Recorder(tmp_path / "a.mkv") as recorder:
        track = recorder.add_track("H264")
        recorder.write(track, bare(frames[0]), 0)  # nothing says its size
        sets = [unit for unit in split_annex_b(frames[0].data) if unit[0] & 0x1F in (7, 8)]
        recorder.write(track, join_annex_b(sets), 1)
        for frame in frames:
            recorder.write(track, bare(frame), frame.timestamp + 3000)
    assert [number for _, number in pictures_of(tmp_path / "a.mkv")] == list(range(30))


def test_garbage_of_a_peer_never_raises(pictures, tones, tmp_path):
    import random

    source = random.Random(1)
    for suffix in (".mkv", ".webm", ".mp4", ".wav"):
        with Recorder(tmp_path / f"a{suffix}") as recorder:
            names = {".mp4": ["H264", "opus"], ".wav": ["G722"], ".webm": ["VP8", "PCMU"]}.get(suffix, ["AV1", "opus"])
            ids = [recorder.add_track(name) for name in names]
            for name, track in zip(names, ids, strict=True):
                first = (pictures(name) if name in ("H264", "AV1", "VP8") else tones(name))[0]
                recorder.write(track, first.data, 0)
            for _ in range(200):
                track = source.choice(ids)
                recorder.write(track, source.randbytes(source.choice([0, 1, 5, 200])), source.getrandbits(32))
        assert (tmp_path / f"a{suffix}").stat().st_size > 0


def test_silence_of_a_file_is_bounded(tones, tmp_path):
    with Recorder(tmp_path / "a.wav") as recorder:
        track = recorder.add_track("PCMU")
        for number in range(300):
            recorder.write(track, tones("PCMU")[0].data, number * 29 * 8000)
    assert (tmp_path / "a.wav").stat().st_size < 3700 * 8000


def test_no_file_is_made_of_nothing(tmp_path):
    with Recorder(tmp_path / "a.mkv") as recorder:
        recorder.add_track("VP8")
    recorder.close()
    assert not (tmp_path / "a.mkv").exists()


def test_misuse_is_refused(tones, tmp_path):
    with pytest.raises(InvalidArgument):
        Recorder(tmp_path / "a.avi")
    for suffix, codec_name, kind in ((".wav", "VP8", None), (".mp4", "VP8", None), (".mkv", "VP8", "audio")):
        with pytest.raises(InvalidArgument):
            Recorder(tmp_path / f"a{suffix}").add_track(codec_name, kind)
    recorder = Recorder(tmp_path / "a.wav")
    track = recorder.add_track("PCMU")
    with pytest.raises(InvalidArgument):
        recorder.add_track("PCMU")
    with pytest.raises(InvalidArgument):
        recorder.write(track + 1, b"x", 0)
    recorder.write(track, tones("PCMU")[0].data, 0)
    with pytest.raises(InvalidState):
        recorder.add_track("PCMU")
    recorder.close()
    with pytest.raises(InvalidState):
        recorder.write(track, b"x", 0)


def test_folder_that_does_not_exist_is_said(tones, tmp_path):
    recorder = Recorder(tmp_path / "no" / "a.wav")
    track = recorder.add_track("PCMU")
    with pytest.raises(CodecFailed):
        recorder.write(track, tones("PCMU")[0].data, 0)


def test_times_are_exact_fractions():
    from sans_rtc_av.timeline import Timeline

    timeline = Timeline(90000, 30)
    assert [timeline.place(value % 2**32) for value in (-3000, 0, 3000)] == [0, Fraction(1, 30), Fraction(2, 30)]
