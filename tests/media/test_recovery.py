"""What the network does to packets, and what frames come out of it."""

import pytest

from sans_rtc.media import KeyframeRequested, MediaConfig
from sans_rtc.rtcp import Nack
from sans_rtc.rtp import is_rtcp
from sans_rtc.rtp.recovery import NackConfig
from sans_rtc.testing import LinkConditions


def video_only(pair, media, *, conditions=None, config=None, seed=1, **codec_fields):
    codec = media.video_codec(**codec_fields)
    return pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec, receive=False)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec, send=False)],
        conditions=conditions,
        config=config,
        seed=seed,
    )


def lose(pair, numbers):
    """Lose these datagrams of RTP that the first end sends, counted from 0."""
    count = [-1]

    def lossy(end, datagram):
        if end == 0 and not is_rtcp(datagram):
            count[0] += 1
            if count[0] in numbers:
                return None
        return datagram

    pair.link.filter = lossy


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.proves("RFC4585-4.2-7-af5d", "RTP-USAGE-6.1-2-4c0d")
def test_five_percent_loss_is_repaired_by_rtx(pair, media, seed):
    pair = video_only(pair, media, seed=seed)
    sent = pair.play_video(1)  # nobody can know what was lost before the first
    pair.link.conditions = LinkConditions(loss=0.05, delay_s=0.02)
    sent += pair.play_video(200, key_every=1000, first=1)
    pair.link.run_for(1.0)
    frames = pair.frames(1)
    assert [frame.data for frame in frames] == sent
    assert all(frame.is_contiguous and frame.lost_packet_count == 0 for frame in frames)
    assert not pair.events(0, KeyframeRequested)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.proves("RTP-USAGE-6.1-1-ab74")
def test_five_percent_loss_is_repaired_without_rtx(pair, media, seed):
    pair = video_only(pair, media, seed=seed, rtx=None)
    sent = pair.play_video(1)
    pair.link.conditions = LinkConditions(loss=0.05, delay_s=0.02)
    sent += pair.play_video(200, key_every=1000, first=1)
    pair.link.conditions = LinkConditions(delay_s=0.02)  # nor what was lost after the last
    sent += pair.play_video(1, key_every=1000, first=201)
    pair.link.run_for(1.0)
    assert [frame.data for frame in pair.frames(1)] == sent
    assert pair.a._sections.streams.keys() == {0xB1}


def test_a_lost_packet_costs_one_round_trip(pair, media):
    pair = video_only(pair, media, conditions=LinkConditions(delay_s=0.05), feedback=media.FEEDBACK - {"transport-cc"})
    pair.play_video(30)
    lose(pair, {1})
    begun = pair.now
    pair.play_video(1, first=30, key_every=1000)
    pair.link.run_for(0.5)
    frame = pair.frames(1)[-1]
    # one way, 10 ms to tell loss from reordering, there and back again
    assert frame.received_at - begun < 0.05 + 0.01 + 0.1 + 0.01
    assert frame.is_contiguous


def test_loss_beyond_repair_asks_for_a_keyframe_and_is_told(pair, media):
    codec = media.video_codec(feedback=frozenset(("nack", "nack pli")))
    pair = pair(
        sections=[media.video_section(ssrc=0xB1, codec=codec)],
        other_sections=[media.video_section(ssrc=0xB5, codec=codec)],
        config=MediaConfig(repair_wait_s=0.2),
    )
    pair.play_video(10, size=500)
    packets = [0]

    def cut(end, datagram):  # one packet is lost, however often it is sent
        if end == 0 and not is_rtcp(datagram):
            packets[0] += 1
            return None if packets[0] == 1 or datagram[1] & 0x7F == 97 else datagram
        return datagram

    pair.link.filter = cut
    pair.play_video(20, first=11, size=500, key_every=1000)
    frames = pair.frames(1)[10:]
    assert [frame.is_contiguous for frame in frames] == [False] + [True] * 18
    assert frames[0].lost_packet_count == 1
    assert pair.events(0, KeyframeRequested)  # and again, for none came


def test_audio_waits_a_little_for_what_was_overtaken_and_no_longer(pair, media):
    pair = pair()
    pair.play_audio(10)
    lose(pair, {2})
    sent_at = pair.now
    sent = pair.play_audio(10, first=10)
    pair.link.run_for(0.2)
    frames = pair.frames(1)[10:]
    assert [frame.data for frame in frames] == sent[:2] + sent[3:]
    assert [frame.is_contiguous for frame in frames] == [True, True, False] + [True] * 6
    assert frames[2].lost_packet_count == 1
    assert frames[2].received_at - sent_at == pytest.approx(0.06 + 0.01)


@pytest.mark.proves("RFC7587-4.1-1-db5e", "RFC7587-4.1-2-aa1c")
@pytest.mark.parametrize("seed", range(3))
def test_reordered_and_doubled_packets_make_the_same_frames(pair, media, seed):
    conditions = LinkConditions(reordering=0.2, reordering_s=0.015, duplication=0.2, jitter_s=0.005)
    pair = pair(conditions=conditions, seed=seed)
    video = pair.play_video(60)
    audio = pair.play_audio(60)
    pair.link.run_for(0.5)
    assert [frame.data for frame in pair.frames(1, media.VIDEO)] == video
    assert [frame.data for frame in pair.frames(1, media.AUDIO)] == audio
    assert pair.b.stats.discards["not_authentic"] > 10  # SRTP has seen the doubles


@pytest.mark.proves("RFC7587-4.1-1-db5e", "RFC7587-4.1-2-aa1c")
def test_replayed_packets_change_nothing(pair, media):
    pair = pair()
    pair.play_audio(50)
    heard = len(pair.frames(1))
    for datagram in pair.link.sent[0]:
        pair.b.receive(datagram, pair.now)
    pair.link.run_for(0.1)
    assert len(pair.frames(1)) == heard == 50


def test_a_number_is_asked_for_no_more_often_than_configured(pair, media):
    config = MediaConfig(nack=NackConfig(request_count_max=3), repair_wait_s=5.0)
    pair = video_only(pair, media, config=config, feedback=media.FEEDBACK - {"transport-cc"})
    pair.play_video(5, size=500)
    first = [True]

    def cut(end, datagram):
        if end == 0 and not is_rtcp(datagram) and (first[0] or datagram[1] & 0x7F == 97):
            first[0] = False
            return None
        return datagram

    pair.link.filter = cut
    pair.play_video(30, first=6, size=500, key_every=1000)
    pair.link.run_for(2.0)
    stream = next(iter(pair.b._sections.receivers[media.VIDEO].streams.values()))
    assert stream.nack_count == 3


def test_retransmissions_are_bounded_by_what_was_sent(pair, media):
    """A peer that asks for everything again and again gets a part of it (SendHistoryConfig.ratio_max)."""
    pair = video_only(pair, media)
    pair.play_video(60)
    sent = pair.a.stats.packets_sent
    numbers = [packet.sequence_number for packet in map(_sent, pair.a._sections.encodings[0xB1].media.history._order)]
    for step in range(200):
        pair.a._reader.read([Nack(1, 0xB1, numbers)], pair.now + step)
        pair.a.handle_timer(pair.now + step)
    assert pair.a.stats.packets_sent - sent < sent


def _sent(kept):
    return kept[0]
