"""The receive buffer by its rules."""

import math

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.rtp.recovery import (
    DiscardReason,
    ReceiveBuffer,
    ReceiveBufferConfig,
    marker_boundaries,
    packet_boundaries,
)
from sans_rtc.rtp.wire import RtpPacket

AT_ONCE = ReceiveBufferConfig(delay_s_max=0.0, give_up_after_s=0.1)


@pytest.fixture
def buffer(boundaries):
    return ReceiveBuffer(AT_ONCE, boundaries)


def put(buffer, packets, now=0.0):
    for packet in packets:
        buffer.receive(packet, now)
        buffer.check()


def flat(frames):
    return [packet for frame in frames for packet in frame]


def test_whole_frame_comes_out_with_its_packets_in_order(buffer, make_video):
    frames = make_video([3])
    put(buffer, frames[0])
    (frame,) = buffer.take_frames(0.0)
    assert frame.payloads == [packet.payload for packet in frames[0]]
    assert (frame.timestamp, frame.is_contiguous, frame.lost_packet_count) == (0, True, 0)


def test_frame_is_not_delivered_before_it_is_whole(buffer, make_video):
    frames = make_video([3])
    put(buffer, frames[0][:2])
    assert buffer.take_frames(0.0) == []
    assert buffer.deadline == math.inf


def test_packets_in_reverse_come_out_in_order(buffer, make_video):
    frames = make_video([2, 3, 1])
    put(buffer, frames[0][:1])  # the stream begins with the first beginning that comes
    put(buffer, reversed(flat(frames)[1:]))
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames


def test_numbers_and_timestamps_wrap(buffer, make_video):
    frames = make_video([3, 3, 3], first=0xFFFC, timestamp=2**32 - 3000)
    put(buffer, flat(frames))
    taken = buffer.take_frames(0.0)
    assert [frame.packets for frame in taken] == frames
    assert [frame.timestamp for frame in taken] == [2**32 - 3000, 0, 3000]


def test_missing_packet_is_waited_for_and_then_given_up_with_its_frame(buffer, make_video):
    frames = make_video([2, 3, 2])
    put(buffer, frames[0])
    put(buffer, [frames[1][0], frames[1][2], *frames[2]], 1.0)
    assert [frame.packets for frame in buffer.take_frames(1.0)] == [frames[0]]
    assert buffer.deadline == 1.1
    assert buffer.take_frames(1.09) == []
    (frame,) = buffer.take_frames(1.1)
    assert frame.packets == frames[2]
    assert (frame.is_contiguous, frame.lost_packet_count, frame.dropped_packet_count) == (False, 1, 2)
    assert (buffer.stats.packets_lost, buffer.stats.frames_abandoned) == (1, 1)


def test_missing_packet_that_comes_in_time_leaves_no_trace(buffer, make_video):
    frames = make_video([2, 3, 2])
    packets = flat(frames)
    missing = packets.pop(3)
    put(buffer, packets)
    buffer.take_frames(0.0)
    buffer.receive_recovered(missing, 0.05)
    taken = buffer.take_frames(0.05)
    assert [frame.packets for frame in taken] == frames[1:]
    assert all(frame.is_contiguous for frame in taken)
    assert buffer.stats.packets_recovered == 1


def test_packet_after_it_was_given_up_is_late_and_twice_is_a_duplicate(buffer, make_video):
    frames = make_video([2, 3, 2])
    packets = flat(frames)
    missing = packets.pop(3)
    put(buffer, packets)
    buffer.take_frames(1.0)
    put(buffer, [missing, missing, packets[0]], 1.0)
    assert buffer.stats.discards[DiscardReason.LATE] == 1
    assert buffer.stats.discards[DiscardReason.DUPLICATE] == 2
    assert buffer.take_frames(9.0) == []


def test_duplicate_of_a_held_packet_is_counted(buffer, make_video):
    frames = make_video([3])
    put(buffer, [frames[0][1], frames[0][1]])
    assert buffer.stats.discards == {DiscardReason.DUPLICATE: 1}
    assert buffer.packet_count == 1


def test_frame_without_its_first_packets_is_never_delivered(buffer, make_video):
    frames = make_video([4, 2])
    put(buffer, frames[0][2:] + frames[1])
    assert buffer.take_frames(0.0) == []
    assert buffer.deadline == 0.1
    (frame,) = buffer.take_frames(0.1)
    assert frame.packets == frames[1]
    assert not frame.is_contiguous


def test_earlier_packet_may_come_second_at_the_start(buffer, make_video):
    frames = make_video([3])
    put(buffer, [frames[0][2], frames[0][0], frames[0][1]])
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames


def test_frame_begins_behind_a_marker_where_payloads_do_not_tell(make_video):
    buffer = ReceiveBuffer(AT_ONCE, marker_boundaries)
    frames = make_video([2, 2, 2])
    put(buffer, flat(frames))
    assert buffer.take_frames(0.0) == []
    assert [frame.packets for frame in buffer.take_frames(0.1)] == frames[1:]


def test_frame_ends_where_the_next_timestamp_begins_without_a_marker(buffer, make_video):
    frames = make_video([2, 2])
    frames[0][1].marker = False
    put(buffer, frames[0])
    assert buffer.take_frames(0.0) == []
    put(buffer, frames[1][:1])
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames[:1]


def test_timestamp_alone_parts_frames_where_payloads_and_markers_do_not(make_video):
    buffer = ReceiveBuffer(AT_ONCE, marker_boundaries)
    frames = make_video([1, 2, 2, 1])
    for packet in flat(frames)[1:]:
        packet.marker = False
    put(buffer, flat(frames))
    assert [frame.packets for frame in buffer.take_frames(0.2)] == frames[1:3]


def test_two_frames_may_share_a_timestamp_where_the_payload_says_so(buffer, make_video):
    frames = make_video([2, 2])
    for packet in frames[1]:
        packet.timestamp = frames[0][0].timestamp
    put(buffer, flat(frames))
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames


def test_every_packet_of_audio_is_a_frame_and_loss_costs_only_itself():
    buffer = ReceiveBuffer(AT_ONCE, packet_boundaries)
    packets = [RtpPacket(111, n, n * 960, 1, b"opus%d" % n) for n in range(5)]
    put(buffer, packets[:2] + packets[3:])
    taken = [*buffer.take_frames(0.0), *buffer.take_frames(0.1)]
    assert [frame.packets[0].sequence_number for frame in taken] == [0, 1, 3, 4]
    assert [frame.is_contiguous for frame in taken] == [True, True, False, True]


def test_padding_and_skipped_numbers_are_nothing_missing(buffer, make_video):
    frames = make_video([2, 2])
    for packet in frames[1]:
        packet.sequence_number += 2
    put(buffer, frames[0])
    buffer.receive(RtpPacket(96, 2, 0, 1, b"", padding_bytes=200), 0.0)
    put(buffer, frames[1])
    buffer.skip(3, 0.0)
    taken = buffer.take_frames(0.0)
    assert [frame.packets for frame in taken] == frames
    assert all(frame.is_contiguous for frame in taken)


def test_giving_up_at_once_when_nobody_asks_any_more(buffer, make_video):
    frames = make_video([1, 1, 1])
    put(buffer, frames[0] + frames[2])
    buffer.give_up(1, 0.0)
    assert [frame.packets for frame in buffer.take_frames(0.0)] == [frames[0], frames[2]]


def test_giving_up_what_is_not_missing_changes_nothing(buffer, make_video):
    buffer.give_up(7, 0.0)
    frames = make_video([2])
    put(buffer, frames[0])
    buffer.give_up(0, 0.0)
    buffer.give_up(9, 0.0)
    assert len(buffer.take_frames(0.0)) == 1


@pytest.mark.parametrize("bound", [{"packet_count_max": 8}, {"byte_count_max": 160}])
def test_full_buffer_drops_the_oldest_frames_and_says_so(bound, make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_min=1.0, **bound), boundaries)
    frames = make_video([3] * 6)
    put(buffer, flat(frames))
    assert buffer.packet_count <= 8
    assert buffer.byte_count <= 160
    taken = buffer.take_frames(10.0)
    assert [frame.packets for frame in taken] == frames[4:]
    assert [frame.is_contiguous for frame in taken] == [False, True]
    assert taken[0].dropped_packet_count == 12
    assert buffer.stats.frames_dropped == 4
    assert buffer.stats.discards == {DiscardReason.OVERFLOW: 12}


def test_frame_larger_than_the_buffer_never_comes_out_and_the_next_does(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_max=0.0, packet_count_max=8), boundaries)
    frames = make_video([30, 2])
    put(buffer, flat(frames))
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames[1:]


def test_gap_wider_than_the_buffer_does_not_stop_the_stream(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_max=0.0, packet_count_max=8), boundaries)
    put(buffer, make_video([1])[0])
    assert len(buffer.take_frames(0.0)) == 1
    put(buffer, make_video([1], first=500)[0])
    assert buffer.missing_count < 8
    (frame,) = buffer.take_frames(1.0)
    assert frame.lost_packet_count == 499


def test_one_packet_from_far_away_is_discarded(buffer, make_video):
    frames = make_video([2, 2])
    stray = RtpPacket(96, 30000, 0, 1, b"\1")
    put(buffer, [*frames[0], stray, *frames[1]])
    assert [frame.packets for frame in buffer.take_frames(0.0)] == frames
    assert buffer.stats.discards == {DiscardReason.SEQUENCE_JUMP: 1}


def test_second_packet_in_a_row_from_far_away_begins_anew(buffer, make_video):
    put(buffer, make_video([2])[0])
    later = make_video([1, 2, 2], first=30000)
    put(buffer, flat(later))
    taken = buffer.take_frames(0.0)
    assert [frame.packets for frame in taken][-2:] == later[1:]
    assert not taken[-2].is_contiguous


def test_jitter_is_that_of_rfc_3550_a_8(boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(), packet_boundaries)
    jitter = transit = 0.0
    for index, late in enumerate([0.0, 0.01, 0.03, 0.0, 0.02]):
        now = index * 0.02 + late
        buffer.receive(RtpPacket(111, index, index * 1800, 1, b"x"), now)
        difference = abs((now - index * 0.02) - transit) if index else 0.0
        transit = now - index * 0.02
        jitter += (difference - jitter) / 16
    assert buffer.playout.jitter_s == pytest.approx(jitter)


def test_recovered_packets_say_nothing_about_jitter(buffer, make_video):
    put(buffer, make_video([1])[0])
    buffer.receive_recovered(make_video([1], first=1)[0][0], 3.0)
    assert buffer.playout.jitter_s == 0.0


def test_delay_grows_by_what_came_late_and_comes_back(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(jitter_factor=0.0), boundaries)
    frames = make_video([1] * 2000)
    put(buffer, frames[0], 0.0)
    put(buffer, frames[1], 1 / 30 + 0.1)
    assert buffer.take_frames(1.0)[-1].due_at == pytest.approx(1 / 30)
    grown = buffer.playout.delay_s
    assert grown == pytest.approx(0.1)
    assert buffer.stats.frames_late == 1
    for index in range(2, 2000):
        put(buffer, frames[index], index / 30)
        buffer.take_frames(index / 30 + 1.0)
    assert buffer.playout.delay_s < 0.01


def test_frame_waits_for_its_playout_time(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_min=0.05), boundaries)
    frames = make_video([1, 1])
    put(buffer, frames[0], 10.0)
    assert buffer.deadline == pytest.approx(10.05)
    assert buffer.take_frames(10.04) == []
    assert len(buffer.take_frames(buffer.deadline)) == 1


@pytest.mark.parametrize("jump", [2**31 - 1, 2**31, 90_000 * 3600, -90_000 * 3600])
def test_timestamp_from_another_age_delays_no_frame_beyond_the_bound(jump, make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_max=0.5), boundaries)
    frames = make_video([1, 1])
    put(buffer, frames[0], 0.0)
    frames[1][0].timestamp = jump & 0xFFFFFFFF
    put(buffer, frames[1], 0.03)
    assert len(buffer.take_frames(0.53)) == 2


def test_recovered_packet_with_a_timestamp_from_another_age_is_not_waited_for(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(delay_s_max=0.5), boundaries)
    frames = make_video([1, 1])
    put(buffer, frames[0], 0.0)
    frames[1][0].timestamp = 90_000 * 3600
    buffer.receive_recovered(frames[1][0], 0.03)
    assert len(buffer.take_frames(0.53)) == 2


def test_beginning_of_the_stream_is_waited_for_as_long_as_the_start_allows(make_video, boundaries):
    buffer = ReceiveBuffer(ReceiveBufferConfig(start_wait_s=0.3, give_up_after_s=2.0), boundaries)
    put(buffer, make_video([4, 1])[0][1:], 1.0)
    assert buffer.deadline == 1.3
    buffer.take_frames(1.3)
    assert buffer.stats.discards == {DiscardReason.INCOMPLETE_FRAME: 3}


def test_deadline_is_a_pure_read_and_passed_after_taking(buffer, make_video):
    frames = make_video([2, 2, 2])
    put(buffer, frames[0] + frames[2])
    for now in (0.0, 0.05, 0.1, 0.2):
        buffer.take_frames(now)
        assert buffer.deadline == buffer.deadline > now


@pytest.mark.parametrize(
    "wrong",
    [
        {"clock_rate_hz": 0},
        {"delay_s_min": -1.0},
        {"delay_s_min": 2.0, "delay_s_max": 1.0},
        {"packet_count_max": 0},
        {"packet_count_max": 0x8000},
        {"byte_count_max": 0},
        {"jump_count_max": 0x8000},
        {"give_up_after_s": -0.1},
        {"delay_s_max": math.nan},
    ],
)
def test_config_out_of_range_is_refused(wrong):
    with pytest.raises(InvalidArgument):
        ReceiveBufferConfig(**wrong)
