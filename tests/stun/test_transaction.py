"""The retransmission schedule of RFC 8489 section 6.2.1, in exact times."""

import math

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.stun import RELIABLE_TRANSPORT, RetransmissionSchedule, Transaction
from sans_rtc.stun.transaction import BACKOFF_MAX, REQUEST_COUNT_MAX

REQUEST = b"\0\1\0\0\x21\x12\xa4\x42" + bytes(range(12))


def play(schedule, start=1000.0):
    """Send times in ms from the start, the first included, and the time of the time-out."""
    transaction = Transaction(REQUEST, schedule, start)
    times = [0]
    while transaction.is_pending:
        now = transaction.deadline
        if transaction.poll(now) is not None:
            times.append(round((now - start) * 1000))
    assert transaction.is_timed_out
    return times, round((now - start) * 1000)


@pytest.mark.proves(
    "RFC5389-7.2.1-1-8263",
    "RFC5389-7.2.1-5-58b7",
    "RFC5389-7.2.1-11-4823",
    "RFC5389-7.2.1-12-769b",
    "RFC5389-7.2.1-13-2f9d",
    "RFC5389-7.2.1-4-05a6",
)
def test_default_schedule_is_that_of_6_2_1():
    # RFC 5389 section 7.2.1, kept in RFC 8489: "requests would be sent at times 0 ms, 500 ms, 1500 ms, 3500 ms,
    # 7500 ms, 15500 ms, and 31500 ms".
    assert play(RetransmissionSchedule()) == ([0, 500, 1500, 3500, 7500, 15500, 31500], 39500)


@pytest.mark.parametrize("start", [0.0, 0.5, 1000.0, 123456.0])
def test_schedule_is_relative_to_the_first_request(start):
    assert play(RetransmissionSchedule(), start) == ([0, 500, 1500, 3500, 7500, 15500, 31500], 39500)


@pytest.mark.proves(
    "RFC5389-7.2.1-1-8263",
    "RFC5389-7.2.1-5-58b7",
    "RFC5389-7.2.1-11-4823",
    "RFC5389-7.2.1-12-769b",
    "RFC5389-7.2.1-13-2f9d",
    "RFC5389-7.2.1-4-05a6",
    "RFC5389-7.2.1-2-f18d",
)
@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        (RetransmissionSchedule(rto_s=0.25), ([0, 250, 750, 1750, 3750, 7750, 15750], 19750)),
        (RetransmissionSchedule(request_count_max=3), ([0, 500, 1500], 9500)),
        (RetransmissionSchedule(request_count_max=1), ([0], 8000)),
        (RetransmissionSchedule(request_count_max=3, last_wait_factor=2), ([0, 500, 1500], 2500)),
        (RetransmissionSchedule(request_count_max=4, backoff=1), ([0, 500, 1000, 1500], 9500)),
        (RetransmissionSchedule(request_count_max=5, rto_s_max=1.5), ([0, 500, 1500, 3000, 4500], 12500)),
        (RELIABLE_TRANSPORT, ([0], 39500)),
    ],
)
def test_schedule_follows_rto_rc_and_rm(schedule, expected):
    assert play(schedule) == expected


@pytest.mark.parametrize(
    "values",
    [
        {"rto_s": 0.0},
        {"rto_s": -1.0},
        {"rto_s": math.inf},
        {"rto_s": math.nan},
        {"request_count_max": 0},
        {"request_count_max": REQUEST_COUNT_MAX + 1},
        {"last_wait_factor": -1.0},
        {"last_wait_factor": math.inf},
        {"backoff": 0.5},
        {"backoff": BACKOFF_MAX + 1},
        {"rto_s_max": 0.0},
    ],
)
def test_schedule_out_of_range_is_refused(values):
    with pytest.raises(InvalidArgument):
        RetransmissionSchedule(**values)


def test_largest_schedule_stays_finite():
    schedule = RetransmissionSchedule(rto_s=600.0, request_count_max=REQUEST_COUNT_MAX, backoff=BACKOFF_MAX)
    assert all(schedule.wait_after(count) < math.inf for count in range(1, REQUEST_COUNT_MAX + 2))


def test_poll_before_the_deadline_does_nothing():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    assert transaction.poll(1000.499) is None
    assert transaction.deadline == 1000.5
    assert transaction.request_count == 1


def test_late_poll_sends_once_and_counts_from_then():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    assert transaction.poll(1010.0) == REQUEST
    assert transaction.poll(1010.0) is None
    assert transaction.deadline == 1011.0


def test_rtt_is_measured_where_the_request_was_sent_once():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    assert transaction.complete(1000.125) == 0.125
    assert not transaction.is_pending
    assert transaction.deadline == math.inf


@pytest.mark.proves("RFC5389-7.2.1-7-592d", "RFC5389-7.2.1-8-729f")
def test_rtt_is_unknown_after_a_retransmission():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    transaction.poll(1000.5)
    assert transaction.complete(1000.6) is None


def test_completed_transaction_sends_no_more():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    transaction.complete(1000.1)
    assert transaction.poll(2000.0) is None
    assert not transaction.is_timed_out


def test_cancelled_transaction_sends_no_more():
    transaction = Transaction(REQUEST, RetransmissionSchedule(), 1000.0)
    transaction.cancel()
    assert transaction.poll(2000.0) is None
    assert not transaction.is_pending and not transaction.is_timed_out


def test_transaction_id_is_that_of_the_request():
    assert Transaction(REQUEST, RetransmissionSchedule(), 0.0).transaction_id == bytes(range(12))
