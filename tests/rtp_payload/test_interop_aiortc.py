"""Descriptors and payloads of aiortc's VP8 and H.264 are taken here, and those of here there."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.rtp.payload import (
    H264Packetizer,
    OpusParameters,
    Vp8Depacketizer,
    Vp8Descriptor,
    Vp8Packetizer,
    depacketize_h264,
    join_annex_b,
    parse_vp8_payload,
    serialize_vp8_descriptor,
)

pytestmark = pytest.mark.interop

vpx = pytest.importorskip("aiortc.codecs.vpx", reason="aiortc is not installed")
h264 = pytest.importorskip("aiortc.codecs.h264", reason="aiortc is not installed")

many = settings(max_examples=60, deadline=None)
descriptors = st.builds(
    Vp8Descriptor,
    st.booleans(),
    st.integers(0, 7),
    picture_id=st.none() | st.integers(128, 0x7FFF),
    tl0_picture_index=st.none() | st.integers(0, 255),
    temporal_id=st.integers(0, 3),
    is_layer_sync=st.booleans(),
    key_index=st.none() | st.integers(0, 31),
)
# Units as encoders make them: no zero byte, so no start code inside and no zeros at the end.
units = st.lists(
    st.builds(lambda kind, body: bytes((kind,)) + body.replace(b"\0", b"\1"), st.sampled_from([0x65, 0x41, 0x67, 0x68]),
              st.binary(min_size=1, max_size=3000)),
    min_size=1, max_size=8,
)  # fmt: skip


def fields(descriptor):
    return (descriptor.partition_id, descriptor.picture_id)


@many
@given(descriptors)
def test_vp8_descriptor_of_ours_is_taken_there(descriptor):
    theirs, rest = vpx.VpxPayloadDescriptor.parse(serialize_vp8_descriptor(descriptor) + b"rest")
    assert rest == b"rest"
    assert descriptor.starts_partition == theirs.partition_start
    assert fields(descriptor) == fields(theirs)
    assert descriptor.tl0_picture_index == theirs.tl0picidx
    assert (descriptor.temporal_id, descriptor.is_layer_sync) == theirs.tid
    assert descriptor.key_index == theirs.keyidx


@many
@given(descriptors)
def test_vp8_descriptor_of_theirs_is_taken_here(descriptor):
    theirs = vpx.VpxPayloadDescriptor(
        partition_start=int(descriptor.starts_partition),
        partition_id=descriptor.partition_id,
        picture_id=descriptor.picture_id,
        tl0picidx=descriptor.tl0_picture_index,
        tid=(descriptor.temporal_id, int(descriptor.is_layer_sync)),
        keyidx=descriptor.key_index,
    )
    ours, rest = parse_vp8_payload(bytes(theirs) + b"rest")
    assert rest == b"rest"
    if descriptor.picture_id is None:
        ours.has_long_picture_id = True
    assert descriptor == ours


@many
@given(st.binary(min_size=1, max_size=5000), st.integers(0, 0x7FFF))
def test_vp8_frame_of_theirs_comes_out_here(frame, picture_id):
    assert frame == Vp8Depacketizer().depacketize(vpx.Vp8Encoder._packetize(frame, picture_id))


@many
@given(st.binary(min_size=1, max_size=5000), st.integers(7, 1200))
def test_vp8_frame_of_ours_comes_out_there(frame, budget):
    payloads = Vp8Packetizer().packetize(frame, payload_bytes_max=budget)
    assert frame == b"".join(vpx.vp8_depayload(payload) for payload in payloads)


@many
@given(units)
def test_h264_units_of_theirs_come_out_here(units):
    payloads = h264.H264Encoder._packetize(h264.H264Encoder._split_bitstream(join_annex_b(units)))
    assert units == depacketize_h264(payloads)


@many
@given(units, st.integers(3, 1500))
def test_h264_units_of_ours_come_out_there(units, budget):
    payloads = H264Packetizer().packetize_units(units, payload_bytes_max=budget)
    assert join_annex_b(units) == b"".join(h264.h264_depayload(payload) for payload in payloads)


def test_opus_parameters_of_theirs_are_understood():
    assert OpusParameters(useinbandfec=1, minptime=10) == OpusParameters.parse("minptime=10;useinbandfec=1;x=y")
