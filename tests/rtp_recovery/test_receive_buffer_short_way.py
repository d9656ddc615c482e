"""The short way of a packet that comes in order does what the long one does, whatever comes."""

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.rtp.recovery import ReceiveBuffer, ReceiveBufferConfig, marker_boundaries
from sans_rtc.rtp.wire import RtpPacket


class LongWay(ReceiveBuffer):
    """Takes each packet in full."""

    def _take_next(self, packet, begins, ends, now):
        return False


def payload_boundaries(packet):
    return packet.payload[0] == 1, packet.marker


# how far the number goes, how far the timestamp, whether it begins and ends a frame, its size, what is done with it
STEPS = st.lists(
    st.tuples(
        st.sampled_from([1] * 16 + [2, 0, -1, -2]),
        st.sampled_from([0, 0, 0, 3000]),
        st.sampled_from([True, False, False]),
        st.sampled_from([True, False, False]),
        st.sampled_from([1, 20, 300]),
        st.sampled_from(["receive"] * 8 + ["recovered", "skip", "take", "take"]),
    ),
    min_size=20,
    max_size=60,
)
CONFIGS = [
    ReceiveBufferConfig(delay_s_max=0.0, give_up_after_s=0.05),
    ReceiveBufferConfig(delay_s_min=0.05, delay_s_max=0.2, give_up_after_s=0.05),
    ReceiveBufferConfig(delay_s_max=0.0, packet_count_max=4),
    ReceiveBufferConfig(delay_s_max=0.0, byte_count_max=500),
]


def apply(buffer, packet, action, now):
    if action == "receive":
        buffer.receive(packet, now)
    elif action == "recovered":
        buffer.receive_recovered(packet, now)
    elif action == "skip":
        buffer.skip(packet.sequence_number, now)
    else:
        return buffer.take_frames(now)
    return []


def state_of(buffer):
    names = [name for name in ReceiveBuffer.__slots__ if name not in ("_boundaries", "_config", "playout", "stats")]
    return {name: getattr(buffer, name) for name in names} | attrs.asdict(buffer.stats)


def packet(number, begins, ends, timestamp=0):
    return RtpPacket(96, number, timestamp, 7, bytes((begins, 7)), ends)


def test_packet_behind_a_whole_frame_waits_for_it():
    buffer = ReceiveBuffer(CONFIGS[1], payload_boundaries)
    for number, (begins, ends) in enumerate([(True, False), (False, True), (False, False)]):
        buffer.receive(packet(number, begins, ends), 0.0)
    assert [len(frame.packets) for frame in buffer.take_frames(1.0)] == [2]


def test_beginning_behind_a_skipped_number_is_the_first_there_is():
    buffer = ReceiveBuffer(CONFIGS[0], payload_boundaries)
    buffer.skip(5, 0.0)
    buffer.receive(packet(6, True, False), 0.0)
    buffer.receive(packet(4, True, True), 0.0)
    buffer.receive(packet(7, False, True), 0.0)
    assert [len(frame.packets) for frame in buffer.take_frames(0.0)] == [2]


def test_frame_without_a_marker_ends_where_another_timestamp_begins():
    buffer = ReceiveBuffer(CONFIGS[0], marker_boundaries)
    buffer.receive(packet(0, False, True), 0.0)
    assert buffer.take_frames(1.0) == []
    for number, (ends, timestamp) in enumerate([(False, 1), (False, 1), (False, 2), (True, 2)], 1):
        buffer.receive(packet(number, False, ends, timestamp), 1.0)
    assert [len(frame.packets) for frame in buffer.take_frames(2.0)] == [2, 2]


@settings(max_examples=200, deadline=None)
@given(STEPS, st.sampled_from(CONFIGS), st.sampled_from([marker_boundaries, payload_boundaries]))
def test_both_ways_agree(steps, config, boundaries):
    short, long = ReceiveBuffer(config, boundaries), LongWay(config, boundaries)
    number, timestamp = 0xFFFE, 0
    for at, (ahead, later, begins, ends, size, action) in enumerate(steps):
        number, timestamp = number + ahead, timestamp + later
        packet = RtpPacket(96, number & 0xFFFF, timestamp, 7, bytes((begins,)) * size, ends)
        now = at * 0.01
        assert apply(short, packet, action, now) == apply(long, packet, action, now)
        short.check()
        assert state_of(short) == state_of(long)
        assert short.deadline == long.deadline
