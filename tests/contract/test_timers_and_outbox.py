"""Timers as a table, and the queue that is handed over whole."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.outbox import Outbox
from sans_rtc.timers import Timers

# --- timers


def test_nothing_is_armed_at_first():
    timers = Timers()
    assert timers.deadline == math.inf
    assert not timers.is_armed("a") and timers.deadline_of("a") == math.inf
    assert timers.take_due(1e12) == []


def test_deadline_is_the_earliest():
    timers = Timers()
    timers.arm("a", 5.0)
    timers.arm("b", 3.0)
    assert timers.deadline == 3.0 and timers.deadline_of("a") == 5.0


def test_arming_again_replaces():
    timers = Timers()
    timers.arm("a", 5.0)
    timers.arm("a", 7.0)
    assert timers.take_due(6.0) == [] and timers.take_due(7.0) == ["a"]


def test_timer_fires_at_its_deadline_once():
    timers = Timers()
    timers.arm("a", 5.0)
    assert timers.take_due(math.nextafter(5.0, 0.0)) == []
    assert timers.take_due(5.0) == ["a"]
    assert timers.take_due(5.0) == [] and not timers.is_armed("a")


def test_due_timers_come_earliest_first_and_equal_ones_in_arming_order():
    timers = Timers()
    for name, deadline in [("c", 3.0), ("a", 1.0), ("x", 2.0), ("y", 2.0), ("late", 9.0)]:
        timers.arm(name, deadline)
    assert timers.take_due(5.0) == ["a", "x", "y", "c"]
    assert timers.deadline == 9.0


def test_cancelled_timer_does_not_fire():
    timers = Timers()
    timers.arm("a", 1.0)
    timers.cancel("a")
    timers.cancel("never armed")
    assert timers.take_due(2.0) == []


def test_clear_disarms_all():
    timers = Timers()
    timers.arm("a", 1.0)
    timers.arm("b", 2.0)
    timers.clear()
    assert timers.deadline == math.inf


@pytest.mark.parametrize("deadline", [math.inf, math.nan])
def test_timer_is_never_set_to_infinity(deadline):
    with pytest.raises(AssertionError):
        Timers().arm("a", deadline)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.integers(0, 20))), st.integers(0, 20))
def test_timers_agree_with_a_dict(steps, now):
    timers, model = Timers(), {}
    for name, deadline in steps:
        if deadline is None:
            timers.cancel(name)
            model.pop(name, None)
        else:
            timers.arm(name, float(deadline))
            model[name] = float(deadline)
    assert timers.deadline == min(model.values(), default=math.inf)
    due = timers.take_due(now)
    assert sorted(due) == sorted(name for name, deadline in model.items() if deadline <= now)
    assert [model[name] for name in due] == sorted(model[name] for name in due)
    assert timers.deadline == min((d for d in model.values() if d > now), default=math.inf)


# --- outbox


def test_outbox_hands_over_everything_once():
    outbox = Outbox()
    outbox.append(1)
    outbox.append(2)
    assert len(outbox) == 2
    assert outbox.take() == [1, 2]
    assert outbox.take() == () and len(outbox) == 0


def test_what_was_taken_belongs_to_the_taker():
    outbox = Outbox()
    outbox.append(1)
    taken = outbox.take()
    outbox.append(2)
    assert taken == [1]
    assert outbox.take() == [2]


def test_empty_outbox_makes_no_list():
    outbox = Outbox()
    assert outbox.take() is outbox.take() == ()


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers() | st.none()))
def test_outbox_keeps_order_across_takes(steps):
    outbox, appended, taken = Outbox(), [], []
    for step in steps:
        if step is None:
            taken += outbox.take()
        else:
            outbox.append(step)
            appended.append(step)
    assert taken + list(outbox.take()) == appended
