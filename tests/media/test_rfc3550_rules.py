"""Rules of RFC 3550 and RFC 3551 that a session keeps: numbers, reports, descriptions, what is not understood."""

from itertools import pairwise

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.media import KeyframeRequested, MediaConfig, RtpSession, StreamStarted
from sans_rtc.rtcp import (
    App,
    ExtendedReport,
    Goodbye,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    SdesChunk,
    SdesItem,
    SdesType,
    SenderReport,
    SourceDescription,
    UnknownBlock,
    UnknownFeedback,
    UnknownPacket,
)
from sans_rtc.testing import SeededEntropy


@pytest.mark.proves("RFC3550-3-1-d213", "RTP-USAGE-11-1-d0a3")
def test_streams_of_one_session_have_ssrcs_of_their_own(pair, media):
    made = pair()
    made.play_audio(2)
    made.play_video(2)
    assert {packet.ssrc for packet in media.plain_of(made, media, 0)} >= {0xA1, 0xB1}
    with pytest.raises(InvalidArgument):
        made.a.configure([media.audio_section(ssrc=7), media.video_section(ssrc=7)], made.now)


@pytest.mark.proves("RFC3550-5.1-4-1edd", "RFC3550-5.1-7-afa1", "RFC3550-5.1-5-cc71")
def test_numbers_and_timestamps_begin_anywhere_and_go_on_evenly(pair, media):
    begins = []
    for seed in range(6):
        made = pair(seed=seed)
        made.play_audio(5)
        packets = [packet for packet in media.plain_of(made, media, 0) if packet.ssrc == 0xA1]
        begins.append((packets[0].sequence_number, packets[0].timestamp))
        steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in pairwise(packets)}
        assert steps == {960}
    assert [len(set(values)) for values in zip(*begins, strict=True)] == [6, 6]


@pytest.mark.proves("RFC3550-5.1-3-b5a8", "RFC3550-B-5-7f81")
def test_payload_type_that_is_not_understood_is_ignored(joined, media):
    pair, peer = joined()
    peer.say(7, 1)
    peer.say(7, 2, payload_type=50)
    peer.say(7, 3)
    pair.link.run_for(0.1)  # number 2 is waited for
    assert [frame.timestamp for frame in pair.frames(1)] == [960, 2880]
    assert len(pair.events(1, StreamStarted)) == 1


@pytest.mark.proves("RFC3550-6.1-8-2ab9", "RFC3550-6.4.2-1-fe24")
def test_report_is_empty_where_nothing_was_sent_or_received(pair, media):
    pair = pair(other_sections=[media.audio_section(ssrc=0xA5, send=False)])
    tap = media.Tap(pair, media, 1)
    pair.link.run_for(5.0)
    assert len(tap.rtcp) >= 2
    for _, (report, names, *_) in tap.rtcp:
        assert (type(report), report.blocks, type(names)) == (ReceiverReport, [], SourceDescription)


@pytest.mark.proves("RFC3550-6.1-11-9dd6", "RFC8108-6.2-2-1100", "RFC3550-6.1-8-2ab9", "RFC3550-6.1-4-3dfa")
def test_goodbye_comes_last_behind_a_report(pair, media):
    pair = pair()
    pair.play_audio(20)
    tap = media.Tap(pair, media, 0)
    before = len(pair.link.sent[0])
    pair.a.close(pair.now)
    pair.link.run_for(1.0)
    assert len(pair.link.sent[0]) == before + 1
    ((_, packets),) = tap.rtcp
    assert isinstance(packets[0], SenderReport)
    assert isinstance(packets[-1], Goodbye) and 0xA1 in packets[-1].ssrcs


@pytest.mark.proves(
    "RFC3550-6.1-18-8459",
    "RFC3550-6.7-1-7d70",
    "RFC4585-4.2-13-3f70",
    "RTP-USAGE-8-2-49d6",
    "RTP-USAGE-10-7-fc4d",
)
def test_rtcp_that_is_not_understood_is_ignored_and_the_rest_taken(pair, media):
    pair = pair()
    pair.play_video(3)
    tap = media.Tap(pair, media, 0)
    unknown = [
        UnknownPacket(209, 3, b"1234"),
        App(1, b"what", b"1234"),
        UnknownFeedback(205, 30, 1, 0xB1, b"1234"),
        UnknownFeedback(206, 15, 1, 0xB1, b"1234"),
        ExtendedReport(1, [UnknownBlock(200, 1, b"1234")]),
    ]
    tap.answer(ReceiverReport(1), *unknown, PictureLossIndication(1, 0xB1))
    assert len(pair.events(0, KeyframeRequested)) == 1
    assert pair.a.stats.discards == {}


@pytest.mark.proves("RTP-USAGE-10-7-fc4d")
def test_header_extension_that_nobody_knows_is_ignored(joined, media):
    pair, peer = joined()
    peer.say(7, 1, extensions=[(9, b"what")])
    assert len(pair.frames(1)) == 1


@pytest.mark.proves("RFC3550-6.4.1-5-be6b")
def test_statistics_of_a_source_begin_anew_under_another_ssrc(joined, media):
    pair, peer = joined()
    for number in (1, 2, 5, 6):
        peer.say(7, number)
    peer.say(8, 100)
    block = pair.b._router.sources[8].statistics.make_report_block(pair.now)
    assert (block.highest_sequence, block.packets_lost, block.jitter) == (100, 0, 0)


@pytest.mark.proves("RFC3550-6.4.1-3-9f0b", "RFC3550-6.4.1-4-9f0b", "RFC3550-8.2-1-aa4e", "RTP-USAGE-4.8-4-fcd8")
def test_counts_of_a_sender_begin_anew_under_another_ssrc(joined, media):
    pair, peer = joined()
    tap = media.Tap(pair, media, 1)
    pair.play_audio(50, end=1)
    peer.say(0xA5, 1)
    pair.play_audio(100, end=1, first=50)
    reports = [report for report in tap.of(SenderReport) if report.ssrc not in (0xA5, 0xB5, 0xB6)]
    assert reports and all(0 < report.packet_count <= 100 for report in reports)
    assert all(report.octet_count == 61 * report.packet_count for report in reports)


@pytest.mark.proves("RFC3550-8.2-1-aa4e", "RFC3550-8.2-2-3806")
def test_collision_is_found_by_a_sender_report_too(pair, media):
    pair = pair()
    pair.play_audio(10)
    tap = media.Tap(pair, media, 0)
    tap.answer(SenderReport(0xA1, 1 << 40, 0, 1, 1))
    pair.play_audio(10, first=10)
    assert pair.a.stats.ssrc_collisions == 1
    assert [packet.ssrcs for packet in tap.of(Goodbye)] == [(0xA1,)]
    assert pair.events(1, StreamStarted)[-1].ssrc != 0xA1


class Drawn:
    """Entropy that can be told what to say next."""

    def __init__(self, seed):
        self.entropy, self.next = SeededEntropy(seed), []

    def __call__(self, count):
        return self.next.pop(0).to_bytes(4, "big") if self.next and count == 4 else self.entropy(count)


@pytest.mark.proves("RFC3550-8.2-9-e22e", "RFC3550-8.2-10-3926")
def test_ssrc_that_is_taken_is_not_chosen_after_a_collision(media):
    entropy = Drawn(1)
    session = RtpSession(MediaConfig(), entropy=entropy)
    session.set_keys(media.PROFILE, media.KEY_B, media.KEY_A, 0.0)
    session.configure([media.audio_section(ssrc=0xA5), media.video_section(ssrc=0xB5)], 0.0)
    entropy.next = [0xB5, 0xB6, 0xA5, 0xC0FFEE]
    assert session._sections.resolve_collision(0xA5)
    assert set(session._sections.streams) == {0xC0FFEE, 0xB5, 0xB6}


@pytest.mark.proves("RTP-USAGE-4.1-6-df8c", "RTP-USAGE-11-2-e011", "RTP-USAGE-4.9-4-670d")
def test_streams_may_have_names_of_several_and_of_any_form(joined, media):
    sections = [media.audio_section(1, ssrc=0xA1), media.audio_section(2, ssrc=0xA2)]
    pair, peer = joined(other_sections=sections)
    peer.say(7, 1, extensions=[(4, b"m1")])
    peer.say(8, 1, extensions=[(4, b"m2")])
    names = {7: "a@host", 8: "\u00e4 b/\u4e2d" * 20}
    chunks = [SdesChunk(ssrc, [SdesItem(SdesType.CNAME, name.encode())]) for ssrc, name in names.items()]
    media.Tap(pair, media, 1).answer(ReceiverReport(7), SourceDescription(chunks))
    assert {ssrc: source.cname for ssrc, source in pair.b._router.sources.items()} == names


@pytest.mark.proves("RTP-USAGE-4.1-7-3a7b")
def test_mid_of_a_stream_is_told_by_rtcp_until_the_peer_knows_it_and_read(joined, media):
    sections = [media.audio_section(1, ssrc=0xA1), media.audio_section(2, ssrc=0xA2)]
    pair, peer = joined(other_sections=sections)
    tap = media.Tap(pair, media, 1)
    chunk = SdesChunk(7, [SdesItem(SdesType.CNAME, b"x"), SdesItem(SdesType.MID, b"m2")])
    tap.answer(ReceiverReport(7), SourceDescription([chunk]))
    peer.say(7, 1)
    assert pair.events(1, StreamStarted) == [StreamStarted(2, 7, "")]
    pair.link.run_for(3.0)
    told = [chunk.value(SdesType.MID) for names in tap.of(SourceDescription) for chunk in names.chunks]
    assert set(told) == {"m1", "m2"}
    tap.answer(ReceiverReport(7, [ReportBlock(ssrc, 0, 0, 1, 0) for ssrc in (0xA1, 0xA2)]))
    seen = len(tap.of(SourceDescription))
    pair.link.run_for(3.0)
    later = [chunk.value(SdesType.MID) for names in tap.of(SourceDescription)[seen:] for chunk in names.chunks]
    assert later and set(later) == {None}


@pytest.mark.proves("RFC3551-4.1-1-206c")
def test_silence_without_packets_is_no_loss(joined, media):
    pair, peer = joined()
    peer.say(7, 1, timestamp=0)
    peer.say(7, 2, timestamp=48_000 * 5)
    assert [(frame.is_contiguous, frame.lost_packet_count) for frame in pair.frames(1)] == [(True, 0)] * 2


@pytest.mark.parametrize("name", ["opus", "PCMU"])
@pytest.mark.proves("RFC3551-4.1-2-c0a7", "RFC3551-9-1-4a18")
def test_marker_of_audio_is_on_the_first_packet_behind_a_silence(pair, media, name):
    codec = media.audio_codec(name)
    ticks = codec.codec.clock_rate // 50
    pair = pair(sections=[media.audio_section(ssrc=0xA1, codec=codec)])
    times = [0, 1, 2, 10, 11, 12 + 1 / ticks, 50]
    for seed, time in enumerate(times):
        pair.send(0, media.AUDIO, media.AUDIO_FRAMES[name](seed), round(time * ticks))
    marked = [packet.marker for packet in media.plain_of(pair, media, 0)]
    assert [time for time, is_marked in zip(times, marked, strict=True) if is_marked] == [0, 10, 50]


@pytest.mark.proves("RFC3551-5-3-be58", "RFC3551-9-2-1c89")
def test_marker_is_on_the_last_packet_of_a_frame_of_video_alone(pair, media):
    pair = pair()
    pair.play_video(5, size=5000)
    packets = [packet for packet in media.plain_of(pair, media, 0) if packet.ssrc == 0xB1]
    last = {packet.timestamp: packet.sequence_number for packet in packets}
    assert len(packets) > 2 * len(last) == 10
    assert [packet.marker for packet in packets] == [packet.sequence_number in last.values() for packet in packets]


@pytest.mark.proves("RTP-USAGE-4.3-4-d44b")
def test_formats_that_were_agreed_may_change_from_packet_to_packet(joined, media):
    codecs = (media.audio_codec(), media.audio_codec("PCMU", payload_type=0), media.audio_codec("G722", payload_type=9))
    pair, peer = joined(other_sections=[media.section(media.AUDIO, "audio", codecs, send=False)])
    order = (111, 0, 9, 0, 111)
    for number, payload_type in enumerate(order):
        peer.say(7, number, payload_type=payload_type)
    assert tuple(frame.codec.payload_type for frame in pair.frames(1)) == order
