"""The second exchange and those after it: what goes on, what restarts, what must not change."""

import pytest

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.negotiation import (
    DataOutcome,
    Description,
    DtlsRole,
    SignalingState,
    TransportAction,
)
from sans_rtc.sdp import parse_description
from sans_rtc.sdp.attributes import FINGERPRINT, ICE_UFRAG, SETUP, TLS_ID

UNCHANGED, START, RESTART, STOP = TransportAction


def media(description):
    return parse_description(description.sdp).media[0]


# -- nothing new ------------------------------------------------------------------------------------------------------


@pytest.mark.proves("RFC3264-8-3-a7c4", "RFC3264-8-4-dac4")
@pytest.mark.parametrize("is_from_a", [True, False])
def test_reoffer_keeps_dtls_and_sctp(connected, is_from_a):
    _, _, changes = connected.run(is_from_a=is_from_a)
    for answered in changes[2:]:
        assert (answered.dtls, answered.sctp, answered.is_ice_restart) == (UNCHANGED, UNCHANGED, False)
        assert answered.data is DataOutcome.ACCEPTED


@pytest.mark.proves("JSEP-5.3.2-8-fa9c")
def test_roles_stay_when_the_other_end_offers(connected):
    before = (connected.a.transport.dtls_role, connected.b.transport.dtls_role)
    assert before == (DtlsRole.SERVER, DtlsRole.CLIENT)
    _, answer, changes = connected.run(is_from_a=False)
    assert media(answer).lines.first(SETUP) == "passive"
    assert (changes[2].transport.dtls_role, changes[3].transport.dtls_role) == before
    assert [change.transport.is_controlling for change in changes[2:]] == [True, False]


@pytest.mark.proves("JSEP-5.3.2-7-2564")
def test_tls_id_stays_with_the_association(connected):
    ids = {media(connected.a.local_description).lines.first(TLS_ID)}
    for is_from_a in (True, False, True):
        connected.run(is_from_a=is_from_a)
        ids.add(media(connected.a.local_description).lines.first(TLS_ID))
    assert len(ids) == 1


def test_answer_with_the_other_role_keeps_the_association(connected, edit):
    # pion 3.1 answers every re-offer with `active`, whichever end it is.
    offer = connected.b.create_offer(connected.b_transport)
    connected.b.apply_local(offer)
    connected.a.apply_remote(offer)
    answer = connected.a.create_answer(connected.a_transport)
    changes = connected.b.apply_remote(edit(answer, ("a=setup:passive", "a=setup:active")))
    assert (changes.dtls, changes.transport.dtls_role) == (UNCHANGED, DtlsRole.CLIENT)


@pytest.mark.proves("JSEP-5.8.3-5-3bbe")
@pytest.mark.parametrize(("end", "setup"), [("a", "passive"), ("b", "active")])
def test_offer_against_the_roles_of_the_association_is_refused(connected, edit, end, setup):
    # `a` is the DTLS server, so `b` cannot be passive; and the other way round.
    receiver, sender = (connected.a, connected.b) if end == "a" else (connected.b, connected.a)
    facts = connected.b_transport if end == "a" else connected.a_transport
    offer = edit(sender.create_offer(facts), ("a=setup:actpass", f"a=setup:{setup}"))
    with pytest.raises(InvalidArgument, match="roles"):
        receiver.apply_remote(offer)


def test_offer_that_names_its_present_role_is_taken(connected, edit):
    offer = edit(connected.b.create_offer(connected.b_transport), ("a=setup:actpass", "a=setup:active"))
    connected.a.apply_remote(offer)
    assert media(connected.a.create_answer(connected.a_transport)).lines.first(SETUP) == "passive"


def test_peer_with_another_sctp_port_gets_another_association(connected, edit):
    offer = edit(connected.b.create_offer(connected.b_transport), ("sctp-port:5000", "sctp-port:5001"))
    connected.a.apply_remote(offer)
    changes = connected.a.apply_local(connected.a.create_answer(connected.a_transport))
    assert (changes.dtls, changes.sctp, changes.transport.sctp_port) == (UNCHANGED, RESTART, 5001)


# -- ICE restart (RFC 8839 section 4.4.1.1.1, RFC 9429 sections 5.10 and 5.11) ----------------------------------------


@pytest.mark.proves("JSEP-5.10-5-6fd9")
@pytest.mark.parametrize("is_from_a", [True, False])
def test_ice_restart_is_told_at_every_step_and_keeps_dtls(connected, transport, is_from_a):
    connected.a_transport, connected.b_transport = transport("a", 1), transport("b", 1)
    _, _, changes = connected.run(is_from_a=is_from_a)
    assert [change.is_ice_restart for change in changes] == [True] * 4
    assert [change.dtls for change in changes] == [UNCHANGED] * 4
    assert connected.a.transport.ice_ufrag == "b001"
    assert connected.a.local_credentials[0] == "a001"


def test_restarted_session_does_not_restart_again(connected, transport):
    connected.a_transport, connected.b_transport = transport("a", 1), transport("b", 1)
    connected.run()
    _, _, changes = connected.run()
    assert [change.is_ice_restart for change in changes] == [False] * 4


@pytest.mark.proves("JSEP-5.3.2-5-8d9f", "ICE-SDP-4.4.2.1-1-187d")
def test_answer_to_a_restart_needs_new_credentials(connected, transport):
    connected.b.apply_remote(connected.a.create_offer(transport("a", 1)))
    with pytest.raises(InvalidArgument, match="new ICE credentials"):
        connected.b.create_answer(connected.b_transport)
    connected.b.create_answer(transport("b", 1))


@pytest.mark.proves("JSEP-5.3.2-5-8d9f")
def test_answer_to_an_offer_without_restart_keeps_the_credentials(connected, transport):
    connected.b.apply_remote(connected.a.create_offer(connected.a_transport))
    with pytest.raises(InvalidArgument, match="does not restart ICE"):
        connected.b.create_answer(transport("b", 1))


def test_answer_must_not_restart_ice_by_itself(connected, edit, snapshot):
    offer = connected.a.create_offer(connected.a_transport)
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = connected.b.create_answer(connected.b_transport)
    before = snapshot(connected.a)
    with pytest.raises(InvalidArgument, match="does not restart ICE"):
        connected.a.apply_remote(edit(answer, ("b000", "b001")))
    assert before == snapshot(connected.a)


def test_answer_to_our_restart_must_restart_too(connected, transport):
    old_offer = connected.a.create_offer(connected.a_transport)
    connected.b.apply_remote(old_offer)
    old_answer = connected.b.create_answer(connected.b_transport)
    connected.a.apply_local(connected.a.create_offer(transport("a", 1)))
    with pytest.raises(InvalidArgument, match="credentials of before"):
        connected.a.apply_remote(old_answer)


def test_other_password_alone_is_a_restart(connected, edit):
    offer = connected.a.create_offer(connected.a_transport)
    changes = connected.b.apply_remote(edit(offer, ("a=ice-pwd:a000", "a=ice-pwd:x000")))
    assert changes.is_ice_restart


@pytest.mark.proves("ICE-SDP-4.4.1.1.1-3-76a3")
def test_credentials_that_move_to_the_session_level_are_no_restart(connected):
    sdp = connected.a.create_offer(connected.a_transport).sdp
    lines = [line for line in sdp.split("\r\n") if line.startswith(("a=ice-ufrag", "a=ice-pwd"))]
    for line in lines:
        sdp = sdp.replace(line + "\r\n", "")
    moved = sdp.replace("m=application", "\r\n".join([*lines, "m=application"]))
    assert not connected.b.apply_remote(Description("offer", moved)).is_ice_restart


# -- another DTLS association (RFC 8842 section 4, RFC 9429 section 5.8.3) --------------------------------------------


def with_new_certificate(description):
    """The same description with another fingerprint."""
    old = str(media(description).lines.first(FINGERPRINT))
    return Description(description.type, description.sdp.replace(old, "sha-256 " + ":".join(["77"] * 32)))


def test_new_fingerprint_with_a_restart_is_a_new_association(connected, transport):
    offer = with_new_certificate(connected.a.create_offer(transport("a", 1)))
    connected.b.apply_remote(offer)
    before = media(connected.b.local_description).lines.first(TLS_ID)
    answer = connected.b.create_answer(transport("b", 1))
    changes = connected.b.apply_local(answer)
    assert (changes.dtls, changes.sctp) == (RESTART, RESTART)
    assert changes.transport.fingerprints == ("sha-256 " + ":".join(["77"] * 32),)
    assert media(answer).lines.first(TLS_ID) != before


def test_new_fingerprint_without_a_restart_is_refused(connected, snapshot):
    offer = with_new_certificate(connected.a.create_offer(connected.a_transport))
    before = snapshot(connected.b)
    with pytest.raises(InvalidArgument, match="without an ICE restart"):
        connected.b.apply_remote(offer)
    assert before == snapshot(connected.b)


@pytest.mark.proves("JSEP-5.8.3-4-ac6b")
def test_new_tls_id_without_a_restart_is_refused(connected, edit):
    offer = connected.a.create_offer(connected.a_transport)
    old = media(offer).lines.first(TLS_ID)
    with pytest.raises(InvalidArgument, match="tls-id"):
        connected.b.apply_remote(edit(offer, (old, "x" * 32)))


def test_new_association_lets_the_roles_be_chosen_again(connected, transport, edit):
    # `a` was the server. With another certificate its peer may ask to be passive: `a` becomes the client.
    offer = with_new_certificate(connected.b.create_offer(transport("b", 1)))
    connected.a.apply_remote(edit(offer, ("a=setup:actpass", "a=setup:passive")))
    changes = connected.a.apply_local(connected.a.create_answer(transport("a", 1)))
    assert (changes.dtls, changes.transport.dtls_role) == (RESTART, DtlsRole.CLIENT)


@pytest.mark.proves("JSEP-5.11-2-b18d")
def test_answer_with_a_new_fingerprint_without_restart_is_refused(connected):
    offer = connected.a.create_offer(connected.a_transport)
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = with_new_certificate(connected.b.create_answer(connected.b_transport))
    with pytest.raises(InvalidArgument, match="without an ICE restart"):
        connected.a.apply_remote(answer)


def test_answer_with_a_new_fingerprint_and_restart_is_a_new_association(connected, transport):
    offer = connected.a.create_offer(transport("a", 1))
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = with_new_certificate(connected.b.create_answer(transport("b", 1)))
    changes = connected.a.apply_remote(answer)
    assert (changes.dtls, changes.sctp) == (RESTART, RESTART)


def test_fingerprint_added_is_a_new_association(connected, transport, edit):
    offer = connected.a.create_offer(transport("a", 1))
    line = f"a=fingerprint:{media(offer).lines.first(FINGERPRINT)}"
    connected.b.apply_remote(edit(offer, (line, f"{line}\r\na=fingerprint:sha-512 {':'.join(['AB'] * 64)}")))
    assert connected.b.apply_local(connected.b.create_answer(transport("b", 1))).dtls is RESTART


# -- provisional answers (RFC 9429 section 4.1.8.1) -------------------------------------------------------------------


def test_second_provisional_answer_from_another_end_restarts_everything(ends, transport, negotiation):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    other = negotiation(9)
    for end, name, expected in ((ends.b, "b", START), (other, "c", RESTART)):
        end.apply_remote(offer)
        answer = end.create_answer(transport(name))
        changes = ends.a.apply_remote(Description("pranswer", answer.sdp))
        assert (changes.dtls, changes.sctp, changes.transport.ice_ufrag) == (expected, expected, f"{name}000")
    final = ends.a.apply_remote(Description("answer", answer.sdp))
    assert (final.state, final.dtls) == (SignalingState.STABLE, UNCHANGED)


def test_provisional_answer_may_reject_what_the_final_one_takes(ends, edit):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    answer = ends.b.create_answer(ends.b_transport)
    rejecting = edit(answer, ("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", ""))
    first = ends.a.apply_remote(Description("pranswer", rejecting.sdp))
    assert (first.data, first.dtls) == (DataOutcome.REJECTED, UNCHANGED)
    assert ends.a.apply_remote(answer).dtls is START


def test_provisional_answer_keeps_its_tls_id_when_made_final(ends):
    ends.b.apply_remote(ends.a.create_offer(ends.a_transport))
    first = ends.b.create_answer(ends.b_transport)
    ends.b.apply_local(Description("pranswer", first.sdp))
    assert ends.b.create_answer(ends.b_transport) == first


# -- sections of later offers (RFC 3264 section 8, RFC 9429 section 5.2.2) --------------------------------------------


@pytest.mark.proves("RFC3264-8-6-b0d4")
def test_later_offer_must_not_have_fewer_sections(connected):
    sdp = connected.a.create_offer(connected.a_transport).sdp
    with pytest.raises(InvalidArgument, match="media sections"):
        connected.b.apply_remote(Description("offer", sdp[: sdp.index("m=")].replace("BUNDLE 0", "BUNDLE")))


def test_data_section_in_use_must_keep_its_mid(connected, edit):
    offer = edit(connected.a.create_offer(connected.a_transport), ("a=mid:0", "a=mid:9"), ("BUNDLE 0", "BUNDLE 9"))
    with pytest.raises(InvalidArgument, match="renames"):
        connected.b.apply_remote(offer)


def test_data_section_in_use_must_not_become_something_else(connected, edit):
    offer = edit(
        connected.a.create_offer(connected.a_transport),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=audio 9 UDP/TLS/RTP/SAVPF 0"),
    )
    with pytest.raises(InvalidArgument, match="in use for data"):
        connected.b.apply_remote(offer)


def test_data_section_in_use_must_not_lose_its_transport(connected, edit):
    sdp = connected.a.create_offer(connected.a_transport).sdp
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:x\r\n"
    offer = Description("offer", sdp + audio)
    bundled = edit(
        offer,
        ("BUNDLE 0", "BUNDLE x 0"),
        ("m=application 9", "m=application 0"),
        ("a=mid:0", "a=bundle-only\r\na=mid:0"),
    )
    with pytest.raises(InvalidArgument, match="in use: it is bundled"):
        connected.b.apply_remote(bundled)


def test_audio_added_later_is_rejected_and_data_go_on(connected):
    sdp = connected.a.create_offer(connected.a_transport).sdp
    audio = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\n"
    connected.b.apply_remote(Description("offer", sdp.replace("BUNDLE 0", "BUNDLE 0 1") + audio))
    answer = connected.b.create_answer(connected.b_transport)
    changes = connected.b.apply_local(answer)
    assert [section.port for section in parse_description(answer.sdp).media] == [9, 0]
    assert (changes.data, changes.dtls) == (DataOutcome.ACCEPTED, UNCHANGED)


def test_data_section_in_use_goes_before_another(negotiation, transport, load):
    end = negotiation()
    offer = load("firefox_offer_av_dc")
    end.apply_remote(offer)
    end.apply_local(end.create_answer(transport()))
    start, rest = offer.sdp.index("m=audio"), offer.sdp.index("m=video")
    data = offer.sdp[offer.sdp.index("m=application") :].replace("a=mid:2", "a=mid:3")
    end.apply_remote(Description("offer", offer.sdp[:start] + data + offer.sdp[rest:]))
    changes = end.apply_local(end.create_answer(transport()))
    assert (changes.transport.mid, changes.dtls) == ("2", UNCHANGED)
    assert [section.mid for section in changes.rejected] == ["3", "1"]


def test_reoffer_answered_provisionally_by_another_end_is_refused(connected, edit):
    offer = connected.a.create_offer(connected.a_transport)
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = connected.b.create_answer(connected.b_transport)
    connected.a.apply_remote(Description("pranswer", answer.sdp))
    with pytest.raises(InvalidArgument, match="does not restart ICE"):
        connected.a.apply_remote(edit(answer, ("b000", "b001")))


def test_disabled_data_section_ends_data(connected, edit):
    offer = edit(
        connected.a.create_offer(connected.a_transport), ("m=application 9", "m=application 0"), ("BUNDLE 0", "BUNDLE")
    )
    connected.b.apply_remote(offer)
    answer = connected.b.create_answer(connected.b_transport)
    changes = connected.b.apply_local(answer)
    assert (changes.data, changes.dtls, changes.sctp) == (DataOutcome.REMOVED, STOP, STOP)
    assert (connected.b.transport, connected.b.data_section) == (None, None)
    assert not connected.b.is_negotiation_needed


def test_data_after_their_end_are_a_new_association(connected, edit, transport):
    offer = edit(
        connected.a.create_offer(connected.a_transport), ("m=application 9", "m=application 0"), ("BUNDLE 0", "BUNDLE")
    )
    connected.b.apply_remote(offer)
    connected.b.apply_local(connected.b.create_answer(connected.b_transport))
    before = media(connected.a.local_description).lines.first(TLS_ID)
    connected.b.request_data()
    again = connected.b.create_offer(transport("b", 1))
    assert (media(again).mid, media(again).lines.first(ICE_UFRAG)) == ("1", "b001")
    assert media(again).lines.first(TLS_ID) not in (before, None)


def test_live_section_rejected_by_a_later_answer_stops_data(connected, edit):
    offer = connected.a.create_offer(connected.a_transport)
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = connected.b.create_answer(connected.b_transport)
    changes = connected.a.apply_remote(
        edit(answer, ("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", ""))
    )
    assert (changes.data, changes.dtls, changes.sctp) == (DataOutcome.REJECTED, STOP, STOP)


def test_slot_that_was_free_may_be_taken_by_data(negotiation, transport, load):
    end = negotiation()
    offer = load("firefox_offer_av_dc")
    end.apply_remote(Description("offer", offer.sdp[: offer.sdp.index("m=application")]))
    end.apply_local(end.create_answer(transport()))
    end.apply_remote(offer)
    changes = end.apply_local(end.create_answer(transport()))
    assert (changes.data, changes.dtls, changes.transport.mline_index) == (DataOutcome.ACCEPTED, START, 2)
