"""Serial number arithmetic against its definition, and against a model by brute force in few bits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc import serial
from sans_rtc.serial import (
    add_16,
    add_32,
    distance_32,
    is_before_16,
    is_before_32,
    is_before_or_equal_32,
)

bounded = settings(max_examples=200, deadline=None)
U16 = st.integers(0, 2**16 - 1)
U32 = st.integers(0, 2**32 - 1)


def is_less_by_definition(left, right, bits):
    """The rule as RFC 1982 section 3.2 states it, with two cases instead of a modulus."""
    half = 1 << (bits - 1)
    return (left < right and right - left < half) or (left > right and left - right > half)


def is_reachable(left, right, bits):
    """A model without arithmetic rules: from left, count up at most 2^(n-1) - 1 times and meet right."""
    value = left
    for _ in range((1 << (bits - 1)) - 1):
        value = (value + 1) % (1 << bits)
        if value == right:
            return True
    return False


@pytest.mark.parametrize("bits", [2, 3, 4, 6])
def test_definition_agrees_with_counting_in_few_bits(bits):
    for left in range(1 << bits):
        for right in range(1 << bits):
            assert is_less_by_definition(left, right, bits) == is_reachable(left, right, bits)


@pytest.mark.parametrize("scale", [0x1000, 0x800])
def test_is_before_16_agrees_with_counting_in_few_bits(scale):
    # Multiples of 2^12 in 16 bits order like the numbers of 4 bits; of 2^11 like those of 5.
    bits = 16 - scale.bit_length() + 1
    for left in range(1 << bits):
        for right in range(1 << bits):
            assert is_before_16(left * scale, right * scale) == is_reachable(left, right, bits)


@bounded
@given(U16, U16)
def test_is_before_16_is_the_definition(left, right):
    assert is_before_16(left, right) == is_less_by_definition(left, right, 16)


@bounded
@given(U32, U32)
def test_is_before_32_is_the_definition(left, right):
    assert is_before_32(left, right) == is_less_by_definition(left, right, 32)
    assert is_before_or_equal_32(left, right) == (left == right or is_before_32(left, right))


@bounded
@given(U32, st.integers(1, 2**31 - 1))
def test_what_is_added_comes_after(value, increment):
    later = add_32(value, increment)
    assert is_before_32(value, later) and not is_before_32(later, value)
    assert distance_32(value, later) == increment and distance_32(later, value) == -increment


@bounded
@given(U16, st.integers(1, 2**15 - 1))
def test_what_is_added_comes_after_in_16_bits(value, increment):
    later = add_16(value, increment)
    assert is_before_16(value, later) and not is_before_16(later, value)


@bounded
@given(U32, U32)
def test_distance_leads_from_left_to_right(left, right):
    distance = distance_32(left, right)
    assert -(2**31) <= distance < 2**31
    assert add_32(left, distance) == right
    assert (distance > 0) == is_before_32(left, right)


@bounded
@given(U32)
def test_at_half_the_circle_neither_comes_first(value):
    opposite = add_32(value, 2**31)
    assert not is_before_32(value, opposite) and not is_before_32(opposite, value)
    assert not is_before_or_equal_32(value, opposite)
    assert distance_32(value, opposite) == -(2**31)


@bounded
@given(U16)
def test_at_half_the_circle_neither_comes_first_in_16_bits(value):
    opposite = add_16(value, 2**15)
    assert not is_before_16(value, opposite) and not is_before_16(opposite, value)


@pytest.mark.parametrize(
    ("left", "right"), [(0xFFFFFFFF, 0), (0xFFFFFFFE, 1), (0x7FFFFFFF, 0x80000000), (0, 0x7FFFFFFF)]
)
def test_order_goes_on_across_the_wrap(left, right):
    assert is_before_32(left, right) and not is_before_32(right, left)


def test_addition_wraps():
    assert add_16(0xFFFF, 1) == 0 and add_16(0, -1) == 0xFFFF
    assert add_32(0xFFFFFFFF, 1) == 0 and add_32(0, -1) == 0xFFFFFFFF


def test_masks_and_halves_belong_together():
    assert (serial.MASK_16, serial.HALF_16) == (2**16 - 1, 2**15)
    assert (serial.MASK_32, serial.HALF_32) == (2**32 - 1, 2**31)
