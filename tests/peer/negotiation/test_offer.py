"""Offers: what RFC 9429 section 5.2 puts into them, and how they follow one another."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.peer.negotiation import Description, LocalTransport
from sans_rtc.sdp import Connection, Origin, parse_description
from sans_rtc.sdp.attributes import ICE_OPTIONS, SETUP
from tests.peer.negotiation.conftest import first_data_description

HOST = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"
HOST_V6 = "candidate:2 1 udp 2122260222 2001:db8::1 50001 typ host"
REFLEXIVE = "candidate:3 1 udp 1686052607 198.51.100.1 50002 typ srflx raddr 192.0.2.1 rport 50000"
RELAYED = "candidate:4 1 udp 41885439 203.0.113.1 50003 typ relay raddr 198.51.100.1 rport 50002"
LOCAL_NAME = "candidate:5 1 udp 2122260221 3c1b9e64.local 50004 typ host"
TCP = "candidate:6 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active"


def origin(description):
    return parse_description(description.sdp).origin


def offer_of(negotiation, facts):
    offer = negotiation.create_offer(facts)
    negotiation.apply_local(offer)
    return offer


@pytest.mark.proves("JSEP-5.1.1-1-63a0", "JSEP-5.2.1-1-c35b", "JSEP-5.2.1-2-da69", "JSEP-5.2.1-3-694f")
@pytest.mark.proves("JSEP-5.2.1-6-62eb", "JSEP-5.2.1-7-6c2d", "JSEP-5.2.1-8-bd23", "JSEP-5.2.1-9-0ae8")
@pytest.mark.proves("JSEP-5.2.1-10-59eb", "JSEP-5.2.1-11-087d", "JSEP-5.2.1-15-d531", "JSEP-5.2.1-17-a7ba")
@pytest.mark.proves("JSEP-5.2.1-21-07a1", "JSEP-5.2.1-35-9682", "JSEP-5.2.1-36-9842", "JSEP-5.2.1-37-2da1")
@pytest.mark.proves("JSEP-5.2.1-38-2110", "JSEP-5.2.1-39-4853", "JSEP-5.2.1-42-d2ef", "JSEP-5.2.1-24-e347")
@pytest.mark.proves("BUNDLE-1.2-1-8946", "BUNDLE-5-1-56f0", "BUNDLE-15.2-1-9b1e", "BUNDLE-17-1-9773")
@pytest.mark.proves("ICE-SDP-4.2.1.4-2-dd6a", "ICE-SDP-4.3.1-2-a6f1", "RFC3264-5-1-3d42", "RFC3264-5-3-b022")
@pytest.mark.proves("RFC3264-5-5-495e", "RFC3264-5-6-2d03", "RFC4566-5.2-4-8c6e", "RFC4566-5.3-2-a8fb")
@pytest.mark.proves("RFC4566-5.7-1-2e30")
@pytest.mark.proves("RFC5763-5-10-75dc", "TRICKLE-3-3-0a23")
def test_first_offer_is_written_as_rfc_9429_section_5_2_1_says(negotiation, transport):
    offer = negotiation(1, wants_data=True).create_offer(transport("a"))
    found = parse_description(offer.sdp)
    assert offer.sdp == first_data_description("a", "actpass", found)


@pytest.mark.proves("JSEP-5.2.1-14-38c3", "ICE-SDP-4.2.1.4-1-7d0c")
@pytest.mark.proves("RFC5763-5-11-1ff1")
def test_offer_has_all_fingerprints_and_the_facts_it_was_given(negotiation):
    facts = LocalTransport(
        ice_ufrag="abcd",
        ice_pwd="p" * 22,
        fingerprints=["SHA-256 " + ":".join(["ab"] * 32), "sha-512 " + ":".join(["cd"] * 64)],
        ice_lite=True,
        max_message_size=0,
        sctp_port=5001,
    )
    sdp = negotiation(wants_data=True).create_offer(facts).sdp
    for line in (
        "a=ice-lite",
        f"a=fingerprint:sha-256 {':'.join(['AB'] * 32)}",
        f"a=fingerprint:sha-512 {':'.join(['CD'] * 64)}",
        "a=max-message-size:0",
        "a=sctp-port:5001",
    ):
        assert f"\r\n{line}\r\n" in sdp


@pytest.mark.proves("JSEP-5.2.1-34-d1a3")
@pytest.mark.proves("RFC5763-5-5-0ffa", "RFC5763-5-6-cd95")
def test_every_offer_is_actpass(connected):
    for end, facts in ((connected.a, connected.a_transport), (connected.b, connected.b_transport)):
        parsed = parse_description(end.create_offer(facts).sdp)
        assert parsed.media[0].lines.first(SETUP) == "actpass"


def test_offer_without_data_channel_has_nothing_to_offer(negotiation, transport):
    with pytest.raises(InvalidState, match="no data channel"):
        negotiation().create_offer(transport())


def test_tls_id_can_be_left_out(negotiation, transport):
    assert "tls-id" not in negotiation(wants_data=True, is_tls_id_sent=False).create_offer(transport()).sdp


# -- o= (RFC 3264 section 8, RFC 9429 section 5.2.2) ------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.2.1-4-309b", "JSEP-5.2.1-5-7077", "RFC3264-5-2-1ae3")
@pytest.mark.parametrize("seed", range(20))
def test_session_id_is_positive_and_below_62_bits(negotiation, transport, seed):
    found = origin(negotiation(seed, wants_data=True).create_offer(transport()))
    assert 0 < found.session_id < (1 << 62) - 1


@pytest.mark.proves("JSEP-5.2.1-5-7077")
def test_session_id_comes_from_entropy(negotiation, transport):
    first, again, other = (negotiation(seed, wants_data=True).create_offer(transport()) for seed in (1, 1, 2))
    assert first == again
    assert origin(first).session_id != origin(other).session_id


@pytest.mark.proves("JSEP-5.2.2-1-3714")
def test_session_id_stays_for_life(connected):
    before = origin(connected.a.local_description).session_id
    connected.run(is_from_a=False)
    connected.run(is_from_a=True)
    assert origin(connected.a.local_description).session_id == before


@pytest.mark.proves("JSEP-5.2.2-1-3714", "RFC3264-8-1-3988", "RFC3264-8-2-fcf4")
def test_version_rises_by_one_where_the_content_changes(negotiation, transport):
    end = negotiation(wants_data=True)
    versions = [
        origin(end.create_offer(transport("a", **facts))).session_version
        for facts in ({}, {}, {"candidates": [HOST]}, {"candidates": [HOST]}, {"end_of_candidates": True})
    ]
    assert versions == [1, 1, 2, 2, 3]


def test_version_rises_from_an_answer_to_an_offer(connected):
    answered = origin(connected.b.local_description)
    offered = origin(connected.b.create_offer(connected.b_transport))
    assert offered == Origin("-", answered.session_id, answered.session_version + 1)


def test_version_after_a_rollback_is_not_used_again(ends):
    versions = []
    for _ in range(3):
        offer = offer_of(ends.a, ends.a_transport)
        versions.append(origin(offer).session_version)
        ends.a.apply_local(Description("rollback"))
    assert versions == [1, 2, 3]


def test_failed_creation_does_not_use_a_version_up(negotiation, transport):
    end = negotiation(wants_data=True)
    end.create_offer(transport())
    with pytest.raises(InvalidArgument):
        end.create_offer(
            LocalTransport(ice_ufrag="abcd", ice_pwd="p" * 22, fingerprints=["md5 " + ":".join(["AB"] * 16)])
        )
    assert origin(end.create_offer(transport("b"))).session_version == 2


# -- m= and c= (RFC 8839 section 4.2.1.2, RFC 9429 section 5.2.2) -----------------------------------------------------


@pytest.mark.proves("JSEP-5.2.2-8-5c88", "JSEP-5.2.2-9-15d0", "JSEP-5.2.2-15-e19c", "BUNDLE-7.1.1-1-364a")
@pytest.mark.proves("BUNDLE-7.1.1-2-7d09", "ICE-SDP-4.3.1-1-e93b", "ICE-SDP-4.3.2-6-3339")
@pytest.mark.proves("ICE-SDP-4.4.1.2.1-2-6c94", "RFC4566-5.7-8-84dc")
@pytest.mark.parametrize(
    ("candidates", "address", "port"),
    [
        ([], Connection("0.0.0.0"), 9),
        ([HOST], Connection("192.0.2.1"), 50000),
        ([HOST_V6], Connection("2001:db8::1", "IP6"), 50001),
        ([HOST_V6, HOST], Connection("192.0.2.1"), 50000),
        ([HOST, HOST.replace("192.0.2.1", "192.0.2.2")], Connection("192.0.2.1"), 50000),
        ([HOST, REFLEXIVE], Connection("198.51.100.1"), 50002),
        ([RELAYED, HOST, REFLEXIVE], Connection("203.0.113.1"), 50003),
        ([LOCAL_NAME, TCP], Connection("0.0.0.0"), 9),
        ([HOST.replace("candidate:1 1", "candidate:1 2")], Connection("0.0.0.0"), 9),
        ([HOST.replace("50000", "99999")], Connection("0.0.0.0"), 9),
        ([HOST.replace("50000", "x")], Connection("0.0.0.0"), 9),
        (["candidate:1 1 udp"], Connection("0.0.0.0"), 9),
    ],
)
def test_default_destination_is_the_best_candidate(negotiation, transport, candidates, address, port):
    media = parse_description(negotiation(wants_data=True).create_offer(transport(candidates=candidates)).sdp).media[0]
    assert (media.connection, media.port, media.candidates) == (address, port, candidates)


@pytest.mark.proves("JSEP-5.2.2-16-eff8")
def test_end_of_candidates_is_told(negotiation, transport):
    sdp = negotiation(wants_data=True).create_offer(transport(candidates=[HOST], end_of_candidates=True)).sdp
    assert sdp.endswith(f"a={HOST}\r\na=end-of-candidates\r\n")


# -- sections that stay, and slots that are recycled (RFC 9429 section 5.2.2) -----------------------------------------


@pytest.mark.proves("JSEP-5.2.2-10-b5f4", "RFC5888-9.1-2-f75b")
def test_data_section_keeps_its_place_and_mid(connected):
    offer = parse_description(connected.b.create_offer(connected.b_transport).sdp)
    assert [(media.kind, media.mid) for media in offer.media] == [("application", "0")]


@pytest.mark.proves("JSEP-5.2.2-31-f513", "BUNDLE-7.5.3-1-9ee7", "BUNDLE-7.5.3-2-bf43", "BUNDLE-14.1-1-28b9")
@pytest.mark.proves("BUNDLE-14.2-1-427d", "ICE-SDP-4.2.1.6-2-25ae", "ICE-SDP-4.4.1.1.2-1-a2dc")
@pytest.mark.proves("RFC3264-8-5-ce3d", "RFC3264-8-7-ff74", "RFC3264-8-6-b0d4", "RFC5888-9.2-6-28b9")
def test_rejected_sections_stay_with_port_zero_and_out_of_the_bundle(negotiation, transport, load):
    end = negotiation()
    end.apply_remote(load("chromium_offer_av_dc"))
    end.apply_local(end.create_answer(transport()))
    offer = parse_description(end.create_offer(transport()).sdp)
    assert [(media.kind, media.port, media.mid) for media in offer.media] == [
        ("audio", 0, "0"),
        ("video", 0, "1"),
        ("application", 9, "2"),
    ]
    assert [group.mids for group in offer.bundle_groups] == [("2",)]
    assert not offer.media[0].candidates


def test_data_section_that_was_rejected_is_recycled_under_another_mid(ends, edit):
    offer = offer_of(ends.a, ends.a_transport)
    ends.b.apply_remote(offer)
    answer = ends.b.create_answer(ends.b_transport)
    ends.a.apply_remote(edit(answer, ("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", "")))
    ends.a.request_data()
    again = parse_description(ends.a.create_offer(ends.a_transport).sdp)
    assert [(media.port, media.mid) for media in again.media] == [(9, "1")]
    assert again.bundle_groups[0].mids == ("1",)


def test_slot_of_audio_is_not_recycled_for_data(negotiation, transport, edit, load):
    end = negotiation(wants_data=True)
    offer = load("chromium_offer_av_dc")
    end.apply_remote(edit(offer, ("m=application 58798", "m=application 0")))
    end.apply_local(end.create_answer(transport()))
    again = parse_description(end.create_offer(transport()).sdp)
    assert [(media.kind, media.port, media.mid) for media in again.media] == [
        ("audio", 0, "0"),
        ("video", 0, "1"),
        ("application", 9, "3"),
    ]


@pytest.mark.proves("RFC3264-8.1-1-fb46")
def test_new_data_section_comes_after_the_others(negotiation, transport, load, edit):
    end = negotiation(wants_data=True)
    offer = load("firefox_offer_av_dc")
    audio_only = Description("offer", offer.sdp[: offer.sdp.index("m=video")].replace("BUNDLE 0 1 2", "BUNDLE 0"))
    end.apply_remote(audio_only)
    end.apply_local(end.create_answer(transport()))
    again = parse_description(end.create_offer(transport()).sdp)
    assert [(media.kind, media.mid) for media in again.media] == [("audio", "0"), ("application", "1")]


# -- the local facts --------------------------------------------------------------------------------------------------


FACTS = {"ice_ufrag": "abcd", "ice_pwd": "p" * 22, "fingerprints": ["sha-256 " + ":".join(["AB"] * 32)]}


@pytest.mark.parametrize(
    "facts",
    [
        {"ice_ufrag": "abc"},
        {"ice_ufrag": "a" * 251},
        {"ice_ufrag": "ab\r\nm=x"},
        {"ice_pwd": "p" * 21},
        {"ice_pwd": "p" * 257},
        {"ice_pwd": "p" * 22 + "\n"},
        {"fingerprints": []},
        {"fingerprints": ["sha-256"]},
        {"max_message_size": -1},
        {"sctp_port": 0},
        {"sctp_port": 65536},
        {"candidates": ["1 1 udp 1 192.0.2.1 1 typ host"]},
        {"candidates": ["candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=setup:passive"]},
        {"candidates": ["candidate:" + "x" * 1024]},
        {"candidates": ["candidate:é"]},
    ],
)
def test_local_facts_are_checked(facts):
    with pytest.raises(InvalidArgument):
        LocalTransport(**{**FACTS, **facts})


def test_local_facts_do_not_show_the_password():
    assert "p" * 22 not in repr(LocalTransport(**FACTS))


def test_certificate_cannot_change_during_a_session(connected, transport):
    other = transport("c").fingerprints
    same_ice = transport("a")
    with pytest.raises(InvalidArgument, match="certificate"):
        connected.a.create_offer(
            LocalTransport(ice_ufrag=same_ice.ice_ufrag, ice_pwd=same_ice.ice_pwd, fingerprints=other)
        )


@pytest.mark.proves("ICE-SDP-4.4.1.1.1-2-1f54")
def test_ice_restart_changes_both_credentials(connected):
    facts = connected.a_transport
    with pytest.raises(InvalidArgument, match="both"):
        connected.a.create_offer(
            LocalTransport(ice_ufrag="zzzz", ice_pwd=facts.ice_pwd, fingerprints=facts.fingerprints)
        )


@pytest.mark.proves("ICE-SDP-4.2.1.5-1-a473")
@pytest.mark.proves("RFC8445-10-1-67ba")
def test_ice_options_of_the_session_hold_for_the_section(negotiation, transport):
    offer = parse_description(negotiation(wants_data=True).create_offer(transport()).sdp)
    assert offer.effective(offer.media[0], ICE_OPTIONS) == ("trickle", "ice2")


# -- negotiation needed (W3C) -----------------------------------------------------------------------------------------


def test_negotiation_is_needed_from_the_wish_for_data_to_the_answer(ends):
    assert ends.a.is_negotiation_needed
    assert not ends.b.is_negotiation_needed
    ends.a.apply_local(ends.a.create_offer(ends.a_transport))
    assert not ends.a.is_negotiation_needed
    ends.a.apply_local(Description("rollback"))
    assert ends.a.is_negotiation_needed
    ends.run()
    assert not ends.a.is_negotiation_needed
    ends.a.request_data()
    assert not ends.a.is_negotiation_needed


def test_negotiation_is_not_needed_again_where_the_peer_has_refused(ends, edit):
    ends.b.apply_remote(offer_of(ends.a, ends.a_transport))
    answer = ends.b.create_answer(ends.b_transport)
    ends.a.apply_remote(edit(answer, ("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", "")))
    assert not ends.a.is_negotiation_needed
    ends.a.request_data()
    assert ends.a.is_negotiation_needed


def test_negotiation_is_needed_after_an_exchange_without_data(negotiation, transport, load):
    end = negotiation(wants_data=True)
    offer = load("firefox_offer_av_dc")
    end.apply_remote(Description("offer", offer.sdp[: offer.sdp.index("m=application")]))
    end.apply_local(end.create_answer(transport()))
    assert end.is_negotiation_needed


def test_negotiation_is_needed_for_an_ice_restart_until_it_is_done(connected, transport):
    connected.a.request_ice_restart()
    assert connected.a.is_negotiation_needed
    with pytest.raises(InvalidArgument, match="new ICE credentials"):
        connected.a.create_offer(connected.a_transport)
    connected.a_transport, connected.b_transport = transport("a", 1), transport("b", 1)
    connected.run()
    assert not connected.a.is_negotiation_needed


def test_restart_is_pending_where_the_next_description_needs_new_credentials(connected, ends, transport):
    assert not ends.a.is_ice_restart_pending
    assert not connected.a.is_ice_restart_pending
    connected.a.request_ice_restart()
    assert connected.a.is_ice_restart_pending
    offer = connected.a.create_offer(transport("a", 1))
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    assert connected.b.is_ice_restart_pending
    connected.a.apply_remote(connected.b.create_answer(transport("b", 1)))
    connected.b.apply_local(Description("answer"))
    assert not connected.a.is_ice_restart_pending
    assert not connected.b.is_ice_restart_pending


def test_restart_asked_for_is_not_pending_in_an_answer_without_one(connected):
    connected.a.request_ice_restart()
    connected.a.apply_remote(connected.b.create_offer(connected.b_transport))
    assert not connected.a.is_ice_restart_pending


def test_restart_by_the_peer_does_what_was_asked_for(connected, transport):
    connected.a.request_ice_restart()
    connected.a_transport, connected.b_transport = transport("a", 1), transport("b", 1)
    connected.run(is_from_a=False)
    assert not connected.a.is_negotiation_needed


def test_exchange_without_restart_leaves_it_asked_for(connected):
    connected.a.request_ice_restart()
    connected.run(is_from_a=False)
    assert connected.a.is_negotiation_needed


def test_restart_before_the_first_exchange_is_nothing(ends):
    ends.b.request_ice_restart()
    assert not ends.b.is_negotiation_needed
