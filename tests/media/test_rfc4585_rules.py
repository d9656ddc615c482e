"""Rules of RFC 4585, RFC 5104, RFC 5506, RFC 8108 and RFC 6263 that a session keeps: compounds, feedback, limits."""

from itertools import pairwise

import pytest

from sans_rtc.media import MediaConfig
from sans_rtc.media.bitrate_limits import OWNERS_MAX
from sans_rtc.rtcp import (
    BitrateLimit,
    BitrateNotification,
    BitrateRequest,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    Remb,
    SchedulerConfig,
    SdesType,
    SenderReport,
    SourceDescription,
    TransportFeedback,
)
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.testing import LinkConditions

NACKS = frozenset(("nack", "nack pli"))
FEEDBACK = (Nack, PictureLossIndication, FullIntraRequest, TransportFeedback, Remb)


def lossy(pair, media, *, is_reduced_size=False, feedback=NACKS, **conditions):
    """Video from the first end, where one packet in twenty is lost; the second end is tapped."""

    def sections(ssrc):
        codec = media.video_codec(feedback=feedback)
        return [media.video_section(ssrc=ssrc, codec=codec, is_reduced_size=is_reduced_size)]

    made = pair(
        sections=sections(0xB1), other_sections=sections(0xB5), conditions=LinkConditions(loss=0.05, **conditions)
    )
    return made, media.Tap(made, media, 1)


@pytest.mark.proves(
    "RFC4585-3.1-1-3bf4",
    "RFC4585-3.1-3-1786",
    "RFC4585-3.1-4-a993",
    "RFC4585-3.1-5-f4df",
    "RFC4585-3.1-6-71ba",
    "RFC4585-3.1-7-de72",
    "RFC4585-3.1-8-a623",
    "RFC4585-3.1-9-9dcf",
    "RTP-USAGE-4.6-4-b6be",
)
def test_feedback_stands_behind_the_report_and_the_name(pair, media):
    made, tap = lossy(pair, media)
    made.play_video(150)
    compounds = [packets for _, packets in tap.rtcp if any(isinstance(packet, FEEDBACK) for packet in packets)]
    assert len(compounds) > 3
    for report, names, *rest in compounds:
        assert isinstance(report, SenderReport | ReceiverReport)
        assert all(chunk.cname == "cname" for chunk in names.chunks)
        first = next(index for index, packet in enumerate(rest) if isinstance(packet, FEEDBACK))
        assert all(isinstance(packet, FEEDBACK) for packet in rest[first:])
    minimal = [packets for packets in compounds if len(packets) == 3 and not packets[0].blocks]
    assert minimal
    for report, names, _ in minimal:
        assert isinstance(report, ReceiverReport)
        assert [[item.type for item in chunk.items] for chunk in names.chunks] == [[SdesType.CNAME]]


@pytest.mark.proves("RFC5506-4-4-4ada")
def test_nothing_is_reduced_before_there_was_a_compound(pair, media):
    slow = MediaConfig(rtcp=SchedulerConfig(bandwidth_bytes_per_s=10.0))  # the first report is due in 12 s
    sections = [
        [media.video_section(ssrc=ssrc, codec=media.video_codec(feedback=NACKS), is_reduced_size=True)]
        for ssrc in (0xB1, 0xB5)
    ]
    made = pair(config=slow, sections=sections[0], other_sections=sections[1])
    tap = media.Tap(made, media, 1)
    made.send(0, media.VIDEO, media.vp8(False, 300, 1), 0)
    made.link.run_for(0.5)
    ((_, packets),) = tap.rtcp
    assert [type(packet) for packet in packets] == [ReceiverReport, SourceDescription, PictureLossIndication]


@pytest.mark.proves(
    "RFC5506-4-1-b6a2",
    "RFC5506-4-2-82b4",
    "RFC5506-4-5-2459",
    "RFC5506-4.1-1-69a3",
    "RFC5506-4.2.3-1-9a34",
    "RFC4585-3.5.3-1-7831",
    "RTP-USAGE-4.6-1-cbbf",
)
def test_reports_stay_compounds_and_regular_where_feedback_is_reduced(pair, media):
    made, tap = lossy(pair, media, is_reduced_size=True)
    made.play_video(300)
    reduced = [packets for _, packets in tap.rtcp if not isinstance(packets[0], SenderReport | ReceiverReport)]
    assert reduced and all(isinstance(packet, FEEDBACK) for packets in reduced for packet in packets)
    regular = [now for now, packets in tap.rtcp if isinstance(packets[0], SenderReport | ReceiverReport)]
    assert all(isinstance(packets[1], SourceDescription) for now, packets in tap.rtcp if now in regular)
    assert 7 <= len(regular) <= 14 and max(b - a for a, b in pairwise(regular)) < 1.8


@pytest.mark.parametrize(
    ("feedback", "allowed"),
    [
        (frozenset(), ()),
        (frozenset(("nack",)), (Nack,)),
        (frozenset(("nack pli",)), (PictureLossIndication,)),
        (frozenset(("ccm fir",)), (FullIntraRequest,)),
        (frozenset(("transport-cc",)), (TransportFeedback,)),
    ],
    ids=["none", "nack", "pli", "fir", "transport-cc"],
)
@pytest.mark.proves("RFC4585-4.2-8-3b6c", "RFC4585-4.2-11-fa63", "RFC5104-7.2-3-0722", "RFC4585-4.2-7-af5d")
def test_feedback_is_of_the_kinds_that_were_agreed_on_and_no_other(pair, media, feedback, allowed):
    made, tap = lossy(pair, media, feedback=feedback)
    made.play_video(60)
    for kind in KeyframeRequestKind:
        made.b.request_keyframe(media.VIDEO, made.now, kind=kind)
    made.play_video(60, first=60)
    kinds = {type(packet) for _, packets in tap.rtcp for packet in packets if isinstance(packet, FEEDBACK)}
    assert kinds == set(allowed)


@pytest.mark.proves("RFC8108-6.2-3-9691", "RFC8108-6.2-1-9c94")
def test_who_sends_no_more_still_reports(pair, media):
    pair = pair(sections=[media.audio_section(ssrc=0xA1)])
    pair.play_audio(50)
    pair.play_audio(50, end=1)
    pair.a.configure([media.audio_section(ssrc=0xA1, send=False)], pair.now)
    tap = media.Tap(pair, media, 0)
    pair.play_audio(250, end=1, first=50)
    reports = [packet for packet in tap.of(ReceiverReport) + tap.of(SenderReport) if packet.blocks]
    assert len(reports) >= 3


@pytest.mark.proves("RFC6263-7-1-9a77", "RFC6263-5-1-0644", "RFC6263-5-2-54fc", "RFC6263-7-3-8ec8")
def test_rtcp_keeps_the_way_open_while_nothing_is_sent(pair, media):
    pair = pair()
    pair.play_audio(5)
    tap = media.Tap(pair, media, 0)
    before = len(pair.link.sent[0])
    pair.link.run_for(60.0)
    at = [now for now, _ in tap.rtcp]
    assert len(at) == len(pair.link.sent[0]) - before
    assert max(b - a for a, b in pairwise(at)) < 15.0 and at[-1] - at[0] > 55.0


# --- TMMBR ------------------------------------------------------------------------------------------------------------


def asked(pair, media):
    pair = pair()
    pair.play_video(5)
    return pair, media.Tap(pair, media, 0)


@pytest.mark.proves(
    "RFC5104-4.2.1.2-6-1790",
    "RFC5104-4.2.1.2-7-9e4e",
    "RFC5104-4.2.2.2-4-8e0d",
    "RFC5104-4.2.2.2-5-7ff9",
)
def test_limit_is_the_least_that_anybody_asks_for_and_every_request_is_answered(pair, media):
    made, tap = asked(pair, media)
    for owner, bitrate_bps, overhead in ((98, 100_000, 40), (99, 200_000, 20), (97, 150_000, 60)):
        tap.answer(BitrateRequest(owner, [BitrateLimit(0xB1, bitrate_bps, overhead)]))
        made.link.run_for(0.5)
        assert made.a._sections.encodings[0xB1].media.limit_bps == 100_000
    told = [packet.limits for packet in tap.of(BitrateNotification)]
    least, steep = BitrateLimit(98, 100_000, 40), BitrateLimit(97, 149_999, 60)
    assert told[:2] == [[least], [least]]
    assert [limit.ssrc for limit in told[2]] == [98, steep.ssrc]


@pytest.mark.proves("RFC5104-4.2.2.2-3-7721", "RFC8108-5.4.1-2-6170")
def test_requests_that_come_together_are_notified_once_from_the_stream_itself(pair, media):
    made, tap = asked(pair, media)
    made.a.send_frame(media.AUDIO, media.OutgoingFrame(media.opus(1), 0), made.now)
    requests = [BitrateRequest(owner, [BitrateLimit(0xB1, 1000 * owner, 40)]) for owner in (99, 98, 97)]
    tap.answer(*requests)
    made.link.run_for(0.5)
    (notification,) = tap.of(BitrateNotification)
    assert (notification.sender_ssrc, [limit.ssrc for limit in notification.limits]) == (0xB1, [97])


@pytest.mark.parametrize("is_silent", [False, True], ids=["bye", "timeout"])
@pytest.mark.proves("RFC5104-4.2.1.2-11-642c", "RFC5104-4.2.2.2-6-5e9e", "RFC5104-4.2.2.2-7-e2ee")
def test_limit_goes_with_its_owner(pair, media, is_silent):
    made, tap = asked(pair, media)
    tap.answer(BitrateRequest(99, [BitrateLimit(0xB1, 100_000, 40)]))
    made.link.run_for(0.5)
    assert made.a._sections.encodings[0xB1].media.limit_bps == 100_000
    if not is_silent:
        tap.answer(ReceiverReport(99), Goodbye((99,)))
    made.link.run_for(40.0 if is_silent else 0.5)
    assert [packet.limits for packet in tap.of(BitrateNotification)][1:] == [[]]
    assert made.a._sections.encodings[0xB1].media.limit_bps is None


def test_owners_of_limits_are_bounded(pair, media):
    made, tap = asked(pair, media)
    for owner in range(100, 200):
        tap.answer(BitrateRequest(owner, [BitrateLimit(0xB1, 100_000, 40)]))
    assert len(made.a._sections.encodings[0xB1].media.limits._by_owner) == OWNERS_MAX
