"""Encoders keep to what the receiver has said of itself in its format parameters."""

import pytest

from sans_rtc.rtp.payload import join_annex_b, parse_opus_packet, parse_vp8_frame_header, split_annex_b

pytest.importorskip("av", reason="PyAV is not installed: pip install 'sans-rtc[av]'")

import av

from sans_rtc_av import EncoderSettings, PictureSource, ToneSource, new_decoder, new_encoder
from sans_rtc_av.formats import format_of
from sans_rtc_av.frame_limits import limits_of


def packets(parameters, count=8, **settings):
    encoder, source = new_encoder("opus", EncoderSettings(parameters=parameters, **settings)), ToneSource(3000)
    data = [frame.data for number in range(count) for frame in encoder.encode(source.frame(number))]
    return [parse_opus_packet(each) for each in data], sum(map(len, data))


@pytest.mark.proves("RFC7587-6.1-2-f496", "RFC7587-7.1-3-96ae", "RFC7587-7.1-4-8c8e")
@pytest.mark.parametrize(
    ("rate", "bandwidth"), [(8000, "NB"), (12000, "MB"), (16000, "WB"), (24000, "SWB"), (44100, "SWB"), (48000, "FB")]
)
def test_opus_is_no_wider_than_the_receiver_plays(rate, bandwidth):
    order = ["NB", "MB", "WB", "SWB", "FB"]
    # What is not speech at a low bitrate has no bandwidth of 6 kHz (RFC 6716 section 3.1, table 2).
    opus, _ = packets(f"maxplaybackrate={rate}", bitrate_bps=16_000 if rate == 12000 else 64_000)
    widest = max(order.index(str(packet.bandwidth)) for packet in opus)
    assert widest <= order.index(bandwidth)
    if rate in (8000, 48000):
        assert order[widest] == bandwidth


@pytest.mark.proves("RFC7587-7.1-6-dab1")
def test_opus_has_no_more_bits_than_the_receiver_takes():
    count = 100
    _, byte_count = packets("maxaveragebitrate=16000", count, bitrate_bps=64_000)
    assert byte_count * 8 / (count * 0.02) <= 16_000 * 1.1
    _, without = packets("", count, bitrate_bps=64_000)
    assert without > 2 * byte_count


@pytest.mark.proves("RFC7587-3.3-1-9611")
@pytest.mark.parametrize(("parameters", "has_fec"), [("useinbandfec=1", True), ("", False)])
def test_opus_has_fec_only_where_the_receiver_uses_it(parameters, has_fec):
    opus, _ = packets(parameters, 60, bitrate_bps=24_000, packet_loss_percent=20)
    assert has_fec == any(packet.has_fec for packet in opus)


@pytest.mark.proves("RFC7742-6.1-2-6f64")
@pytest.mark.parametrize(
    ("max_fs", "size"), [(None, (320, 180)), (240, (320, 180)), (239, (312, 176)), (60, (160, 90)), (1, (16, 10))]
)
def test_vp8_is_no_larger_than_the_receiver_decodes(max_fs, size):
    parameters = "" if max_fs is None else f"max-fs={max_fs}"
    encoder = new_encoder("VP8", EncoderSettings(parameters=parameters))
    header = parse_vp8_frame_header(encoder.encode(PictureSource(320, 180).frame(0))[0].data)
    assert (header.width, header.height) == size
    assert max_fs is None or -(-size[0] // 16) * -(-size[1] // 16) <= max_fs


def test_long_picture_is_as_long_as_its_macroblocks_allow():
    limits = limits_of(format_of("VP8"), "max-fs=1200")
    assert limits._size(1552, 16) == (1552, 16)  # RFC 7741 section 6.1: 97 macroblocks
    assert limits._size(1568, 16)[0] <= 1552


@pytest.mark.proves("RFC7742-6.1-2-6f64")
@pytest.mark.parametrize("jitter", [0, 700])
def test_no_more_frames_a_second_than_the_receiver_decodes(jitter):
    limits = limits_of(format_of("VP8"), "max-fr=15")
    times = [number * 3000 + (jitter if number % 3 == 1 else 0) for number in range(300)]
    assert sum(map(limits.takes, times)) == pytest.approx(150, abs=3)
    slower = limits_of(format_of("VP8"), "max-fr=60")
    assert all(map(slower.takes, times))


def test_pictures_left_out_cost_nothing_and_the_keyframe_asked_for_comes():
    encoder, source = new_encoder("VP8", EncoderSettings(parameters="max-fr=10")), PictureSource(64, 48)
    counts = [len(encoder.encode(source.frame(number))) for number in range(6)]
    assert counts == [1, 0, 0, 1, 0, 0]
    encoder.request_keyframe()
    (frame,) = encoder.encode(source.frame(6))
    assert frame.is_keyframe


@pytest.mark.proves("RFC7742-6.1-3-bcdc", "RFC7742-6.2-11-9374")
def test_pixels_are_square():
    (key,) = new_encoder("VP8").encode(PictureSource(64, 48).frame(0))
    assert key.data[6:10] == b"\x40\x00\x30\x00"  # no scaling in the upper two bits of either side
    (key,) = new_encoder("H264").encode(PictureSource(64, 48).frame(0))
    context = av.CodecContext.create("h264", "r")
    context.decode(av.Packet(key.data))
    assert context.sample_aspect_ratio in (None, 0, 1)


@pytest.mark.proves("RFC7742-6.2-10-a9c3")
@pytest.mark.parametrize(
    "sei", ["06 05 02 aabb 80", "06 03 03 ffffff 80", "06 02 01 80 80", "06 2f 03 c0ffee 80", "06 ff"]
)
def test_sei_messages_do_no_harm(sei):
    encoder, decoder = new_encoder("H264"), new_decoder("H264")
    source = PictureSource(64, 48)
    for number in range(3):
        (frame,) = encoder.encode(source.frame(number))
        units = split_annex_b(frame.data)
        units.insert(len(units) - 1, bytes.fromhex(sei))
        assert len(decoder.decode(join_annex_b(units), frame.timestamp)) == 1


@pytest.mark.proves("RFC7587-6.1-4-7ef6", "RFC7587-6.1-6-b5a8", "RFC7587-7.1-7-7767")
@pytest.mark.parametrize(
    ("parameters", "settings"),
    [("stereo=1", {}), ("useinbandfec=1", {"packet_loss_percent": 20, "bitrate_bps": 24_000})],
)
def test_opus_is_decoded_whatever_was_asked_for(parameters, settings):
    """Stereo and error correction come to a decoder whose description has asked for neither."""
    encoder, source = new_encoder("opus", EncoderSettings(parameters=parameters, **settings)), ToneSource(channels=2)
    decoder, count = new_decoder("opus"), 60
    frames = [frame for number in range(count) for frame in encoder.encode(source.frame(number))]
    packets_ = [parse_opus_packet(frame.data) for frame in frames]
    assert any(packet.is_stereo for packet in packets_) == ("stereo" in parameters)
    assert any(packet.has_fec for packet in packets_) == ("fec" in parameters)
    sounds = [sound for frame in frames for sound in decoder.decode(frame.data, frame.timestamp)]
    assert (len(sounds), decoder.stats.discards) == (len(frames), {})
