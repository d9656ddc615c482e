"""Decoders take whatever comes: garbage, cut frames, losses, wraps of the timestamp."""

import random

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import join_annex_b, serialize_sprop_parameter_sets, split_annex_b

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

from sans_rtc_av import (
    DecoderSettings,
    DiscardReason,
    PictureSource,
    ToneSource,
    available_decoders,
    available_encoders,
    new_decoder,
    new_encoder,
)

VIDEO = ["VP8", "VP9", "H264", "AV1"]
AUDIO = ["opus", "PCMU", "PCMA", "G722"]


@pytest.fixture(scope="module")
def encoded():
    """encoded(codec_name) -> ten frames."""
    known = {}

    def make(codec_name):
        if codec_name not in known:
            if codec_name not in available_encoders():
                pytest.skip(f"this build of PyAV has no encoder of {codec_name}")
            source = PictureSource(160, 120) if codec_name in VIDEO else ToneSource()
            encoder = new_encoder(codec_name)
            known[codec_name] = [f for number in range(12) for f in encoder.encode(source.frame(number))][:10]
        return known[codec_name]

    return make


@pytest.mark.parametrize("codec_name", VIDEO + AUDIO)
def test_garbage_never_raises_and_the_stream_goes_on(codec_name, encoded):
    frames, decoder = encoded(codec_name), new_decoder(codec_name)
    source = random.Random(codec_name)
    for size in [0, 1, 2, 3, 10, 100, 1000, 5000]:
        for _ in range(6):
            decoder.decode(source.randbytes(size), source.getrandbits(33) - (1 << 32))
    before = decoder.stats.decoded
    given = [s for frame in frames for s in decoder.decode(frame.data, frame.timestamp)]
    assert len(given) == len(frames)
    assert decoder.stats.decoded == before + len(frames)
    assert decoder.stats.discards[DiscardReason.EMPTY] == 6


@pytest.mark.parametrize("codec_name", VIDEO + AUDIO)
def test_frames_cut_and_flipped_never_raise(codec_name, encoded):
    frames, source = encoded(codec_name), random.Random(codec_name)
    decoder = new_decoder(codec_name, settings=DecoderSettings(waits_for_keyframe=False))
    for _ in range(8):
        for frame in frames:
            data = bytearray(frame.data[: source.randint(1, len(frame.data))])
            for _ in range(source.randint(0, 4)):
                data[source.randrange(len(data))] ^= 1 << source.randrange(8)
            decoder.decode(bytes(data), frame.timestamp)
    decoder.decode(frames[0].data, 0)
    assert decoder.stats.frames == 81


@pytest.mark.parametrize("codec_name", VIDEO)
def test_nothing_comes_before_a_keyframe(codec_name, encoded):
    frames, decoder = encoded(codec_name), new_decoder(codec_name)
    assert decoder.needs_keyframe
    assert [decoder.decode(frame.data, frame.timestamp) for frame in frames[1:4]] == [[], [], []]
    assert decoder.stats.discards == {DiscardReason.AWAITING_KEYFRAME: 3}
    assert len(decoder.decode(frames[0].data, 0)) == 1
    assert not decoder.needs_keyframe


@pytest.mark.parametrize("codec_name", VIDEO)
def test_nothing_comes_after_a_loss_before_the_next_keyframe(codec_name, encoded):
    frames, decoder = encoded(codec_name), new_decoder(codec_name)
    decoder.decode(frames[0].data, 0)
    decoder.decode(frames[1].data, 3000)
    assert decoder.decode(frames[3].data, 9000, is_contiguous=False) == []
    assert decoder.needs_keyframe
    assert decoder.decode(frames[4].data, 12000) == []
    assert len(decoder.decode(frames[0].data, 15000, is_contiguous=False)) == 1
    assert not decoder.needs_keyframe


def test_loss_is_overlooked_where_the_settings_say_so(encoded):
    frames = encoded("VP8")
    decoder = new_decoder("VP8", settings=DecoderSettings(waits_for_keyframe=False))
    decoder.decode(frames[0].data, 0)
    assert len(decoder.decode(frames[2].data, 6000, is_contiguous=False)) == 1
    assert decoder.needs_keyframe


def test_timestamp_goes_on_beyond_its_wrap(encoded):
    decoder = new_decoder("PCMU")
    begin = (1 << 32) - 160
    sounds = [s for n, f in enumerate(encoded("PCMU")[:3]) for s in decoder.decode(f.data, (begin + 160 * n) % 2**32)]
    assert [sound.pts for sound in sounds] == [begin, begin + 160, begin + 320]
    assert float(sounds[1].pts * sounds[1].time_base) == (begin + 160) / 8000


def test_opus_that_sends_nothing_in_a_pause_is_decoded():
    decoder = new_decoder("opus")
    sounds = decoder.decode(b"\xf8", 0) + decoder.decode(b"\xf8\xff", 960)  # TOC, and nothing or a byte behind it
    assert decoder.stats.discards == {}
    assert [sound.samples for sound in sounds] == [960, 960]


def test_frame_beyond_the_bound_is_discarded(encoded):
    decoder = new_decoder("VP8", settings=DecoderSettings(frame_bytes_max=10))
    assert decoder.decode(encoded("VP8")[0].data, 0) == []
    assert decoder.stats.discards == {DiscardReason.TOO_LARGE: 1}
    sound = new_decoder("PCMU")
    assert sound.decode(bytes(65537), 0) == []
    assert sound.stats.discards == {DiscardReason.TOO_LARGE: 1}
    assert not sound.needs_keyframe


@pytest.mark.parametrize("codec_name", VIDEO)
def test_picture_beyond_the_bound_is_discarded(codec_name, encoded):
    decoder = new_decoder(codec_name, settings=DecoderSettings(picture_pixels_max=100 * 100))
    assert decoder.decode(encoded(codec_name)[0].data, 0) == []
    assert decoder.needs_keyframe


def test_decoder_begins_anew_after_reset(encoded):
    frames, decoder = encoded("VP8"), new_decoder("VP8")
    decoder.decode(frames[0].data, 5000)
    decoder.reset()
    assert decoder.needs_keyframe
    assert decoder.decode(frames[0].data, 100)[0].pts == 100


@pytest.mark.proves("RFC6184-8.2.2-12-c4c4", "RFC6184-8.2.2-22-68b7")
def test_h264_takes_parameter_sets_of_the_description(encoded):
    units = split_annex_b(encoded("H264")[0].data)
    sets = [unit for unit in units if unit[0] & 0x1F in (7, 8)]
    bare = join_annex_b(unit for unit in units if unit not in sets)
    text = f"profile-level-id=42e01f;sprop-parameter-sets={serialize_sprop_parameter_sets(sets)}"
    assert new_decoder("H264").decode(bare, 0) == []
    assert len(new_decoder("H264", text).decode(bare, 0)) == 1


def test_unknown_names_and_bad_parameters_are_refused():
    for arguments in (("H266",), ("H264", "profile-level-id=1"), ("H264", "sprop-parameter-sets=?")):
        with pytest.raises(InvalidArgument):
            new_decoder(*arguments)


def test_every_format_has_a_decoder_here():
    assert set(available_decoders()) == {*VIDEO, *AUDIO}
