"""Real bitstreams through packetizer and depacketizer decode to the same pixels and samples as the originals."""

import fractions

import pytest

from sans_rtc.rtp.payload import (
    Av1Depacketizer,
    FrameAssembler,
    H264Packetizer,
    NalFormat,
    Vp9Packetizer,
    codecs_named,
    join_length_prefixed,
    opus_duration,
    parse_av1_sequence_header,
    parse_h264_sps,
    parse_obus,
    parse_opus_packet,
    parse_vp8_frame_header,
    parse_vp9_frame_header,
    split_annex_b,
)

pytestmark = pytest.mark.interop

av = pytest.importorskip("av", reason="PyAV is not installed")

WIDTH, HEIGHT, FRAMES = 176, 144, 6
# name: encoder, decoder, options
VIDEO = {
    "VP8": ("libvpx", "libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "VP9": ("libvpx-vp9", "libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    "H264": ("libx264", "h264", {"tune": "zerolatency", "preset": "ultrafast", "slices": "3"}),
    "H265": ("libx265", "hevc", {"preset": "ultrafast", "x265-params": "log-level=none:bframes=0:pools=1"}),
    "AV1": ("libsvtav1", "libdav1d", {"preset": "10", "svtav1-params": "lp=1:rc=2:pred-struct=1"}),
}


def codec_context(name, mode):
    try:
        return av.CodecContext.create(name, mode)
    except (av.error.FFmpegError, ValueError) as error:
        pytest.skip(f"this PyAV has no {name}: {error}")


def pictures():
    """A moving gradient: every frame differs, and a keyframe is larger than one packet."""
    for number in range(FRAMES):
        frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
        for index, plane in enumerate(frame.planes):
            rows = [
                bytes((x * (3 + index) + y * 5 + number * 7) * 37 % 251 for x in range(plane.line_size))
                for y in range(plane.height)
            ]
            plane.update(b"".join(rows))
        frame.pts = number
        yield frame


@pytest.fixture(scope="module")
def encoded():
    """encoded(name): the frames of a short film, encoded once for all tests."""
    films = {}

    def encode(name):
        if name not in films:
            encoder, _, options = VIDEO[name]
            context = codec_context(encoder, "w")
            context.width, context.height, context.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            context.bit_rate, context.gop_size = 2_000_000, 4
            context.time_base, context.framerate = fractions.Fraction(1, 30), fractions.Fraction(30, 1)
            context.options = options
            packets = [packet for picture in pictures() for packet in context.encode(picture)]
            films[name] = [bytes(packet) for packet in [*packets, *context.encode(None)]]
            assert len(films[name]) >= FRAMES - 1
        return films[name]

    return encode


def decode(name, frames):
    context = codec_context(VIDEO[name][1], "r")
    shown = [picture for frame in frames for picture in context.decode(av.Packet(frame))]
    shown += context.decode(None)
    return [[visible(plane) for plane in picture.planes] for picture in shown]


def visible(plane):
    """The pixels without what pads the lines, which is whatever the memory held."""
    data, line = bytes(plane), plane.line_size
    return b"".join(data[row * line : row * line + plane.width] for row in range(plane.height))


@pytest.mark.parametrize("budget", [1200, 250])
@pytest.mark.parametrize("name", VIDEO)
def test_video_decodes_to_the_same_pixels(name, budget, encoded, codec_of, packetizer_of):
    codec = codec_of(name)
    packetizer, assembler = packetizer_of(codec), FrameAssembler.of(codec)
    sequence, received = 65530, []
    for number, frame in enumerate(encoded(name)):
        payloads = packetizer.packetize(frame, payload_bytes_max=budget)
        assert all(len(payload) <= budget for payload in payloads)
        for index, payload in enumerate(payloads, 1):
            at = {"sequence_number": sequence % 65536, "timestamp": number * 3000, "marker": index == len(payloads)}
            received += assembler.receive(payload, **at)
            sequence += 1
    assert len(encoded(name)) == len(received)
    assert received[0].is_keyframe
    assert [codec.is_keyframe(frame) for frame in encoded(name)] == [frame.is_keyframe for frame in received]
    assert not all(frame.is_keyframe for frame in received)
    original = decode(name, encoded(name))
    assert len(original) >= FRAMES - 1
    assert original == decode(name, [frame.data for frame in received])


@pytest.mark.parametrize("name", VIDEO)
def test_keyframe_shows_in_its_first_payloads_only(name, encoded, codec_of, packetizer_of):
    codec = codec_of(name)
    packetizer = packetizer_of(codec)
    for frame in encoded(name):
        payloads = packetizer.packetize(frame, payload_bytes_max=1200)
        assert codec.is_keyframe(frame) == any(map(codec.is_keyframe_payload, payloads))
        if name in ("VP8", "VP9"):
            assert [True] + [False] * (len(payloads) - 1) == [codec.is_frame_start(payload) for payload in payloads]


def test_vp9_in_flexible_mode_decodes_to_the_same_pixels(encoded, codec_of):
    packetizer, depacketizer = Vp9Packetizer(is_flexible=True), codec_of("VP9").new_depacketizer("")
    frames = [depacketizer.depacketize(packetizer.packetize(f, payload_bytes_max=300)) for f in encoded("VP9")]
    assert encoded("VP9") == frames


def test_av1_with_delimiters_is_a_file_again(encoded, codec_of, packetizer_of):
    depacketizer, packetizer = Av1Depacketizer(adds_temporal_delimiter=True), packetizer_of(codec_of("AV1"))
    frames = [depacketizer.depacketize(packetizer.packetize(f, payload_bytes_max=300)) for f in encoded("AV1")]
    assert decode("AV1", encoded("AV1")) == decode("AV1", frames)
    assert all(frame.startswith(b"\x12\x00") for frame in frames)


def test_h264_length_prefixed_is_the_same_frame(encoded):
    for frame in encoded("H264"):
        prefixed = join_length_prefixed(split_annex_b(frame))
        annex_b = H264Packetizer().packetize(frame, payload_bytes_max=500)
        assert annex_b == H264Packetizer(nal_format=NalFormat.LENGTH_PREFIXED).packetize(
            prefixed, payload_bytes_max=500
        )


def test_size_is_read_from_keyframes(encoded):
    vp8 = parse_vp8_frame_header(encoded("VP8")[0])
    vp9 = parse_vp9_frame_header(encoded("VP9")[0])
    sps = next(parse_h264_sps(unit) for unit in split_annex_b(encoded("H264")[0]) if unit[0] & 31 == 7)
    sequence = next(parse_av1_sequence_header(obu.payload) for obu in parse_obus(encoded("AV1")[0]) if obu.type == 1)
    assert [(found.width, found.height) for found in (vp8, vp9, sps, sequence)] == [(WIDTH, HEIGHT)] * 4


@pytest.mark.parametrize("profile", ["Baseline", "Main", "High"])
def test_h264_sps_of_each_profile(profile):
    context = codec_context("libx264", "w")
    context.width, context.height, context.pix_fmt, context.time_base = 322, 182, "yuv420p", fractions.Fraction(1, 30)
    context.profile = profile
    context.options = {"tune": "zerolatency", "preset": "medium"}
    frame = av.VideoFrame(322, 182, "yuv420p")
    (packet,) = context.encode(frame)
    sps = next(parse_h264_sps(unit) for unit in split_annex_b(bytes(packet)) if unit[0] & 31 == 7)
    assert (sps.width, sps.height) == (322, 182)
    assert sps.profile_level_id.profile in ("Constrained Baseline" if profile == "Baseline" else profile, profile)


@pytest.mark.parametrize(("frame_duration", "ticks"), [("2.5", 120), ("10", 480), ("20", 960), ("60", 2880)])
def test_opus_decodes_to_the_same_samples(frame_duration, ticks):
    codec = codecs_named("opus", 48000, 2)[0]
    context = codec_context("libopus", "w")
    context.sample_rate, context.layout, context.format = 48000, "stereo", "s16"
    context.options = {"frame_duration": frame_duration}
    sound = av.AudioFrame(format="s16", layout="stereo", samples=9600)
    sound.planes[0].update(b"".join((i * 977 % 20011 - 10000).to_bytes(2, "little", signed=True) for i in range(19200)))
    sound.sample_rate, sound.pts = 48000, 0
    fifo = av.AudioFifo()
    fifo.write(sound)
    context.open()
    packets = [bytes(p) for piece in fifo.read_many(context.frame_size, partial=False) for p in context.encode(piece)]
    packets += [bytes(packet) for packet in context.encode(None)]
    packetizer, depacketizer = codec.new_packetizer("", bytes), codec.new_depacketizer("")
    out = [depacketizer.depacketize(packetizer.packetize(packet, payload_bytes_max=1200)) for packet in packets]
    assert packets == out
    assert {ticks} == set(map(opus_duration, packets))
    assert {2} == {parse_opus_packet(packet).channels for packet in packets}
    assert opus_samples(packets) == opus_samples(out)


def opus_samples(packets):
    context = codec_context("libopus", "r")
    context.sample_rate, context.layout = 48000, "stereo"
    return [bytes(frame.planes[0]) for packet in packets for frame in context.decode(av.Packet(packet))]
