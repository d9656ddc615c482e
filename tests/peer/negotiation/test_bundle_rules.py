"""RTCP, SSRCs and bundle-only sections of one group (RFC 9143, RFC 8858, RFC 5761), where no other test tells."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.media_config import BundlePolicy, MediaNegotiationConfig
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import (
    BUNDLE_ONLY,
    EXTMAP,
    ICE_PWD,
    ICE_UFRAG,
    RTCP,
    RTCP_MUX,
    RTCP_MUX_ONLY,
    SETUP,
    SSRC,
    TLS_ID,
)
from sans_rtc.sdp.values import RtcpDestination

TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
HOST = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"


@pytest.fixture
def make(new_ends):
    """make(policy): end `a` wants audio, video and data; `b` takes them, and has tracks of its own."""

    def ends(policy=BundlePolicy.BALANCED, **config):
        made = new_ends(accepts_media=True, media=MediaNegotiationConfig(bundle_policy=policy), **config)
        for end in (made.a, made.b):
            for kind in MediaKind:
                end.media.add_transceiver(kind, TRACK)
        return made

    return ends


def sections(description):
    return parse_description(description.sdp).media


def offered(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    return offer


def told(media, *specs):
    return [media.lines.has(spec) for spec in specs]


# -- RTCP -------------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.2-14-763e", "BUNDLE-9.3-1-c425", "BUNDLE-9.3.1.1-1-eeb1", "RTP-USAGE-4.5-4-c0d4")
def test_first_offer_multiplexes_rtcp_only_and_says_so_in_each_section(make):
    ends = make()
    for _ in range(2):  # the second is made while the first waits
        audio, video, data = sections(offered(ends))
        for media in (audio, video):
            assert told(media, RTCP_MUX, RTCP_MUX_ONLY) == [True, True]
            assert str(media.lines.first(RTCP)) == "9 IN IP4 0.0.0.0"
        assert told(data, RTCP, RTCP_MUX, RTCP_MUX_ONLY) == [False] * 3


@pytest.mark.proves("JSEP-5.8.2-20-1ce6", "BUNDLE-9.3-2-4294", "BUNDLE-9.3.1.2-3-8f5f", "BUNDLE-9.3.1.2-1-676c")
@pytest.mark.proves("BUNDLE-9.3.1.2-2-83eb", "BUNDLE-9.3.1.2-5-3855", "BUNDLE-9.3.1.2-6-4727")
def test_answer_multiplexes_rtcp_and_repeats_at_the_tag_that_nothing_else_is_possible(make):
    _, answer, _ = make().run()
    audio, video, _ = sections(answer)
    assert told(audio, RTCP_MUX, RTCP_MUX_ONLY, RTCP) == [True, True, False]
    assert told(video, RTCP_MUX, RTCP_MUX_ONLY, RTCP) == [True, False, False]


def test_answer_does_not_say_that_nothing_else_is_possible_unasked(negotiation, transport, load):
    end = negotiation(accepts_media=True)
    end.apply_remote(load("chromium_offer_av_dc"))
    assert "a=rtcp-mux-only" not in end.create_answer(transport()).sdp


@pytest.mark.proves("JSEP-5.2.2-25-1a0b", "JSEP-5.2.2-26-00c8", "JSEP-5.2.2-27-5692", "BUNDLE-9.3.1.4-1-da38")
@pytest.mark.parametrize("is_from_a", [True, False])
def test_later_offer_leaves_rtcp_as_it_was_agreed(make, is_from_a):
    ends = make()
    ends.run()
    offer, _, changes = ends.run(is_from_a=is_from_a)
    for media in sections(offer)[:2]:
        assert told(media, RTCP_MUX, RTCP_MUX_ONLY, RTCP) == [True, False, False]
    assert len(changes[3].sections) == 2


@pytest.mark.proves("JSEP-4.1.1-4-6710", "JSEP-5.8.3-8-2037", "JSEP-5.11-5-2125")
@pytest.mark.parametrize("is_later", [False, True])
def test_answer_without_multiplexing_is_refused(make, edit, snapshot, is_later):
    ends = make()
    if is_later:
        ends.run()
    ends.b.apply_remote(offered(ends))
    before = snapshot(ends.a)
    answer = edit(ends.b.create_answer(ends.b_transport), ("a=rtcp-mux\r\n", ""))
    with pytest.raises(InvalidArgument, match="rtcp-mux"):
        ends.a.apply_remote(answer)
    assert snapshot(ends.a) == before


def test_answer_may_leave_multiplexing_to_the_tag(make):
    ends = make()
    ends.b.apply_remote(offered(ends))
    answer = ends.b.create_answer(ends.b_transport)
    head, video = answer.sdp.split("m=video")
    tagged = type(answer)("answer", head + "m=video" + video.replace("a=rtcp-mux\r\n", ""))
    assert len(ends.a.apply_remote(tagged).sections) == 2


@pytest.mark.proves("JSEP-5.8.3-9-12a2", "BUNDLE-9.3.1.2-4-7352")
def test_section_that_only_multiplexes_must_say_that_it_multiplexes(negotiation, transport, load):
    offer = load("chromium_offer_av_dc")
    at = offer.sdp.index("m=video")
    odd = type(offer)("offer", offer.sdp[:at].replace("a=rtcp-mux\r\n", "a=rtcp-mux-only\r\n") + offer.sdp[at:])
    end = negotiation(accepts_media=True)
    end.apply_remote(odd)
    changes = end.apply_local(end.create_answer(transport()))
    assert [(each.mid, each.reason) for each in changes.rejected] == [("0", "RTP and RTCP are not multiplexed")]


@pytest.mark.proves("JSEP-5.8.2-22-4630")
def test_dummy_destination_of_rtcp_is_read(make, edit):
    ends = make()
    ends.b.apply_remote(edit(offered(ends), ("a=rtcp:9 IN IP4 0.0.0.0", "a=rtcp:50001 IN IP4 192.0.2.9")))
    media = sections(ends.b.remote_description)[0]
    assert media.lines.first(RTCP).port == RtcpDestination(50001).port
    assert len(ends.b.apply_local(ends.b.create_answer(ends.b_transport)).sections) == 2


# -- one group --------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.1-13-f293")
def test_bundle_only_sections_tell_no_transport(make):
    ends = make(BundlePolicy.MAX_BUNDLE)
    offered(ends)
    ends.a.add_local_candidate(HOST)
    ends.a.end_of_local_candidates()
    first, *others = sections(ends.a.local_description)
    assert (first.candidates, first.port) == ([HOST], 50000)
    for media in others:
        assert (media.port, media.candidates, media.is_bundle_only) == (0, [], True)
        assert told(media, ICE_UFRAG, ICE_PWD, SETUP, TLS_ID, RTCP, RTCP_MUX_ONLY) == [False] * 6


@pytest.mark.proves("BUNDLE-7.3.3-4-7ca9")
def test_rejected_section_is_not_bundle_only(make, negotiation, transport):
    ends = make(BundlePolicy.MAX_BUNDLE)
    end = negotiation(2, accepts_media=False)
    end.apply_remote(offered(ends))
    answer = end.create_answer(transport("b"))
    assert [(media.port, media.lines.has(BUNDLE_ONLY)) for media in sections(answer)] == [(0, False)] * 3


@pytest.mark.proves("BUNDLE-1.2-1-8946", "BUNDLE-5-1-56f0", "BUNDLE-7.1.3-6-0c8f", "BUNDLE-9.1-3-16a4")
@pytest.mark.proves("RFC5888-4-1-63f1", "RFC5888-6-1-83c2")
def test_every_section_has_its_mid_in_description_and_packets(make):
    offer, answer, _ = make().run()
    for description in (offer, answer):
        media = sections(description)
        assert [each.mid for each in media] == ["0", "1", "2"]
        assert len(parse_description(description.sdp).bundle_groups) == 1
        for each in media[:2]:
            assert Extension.MID in {extension.uri for extension in each.lines.all(EXTMAP)}


@pytest.mark.proves("BUNDLE-9.1-4-efe1", "RFC5576-6.1-4-66b2")
def test_sections_have_ssrcs_of_their_own_each_with_one_cname(make):
    for description in make().run()[:2]:
        by_section = [media.lines.all(SSRC) for media in sections(description)[:2]]
        ssrcs = [{line.ssrc for line in lines} for lines in by_section]
        assert ssrcs[0] and ssrcs[1] and ssrcs[0].isdisjoint(ssrcs[1])
        for lines, numbers in zip(by_section, ssrcs, strict=True):
            assert sorted(line.ssrc for line in lines if line.name == "cname") == sorted(numbers)
            assert len({line.value for line in lines if line.name == "cname"}) == 1
