"""Frames out of a stream: cut at every byte, bounded, broken by garbage for good."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.stun import Attribute, AttributeType, Message, MessageClass, Method, serialize_message
from sans_rtc.turn.channel_data import serialize_channel_data
from sans_rtc.turn.framing import FRAME_BYTES_MAX, TurnFramer

BINDING = serialize_message(Message(MessageClass.REQUEST, Method.BINDING, bytes(range(12))))
SOFTWARE = serialize_message(
    Message(MessageClass.SUCCESS_RESPONSE, Method.ALLOCATE, bytes(12), [Attribute(AttributeType.SOFTWARE, "server")])
)
CHANNEL = serialize_channel_data(0x4001, b"abcde", pad=False)
EMPTY_CHANNEL = serialize_channel_data(0x4FFF, b"", pad=False)
FRAMES = [BINDING, CHANNEL, SOFTWARE, EMPTY_CHANNEL, CHANNEL]
STREAM = b"".join([frame + bytes(-len(frame) % 4) for frame in FRAMES])


def test_frames_of_one_piece_come_out_without_padding():
    framer = TurnFramer()
    assert framer.feed(STREAM) == FRAMES
    assert framer.buffered_bytes == 0


@pytest.mark.parametrize("cut", range(len(STREAM) + 1))
def test_stream_may_be_cut_at_every_byte(cut):
    framer = TurnFramer()
    assert framer.feed(STREAM[:cut]) + framer.feed(STREAM[cut:]) == FRAMES


def test_stream_may_come_byte_by_byte():
    framer = TurnFramer()
    assert [frame for byte in STREAM for frame in framer.feed(bytes([byte]))] == FRAMES


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_cutting_gives_the_same_frames(data):
    sizes = data.draw(st.lists(st.binary(max_size=30)))
    frames = [serialize_channel_data(0x4000 + index, payload, pad=False) for index, payload in enumerate(sizes)]
    stream = b"".join([frame + bytes(-len(frame) % 4) for frame in frames])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)))))
    framer, got = TurnFramer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        got += framer.feed(stream[start:end])
    assert got == frames


def test_longest_frames_go_through_in_small_pieces():
    longest = b"\x00\x01\xff\xfc\x21\x12\xa4\x42" + bytes(12 + 0xFFFC)
    channel = serialize_channel_data(0x4000, bytes(65535), pad=False)
    assert len(longest) == FRAME_BYTES_MAX
    framer, got = TurnFramer(), []
    stream = longest + channel + b"\0"
    for offset in range(0, len(stream), 1000):
        got += framer.feed(stream[offset : offset + 1000])
        assert framer.buffered_bytes < FRAME_BYTES_MAX
    assert got == [longest, channel]


@pytest.mark.parametrize(
    "garbage",
    [
        b"SSH-2.0-x\r\n",
        b"\x50\x00\x00\x00",
        b"\x80\x00\x00\x00",
        b"\xff\xff\xff\xff",
        b"\x00\x01\x00\x01",
        b"\x00\x01\x00\x00\x21\x12\xa4\x43",
        b"\x00\x01\x00\x00\0\0\0\0",
    ],
)
@pytest.mark.parametrize("is_cut", [False, True])
def test_garbage_breaks_the_stream_for_good_after_the_frames_before_it(garbage, is_cut):
    framer = TurnFramer()
    pieces = [bytes([byte]) for byte in CHANNEL + bytes(3) + garbage] if is_cut else [CHANNEL + bytes(3) + garbage]
    assert [frame for piece in pieces for frame in framer.feed(piece)] == [CHANNEL]
    assert framer.is_broken and framer.reason
    assert framer.feed(CHANNEL + bytes(3)) == [] and framer.buffered_bytes == 0


@pytest.mark.parametrize("start", [b"\x40\x00\x03\xfd", b"\x00\x01\x03\xec", b"\x00\x01\x03\xec\x21\x12\xa4\x42"])
def test_frame_beyond_the_bound_breaks_the_stream_before_it_is_buffered(start):
    framer = TurnFramer(frame_bytes_max=1000)
    assert framer.feed(start) == [] and framer.is_broken


def test_frame_at_the_bound_is_taken():
    framer = TurnFramer(frame_bytes_max=1000)
    frame = serialize_channel_data(0x4000, bytes(996), pad=False)
    assert framer.feed(frame) == [frame] and not framer.is_broken


def test_count_max_leaves_the_rest_unread():
    framer = TurnFramer()
    assert framer.feed(BINDING + b"raw bytes", count_max=1) == [BINDING]
    assert framer.take_rest() == b"raw bytes"
    assert not framer.is_broken and framer.buffered_bytes == 0


def test_what_was_left_is_read_by_the_next_call():
    framer = TurnFramer()
    assert framer.feed(STREAM, count_max=2) == FRAMES[:2]
    assert framer.feed(b"") == FRAMES[2:]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes_are_taken_without_an_error(pieces):
    framer = TurnFramer(frame_bytes_max=100)
    for piece in pieces:
        framer.feed(piece)
        assert framer.buffered_bytes < 104
