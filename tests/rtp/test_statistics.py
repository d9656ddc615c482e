"""Statistics of senders and receivers: RFC 3550 appendices A.1, A.3 and A.8, and round trips."""

import random

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtcp import ReportBlock
from sans_rtc.rtp import ReceiverStatistics, SenderStatistics, WallClock, short_ntp

CLOCK = 8000


def receiver(**options):
    return ReceiverStatistics(7, CLOCK, **options)


def feed(statistics, numbers):
    return [
        statistics.packet_received(number & 0xFFFF, 160 * number & 0xFFFFFFFF, 10, 0.02 * number) for number in numbers
    ]


def test_source_is_valid_after_two_packets_in_sequence():
    statistics = receiver()
    assert feed(statistics, [10, 12, 13]) == [False, False, True]
    assert statistics.is_valid
    assert (statistics.packets_received, statistics.packets_expected) == (1, 1)


def test_source_is_valid_from_the_first_packet_where_one_is_enough():
    statistics = receiver(min_sequential=1)
    assert feed(statistics, [10]) == [True]
    assert (statistics.packets_expected, statistics.packets_lost) == (1, 0)


def test_wrap_of_the_sequence_number_counts_a_cycle():
    statistics = receiver(min_sequential=1)
    feed(statistics, range(65530, 65546))
    assert statistics.highest_sequence == 65545
    assert statistics.make_report_block(1.0).highest_sequence == 0x10009
    assert statistics.packets_lost == 0


def test_reordering_within_misorder_changes_no_cycle():
    statistics = receiver(min_sequential=1)
    assert all(feed(statistics, [65535, 65537, 65536, 65534]))
    assert statistics.highest_sequence == 65537


def test_single_packet_far_away_is_discarded():
    statistics = receiver(min_sequential=1)
    assert feed(statistics, [1, 2, 20000, 3]) == [True, True, False, True]
    assert (statistics.packets_discarded, statistics.restarts) == (1, 0)


def test_two_in_sequence_far_away_are_a_restart():
    statistics = receiver(min_sequential=1)
    assert feed(statistics, [1, 2, 20000, 20001, 20002]) == [True, True, False, True, True]
    assert (statistics.restarts, statistics.packets_received, statistics.packets_expected) == (1, 2, 2)
    assert statistics.make_report_block(1.0).highest_sequence == 20002


@pytest.mark.parametrize(("jump", "expected"), [(2999, True), (3000, False), (-100, False), (-99, True)])
def test_dropout_and_misorder_end_where_appendix_a_1_says(jump, expected):
    statistics = receiver(min_sequential=1)
    feed(statistics, [1000])
    assert statistics.packet_received((1000 + jump) & 0xFFFF, 0, 1, 0.0) == expected


def test_report_block_tells_losses_since_the_last_and_in_all():
    statistics = receiver(min_sequential=1)
    feed(statistics, range(1, 101))
    assert statistics.make_report_block(1.0).fraction_lost == 0
    feed(statistics, [number for number in range(101, 201) if number % 4])
    block = statistics.make_report_block(2.0)
    assert (block.ssrc, block.fraction_lost, block.packets_lost) == (7, (24 << 8) // 99, 24)
    feed(statistics, range(201, 301))
    block = statistics.make_report_block(3.0)
    # 200 was lost and has been expected only since 201 came.
    assert (block.fraction_lost, block.packets_lost) == ((1 << 8) // 101, 25)


def test_duplicates_make_the_loss_negative_and_the_fraction_zero():
    statistics = receiver(min_sequential=1)
    feed(statistics, [1, 2, 2, 2])
    block = statistics.make_report_block(1.0)
    assert (block.fraction_lost, block.packets_lost) == (0, -2)


def test_report_before_any_valid_packet_tells_nothing():
    assert receiver().make_report_block(1.0) == ReportBlock(7, 0, 0, 0, 0, 0, 0)


def test_losses_are_clamped_to_24_bits():
    statistics = receiver(min_sequential=1)
    feed(statistics, [1])
    number = 1
    for _ in range(3000):
        number += 2998
        statistics.packet_received(number & 0xFFFF, 0, 1, 0.0)
    assert statistics.packets_lost > 1 << 23
    assert statistics.make_report_block(1.0).packets_lost == (1 << 23) - 1


@pytest.mark.proves("RFC3550-6.4.1-6-ed03", "RFC3550-6.4.1-7-2d2d")
def test_jitter_is_that_of_appendix_a_8():
    rng = random.Random(1)
    statistics = receiver(min_sequential=1)
    expected, last = 0.0, None
    for number in range(1, 300):
        now = 1000.0 + 0.02 * number + rng.random() * 0.03
        timestamp = (0xFFFFFF00 + 160 * number) & 0xFFFFFFFF
        statistics.packet_received(number, timestamp, 1, now)
        transit = int(now * CLOCK) - (0xFFFFFF00 + 160 * number)
        if last is not None:
            expected += (abs(transit - last) - expected) / 16
        last = transit
    assert statistics.jitter == pytest.approx(expected)
    assert statistics.make_report_block(2000.0).jitter == int(expected)


def test_steady_stream_has_no_jitter():
    statistics = receiver(min_sequential=1)
    for number in range(100):
        statistics.packet_received(number, 160 * number, 1, number * 160 / CLOCK)
    assert statistics.jitter < 1


def test_delay_since_the_last_sender_report_is_in_65536ths():
    statistics = receiver(min_sequential=1)
    feed(statistics, [1])
    assert statistics.make_report_block(5.0).delay_since_sr == 0
    statistics.sender_report_received(0x1122334455667788, 10.0)
    block = statistics.make_report_block(12.5)
    assert (block.last_sr, block.delay_since_sr) == (0x33445566, 5 << 15)


@pytest.mark.proves("RFC3550-6.4.1-2-bdac")
def test_sender_report_carries_the_timestamp_on():
    sender = SenderStatistics(9, CLOCK, WallClock(1_700_000_000.0))
    assert sender.make_sender_report([], 1.0) is None
    sender.packet_sent(0xFFFFFF00, 100, 1.0)
    sender.packet_sent(0xFFFFFF00, 100, 1.5)  # of the same frame, sent later
    report = sender.make_sender_report([], 2.0)
    assert (report.ssrc, report.packet_count, report.octet_count) == (9, 2, 200)
    assert report.rtp_timestamp == (0xFFFFFF00 + CLOCK) & 0xFFFFFFFF
    assert report.ntp >> 32 == 1_700_000_002 + 2_208_988_800


def test_round_trip_is_arrival_less_last_report_less_delay():
    clock = WallClock(1_700_000_000.0)
    sender = SenderStatistics(9, CLOCK, clock)
    sender.packet_sent(0, 1, 1.0)
    report = sender.make_sender_report([], 1.0)
    statistics = ReceiverStatistics(9, CLOCK, min_sequential=1)
    statistics.packet_received(1, 0, 1, 501.1)
    statistics.sender_report_received(report.ntp, 501.1)
    sender.report_block_received(statistics.make_report_block(503.1), 3.2)
    assert sender.round_trip_s == pytest.approx(0.2, abs=1e-4)
    assert sender.last_block.last_sr == short_ntp(report.ntp)


def test_round_trip_below_zero_is_zero():
    sender = SenderStatistics(9, CLOCK, WallClock())
    sender.report_block_received(ReportBlock(9, 0, 0, 0, 0, short_ntp(WallClock().ntp(5.0)), 1 << 16), 5.5)
    assert sender.round_trip_s == 0.0


def test_block_of_a_receiver_without_a_sender_report_tells_no_round_trip():
    sender = SenderStatistics(9, CLOCK, WallClock())
    sender.report_block_received(ReportBlock(9, 0, 0, 0, 0), 5.5)
    assert sender.round_trip_s is None


@pytest.mark.parametrize(
    "make",
    [lambda: ReceiverStatistics(1, 0), lambda: receiver(min_sequential=0), lambda: SenderStatistics(1, 0, WallClock())],
)
def test_wrong_argument_is_refused(make):
    with pytest.raises(InvalidArgument):
        make()
