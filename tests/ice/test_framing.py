"""RFC 4571 section 2: two bytes of length before each datagram on a stream."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.framing import FRAME_BYTES_MAX, FrameReader, serialize_frame


def test_frame_is_length_and_data():
    assert serialize_frame(b"abc") == b"\x00\x03abc"


def test_frame_that_is_too_long_is_refused():
    assert len(serialize_frame(bytes(FRAME_BYTES_MAX))) == FRAME_BYTES_MAX + 2
    with pytest.raises(InvalidArgument):
        serialize_frame(bytes(FRAME_BYTES_MAX + 1))


@pytest.mark.parametrize("cut", range(1, 12))
def test_stream_may_be_cut_at_every_byte(cut):
    reader, stream = FrameReader(), serialize_frame(b"abc") + serialize_frame(b"") + serialize_frame(b"defg")
    assert reader.feed(stream[:cut]) + reader.feed(stream[cut:]) == [b"abc", b"defg"]
    assert reader.waiting_bytes == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=40)), st.lists(st.integers(1, 9), min_size=1))
def test_any_frames_in_any_pieces_come_out_whole_and_in_order(frames, sizes):
    reader, stream, found, turn = FrameReader(), b"".join(map(serialize_frame, frames)), [], 0
    while stream:
        size = sizes[turn % len(sizes)]
        found += reader.feed(stream[:size])
        stream, turn = stream[size:], turn + 1
    assert found == frames


def test_frame_over_the_bound_breaks_the_stream_for_good():
    reader = FrameReader(10)
    assert reader.feed(serialize_frame(b"ok") + serialize_frame(bytes(11))) == [b"ok"]
    assert reader.is_broken
    assert reader.feed(serialize_frame(b"ok")) == []
    assert reader.waiting_bytes == 0


def test_what_waits_is_bounded():
    reader = FrameReader(100)
    reader.feed(b"\x00\x64" + bytes(99))
    assert reader.waiting_bytes == 101
    assert reader.feed(bytes(1)) == [bytes(100)]
    assert reader.waiting_bytes == 0
