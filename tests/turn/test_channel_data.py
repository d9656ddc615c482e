"""ChannelData: round trip, padding, and what is malformed field by field."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, Truncated, Unsupported, WireError
from sans_rtc.turn.channel_data import ChannelData, parse_channel_data, serialize_channel_data

NUMBERS = st.integers(0x4000, 0x4FFF)


def test_message_is_laid_out_as_in_figure_5():
    assert serialize_channel_data(0x4001, b"hello", pad=False) == bytes.fromhex("4001 0005") + b"hello"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 4, 5])
def test_padding_fills_to_a_multiple_of_four_and_is_not_counted(size):
    message = serialize_channel_data(0x4000, b"x" * size, pad=True)
    assert len(message) == 4 + (size + 3) // 4 * 4
    assert message[2:4] == size.to_bytes(2, "big")
    assert parse_channel_data(message) == ChannelData(0x4000, b"x" * size)


def test_padding_of_a_udp_message_is_ignored():
    assert parse_channel_data(b"\x40\x00\x00\x01x\0\0\0") == ChannelData(0x4000, b"x")


@settings(max_examples=100, deadline=None)
@given(NUMBERS, st.binary(max_size=100), st.booleans())
def test_round_trip(number, data, pad):
    assert parse_channel_data(serialize_channel_data(number, data, pad=pad)) == ChannelData(number, data)


def test_largest_message_goes_through():
    data = bytes(65535)
    assert parse_channel_data(serialize_channel_data(0x4FFF, data, pad=True)).data == data


@pytest.mark.parametrize("data", [b"", b"\x40", b"\x40\x00\x00", b"\x40\x00\x00\x01", b"\x40\x00\x00\x05abcd"])
def test_message_that_ends_before_its_data_is_truncated(data):
    with pytest.raises(Truncated):
        parse_channel_data(data)


@pytest.mark.parametrize("number", [0x0000, 0x3FFF, 0x5000, 0x7FFF, 0xFFFF])
def test_number_that_is_no_channels_is_refused(number):
    with pytest.raises(Unsupported):
        parse_channel_data(number.to_bytes(2, "big") + b"\0\0")
    with pytest.raises(InvalidArgument):
        serialize_channel_data(number, b"", pad=False)


def test_more_data_than_the_length_can_say_is_refused():
    with pytest.raises(InvalidArgument):
        serialize_channel_data(0x4000, bytes(65536), pad=True)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_give_a_message_or_a_wire_error(data):
    try:
        parsed = parse_channel_data(data)
    except WireError:
        return
    assert data.startswith(serialize_channel_data(parsed.number, parsed.data, pad=False))
