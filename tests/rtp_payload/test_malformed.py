"""Each field of each format broken alone, and any bytes at all: WireError and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, LimitExceeded, Malformed, Truncated, Unsupported, WireError
from sans_rtc.rtp.payload import (
    CODECS,
    Av1Depacketizer,
    Av1Parameters,
    ComfortNoise,
    EventReceiver,
    H264Packetizer,
    H264Parameters,
    H265Packetizer,
    H265Parameters,
    OpusParameters,
    ProfileLevelId,
    RedReceiver,
    Vp8Depacketizer,
    Vp8Descriptor,
    Vp8Packetizer,
    Vp8Parameters,
    Vp9Depacketizer,
    Vp9Descriptor,
    Vp9GroupPicture,
    Vp9Packetizer,
    Vp9Parameters,
    Vp9Scalability,
    depacketize_h264,
    depacketize_h265,
    parse_av1_payload,
    parse_av1_sequence_header,
    parse_comfort_noise,
    parse_event_payload,
    parse_events,
    parse_h264_sps,
    parse_obus,
    parse_opus_packet,
    parse_parameters,
    parse_red_parameters,
    parse_red_payload,
    parse_sprop_parameter_sets,
    parse_vp8_frame_header,
    parse_vp8_payload,
    parse_vp9_frame_header,
    parse_vp9_payload,
    serialize_event_payload,
    serialize_red_payload,
    serialize_vp8_descriptor,
    serialize_vp9_descriptor,
    split_annex_b,
    split_length_prefixed,
)
from sans_rtc.rtp.payload.h264_sps import serialize_sprop_parameter_sets
from sans_rtc.rtp.payload.nal import PARAMETER_SETS_COUNT_MAX

many = settings(max_examples=50, deadline=None)
MEDIA = [codec for codec in CODECS if codec.new_depacketizer is not None]

PARSERS = [
    parse_av1_payload, parse_av1_sequence_header, parse_comfort_noise, parse_event_payload, parse_h264_sps, parse_obus,
    parse_opus_packet, parse_red_payload, parse_vp8_frame_header, parse_vp8_payload, parse_vp9_frame_header,
    parse_vp9_payload, split_annex_b, split_length_prefixed,
]  # fmt: skip
TEXT_PARSERS = [
    Av1Parameters.parse, H264Parameters.parse, H265Parameters.parse, OpusParameters.parse, ProfileLevelId.parse,
    Vp8Parameters.parse, Vp9Parameters.parse, parse_events, parse_parameters, parse_red_parameters,
    parse_sprop_parameter_sets,
]  # fmt: skip


def name_of(value):
    """The same in every process: a function by its name, not by where it is."""
    return getattr(value, "__qualname__", None) or str(value)[:40]


@pytest.mark.parametrize("parse", PARSERS, ids=lambda parse: parse.__name__)
@many
@given(data=st.binary(max_size=80))
def test_any_bytes_raise_nothing_but_wire_errors(parse, data):
    try:
        parse(data)
    except WireError:
        pass


@pytest.mark.parametrize("parse", TEXT_PARSERS, ids=lambda parse: parse.__qualname__)
@many
@given(text=st.text(max_size=60) | st.from_regex(r"[a-z]{2,16}=[0-9a-f]{0,8}(;[-a-z]{2,20}=[0-9]{0,12}){0,4}"))
def test_any_text_raises_nothing_but_wire_errors(parse, text):
    try:
        parse(text)
    except WireError:
        pass


# First bytes that lead deep into a format are more often drawn.
payloads = st.lists(
    st.builds(
        bytes.__add__,
        st.sampled_from([b"", b"\x90\x80", b"\xf0", b"\x7c\x85", b"\x7c\x45", b"\x78", b"\x62\x01\x93", b"\x60\x01"]),
        st.binary(max_size=40),
    ),
    max_size=5,
)


@pytest.mark.parametrize("codec", MEDIA, ids=lambda codec: f"{codec.name} {codec.parameters}")
@many
@given(payloads=payloads)
def test_any_payloads_raise_nothing_but_wire_errors(codec, payloads):
    try:
        frame = codec.new_depacketizer(codec.parameters).depacketize(payloads)
    except WireError:
        return
    # Bounded: a unit of one byte in an aggregation packet takes three bytes there and five in Annex B.
    assert 0 < len(frame) <= 3 * sum(map(len, payloads)) + 4 * len(payloads)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.name} {codec.clock_rate} {codec.parameters}")
@many
@given(data=st.binary(max_size=60))
def test_questions_about_any_bytes_are_answered(codec, data):
    assert isinstance(codec.is_keyframe(data), bool)
    assert isinstance(codec.is_keyframe_payload(data), bool)
    assert isinstance(codec.is_frame_start(data), bool)
    if codec.duration is not None:
        try:
            assert codec.duration(data) > 0
        except WireError:
            pass


@many
@given(st.binary(max_size=60), st.integers(0, (1 << 32) - 1))
def test_transforms_raise_nothing_but_wire_errors(data, timestamp):
    for receiver in (RedReceiver(), EventReceiver()):
        try:
            receiver.receive(data, timestamp=timestamp)
        except WireError:
            pass


# format, payloads of one frame, error, what is wrong
BROKEN = [
    (Vp8Depacketizer, ["90"], Truncated, "no extension byte"),
    (Vp8Depacketizer, ["9080"], Truncated, "no PictureID"),
    (Vp8Depacketizer, ["908080"], Truncated, "half a PictureID"),
    (Vp8Depacketizer, ["904080"], Truncated, "nothing behind TL0PICIDX"),
    (Vp8Depacketizer, ["9020"], Truncated, "no TID"),
    (Vp8Depacketizer, ["10"], Truncated, "no frame"),
    (Vp8Depacketizer, ["00aa"], Malformed, "no beginning"),
    (Vp8Depacketizer, ["11aa"], Malformed, "first partition missing"),
    (Vp8Depacketizer, ["10aa", "02bb"], Malformed, "a partition that begins nowhere"),
    (Vp8Depacketizer, ["10aa", "12bb"], Malformed, "a partition left out"),
    (Vp8Depacketizer, ["10aa", "11bb", "00cc"], Malformed, "a partition again"),
    (Vp8Depacketizer, ["908001aa", "808002bb"], Malformed, "another PictureID"),
    (Vp8Depacketizer, ["90200140aa", "80208040bb"], Malformed, "another TID"),
    (Vp8Depacketizer, [], Malformed, "no payloads"),
    (Vp8Depacketizer, ["10aa", ""], Malformed, "a payload without bytes"),
    (Vp9Depacketizer, ["8c"], Truncated, "no picture id"),
    (Vp9Depacketizer, ["8c80"], Truncated, "half a picture id"),
    (Vp9Depacketizer, ["1caa"], Malformed, "flexible without picture id"),
    (Vp9Depacketizer, ["ac0100"], Truncated, "no TL0PICIDX"),
    (Vp9Depacketizer, ["ac010100aa"], Malformed, "D on the lowest layer"),
    (Vp9Depacketizer, ["dc0100aa"], Malformed, "P_DIFF zero"),
    (Vp9Depacketizer, ["dc01030303aa"], Malformed, "four references"),
    (Vp9Depacketizer, ["dc01"], Truncated, "no P_DIFF"),
    (Vp9Depacketizer, ["8e0118010203"], Truncated, "half a size"),
    (Vp9Depacketizer, ["8e010805"], Truncated, "no group"),
    (Vp9Depacketizer, ["8e0108010c01"], Truncated, "references missing"),
    (Vp9Depacketizer, ["8401aa"], Malformed, "no beginning"),
    (Vp9Depacketizer, ["8801aa"], Malformed, "no end"),
    (Vp9Depacketizer, ["8801aa", "8402bb"], Malformed, "another picture id"),
    (Vp9Depacketizer, ["8c01aa", "8401bb"], Malformed, "goes on behind its end"),
    (Vp9Depacketizer, ["8801aa", "8c01bb"], Malformed, "begins before its end"),
    (Vp9Depacketizer, ["ac010200aa", "ac010000bb"], Malformed, "layers in the wrong order"),
    (Vp9Depacketizer, ["ac010300aa"], Malformed, "the layer below is missing"),
    (Av1Depacketizer, ["00"], Truncated, "no elements"),
    (Av1Depacketizer, ["2001"], Truncated, "an element is cut"),
    (Av1Depacketizer, ["2002aabb"], Truncated, "one element of two"),
    (Av1Depacketizer, ["0005aabb"], Truncated, "an element is cut"),
    (Av1Depacketizer, ["0000"], Malformed, "an element without bytes"),
    (Av1Depacketizer, ["00ffffffffffffffffff01"], Malformed, "a length without end"),
    (Av1Depacketizer, ["00ffffffff7f01"], Malformed, "a length of 35 bits"),
    (Av1Depacketizer, ["90aa"], Malformed, "no beginning"),
    (Av1Depacketizer, ["98aa"], Malformed, "N and Z"),
    (Av1Depacketizer, ["5030aa"], Malformed, "no end"),
    (Av1Depacketizer, ["5030aa", "1030bb"], Malformed, "the rest of a unit is missing"),
    (Av1Depacketizer, ["1030aa", "90bb"], Malformed, "a rest without its beginning"),
    (Av1Depacketizer, ["10b2aa"], Malformed, "forbidden bit"),
    (Av1Depacketizer, ["1036"], Truncated, "no extension byte"),
    (Av1Depacketizer, ["1030ff"], None, "a unit without size field"),
    (Av1Depacketizer, ["103605"], Truncated, "an extension byte and no size"),
    (Av1Depacketizer, ["103205aa"], Truncated, "obu_size beyond the element"),
    (Av1Depacketizer, ["103201aabb"], Malformed, "obu_size below the element"),
    (Av1Depacketizer, ["1010"], Malformed, "nothing but a delimiter"),
]


@pytest.mark.parametrize(("depacketizer", "payloads", "error", "what"), BROKEN, ids=name_of)
def test_broken_payload_is_refused(depacketizer, payloads, error, what):
    data = [bytes.fromhex(payload) for payload in payloads]
    if error is None:
        assert depacketizer().depacketize(data)
        return
    with pytest.raises(error):
        depacketizer().depacketize(data)


BROKEN_UNITS = [
    (depacketize_h264, ["7c"], Truncated, "no FU header"),
    (depacketize_h264, ["7cc5aa"], Malformed, "S and E"),
    (depacketize_h264, ["7c45aa"], Malformed, "the end alone"),
    (depacketize_h264, ["7c05aa"], Malformed, "the middle alone"),
    (depacketize_h264, ["7c85aa"], Malformed, "the beginning alone"),
    (depacketize_h264, ["7c85aa", "7c85bb"], Malformed, "two beginnings"),
    (depacketize_h264, ["7c85aa", "6501"], Malformed, "a unit between fragments"),
    (depacketize_h264, ["7c85aa", "7c41bb"], Malformed, "fragments of another type"),
    (depacketize_h264, ["7c85aa", "5c45bb"], Malformed, "fragments of another NRI"),
    (depacketize_h264, ["7c9caa"], Malformed, "FU-A in FU-A"),
    (depacketize_h264, ["78"], Truncated, "STAP-A without units"),
    (depacketize_h264, ["7800"], Truncated, "half a size"),
    (depacketize_h264, ["78000365"], Truncated, "a unit is cut"),
    (depacketize_h264, ["780000"], Malformed, "a unit without bytes"),
    (depacketize_h264, ["7800037c85aa"], Malformed, "a fragment in STAP-A"),
    (depacketize_h264, ["780004780001aa"], Malformed, "STAP-A in STAP-A"),
    (depacketize_h264, ["79000100016501"], Unsupported, "STAP-B"),
    (depacketize_h264, ["7d850001aa"], Unsupported, "FU-B"),
    (depacketize_h264, ["00"], Unsupported, "type 0"),
    (depacketize_h264, ["1f"], Unsupported, "type 31"),
    (depacketize_h264, [], Malformed, "no payloads"),
    (depacketize_h265, ["26"], Truncated, "half a header"),
    (depacketize_h265, ["6201"], Truncated, "no FU header"),
    (depacketize_h265, ["6201d3aa"], Malformed, "S and E"),
    (depacketize_h265, ["620153aa"], Malformed, "the end alone"),
    (depacketize_h265, ["620193aa"], Malformed, "the beginning alone"),
    (depacketize_h265, ["620193aa", "2601bb"], Malformed, "a unit between fragments"),
    (depacketize_h265, ["620193aa", "620253bb"], Malformed, "fragments of another layer"),
    (depacketize_h265, ["620193aa", "620154bb"], Malformed, "fragments of another type"),
    (depacketize_h265, ["6201b1aa"], Malformed, "FU in FU"),
    (depacketize_h265, ["6001"], Truncated, "AP without units"),
    (depacketize_h265, ["6001000126"], Malformed, "half a unit header"),
    (depacketize_h265, ["600100052601"], Truncated, "a unit is cut"),
    (depacketize_h265, ["60010003620193"], Malformed, "FU in AP"),
    (depacketize_h265, ["640100"], Unsupported, "PACI"),
]


@pytest.mark.parametrize(("depacketize", "payloads", "error", "what"), BROKEN_UNITS, ids=name_of)
def test_broken_units_are_refused(depacketize, payloads, error, what):
    with pytest.raises(error):
        depacketize([bytes.fromhex(payload) for payload in payloads])


BROKEN_CODECS = [
    (parse_opus_packet, "", Truncated, "no TOC"),
    (parse_opus_packet, "01aa", Malformed, "two equal frames in one byte"),
    (parse_opus_packet, "02", Truncated, "no frame length"),
    (parse_opus_packet, "02fc", Truncated, "half a frame length"),
    (parse_opus_packet, "0203aa", Truncated, "a frame is cut"),
    (parse_opus_packet, "03", Truncated, "no frame count"),
    (parse_opus_packet, "0300", Malformed, "no frames"),
    (parse_opus_packet, "1b03aabbcc", Malformed, "180 ms"),
    (parse_opus_packet, "0302aabbcc", Malformed, "two equal frames in three bytes"),
    (parse_opus_packet, "0341", Truncated, "no padding length"),
    (parse_opus_packet, "034105aa", Truncated, "padding beyond the packet"),
    (parse_opus_packet, "0382", Truncated, "no frame length"),
    (parse_opus_packet, "038205aa", Truncated, "a frame is cut"),
    (parse_opus_packet, "00" + "aa" * 1276, Malformed, "a frame of 1276 bytes"),
    (parse_red_payload, "", Truncated, "no header"),
    (parse_red_payload, "ef00", Truncated, "half a block header"),
    (parse_red_payload, "ef000001", Truncated, "no primary block"),
    (parse_red_payload, "ef0000026faa", Truncated, "a block is cut"),
    (parse_red_payload, "ef000000" * 32 + "6f", Malformed, "33 blocks"),
    (parse_comfort_noise, "", Truncated, "no level"),
    (parse_comfort_noise, "80", Malformed, "the unused bit"),
    (parse_comfort_noise, "28ff", Malformed, "a reserved coefficient"),
    (parse_comfort_noise, "28" + "00" * 32, Malformed, "32 coefficients"),
    (parse_event_payload, "", Truncated, "no report"),
    (parse_event_payload, "090a01", Truncated, "half a report"),
    (parse_event_payload, "090a0190" * 65, Malformed, "65 reports"),
    (parse_vp8_frame_header, "1002", Truncated, "half a tag"),
    (parse_vp8_frame_header, "1002009d012a4001f0", Truncated, "half a size"),
    (parse_vp8_frame_header, "1002009d012b4001f000", Malformed, "another start code"),
    (parse_vp9_frame_header, "02", Malformed, "another marker"),
    (parse_vp9_frame_header, "b8", Malformed, "a reserved profile"),
    (parse_vp9_frame_header, "82498300000000000000", Malformed, "another sync code"),
    (parse_vp9_frame_header, "82498342", Truncated, "no size"),
    (split_annex_b, "650000016501", Malformed, "bytes before the start code"),
    (split_annex_b, "000001000001", Malformed, "no unit"),
    (split_length_prefixed, "", Malformed, "no unit"),
    (split_length_prefixed, "00000002aa", Truncated, "a unit is cut"),
    (split_length_prefixed, "00000000", Malformed, "a unit without bytes"),
    (parse_av1_sequence_header, "e0", Malformed, "profile 7"),
    (parse_av1_sequence_header, "00", Truncated, "no operating points"),
    (parse_h264_sps, "6542c01f", Malformed, "not an SPS"),
    (parse_h264_sps, "6742c0ff", Malformed, "no such level"),
    (parse_h264_sps, "6742c01f", Truncated, "nothing behind the level"),
    (parse_h264_sps, "6742c01f" + "00" * 20, Malformed, "an endless number"),
]


@pytest.mark.parametrize(("parse", "data", "error", "what"), BROKEN_CODECS, ids=name_of)
def test_broken_bytes_are_refused(parse, data, error, what):
    with pytest.raises(error):
        parse(bytes.fromhex(data))


BROKEN_TEXTS = [
    (ProfileLevelId.parse, "42e01"), (ProfileLevelId.parse, "42e01g"), (ProfileLevelId.parse, "42e0ff"),
    (H264Parameters.parse, "packetization-mode=3"), (H264Parameters.parse, "max-fs=-1"),
    (H265Parameters.parse, "level-id=256"), (H265Parameters.parse, "profile-id=x"),
    (Av1Parameters.parse, "profile=3"), (Av1Parameters.parse, "level-idx="), (Vp9Parameters.parse, "profile-id=4"),
    (OpusParameters.parse, "stereo=2"), (OpusParameters.parse, "maxplaybackrate=7999"),
    (OpusParameters.parse, "maxaveragebitrate=²"), (parse_events, "15-0"), (parse_events, "0-256"),
    (parse_events, "0,,1"), (parse_red_parameters, "111/"), (parse_red_parameters, "128"),
    (parse_red_parameters, "/".join(["1"] * 33)), (parse_sprop_parameter_sets, "Z0LA?"),
    (parse_sprop_parameter_sets, "ZUI="), (parse_sprop_parameter_sets, ",".join(["Z0I="] * 33)),
    (parse_parameters, "a=1;" * 65), (parse_parameters, "a" * 8193),
]  # fmt: skip


@pytest.mark.proves("RFC6184-8.1-39-f3b5")
@pytest.mark.parametrize(("parse", "text"), BROKEN_TEXTS, ids=name_of)
def test_broken_text_is_refused(parse, text):
    with pytest.raises(Malformed):
        parse(text)


MISUSE = [
    lambda: serialize_vp8_descriptor(Vp8Descriptor(True, 8)),
    lambda: serialize_vp8_descriptor(Vp8Descriptor(True, picture_id=1 << 15)),
    lambda: serialize_vp8_descriptor(Vp8Descriptor(True, tl0_picture_index=1)),
    lambda: Vp8Packetizer(first_picture_id=-1),
    lambda: Vp9Packetizer(first_picture_id=1 << 15),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(True, False, True, True)),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(True, True, True, True, 1)),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(True, True, True, True, 1, reference_diffs=(1, 2, 3, 4))),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(True, True, True, True, 1, reference_diffs=(128,))),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(False, True, True, True, 1, reference_diffs=(1,))),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(False, True, True, True, 1, temporal_id=1)),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(False, True, True, True, 1, temporal_id=8, spatial_id=0)),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(False, True, True, True, scalability=Vp9Scalability(9))),
    lambda: serialize_vp9_descriptor(Vp9Descriptor(False, True, True, True, scalability=Vp9Scalability(2, ((1, 1),)))),
    lambda: serialize_vp9_descriptor(
        Vp9Descriptor(False, True, True, True, scalability=Vp9Scalability(1, (), (Vp9GroupPicture(8, False, ()),)))
    ),
    lambda: H264Packetizer(2),
    lambda: H264Packetizer().packetize_units([b"\x7c\x85"], payload_bytes_max=1200),
    lambda: H264Packetizer().packetize(b"no start code", payload_bytes_max=1200),
    lambda: H265Packetizer().packetize_units([b"\x62\x01"], payload_bytes_max=1200),
    lambda: H264Packetizer(repeats_parameter_sets=True).parameter_sets.replace([b"\x65"]),
    lambda: ComfortNoise(128),
    lambda: ComfortNoise(1, b"\xff"),
    lambda: serialize_event_payload([]),
    lambda: serialize_red_payload([]),
    lambda: OpusParameters(stereo=2),
    lambda: ProfileLevelId.parse("42e01f").with_level(99),
]


@pytest.mark.proves("RFC6184-5.6-1-9ff3")
@pytest.mark.parametrize("call", MISUSE)
def test_misuse_is_refused(call):
    with pytest.raises(InvalidArgument):
        call()


def test_parameter_sets_are_bounded():
    sets = H264Packetizer(repeats_parameter_sets=True).parameter_sets
    with pytest.raises(LimitExceeded):
        sets.replace([b"\x67"] * (PARAMETER_SETS_COUNT_MAX + 1))
    many = [b"\x67"] * (PARAMETER_SETS_COUNT_MAX + 1)
    assert many == sets.complete(many)
    assert sets.units == []


def test_sprop_parameter_sets_come_back():
    units = [bytes.fromhex("6742c01f"), bytes.fromhex("68ce3c80")]
    assert units == parse_sprop_parameter_sets(serialize_sprop_parameter_sets(units))


def test_vp8_index_without_a_layer_is_left_out_so_that_the_descriptor_can_be_written():
    descriptor, data = parse_vp8_payload(bytes.fromhex("9040 07 aabb"))
    assert (descriptor.tl0_picture_index, data) == (None, b"\xaa\xbb")
    assert serialize_vp8_descriptor(descriptor) == b"\x10"
