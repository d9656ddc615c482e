"""One transport for all sections: bundle policies, tags, and peers that do not bundle (RFC 9143)."""

import pytest

from sans_rtc.peer.media_config import BundlePolicy, MediaNegotiationConfig
from sans_rtc.peer.negotiation import CandidateUse, DataOutcome, Description, TransportAction
from sans_rtc.peer.transceivers import TransceiverAction, TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import END_OF_CANDIDATES, FINGERPRINT, ICE_UFRAG

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
HOST = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"
OTHER = "candidate:2 1 udp 2122260222 192.0.2.2 50002 typ host"


def with_media(new_ends, policy=BundlePolicy.BALANCED, **config):
    ends = new_ends(accepts_media=True, media=MediaNegotiationConfig(bundle_policy=policy), **config)
    for kind in (AUDIO, VIDEO):
        ends.a.media.add_transceiver(kind, TRACK)
    return ends


@pytest.fixture
def ends(new_ends):
    """End `a` wants audio, video and data."""
    return with_media(new_ends)


def offered(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    return offer


def without_group(description):
    return Description(
        description.type,
        "".join(line for line in description.sdp.splitlines(True) if not line.startswith("a=group:BUNDLE")),
    )


# -- our offers -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.1-40-601f", "BUNDLE-7.1.3-3-c03c")
@pytest.mark.parametrize("policy", [BundlePolicy.BALANCED, BundlePolicy.MAX_COMPAT])
def test_every_section_of_a_first_offer_names_the_one_transport(new_ends, policy):
    parsed = parse_description(offered(with_media(new_ends, policy)).sdp)
    assert [media.lines.first(ICE_UFRAG) for media in parsed.media] == ["a000"] * 3
    assert parsed.bundle_groups[0].mids == ("0", "1", "2")


@pytest.mark.proves("JSEP-5.2.1-16-cfc4", "JSEP-5.2.2-29-53ab", "BUNDLE-7.1.3-6-0c8f", "BUNDLE-7.2-2-0d55")
@pytest.mark.proves("BUNDLE-7.2.1-1-48d5")
def test_max_bundle_leaves_the_transport_to_the_first_section(new_ends):
    ends = with_media(new_ends, BundlePolicy.MAX_BUNDLE)
    offer, answer, changes = ends.run()
    parsed = parse_description(offer.sdp)
    assert [(media.port, media.is_bundle_only) for media in parsed.media] == [(9, False), (0, True), (0, True)]
    assert [media.lines.has(FINGERPRINT) for media in parsed.media] == [True, False, False]
    assert [(media.port, media.is_bundle_only) for media in parse_description(answer.sdp).media] == [(9, False)] * 3
    assert (len(changes[3].sections), changes[3].data) == (2, DataOutcome.ACCEPTED)
    again = parse_description(ends.a.create_offer(ends.a_transport).sdp)
    assert [media.is_bundle_only for media in again.media] == [False] * 3


@pytest.mark.proves("BUNDLE-7.3.3-1-0673")
def test_tag_that_others_depend_on_is_answered_idle_and_disabled_later(new_ends):
    """RFC 9143 section 7.3.3: it cannot be rejected without them."""
    ends = with_media(new_ends, BundlePolicy.MAX_BUNDLE)
    added = ends.b.apply_remote(offered(ends)).transceivers
    ends.b.media.stop(added[0].handle)
    answer = ends.b.create_answer(ends.b_transport)
    assert parse_description(answer.sdp).media[0].direction == "inactive"
    changes = ends.b.apply_local(answer)
    ends.a.apply_remote(answer)
    assert ([section.mid for section in changes.sections], changes.data) == (["1"], DataOutcome.ACCEPTED)
    assert ends.b.is_negotiation_needed
    offer, _, changes = ends.run(is_from_a=False)
    assert [media.port for media in parse_description(offer.sdp).media] == [0, 9, 9]
    assert (changes[3].transport.mid, changes[3].dtls) == ("1", TransportAction.UNCHANGED)
    assert not ends.a.is_negotiation_needed
    assert not ends.b.is_negotiation_needed


@pytest.mark.proves("JSEP-5.3.1-5-ec08")
def test_bundle_only_sections_go_with_a_tag_that_was_never_taken(new_ends, negotiation):
    ends = with_media(new_ends, BundlePolicy.MAX_BUNDLE)
    end = negotiation(2, accepts_media=False)
    end.apply_remote(offered(ends))
    changes = end.apply_local(end.create_answer(ends.b_transport))
    assert (changes.transport, changes.sections, changes.data) == (None, (), DataOutcome.REJECTED)


# -- the tag ----------------------------------------------------------------------------------------------------------


@pytest.mark.proves("BUNDLE-7.3-1-1e60", "BUNDLE-7.3.1-1-cda1", "BUNDLE-7.3.1-2-f65e", "BUNDLE-7.3.1-3-b7b9")
@pytest.mark.proves("BUNDLE-7.3.1-5-8a33", "BUNDLE-7.4-2-cc34")
@pytest.mark.parametrize("stopped", [[0], [0, 1], [1]])
def test_first_section_that_the_answer_takes_carries_the_transport(ends, stopped):
    added = [c.handle for c in ends.b.apply_remote(offered(ends)).transceivers if c.action is TransceiverAction.ADDED]
    for index in stopped:
        ends.b.media.stop(added[index])
    answer = ends.b.create_answer(ends.b_transport)
    left = [index for index in range(3) if index not in stopped]
    changes = [ends.b.apply_local(answer), ends.a.apply_remote(answer)]
    for change in changes:
        assert (change.transport.mline_index, change.transport.mid) == (left[0], str(left[0]))
    assert parse_description(answer.sdp).bundle_groups[0].mids == tuple(map(str, left))
    assert ends.a.transport_section == ends.b.transport_section == (str(left[0]), left[0])
    assert ends.a.data_section == ("2", 2)


@pytest.mark.proves("BUNDLE-7.5-2-9fd6")
def test_tag_moves_on_when_its_transceiver_is_stopped(ends):
    ends.run()
    ends.a.media.stop(1)
    _, _, changes = ends.run()
    for change in changes[2:]:
        assert (change.transport.mid, change.dtls, change.is_ice_restart) == ("1", TransportAction.UNCHANGED, False)


@pytest.mark.proves("JSEP-5.2.2-17-9fa9", "JSEP-5.3.2-13-9fa9")
def test_candidates_stand_in_every_section_until_the_peer_has_bundled(ends):
    offered(ends)
    ends.a.add_local_candidate(HOST)
    ends.a.end_of_local_candidates()
    parsed = parse_description(ends.a.local_description.sdp)
    assert [(media.candidates, media.port) for media in parsed.media] == [([HOST], 50000)] * 3
    ends.b.apply_remote(ends.a.local_description)
    answer = ends.b.create_answer(ends.b_transport)
    ends.b.apply_local(answer)
    ends.b.add_local_candidate(OTHER)
    ends.a.apply_remote(answer)
    parsed = parse_description(ends.b.local_description.sdp)
    assert [media.candidates for media in parsed.media] == [[OTHER], [], []]
    again = parse_description(ends.a.create_offer(ends.a_transport).sdp)
    assert [media.candidates for media in again.media] == [[HOST], [], []]
    assert [media.lines.has(END_OF_CANDIDATES) for media in again.media] == [True, False, False]


def test_candidate_of_another_section_counts_once_the_sections_are_bundled(ends):
    offer = offered(ends)
    ends.b.apply_remote(offer)
    assert ends.b.add_remote_candidate(HOST, "0").use is CandidateUse.LATER
    assert ends.b.add_remote_candidate(OTHER, "1").use is CandidateUse.OTHER_SECTION
    changes = ends.b.apply_local(ends.b.create_answer(ends.b_transport))
    assert changes.transport.candidates == (HOST,)
    assert ends.b.add_remote_candidate(OTHER, "1").use is CandidateUse.NOW
    assert ends.b.add_remote_candidate("", "1").use is CandidateUse.OTHER_SECTION
    assert ends.b.add_remote_candidate("", "0").use is CandidateUse.NOW


def test_candidates_of_the_section_that_becomes_the_tag_are_used(ends):
    added = ends.b.apply_remote(offered(ends)).transceivers
    ends.b.add_remote_candidate(HOST, "0")
    ends.b.add_remote_candidate(OTHER, "1")
    ends.b.media.stop(added[0].handle)
    changes = ends.b.apply_local(ends.b.create_answer(ends.b_transport))
    assert (changes.transport.mid, changes.transport.candidates) == ("1", (OTHER,))


# -- peers that do not bundle -----------------------------------------------------------------------------------------


def test_offer_without_bundle_gets_one_section_taken(ends, negotiation, transport, load):
    end = negotiation(accepts_media=True)
    end.apply_remote(without_group(load("chromium_offer_av_dc")))
    answer = end.create_answer(transport())
    changes = end.apply_local(answer)
    assert [media.port != 0 for media in parse_description(answer.sdp).media] == [True, False, False]
    assert {each.reason for each in changes.rejected} == {"it is not bundled with the sections that are used"}
    assert (changes.transport.mid, changes.data) == ("0", DataOutcome.REJECTED)


@pytest.mark.proves("BUNDLE-7.4-3-aafc", "RFC5888-9.4-1-661a")
@pytest.mark.proves("RTP-USAGE-4.4-3-645b")
def test_answer_without_bundle_leaves_the_first_section(ends):
    offer = offered(ends)
    ends.b.apply_remote(offer)
    changes = ends.a.apply_remote(without_group(ends.b.create_answer(ends.b_transport)))
    assert [section.mid for section in changes.sections] == ["0"]
    assert [each.mid for each in changes.rejected] == ["1", "2"]
    assert TransceiverAction.STOPPED in [change.action for change in changes.transceivers]
    assert changes.data is DataOutcome.REJECTED


@pytest.mark.proves("RFC5888-9.2-5-1389")
def test_answer_that_leaves_a_section_out_of_the_group_leaves_it_unused(ends, edit):
    ends.b.apply_remote(offered(ends))
    answer = edit(ends.b.create_answer(ends.b_transport), ("BUNDLE 0 1 2", "BUNDLE 0 2"))
    changes = ends.a.apply_remote(answer)
    assert ([section.mid for section in changes.sections], changes.data) == (["0"], DataOutcome.ACCEPTED)
    offer = parse_description(ends.a.create_offer(ends.a_transport).sdp)
    assert [media.port for media in offer.media] == [9, 0, 9]


def test_answer_may_take_media_and_leave_data(ends, edit):
    ends.b.apply_remote(offered(ends))
    answer = ends.b.create_answer(ends.b_transport)
    leaving = edit(answer, ("m=application 9", "m=application 0"), ("BUNDLE 0 1 2", "BUNDLE 0 1"))
    first = ends.a.apply_remote(Description("pranswer", leaving.sdp))
    assert (first.data, first.dtls, first.sctp) == (
        DataOutcome.REJECTED,
        TransportAction.START,
        TransportAction.UNCHANGED,
    )
    assert (ends.a.data_section, first.transport.sctp_port) == (None, None)
    second = ends.a.apply_remote(answer)
    assert (second.data, second.dtls, second.sctp) == (
        DataOutcome.ACCEPTED,
        TransportAction.UNCHANGED,
        TransportAction.START,
    )
    assert (ends.a.data_section, second.transport.sctp_port) == (("2", 2), 5000)


def test_rollback_of_a_provisional_answer_that_began_data_ends_them(new_ends):
    ends = new_ends(accepts_media=True, wants_data=False)
    ends.a.media.add_transceiver(AUDIO, TRACK)
    ends.run()
    ends.a.request_data()
    ends.b.apply_remote(offered(ends))
    answer = ends.b.create_answer(ends.b_transport)
    assert ends.a.apply_remote(Description("pranswer", answer.sdp)).sctp is TransportAction.START
    changes = ends.a.apply_local(Description("rollback"))
    assert (changes.dtls, changes.sctp) == (TransportAction.UNCHANGED, TransportAction.STOP)


def test_answer_with_bundle_only_sections_is_taken(ends, edit):
    """RFC 9143 section 7.3 has answers mark all sections but the tag so."""
    ends.b.apply_remote(offered(ends))
    answer = edit(
        ends.b.create_answer(ends.b_transport),
        ("m=video 9", "m=video 0"),
        ("a=mid:1\r\n", "a=mid:1\r\na=bundle-only\r\n"),
    )
    assert [section.mid for section in ends.a.apply_remote(answer).sections] == ["0", "1"]


@pytest.mark.proves("JSEP-4.1.1-4-6710", "JSEP-5.3.1-2-798c", "JSEP-5.8.2-19-13af", "JSEP-5.8.3-8-2037")
@pytest.mark.proves("BUNDLE-9.3-1-c425")
@pytest.mark.proves("RFC5761-5.1.1-4-bb63", "RTP-USAGE-4.5-3-fcbc")
def test_section_without_rtcp_mux_is_rejected(negotiation, transport, load, edit):
    offer = load("chromium_offer_av_dc")
    at = offer.sdp.index("m=video")
    broken = Description("offer", offer.sdp[:at].replace("a=rtcp-mux\r\n", "") + offer.sdp[at:])
    end = negotiation(accepts_media=True)
    end.apply_remote(broken)
    changes = end.apply_local(end.create_answer(transport()))
    assert [(each.mid, each.reason) for each in changes.rejected] == [("0", "RTP and RTCP are not multiplexed")]
    assert [section.mid for section in changes.sections] == ["1"]


# -- what sections are for --------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.1.2-1-4750", "JSEP-5.1.2-3-2521", "JSEP-5.1.2-4-d6ae", "JSEP-5.1.2-5-d957")
@pytest.mark.proves("JSEP-5.3.1-7-1066", "JSEP-5.3.2-4-a2e6", "JSEP-5.1.2-6-7f8d", "ICE-SDP-4.3.2-5-1ee1")
@pytest.mark.parametrize(
    "protocol",
    [
        *("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF"),
        *("TCP/DTLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "udp/tls/rtp/savpf"),
    ],
)
def test_protocols_of_rfc_9429_section_5_1_2_are_taken(negotiation, transport, load, edit, protocol):
    end = negotiation(accepts_media=True)
    end.apply_remote(edit(load("chromium_offer_av_dc"), ("UDP/TLS/RTP/SAVPF", protocol)))
    answer = end.create_answer(transport())
    assert [media.protocol for media in parse_description(answer.sdp).media[:2]] == [protocol] * 2
    assert len(end.apply_local(answer).sections) == 2


@pytest.mark.parametrize("line", ["m=text 9 UDP/TLS/RTP/SAVPF 98", "m=audio 9 UDP/BFCP *", "m=image 9 udptl t38"])
def test_other_sections_are_rejected_beside_those_that_are_taken(negotiation, transport, load, line):
    offer = load("chromium_offer_av_dc")
    strange = f"{line}\r\nc=IN IP4 0.0.0.0\r\na=mid:x\r\n"
    end = negotiation(accepts_media=True)
    end.apply_remote(Description("offer", offer.sdp.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 x") + strange))
    changes = end.apply_local(end.create_answer(transport()))
    assert ([each.mid for each in changes.rejected], len(changes.sections)) == (["x"], 2)


def test_no_more_transceivers_than_configured(negotiation, transport, load):
    end = negotiation(accepts_media=True, media=MediaNegotiationConfig(transceiver_count_max=1))
    end.apply_remote(load("chromium_offer_av_dc"))
    changes = end.apply_local(end.create_answer(transport()))
    assert [(each.mid, each.reason) for each in changes.rejected] == [("1", "there are too many transceivers")]


@pytest.mark.proves("BUNDLE-9.1.1-1-6bca", "BUNDLE-9.1.1-2-414c")
@pytest.mark.proves("RTP-USAGE-4.3-3-c06b")
def test_one_payload_type_of_two_formats_in_one_group_is_rejected(negotiation, transport, load, edit):
    offer = edit(
        load("chromium_offer_av_dc"), ("SAVPF 96 97", "SAVPF 111 97"), (":96 ", ":111 "), ("apt=96", "apt=111")
    )
    end = negotiation(accepts_media=True)
    end.apply_remote(offer)
    changes = end.apply_local(end.create_answer(transport()))
    assert [each.mid for each in changes.rejected] == ["1"]
    assert "payload type 111" in changes.rejected[0].reason


def test_offer_without_mids_gets_its_only_section_taken(negotiation, transport, load):
    offer = without_group(load("chromium_offer_av_dc"))
    audio = offer.sdp[: offer.sdp.index("m=video")].replace("a=mid:0\r\n", "")
    end = negotiation(accepts_media=True)
    end.apply_remote(Description("offer", audio))
    answer = end.create_answer(transport())
    assert parse_description(answer.sdp).media[0].mid is None
    (section,) = end.apply_local(answer).sections
    assert (section.mid, section.receive is not None) == ("", True)
    assert end.media.infos()[0].mid == "0"
