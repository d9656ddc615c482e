"""What is asked for, and when."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery import DiscardReason, NackConfig, NackGenerator

CONFIG = NackConfig(reorder_wait_s=0.01, reorder_count_max=4, retry_s_min=0.02, request_count_max=3)


@pytest.fixture
def nack():
    return NackGenerator(CONFIG, rtt_s=0.1)


def hear(nack, numbers, now=0.0):
    for number in numbers:
        nack.receive(number, now)


def test_nothing_missing_asks_for_nothing(nack):
    hear(nack, range(50))
    assert (nack.deadline, nack.take_requests(9.0), nack.take_keyframe_needed()) == (math.inf, (), False)


def test_missing_number_is_asked_for_after_the_tolerance_for_reordering(nack):
    hear(nack, [0, 2])
    assert nack.deadline == 0.01
    assert nack.take_requests(0.009) == ()
    assert nack.take_requests(0.01) == [1]


def test_number_that_enough_have_overtaken_is_asked_for_at_once(nack):
    hear(nack, [0, 2, 3, 4])
    assert nack.take_requests(0.0) == ()
    hear(nack, [5])
    assert nack.deadline == 0.0
    assert nack.take_requests(0.0) == [1]


def test_burst_longer_than_the_tolerance_is_asked_for_at_once_but_for_its_end(nack):
    hear(nack, [0, 10])
    assert nack.take_requests(0.0) == [1, 2, 3, 4, 5, 6]
    assert nack.take_requests(0.01) == [7, 8, 9]


def test_overtaken_number_that_comes_in_time_is_never_asked_for(nack):
    hear(nack, [0, 2, 1])
    assert nack.deadline == math.inf
    assert not nack.take_requests(1.0)
    assert nack.stats.numbers_reordered == 1


def test_request_is_repeated_when_an_answer_would_have_come(nack):
    hear(nack, [0, 2])
    nack.take_requests(0.01)
    assert nack.deadline == pytest.approx(0.135)
    assert nack.take_requests(0.13) == ()
    assert nack.take_requests(0.136) == [1]


def test_repetition_follows_the_round_trip_time(nack):
    nack.set_rtt(0.001)
    hear(nack, [0, 2])
    nack.take_requests(0.01)
    assert nack.deadline == pytest.approx(0.03)


@pytest.mark.proves("RFC4585-4.2-5-b852", "RFC4585-5-5-810a")
def test_number_is_given_up_after_so_many_requests_and_a_keyframe_is_needed(nack):
    hear(nack, [0, 2])
    asked = 0
    for _ in range(10):
        if nack.deadline < math.inf:
            asked += len(nack.take_requests(nack.deadline))
    assert asked == 3
    assert nack.take_keyframe_needed()
    assert not nack.take_keyframe_needed()
    assert nack.take_given_up() == [1]
    assert nack.take_given_up() == []


def test_number_that_comes_is_not_asked_for_again(nack):
    hear(nack, [0, 2])
    nack.take_requests(0.01)
    hear(nack, [1], 0.1)
    assert not nack.take_requests(10.0)
    assert nack.stats.numbers_recovered == 1


def test_numbers_wrap(nack):
    hear(nack, [0xFFFD, 2])
    assert [*nack.take_requests(0.0), *nack.take_requests(0.01)] == [0xFFFE, 0xFFFF, 0, 1]


def test_keyframe_makes_what_is_before_it_needless(nack):
    hear(nack, [0xFFFD, 2])
    nack.forget_before(1)
    assert nack.take_requests(1.0) == [1]
    assert not nack.take_keyframe_needed()


def test_more_missing_than_the_bound_gives_up_the_oldest():
    nack = NackGenerator(NackConfig(missing_count_max=5))
    hear(nack, [0, 4, 20])
    assert nack.missing_count == 5
    assert nack.take_requests(1.0) == [15, 16, 17, 18, 19]
    assert nack.take_keyframe_needed()
    assert nack.stats.numbers_given_up == 13


def test_one_number_from_far_away_changes_nothing(nack):
    hear(nack, [0, 30000, 1, 2])
    assert nack.missing_count == 0
    assert nack.stats.discards == {DiscardReason.SEQUENCE_JUMP: 1}


@pytest.mark.parametrize("start", [30000, 50000])
def test_two_numbers_in_a_row_from_far_away_begin_anew(start, nack):
    hear(nack, [0, 2, start, start + 1, start + 3])
    assert nack.take_requests(1.0) == [start + 2]
    assert nack.take_given_up() == [1]
    assert nack.take_keyframe_needed()


@pytest.mark.parametrize("rtt_s", [-0.1, math.inf, math.nan])
def test_round_trip_time_that_is_none_is_refused(rtt_s, nack):
    with pytest.raises(InvalidArgument):
        nack.set_rtt(rtt_s)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF) | st.integers(0, 40), st.floats(0, 0.05)), max_size=80))
def test_any_numbers_leave_it_bounded_and_its_deadline_ahead(inputs):
    nack = NackGenerator(NackConfig(missing_count_max=20, request_count_max=3))
    now = 0.0
    heard = set()
    for number, step in inputs:
        now += step
        nack.receive(number, now)
        heard.add(number)
        nack.take_requests(now)
        assert nack.missing_count <= 20
        assert nack.deadline > now
    for _ in range(1000):
        if nack.deadline == math.inf:
            break
        nack.take_requests(nack.deadline)
    assert nack.missing_count == 0, "every number is given up in the end"


@settings(max_examples=100, deadline=None)
@given(first=st.integers(0, 0xFFFF), lost=st.sets(st.integers(1, 58), max_size=30))
def test_exactly_what_is_missing_is_asked_for(first, lost):
    nack = NackGenerator(NackConfig())
    for index in range(60):
        if index not in lost:
            nack.receive((first + index) & 0xFFFF, index * 0.001)
    asked = set()
    for now in (0.06, 0.08):
        asked |= set(nack.take_requests(now))
    assert asked == {(first + index) & 0xFFFF for index in lost}
