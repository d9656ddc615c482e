"""Rules of RFC 6184 that no other test is about: what stands in the packets, and what a receiver leaves out."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import Malformed, Unsupported
from sans_rtc.rtp.payload import (
    H264Packetizer,
    H264Parameters,
    codecs_named,
    depacketize_h264,
    join_annex_b,
    negotiate_h264,
)

STAP_A, FU_A = 24, 28
units = st.builds(lambda head, body: bytes((head,)) + body, st.integers(0, 255), st.binary(min_size=1, max_size=200))
frames = st.lists(units.filter(lambda unit: 1 <= unit[0] & 0x1F <= 23), min_size=1, max_size=10)


def aggregated(payload):
    """The units of a STAP-A, read as figure 7 has it."""
    found, rest = [], payload[1:]
    while rest:
        size = int.from_bytes(rest[:2], "big")
        found.append(rest[2 : 2 + size])
        rest = rest[2 + size :]
    return found


@pytest.mark.proves(
    "RFC6184-5.5-1-39b2",
    "RFC6184-5.5-2-1698",
    "RFC6184-5.5-3-ccf1",
    "RFC6184-5.5-4-9712",
    "RFC6184-5.6-1-9ff3",
    "RFC6184-5.7-2-4b04",
    "RFC6184-5.7-3-3c84",
    "RFC6184-5.7-4-8762",
    "RFC6184-5.7-6-bde5",
    "RFC6184-5.7-7-6169",
    "RFC6184-5.8-1-5c17",
    "RFC6184-5.8-2-2114",
    "RFC6184-5.8-4-3c49",
    "RFC6184-5.8-5-ccde",
    "RFC6184-5.8-7-e2b8",
    "RFC6184-5.8-8-b859",
    "RFC6184-5.8-9-03d7",
    "RFC6184-5.8-10-3c0a",
    "RFC6184-6.3-2-94e9",
    "RFC6184-6.3-3-2236",
    "RFC6184-5.1-1-f1c0",
)
@settings(max_examples=100, deadline=None)
@given(frames, st.integers(8, 300))
def test_packets_of_mode_1_are_single_units_stap_a_and_fu_a_as_the_figures_have_them(frame, budget):
    sent, piece = [], None
    for payload in H264Packetizer().packetize_units(frame, payload_bytes_max=budget):
        kind = payload[0] & 0x1F
        assert kind in (*range(1, 24), STAP_A, FU_A)
        assert (piece is not None) <= (kind == FU_A)  # nothing stands between the fragments of a unit
        if kind == STAP_A:
            inside = aggregated(payload)
            assert len(inside) > 1
            assert {unit[0] & 0x1F for unit in inside} <= set(range(1, 24))
            assert payload[0] & 0x60 == max(unit[0] & 0x60 for unit in inside)
            assert payload[0] & 0x80 == max(unit[0] & 0x80 for unit in inside)
            sent += inside
        elif kind == FU_A:
            is_start, is_end, reserved = payload[1] & 0x80, payload[1] & 0x40, payload[1] & 0x20
            assert not (is_start and is_end) and not reserved
            assert bool(is_start) == (piece is None)
            piece = piece or bytes((payload[0] & 0xE0 | payload[1] & 0x1F,))
            assert payload[0] & 0xE0 == piece[0] & 0xE0
            piece += payload[2:]
            if is_end:
                sent.append(piece)
                piece = None
        else:
            sent.append(payload)
    assert (sent, piece) == (frame, None)


@pytest.mark.proves("RFC6184-5.7.1-1-519f")
def test_small_units_of_a_picture_share_one_stap_a():
    (payload,) = H264Packetizer().packetize_units([b"\x67a", b"\x68b", b"\x65c"], payload_bytes_max=100)
    assert payload[0] & 0x1F == STAP_A


@pytest.mark.proves("RFC6184-5.4-1-a715")
@pytest.mark.parametrize("kind", [0, 30, 31])
def test_units_of_reserved_types_are_left_out_however_they_come(kind):
    reserved = bytes((0x60 | kind,)) + b"later"
    slices = [b"\x65a", b"\x41b"]
    assert slices == depacketize_h264([slices[0], reserved, slices[1]])
    stap = b"\x78" + b"".join(len(unit).to_bytes(2, "big") + unit for unit in (slices[0], reserved, slices[1]))
    assert slices == depacketize_h264([stap])
    fragments = [bytes((0x7C, 0x80 | kind)) + b"la", bytes((0x7C, 0x40 | kind)) + b"ter"]
    assert slices == depacketize_h264([slices[0], *fragments, slices[1]])
    for alone in ([reserved], fragments):
        with pytest.raises(Unsupported):
            depacketize_h264(alone)


@pytest.mark.proves("RFC6184-5.4-1-a715")
def test_reserved_unit_between_two_fragments_changes_nothing():
    assert depacketize_h264([b"\x7c\x85a", b"\x1flater", b"\x7c\x45b"]) == [b"\x65ab"]


def test_fragments_of_a_reserved_type_still_need_their_end():
    with pytest.raises(Malformed):
        depacketize_h264([b"\x65a", b"\x7c\x9ela"])


@pytest.mark.proves("RFC6184-5.8-9-03d7")
def test_reserved_bit_of_a_fragment_is_ignored():
    assert depacketize_h264([b"\x7c\xa5a", b"\x7c\x25b", b"\x7c\x65c"]) == [b"\x65abc"]


@pytest.mark.proves("RFC6184-6.2-1-1237")
def test_single_units_are_taken_in_any_mode():
    frame = [b"\x67a", b"\x68b", b"\x65c"]
    assert depacketize_h264(frame) == frame


@pytest.mark.proves(
    "RFC6184-8.2-1-2077",
    "RFC6184-8.2.2-15-97d1",
    "RFC6184-8.2.2-17-dedc",
    "RFC6184-8.2.2-25-4357",
    "RFC6184-8.2.2-27-3a84",
    "RFC6184-8.2.2-38-cbdb",
)
def test_unknown_parameters_are_ignored():
    known = "packetization-mode=1;profile-level-id=42e01f"
    assert H264Parameters.parse(known) == H264Parameters.parse(f"future=7;{known};x")
    assert negotiate_h264(known, f"{known};future=7") == known
    sets = "sprop-level-parameter-sets=42e01f:Z0LgHw==;use-level-src-parameter-sets=1;in-band-parameter-sets=1"
    assert negotiate_h264(known, f"{known};{sets}") == known


@pytest.mark.proves(
    "RFC6184-6.1-4-e1d5",
    "RFC6184-6.1-5-23be",
    "RFC6184-8.1-32-fd4f",
    "RFC6184-8.2.2-11-2a8a",
    "RFC6184-8.2.2-14-0624",
    "RFC6184-8.2.2-17-dedc",
    "RFC6184-8.2.2-19-9418",
    "RFC6184-8.2.2-21-b71d",
    "RFC6184-8.2.2-24-bb1b",
    "RFC6184-8.2.2-27-3a84",
    "RFC6184-8.2.2-29-0f41",
    "RFC6184-8.4-2-2d4d",
    "RFC6184-8.4-4-295d",
    "RFC7742-6.2-6-f5d3",
)
def test_each_keyframe_has_its_parameter_sets_in_band():
    """No description of ours names any, so they have to come this way (section 8.2.2, RFC 7742 section 6.2)."""
    codec = codecs_named("H264")[0]
    packetizer = codec.new_packetizer(codec.parameters, bytes)
    sets, keyframe = [b"\x67\x42\xe0\x1f", b"\x68\xce"], b"\x65\x88a"
    for units in ([*sets, keyframe], [b"\x41\x9a"], [keyframe], [keyframe]):
        payloads = packetizer.packetize(join_annex_b(units), payload_bytes_max=1000)
        assert depacketize_h264(payloads) == ([*sets, keyframe] if keyframe in units else units)
