"""The table of codecs by name, and the negotiation of format parameters."""

import pytest

from sans_rtc.errors import WireError
from sans_rtc.rtp.payload import (
    CODECS,
    Av1Parameters,
    H264Depacketizer,
    H264Packetizer,
    H264Parameters,
    H264Profile,
    H265Packetizer,
    H265Parameters,
    MediaKind,
    OpusParameters,
    ProfileLevelId,
    Purpose,
    Vp8Parameters,
    Vp9Parameters,
    codec_of_payload_type,
    codecs_named,
    depacketize_h264,
    join_annex_b,
    negotiate_av1,
    negotiate_events,
    negotiate_h264,
    negotiate_h265,
    negotiate_opus,
    negotiate_red,
    negotiate_vp8,
    negotiate_vp9,
    parse_parameters,
    serialize_parameters,
    split_annex_b,
)
from sans_rtc.testing import SeededEntropy


@pytest.mark.parametrize("name", ["opus", "red", "G722", "PCMU", "PCMA", "CN", "telephone-event", "L16"])
def test_audio_format_is_found_in_any_case(name):
    assert {MediaKind.AUDIO} == {codec.kind for codec in codecs_named(name.swapcase())}


@pytest.mark.proves("RFC6184-5.1-4-bd65")
@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "H265", "AV1"])
def test_video_format_has_90000_hz(name):
    assert {(MediaKind.VIDEO, 90000)} == {(codec.kind, codec.clock_rate) for codec in codecs_named(name.lower())}


@pytest.mark.proves("RFC3389-4-2-9466")
def test_format_at_another_rate():
    assert codecs_named("opus", 8000) == []
    assert codecs_named("VP7") == []
    (l16,) = codecs_named("L16", 48000, 2)
    assert (l16.clock_rate, l16.channels, l16.payload_type, l16.duration(bytes(960))) == (48000, 2, None, 240)
    (noise,) = codecs_named("CN", 32000)
    assert (noise.clock_rate, noise.payload_type, noise.purpose) == (32000, None, Purpose.COMFORT_NOISE)
    (events,) = codecs_named("telephone-event", 16000)
    assert events.clock_rate == 16000


@pytest.mark.proves("RFC3389-4-2-9466")
@pytest.mark.parametrize(
    ("payload_type", "name"), [(0, "PCMU"), (8, "PCMA"), (9, "G722"), (10, "L16"), (11, "L16"), (13, "CN")]
)
def test_static_payload_type_of_rfc_3551(payload_type, name):
    assert name == codec_of_payload_type(payload_type).name


def test_dynamic_payload_type_is_no_codec():
    assert codec_of_payload_type(96) is None


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: f"{codec.name} {codec.clock_rate} {codec.parameters}")
def test_codec_agrees_with_itself(codec):
    answer = codec.negotiate(codec.parameters, codec.parameters)
    assert parse_parameters(codec.parameters) == parse_parameters(answer)


def test_first_picture_id_is_drawn():
    codec = codecs_named("VP8")[0]
    first = {codec.new_packetizer("", SeededEntropy(seed)).next_picture_id for seed in range(20)}
    assert len(first) > 10
    assert max(first) <= 0x7FFF


@pytest.mark.proves("RFC6184-8.1-36-8c8c", "RFC6184-8.1-37-ff48", "RFC7742-6.2-3-4bd8")
def test_packetization_mode_is_what_the_peer_says():
    codec = codecs_named("H264")[0]
    unit = b"\x65" + b"a" * 2000
    assert len(codec.new_packetizer("packetization-mode=1", bytes).packetize(
        join_annex_b([unit]), payload_bytes_max=1200
    )) == 2  # fmt: skip
    assert len(codec.new_packetizer("", bytes).packetize(join_annex_b([unit]), payload_bytes_max=3000)) == 1


# --- format parameters ------------------------------------------------------------------------------------------------


def test_parameters_are_read_leniently():
    text = " Profile-Level-Id = 42e01f ;; packetization-mode=1; flag ; profile-level-id=000000 "
    expected = {"profile-level-id": "42e01f", "packetization-mode": "1", "flag": ""}
    assert expected == parse_parameters(text)
    assert serialize_parameters(expected) == "profile-level-id=42e01f;packetization-mode=1;flag"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (OpusParameters, "minptime=10;stereo=1;useinbandfec=1"),
        (OpusParameters, "maxplaybackrate=16000;sprop-maxcapturerate=16000;maxaveragebitrate=20000"),
        (Vp8Parameters, "max-fr=30;max-fs=3600"),
        (Vp9Parameters, "profile-id=2;max-fs=3600"),
        (H264Parameters, "level-asymmetry-allowed=1;packetization-mode=1;max-fs=3600;profile-level-id=42e01f"),
        (H264Parameters, "packetization-mode=0;profile-level-id=42000a;sprop-parameter-sets=Z0IACpZTBYmI,aMljiA=="),
        (H265Parameters, "level-id=180;profile-id=2;tier-flag=1;tx-mode=SRST"),
        (Av1Parameters, "level-idx=8;profile=1;tier=1"),
    ],
)
def test_parameters_come_back(kind, text):
    assert text == str(kind.parse(text))


def test_opus_example_2_of_rfc_7587_section_7():
    text = (
        "maxplaybackrate=16000; sprop-maxcapturerate=16000; maxaveragebitrate=20000; stereo=1; useinbandfec=1; usedtx=0"
    )
    found = OpusParameters.parse(text)
    assert (found.maxplaybackrate, found.sprop_maxcapturerate, found.maxaveragebitrate) == (16000, 16000, 20000)
    assert (found.stereo, found.useinbandfec, found.usedtx) == (1, 1, 0)


@pytest.mark.proves("RFC7587-6.1-3-270a")
def test_opus_bitrate_out_of_range_is_ignored():
    assert OpusParameters.parse("maxaveragebitrate=5000") == OpusParameters()


@pytest.mark.proves("RFC7587-7.1-10-8e06")
def test_opus_answer_says_ours():
    assert negotiate_opus("useinbandfec=1", "stereo=1;usedtx=1;unknown=2") == "useinbandfec=1"
    with pytest.raises(WireError):
        negotiate_opus("", "stereo=3")


def test_vp8_answer_says_ours():
    assert negotiate_vp8("max-fs=3600", "max-fr=30") == "max-fs=3600"


def test_vp9_profile_identifies_the_format():
    assert negotiate_vp9("profile-id=0", "") == "profile-id=0"
    assert negotiate_vp9("profile-id=0", "profile-id=2") is None


def test_av1_profile_identifies_the_format():
    assert negotiate_av1("level-idx=5", "profile=0;level-idx=8;tier=1") == "level-idx=5;profile=0;tier=0"
    assert negotiate_av1("profile=0", "profile=1") is None


def test_h265_level_is_the_lower_one():
    assert negotiate_h265("level-id=120", "level-id=93") == "level-id=93;profile-id=1;tier-flag=0;tx-mode=SRST"
    for theirs in ("profile-id=2", "tier-flag=1", "tx-mode=MRST", "sprop-max-don-diff=2", "profile-space=1"):
        assert negotiate_h265("", theirs) is None


def test_red_answer_keeps_the_payload_types_of_the_offer():
    assert negotiate_red("", "111/111/111") == "111/111/111"


def test_events_answered_are_those_in_common():
    assert negotiate_events("0-15", "0-16,66") == "0-15"
    assert negotiate_events("0-15", "") == "0-15"
    assert negotiate_events("0-15", "32-49") is None


# --- H.264 profiles ---------------------------------------------------------------------------------------------------

# RFC 6184 table 5, with x as 0 and as 1.
TABLE_5 = [
    ("CONSTRAINED_BASELINE", "42", "x1xx0000"), ("CONSTRAINED_BASELINE", "4d", "1xxx0000"),
    ("CONSTRAINED_BASELINE", "58", "11xx0000"), ("BASELINE", "42", "x0xx0000"), ("BASELINE", "58", "10xx0000"),
    ("MAIN", "4d", "0x0x0000"), ("EXTENDED", "58", "00xx0000"), ("HIGH", "64", "00000000"),
    ("HIGH_10", "6e", "00000000"),
    ("HIGH_422", "7a", "00000000"), ("HIGH_444", "f4", "00000000"), ("HIGH_10_INTRA", "6e", "00010000"),
    ("HIGH_422_INTRA", "7a", "00010000"), ("HIGH_444_INTRA", "f4", "00010000"), ("CAVLC_444_INTRA", "2c", "00010000"),
    ("CONSTRAINED_HIGH", "64", "00001100"),
]  # fmt: skip


@pytest.mark.parametrize(("profile", "idc", "pattern"), TABLE_5)
@pytest.mark.parametrize("fill", "01")
def test_profile_of_rfc_6184_table_5(profile, idc, pattern, fill):
    text = f"{idc}{int(pattern.replace('x', fill), 2):02x}1f"
    found = ProfileLevelId.parse(text)
    assert H264Profile[profile] is found.profile
    assert text == str(found)


def test_combination_outside_table_5_is_equal_to_itself_only():
    odd = ProfileLevelId.parse("64401f")
    assert odd.profile is None
    assert odd.is_same_profile(ProfileLevelId.parse("644028"))
    assert not odd.is_same_profile(ProfileLevelId.parse("64001f"))


@pytest.mark.parametrize(
    ("text", "level"), [("42f00b", 9), ("42e00b", 11), ("640009", 9), ("64000b", 11), ("4d100b", 9)]
)
def test_level_1b_has_two_ways(text, level):
    found = ProfileLevelId.parse(text)
    assert level == found.level
    assert text == str(found)


def test_level_1b_is_between_1_and_1_1():
    one, one_b, one_one = (ProfileLevelId.parse(text) for text in ("42e00a", "42f00b", "42e00b"))
    assert one.is_level_at_most(one_b)
    assert one_b.is_level_at_most(one_one)
    assert not one_one.is_level_at_most(one_b)
    assert str(one_one.with_level(9)) == "42f00b"
    assert str(one_b.with_level(11)) == "42e00b"


# ours, theirs, answer (sorted parameters)
H264_ANSWERS = [
    # without asymmetry, the lower level
    ("profile-level-id=42e01f", "profile-level-id=42e02a", "profile-level-id=42e01f"),
    ("profile-level-id=42e01f", "profile-level-id=42e00b", "profile-level-id=42e00b"),
    ("profile-level-id=42e01f", "profile-level-id=42f00b", "profile-level-id=42f00b"),
    ("level-asymmetry-allowed=1;profile-level-id=42e01f", "profile-level-id=42e00b", "profile-level-id=42e00b"),
    # asymmetry, so it is ours
    (
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e02a",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f",
        "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e02a",
    ),
    # the same profile in another way; the answer says it as the offer did
    ("profile-level-id=42e01f", "profile-level-id=4d801f", "profile-level-id=4d801f"),
    ("profile-level-id=42e01f", "profile-level-id=58c01f", "profile-level-id=58c01f"),
    # other profiles, another mode
    ("profile-level-id=42e01f", "profile-level-id=42001f", None),
    ("profile-level-id=42e01f", "profile-level-id=64001f", None),
    ("profile-level-id=640c1f", "profile-level-id=64001f", None),
    ("profile-level-id=42e01f;packetization-mode=1", "profile-level-id=42e01f", None),
    # no profile-level-id: Baseline at level 1
    ("profile-level-id=42001f", "", "profile-level-id=42000a"),
    ("profile-level-id=42e01f", "", None),
]


@pytest.mark.proves(
    "RFC6184-8.1-2-0056",
    "RFC6184-8.1-35-dca8",
    "RFC6184-8.2.2-1-28ef",
    "RFC6184-8.2.2-3-1be6",
    "RFC6184-8.2.2-5-41a3",
    "RFC6184-8.2.2-6-5937",
    "RFC6184-8.2.2-7-667e",
)
@pytest.mark.parametrize(("ours", "theirs", "answer"), H264_ANSWERS)
def test_h264_answer(ours, theirs, answer):
    found = negotiate_h264(ours, theirs)
    assert (answer and H264Parameters.parse(answer)) == (found and H264Parameters.parse(found))
    if found:
        assert parse_parameters(answer)["profile-level-id"] in found


# --- parameter sets ---------------------------------------------------------------------------------------------------


def test_parameter_sets_are_repeated_before_a_keyframe_without_any():
    packetizer = H264Packetizer(repeats_parameter_sets=True)
    sps, pps, idr, slice_ = b"\x67\x01", b"\x68\x02", b"\x65\x03", b"\x41\x04"
    assert [idr] == depacketize_h264(packetizer.packetize_units([idr], payload_bytes_max=100))
    packetizer.packetize_units([sps, pps, idr], payload_bytes_max=100)
    assert [slice_] == depacketize_h264(packetizer.packetize_units([slice_], payload_bytes_max=100))
    assert [sps, pps, idr] == depacketize_h264(packetizer.packetize_units([idr], payload_bytes_max=100))


def test_parameter_sets_of_sdp_are_added_when_receiving():
    depacketizer = H264Depacketizer(repeats_parameter_sets=True)
    depacketizer.parameter_sets.replace([b"\x67\x01", b"\x68\x02"])
    assert split_annex_b(depacketizer.depacketize([b"\x65\x03"])) == [b"\x67\x01", b"\x68\x02", b"\x65\x03"]


def test_h265_parameter_sets_are_repeated_before_an_irap_picture():
    packetizer = H265Packetizer(repeats_parameter_sets=True)
    sets, cra = [b"\x40\x01a", b"\x42\x01b", b"\x44\x01c"], b"\x2a\x01d"
    first = packetizer.packetize_units([*sets, cra], payload_bytes_max=100)
    assert first == packetizer.packetize_units([cra], payload_bytes_max=100)
