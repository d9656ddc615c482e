"""What a sender reads back from feedback is what happened, whatever the path does to packets."""

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.congestion import FeedbackAdapter, FeedbackConfig
from sans_rtc.media.arrivals import ArrivalsConfig, CcfbArrivals, TransportArrivals
from sans_rtc.rtcp.congestion_feedback import (
    ARRIVAL_OFFSET_PER_S,
    parse_congestion_feedback,
    serialize_congestion_feedback,
)
from sans_rtc.rtcp.transport_feedback import DELTA_S, parse_transport_feedback, serialize_transport_feedback

PERIOD_S = 65_536.0

# Of each packet: time since the one before, ms; delays of the copies that arrive, ms. Delays differ by less than the
# 500 ms for which arrivals are remembered.
PACKETS = st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(5, 300), max_size=2)), min_size=1, max_size=120)
WIDE_PACKETS = st.lists(st.tuples(st.integers(0, 60), st.lists(st.integers(0, 20_000), max_size=3)), max_size=60)


def times(packets, begins_at=1.0):
    """(sent at, the arrivals of its copies) of each."""
    sent_at = begins_at
    for wait_ms, delays_ms in packets:
        sent_at += wait_ms / 1000
        yield sent_at, sorted(sent_at + delay / 1000 for delay in delays_ms)


def feed(arrivals, notes, on_feedback):
    """Note everything in time, and take feedback whenever it is due."""
    for at, note in sorted(notes, key=lambda each: each[0]):
        while arrivals.deadline <= at:
            due = arrivals.deadline
            on_feedback(arrivals.take_feedback(due), due)
        arrivals.note(*note)
    due = arrivals.deadline
    on_feedback(arrivals.take_feedback(due), due)


def check(packets, results, last_received, tolerance_s):
    """The last word on each packet up to the last received is the truth."""
    last = {}
    for result in results:
        last[result.sequence] = result
        assert sum(r.received_at is not None for r in results if r.sequence == result.sequence) <= 1
    for sequence, (_, arrived_at) in enumerate(packets[: last_received + 1]):
        if arrived_at:
            assert abs(last[sequence].received_at - arrived_at[0]) <= tolerance_s
        elif sequence in last:  # nothing is known of what was lost before the first
            assert last[sequence].received_at is None
    first_received = min(sequence for sequence, (_, arrived_at) in enumerate(packets) if arrived_at)
    assert set(range(first_received, last_received + 1)) <= set(last)
    assert max(last) == last_received


@settings(max_examples=150, deadline=None)
@given(PACKETS, st.integers(0, 65_535), st.sampled_from([64, 90, 1100]), st.sampled_from([1.0, 1_073_741.0]))
def test_transport_feedback_is_the_truth(packets, first, bytes_max, begins_at):
    packets = list(times(packets, begins_at))
    received = [number for number, (_, arrived_at) in enumerate(packets) if arrived_at]
    if not received:
        return
    adapter = FeedbackAdapter(FeedbackConfig(history_s=60.0))
    for number, (sent_at, _) in enumerate(packets):
        adapter.on_sent(first + number & 0xFFFF, 100, sent_at)
    results = []

    def on_feedback(messages, now):
        for message in messages:
            _, body = serialize_transport_feedback(message)
            assert len(body) + 4 <= bytes_max
            reports = parse_transport_feedback(15, body).arrivals()
            in_seconds = [(number, None if at is None else at * DELTA_S) for number, at in reports]
            results.extend(adapter.on_transport_feedback(in_seconds, packets[-1][0]))

    arrivals = TransportArrivals(ArrivalsConfig(feedback_bytes_max=bytes_max), sender_ssrc=1, media_ssrc=2)
    notes = [(at, (first + n & 0xFFFF, at)) for n, (_, arrived_at) in enumerate(packets) for at in arrived_at]
    feed(arrivals, notes, on_feedback)
    shift = begins_at - begins_at % (DELTA_S * 256 * (1 << 24))
    shifted = [(sent_at, [at - shift for at in arrived_at]) for sent_at, arrived_at in packets]
    check(shifted, results, received[-1], DELTA_S / 2 + 1e-6)


@settings(max_examples=150, deadline=None)
@given(PACKETS, st.integers(0, 65_535), st.sampled_from([64, 90, 1100]), st.integers(1, 3))
def test_ccfb_is_the_truth(packets, first, bytes_max, stream_count):
    packets = list(times(packets))
    received = [number for number, (_, arrived_at) in enumerate(packets) if arrived_at]
    if not received:
        return
    adapter = FeedbackAdapter(FeedbackConfig(history_s=60.0))
    names = [(number % stream_count + 1, first + number // stream_count & 0xFFFF) for number in range(len(packets))]
    for (ssrc, number), (sent_at, _) in zip(names, packets, strict=True):
        adapter.on_sent(number, 100, sent_at, ssrc=ssrc)
    results = []

    def on_feedback(messages, now):
        for message in messages:
            _, body = serialize_congestion_feedback(message)
            assert len(body) + 4 <= bytes_max
            results.extend(adapter.on_ccfb(seconds(parse_congestion_feedback(11, body)), packets[-1][0]))

    # Unix time that makes NTP's seconds begin their 16 bits at `now` 0
    config = ArrivalsConfig(feedback_bytes_max=bytes_max, wall_clock_offset_s=65_536.0 * 40_000 - 2_208_988_800)
    arrivals = CcfbArrivals(config, sender_ssrc=1)
    notes = [(at, (*name, at)) for name, (_, arrived) in zip(names, packets, strict=True) for at in arrived]
    feed(arrivals, notes, on_feedback)
    for ssrc in range(1, stream_count + 1):
        check_stream(ssrc, names, packets, results)


def check_stream(ssrc, names, packets, results):
    mine = [number for number, name in enumerate(names) if name[0] == ssrc]
    own = [packets[number] for number in mine]
    received = [at for at, (_, arrived_at) in enumerate(own) if arrived_at]
    if not received:
        return
    place = {number: at for at, number in enumerate(mine)}
    own_results = [attrs.evolve(r, sequence=place[r.sequence]) for r in results if r.sequence in place]
    check(own, own_results, received[-1], 0.5 / ARRIVAL_OFFSET_PER_S + 2 / 65_536)


def seconds(message):
    reported_at = message.report_timestamp / 65_536
    return [
        (
            block.ssrc,
            (block.begin_sequence + at) & 0xFFFF,
            None if metric is None else reported_at - metric[1] / ARRIVAL_OFFSET_PER_S,
            0 if metric is None else metric[0],
        )
        for block in message.streams
        for at, metric in enumerate(block.metrics)
    ]


@settings(max_examples=100, deadline=None)
@given(WIDE_PACKETS, st.lists(st.integers(0, 65_535), min_size=60, max_size=60))
def test_any_numbers_at_any_time_are_told_only_as_they_came(packets, numbers):
    arrivals = TransportArrivals(ArrivalsConfig(), sender_ssrc=1, media_ssrc=2)
    came = {}
    notes = []
    for number, (_, arrived_at) in zip(numbers, times(packets), strict=False):
        notes += [(at, (number, at)) for at in arrived_at]
        came.setdefault(number, []).extend(round(at / DELTA_S) for at in arrived_at)

    def on_feedback(messages, now):
        assert sum(len(message.deltas) for message in messages) <= 1 << 15
        for message in messages:
            told = parse_transport_feedback(15, serialize_transport_feedback(message)[1]).arrivals()
            assert all(at in came[number] for number, at in told if at is not None)

    feed(arrivals, notes, on_feedback)
    assert len(arrivals._track.arrivals) <= 200
