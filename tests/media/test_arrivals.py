"""Feedback on arrivals: when it is due, how it is split, what it says after loss, overtaking, jumps and wraps."""

import math

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.media.arrivals import ArrivalsConfig, CcfbArrivals, TransportArrivals
from sans_rtc.rtcp.congestion_feedback import serialize_congestion_feedback
from sans_rtc.rtcp.transport_feedback import serialize_transport_feedback

CE, ECT_1 = 3, 1


def transport(**changes):
    return TransportArrivals(ArrivalsConfig(**changes), sender_ssrc=1, media_ssrc=2)


def ccfb(**changes):
    return CcfbArrivals(ArrivalsConfig(**changes), sender_ssrc=1)


def take(arrivals):
    return arrivals.take_feedback(arrivals.deadline)


def told(messages):
    """By sequence number, arrivals in units of 250 us."""
    return dict(pair for message in messages for pair in message.arrivals())


def told_of_streams(messages):
    return {
        (block.ssrc, (block.begin_sequence + at) & 0xFFFF): metric
        for message in messages
        for block in message.streams
        for at, metric in enumerate(block.metrics)
    }


# When


@pytest.mark.parametrize("arrivals", [transport(), ccfb()], ids=["transport", "ccfb"])
def test_nothing_is_due_before_a_packet(arrivals):
    assert arrivals.deadline == math.inf
    assert arrivals.take_feedback(100.0) == []


def test_feedback_is_due_an_interval_after_the_first_packet_and_not_before():
    arrivals = transport()
    arrivals.note(7, 10.0)
    arrivals.note(8, 10.01)
    assert arrivals.deadline == 10.05
    assert arrivals.take_feedback(10.049) == []
    assert len(arrivals.take_feedback(10.05)) == 1
    assert arrivals.deadline == math.inf


@pytest.mark.parametrize(("packets_per_s", "interval_s"), [(10, 0.25), (50, 0.136), (100, 0.068), (1000, 0.05)])
def test_interval_follows_the_packet_rate_within_its_bounds(packets_per_s, interval_s):
    arrivals = transport()
    found_s = 0.0
    for number in range(packets_per_s * 3):
        now = number / packets_per_s
        is_first = arrivals.deadline == math.inf
        arrivals.note(number, now)
        if is_first:
            found_s = arrivals.deadline - now
        arrivals.take_feedback(now)
    assert found_s == pytest.approx(interval_s)


# Transport-wide feedback


def test_feedback_says_who_when_and_what():
    arrivals = transport()
    for number, at in ((65_535, 64.0), (1, 64.001), (2, 64.1)):
        arrivals.note(number, at)
    (message,) = take(arrivals)
    assert (message.sender_ssrc, message.media_ssrc, message.base_sequence) == (1, 2, 65_535)
    assert (message.reference_time, message.deltas) == (1000, [0, None, 4, 396])


def test_next_feedback_begins_where_the_last_ended():
    arrivals = transport()
    arrivals.note(5, 1.0)
    take(arrivals)
    arrivals.note(8, 1.5)
    assert told(take(arrivals)) == {6: None, 7: None, 8: 6000}


def test_feedback_is_counted_modulo_256():
    arrivals = transport()
    counts = []
    for number in range(258):
        arrivals.note(number, float(number))
        counts += [message.feedback_count for message in take(arrivals)]
    assert counts == [*range(256), 0, 1]


def test_reference_time_wraps():
    arrivals = transport()
    arrivals.note(1, 0.064 * ((1 << 24) + 3))
    (message,) = take(arrivals)
    assert message.reference_time == 3


def test_late_packet_is_told_with_all_from_there_on():
    arrivals = transport()
    for number, at in ((1, 1.0), (4, 1.01)):
        arrivals.note(number, at)
    assert told(take(arrivals)) == {1: 4000, 2: None, 3: None, 4: 4040}
    arrivals.note(3, 1.1)
    assert told(take(arrivals)) == {3: 4400, 4: 4040}
    arrivals.note(5, 1.2)
    assert told(take(arrivals)) == {5: 4800}


def test_packet_before_the_first_is_told():
    arrivals = transport()
    arrivals.note(0, 1.0)
    take(arrivals)
    arrivals.note(65_535, 1.1)
    assert told(take(arrivals)) == {65_535: 4400, 0: 4000}


def test_packet_later_than_the_history_is_counted():
    arrivals = transport()
    for number, at in ((1, 1.0), (3, 2.0), (2, 3.0)):
        arrivals.note(number, at)
        take(arrivals)
    assert arrivals.stats.too_old == 1


def test_duplicate_is_the_first_arrival():
    arrivals = transport()
    arrivals.note(1, 1.0)
    arrivals.note(1, 1.01)
    assert told(take(arrivals)) == {1: 4000}
    arrivals.note(1, 1.1)
    assert take(arrivals) == []
    assert (arrivals.stats.packets, arrivals.stats.duplicates) == (1, 2)


@pytest.mark.parametrize("at", [[1.0, 1.0 + 8.2], [9.3, 1.0]], ids=["far ahead", "far behind"])
def test_delta_beyond_16_bits_begins_another_feedback(at):
    arrivals = transport(history_s=10.0)
    for number, arrived_at in enumerate(at):
        arrivals.note(number, arrived_at)
    messages = arrivals.take_feedback(100.0)
    assert [len(message.deltas) for message in messages] == [1, 1]
    assert told(messages) == {number: round(arrived_at * 4000) for number, arrived_at in enumerate(at)}


@pytest.mark.parametrize("bytes_max", [64, 100, 500, 1100])
@pytest.mark.parametrize("step", [1, 2, 3, 20, 29, 300])
def test_feedback_is_split_within_its_budget(step, bytes_max):
    arrivals = transport(feedback_bytes_max=bytes_max, packets_max=30_000)
    expected = {}
    for number in range(0, 32_000, step * 3):
        for sequence in (number, number + 1):
            at = 100 + number * 0.001 + sequence % 5 * 0.07
            arrivals.note(sequence, at)
            expected[sequence] = round(at * 4000)
    messages = take(arrivals)
    sizes = [4 + len(serialize_transport_feedback(message)[1]) for message in messages]
    assert max(sizes) <= bytes_max
    assert {number: at for number, at in told(messages).items() if at is not None} == expected
    follow = [message.base_sequence + len(message.deltas) for message in messages]
    assert follow[:-1] == [message.base_sequence for message in messages[1:]]


def test_jump_by_thousands_is_told_as_missing_in_a_few_bytes():
    arrivals = transport()
    arrivals.note(1, 1.0)
    arrivals.note(20_001, 1.001)
    (message,) = take(arrivals)
    assert len(serialize_transport_feedback(message)[1]) < 40
    assert [at for at in told([message]).values() if at is not None] == [4000, 4004]


def test_many_jumps_are_bounded():
    arrivals = transport()
    for turn in range(100):
        for number in range(500):
            arrivals.note((turn * 500 + number) * 32_767 & 0xFFFF, turn + number / 1e4)
        messages = take(arrivals)
        assert sum(len(message.deltas) for message in messages) <= 1 << 15
        assert len(arrivals._track.arrivals) <= 4096 + 500
    assert arrivals.stats.too_old > 0


def test_packets_beyond_the_bound_push_the_oldest_out():
    arrivals = transport(packets_max=3)
    for number in range(5):
        arrivals.note(number, 1.0)
    assert list(told(take(arrivals))) == [2, 3, 4]
    assert arrivals.stats.overflows == 1


def test_history_is_bounded_in_packets():
    arrivals = transport(history_packets_max=10, history_s=10.0)
    for number in range(0, 200, 2):
        arrivals.note(number, number / 10)
        take(arrivals)
        assert len(arrivals._track.arrivals) <= 11
    arrivals.note(3, 20.0)
    assert take(arrivals) == []
    assert arrivals.stats.too_old == 1


def test_numbering_that_begins_anew_is_followed():
    arrivals = transport()
    for number in range(10_000, 10_100):
        arrivals.note(number, number / 1e3)
    take(arrivals)
    arrivals.note(10_100, 11.0)
    take(arrivals)
    for number in range(8):
        arrivals.note(number, 12.0 + number / 1e3)
    assert list(told(take(arrivals))) == list(range(8))


# RFC 8888


def test_ccfb_tells_each_stream_with_ecn_and_the_time_since():
    arrivals = ccfb()
    arrivals.note(11, 65_535, 1.0, CE)
    arrivals.note(22, 7, 1.01)
    arrivals.note(11, 1, 1.02, ECT_1)
    (message,) = arrivals.take_feedback(1.5)
    assert message.sender_ssrc == 1
    assert told_of_streams([message]) == {
        (11, 65_535): (CE, 512), (11, 0): None, (11, 1): (ECT_1, 492), (22, 7): (0, 502)
    }  # fmt: skip


def test_ccfb_report_is_dated_by_the_wall_clock():
    arrivals = ccfb(wall_clock_offset_s=1_000_000_000.0)
    arrivals.note(11, 1, 0.0)
    (message,) = arrivals.take_feedback(0.5)
    unix_to_ntp_s = 2_208_988_800
    assert message.report_timestamp == ((1_000_000_000 + unix_to_ntp_s) % 65_536) * 65_536 + 32_768


def test_ccfb_mark_on_any_copy_counts():
    arrivals = ccfb()
    for at, ecn in ((1.0, 0), (1.1, CE), (1.2, 0)):
        arrivals.note(11, 1, at, ecn)
    (message,) = arrivals.take_feedback(1.5)
    assert told_of_streams([message]) == {(11, 1): (CE, 512)}


def test_ccfb_late_packet_is_told_with_all_from_there_on():
    arrivals = ccfb()
    arrivals.note(11, 1, 1.0)
    arrivals.note(11, 3, 1.0)
    arrivals.take_feedback(1.25)
    arrivals.note(11, 2, 1.25)
    assert told_of_streams(arrivals.take_feedback(1.5)) == {(11, 2): (0, 256), (11, 3): (0, 512)}


def test_ccfb_silent_stream_is_not_told():
    arrivals = ccfb()
    arrivals.note(11, 1, 1.0)
    take(arrivals)
    arrivals.note(22, 1, 2.0)
    assert list(told_of_streams(take(arrivals))) == [(22, 1)]


@pytest.mark.parametrize("bytes_max", [64, 200, 1100, 65_000])
def test_ccfb_is_split_within_its_budget(bytes_max):
    arrivals = ccfb(feedback_bytes_max=bytes_max, messages_max=1024)
    expected = set()
    for ssrc in range(20):
        for number in range(0, 3 * ssrc * ssrc, 3):
            arrivals.note(ssrc, number, 1.0)
            expected.add((ssrc, number))
    messages = take(arrivals)
    sizes = [4 + len(serialize_congestion_feedback(message)[1]) for message in messages]
    assert max(sizes) <= bytes_max
    found = told_of_streams(messages)
    assert {key for key, metric in found.items() if metric is not None} == expected


def test_ccfb_gap_that_is_too_long_is_not_told():
    arrivals = ccfb(gap_packets_max=10)
    for number in (1, 12, 23, 24):
        arrivals.note(11, number, 1.0)
    assert {number for _, number in told_of_streams(take(arrivals))} == {*range(1, 13), *range(13, 25)}
    arrivals.note(11, 36, 2.0)
    assert {number for _, number in told_of_streams(take(arrivals))} == {36}


def test_ccfb_streams_are_bounded():
    arrivals = ccfb(stream_count_max=2)
    for turn, ssrc in enumerate((1, 2, 1, 3)):
        arrivals.note(ssrc, turn, float(turn))
        take(arrivals)
    assert list(arrivals._tracks) == [1, 3]


def test_ccfb_messages_are_bounded():
    arrivals = ccfb(messages_max=2, feedback_bytes_max=64)
    for number in range(100):
        arrivals.note(1, number, 1.0)
    assert len(take(arrivals)) == 2
    assert arrivals.stats.messages_dropped == 3


# Configuration


@pytest.mark.parametrize(
    "changes",
    [{"interval_min_s": 0.3}, {"feedback_bytes_max": 63}, {"packets_max": 0}, {"bandwidth_fraction": math.nan}],
)
def test_configuration_out_of_range_is_refused(changes):
    with pytest.raises(InvalidArgument):
        ArrivalsConfig(**changes)
