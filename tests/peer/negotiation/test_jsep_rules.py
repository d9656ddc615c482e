"""What RFC 9429 says of descriptions sentence by sentence, where no other test does."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice.config import TransportPolicy
from sans_rtc.peer import PeerConfig
from sans_rtc.peer.media_config import BundlePolicy
from sans_rtc.peer.negotiation import Description
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import EXTMAP, ICE_PWD, ICE_UFRAG, MSID, RTCP_FB, RTCP_RSIZE, TLS_ID
from sans_rtc.sdp.values import Direction
from tests.peer.negotiation.conftest import first_data_description

AUDIO, VIDEO = MediaKind
TRACK = TransceiverOptions(streams=("camera",), is_from_track=True)
HOST = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"


@pytest.fixture
def ends(new_ends):
    """End `a` wants audio, video and data; `b` takes them."""
    ends = new_ends(accepts_media=True)
    for kind in MediaKind:
        ends.a.media.add_transceiver(kind, TRACK)
    return ends


def sections(description):
    return parse_description(description.sdp).media


def session_lines(description):
    """The lines before the first section, without the version of `o=`."""
    lines = description.sdp.partition("m=")[0].split("\r\n")
    return [line for line in lines if not line.startswith("o=")], lines[1].split(" ")[:2] + lines[1].split(" ")[3:]


def offered(end, facts):
    offer = end.create_offer(facts)
    end.apply_local(offer)
    return offer


@pytest.mark.proves("JSEP-4.1.1-1-25b9", "JSEP-4.1.1-3-1ac6")
def test_defaults_are_those_of_jsep():
    assert PeerConfig().ice.transport_policy is TransportPolicy.ALL
    assert PeerConfig().media_negotiation.bundle_policy is BundlePolicy.BALANCED


# -- what is offered --------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.1.2-1-4750", "JSEP-5.1.2-2-dd9d", "JSEP-5.2.1-18-1272", "BUNDLE-9.1-2-7ef0")
def test_offers_have_the_profiles_of_jsep(ends):
    protocols = [media.protocol for media in sections(offered(ends.a, ends.a_transport))]
    assert protocols == ["UDP/TLS/RTP/SAVPF"] * 2 + ["UDP/DTLS/SCTP"]


@pytest.mark.proves("JSEP-5.1.2-8-1000")
def test_later_offer_has_the_right_profile_whatever_the_peer_has_called_it(negotiation, transport, load, edit):
    end = negotiation(accepts_media=True)
    odd = edit(load("chromium_offer_av_dc"), ("UDP/TLS/RTP/SAVPF", "RTP/AVP"), ("UDP/DTLS/SCTP", "DTLS/SCTP"))
    end.apply_remote(odd)
    end.apply_local(end.create_answer(transport()))
    protocols = [media.protocol for media in sections(end.create_offer(transport()))]
    assert protocols == ["UDP/TLS/RTP/SAVPF"] * 2 + ["UDP/DTLS/SCTP"]


@pytest.mark.proves("JSEP-5.2.1-20-63a3", "JSEP-5.2.1-25-8e99", "JSEP-5.2.1-26-30a5", "JSEP-5.2.1-28-977e")
def test_mandatory_formats_feedback_and_extensions_are_offered(ends):
    audio, video, _ = sections(offered(ends.a, ends.a_transport))
    names = [
        {line.value.split(" ")[1].lower() for line in media.lines.attributes("rtpmap")} for media in (audio, video)
    ]
    assert names[0] >= {"opus/48000/2", "pcmu/8000", "pcma/8000", "cn/8000", "telephone-event/8000"}
    assert names[1] >= {"vp8/90000", "h264/90000", "rtx/90000"}
    assert "useinbandfec=1" in next(line.value for line in audio.lines.attributes("fmtp"))
    uris = [{extension.uri for extension in media.lines.all(EXTMAP)} for media in (audio, video)]
    assert uris[0] >= {Extension.MID, Extension.SSRC_AUDIO_LEVEL}
    assert uris[1] >= {Extension.MID, Extension.RID}
    kinds = {(line.type, line.parameter) for line in video.lines.all(RTCP_FB)}
    assert kinds >= {("nack", None), ("nack", "pli"), ("ccm", "fir"), ("transport-cc", None)}


@pytest.mark.proves("RFC3264-5.1-9-f308", "RFC3264-6.1-11-d758", "RFC4566-5.14-4-8c89", "RFC4566-8.2.3-2-3ff0")
@pytest.mark.parametrize("answers", [False, True])
def test_every_format_has_its_rtpmap(ends, answers):
    offer, answer, _ = ends.run()
    for media in sections(answer if answers else offer)[:2]:
        mapped = [line.value.split(" ")[0] for line in media.lines.attributes("rtpmap")]
        assert media.formats == mapped


@pytest.mark.proves("JSEP-5.3.1-6-dfca", "JSEP-5.3.1-12-07a1", "JSEP-5.3.1-19-3c25", "JSEP-5.3.1-25-2110")
@pytest.mark.proves("ICE-SDP-4.4.2-1-9f9f", "RFC3264-6-1-0ce8")
def test_first_answer_is_written_as_rfc_9429_section_5_3_1_says(new_ends):
    ends = new_ends()
    offer, answer, _ = ends.run()
    found = parse_description(answer.sdp)
    assert answer.sdp == first_data_description("b", "active", found)
    assert found.origin.session_id != parse_description(offer.sdp).origin.session_id


# -- what stays in later descriptions ---------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.2-1-3714", "JSEP-5.2.2-2-c454", "JSEP-5.3.2-1-501e", "JSEP-5.3.2-2-c454")
@pytest.mark.proves("JSEP-5.3.2-12-eff8", "JSEP-5.2.2-10-b5f4", "JSEP-5.3.2-3-c879")
@pytest.mark.parametrize("is_answer", [False, True])
def test_later_descriptions_keep_what_must_not_change(ends, transport, is_answer):
    first = ends.run()[is_answer]
    ends.a.media.set_direction(1, Direction.SENDONLY)
    ends.b.add_local_candidate(HOST)
    ends.b.end_of_local_candidates()
    second = ends.run()[is_answer]
    assert session_lines(first) == session_lines(second)
    versions = [parse_description(each.sdp).origin.session_version for each in (first, second)]
    assert versions == [1, 2]
    assert [media.mid for media in sections(first)] == [media.mid for media in sections(second)]
    for name in ("ice-ufrag", "ice-pwd", "tls-id", "fingerprint"):
        values = [[line.value for line in sections(each)[0].lines.attributes(name)] for each in (first, second)]
        assert values[0] == values[1] != []
    if is_answer:
        assert sections(second)[0].port == 50000
        assert second.sdp.count("a=end-of-candidates\r\n") == 1


@pytest.mark.proves("JSEP-5.3.2-7-2564")
def test_other_tls_id_of_a_restarting_offer_is_answered_with_another(new_ends, transport, edit):
    ends = new_ends()
    _, first, _ = ends.run()
    offer = ends.a.create_offer(transport("a", 1))
    ends.b.apply_remote(edit(offer, (sections(offer)[0].lines.first(TLS_ID), "x" * 32)))
    second = ends.b.create_answer(transport("b", 1))
    assert sections(first)[0].lines.first(TLS_ID) != sections(second)[0].lines.first(TLS_ID)


@pytest.mark.proves("JSEP-5.2.2-4-9e25")
def test_transceiver_stopped_before_it_was_offered_has_no_section(ends):
    ends.a.media.stop(ends.a.media.add_transceiver(VIDEO, TRACK))
    assert [media.kind for media in sections(offered(ends.a, ends.a_transport))] == ["audio", "video", "application"]


@pytest.mark.proves("JSEP-5.2.2-5-4177", "BUNDLE-7.5.3-3-3b88")
def test_section_of_a_stopped_transceiver_has_port_zero_and_tells_nothing(ends):
    ends.run()
    ends.a.media.stop(1)
    media = sections(offered(ends.a, ends.a_transport))[0]
    assert (media.port, media.is_bundle_only, media.lines.has(MSID), media.lines.has(ICE_UFRAG)) == (0, *[False] * 3)


@pytest.mark.proves("JSEP-5.2.2-7-28cf", "JSEP-5.3.2-15-922c")
@pytest.mark.parametrize("is_from_a", [True, False])
def test_who_begins_to_send_again_tells_its_streams(new_ends, is_from_a):
    ends = new_ends(accepts_media=True)
    for end in (ends.a, ends.b):
        end.media.add_transceiver(AUDIO, TRACK)
    ends.run()
    turning = ends.a if is_from_a else ends.b
    turning.media.set_direction(1, Direction.RECVONLY)
    offer, answer, _ = ends.run()
    assert not sections(offer if is_from_a else answer)[0].lines.has(MSID)
    turning.media.set_direction(1, Direction.SENDRECV)
    offer, answer, _ = ends.run()
    assert sections(offer if is_from_a else answer)[0].lines.first(MSID).stream_id == "camera"


@pytest.mark.proves("JSEP-5.2.2-24-6c54", "JSEP-5.2.2-28-853c")
def test_later_offer_has_only_the_feedback_and_reduced_size_of_the_last_answer(ends, edit):
    ends.b.apply_remote(offered(ends.a, ends.a_transport))
    answer = ends.b.create_answer(ends.b_transport)
    number = int(sections(answer)[1].formats[0])
    ends.a.apply_remote(edit(answer, (f"a=rtcp-fb:{number} nack\r\n", ""), ("a=rtcp-rsize\r\n", "")))
    again = sections(ends.a.create_offer(ends.a_transport))[1]
    told = {(line.payload_type, line.type, line.parameter) for line in again.lines.all(RTCP_FB)}
    assert (number, "nack", None) not in told
    assert (number, "nack", "pli") in told
    assert not again.lines.has(RTCP_RSIZE)


# -- what is taken and what is not ------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.1.1-6-dab4", "RFC4566-5.12-1-076f", "RFC4566-5.12-2-ec30", "RFC4566-5.12-3-9db5")
@pytest.mark.proves("RFC4566-5.12-4-9db5", "RFC4566-5.12-5-7e8e", "RFC4566-5.12-6-352d", "RFC4566-7-7-465b")
@pytest.mark.proves("RFC4566-7-8-d0ea")
def test_keys_in_the_description_are_neither_taken_nor_told(ends, edit):
    offer = offered(ends.a, ends.a_transport)
    crypto = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\r\n"
    keyed = "".join(crypto if line.startswith("a=fingerprint") else line for line in offer.sdp.splitlines(True))
    with pytest.raises(InvalidArgument, match="fingerprint"):
        ends.b.apply_remote(Description("offer", keyed))
    ends.b.apply_remote(Description("offer", offer.sdp + crypto))
    answer = ends.b.create_answer(ends.b_transport)
    for text in (offer.sdp, answer.sdp):
        assert "a=crypto" not in text and "a=key-mgmt" not in text and "\r\nk=" not in text


@pytest.mark.proves("JSEP-5.3.1-4-282a", "JSEP-5.10-3-6c6e", "JSEP-5.10-9-51b8", "JSEP-5.10-10-5563")
@pytest.mark.proves("RFC5888-6-3-dd0f", "RFC5888-9.2-1-7d11", "RFC4566-5.8-3-87b6")
def test_bandwidths_unknown_extensions_and_unknown_groups_change_nothing(ends, edit):
    plain = offered(ends.a, ends.a_transport)
    odd = edit(
        plain,
        ("t=0 0\r\n", "b=AS:1\r\nb=X-YZ:128\r\nt=0 0\r\n"),
        ("m=video 9 ", "m=video 9 "),
        ("a=mid:1\r\n", "b=CT:1\r\na=mid:1\r\na=extmap:15 urn:of-nobody\r\n"),
        ("a=group:BUNDLE 0 1 2\r\n", "a=group:BUNDLE 0 1 2 9\r\na=group:LS 0 1\r\na=group:FOO 1 2\r\n"),
    )
    answers = []
    for offer in (plain, odd):
        ends.b.apply_remote(offer)
        answer = ends.b.create_answer(ends.b_transport)
        answers.append(answer.sdp.partition("s=-")[2])
    assert answers[0] == answers[1]
    assert answers[0].count("a=group:") == 1


@pytest.mark.proves("BUNDLE-13.3-2-96c6", "BUNDLE-13.4-2-96c6", "ICE-SDP-4.2.5-3-c8cb", "ICE-SDP-4.2.5-5-a303")
@pytest.mark.proves("RFC3264-8.4-3-01c6")
@pytest.mark.parametrize("address", ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP4 peer.example.org", "IN IP4 127.0.0.1"])
def test_default_destination_of_an_offer_is_not_looked_at(ends, edit, address):
    ends.b.apply_remote(edit(offered(ends.a, ends.a_transport), ("c=IN IP4 0.0.0.0", f"c={address}")))
    assert len(ends.b.apply_local(ends.b.create_answer(ends.b_transport)).sections) == 2


@pytest.mark.proves("JSEP-5.2.1-14-38c3", "BUNDLE-7.1.3-3-c03c", "BUNDLE-11-1-8404", "ICE-SDP-5.4-1-30f4")
@pytest.mark.proves("ICE-SDP-5.4-2-9a33")
def test_sections_of_an_offer_tell_one_transport(ends):
    media = sections(offered(ends.a, ends.a_transport))
    for name in ("ice-ufrag", "ice-pwd", "fingerprint", "setup", "tls-id"):
        values = {tuple(line.value for line in each.lines.attributes(name)) for each in media}
        assert len(values) == 1 and values != {()}
    assert all(len(each.lines.all(ICE_PWD)) == 1 for each in media)
