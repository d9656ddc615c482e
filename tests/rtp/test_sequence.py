"""Counters that wrap, against a reference that knows where they really were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.rtp import ReferenceTimeUnwrapper, SequenceUnwrapper, TimestampUnwrapper, Unwrapper

KINDS = [(SequenceUnwrapper, 16), (TimestampUnwrapper, 32), (ReferenceTimeUnwrapper, 24)]


@pytest.mark.parametrize(("kind", "bits"), KINDS)
@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_unwrapped_value_is_where_the_counter_really_was(kind, bits, data):
    half = 1 << bits - 1
    position = highest = data.draw(st.integers(0, (1 << bits) - 1))
    unwrapper = kind()
    assert unwrapper.unwrap(position) == position
    for step in data.draw(st.lists(st.integers(-half + 1, half), max_size=40)):
        position = highest + step
        assert unwrapper.peek(position % (1 << bits)) == position
        assert unwrapper.highest == highest
        assert unwrapper.unwrap(position % (1 << bits)) == position
        highest = max(highest, position)


def test_number_after_the_last_is_one_more():
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(number) for number in (65534, 65535, 0, 65535, 1)] == [65534, 65535, 65536, 65535, 65537]


def test_number_before_the_first_may_be_negative():
    unwrapper = SequenceUnwrapper()
    assert [unwrapper.unwrap(number) for number in (0, 65535)] == [0, -1]


def test_restarted_unwrapper_begins_anew():
    unwrapper = Unwrapper(16)
    assert unwrapper.highest is None and unwrapper.peek(7) == 7
    unwrapper.unwrap(65535)
    unwrapper.unwrap(0)
    unwrapper.restart()
    assert unwrapper.unwrap(5) == 5
