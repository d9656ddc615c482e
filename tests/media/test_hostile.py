"""Whatever comes, from a stranger or the authenticated peer: nothing raised, nothing unbounded, the contract kept."""

import copy
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sans_rtc.errors import InvalidArgument, LimitExceeded
from sans_rtc.machine import Terminated
from sans_rtc.media import (
    DiscardReason,
    DropReason,
    Encoding,
    EncodingSettings,
    FrameReceived,
    FramesDropped,
    MediaConfig,
    OutgoingFrame,
    RtpSession,
)
from sans_rtc.rtcp import Nack, Remb, TransportFeedback, serialize_compound
from sans_rtc.rtp import RtpPacket, serialize_rtp
from sans_rtc.srtp import SrtpSender
from sans_rtc.testing import ContractMonitor, SeededEntropy, drain

many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def session(media, *, config=None, sections=None, seed=1):
    made = RtpSession(config or MediaConfig(), entropy=SeededEntropy(seed))
    made.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, 0.0)
    made.configure(
        [media.audio_section(ssrc=0xA1), media.video_section(ssrc=0xB1)] if sections is None else sections, 0
    )
    return made


def peer(media):
    return SrtpSender(media.PROFILE, media.KEY_B)


@given(data=st.lists(st.binary(max_size=80), max_size=20))
@many
def test_bytes_of_a_stranger_change_nothing(media, data):
    made = session(media)
    before = made.deadline
    for datagram in [b"", *data]:
        made.receive(datagram, 0.0)
    assert not [event for event in made.take_events() if isinstance(event, FrameReceived)]
    assert not made._router.sources
    assert made.deadline == before


packets = st.builds(
    RtpPacket,
    payload_type=st.sampled_from([96, 97, 111, 0, 127]),
    sequence_number=st.integers(0, 0xFFFF),
    timestamp=st.integers(0, 0xFFFFFFFF),
    ssrc=st.sampled_from([1, 2, 3, 0xA1, 0xB1]),
    payload=st.binary(max_size=60) | st.just(b"\x10\x90\x00\x00\x9d\x01\x2a\x00\x00\x00\x00abc"),
    marker=st.booleans(),
    csrcs=st.lists(st.integers(0, 0xFFFFFFFF), max_size=3).map(tuple),
    extensions=st.lists(
        st.tuples(st.integers(1, 14), st.binary(min_size=1, max_size=16) | st.sampled_from([b"m1", b"m2"])), max_size=4
    ),
    padding_bytes=st.integers(0, 20),
)


@given(said=st.lists(packets | st.binary(min_size=12, max_size=60), max_size=40))
@many
def test_rtp_of_the_authenticated_peer_never_raises(media, said):
    made = session(media)
    monitor = ContractMonitor(made)
    sealer = peer(media)
    now = 0.0
    for item in said:
        now += 0.003
        data = item if isinstance(item, bytes) else serialize_rtp(item)
        try:
            datagram = sealer.protect_rtp(bytes([0x80 | data[0] & 0x3F]) + data[1:])
        except InvalidArgument:  # no RTP at all, or the same number again
            continue
        monitor.receive(datagram, now)
        drain(monitor, now)
        monitor.check(now)
    run_down(monitor, now, 3.0)
    for receiver in made._sections.receivers.values():
        for stream in receiver.streams.values():
            stream._buffer.check()


@given(said=st.lists(st.binary(min_size=4, max_size=80), max_size=30), kind=st.sampled_from([200, 201, 205, 206, 207]))
@many
def test_rtcp_of_the_authenticated_peer_never_raises(media, said, kind):
    made = session(media)
    monitor = ContractMonitor(made)
    sealer = peer(media)
    now = 0.0
    for data in said:
        now += 0.01
        made.send_frame(media.AUDIO, OutgoingFrame(media.opus(1), int(now * 48000)), now)
        body = data + bytes(-len(data) % 4)
        head = bytes([0x80 | data[0] & 0x1F, kind]) + (len(body) // 4).to_bytes(2, "big")
        monitor.receive(sealer.protect_rtcp(head + body), now)
        drain(monitor, now)
        monitor.check(now)
    run_down(monitor, now, 3.0)


def run_down(monitor, now, seconds):
    """Handle timers as a driver does for so long."""
    end = now + seconds
    for _ in range(10_000):
        now = max(now, monitor.deadline)
        if now > end:
            return
        monitor.handle_timer(now)
        drain(monitor, now)
        monitor.check(now)
    raise AssertionError("timers never cease")


def test_closed_session_is_silent(media):
    made = session(media)
    monitor = ContractMonitor(made)
    made.send_frame(media.AUDIO, OutgoingFrame(media.opus(1), 0), 0.0)
    drain(monitor, 0.0)
    monitor.close(1.0)
    monitor.close(1.0)
    datagrams, events = drain(monitor, 1.0)
    assert datagrams and isinstance(events[-1], Terminated)
    monitor.check(1.0)
    made.send_frame(media.AUDIO, OutgoingFrame(media.opus(1), 0), 2.0)
    made.configure([], 2.0)
    made.receive(b"\x80" * 40, 2.0)
    assert drain(monitor, 2.0) == ([], []) and made.deadline == math.inf


def test_nothing_is_taken_after_the_end(media):
    made = session(media)
    made.close(0.0)
    made.take_datagrams(0.0), made.take_events()
    made.receive(peer(media).protect_rtp(serialize_rtp(RtpPacket(111, 1, 0, 5, media.opus(1)))), 1.0)
    made.handle_timer(2.0)
    assert made.take_events() == () and made.take_datagrams(2.0) == ()


def test_session_without_keys_closes_too(media):
    made = RtpSession(MediaConfig(), entropy=SeededEntropy(1))
    made.close(0.0)
    assert [type(event) for event in made.take_events()] == [Terminated]


def test_same_inputs_give_the_same_bytes(pair, media):
    from sans_rtc.testing import LinkConditions

    def run():
        joined = pair(conditions=LinkConditions(loss=0.05, jitter_s=0.01), seed=7)
        joined.play_video(30)
        joined.play_audio(30)
        return joined.link.sent, joined.link.events

    assert run() == run()


@pytest.mark.parametrize(
    "misuse",
    [
        lambda made, media: made.send_frame(99, OutgoingFrame(b"x", 0), 0.0),
        lambda made, media: made.send_frame(media.VIDEO, OutgoingFrame(b"", 0), 0.0),
        lambda made, media: made.send_frame(media.VIDEO, OutgoingFrame(b"x", 0, rid="no"), 0.0),
        lambda made, media: made.send_frame(media.VIDEO, OutgoingFrame(b"x", 0, payload_type=5), 0.0),
        lambda made, media: made.send_frame(media.AUDIO, OutgoingFrame(b"\xff\x00", 0), 0.0),
        lambda made, media: made.send_frame(media.AUDIO, OutgoingFrame(media.opus(1), 0, audio_level_dbov=128), 0.0),
        lambda made, media: made.send_frame(media.VIDEO, OutgoingFrame(b"x", 0, rotation=45), 0.0),
        lambda made, media: made.send_packet(99, RtpPacket(96, 0, 0, 0, b"x"), 0.0),
        lambda made, media: made.send_packet(media.VIDEO, RtpPacket(96, 0, 0, 0, b"x"), 0.0, rid="no"),
        lambda made, media: made.request_keyframe(99, 0.0),
        lambda made, media: made.set_encodings(media.VIDEO, [EncodingSettings("no")], 0.0),
        lambda made, media: made.set_output(99, frames=True, packets=False),
        lambda made, media: made.set_path_overhead(5000),
        lambda made, media: made.configure([media.audio_section(1), media.audio_section(1)], 0.0),
        lambda made, media: made.configure([media.audio_section(1), media.audio_section(2)], 0.0),
        lambda made, media: made.configure([media.video_section(encodings=(Encoding("", 0),))], 0.0),
        lambda made, media: made.set_keys(99, media.KEY_A, media.KEY_B, 0.0),
    ],
)
def test_misuse_is_refused_and_changes_nothing(media, misuse):
    made = session(media)
    made.take_datagrams(0.0)
    made.take_events()
    streams = {ssrc: stream.next_sequence for ssrc, stream in made._sections.streams.items()}
    deadline = made.deadline
    with pytest.raises(InvalidArgument):
        misuse(made, media)
    assert {ssrc: stream.next_sequence for ssrc, stream in made._sections.streams.items()} == streams
    assert made.take_datagrams(0.0) == () and made.take_events() == () and made.deadline == deadline


def test_first_frame_draws_nothing_when_it_is_refused(media):
    """Found by fuzzing: the number of the first picture had been drawn by then."""
    entropy = SeededEntropy("refused")
    made = RtpSession(MediaConfig(), entropy=entropy)
    made.set_keys(media.PROFILE, media.KEY_A, media.KEY_B, 0.0)
    made.configure([media.video_section()], 0.0)
    after = copy.copy(entropy)
    with pytest.raises(InvalidArgument):
        made.send_frame(media.VIDEO, OutgoingFrame(b"", 0), 0.0)
    assert entropy(8) == after(8)


def test_too_many_sections_and_encodings_are_refused(media):
    made = session(media, config=MediaConfig(sections_max=2, encodings_max=2))
    with pytest.raises(LimitExceeded):
        made.configure([media.audio_section(handle, ssrc=handle) for handle in (1, 2, 3)], 0.0)
    with pytest.raises(LimitExceeded):
        made.configure([media.video_section(encodings=[Encoding(rid, ord(rid)) for rid in "abc"])], 0.0)


# --- bounds -----------------------------------------------------------------------------------------------------------


def test_events_that_nobody_takes_are_bounded_and_the_oldest_frames_go(media):
    made = session(media, config=MediaConfig(frames_max=16))
    sealer = peer(media)
    for number in range(100):
        made.receive(
            sealer.protect_rtp(serialize_rtp(RtpPacket(111, number, number * 960, 5, media.opus(number)))), 0.0
        )
    events = made.take_events()
    frames = [event.frame for event in events if isinstance(event, FrameReceived)]
    dropped = [event for event in events if isinstance(event, FramesDropped)]
    assert len(frames) <= 16 and frames[-1].data == media.opus(99)
    assert [(event.handle, event.reason) for event in dropped] == [(media.AUDIO, DropReason.EVENT_QUEUE)]
    assert dropped[0].count == 100 - len(frames)


def test_pacer_that_is_full_drops_the_oldest_frame(media):
    from sans_rtc.congestion import PacerConfig

    made = session(media, config=MediaConfig(pacer=PacerConfig(queue_packets_max=20)))
    for index in range(10):
        made.send_frame(media.VIDEO, OutgoingFrame(media.vp8(index == 0, 5000, index), index), 0.0)
    dropped = [event for event in made.take_events() if isinstance(event, FramesDropped)]
    assert {event.reason for event in dropped} == {DropReason.SEND_QUEUE}
    assert made._transmitter.pacer.queued_packets <= 20
    sent = made.stats.packets_sent
    assert made.stats.discards[DiscardReason.PACER_FULL] == 10 * 5 - sent - made._transmitter.pacer.queued_packets


def test_receive_buffer_that_is_full_drops_the_oldest_frames(media):
    made = session(media, config=MediaConfig(receive_packets_max=32))
    sealer = peer(media)
    numbers = [0, *range(2, 100)]
    for number in numbers:
        packet = RtpPacket(96, number, number * 3000, 5, b"\x10" + media.vp8(number == 0, 50, number), True)
        made.receive(sealer.protect_rtp(serialize_rtp(packet)), 0.0)
    (stream,) = made._sections.receivers[media.VIDEO].streams.values()
    assert stream._buffer.packet_count <= 32


@pytest.mark.proves("RFC4585-8-1-253e")
def test_feedback_on_what_was_never_sent_changes_nothing(media):
    made = session(media)
    sealer = peer(media)
    said = [
        Nack(1, 0xB1, list(range(1000))),
        Nack(1, 12345, [1]),
        TransportFeedback(1, 0, 0, 0, 0, [0] * 1000),
        Remb(1, 0, (0xB1,)),
    ]
    for packet in said:
        from sans_rtc.rtcp import ReceiverReport

        made.receive(sealer.protect_rtcp(serialize_compound([ReceiverReport(1), packet])), 0.1)
    made.take_datagrams(0.1)
    assert made.stats.packets_sent == 0


def test_reference_times_are_bounded(media):
    from sans_rtc.rtcp import ExtendedReport, ReceiverReferenceTime, ReceiverReport

    made = session(media, config=MediaConfig(reference_sources_max=4))
    sealer = peer(media)
    for ssrc in range(100):
        report = ExtendedReport(ssrc, [ReceiverReferenceTime(1 << 40)])
        made.receive(sealer.protect_rtcp(serialize_compound([ReceiverReport(1), report])), 0.1)
    assert len(made._reporter._references) == 4
