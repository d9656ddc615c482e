"""Every codec there and back through RTP payloads; keyframes, bitrates, sizes and gaps of encoders."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import opus_duration, parse_vp8_frame_header, split_annex_b

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

from sans_rtc_av import (
    CodecFailed,
    DecoderSettings,
    EncoderSettings,
    MissingCodecs,
    PictureSource,
    ToneSource,
    available_encoders,
    frame_number_of,
    new_decoder,
    new_encoder,
    samples_of_sound,
    sound_of_samples,
)

VIDEO = ["VP8", "VP9", "H264", "AV1"]
AUDIO = ["opus", "PCMU", "PCMA", "G722"]
# Sounds of so many channels come out of the decoder.
CHANNELS = {"opus": 2}


@pytest.fixture(autouse=True)
def _needs_the_encoder(request):
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("codec_name")
    if name and name not in available_encoders():
        pytest.skip(f"this build of PyAV has no encoder of {name}")


def encode_pictures(encoder, count, source=None, begin=0):
    source = source or PictureSource(320, 180)
    return [frame for number in range(begin, begin + count) for frame in encoder.encode(source.frame(number))]


def encode_tone(encoder, source, count):
    frames = [frame for number in range(count) for frame in encoder.encode(source.frame(number))]
    return frames + encoder.flush()


@pytest.mark.proves("RFC6184-5.1-6-2a7a", "RFC7742-5-2-55b0", "RFC7742-6.2-2-d1e0")
@pytest.mark.parametrize("codec_name", VIDEO)
def test_pictures_come_back_through_rtp_as_they_were(codec_name, over_rtp, psnr):
    source, carry = PictureSource(320, 180), over_rtp(codec_name)
    encoder, decoder = new_encoder(codec_name), new_decoder(codec_name)
    seen = []
    for number in range(12):
        original = source.frame(number)
        for frame in encoder.encode(original):
            for picture in decoder.decode(carry(frame.data), frame.timestamp):
                assert psnr(original, picture) > 30
                seen.append((frame_number_of(picture), picture.pts, picture.width, picture.height))
    assert seen == [(number, number * 3000, 320, 180) for number in range(12)]
    assert decoder.stats.discards == {}


@pytest.mark.parametrize("codec_name", VIDEO)
def test_threads_hold_no_picture_back(codec_name):
    encoder, source = new_encoder(codec_name, EncoderSettings(threads=4)), PictureSource(640, 360)
    decoder = new_decoder(codec_name, settings=DecoderSettings(threads=4))
    for number in range(6):
        encoded = encoder.encode(source.frame(number))
        pictures = [p for frame in encoded for p in decoder.decode(frame.data, frame.timestamp)]
        assert [frame_number_of(picture) for picture in pictures] == [number]


@pytest.mark.parametrize("codec_name", VIDEO)
def test_keyframes_come_first_and_on_request_and_never_else(codec_name):
    encoder = new_encoder(codec_name)
    encoded = encode_pictures(encoder, 10)
    encoder.request_keyframe()
    encoded += encode_pictures(encoder, 10, begin=10)
    assert [n for n, frame in enumerate(encoded) if frame.is_keyframe] == [0, 10]
    assert encoder.stats.keyframes == 2


@pytest.mark.parametrize("codec_name", VIDEO)
def test_encoder_and_table_of_codecs_agree_on_keyframes(codec_name):
    encoder = new_encoder(codec_name, EncoderSettings(keyframe_interval_s=0.1))
    encoded = encode_pictures(encoder, 9)
    assert [frame.is_keyframe for frame in encoded] == [encoder.format.codec.is_keyframe(f.data) for f in encoded]
    assert [n for n, frame in enumerate(encoded) if frame.is_keyframe] == [0, 3, 6]


@pytest.mark.parametrize("codec_name", VIDEO)
def test_bitrate_change_has_its_effect(codec_name):
    encoder = new_encoder(codec_name, EncoderSettings(bitrate_bps=1_500_000, reopen_down_s=0.5))
    source = NoiseSource()
    before = encode_pictures(encoder, 45, source)[15:]
    encoder.set_bitrate(300_000)
    after = encode_pictures(encoder, 60, source, begin=45)[30:]
    rates = [sum(len(frame.data) for frame in frames) * 8 for frames in (before, after)]
    assert rates[0] > 900_000
    assert rates[1] < 600_000


@pytest.mark.parametrize("codec_name", VIDEO)
def test_another_scene_is_no_reason_for_a_keyframe(codec_name):
    encoder = new_encoder(codec_name)
    encoded = encode_pictures(encoder, 10) + encode_pictures(encoder, 10, NoiseSource(), begin=10)
    assert sum(frame.is_keyframe for frame in encoded) == 1


def test_x264_changes_its_bitrate_without_a_keyframe_both_ways():
    encoder = new_encoder("H264", EncoderSettings(bitrate_bps=300_000))
    source = NoiseSource()
    low = encode_pictures(encoder, 45, source)[15:]
    encoder.set_bitrate(1_500_000)
    high = encode_pictures(encoder, 45, source, begin=45)[15:]
    assert sum(len(frame.data) for frame in high) > 3 * sum(len(frame.data) for frame in low)
    assert (encoder.stats.keyframes, encoder.stats.openings) == (1, 1)


@pytest.mark.parametrize("codec_name", VIDEO + AUDIO)
def test_any_bitrate_above_nothing_is_taken(codec_name):
    for bitrate_bps in (1, 10**9):
        encoder = new_encoder(codec_name, EncoderSettings(reopen_down_s=0, reopen_up_s=0))
        source = PictureSource(320, 180) if codec_name in VIDEO else ToneSource()
        for number in range(6):
            encoder.set_bitrate(bitrate_bps)
            encoder.encode(source.frame(number))
        assert encoder.stats.frames >= 5


def test_small_change_of_bitrate_waits_for_the_next_keyframe():
    encoder = new_encoder("VP8", EncoderSettings(bitrate_bps=1_000_000, reopen_down_s=0, reopen_up_s=0))
    encode_pictures(encoder, 3)
    encoder.set_bitrate(950_000)
    encode_pictures(encoder, 3, begin=3)
    assert encoder.stats.openings == 1
    encoder.request_keyframe()
    encode_pictures(encoder, 1, begin=6)
    assert encoder.stats.openings == 2


def test_higher_bitrate_waits_longer_than_a_lower_one():
    settings = EncoderSettings(bitrate_bps=1_000_000, reopen_down_s=0.1, reopen_up_s=0.3)
    up, down = new_encoder("VP8", settings), new_encoder("VP8", settings)
    for encoder, bitrate_bps in ((up, 2_000_000), (down, 500_000)):
        encode_pictures(encoder, 1)
        encoder.set_bitrate(bitrate_bps)
    keyframes = [
        [n for n, frame in enumerate(encode_pictures(encoder, 12, begin=1), 1) if frame.is_keyframe]
        for encoder in (up, down)
    ]
    assert keyframes == [[9], [3]]


@pytest.mark.proves("RFC7742-3.2-1-ca0a")
@pytest.mark.parametrize("codec_name", VIDEO)
def test_another_size_begins_with_a_keyframe_and_is_decoded(codec_name):
    encoder, decoder = new_encoder(codec_name), new_decoder(codec_name)
    encoded = encode_pictures(encoder, 3) + encode_pictures(encoder, 3, PictureSource(160, 120), begin=3)
    sizes = [(p.width, p.height) for frame in encoded for p in decoder.decode(frame.data, frame.timestamp)]
    assert sizes == [(320, 180)] * 3 + [(160, 120)] * 3
    assert [frame.is_keyframe for frame in encoded] == [True, False, False] * 2


def test_picture_with_odd_sides_or_another_format_becomes_one_with_even_sides():
    picture = PictureSource(320, 180).frame(0).reformat(width=161, height=121, format="rgb24")
    encoder = new_encoder("VP8")
    header = parse_vp8_frame_header(encoder.encode(picture)[0].data)
    assert (header.width, header.height) == (160, 120)
    assert (picture.width, picture.format.name) == (161, "rgb24")


def test_picture_is_not_changed_by_being_encoded():
    picture = PictureSource(320, 180).frame(5)
    before = picture.pts, picture.time_base, picture.pict_type
    new_encoder("VP8").encode(picture)
    assert (picture.pts, picture.time_base, picture.pict_type) == before


def test_pictures_without_timestamps_are_counted():
    encoder, source = new_encoder("VP8", EncoderSettings(frame_rate=25)), PictureSource(320, 180)
    timestamps = []
    for number in range(3):
        picture = source.frame(number)
        picture.pts = None
        timestamps += [frame.timestamp for frame in encoder.encode(picture)]
    assert timestamps == [0, 3600, 7200]


def test_picture_that_is_not_later_is_refused_and_changes_nothing():
    encoder, source = new_encoder("VP8"), PictureSource(320, 180)
    encoder.encode(source.frame(1))
    with pytest.raises(InvalidArgument):
        encoder.encode(source.frame(1))
    assert len(encoder.encode(source.frame(2))) == 1


def test_size_that_an_encoder_does_not_take_is_said_and_the_next_one_is_taken():
    if available_encoders().get("AV1") != ("libsvtav1",):
        pytest.skip("this build of PyAV has another encoder of AV1")
    encoder = new_encoder("AV1")
    encode_pictures(encoder, 2)
    with pytest.raises(CodecFailed):
        encoder.encode(PictureSource(64, 48).frame(2))
    assert [frame.is_keyframe for frame in encode_pictures(encoder, 2, begin=3)] == [True, False]


def test_wrong_kind_of_frame_is_refused():
    with pytest.raises(InvalidArgument):
        new_encoder("VP8").encode(ToneSource().frame(0))
    with pytest.raises(InvalidArgument):
        new_encoder("opus").encode(PictureSource().frame(0))


@pytest.mark.proves("RFC7742-6.2-4-a606")
@pytest.mark.parametrize(
    ("parameters", "profile"),
    [("", 66), ("profile-level-id=42e01f", 66), ("profile-level-id=4d001f", 77), ("profile-level-id=640c1f", 100)],
)
def test_h264_has_the_profile_that_the_receiver_says(parameters, profile):
    encoder = new_encoder("H264", EncoderSettings(parameters=parameters))
    units = split_annex_b(encode_pictures(encoder, 1)[0].data)
    assert next(unit for unit in units if unit[0] & 0x1F == 7)[1] == profile


def test_h264_without_fragments_has_slices_of_a_packet():
    settings = EncoderSettings(parameters="profile-level-id=42e01f;packetization-mode=0", bitrate_bps=3_000_000)
    frames = encode_pictures(new_encoder("H264", settings), 3, NoiseSource())
    assert max(len(unit) for frame in frames for unit in split_annex_b(frame.data)) <= 1100


@pytest.mark.proves("RFC7874-3-2-5dc7")
@pytest.mark.parametrize("codec_name", AUDIO)
@pytest.mark.parametrize("source_rate", [48000, 44100, 8000])
def test_tone_comes_back_through_rtp_with_its_frequency(codec_name, source_rate, over_rtp, frequency_of, quietest_of):
    encoder, decoder, carry = new_encoder(codec_name), new_decoder(codec_name), over_rtp(codec_name)
    encoded = encode_tone(encoder, ToneSource(440, sample_rate=source_rate), 50)
    sounds = [s for frame in encoded for s in decoder.decode(carry(frame.data), frame.timestamp)]
    step = encoder.format.clock_rate // 50
    assert [frame.timestamp for frame in encoded] == [n * step for n in range(len(encoded))]
    assert [sound.pts for sound in sounds] == [frame.timestamp for frame in encoded]
    assert all(frame.duration == step and frame.is_keyframe for frame in encoded)
    rate, channels = sounds[0].sample_rate, CHANNELS.get(codec_name, 1)
    samples = b"".join(map(samples_of_sound, sounds))
    assert len(samples) == pytest.approx(2 * channels * rate, rel=0.03)
    middle = samples[4 * (rate // 20) : -4 * (rate // 20)]
    assert frequency_of(middle, rate, channels) == pytest.approx(440, rel=0.005)
    assert quietest_of(middle, rate, channels) > 3000


@pytest.mark.proves("RFC7587-3.4-2-f655", "RFC7587-7.1-8-7a0e", "RFC7587-7.1-9-1396")
def test_stereo_is_made_where_the_receiver_says_so():
    stereo = new_encoder("opus", EncoderSettings(parameters="stereo=1"))
    mono = new_encoder("opus")
    flags = [encode_tone(e, ToneSource(channels=2), 3)[1].data[0] & 4 for e in (stereo, mono)]
    assert flags == [4, 0]  # TOC byte, RFC 6716 section 3.1


@pytest.mark.parametrize("frame_s", [0.01, 0.02, 0.06])
def test_packets_of_opus_have_the_length_asked_for(frame_s):
    encoded = encode_tone(new_encoder("opus", EncoderSettings(frame_s=frame_s)), ToneSource(), 12)
    assert {opus_duration(frame.data) for frame in encoded} == {round(48000 * frame_s)}


def test_bitrate_of_opus_changes_and_the_tone_goes_on(frequency_of, quietest_of):
    encoder, decoder = new_encoder("opus", EncoderSettings(bitrate_bps=64000)), new_decoder("opus")
    source, sounds, sizes = ToneSource(440), [], []
    for number in range(60):
        if number == 30:
            encoder.set_bitrate(16000)
        for frame in encoder.encode(source.frame(number)):
            sizes.append(len(frame.data))
            sounds += decoder.decode(frame.data, frame.timestamp)
    assert sum(sizes[:30]) > 2 * sum(sizes[30:])
    samples = b"".join(map(samples_of_sound, sounds))[4 * 4800 :]
    assert frequency_of(samples, 48000, 2) == pytest.approx(440, rel=0.01)
    assert quietest_of(samples, 48000, 2) > 1000


def test_change_within_a_tenth_does_not_open_opus_anew():
    encoder = new_encoder("opus", EncoderSettings(bitrate_bps=32000))
    encode_tone(encoder, ToneSource(), 2)
    encoder.set_bitrate(33000)
    encoder.encode(ToneSource().frame(10))
    assert encoder.stats.openings == 1


def test_gap_between_sounds_is_a_gap_between_timestamps():
    encoder, source = new_encoder("PCMU"), ToneSource(sample_rate=8000)
    encoded = [f for n in (0, 1, 2, 10, 11) for f in encoder.encode(source.frame(n))] + encoder.flush()
    assert [frame.timestamp for frame in encoded] == [0, 160, 320, 1600, 1760]


def test_sound_that_begins_before_the_end_of_the_last_one_is_refused():
    encoder, source = new_encoder("PCMU"), ToneSource(sample_rate=8000)
    encoder.encode(source.frame(5))
    with pytest.raises(InvalidArgument):
        encoder.encode(source.frame(2))


def test_sounds_of_any_length_become_packets_of_one():
    encoder = new_encoder("PCMA")
    samples = bytes(2 * 1000)
    encoded = [f for _ in range(4) for f in encoder.encode(sound_of_samples(samples, sample_rate=8000))]
    assert [len(frame.data) for frame in encoded + encoder.flush()] == [160] * 25


def test_kind_of_sound_may_change_within_a_stream(frequency_of):
    encoder, decoder = new_encoder("PCMU"), new_decoder("PCMU")
    encoded = [f for n in range(25) for f in encoder.encode(ToneSource(400, sample_rate=16000).frame(n))]
    encoded += [f for n in range(25, 50) for f in encoder.encode(ToneSource(400, channels=2).frame(n))]
    samples = b"".join(samples_of_sound(s) for f in encoded for s in decoder.decode(f.data, f.timestamp))
    assert frequency_of(samples, 8000) == pytest.approx(400, rel=0.01)
    assert len(samples) == pytest.approx(16000, abs=400)


@pytest.mark.parametrize(
    "make",
    [
        lambda: new_encoder("H266"),
        lambda: new_encoder("PCMU", EncoderSettings(channels=2)),
        lambda: new_encoder("PCMU", EncoderSettings(frame_s=0.005)),
        lambda: new_encoder("VP8", EncoderSettings(encoder="libx264")),
        lambda: new_encoder("H264", EncoderSettings(parameters="profile-level-id=zz")),
        lambda: EncoderSettings(frame_s=0.03),
        lambda: EncoderSettings(bitrate_bps=1),
        lambda: new_encoder("VP8").set_bitrate(0),
        lambda: new_encoder("opus").set_bitrate(-1),
    ],
)
def test_bad_arguments_are_refused(make):
    with pytest.raises(InvalidArgument):
        make()


def test_encoder_that_is_not_built_in_is_named():
    missing = [name for name in ("libaom-av1", "librav1e", "libsvtav1") if name not in available_encoders()["AV1"]]
    with pytest.raises(MissingCodecs, match=missing[0]):
        new_encoder("AV1", EncoderSettings(encoder=missing[0]))


class NoiseSource:
    """Pictures with so much change that the encoder's rate control decides on their size."""

    def frame(self, number):
        import random

        from sans_rtc_av import picture_of_planes

        random.seed(number)
        line = bytes(100 + (value & 31) for value in random.randbytes(320 * 3))
        luma = b"".join(line[n % 640 : n % 640 + 320] for n in range(number * 7, number * 7 + 180 * 11, 11))
        chroma = bytes((128,)) * (160 * 90)
        return picture_of_planes(320, 180, [luma, chroma, chroma], timestamp=number * 3000)
