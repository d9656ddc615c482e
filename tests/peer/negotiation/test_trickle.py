"""Trickled candidates, ours and the peer's (RFC 8838, RFC 9429 sections 3.5.2 and 4.1.17)."""

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.peer.negotiation import CandidateUse, Description, with_ufrag
from sans_rtc.sdp import Connection, parse_description
from sans_rtc.sdp.attributes import END_OF_CANDIDATES

HOST = "candidate:1 1 udp 2122260223 192.0.2.1 50000 typ host"
OTHER = "candidate:2 1 udp 2122260222 192.0.2.2 50002 typ host"
REFLEXIVE = "candidate:3 1 udp 1686052607 198.51.100.1 50001 typ srflx raddr 192.0.2.1 rport 50000"


def media(description, index=0):
    return parse_description(description.sdp).media[index]


# -- ours -------------------------------------------------------------------------------------------------------------


def test_local_description_has_the_candidates_gathered_since(ends):
    ends.a.apply_local(ends.a.create_offer(ends.a_transport))
    assert media(ends.a.local_description).port == 9
    ends.a.add_local_candidate(HOST)
    ends.a.add_local_candidate(REFLEXIVE)
    ends.a.end_of_local_candidates()
    found = media(ends.a.local_description)
    assert found.candidates == [HOST, REFLEXIVE]
    assert (found.connection, found.port) == (Connection("198.51.100.1"), 50001)
    assert found.lines.has(END_OF_CANDIDATES)


def test_local_candidates_do_not_change_the_version(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.a.add_local_candidate(HOST)
    before, after = parse_description(offer.sdp), parse_description(ends.a.local_description.sdp)
    assert before.origin == after.origin


def test_local_candidate_is_told_once(ends, transport):
    ends.a.apply_local(ends.a.create_offer(transport("a", candidates=[HOST])))
    ends.a.add_local_candidate(HOST)
    ends.a.add_local_candidate(OTHER)
    ends.a.add_local_candidate(f"a={OTHER}")
    assert media(ends.a.local_description).candidates == [HOST, OTHER]


def test_description_with_candidates_is_taken_by_the_peer(ends):
    ends.a.apply_local(ends.a.create_offer(ends.a_transport))
    ends.a.add_local_candidate(HOST)
    ends.a.end_of_local_candidates()
    ends.b.apply_remote(ends.a.local_description)
    changes = ends.b.apply_local(ends.b.create_answer(ends.b_transport))
    assert (changes.transport.candidates, changes.transport.end_of_candidates) == ((HOST,), True)


def test_candidate_of_the_old_generation_goes_to_the_current_description(connected, transport):
    connected.a.apply_local(connected.a.create_offer(transport("a", 1)))
    connected.a.add_local_candidate(HOST, "a000")
    connected.a.add_local_candidate(OTHER, "a001")
    assert media(connected.a.current_local_description).candidates == [HOST]
    assert media(connected.a.pending_local_description).candidates == [OTHER]


def test_candidate_of_one_generation_goes_to_both_descriptions(connected):
    connected.a.apply_local(connected.a.create_offer(connected.a_transport))
    connected.a.add_local_candidate(HOST)
    assert media(connected.a.pending_local_description).candidates == [HOST]
    connected.a.apply_local(Description("rollback"))
    assert media(connected.a.local_description).candidates == [HOST]


@pytest.mark.proves("JSEP-5.3.2-11-e19c", "ICE-SDP-4.3.2-1-c34a", "ICE-SDP-4.4.1.2.1-1-51b7")
def test_later_description_of_a_generation_has_the_candidates_told_before(connected, transport):
    connected.a.add_local_candidate(HOST)
    connected.a.end_of_local_candidates()
    connected.b.add_local_candidate(OTHER)
    offer, answer, _ = connected.run()
    assert (media(offer).candidates, media(offer).port) == ([HOST], 50000)
    assert media(offer).lines.has(END_OF_CANDIDATES)
    assert media(answer).candidates == [OTHER]
    assert not media(answer).lines.has(END_OF_CANDIDATES)
    again = connected.a.create_offer(transport("a", candidates=[REFLEXIVE, HOST]))
    assert media(again).candidates == [REFLEXIVE, HOST]


def test_restarted_description_has_none_of_the_candidates_before(connected, transport):
    connected.a.add_local_candidate(HOST)
    connected.a.end_of_local_candidates()
    restarted = connected.a.create_offer(transport("a", 1))
    assert media(restarted).candidates == []
    assert not media(restarted).lines.has(END_OF_CANDIDATES)


def test_candidate_of_no_description_is_not_noted(connected):
    before = connected.a.local_description
    connected.a.add_local_candidate(HOST, "zzzz")
    assert connected.a.local_description == before


def test_local_candidate_before_a_description_is_not_noted(ends):
    ends.a.add_local_candidate(HOST)
    ends.a.end_of_local_candidates()
    assert ends.a.local_description is None


@pytest.mark.parametrize("candidate", ["", "1 1 udp", HOST + "\r\na=setup:passive", HOST + "\0"])
def test_local_candidate_is_one_line(connected, candidate):
    with pytest.raises(InvalidArgument):
        connected.a.add_local_candidate(candidate)


def test_ufrag_is_added_for_trickling_once():
    assert with_ufrag(HOST, "abcd") == f"{HOST} ufrag abcd"
    assert with_ufrag(f"{HOST} generation 0 ufrag wxyz", "abcd") == f"{HOST} generation 0 ufrag wxyz"


def test_data_section_for_trickling(connected, negotiation, transport, load):
    assert connected.a.data_section == ("0", 0)
    end = negotiation()
    assert end.data_section is None
    end.apply_remote(load("chromium_offer_av_dc"))
    end.apply_local(end.create_answer(transport()))
    assert end.data_section == ("2", 2)


# -- the peer's -------------------------------------------------------------------------------------------------------


@pytest.mark.proves("JSEP-3.5.2.1-1-11f9", "JSEP-3.5.2.1-3-c868")
@pytest.mark.parametrize("where", [{"mid": "0"}, {"mline_index": 0}, {"mid": "0", "mline_index": 7}])
@pytest.mark.parametrize("candidate", [HOST, f"a={HOST}", f" {HOST}\r\n"])
def test_candidate_is_found_by_mid_or_index(connected, candidate, where):
    found = connected.a.add_remote_candidate(candidate, **where)
    assert (found.candidate, found.use, found.mline_index) == (HOST, CandidateUse.NOW, 0)
    assert media(connected.a.remote_description).candidates == [HOST]


def test_candidate_before_the_answer_comes_with_the_agreement(ends):
    ends.b.apply_remote(ends.a.create_offer(ends.a_transport))
    assert ends.b.add_remote_candidate(HOST, "0").use is CandidateUse.LATER
    assert ends.b.add_remote_candidate("", "0").use is CandidateUse.LATER
    changes = ends.b.apply_local(ends.b.create_answer(ends.b_transport))
    assert (changes.transport.candidates, changes.transport.end_of_candidates) == ((HOST,), True)


@pytest.mark.parametrize("end", ["", " ", "candidate:", "a=end-of-candidates", "end-of-candidates"])
def test_end_of_candidates(connected, end):
    found = connected.a.add_remote_candidate(end, "0")
    assert (found.candidate, found.use) == ("", CandidateUse.NOW)
    assert media(connected.a.remote_description).lines.has(END_OF_CANDIDATES)


def test_end_of_candidates_without_a_section_is_of_all(connected):
    assert connected.a.add_remote_candidate("").use is CandidateUse.NOW


def test_remote_description_keeps_its_default_destination(connected):
    connected.a.add_remote_candidate(HOST, "0")
    found = media(connected.a.remote_description)
    assert (found.port, found.connection) == (9, Connection("0.0.0.0"))


def test_candidates_of_rejected_sections_are_not_used(negotiation, transport, load):
    end = negotiation()
    end.apply_remote(load("firefox_offer_av_dc"))
    before = end.remote_description
    assert end.add_remote_candidate(HOST, "0").use is CandidateUse.OTHER_SECTION
    assert end.add_remote_candidate(HOST, None, 1).use is CandidateUse.OTHER_SECTION
    assert end.remote_description == before
    assert end.add_remote_candidate(HOST, "2").use is CandidateUse.LATER


def test_candidates_are_not_used_where_data_were_rejected(ends, edit):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    answer = ends.b.create_answer(ends.b_transport)
    ends.a.apply_remote(edit(answer, ("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", "")))
    assert ends.a.add_remote_candidate(HOST, "0").use is CandidateUse.OTHER_SECTION


@pytest.mark.parametrize("as_argument", [True, False])
def test_ufrag_tells_the_generation(connected, transport, as_argument):
    def add(candidate, ufrag):
        if as_argument:
            return connected.b.add_remote_candidate(candidate, "0", ufrag=ufrag)
        return connected.b.add_remote_candidate(f"{candidate} generation 0 ufrag {ufrag} network-id 1", "0")

    connected.b.apply_remote(connected.a.create_offer(transport("a", 1)))
    assert (add(HOST, "a000").use, add(HOST, "a000").ufrag) == (CandidateUse.NOW, "a000")
    assert add(OTHER, "a001").use is CandidateUse.LATER
    assert add(OTHER, "zzzz").use is CandidateUse.STALE
    assert len(media(connected.b.current_remote_description).candidates) == 1
    assert len(media(connected.b.pending_remote_description).candidates) == 1


def test_candidate_of_a_reoffer_without_restart_is_for_now(connected):
    connected.b.apply_remote(connected.a.create_offer(connected.a_transport))
    assert connected.b.add_remote_candidate(HOST, "0").use is CandidateUse.NOW


def test_candidate_after_a_restart_is_of_the_new_generation(connected, transport):
    connected.a_transport, connected.b_transport = transport("a", 1), transport("b", 1)
    connected.run()
    assert connected.a.add_remote_candidate(HOST, "0", ufrag="b000").use is CandidateUse.STALE
    assert connected.a.add_remote_candidate(HOST, "0").use is CandidateUse.NOW


def test_candidates_past_the_limit_are_not_kept(new_ends):
    ends = new_ends(remote_candidate_count_max=2)
    ends.run()
    uses = [ends.a.add_remote_candidate(HOST.replace("50000", str(port)), "0").use for port in (1, 2, 1, 3)]
    assert uses == [CandidateUse.NOW, CandidateUse.NOW, CandidateUse.NOW, CandidateUse.TOO_MANY]
    assert len(media(ends.a.remote_description).candidates) == 2
    assert ends.a.add_remote_candidate("", "0").use is CandidateUse.NOW


def test_limit_must_not_be_negative(new_ends):
    with pytest.raises(InvalidArgument):
        new_ends(remote_candidate_count_max=-1)


@pytest.mark.proves("JSEP-4.1.17-2-e823")
@pytest.mark.parametrize(
    ("candidate", "where", "says"),
    [
        ("nonsense", {"mid": "0"}, "begins with"),
        (HOST + "\r\na=x", {"mid": "0"}, "visible ASCII"),
        (HOST + "x" * 1024, {"mid": "0"}, "characters"),
        (HOST, {}, "needs the mid"),
        (HOST, {"mid": "7"}, "no media section with mid 7"),
        (HOST, {"mid": "7", "mline_index": 0}, "no media section with mid 7"),
        (HOST, {"mline_index": 1}, "no media section with index 1"),
        (HOST, {"mline_index": -1}, "no media section with index -1"),
        ("", {"mid": "7"}, "no media section"),
    ],
)
def test_candidate_that_names_nothing_is_refused(connected, snapshot, candidate, where, says):
    before = snapshot(connected.a)
    with pytest.raises(InvalidArgument, match=says):
        connected.a.add_remote_candidate(candidate, **where)
    assert before == snapshot(connected.a)


def test_candidate_before_any_description_is_refused(ends):
    ends.a.apply_local(ends.a.create_offer(ends.a_transport))
    with pytest.raises(InvalidState, match="no remote description"):
        ends.a.add_remote_candidate(HOST, "0")


def test_peer_can_trickle_where_it_says_so(ends, negotiation, load):
    assert ends.b.can_trickle is None
    ends.b.apply_remote(ends.a.create_offer(ends.a_transport))
    assert ends.b.can_trickle is True
    silent = negotiation()
    silent.apply_remote(load("pion_offer"))
    assert silent.can_trickle is False


def test_local_ufrag_is_that_of_the_newest_description(connected, negotiation, transport):
    assert negotiation().local_ufrag is None
    assert connected.a.local_ufrag == "a000"
    connected.a.apply_local(connected.a.create_offer(transport("a", 1)))
    assert connected.a.local_ufrag == "a001"
