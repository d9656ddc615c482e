"""Answers: what is accepted, rejected, and how (RFC 9429 section 5.3, RFC 9143 section 7.3, RFC 3264 section 6)."""

import pytest

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.peer.negotiation import DataOutcome, Description, DtlsRole, TransportAction
from sans_rtc.sdp import SctpMap, parse_description
from sans_rtc.sdp.attributes import ICE_OPTIONS, ICE_UFRAG, INACTIVE, SCTP_PORT, SCTPMAP, SETUP, TLS_ID

OFFER = (
    "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"
    "a=group:BUNDLE 0\r\na=ice-options:trickle ice2\r\n"
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n"
    "a=mid:0\r\na=ice-ufrag:theirs\r\na=ice-pwd:theirsPassword22characters0\r\n"
    f"a=fingerprint:sha-256 {':'.join(['EE'] * 32)}\r\na=setup:actpass\r\n"
    "a=tls-id:12345678901234567890\r\na=sctp-port:5000\r\na=max-message-size:1000\r\n"
)


def answered(end, offer, facts):
    """Apply a remote offer, and answer it; the answer and what it has changed come back."""
    end.apply_remote(offer)
    answer = end.create_answer(facts)
    return parse_description(answer.sdp), end.apply_local(answer)


@pytest.fixture
def offer():
    return Description("offer", OFFER)


# -- data is accepted -------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.3.1-14-18b4", "JSEP-5.3.1-23-febf", "JSEP-5.3.1-26-7c36", "JSEP-5.3.1-24-4511")
@pytest.mark.proves("RFC3264-6.1-2-7142", "RFC5888-9.1-1-e8cf", "RFC5888-9.2-3-6f7b")
def test_answer_repeats_protocol_format_and_mid(negotiation, transport, offer):
    answer, changes = answered(negotiation(), offer, transport())
    media = answer.media[0]
    assert (media.kind, media.protocol, media.formats, media.mid) == (
        "application",
        "UDP/DTLS/SCTP",
        ["webrtc-datachannel"],
        "0",
    )
    assert answer.bundle_groups[0].mids == ("0",)
    assert (changes.data, changes.dtls, changes.sctp) == (
        DataOutcome.ACCEPTED,
        TransportAction.START,
        TransportAction.START,
    )


@pytest.mark.proves("JSEP-5.8.2-27-fe1b")
def test_what_the_peer_said_comes_out(negotiation, transport, offer):
    _, changes = answered(negotiation(), offer, transport())
    found = changes.transport
    assert (found.ice_ufrag, found.ice_pwd) == ("theirs", "theirsPassword22characters0")
    assert found.fingerprints == ("sha-256 " + ":".join(["EE"] * 32),)
    assert (found.sctp_port, found.max_message_size) == (5000, 1000)
    assert (found.ice_options, found.ice_lite, found.is_controlling) == (("trickle", "ice2"), False, False)
    assert (found.mid, found.mline_index, found.candidates, found.end_of_candidates) == ("0", 0, (), False)
    assert "theirsPassword" not in repr(changes)


@pytest.mark.proves("JSEP-5.3.1-20-bedf", "JSEP-5.3.1-21-0f33", "JSEP-5.3.1-22-e8db")
@pytest.mark.proves("RFC5763-5-5-0ffa", "RFC5763-5-7-c137")
@pytest.mark.parametrize(
    ("offered", "preferred", "answer", "role"),
    [
        ("actpass", True, "active", DtlsRole.CLIENT),
        ("actpass", False, "passive", DtlsRole.SERVER),
        ("active", True, "passive", DtlsRole.SERVER),
        ("passive", False, "active", DtlsRole.CLIENT),
        ("ACTPASS", True, "active", DtlsRole.CLIENT),
    ],
)
def test_setup_of_the_answer_fits_the_offer(negotiation, transport, offer, edit, offered, preferred, answer, role):
    end = negotiation(is_dtls_client_preferred=preferred)
    parsed, changes = answered(end, edit(offer, ("a=setup:actpass", f"a=setup:{offered}")), transport())
    assert (parsed.media[0].lines.first(SETUP), changes.transport.dtls_role) == (answer, role)


def test_offer_without_setup_is_active(negotiation, transport, offer, edit):
    parsed, changes = answered(negotiation(), edit(offer, ("a=setup:actpass\r\n", "")), transport())
    assert (parsed.media[0].lines.first(SETUP), changes.transport.dtls_role) == ("passive", DtlsRole.SERVER)


@pytest.mark.proves("JSEP-5.8.2-30-9837")
@pytest.mark.parametrize(("line", "size"), [("a=max-message-size:0\r\n", 0), ("", 65536)])
def test_message_size_that_is_absent_is_64_kib_and_zero_is_any(negotiation, transport, offer, edit, line, size):
    _, changes = answered(negotiation(), edit(offer, ("a=max-message-size:1000\r\n", line)), transport())
    assert changes.transport.max_message_size == size


@pytest.mark.proves("JSEP-3.5.5-1-da5c")
@pytest.mark.parametrize(
    ("offered", "answer"),
    [("trickle ice2", ("trickle", "ice2")), ("trickle", ("trickle",)), ("ice2 renomination", ("ice2",)), (None, None)],
)
def test_ice_options_are_answered_where_they_were_offered(negotiation, transport, offer, edit, offered, answer):
    line = "" if offered is None else f"a=ice-options:{offered}\r\n"
    parsed, _ = answered(negotiation(), edit(offer, ("a=ice-options:trickle ice2\r\n", line)), transport())
    assert parsed.lines.first(ICE_OPTIONS) == answer


def test_tls_id_is_answered_where_one_was_offered(negotiation, transport, offer, edit):
    with_id, _ = answered(negotiation(), offer, transport())
    assert len(with_id.media[0].lines.first(TLS_ID)) == 32
    without, _ = answered(negotiation(), edit(offer, ("a=tls-id:12345678901234567890\r\n", "")), transport())
    assert without.media[0].lines.first(TLS_ID) is None


@pytest.mark.proves("RFC5888-9.2-7-e56c")
def test_offer_without_mid_and_bundle_is_answered_without(negotiation, transport, offer, edit):
    bare = edit(offer, ("a=mid:0\r\n", ""), ("a=group:BUNDLE 0\r\n", ""))
    answer, changes = answered(negotiation(), bare, transport())
    assert (answer.media[0].mid, answer.bundle_groups, changes.transport.mid) == (None, [], None)


@pytest.mark.proves("JSEP-5.2.1-43-1885", "JSEP-5.8.1-8-6141", "JSEP-5.10-2-942d")
def test_session_level_attributes_hold_for_the_data_section(negotiation, transport, offer):
    head, section = OFFER.split("m=application")
    common = [
        line for line in section.split("\r\n") if line.startswith(("a=ice-", "a=fingerprint", "a=setup", "a=tls-id"))
    ]
    for line in common:
        section = section.replace(line + "\r\n", "")
    moved = Description("offer", head + "".join(line + "\r\n" for line in common) + "m=application" + section)
    _, changes = answered(negotiation(), moved, transport())
    _, usual = answered(negotiation(), offer, transport())
    assert changes.transport == usual.transport


@pytest.mark.proves("JSEP-5.1.2-2-dd9d", "JSEP-5.1.2-7-febb")
@pytest.mark.parametrize("protocol", ["UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "udp/dtls/sctp", "DTLS/SCTP"])
def test_protocols_of_rfc_9429_section_5_1_2_are_taken(negotiation, transport, offer, edit, protocol):
    answer, changes = answered(negotiation(), edit(offer, ("UDP/DTLS/SCTP", protocol)), transport())
    assert (answer.media[0].protocol, changes.data) == (protocol, DataOutcome.ACCEPTED)


@pytest.mark.proves("JSEP-5.3.1-24-4511", "JSEP-5.8.2-28-9870", "RFC3264-6.1-2-7142")
def test_kind_and_format_are_read_in_either_case(negotiation, transport, offer, edit):
    shouted = edit(offer, ("m=application 9", "m=APPLICATION 9"), ("webrtc-datachannel", "WebRTC-DataChannel"))
    answer, _ = answered(negotiation(), shouted, transport())
    assert (answer.media[0].kind, answer.media[0].formats) == ("APPLICATION", ["WebRTC-DataChannel"])


def test_offer_from_before_rfc_8841_is_answered_in_its_form(negotiation, transport, offer, edit):
    legacy = edit(
        offer,
        ("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 4999"),
        ("a=sctp-port:5000", "a=sctpmap:4999 webrtc-datachannel 1024"),
    )
    answer, changes = answered(negotiation(), legacy, transport())
    media = answer.media[0]
    assert (media.protocol, media.formats) == ("DTLS/SCTP", ["5000"])
    assert media.lines.first(SCTPMAP) == SctpMap(5000, "webrtc-datachannel", 65535)
    assert not media.lines.has(SCTP_PORT)
    assert changes.transport.sctp_port == 4999


def test_fingerprints_of_several_hashes_come_out_and_unknown_ones_do_not(negotiation, transport, offer, edit):
    line = f"a=fingerprint:sha-256 {':'.join(['EE'] * 32)}\r\n"
    several = (
        line + f"a=fingerprint:SHA-512 {':'.join(['0a'] * 64)}\r\na=fingerprint:md5 {':'.join(['00'] * 16)}\r\n" + line
    )
    _, changes = answered(negotiation(), edit(offer, (line, several)), transport())
    assert changes.transport.fingerprints == (
        "sha-256 " + ":".join(["EE"] * 32),
        "sha-512 " + ":".join(["0A"] * 64),
    )


@pytest.mark.proves("JSEP-5.1.1-4-0aee")
@pytest.mark.proves("RFC8445-6.1.1-3-5389")
def test_lite_peer_is_controlled(negotiation, transport, offer, edit):
    lite = edit(offer, ("a=group:BUNDLE 0\r\n", "a=group:BUNDLE 0\r\na=ice-lite\r\n"))
    _, changes = answered(negotiation(), lite, transport())
    assert (changes.transport.ice_lite, changes.transport.is_controlling) == (True, True)
    _, both = answered(negotiation(), lite, transport(ice_lite=True))
    assert not both.transport.is_controlling


@pytest.mark.proves("JSEP-5.8.2-7-2914", "JSEP-5.8.2-9-98f7")
def test_candidates_of_the_offer_come_out_as_they_stand(negotiation, transport, load):
    _, changes = answered(negotiation(), load("firefox_offer_av_dc"), transport())
    assert changes.transport.candidates == (
        "candidate:0 1 UDP 2122187007 127.0.0.1 47885 typ host",
        "candidate:1 1 UDP 2122252543 ::1 57302 typ host",
        "candidate:2 1 TCP 2105458943 127.0.0.1 9 typ host tcptype active",
        "candidate:3 1 TCP 2105524479 ::1 9 typ host tcptype active",
    )
    assert changes.transport.end_of_candidates


@pytest.mark.proves("JSEP-5.2.1-46-3d98")
@pytest.mark.parametrize("name", ["aiortc_offer", "pion_offer"])
def test_offers_of_other_stacks_are_taken(negotiation, transport, load, name):
    answer, changes = answered(negotiation(), load(name), transport())
    assert (changes.data, answer.media[0].mid) == (DataOutcome.ACCEPTED, "0")


# -- audio and video are rejected (RFC 3264 section 6, RFC 9143 sections 7.3.1 and 7.3.3) -----------------------------


@pytest.mark.proves("BUNDLE-7.3.3-2-6393", "ICE-SDP-4.2.1.6-2-25ae", "ICE-SDP-4.4.1.1.2-1-a2dc")
@pytest.mark.proves("RFC3264-6-2-22dd", "RFC3264-6-7-6568", "RFC3264-6-8-6f1b", "RFC5888-9.2-2-2a8e")
@pytest.mark.parametrize("name", ["chromium_offer_av_dc", "firefox_offer_av_dc"])
def test_media_sections_of_browsers_are_rejected_in_place(negotiation, transport, load, name):
    offered = parse_description(load(name).sdp)
    answer, changes = answered(negotiation(), load(name), transport())
    for given, found in zip(offered.media[:2], answer.media[:2], strict=True):
        assert (found.port, found.kind, found.protocol, found.mid) == (0, given.kind, given.protocol, given.mid)
        assert found.formats == ["0"]  # needs no rtpmap, which some peers look for even here
        assert found.lines.has(INACTIVE)
        assert not found.lines.has(ICE_UFRAG)
    assert [(section.mline_index, section.kind) for section in changes.rejected] == [(0, "audio"), (1, "video")]


@pytest.mark.proves("JSEP-5.3.1-27-6ece", "BUNDLE-7.3-3-39db", "BUNDLE-7.3.3-3-bf43", "RFC5888-9.2-4-8de2")
@pytest.mark.parametrize("name", ["chromium_offer_av_dc", "firefox_offer_av_dc"])
def test_bundle_of_which_the_tag_is_rejected_moves_to_the_data_section(negotiation, transport, load, name):
    answer, _ = answered(negotiation(), load(name), transport())
    assert [group.mids for group in answer.bundle_groups] == [("2",)]
    assert answer.media[2].lines.first(ICE_UFRAG) == "a000"


def test_offer_of_audio_only_is_rejected_as_a_whole(negotiation, transport, load):
    offer = load("chromium_offer_av_dc")
    audio = Description("offer", offer.sdp[: offer.sdp.index("m=video")])
    answer, changes = answered(negotiation(), audio, transport())
    assert [media.port for media in answer.media] == [0]
    assert answer.bundle_groups == []
    assert (changes.data, changes.transport, changes.dtls) == (None, None, TransportAction.UNCHANGED)


@pytest.mark.proves("RFC3264-6-4-1133")
def test_offer_without_sections_is_answered_without(negotiation, transport):
    answer, changes = answered(negotiation(), Description("offer", OFFER[: OFFER.index("m=")]), transport())
    assert (answer.media, changes.transport) == ([], None)


def test_second_data_section_is_rejected(negotiation, transport):
    second = OFFER[OFFER.index("m=") :].replace("a=mid:0", "a=mid:1")
    answer, changes = answered(negotiation(), Description("offer", OFFER + second), transport())
    assert [media.port for media in answer.media] == [9, 0]
    assert [(section.mid, section.reason) for section in changes.rejected] == [("1", "there is another data section")]


def test_application_that_is_not_webrtc_is_rejected(negotiation, transport, offer, edit):
    bfcp = edit(offer, ("UDP/DTLS/SCTP webrtc-datachannel", "TCP/TLS/BFCP *"))
    _, changes = answered(negotiation(), bfcp, transport())
    assert (changes.data, len(changes.rejected)) == (None, 1)


def test_data_section_with_sctp_port_zero_is_rejected(negotiation, transport, offer, edit):
    _, changes = answered(negotiation(), edit(offer, ("sctp-port:5000", "sctp-port:0")), transport())
    assert (changes.data, changes.rejected[0].reason) == (DataOutcome.REJECTED, "its SCTP port is 0")


@pytest.mark.proves("BUNDLE-13.1-1-a09f", "BUNDLE-13.2-1-765d", "RFC3264-5.1-4-a09f", "RFC3264-8.2-1-8ad5")
def test_disabled_data_section_stays_disabled(negotiation, transport, offer, edit):
    answer, changes = answered(negotiation(), edit(offer, ("m=application 9", "m=application 0")), transport())
    assert (answer.media[0].port, changes.data, changes.rejected) == (0, None, ())


@pytest.mark.proves("BUNDLE-7.3.1-4-a27e")
@pytest.mark.parametrize("name", ["firefox_offer_max_bundle", "rfc9429_7_2_offer_b1"])
def test_bundle_only_data_on_a_rejected_section_are_rejected(negotiation, transport, load, name):
    answer, changes = answered(negotiation(), load(name), transport())
    assert all(media.port == 0 for media in answer.media)
    assert answer.bundle_groups == []
    assert changes.data is DataOutcome.REJECTED
    assert "bundled onto" in changes.rejected[-1].reason


def test_data_bundled_without_a_transport_of_its_own_are_rejected(negotiation, transport, load, edit):
    offer = edit(load("rfc9429_7_2_offer_b1"), ("m=application 0", "m=application 9"), ("a=bundle-only\r\n", ""))
    _, changes = answered(negotiation(), offer, transport())
    assert changes.data is DataOutcome.REJECTED


def test_bundle_only_data_outside_a_bundle_are_rejected(negotiation, transport, offer, edit):
    odd = edit(
        offer, ("m=application 9", "m=application 0"), ("a=mid:0", "a=bundle-only\r\na=mid:0"), ("BUNDLE 0", "LS 0")
    )
    _, changes = answered(negotiation(), odd, transport())
    assert changes.data is DataOutcome.REJECTED


def test_mid_in_two_bundles_belongs_to_the_first(negotiation, transport, offer, edit):
    odd = edit(offer, ("m=application 9", "m=application 0"), ("a=mid:0", "a=bundle-only\r\na=mid:0"))
    first, second = "a=group:BUNDLE 0\r\n", "a=group:BUNDLE x 0\r\n"
    _, changes = answered(negotiation(), edit(odd, (first, first + second)), transport())
    assert changes.data is DataOutcome.ACCEPTED
    _, changes = answered(negotiation(), edit(odd, (first, second + first)), transport())
    assert changes.data is DataOutcome.REJECTED


def test_bundle_only_data_that_are_the_tag_are_taken(negotiation, transport, offer, edit):
    odd = edit(offer, ("m=application 9", "m=application 0"), ("a=mid:0", "a=bundle-only\r\na=mid:0"))
    answer, changes = answered(negotiation(), odd, transport())
    assert (changes.data, answer.media[0].port) == (DataOutcome.ACCEPTED, 9)
    assert not answer.media[0].is_bundle_only


# -- offers that cannot be taken --------------------------------------------------------------------------------------


FINGERPRINT = f"a=fingerprint:sha-256 {':'.join(['EE'] * 32)}\r\n"
REFUSED = [
    ("a=ice-ufrag:theirs\r\n", "", InvalidArgument, "ICE credentials"),
    ("a=ice-pwd:theirsPassword22characters0\r\n", "", InvalidArgument, "ICE credentials"),
    ("a=ice-ufrag:theirs", "a=ice-ufrag:the", WireError, "ice-ufrag"),
    ("a=ice-ufrag:theirs", "a=ice-ufrag:" + "x" * 257, WireError, "ice-ufrag"),
    ("a=ice-pwd:theirsPassword22characters0", "a=ice-pwd:short", WireError, "ice-pwd"),
    (FINGERPRINT, "", InvalidArgument, "fingerprint"),
    (FINGERPRINT, "a=fingerprint:sha-256 EE\r\n", InvalidArgument, "32 bytes"),
    (FINGERPRINT, f"a=fingerprint:md5 {':'.join(['EE'] * 16)}\r\n", InvalidArgument, "fingerprint"),
    (FINGERPRINT, "a=fingerprint:sha-256 xx\r\n", WireError, "hexadecimal"),
    ("a=setup:actpass", "a=setup:holdconn", InvalidArgument, "holdconn"),
    ("a=setup:actpass", "a=setup:x", WireError, "setup"),
    ("a=setup:actpass", "a=setup:active\r\na=setup:passive", WireError, "second, different"),
    ("a=sctp-port:5000\r\n", "", InvalidArgument, "SCTP port"),
    ("a=sctp-port:5000", "a=sctp-port:65536", WireError, "sctp-port"),
    ("a=max-message-size:1000", "a=max-message-size:x", WireError, "max-message-size"),
    ("a=tls-id:12345678901234567890", "a=tls-id:short", WireError, "tls-id"),
    ("v=0", "v=1", WireError, "version"),
]


@pytest.mark.proves("JSEP-5.1.1-2-fd34", "JSEP-5.8.3-1-07a6", "JSEP-5.8.3-2-51a8", "JSEP-5.8.3-3-a123")
@pytest.mark.proves("JSEP-5.8.3-6-36ab", "JSEP-5.1.1-3-b52a", "JSEP-5.1.1-5-e927", "JSEP-5.8.2-29-38db")
@pytest.mark.proves("JSEP-5.10-1-88f4", "ICE-SDP-4.3.2-7-dd2d", "ICE-SDP-5.4-1-30f4")
@pytest.mark.parametrize(("old", "new", "kind", "says"), REFUSED)
def test_offer_that_cannot_be_taken_is_refused_with_a_sentence(
    negotiation, snapshot, offer, edit, old, new, kind, says
):
    end = negotiation()
    before = snapshot(end)
    with pytest.raises(kind, match=says):
        end.apply_remote(edit(offer, (old, new)))
    assert before == snapshot(end)


@pytest.mark.proves("RFC5888-4-1-63f1")
def test_two_sections_of_one_mid_are_refused(negotiation, offer):
    with pytest.raises(InvalidArgument, match="same mid"):
        negotiation().apply_remote(Description("offer", OFFER + OFFER[OFFER.index("m=") :]))


def test_legacy_data_without_sctpmap_is_not_data(negotiation, transport, offer, edit):
    _, changes = answered(
        negotiation(), edit(offer, ("UDP/DTLS/SCTP webrtc-datachannel", "DTLS/SCTP 5000")), transport()
    )
    assert changes.transport is None
