"""The loop closed: pacing, estimates by each kind of feedback, probes, shares of encodings."""

import pytest

from sans_rtc.congestion import EstimatorConfig, PacerConfig
from sans_rtc.media import (
    EncodingSettings,
    MediaConfig,
    SenderBitrateChanged,
    TargetBitrateChanged,
)
from sans_rtc.rtp import Extension, is_rtcp
from sans_rtc.testing import LinkConditions

CAPACITY_BPS = 1_500_000


def run_loop(pair, media, seconds, *, feedback, extensions, conditions=None):
    """An encoder that follows its share over a link of a limited rate; returns the pair and (now, target)."""
    codec = media.video_codec(feedback=feedback)
    video = media.video_section(ssrc=0xB1, codec=codec, extensions=extensions)
    other = media.video_section(ssrc=0xB5, codec=codec, extensions=extensions)
    conditions = conditions or LinkConditions(delay_s=0.025, rate_bytes_s=CAPACITY_BPS / 8, queue_bytes=60_000)
    pair = pair(sections=[video], other_sections=[other], conditions=conditions)
    targets = []
    share = 300_000
    index = 0
    while pair.elapsed_s < seconds:
        for event in pair.link.events[0]:
            if isinstance(event, SenderBitrateChanged):
                share = event.bitrate_bps
            elif isinstance(event, TargetBitrateChanged):
                targets.append((pair.elapsed_s, event.bitrate_bps))
        pair.link.events[0].clear()
        pair.send(0, media.VIDEO, media.vp8(index % 300 == 0, max(int(share / 30 / 8), 50), index), index * 3000)
        index += 1
        pair.link.run_for(1 / 30)
    return pair, targets


@pytest.mark.proves("RFC6184-10-1-7302", "RFC7587-3.1.2-2-efef", "RFC7587-5-1-6eab")
@pytest.mark.parametrize("kind", ["transport-cc", "ack ccfb"])
@pytest.mark.proves("RFC4585-7-1-5157", "RTP-USAGE-6-1-3b54", "RTP-USAGE-7-1-8b41", "RTP-USAGE-7.1-2-1f8d")
def test_target_converges_to_the_capacity_with_a_short_queue(pair, media, kind):
    feedback = frozenset(("nack", "nack pli", kind))
    pair, targets = run_loop(pair, media, 20.0, feedback=feedback, extensions=media.EXTENSIONS)
    late = [target for at, target in targets if at > 10.0] or [targets[-1][1]]
    assert 0.7 * CAPACITY_BPS < sum(late) / len(late) < 1.1 * CAPACITY_BPS
    pace = pair.a._transmitter.pacer.rate_bps(pair.now)
    assert pace == pytest.approx(2.5 * targets[-1][1], rel=0.02)  # what changes by less than 1 % is not told
    received = pair.b.stats.bytes_received * 8 / pair.elapsed_s
    assert received > 0.6 * CAPACITY_BPS
    frames = [frame for frame in pair.frames(1) if frame.received_at > pair.now - 10.0]
    delays = [frame.received_at - (frame.timestamp - frames[0].timestamp) / 90000 for frame in frames]
    assert max(delays) - min(delays) < 0.3


def sent_sizes(pair, end=0):
    return [len(datagram) for datagram in pair.link.sent[end] if not is_rtcp(datagram)]


@pytest.mark.parametrize("overhead", [0, 36])
def test_packets_stay_within_the_mtu_with_all_that_is_added(pair, media, overhead):
    config = MediaConfig(mtu_bytes=1000)
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli", "transport-cc")))
    section = media.video_section(ssrc=0xB1, codec=codec)
    section = media.evolve(section, mid="a-rather-long-mid")  # takes the two-byte form
    section = media.evolve(section, allows_mixed=True)
    pair = pair(config=config, sections=[section], other_sections=[media.evolve(section, send=None)])
    pair.a.set_path_overhead(overhead)
    pair.link.conditions = LinkConditions(loss=0.1)
    pair.play_video(60, size=7000, rotation=90, capture_time_s=1.0)
    assert 1000 - overhead - 60 < max(sent_sizes(pair)) <= 1000 - overhead


@pytest.mark.proves("RFC4585-6.3.1.1-1-f4ca", "RFC5104-4.3.1.2-3-f867", "RFC5104-5-1-9d05")
def test_large_frame_is_spread_over_time(pair, media):
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli", "transport-cc")))
    estimator = EstimatorConfig(start_bitrate_bps=1_000_000, initial_probe_factors=())
    pair = pair(
        config=MediaConfig(estimator=estimator, pacer=PacerConfig(start_bitrate_bps=1_000_000)),
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
    )
    times = []

    def note(end, datagram):
        if end == 0 and not is_rtcp(datagram):
            times.append((pair.elapsed_s, len(datagram)))
        return datagram

    pair.link.filter = note
    pair.send(0, media.VIDEO, media.vp8(True, 50_000, 0), 0)
    pair.link.run_for(2.0)
    # 50 kB at 2.5 times 1 Mbit/s take 160 ms; in no 10 ms more than 2.5 Mbit/s * (10 + 5 ms) and a packet
    assert 0.12 < times[-1][0] - times[0][0] < 0.2
    for begin, _ in times:
        window = sum(size for at, size in times if begin <= at < begin + 0.01)
        assert window <= 2_500_000 / 8 * 0.015 + 1300


def test_without_feedback_bursts_are_bounded_and_nothing_waits_for_long(pair, media):
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli")))
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)], other_sections=[media.video_section(codec=codec)]
    )
    pair.send(0, media.VIDEO, media.vp8(True, 200_000, 0), 0)
    at_once = sum(sent_sizes(pair))
    assert 50_000 < at_once < 80_000
    pair.link.run_for(0.02)
    assert sum(sent_sizes(pair)) > 200_000
    assert pair.a._transmitter.control.target_bitrate_bps is None


def test_audio_does_not_wait_behind_video(pair, media):
    pair = pair()
    pair.send(0, media.VIDEO, media.vp8(True, 100_000, 0), 0)
    pair.send(0, media.AUDIO, media.opus(1), 0)
    pair.link.run_for(0.0101)
    assert len(pair.frames(1, media.AUDIO)) == 1


def test_share_of_the_audio_and_inactive_layers(pair, media):
    pair = pair()
    pair.play_video(30)
    pair.a.set_encodings(media.VIDEO, [EncodingSettings("", is_active=False)], pair.now)
    changes = [event for event in pair.a.take_events() if isinstance(event, SenderBitrateChanged)]
    assert changes == [SenderBitrateChanged(media.VIDEO, "", 0)]
    pair.a.set_encodings(media.VIDEO, [EncodingSettings("", max_bitrate_bps=100_000)], pair.now)
    changes = [event for event in pair.a.take_events() if isinstance(event, SenderBitrateChanged)]
    assert changes[-1] == SenderBitrateChanged(media.VIDEO, "", 100_000)


def test_another_path_begins_anew(pair, media):
    pair = pair()
    pair.play_video(60)
    before = pair.a._transmitter.control.target_bitrate_bps
    pair.a.path_changed(pair.now)
    after = pair.a._transmitter.control.target_bitrate_bps
    assert before > 1_000_000 and after == 300_000


def test_probes_are_padded_by_packets_of_padding_where_there_is_no_rtx(pair, media):
    codec = media.video_codec(feedback=frozenset(("nack", "transport-cc")), rtx=None)
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
    )
    sent = pair.play_video(60, size=600)
    pair.link.run_for(0.2)
    frames = pair.frames(1)
    assert [frame.data for frame in frames] == sent and all(frame.is_contiguous for frame in frames)
    assert pair.a._transmitter.pacer.stats.padding_bytes_sent > 10_000
    assert pair.a._transmitter.control.target_bitrate_bps > 1_000_000


def test_remb_of_the_peer_bounds_the_target(pair, media):
    feedback = frozenset(("nack", "nack pli", "goog-remb"))
    extensions = media.without(Extension.TRANSPORT_CC)
    pair, targets = run_loop(pair, media, 25.0, feedback=feedback, extensions=extensions)
    late = [target for at, target in targets if at > 15.0] or [targets[-1][1]]
    assert 0.5 * CAPACITY_BPS < sum(late) / len(late) < 1.1 * CAPACITY_BPS


def test_what_is_not_active_sends_no_padding_either(pair, media):
    pair = pair()
    pair.play_video(60)
    pair.a.set_encodings(media.VIDEO, [EncodingSettings("", is_active=False)], pair.now)
    pair.link.run_for(0.5)
    before = pair.a.stats.packets_sent
    pair.link.run_for(30.0)
    assert pair.a.stats.packets_sent == before
