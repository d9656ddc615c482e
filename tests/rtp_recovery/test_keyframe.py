"""Keyframes are asked for until one comes, and not too often."""

import math
from itertools import pairwise

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery import KeyframeConfig, KeyframeRequester
from sans_rtc.rtp.recovery import KeyframeRequestKind as Kind

CONFIG = KeyframeConfig(interval_s_min=0.3, interval_s_max=1.0)


@pytest.fixture
def requester():
    return KeyframeRequester(CONFIG, rtt_s=0.1)


def test_first_request_goes_at_once_and_once(requester):
    assert requester.take_request(0.0) is None
    requester.request(Kind.PLI, 5.0)
    assert requester.deadline == 5.0
    assert requester.take_request(5.0).kind == Kind.PLI
    assert requester.take_request(5.0) is None


def test_request_is_repeated_with_growing_intervals_until_a_keyframe_comes(requester):
    requester.request(Kind.PLI, 0.0)
    times = []
    for _ in range(6):
        times.append(requester.deadline)
        assert requester.take_request(requester.deadline) is not None
    steps = [after - before for before, after in pairwise(times)]
    assert steps == pytest.approx([0.3, 0.6, 1.0, 1.0, 1.0])
    requester.on_keyframe()
    assert (requester.deadline, requester.take_request(99.0), requester.is_waiting) == (math.inf, None, False)


@pytest.mark.proves("RFC5104-4.3.1.3-1-2d5d")
def test_repetition_waits_for_two_round_trips(requester):
    requester.set_rtt(0.4)
    requester.request(Kind.PLI, 0.0)
    requester.take_request(0.0)
    assert requester.deadline == pytest.approx(0.8)


def test_requests_are_never_closer_than_the_minimum(requester):
    times = []
    for step in range(1000):
        now = step * 0.01
        requester.request(Kind.PLI, now)
        if requester.take_request(now):
            times.append(now)
            requester.on_keyframe()
    assert all(after - before >= 0.3 - 1e-9 for before, after in pairwise(times))
    assert len(times) == requester.request_count == 34


@pytest.mark.proves("RFC5104-4.3.1.1-2-b851", "RFC5104-4.3.1.1-3-cace")
def test_repetition_of_a_fir_keeps_its_number_and_a_new_command_takes_the_next(requester):
    numbers = []
    for command in range(257):
        requester.request(Kind.FIR, command * 10.0)
        first, second = requester.take_request(command * 10.0), requester.take_request(command * 10.0 + 1.0)
        assert first == second
        numbers.append(first.command_number)
        requester.on_keyframe()
    assert numbers == [*range(256), 0]


def test_fir_replaces_a_pli_that_waits_and_a_pli_no_fir(requester):
    requester.request(Kind.PLI, 0.0)
    requester.request(Kind.FIR, 0.0)
    requester.request(Kind.PLI, 0.0)
    assert requester.take_request(0.0).kind == Kind.FIR
    requester.on_keyframe()
    requester.request(Kind.PLI, 10.0)
    requester.request(Kind.FIR, 10.0)
    assert requester.take_request(10.0).command_number == 1


@pytest.mark.parametrize("wrong", [{"interval_s_min": 0.0}, {"rtt_factor": -1.0}, {"interval_s_max": 0.0}])
def test_config_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        KeyframeConfig(**wrong)
