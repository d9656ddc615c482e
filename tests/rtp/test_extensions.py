"""The table of header extensions, and the map of a session's ids."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.rtp import (
    AbsoluteCaptureTime,
    AudioLevel,
    Chromaticity,
    ColorSpace,
    Extension,
    ExtensionMap,
    FeedbackRequest,
    HdrMetadata,
    LayerResolution,
    PlayoutDelay,
    RtpPacket,
    SpatialLayer,
    TransportSequence,
    VideoLayersAllocation,
    VideoOrientation,
    VideoTiming,
    parse_extension,
    parse_rtp,
    serialize_extension,
    serialize_rtp,
)
from sans_rtc.rtp.extensions import TABLE


def uint(bits):
    return st.integers(0, (1 << bits) - 1)


RID = st.text("abcXYZ019-_", min_size=1, max_size=16)
POINT = st.builds(Chromaticity, uint(16), uint(16))
HDR = st.builds(HdrMetadata, uint(16), uint(16), POINT, POINT, POINT, POINT, uint(16), uint(16))
DELAY_MS = st.integers(0, 4095).map(lambda steps: steps * 10)


@st.composite
def allocations(draw):
    count = draw(st.integers(1, 4))
    with_sizes = draw(st.booleans())
    size = (
        st.builds(LayerResolution, st.integers(1, 65536), st.integers(1, 65536), uint(8)) if with_sizes else st.none()
    )
    rates = st.lists(uint(32), min_size=1, max_size=4).map(tuple)
    ids = st.sets(st.integers(0, 3)).map(sorted)
    streams = [tuple([SpatialLayer(sid, draw(rates), draw(size)) for sid in draw(ids)]) for _ in range(count)]
    return VideoLayersAllocation(draw(st.integers(0, count - 1)), tuple(streams))


VALUES = {
    Extension.MID: st.text(min_size=1, max_size=16),
    Extension.RID: RID,
    Extension.REPAIRED_RID: RID,
    Extension.SSRC_AUDIO_LEVEL: st.builds(AudioLevel, uint(7), st.booleans()),
    Extension.CSRC_AUDIO_LEVEL: st.lists(uint(7), min_size=1, max_size=15).map(tuple),
    Extension.TRANSMISSION_OFFSET: st.integers(-(1 << 23), (1 << 23) - 1),
    Extension.VIDEO_ORIENTATION: st.builds(
        VideoOrientation, st.sampled_from([0, 90, 180, 270]), st.booleans(), st.booleans()
    ),
    Extension.ABS_SEND_TIME: uint(24),
    Extension.ABS_CAPTURE_TIME: st.builds(
        AbsoluteCaptureTime, uint(64), st.none() | st.integers(-(1 << 63), (1 << 63) - 1)
    ),
    Extension.TRANSPORT_CC: uint(16),
    Extension.TRANSPORT_CC_02: st.builds(
        TransportSequence, uint(16), st.none() | st.builds(FeedbackRequest, st.integers(1, 0x7FFF), st.booleans())
    ),
    Extension.PLAYOUT_DELAY: st.builds(PlayoutDelay, DELAY_MS, DELAY_MS),
    Extension.VIDEO_CONTENT_TYPE: uint(8),
    Extension.VIDEO_TIMING: st.builds(VideoTiming, st.none() | uint(8), *[uint(16)] * 6),
    Extension.VIDEO_LAYERS_ALLOCATION: allocations() | st.just(VideoLayersAllocation()),
    Extension.COLOR_SPACE: st.builds(ColorSpace, uint(8), uint(8), uint(8), uint(2), uint(2), uint(2), st.none() | HDR),
    Extension.DEPENDENCY_DESCRIPTOR: st.binary(min_size=3, max_size=20),
}


def test_every_extension_has_a_row_and_a_strategy():
    assert {row.uri for row in TABLE} == set(Extension) == set(VALUES)


@pytest.mark.parametrize("uri", Extension, ids=lambda uri: uri.name)
@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_value_comes_back_as_it_was(uri, data):
    value = data.draw(VALUES[uri])
    try:
        raw = serialize_extension(uri, value)
    except InvalidArgument:  # 16 layers with 4 bitrates of 5 bytes are more than 255 bytes
        assert uri == Extension.VIDEO_LAYERS_ALLOCATION
        return
    assert parse_extension(uri, raw) == value


@pytest.mark.parametrize("uri", Extension, ids=lambda uri: uri.name)
@given(data=st.binary(max_size=64))
@settings(max_examples=100, deadline=None)
def test_any_bytes_raise_only_wire_errors(uri, data):
    try:
        parse_extension(uri, data)
    except WireError:
        pass


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_value_of_another_size_is_malformed(row):
    for size in {row.size_min - 1, row.size_max + 1}:
        with pytest.raises(WireError):
            parse_extension(row.uri, b"a" * size)


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_value_of_another_kind_is_refused(row):
    with pytest.raises(InvalidArgument):
        serialize_extension(row.uri, object())


BROKEN = {
    Extension.MID: ["ff"],
    Extension.RID: ["2a", "c3a9", "20"],
    Extension.ABS_CAPTURE_TIME: ["00" * 9, "00" * 15],
    Extension.TRANSPORT_CC_02: ["000000"],
    Extension.COLOR_SPACE: ["00" * 5, "00" * 27],
    # stream 1 of 1; no masks; no counts; half a bitrate; leb128 too long; more than 32 bits; stream 1 of 1; half a size
    Extension.VIDEO_LAYERS_ALLOCATION: [
        "41",
        "10",
        "01",
        "0100",
        "010080",
        "0100808080808000",
        "0100ffffffff10",
        "41000a",
        "01000a00",
    ],
}


@pytest.mark.parametrize(("uri", "value"), [(uri, value) for uri, values in BROKEN.items() for value in values])
def test_value_that_breaks_its_format_is_a_wire_error(uri, value):
    with pytest.raises(WireError):
        parse_extension(uri, bytes.fromhex(value))


REFUSED = [
    (Extension.MID, ""),
    (Extension.RID, "a b"),
    (Extension.RID, "é"),
    (Extension.SSRC_AUDIO_LEVEL, AudioLevel(128)),
    (Extension.CSRC_AUDIO_LEVEL, tuple(range(16))),
    (Extension.TRANSMISSION_OFFSET, 1 << 23),
    (Extension.VIDEO_ORIENTATION, VideoOrientation(45)),
    (Extension.ABS_SEND_TIME, 1 << 24),
    (Extension.ABS_CAPTURE_TIME, AbsoluteCaptureTime(-1)),
    (Extension.TRANSPORT_CC_02, TransportSequence(1, FeedbackRequest(0))),
    (Extension.PLAYOUT_DELAY, PlayoutDelay(0, 40960)),
    (Extension.VIDEO_TIMING, VideoTiming(0, 65536, 0, 0, 0)),
    (Extension.COLOR_SPACE, ColorSpace(1, 1, 1, 4)),
    (Extension.VIDEO_LAYERS_ALLOCATION, VideoLayersAllocation(1, ((),))),
    (Extension.VIDEO_LAYERS_ALLOCATION, VideoLayersAllocation(0, ((),) * 5)),
    (Extension.VIDEO_LAYERS_ALLOCATION, VideoLayersAllocation(0, ((SpatialLayer(4, (1,)),),))),
    (Extension.VIDEO_LAYERS_ALLOCATION, VideoLayersAllocation(0, ((SpatialLayer(0, ()),),))),
    (Extension.VIDEO_LAYERS_ALLOCATION, VideoLayersAllocation(0, ((SpatialLayer(0, (1 << 32,)),),))),
]


@pytest.mark.parametrize(("uri", "value"), REFUSED)
def test_value_out_of_its_range_is_refused(uri, value):
    with pytest.raises(InvalidArgument):
        serialize_extension(uri, value)


def new_packet():
    return RtpPacket(96, 1, 2, 3, b"")


def test_value_set_is_the_value_read_at_the_other_end():
    extensions = ExtensionMap([(4, Extension.MID), (2, Extension.TRANSPORT_CC)])
    packet = new_packet()
    assert extensions.set_value(packet, Extension.MID, "0")
    assert extensions.set_value(packet, Extension.TRANSPORT_CC, 1)
    assert extensions.set_value(packet, Extension.TRANSPORT_CC, 7)
    received = parse_rtp(serialize_rtp(packet))
    assert received.extensions == [(4, b"0"), (2, b"\x00\x07")]
    assert extensions.value(received, Extension.TRANSPORT_CC) == 7
    assert extensions.value(received, Extension.MID) == "0"


def test_extension_that_was_not_negotiated_is_left_out():
    packet = new_packet()
    assert not ExtensionMap().set_value(packet, Extension.MID, "0")
    assert packet.extensions == []
    assert ExtensionMap().value(packet, Extension.MID) is None


def test_extension_without_a_row_is_kept_as_bytes():
    extensions = ExtensionMap([(9, "urn:example:own")])
    packet = new_packet()
    extensions.set_value(packet, "urn:example:own", b"abc")
    assert extensions.value(packet, "urn:example:own") == b"abc"


def test_long_value_needs_the_two_byte_form():
    layers = VideoLayersAllocation(0, ((SpatialLayer(0, (1, 2, 3, 4), LayerResolution(640, 360, 30)),) * 1,) * 2)
    packet = new_packet()
    with pytest.raises(InvalidArgument):
        ExtensionMap([(1, Extension.VIDEO_LAYERS_ALLOCATION)]).set_value(
            packet, Extension.VIDEO_LAYERS_ALLOCATION, layers
        )
    assert packet.extensions == []
    mixed = ExtensionMap([(1, Extension.VIDEO_LAYERS_ALLOCATION)], allow_mixed=True)
    assert mixed.set_value(packet, Extension.VIDEO_LAYERS_ALLOCATION, layers)
    assert mixed.value(parse_rtp(serialize_rtp(packet)), Extension.VIDEO_LAYERS_ALLOCATION) == layers


@pytest.mark.parametrize(
    ("element_id", "allow_mixed", "expected"), [(14, False, False), (15, False, True), (15, True, False)]
)
def test_session_with_a_high_id_takes_the_two_byte_form_unless_mixed(element_id, allow_mixed, expected):
    extensions = ExtensionMap([(element_id, Extension.MID)], allow_mixed=allow_mixed)
    assert extensions.is_two_byte == expected


@pytest.mark.parametrize("element_id", [0, -1, 256, 4096])
def test_id_out_of_range_is_refused(element_id):
    with pytest.raises(InvalidArgument):
        ExtensionMap([(element_id, Extension.MID)])


def test_id_of_another_extension_is_refused_and_changes_nothing():
    extensions = ExtensionMap([(1, Extension.MID)])
    with pytest.raises(InvalidArgument):
        extensions.add(1, Extension.RID)
    extensions.add(1, Extension.MID)
    assert extensions.entries == ((1, Extension.MID),)
    assert (extensions.id_of(Extension.RID), extensions.uri_of(1)) == (None, Extension.MID)


def test_second_id_of_an_extension_is_read_and_the_first_is_sent():
    extensions = ExtensionMap([(1, Extension.MID), (2, Extension.MID)])
    assert extensions.id_of(Extension.MID) == 1
    packet = new_packet()
    packet.extensions = [(2, b"x")]
    assert extensions.value(packet, Extension.MID) == "x"
    extensions.remove(packet, Extension.MID)
    assert packet.extensions == []


def test_map_holds_an_extension_for_every_id():
    extensions = ExtensionMap([(element_id, f"urn:example:{element_id}") for element_id in range(1, 256)])
    assert len(extensions.entries) == 255
