"""The replay window against a model that remembers everything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.replay_window import ReplayWindow


class Model:
    """Every number accepted, in a set, and the rule in words: fresh means not seen and not older than the window."""

    def __init__(self, size):
        self.size = size
        self.accepted = set()

    def is_fresh(self, number):
        return number not in self.accepted and number > max(self.accepted, default=-1) - self.size


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([32, 64, 100, 128]),
    st.lists(st.integers(0, 300) | st.integers(2**48 - 300, 2**48 - 1), max_size=200),
)
def test_window_agrees_with_the_model(size, numbers):
    window, model = ReplayWindow(size), Model(size)
    for number in numbers:
        assert window.is_fresh(number) == model.is_fresh(number)
        if model.is_fresh(number):
            window.accept(number)
            model.accepted.add(number)
        assert window.highest == max(model.accepted)


def test_number_is_fresh_once():
    window = ReplayWindow()
    window.accept(0)
    assert not window.is_fresh(0) and window.is_fresh(1)


def test_asking_changes_nothing():
    window = ReplayWindow()
    window.accept(10)
    assert window.is_fresh(1000) and window.is_fresh(1000)
    assert window.highest == 10


@pytest.mark.parametrize("size", [32, 64, 1000])
def test_window_ends_exactly_at_its_size(size):
    window = ReplayWindow(size)
    window.accept(5000)
    assert window.is_fresh(5000 - size + 1)
    assert not window.is_fresh(5000 - size)


@pytest.mark.parametrize("jump", [63, 64, 65, 10**6])
def test_numbers_stay_remembered_across_a_jump(jump):
    window = ReplayWindow(64)
    window.accept(100)
    window.accept(100 + jump)
    assert not window.is_fresh(100)
    assert window.is_fresh(100 + jump - 1)


def test_memory_is_bounded_by_the_size():
    window = ReplayWindow(64)
    for number in range(0, 10**5, 7):
        window.accept(number)
    assert window._bits.bit_length() <= 64


def test_nothing_is_accepted_at_first():
    assert ReplayWindow().highest == -1
    assert ReplayWindow().is_fresh(0)


@pytest.mark.parametrize("size", [-1, 0, 31])
def test_window_below_the_minimum_is_refused(size):
    with pytest.raises(InvalidArgument):
        ReplayWindow(size)


@pytest.mark.parametrize("number", [100, 36])
def test_accepting_what_is_not_fresh_is_a_bug(number):
    window = ReplayWindow(64)
    window.accept(100)
    with pytest.raises(AssertionError):
        window.accept(number)
