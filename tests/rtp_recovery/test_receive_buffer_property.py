"""Whatever is lost, reordered and doubled: frames come out whole, in order, never wrong, and memory is bounded."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sans_rtc.rtp.recovery import ReceiveBuffer, ReceiveBufferConfig
from sans_rtc.rtp.wire import RtpPacket

SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=25)


@settings(max_examples=200, deadline=None)
@given(
    sizes=SIZES,
    first=st.sampled_from([0, 100, 0xFFF0, 0xFFFF]),
    loss=st.floats(0.0, 0.6),
    spread=st.floats(0.0, 0.3),
    doubling=st.floats(0.0, 0.5),
    seed=st.integers(0, 10**6),
    bound=st.sampled_from([4, 16, 2048]),
    delay=st.sampled_from([0.0, 0.02, 0.2]),
)
def test_frames_come_out_whole_in_order_and_never_wrong(
    sizes, first, loss, spread, doubling, seed, bound, delay, make_video, boundaries, make_random
):
    chance = make_random(seed)
    frames = make_video(sizes, first=first)
    arrivals = []
    for index, frame in enumerate(frames):
        for packet in frame:
            for _ in range(2 if chance.random() < doubling else 1):
                if chance.random() >= loss:
                    arrivals.append((index / 30 + spread * chance.random(), len(arrivals), packet))
    config = ReceiveBufferConfig(packet_count_max=bound, delay_s_min=delay, give_up_after_s=0.15)
    buffer = ReceiveBuffer(config, boundaries)
    taken = []
    for now, _, packet in sorted(arrivals):
        buffer.receive(packet, now)
        buffer.check()
        assert buffer.packet_count <= bound
        assert buffer.missing_count <= bound
        taken += buffer.take_frames(now)
        assert buffer.deadline > now
    taken += buffer.take_frames(100.0)
    places = [frames.index(frame.packets) for frame in taken]  # ValueError: a frame that was never sent
    assert places == sorted(set(places))
    for before, frame, place in zip([-1, *places], taken, places, strict=False):
        if frame.is_contiguous:
            assert place == before + 1 or before == -1
    if not loss and bound == 2048 and spread < 0.1:
        assert len(taken) >= len(frames) - _unheard(arrivals, frames)


def _unheard(arrivals, frames):
    """Frames that may be missing at the start: those behind the first that comes begin before it has been seen."""
    first = min(arrivals)[2]
    return next(index for index, frame in enumerate(frames) if any(packet is first for packet in frame)) + (
        first.payload[0] != 1
    )


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 0xFFFF), st.integers(0, 2**32 - 1), st.binary(max_size=3), st.booleans(), st.floats(0, 1)
        ),
        max_size=60,
    ),
    st.sampled_from([2, 50]),
)
def test_any_packets_leave_it_bounded_and_consistent(inputs, bound):
    buffer = ReceiveBuffer(ReceiveBufferConfig(packet_count_max=bound), lambda p: (p.payload[0] & 1 == 1, p.marker))
    now = 0.0
    for number, timestamp, payload, marker, step in inputs:
        now += step
        buffer.receive(RtpPacket(96, number, timestamp, 1, payload, marker), now)
        buffer.skip(timestamp & 0xFFFF, now)
        buffer.check()
        assert buffer.packet_count <= bound
        assert buffer.missing_count <= bound
        buffer.take_frames(now)
        assert buffer.deadline > now
    assert buffer.byte_count <= 3 * bound
