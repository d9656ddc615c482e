"""What is done once for a run of packets has the same outcome as each packet by itself, whatever comes."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.congestion import EstimatorConfig, PacerConfig
from sans_rtc.media import MediaConfig, OutgoingFrame, RtpSession
from sans_rtc.testing import SeededEntropy

AWAY, CORRUPTED, TWICE, SWAPPED = "away", "corrupted", "twice", "swapped"
FATES = st.sampled_from([None] * 40 + [AWAY, CORRUPTED, TWICE, SWAPPED])
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([1, 300, 3000, 11_000, 30_000]),  # bytes
        st.sampled_from([0.0, 0.001, 0.02, 0.7]),  # seconds before it
        st.sampled_from([3000, 3000, 3000, 0]),  # of the timestamp, since the frame before
        st.sampled_from([{}, {}, {"rotation": 90}, {"capture_time_s": 1.7e9}]),
    ),
    min_size=3,
    max_size=14,
)
CODECS = ["VP8", "VP9", "H264", "AV1"]
FEEDBACK = ["transport-cc", "ack ccfb", "goog-remb", ""]


def sections(media, name, feedback):
    kinds = frozenset(("nack", "nack pli", feedback)) if feedback else frozenset()
    rtx = None if feedback == "" else 97
    codec = media.video_codec(name, feedback=kinds, rtx=rtx)
    return [media.video_section(ssrc=ssrc, codec=codec, extensions=media.EXTENSIONS) for ssrc in (0xB1, 0xB5)]


def session(media, section, seed, *, is_sender, bitrate_bps=50_000_000):
    config = MediaConfig(
        estimator=EstimatorConfig(start_bitrate_bps=bitrate_bps, max_bitrate_bps=bitrate_bps),
        pacer=PacerConfig(start_bitrate_bps=bitrate_bps),
    )
    made = RtpSession(config, entropy=SeededEntropy(seed))
    keys = (media.KEY_A, media.KEY_B) if is_sender else (media.KEY_B, media.KEY_A)
    made.configure([section], 0.0)
    made.set_keys(media.PROFILE, *keys, 0.0)
    return made


def drain(made, now):
    datagrams = list(made.take_datagrams(now))
    return datagrams, list(made.take_events()), made.deadline


def frames_of(media, name, frames):
    now, timestamp = 1.0, 0
    for index, (size, wait_s, ticks, fields) in enumerate(frames):
        now, timestamp = now + wait_s, timestamp + ticks
        yield now, OutgoingFrame(media.VIDEO_FRAMES[name](index % 5 == 0, size, index), timestamp, **fields)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=FRAMES,
    name=st.sampled_from(CODECS),
    feedback=st.sampled_from(FEEDBACK),
    bitrate_bps=st.sampled_from([300_000, 50_000_000]),
)
def test_frame_sent_as_a_run_is_what_its_packets_are_one_by_one(media, frames, name, feedback, bitrate_bps):
    mine, _ = sections(media, name, feedback)
    runs, singles = (session(media, mine, "s", is_sender=True, bitrate_bps=bitrate_bps) for _ in range(2))
    transmitter = singles._transmitter
    transmitter.submit_frame = transmitter.submit
    transmitter._send_run = lambda packets, probe_id, now: [transmitter._send(p, probe_id, now) for p in packets]
    for now, frame in frames_of(media, name, frames):
        for each in (runs, singles):
            if each.deadline <= now:
                each.handle_timer(now)
            each.send_frame(media.VIDEO, frame, now)
        assert drain(runs, now) == drain(singles, now)
        assert runs.stats == singles.stats
        assert runs.statistics(now) == singles.statistics(now)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frames=FRAMES,
    fates=st.lists(FATES, min_size=20, max_size=60),
    bursts=st.lists(st.sampled_from([1, 2, 5, 16, 64]), min_size=1, max_size=10),
    name=st.sampled_from(CODECS),
    feedback=st.sampled_from(FEEDBACK),
    first=st.sampled_from([0, 0x7FF0, 0xFFF0]),
)
def test_burst_is_received_as_its_packets_one_by_one(media, frames, fates, bursts, name, feedback, first):
    mine, theirs = sections(media, name, feedback)
    sender = session(media, mine, "s", is_sender=True)
    burst, singles = (session(media, theirs, "r", is_sender=False) for _ in range(2))
    for encoding in sender._sections.encodings.values():
        encoding.media.next_sequence = first
    index = turn = 0
    for now, frame in frames_of(media, name, frames):
        sender.send_frame(media.VIDEO, frame, now)
        waiting = suffered(sender.take_datagrams(now), fates, index)
        index += len(waiting)
        while waiting:
            size = bursts[turn % len(bursts)]
            turn += 1
            arrived, waiting = waiting[:size], waiting[size:]
            burst.receive_many(arrived, now)
            for datagram in arrived:
                singles.receive(datagram, now)
            for each in (burst, singles):
                if each.deadline <= now:
                    each.handle_timer(now)
            mine_out, theirs_out = drain(burst, now), drain(singles, now)
            assert mine_out == theirs_out
            assert burst.stats == singles.stats
            assert burst.statistics(now) == singles.statistics(now)
            for datagram in mine_out[0]:
                sender.receive(datagram, now)


def suffered(datagrams, fates, index):
    arrived = []
    for number, datagram in enumerate(datagrams, index):
        fate = fates[number % len(fates)]
        if fate == CORRUPTED:
            datagram = datagram[:-1] + bytes((datagram[-1] ^ 1,))
        if fate != AWAY:
            arrived += [datagram] * (2 if fate == TWICE else 1)
        if fate == SWAPPED and len(arrived) > 1:
            arrived[-2:] = arrived[:-3:-1]
    return arrived


def taken_the_long_way(media, name, *, extensions=None, **fields):
    """(packets received one by one, packets received) of 20 frames of 10 packets."""
    mine, theirs = sections(media, name, "transport-cc")
    sender, receiver = session(media, mine, "s", is_sender=True), session(media, theirs, "r", is_sender=False)
    calls = Counter()
    long_way = receiver._ingress.receive_rtp

    def counted(srtp, datagram, now):
        calls["long"] += datagram[8:12] == bytes((0, 0, 0, 0xB1))
        long_way(srtp, datagram, now)

    receiver._ingress.receive_rtp = counted
    for index in range(20):
        now = 1.0 + index / 30
        frame = OutgoingFrame(media.VIDEO_FRAMES[name](index == 0, 11_000, index), index * 3000, **fields)
        sender.send_frame(media.VIDEO, frame, now)
        receiver.receive_many(sender.take_datagrams(now), now)
        for datagram in receiver.take_datagrams(now):
            sender.receive(datagram, now)
    return calls["long"], sender._sections.encodings[0xB1].media.statistics.packets_sent


@pytest.mark.parametrize("name", ["VP8", "VP9", "H264", "AV1", "H265"])
def test_video_in_order_goes_the_short_way(media, name):
    one_by_one, received = taken_the_long_way(media, name)
    assert received > 190
    assert one_by_one < 20


def test_extensions_that_the_application_is_told_of_are_read_from_each_packet(media):
    one_by_one, received = taken_the_long_way(media, "VP8", rotation=90)
    assert one_by_one == received
