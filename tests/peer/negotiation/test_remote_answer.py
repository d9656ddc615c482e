"""Answers that come back to an offer of ours: what is taken, and what is not (RFC 9429 sections 5.8.3 and 5.11)."""

import pytest

from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.peer.negotiation import DataOutcome, Description, DtlsRole, TransportAction


@pytest.fixture
def waiting(ends):
    """End `a` has made an offer; the right answer to it comes along."""
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    return ends.a, ends.b.create_answer(ends.b_transport)


@pytest.mark.proves("RFC8445-6.1.1-1-0f4d", "RFC5763-5-8-ee96", "RFC5763-6.2-1-424d")
@pytest.mark.parametrize(
    ("setup", "role"), [("active", DtlsRole.SERVER), ("passive", DtlsRole.CLIENT), ("Active", DtlsRole.SERVER)]
)
def test_role_of_the_offerer_follows_from_the_answer(waiting, edit, setup, role):
    end, answer = waiting
    changes = end.apply_remote(edit(answer, ("a=setup:active", f"a=setup:{setup}")))
    assert (changes.transport.dtls_role, changes.transport.is_controlling) == (role, True)


@pytest.mark.proves("RFC5888-9.1-3-5ffc")
def test_answer_may_leave_the_mid_out(waiting, edit):
    end, answer = waiting
    changes = end.apply_remote(edit(answer, ("a=mid:0\r\n", ""), ("a=group:BUNDLE 0\r\n", "")))
    assert changes.data is DataOutcome.ACCEPTED


@pytest.mark.parametrize(
    "change",
    [[("m=application 9", "m=application 0"), ("a=group:BUNDLE 0\r\n", "")], [("sctp-port:5000", "sctp-port:0")]],
)
def test_data_rejected_by_the_answer_are_told(waiting, edit, change):
    end, answer = waiting
    changes = end.apply_remote(edit(answer, *change))
    assert (changes.data, changes.transport, changes.dtls) == (DataOutcome.REJECTED, None, TransportAction.UNCHANGED)
    assert [section.mid for section in changes.rejected] == ["0"]
    assert end.data_section == ("0", 0)
    assert end.transport is None


ANSWER_REFUSED = [
    ("a=setup:active", "a=setup:actpass", InvalidArgument, "active or a=setup:passive"),
    ("a=setup:active\r\n", "", InvalidArgument, "no a=setup"),
    ("a=setup:active", "a=setup:holdconn", InvalidArgument, "holdconn"),
    ("a=mid:0", "a=mid:1", InvalidArgument, "mid 1"),
    ("m=application", "m=audio", InvalidArgument, "audio"),
    ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP", InvalidArgument, "TCP/DTLS/SCTP"),
    ("a=group:BUNDLE 0", "a=group:BUNDLE 0 7", InvalidArgument, "bundles mid 7"),
    ("m=application 9", "m=application 0", InvalidArgument, "which it rejects"),
    ("a=ice-ufrag:b000\r\n", "", InvalidArgument, "ICE credentials"),
    ("a=ice-ufrag:b000", "a=ice-ufrag:b", WireError, "ice-ufrag"),
    ("a=fingerprint", "a=x-fingerprint", InvalidArgument, "fingerprint"),
    ("a=sctp-port:5000\r\n", "", InvalidArgument, "SCTP port"),
]


@pytest.mark.proves("JSEP-5.1.1-3-b52a", "JSEP-5.8.2-29-38db", "JSEP-5.8.3-5-3bbe", "JSEP-5.8.3-12-6dfd")
@pytest.mark.proves("JSEP-5.8.3-13-85bc", "BUNDLE-7.4-1-d8b9")
@pytest.mark.proves("RFC5763-5-5-0ffa", "RFC5763-5-11-1ff1")
@pytest.mark.parametrize(("old", "new", "kind", "says"), ANSWER_REFUSED)
def test_answer_that_cannot_be_taken_is_refused_with_a_sentence(waiting, snapshot, edit, old, new, kind, says):
    end, answer = waiting
    before = snapshot(end)
    with pytest.raises(kind, match=says):
        end.apply_remote(edit(answer, (old, new)))
    assert before == snapshot(end)


@pytest.mark.proves("JSEP-5.8.3-11-85bc")
def test_answer_has_as_many_sections_as_the_offer(waiting):
    end, answer = waiting
    second = answer.sdp[answer.sdp.index("m=") :].replace("a=mid:0", "a=mid:1")
    for sdp in (answer.sdp + second, answer.sdp[: answer.sdp.index("m=")]):
        with pytest.raises(InvalidArgument, match="media sections"):
            end.apply_remote(Description("answer", sdp))


def test_answer_must_not_take_a_section_offered_with_port_zero(negotiation, transport, load, edit):
    end = negotiation()
    end.apply_remote(load("chromium_offer_av_dc"))
    end.apply_local(end.create_answer(transport()))
    peer = negotiation(3)
    offer = end.create_offer(transport())
    end.apply_local(offer)
    peer.apply_remote(offer)
    answer = peer.create_answer(transport("b"))
    with pytest.raises(InvalidArgument, match="port 0"):
        end.apply_remote(edit(answer, ("m=audio 0", "m=audio 9")))


@pytest.mark.parametrize("name", ["pion_answer"])
def test_answers_of_other_stacks_are_taken(ends, load, name):
    ends.a.apply_local(ends.a.create_offer(ends.a_transport))
    changes = ends.a.apply_remote(load(name, "answer"))
    assert (changes.data, changes.transport.max_message_size) == (DataOutcome.ACCEPTED, 65536)


def test_local_lite_end_is_controlled(ends, transport):
    ends.a_transport = transport("a", ice_lite=True)
    _, _, changes = ends.run()
    assert not changes[-1].transport.is_controlling
    assert changes[-2].transport.is_controlling
