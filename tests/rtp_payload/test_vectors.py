"""Payloads derived by hand from the figures of the specifications, parsed and written again."""

import pytest

from sans_rtc.rtp.payload import (
    ComfortNoise,
    EventReport,
    RedBlock,
    depacketize_h264,
    depacketize_h265,
    parse_av1_payload,
    parse_comfort_noise,
    parse_event_payload,
    parse_opus_packet,
    parse_red_payload,
    parse_vp8_payload,
    parse_vp9_payload,
    serialize_av1_payload,
    serialize_comfort_noise,
    serialize_event_payload,
    serialize_red_payload,
    serialize_vp8_descriptor,
    serialize_vp9_descriptor,
)


def plain(value):
    return list(value) if isinstance(value, tuple) else value


def assert_fields(expected, parsed):
    assert expected == {name: plain(getattr(parsed, name)) for name in expected}


@pytest.mark.proves("RFC7742-6.1-1-494f")
def test_vp8_vector(vp8_vector):
    payload = bytes.fromhex(vp8_vector["payload"])
    descriptor, data = parse_vp8_payload(payload)
    assert_fields(vp8_vector["fields"], descriptor)
    assert bytes.fromhex(vp8_vector["data"]) == data
    assert payload == serialize_vp8_descriptor(descriptor) + data


def test_vp9_vector(vp9_vector):
    payload = bytes.fromhex(vp9_vector["payload"])
    descriptor, data = parse_vp9_payload(payload)
    assert_fields(vp9_vector["fields"], descriptor)
    assert bytes.fromhex(vp9_vector["data"]) == data
    assert payload == serialize_vp9_descriptor(descriptor) + data
    structure = vp9_vector.get("scalability")
    if structure is None:
        assert descriptor.scalability is None
        return
    found = descriptor.scalability
    assert structure["spatial_layers"] == found.spatial_layers
    assert structure["sizes"] == [list(size) for size in found.sizes]
    group = found.group and [[p.temporal_id, p.is_switching_up, list(p.reference_diffs)] for p in found.group]
    assert structure["group"] == group


@pytest.mark.proves("RFC7742-6.2-1-b151")
def test_h264_vector(h264_vector):
    units = depacketize_h264([bytes.fromhex(payload) for payload in h264_vector["payloads"]])
    assert [bytes.fromhex(unit) for unit in h264_vector["units"]] == units


def test_h265_vector(h265_vector):
    units = depacketize_h265([bytes.fromhex(payload) for payload in h265_vector["payloads"]])
    assert [bytes.fromhex(unit) for unit in h265_vector["units"]] == units


def test_av1_vector(av1_vector):
    payload = bytes.fromhex(av1_vector["payload"])
    parsed = parse_av1_payload(payload)
    assert [bytes.fromhex(element) for element in av1_vector["elements"]] == parsed.elements
    assert av1_vector["flags"] == [parsed.continues, parsed.is_continued, parsed.starts_sequence]
    assert payload == serialize_av1_payload(parsed)


def test_opus_vector(opus_vector):
    packet = parse_opus_packet(bytes.fromhex(opus_vector["packet"]))
    assert_fields(opus_vector["fields"], packet)
    assert [bytes.fromhex(frame) for frame in opus_vector["frames"]] == packet.frames


@pytest.mark.proves("RFC3389-3.3-1-555a", "RFC7874-3-3-9b97")
def test_audio_vector(audio_vector):
    payload = bytes.fromhex(audio_vector["payload"])
    match audio_vector["format"]:
        case "red":
            blocks = [RedBlock(kind, ago, bytes.fromhex(data)) for kind, ago, data in audio_vector["blocks"]]
            assert blocks == parse_red_payload(payload)
            assert payload == serialize_red_payload(blocks)
        case "CN":
            (noise,) = parse_comfort_noise(payload)
            assert audio_vector["level"] == noise.level
            assert audio_vector["coefficients"] == pytest.approx(noise.reflection_coefficients)
            assert payload == serialize_comfort_noise([ComfortNoise(noise.level, noise.coefficients)])
        case "telephone-event":
            reports = [EventReport(*fields) for fields in audio_vector["reports"]]
            assert reports == parse_event_payload(payload)
            assert payload == serialize_event_payload(reports)
