"""Keyframes and beginnings of frames told from payloads and frames, and the headers read for it."""

import pytest

from sans_rtc.rtp.payload import (
    Av1SequenceHeader,
    Vp8FrameHeader,
    Vp9FrameHeader,
    codecs_named,
    parse_av1_sequence_header,
    parse_h264_sps,
    parse_vp8_frame_header,
    parse_vp9_frame_header,
)

# RFC 6386 section 9.1: tag 10 02 00, start code, 320 by 240, both with a scale of 1 in the two high bits.
VP8_KEY = "100200 9d012a 4041f040"
# VP9 section 6.2: 10 0 0 0 0 1 0, sync code, colour space 001, range 0, 319 and 239, and what follows.
VP9_KEY = "82 498342 2013f00ef00000"

# codec, payload, holds the beginning of a keyframe, proves to be the first of its frame
PAYLOADS = [
    ("VP8", "10" + VP8_KEY, True, True),
    ("VP8", "908011" + VP8_KEY, True, True),
    ("VP8", "10 110200aa", False, True),
    ("VP8", "00 100200aa", False, False),
    ("VP8", "11 100200aa", False, False),
    ("VP8", "10", False, True),
    ("VP9", "8c01" + VP9_KEY, True, True),
    ("VP9", "8801" + VP9_KEY, True, True),
    ("VP9", "cc01 86aa", False, True),
    ("VP9", "8401 aa", False, False),
    ("VP9", "ac01 0300 aa", False, False),
    ("H264", "65 88", True, False),
    ("H264", "67 42c01f", True, True),
    ("H264", "68 ce", False, False),
    ("H264", "41 9a", False, False),
    ("H264", "09 f0", False, True),
    ("H264", "78 0002 0910 0002 6588", True, True),
    ("H264", "78 0002 0605 0002 4188", False, False),
    ("H264", "7c 85 88", True, False),
    ("H264", "7c 45 88", False, False),
    ("H264", "5c 81 9a", False, False),
    ("H264", "78 0009 65", False, False),
    ("H265", "4001 0c", True, True),
    ("H265", "4201 01", True, False),
    ("H265", "4401 c1", False, False),
    ("H265", "2601 af", True, False),
    ("H265", "2a01 af", True, False),
    ("H265", "0201 d0", False, False),
    ("H265", "4601 50", False, True),
    ("H265", "6201 93 af", True, False),
    ("H265", "6201 53 af", False, False),
    ("H265", "6001 0003 4001 0c 0003 4201 01", True, True),
    ("AV1", "18 0800000000", True, True),
    ("AV1", "10 0800000000", True, False),
    ("AV1", "10 3000", False, False),
    ("AV1", "90 08", False, False),
]


@pytest.mark.parametrize(("name", "payload", "is_keyframe", "is_start"), PAYLOADS)
def test_payload_says_whether_a_keyframe_begins(name, payload, is_keyframe, is_start):
    codec, data = codecs_named(name)[0], bytes.fromhex(payload)
    assert is_keyframe is codec.is_keyframe_payload(data)
    assert is_start is codec.is_frame_start(data)


FRAMES = [
    ("VP8", VP8_KEY, True),
    ("VP8", "110200", False),
    ("VP8", "100200 9d012b 4041f040", False),
    ("VP9", VP9_KEY, True),
    ("VP9", "86", False),
    ("VP9", "8a", False),
    ("H264", "00000001 67 42 000001 6588", True),
    ("H264", "00000001 67 42 000001 4188", False),
    ("H264", "67 42", False),
    ("H265", "00000001 2601af", True),
    ("H265", "00000001 2a01af", True),
    ("H265", "00000001 0201d0", False),
    ("AV1", "1200 0a01 00 3201 10", True),
    ("AV1", "1200 0a01 00 3201 30", False),
    ("AV1", "1200 0a01 18 3201 30", True),
    ("AV1", "1200 3201 10", False),
    ("AV1", "1200 0a05", False),
]


@pytest.mark.parametrize(("name", "frame", "is_keyframe"), FRAMES)
def test_frame_says_whether_it_is_a_keyframe(name, frame, is_keyframe):
    assert is_keyframe is codecs_named(name)[0].is_keyframe(bytes.fromhex(frame))


def test_vp8_size_is_without_its_scale():
    assert Vp8FrameHeader(True, 0, True, 16, 320, 240) == parse_vp8_frame_header(bytes.fromhex(VP8_KEY))


@pytest.mark.parametrize(
    ("header", "profile"),
    [
        (VP9_KEY, 0),
        ("a2 498342 22027e01de0000", 1),  # three bits of subsampling more
        ("92 498342 1009f807780000", 2),  # one bit of depth more
    ],
)
def test_vp9_size_in_each_profile(header, profile):
    found = parse_vp9_frame_header(bytes.fromhex(header))
    assert Vp9FrameHeader(profile, True, False, 320, 240) == found


def test_av1_sequence_header_of_a_still_picture():
    # profile 1, still, reduced, level 5; 9 and 8 bits of width and height: 319, 239
    bits = "001110010110000111" + f"{319:09b}{239:08b}"
    data = int(bits.ljust(48, "0"), 2).to_bytes(6, "big")
    assert Av1SequenceHeader(1, True, True, 5, 0, 320, 240) == parse_av1_sequence_header(data)


def test_av1_sequence_header_with_timing_and_operating_points():
    timing = "1" + "0" * 64 + "1" + "00101" + "1" + f"{9:05b}" + "0" * 32 + "00011" + "00010"
    points = "1" + "00001"
    points += "0" * 12 + "01000" + "1" + "1" + "0" * 21 + "1" + "0101"  # level 8, tier 1, delays of 10 bits
    points += "0" * 12 + "00000" + "0" + "0"
    bits = "00000" + timing + points + "10000111" + f"{319:09b}{239:08b}"
    data = int(bits.ljust(240, "0"), 2).to_bytes(30, "big")
    assert Av1SequenceHeader(0, False, False, 8, 1, 320, 240) == parse_av1_sequence_header(data)


def ue(value):
    digits = f"{value + 1:b}"
    return "0" * (len(digits) - 1) + digits


def sps(profile, middle):
    bits = middle + "1"
    bits += "0" * (-len(bits) % 8)
    return bytes.fromhex("67" + profile) + int(bits, 2).to_bytes(len(bits) // 8, "big")


def test_h264_sps_with_picture_order_cycle_fields_and_cropping():
    order = ue(1) + "0" + ue(1) + ue(2) + ue(2) + ue(1) + ue(0)
    size = ue(1) + "0" + ue(19) + ue(7) + "0" + "1" + "1" + "1" + ue(0) + ue(1) + ue(0) + ue(2)
    found = parse_h264_sps(sps("4d001f", ue(0) + ue(0) + order + size))
    assert (found.width, found.height) == (318, 248)


def test_h264_sps_with_scaling_lists():
    lists = "1" + "1" + ue(16) + "0" * 7  # the first list: a delta of -8, so it ends at once; seven are not there
    size = ue(1) + "0" + ue(19) + ue(14) + "1" + "1" + "0"
    found = parse_h264_sps(sps("64001f", ue(3) + ue(1) + ue(0) + ue(0) + "0" + lists + ue(0) + ue(2) + size))
    assert (found.identifier, found.width, found.height) == (3, 320, 240)
