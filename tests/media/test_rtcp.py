"""Reports and feedback: when they go, what they say, and what is done about those of the peer."""

import itertools
import statistics

import pytest

from sans_rtc.media import (
    KeyframeRequested,
    RemoteInboundRtpStats,
    StreamEnded,
    StreamEndReason,
    StreamStarted,
)
from sans_rtc.rtcp import (
    BitrateLimit,
    BitrateNotification,
    BitrateRequest,
    ExtendedReport,
    FirEntry,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    SdesType,
    SenderReport,
    SourceDescription,
)
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.testing import LinkConditions


@pytest.mark.proves("RFC3550-6.1-12-ba4d", "RFC3550-6.2-8-07a5", "RFC3550-6.3-2-13cb", "RTP-USAGE-4.1-2-553c")
def test_reports_come_about_once_a_second(pair, media):
    pair = pair()
    tap = media.Tap(pair, media, 0)
    pair.play_audio(1500)
    at = [now for now, packets in tap.rtcp if isinstance(packets[0], SenderReport)]
    gaps = [after - before for before, after in itertools.pairwise(at)]
    assert 0.8 < statistics.mean(gaps) < 1.3
    assert min(gaps) > 0.4 and max(gaps) < 1.7
    assert len(set(gaps)) == len(gaps)


@pytest.mark.proves("RFC5576-6.1-1-96ae")
@pytest.mark.proves(
    "RFC3550-6-2-f4ff",
    "RFC3550-6.1-2-b6a5",
    "RFC3550-6.1-3-cf21",
    "RFC3550-6.1-4-3dfa",
    "RFC3550-6.1-7-d46e",
    "RFC3550-6.1-10-7597",
    "RFC3550-6.5.1-1-d7a2",
    "RFC3551-2-5-078d",
    "RFC5761-7-1-8a34",
    "RTP-USAGE-4.1-5-bf1f",
    "RTP-USAGE-4.9-2-8aee",
)
def test_compound_begins_with_a_report_and_names_the_source(pair, media):
    pair = pair()
    tap = media.Tap(pair, media, 0)
    pair.play_audio(200)
    for _, packets in tap.rtcp:
        assert isinstance(packets[0], SenderReport | ReceiverReport)
        names = next(packet for packet in packets if isinstance(packet, SourceDescription))
        assert all(chunk.value(SdesType.CNAME) == "cname" for chunk in names.chunks)


@pytest.mark.proves("RTP-USAGE-8-1-ca63")
def test_sender_report_counts_what_was_sent(pair, media):
    pair = pair()
    tap = media.Tap(pair, media, 0)
    pair.play_audio(500)
    now, packets = [(at, p) for at, p in tap.rtcp if isinstance(p[0], SenderReport)][-1]
    report = packets[0]
    assert report.ssrc == 0xA1
    sent = int((now - pair.began_at) / 0.02 + 1e-6) + 1
    assert abs(report.packet_count - sent) <= 1
    assert report.octet_count == report.packet_count * 61
    first = pair.frames(1)[0].timestamp
    assert abs((report.rtp_timestamp - first & 0xFFFFFFFF) / 48000 - (now - pair.began_at)) < 0.001


@pytest.mark.proves(
    "RFC6184-10-2-c344", "RFC3551-2-8-e1b5", "RTP-USAGE-7.2-1-cf3d", "RTP-USAGE-8-1-ca63", "RFC8083-4.3-1-e1b5"
)
def test_report_blocks_tell_loss_and_jitter_as_they_are(pair, media):
    pair = pair(conditions=LinkConditions(loss=0.1, jitter_s=0.01, delay_s=0.03))
    tap = media.Tap(pair, media, 1)
    pair.play_audio(2000)
    sent, heard = 2000, len(pair.frames(1))
    block = [packet for packet in tap.of(ReceiverReport) + tap.of(SenderReport) if packet.blocks][-1].blocks[0]
    assert abs(block.packets_lost - (sent - heard)) < 15
    fractions = [b.fraction_lost / 256 for p in tap.of(ReceiverReport) for b in p.blocks]
    assert abs(statistics.mean(fractions) - 0.1) < 0.03
    # two uniform delays of 0 to 10 ms differ by 3.3 ms on average
    assert 0.002 < block.jitter / 48000 < 0.005


def test_round_trip_is_measured(pair, media):
    pair = pair(conditions=LinkConditions(delay_s=0.08))
    pair.play_audio(400)
    remote = [stats for stats in pair.a.statistics(pair.now) if isinstance(stats, RemoteInboundRtpStats)]
    assert remote[0].round_trip_time == pytest.approx(0.16, abs=0.002)
    assert remote[0].round_trip_time_measurements >= 3


def test_receiver_measures_the_round_trip_by_extended_reports(pair, media):
    mine = [media.audio_section(ssrc=0xA1, wants_receiver_rtt=True)]
    theirs = [media.audio_section(ssrc=0xA5, send=False, wants_receiver_rtt=True)]
    pair = pair(sections=mine, other_sections=theirs, conditions=LinkConditions(delay_s=0.05))
    tap = media.Tap(pair, media, 1)
    pair.play_audio(500)
    assert tap.of(ExtendedReport)
    assert pair.b._reader.rtt_s == pytest.approx(0.1, abs=0.002)


@pytest.mark.proves("RFC3550-6.2.1-2-ecb2")
def test_goodbye_ends_the_stream_and_late_packets_do_not_begin_it_again(pair, media):
    pair = pair()
    pair.play_audio(10)
    late = pair.link.sent[0][5]
    pair.a.close(pair.now)
    pair.link.run_for(1.0)
    assert pair.events(1, StreamEnded) == [StreamEnded(media.AUDIO, 0xA1, "", StreamEndReason.BYE)]
    pair.b.receive(late, pair.now)
    assert len(pair.events(1, StreamStarted)) == 1
    assert pair.a.is_terminated


def test_silence_ends_a_stream_and_the_next_packet_begins_it(pair, media):
    pair = pair()
    pair.play_audio(10)
    pair.link.filter = lambda end, datagram: None if end == 0 else datagram
    pair.link.run_for(60.0)
    assert [event.reason for event in pair.events(1, StreamEnded)] == [StreamEndReason.TIMEOUT]
    pair.link.filter = lambda end, datagram: datagram
    pair.play_audio(10, first=3000)
    assert len(pair.events(1, StreamStarted)) == 2


def test_feedback_is_reduced_where_it_was_agreed(pair, media):
    def sections(ssrc, **settings):
        codec = media.video_codec(feedback=frozenset(("nack", "nack pli")))
        return [media.video_section(ssrc=ssrc, codec=codec, is_reduced_size=True, **settings)]

    pair = pair(sections=sections(0xB1), other_sections=sections(0xB5), conditions=LinkConditions(loss=0.05))
    tap = media.Tap(pair, media, 1)
    pair.play_video(100)
    nacks = [packets for _, packets in tap.rtcp if isinstance(packets[-1], Nack)]
    assert [Nack] in [[type(packet) for packet in packets] for packets in nacks]


@pytest.mark.proves("RTP-USAGE-5.1.2-1-0566")
def test_keyframe_requests_in_a_row_are_told_once_and_the_last_not_lost(pair, media):
    pair = pair()
    pair.play_video(5)
    tap = media.Tap(pair, media, 0)
    for _ in range(10):
        tap.answer(PictureLossIndication(1, 0xB1))
        pair.link.run_for(0.01)
    assert len(pair.events(0, KeyframeRequested)) == 1
    pair.link.run_for(1.0)
    assert len(pair.events(0, KeyframeRequested)) == 2


@pytest.mark.proves("RFC5104-4.3.1.2-2-178c", "RTP-USAGE-5.1.1-1-79e4")
def test_repeated_command_is_told_once(pair, media):
    pair = pair()
    pair.play_video(5)
    tap = media.Tap(pair, media, 0)
    for number in (7, 7, 7, 8):
        tap.answer(FullIntraRequest(1, [FirEntry(0xB1, number)]))
        pair.link.run_for(1.0)
    assert [event.kind for event in pair.events(0, KeyframeRequested)] == [KeyframeRequestKind.FIR] * 2


@pytest.mark.proves(
    "RFC5104-4.2.1.2-10-6c3c",
    "RFC5104-4.2.2.2-2-cd6c",
    "RFC5104-4.2.2.3-1-13d9",
    "RFC5104-4.2.2.3-2-0bd5",
    "RTP-USAGE-5.1.6-1-46d5",
)
def test_bitrate_request_is_notified_and_held(pair, media):
    pair = pair()
    pair.play_video(5)
    tap = media.Tap(pair, media, 0)
    tap.answer(BitrateRequest(99, [BitrateLimit(0xB1, 100_000, 40)]))
    pair.link.run_for(0.5)
    assert tap.of(BitrateNotification)[0].limits == [BitrateLimit(99, 100_000, 40)]
    assert pair.a._sections.encodings[0xB1].bitrate_bps <= 100_000


@pytest.mark.proves("RFC8108-6.2-1-9c94")
def test_sections_that_go_say_goodbye(pair, media):
    pair = pair()
    pair.play_video(5)
    tap = media.Tap(pair, media, 0)
    pair.a.configure([media.audio_section(ssrc=0xA1)], pair.now)
    pair.link.run_for(0.5)
    assert tap.of(Goodbye)[0].ssrcs == (0xB1, 0xB2)
    assert [event.reason for event in pair.events(1, StreamEnded)] == [StreamEndReason.BYE]
