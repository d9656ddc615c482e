"""The picture and the tone that Python draws."""

import pytest

from sans_rtc.errors import InvalidArgument

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

from sans_rtc_av import (
    PictureSource,
    ToneSource,
    frame_number_of,
    picture_of_planes,
    planes_of_picture,
    samples_of_sound,
    sound_of_samples,
)


@pytest.mark.parametrize("size", [(640, 360), (64, 48), (320, 180), (1280, 720), (322, 242)])
def test_number_of_a_picture_is_read_from_it(size):
    source = PictureSource(*size)
    assert [frame_number_of(source.frame(number)) for number in (0, 1, 777, 65535)] == [0, 1, 777, 65535]


def test_pictures_have_timestamps_of_their_rate_and_differ():
    frames = list(PictureSource(64, 48, frame_rate=25).frames(3))
    assert [frame.pts for frame in frames] == [0, 3600, 7200]
    assert planes_of_picture(frames[0]) != planes_of_picture(frames[1])


def test_same_number_gives_the_same_picture():
    source = PictureSource()
    assert planes_of_picture(source.frame(7)) == planes_of_picture(source.frame(7))


def test_tone_has_its_frequency_and_goes_on_smoothly(frequency_of):
    source = ToneSource(440)
    samples = b"".join(map(samples_of_sound, source.frames(50)))
    assert frequency_of(samples, 48000) == pytest.approx(440, abs=0.5)


def test_tone_in_stereo_has_both_channels_alike():
    samples = samples_of_sound(ToneSource(channels=2).frame(1))
    assert samples[0::4] == samples[2::4] and samples[1::4] == samples[3::4]


@pytest.mark.parametrize("size", [(62, 48), (64, 46), (65, 48)])
def test_picture_of_a_bad_size_is_refused(size):
    with pytest.raises(InvalidArgument):
        PictureSource(*size)


@pytest.mark.parametrize("arguments", [{"frequency_hz": 0}, {"frequency_hz": 24000}, {"level": 2}, {"frame_s": 0}])
def test_bad_tone_is_refused(arguments):
    with pytest.raises(InvalidArgument):
        ToneSource(**arguments)


@pytest.mark.parametrize("width", [34, 640])  # with padded lines and without
def test_planes_go_in_and_come_out_as_they_were(width):
    planes = [bytes(n % 251 for n in range(width * 20)), bytes(width // 2 * 10), b"\x80" * (width // 2 * 10)]
    assert planes_of_picture(picture_of_planes(width, 20, planes)) == planes


def test_samples_go_in_and_come_out_as_they_were():
    assert samples_of_sound(sound_of_samples(bytes(range(240)), sample_rate=8000)) == bytes(range(240))


def test_planes_and_samples_of_a_wrong_size_are_refused():
    with pytest.raises(InvalidArgument):
        picture_of_planes(64, 48, [bytes(64 * 48), bytes(1), bytes(1)])
    with pytest.raises(InvalidArgument):
        picture_of_planes(64, 48, [bytes(64 * 48)])
    with pytest.raises(InvalidArgument):
        sound_of_samples(b"123", sample_rate=8000)
    with pytest.raises(InvalidArgument):
        sound_of_samples(b"1234", sample_rate=8000, channels=3)
