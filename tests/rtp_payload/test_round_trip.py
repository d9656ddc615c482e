"""Any frame, at any budget, comes back identical, and no payload is over the budget."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.payload import (
    Av1Depacketizer,
    Av1Packetizer,
    H264Depacketizer,
    H264Packetizer,
    H265Depacketizer,
    H265Packetizer,
    NalFormat,
    Obu,
    SampleFormat,
    Vp8Depacketizer,
    Vp8Layer,
    Vp8Packetizer,
    Vp9Depacketizer,
    Vp9Layer,
    Vp9Packetizer,
    join_annex_b,
    join_length_prefixed,
    parse_av1_payload,
    parse_vp8_payload,
    parse_vp9_payload,
    serialize_obus,
    split_annex_b,
)

many = settings(max_examples=60, deadline=None)
bodies = st.binary(max_size=300)
budgets = st.integers(30, 400)


def h264_units(kinds):
    header = st.builds(lambda importance, kind: bytes((importance << 5 | kind,)), st.integers(0, 7), kinds)
    return st.builds(lambda head, body: head + body, header, bodies)


h264_frames = st.lists(h264_units(st.integers(1, 23)), min_size=1, max_size=12)
h265_frames = st.lists(
    st.builds(
        lambda kind, layer, temporal, body: (kind << 9 | layer << 3 | temporal).to_bytes(2, "big") + body,
        st.integers(0, 47), st.integers(0, 63), st.integers(0, 7), bodies,
    ),
    min_size=1, max_size=12,
)  # fmt: skip
obus = st.builds(
    lambda kind, layer, body: Obu(bytes((kind << 3,)) if layer is None else bytes((kind << 3 | 4, layer << 3)), body),
    st.sampled_from([1, 3, 4, 5, 6, 7, 15]), st.none() | st.integers(0, 31), bodies,
)  # fmt: skip
delimiters = st.sampled_from([Obu(b"\x10", b""), Obu(b"\x40", b"tiles")])


def assert_fits(payloads, budget):
    assert payloads
    assert all(0 < len(payload) <= budget for payload in payloads)


@pytest.mark.proves("RFC7742-6.1-1-494f")
@many
@given(st.binary(min_size=1, max_size=3000), st.integers(7, 400), st.booleans(), st.none() | st.integers(0, 3))
def test_vp8_frame_comes_back(frame, budget, splits, temporal_id):
    packetizer = Vp8Packetizer(first_picture_id=0x7FFF, splits_partitions=splits)
    layer = None if temporal_id is None else Vp8Layer(temporal_id)
    for _ in range(2):
        payloads = packetizer.packetize(frame, payload_bytes_max=budget, layer=layer)
        assert_fits(payloads, budget)
        assert frame == Vp8Depacketizer().depacketize(payloads)
    assert packetizer.next_picture_id == 1
    starts = [parse_vp8_payload(payload)[0].starts_partition for payload in payloads]
    assert starts[0]
    assert sum(starts) <= 1 + splits


@many
@given(
    st.binary(min_size=1, max_size=3000),
    budgets,
    st.booleans(),
    st.none() | st.builds(Vp9Layer, temporal_id=st.integers(0, 7), is_inter_predicted=st.none() | st.booleans()),
)
def test_vp9_frame_comes_back(frame, budget, is_flexible, layer):
    payloads = Vp9Packetizer(is_flexible=is_flexible).packetize(frame, payload_bytes_max=budget, layer=layer)
    assert_fits(payloads, budget)
    assert frame == Vp9Depacketizer().depacketize(payloads)


@many
@given(st.lists(st.binary(min_size=1, max_size=500), min_size=1, max_size=8), budgets, st.booleans())
def test_vp9_layers_come_back_one_behind_the_other(frames, budget, is_flexible):
    packetizer = Vp9Packetizer(first_picture_id=0x7FFF, is_flexible=is_flexible)
    payloads = []
    for number, frame in enumerate(frames):
        layer = Vp9Layer(spatial_id=number, starts_picture=number == 0, is_inter_layer=number > 0)
        payloads += packetizer.packetize(frame, payload_bytes_max=budget, layer=layer)
    assert_fits(payloads, budget)
    assert b"".join(frames) == Vp9Depacketizer().depacketize(payloads)
    assert {0x7FFF} == {parse_vp9_payload(payload)[0].picture_id for payload in payloads}
    assert packetizer.next_picture_id == 0


@pytest.mark.proves(
    "RFC6184-5.5-1-39b2",
    "RFC6184-5.5-2-1698",
    "RFC6184-5.5-3-ccf1",
    "RFC6184-5.7-5-e3cc",
    "RFC6184-6.1-2-9565",
    "RFC6184-6.3-1-b29b",
    "RFC7742-6.2-1-b151",
)
@many
@given(h264_frames, st.integers(3, 400))
def test_h264_units_come_back(units, budget):
    frame = join_length_prefixed(units)
    payloads = H264Packetizer(nal_format=NalFormat.LENGTH_PREFIXED).packetize(frame, payload_bytes_max=budget)
    assert_fits(payloads, budget)
    assert frame == H264Depacketizer(nal_format=NalFormat.LENGTH_PREFIXED).depacketize(payloads)


@pytest.mark.proves("RFC6184-5.6-2-b545", "RFC6184-6.2-2-54ad", "RFC6184-6.2-3-7ffd")
@many
@given(h264_frames)
def test_h264_mode_0_sends_single_units(units):
    assert units == H264Packetizer(0).packetize_units(units, payload_bytes_max=301)


@many
@given(h265_frames, st.integers(4, 400))
def test_h265_units_come_back(units, budget):
    frame = join_length_prefixed(units)
    payloads = H265Packetizer(nal_format=NalFormat.LENGTH_PREFIXED).packetize(frame, payload_bytes_max=budget)
    assert_fits(payloads, budget)
    assert frame == H265Depacketizer(nal_format=NalFormat.LENGTH_PREFIXED).depacketize(payloads)


@many
@given(st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=6), st.integers(0, 3))
def test_annex_b_units_come_back_without_their_trailing_zeros(bodies, zeros):
    # A unit of an encoder never holds a start code nor ends with a zero byte.
    units = [b"\x65" + body.replace(b"\0", b"\x03") for body in bodies]
    data = b"".join(b"\0\0\1" + unit + bytes(zeros) for unit in units)
    assert units == split_annex_b(data) == split_annex_b(join_annex_b(units))


@many
@given(st.lists(obus, min_size=1, max_size=10), st.lists(delimiters, max_size=2), st.integers(3, 400))
def test_av1_units_come_back_without_delimiters(units, dropped, budget):
    payloads = Av1Packetizer().packetize(serialize_obus([*dropped, *units]), payload_bytes_max=budget)
    assert_fits(payloads, budget)
    assert serialize_obus(units) == Av1Depacketizer().depacketize(payloads)


@many
@given(st.lists(obus, min_size=1, max_size=10), st.integers(40, 400))
def test_av1_layers_do_not_share_a_payload(units, budget):
    payloads = Av1Packetizer().packetize(serialize_obus(units), payload_bytes_max=budget)
    for payload in payloads:
        parsed = parse_av1_payload(payload)
        heads = parsed.elements[1:] if parsed.continues else parsed.elements
        layers = {head[1] >> 3 for head in heads if head[0] & 4 and len(head) > 1}
        assert len(layers) <= 1


@many
@given(st.integers(1, 4), st.integers(1, 100), st.integers(8, 50))
def test_samples_come_back_and_are_cut_between_samples(width, count, budget):
    samples, frame = SampleFormat(width), bytes(width * count)
    payloads = samples.packetize(frame, payload_bytes_max=budget)
    assert_fits(payloads, budget)
    assert count == sum(map(samples.duration, payloads))
    assert frame == samples.depacketize(payloads)


@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "H265", "AV1", "opus", "PCMU", "CN", "telephone-event"])
def test_budget_too_small_is_refused_and_changes_nothing(name, codec_of, packetizer_of):
    with pytest.raises(InvalidArgument):
        packetizer_of(codec_of(name)).packetize(b"\0\0\0\1\x65\x88", payload_bytes_max=0)


@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "H265", "AV1", "opus", "PCMU", "CN", "telephone-event"])
def test_frame_without_bytes_is_refused(name, codec_of, packetizer_of):
    with pytest.raises(InvalidArgument):
        packetizer_of(codec_of(name)).packetize(b"", payload_bytes_max=1200)


def test_unit_over_the_budget_is_refused_in_h264_mode_0():
    with pytest.raises(InvalidArgument):
        H264Packetizer(0).packetize(join_annex_b([b"\x65" + b"a" * 1200]), payload_bytes_max=1200)


def test_payloads_of_a_frame_are_equal_but_for_the_last():
    sizes = {len(payload) for payload in Vp8Packetizer().packetize(bytes(10_000), payload_bytes_max=1200)[:-1]}
    assert len(sizes) == 1


def test_vp8_partition_begins_a_packet_where_asked():
    # first_part_size 20 behind the three bytes of an inter frame's tag
    frame = (20 << 5 | 1).to_bytes(3, "little") + bytes(range(60))
    payloads = Vp8Packetizer(splits_partitions=True).packetize(frame, payload_bytes_max=1200)
    descriptors = [parse_vp8_payload(payload)[0] for payload in payloads]
    assert [(d.starts_partition, d.partition_id) for d in descriptors] == [(True, 0), (True, 1)]
    assert frame[:23] == parse_vp8_payload(payloads[0])[1]


def test_vp8_counts_base_layer_pictures_and_keyframes():
    key, inter = bytes.fromhex("10 02 00 9d012a 4001f000") + bytes(30), bytes.fromhex("31 02 00") + bytes(30)
    packetizer = Vp8Packetizer(first_picture_id=0x7FFE)
    seen = []
    for frame, temporal_id in ((key, 0), (inter, 1), (inter, 0), (key, 0)):
        payloads = packetizer.packetize(frame, payload_bytes_max=1200, layer=Vp8Layer(temporal_id))
        descriptor, _ = parse_vp8_payload(payloads[0])
        seen.append((descriptor.picture_id, descriptor.tl0_picture_index, descriptor.key_index))
    assert seen == [(0x7FFE, 1, 1), (0x7FFF, 1, 1), (0, 2, 1), (1, 3, 2)]
