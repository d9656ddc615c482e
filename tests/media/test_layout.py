"""Headers laid out before read as what they say, in whatever form and with whatever beside."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.media.layout import NO_EXTRA, Extra, HeaderLayout
from sans_rtc.rtp import Extension, ExtensionMap, WallClock, abs_send_time, parse_rtp

NUMBER, TIME, MID, LEVEL = 3, 2, 4, 1


def layout_of(*, number=0, time=0, mid=0, allow_mixed=False, is_numbered=True):
    entries = [(number, Extension.TRANSPORT_CC), (time, Extension.ABS_SEND_TIME), (mid, Extension.MID)]
    present = [(element_id, uri) for element_id, uri in entries if element_id]
    return HeaderLayout(ExtensionMap(present, allow_mixed=allow_mixed), WallClock(1e9), is_numbered=is_numbered)


def read(layout, identity, extra):
    header = layout.header(0x80 | 96, 65535, 0xFFFFFFFF, 7, identity, extra, 0x1234, 12.5)
    assert len(header) <= layout.overhead_bytes(identity, extra)
    packet = parse_rtp(header + b"payload")
    assert (packet.payload_type, packet.marker, packet.sequence_number) == (96, True, 65535)
    assert (packet.timestamp, packet.ssrc, packet.payload) == (0xFFFFFFFF, 7, b"payload")
    assert packet.csrcs == extra.csrcs
    return dict(packet.extensions)


@pytest.mark.parametrize(("number", "time"), list(itertools.product((0, NUMBER, 20), (0, TIME, 21))))
def test_every_length_of_what_is_beside_reads_back(number, time):
    for size in range(17):
        assert_reads_back(number, time, size)


def assert_reads_back(number, time, size):
    layout = layout_of(number=number, time=time)
    extra = Extra(((LEVEL, bytes(range(size))),)) if size else NO_EXTRA
    expected = dict(extra.elements)
    if number:
        expected[number] = b"\x12\x34"
    if time:
        expected[time] = abs_send_time(WallClock(1e9).ntp(12.5)).to_bytes(3, "big")
    found = read(layout, NO_EXTRA, extra)
    if time:  # the last of 18 bits of fraction is rounded away at Unix times
        assert abs(int.from_bytes(found[time], "big") - int.from_bytes(expected[time], "big")) <= 1
        found[time] = expected[time]
    assert found == expected, size


@given(
    values=st.lists(st.binary(max_size=40), max_size=4),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=15).map(tuple),
    mid=st.text("abc", min_size=1, max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_whatever_a_frame_adds_reads_back(values, csrcs, mid):
    layout = layout_of(number=NUMBER, mid=MID, allow_mixed=True)
    elements = tuple([(5 + index, value) for index, value in enumerate(values)])
    found = read(layout, Extra(((MID, mid.encode()),)), Extra(elements, csrcs))
    assert found == dict(elements) | {MID: mid.encode(), NUMBER: b"\x12\x34"}


def test_number_is_left_out_where_no_feedback_was_agreed():
    assert read(layout_of(number=NUMBER, is_numbered=False), NO_EXTRA, NO_EXTRA) == {}


def test_what_takes_two_bytes_does_not_fit_where_they_were_not_agreed():
    assert not layout_of(mid=MID).fits(MID, b"x" * 17)
    assert layout_of(mid=MID, allow_mixed=True).fits(MID, b"x" * 17)
