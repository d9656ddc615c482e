"""What descriptions say of RTCP: rules of RFC 5761, RFC 5506, RFC 4585 and RFC 5104 on offers and answers."""

import pytest

from sans_rtc.peer.media_config import KindConfig, MediaNegotiationConfig
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import RTCP_FB, RTCP_MUX, RTCP_RSIZE, SSRC

TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)


@pytest.fixture
def exchange(new_ends):
    """The sections of an offer of audio and video, and of its answer."""
    ends = new_ends(accepts_media=True, wants_data=False)
    for kind in MediaKind:
        for end in (ends.a, ends.b):
            end.media.add_transceiver(kind, TRACK)
    offer, answer, _ = ends.run()
    return [parse_description(text.sdp).media for text in (offer, answer)]


@pytest.mark.proves(
    "RFC5761-5.1.1-1-580b",
    "RFC5761-5.1.1-2-b7b1",
    "RFC5761-5.3-1-3e0b",
    "RTP-USAGE-4.5-2-f3b2",
    "RTP-USAGE-4.5-3-fcbc",
    "RTP-USAGE-10-3-daef",
    "RFC5506-5-2-0488",
    "RFC5506-5-3-89fe",
    "RTP-USAGE-4.6-2-81e1",
    "RTP-USAGE-4.6-3-c4bf",
    "RTP-USAGE-4.2-1-711a",
    "RTP-USAGE-10-1-c2e5",
    "RFC4585-3.7.2-1-919c",
)
def test_every_section_says_how_rtcp_is_carried(exchange):
    for sections in exchange:
        assert len(sections) == 2
        for media in sections:
            assert media.protocol == "UDP/TLS/RTP/SAVPF"
            assert media.lines.has(RTCP_MUX) and media.lines.has(RTCP_RSIZE)


@pytest.mark.proves("RFC5761-4-3-8c83", "RFC5761-4-4-fa10", "RFC5761-5.1.1-3-7b9c", "RFC3551-3-1-f039")
def test_payload_types_leave_room_for_rtcp_and_dynamic_ones_begin_at_96(exchange):
    for sections in exchange:
        numbers = {int(number) for media in sections for number in media.formats}
        assert not numbers & set(range(64, 96))
        assert 96 in numbers and (set(range(96, 128)) <= numbers or not numbers & set(range(35, 64)))


@pytest.mark.proves("RFC5761-4-3-8c83", "RFC5761-5.1.1-3-7b9c")
def test_payload_types_that_would_look_like_rtcp_are_not_answered(new_ends, edit):
    ends = new_ends(accepts_media=True, wants_data=False)
    ends.a.media.add_transceiver(MediaKind.VIDEO, TRACK)
    offer = ends.a.create_offer(ends.a_transport)
    changed = edit(offer, ("SAVPF 96 97 ", "SAVPF 72 73 "), (":96 ", ":72 "), (":97 ", ":73 "), ("apt=96", "apt=72"))
    ends.b.apply_remote(changed)
    formats = parse_description(ends.b.create_answer(ends.b_transport).sdp).media[0].formats
    assert formats and not {"72", "73"} & set(formats)


@pytest.mark.proves(
    "RFC4585-4.2-9-13a1", "RFC4585-4.2-10-f1cc", "RFC4585-4.2-4-df0e", "RFC5104-7.2-1-1069", "RFC5104-7.2-2-3706"
)
def test_answer_keeps_of_the_feedback_what_this_end_has_and_adds_none(new_ends, edit):
    few = KindConfig(
        codecs=MediaNegotiationConfig().video.codecs, extensions=(), feedback=("nack", "transport-cc", "ack x")
    )
    ends = new_ends(accepts_media=True, wants_data=False)
    ends.a.media.add_transceiver(MediaKind.VIDEO, TRACK)
    other = new_ends(accepts_media=True, wants_data=False, media=MediaNegotiationConfig(video=few))
    offer = edit(ends.a.create_offer(ends.a_transport), ("a=rtcp-fb:96 nack\r\n", "a=rtcp-fb:96 nack rpsi\r\n"))
    other.b.apply_remote(offer)
    answer = parse_description(other.b.create_answer(other.b_transport).sdp)
    told = [(line.payload_type, line.type, line.parameter) for line in answer.media[0].lines.all(RTCP_FB)]
    assert [line[1:] for line in told if line[0] == 96] == [("transport-cc", None)]
    assert {line[1:] for line in told} == {("transport-cc", None), ("nack", None)}


@pytest.mark.proves("RFC5104-7.1-1-216d")
def test_codec_control_is_named_by_its_messages(exchange):
    for _, video in exchange:
        kinds = {(line.type, line.parameter) for line in video.lines.all(RTCP_FB)}
        assert {parameter for kind, parameter in kinds if kind == "ccm"} == {"fir"}


@pytest.mark.proves("RTP-USAGE-11-1-d0a3", "RTP-USAGE-4.9-2-8aee", "RFC3550-6.5.1-3-481a")
def test_tracks_have_ssrcs_of_their_own_and_one_name(exchange):
    for sections in exchange:
        ssrcs = [{line.ssrc for line in media.lines.all(SSRC)} for media in sections]
        assert not set.intersection(*ssrcs)
        names = {line.value for media in sections for line in media.lines.all(SSRC) if line.name == "cname"}
        assert len(names) == 1
