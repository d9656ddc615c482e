"""The signalling state machine of RFC 9429 section 3.2, read from its table, and rollback (section 5.7)."""

import itertools

import pytest

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.peer.negotiation import (
    TRANSITIONS,
    Description,
    DescriptionType,
    Side,
    SignalingState,
    TransportAction,
)

S, T = SignalingState, DescriptionType


def bring(ends, state):
    """Bring end `a` to a state by the shortest way."""
    if state in (S.HAVE_LOCAL_OFFER, S.HAVE_REMOTE_PRANSWER):
        offer = ends.a.create_offer(ends.a_transport)
        ends.a.apply_local(offer)
        if state is S.HAVE_REMOTE_PRANSWER:
            ends.b.apply_remote(offer)
            answer = ends.b.create_answer(ends.b_transport)
            ends.a.apply_remote(Description("pranswer", answer.sdp))
    elif state in (S.HAVE_REMOTE_OFFER, S.HAVE_LOCAL_PRANSWER):
        ends.b.request_data()
        ends.a.apply_remote(ends.b.create_offer(ends.b_transport))
        if state is S.HAVE_LOCAL_PRANSWER:
            ends.a.apply_local(Description("pranswer", ends.a.create_answer(ends.a_transport).sdp))
    elif state is S.CLOSED:
        ends.a.close()
    assert ends.a.state is state


def offer_of(ends):
    """An offer of `b` that `a` can take in any state that takes one."""
    ends.b.request_data()
    if ends.b.state is not S.STABLE:
        ends.b.apply_local(Description("rollback"))
    return ends.b.create_offer(ends.b_transport)


def perform(ends, side, kind):
    """Apply a description of the type that is right in all but perhaps the state."""
    a = ends.a
    if kind is T.ROLLBACK:
        return a.apply_local(Description(kind)) if side is Side.LOCAL else a.apply_remote(Description(kind))
    if side is Side.LOCAL:
        create = a.create_offer if kind is T.OFFER else a.create_answer
        return a.apply_local(Description(kind, create(ends.a_transport).sdp))
    if kind is T.OFFER:
        return a.apply_remote(Description(kind, offer_of(ends).sdp))
    local = a.local_description
    if ends.b.state is not S.HAVE_REMOTE_OFFER:
        ends.b.apply_remote(local if local is not None else Description("offer", ""))
    return a.apply_remote(Description(kind, ends.b.create_answer(ends.b_transport).sdp))


CASES = list(itertools.product(SignalingState, Side, DescriptionType))
ALLOWED = [case for case in CASES if case in TRANSITIONS]
# A remote offer in have-local-offer is the implicit rollback, which has its own tests.
REFUSED = [case for case in CASES if case not in TRANSITIONS and case != (S.HAVE_LOCAL_OFFER, Side.REMOTE, T.OFFER)]


@pytest.mark.proves("JSEP-5.5-1-b156", "JSEP-5.6-1-07d5")
@pytest.mark.parametrize(("state", "side", "kind"), ALLOWED)
def test_transition_of_the_table_is_made(ends, state, side, kind):
    bring(ends, state)
    changes = perform(ends, side, kind)
    assert (changes.previous_state, changes.state) == (state, TRANSITIONS[state, side, kind])
    assert ends.a.state is changes.state


@pytest.mark.proves("JSEP-5.5-2-a7e8", "JSEP-5.5-3-1b71", "JSEP-5.5-4-9b76", "JSEP-5.6-2-8d68", "JSEP-5.6-3-3bf7")
@pytest.mark.proves("JSEP-5.6-4-9b76")
@pytest.mark.parametrize(("state", "side", "kind"), REFUSED)
def test_transition_out_of_the_table_is_refused_and_changes_nothing(new_ends, snapshot, state, side, kind):
    ends = new_ends(is_implicit_rollback_allowed=False)
    bring(ends, state)
    before = snapshot(ends.a)
    text = "" if kind is T.ROLLBACK else "v=0\r\n"
    apply = ends.a.apply_local if side is Side.LOCAL else ends.a.apply_remote
    with pytest.raises(InvalidState, match=str(state)):
        apply(Description(kind, text))
    assert before == snapshot(ends.a)


@pytest.mark.proves("RFC3264-4-1-abac")
@pytest.mark.parametrize("state", [S.HAVE_REMOTE_OFFER, S.HAVE_LOCAL_PRANSWER, S.HAVE_REMOTE_PRANSWER, S.CLOSED])
def test_offer_is_not_created_where_it_could_not_be_applied(ends, state):
    bring(ends, state)
    with pytest.raises(InvalidState):
        ends.a.create_offer(ends.a_transport)


@pytest.mark.proves("JSEP-4.1.7-1-7118", "JSEP-5.3.1-1-109b")
@pytest.mark.parametrize("state", [S.STABLE, S.HAVE_LOCAL_OFFER, S.HAVE_REMOTE_PRANSWER, S.CLOSED])
def test_answer_is_not_created_without_a_remote_offer(ends, state):
    bring(ends, state)
    with pytest.raises(InvalidState):
        ends.a.create_answer(ends.a_transport)


def test_closing_is_idempotent_and_keeps_the_descriptions_readable(connected):
    local = connected.a.local_description
    connected.a.close()
    connected.a.close()
    assert (connected.a.state, connected.a.local_description) == (S.CLOSED, local)
    for call in (connected.a.request_data, connected.a.request_ice_restart):
        with pytest.raises(InvalidState):
            call()
    with pytest.raises(InvalidState):
        connected.a.add_remote_candidate("", "0")
    assert not connected.a.is_negotiation_needed


# -- pending and current (RFC 9429 sections 4.1.11 to 4.1.14) ---------------------------------------------------------


def test_pending_descriptions_become_current_with_the_answer(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    assert ends.a.pending_local_description == offer == ends.a.local_description
    assert ends.a.current_local_description is None
    ends.b.apply_remote(offer)
    assert ends.b.pending_remote_description == offer == ends.b.remote_description
    answer = ends.b.create_answer(ends.b_transport)
    ends.b.apply_local(answer)
    ends.a.apply_remote(answer)
    for end, local, remote in ((ends.a, offer, answer), (ends.b, answer, offer)):
        assert (end.current_local_description, end.current_remote_description) == (local, remote)
        assert (end.pending_local_description, end.pending_remote_description) == (None, None)


def test_provisional_answer_is_pending_until_the_final_one(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.b.apply_remote(offer)
    provisional = Description("pranswer", ends.b.create_answer(ends.b_transport).sdp)
    ours, theirs = ends.b.apply_local(provisional), ends.a.apply_remote(provisional)
    assert ends.a.pending_remote_description == provisional == ends.b.pending_local_description
    assert ours.transport is not None and theirs.transport is not None
    assert (ours.dtls, theirs.dtls) == (TransportAction.START, TransportAction.START)
    answer = ends.b.create_answer(ends.b_transport)
    for changes in (ends.b.apply_local(answer), ends.a.apply_remote(answer)):
        assert (changes.state, changes.dtls, changes.sctp) == (
            S.STABLE,
            TransportAction.UNCHANGED,
            TransportAction.UNCHANGED,
        )


# -- rollback (RFC 9429 sections 4.1.8.2 and 5.7) ---------------------------------------------------------------------


@pytest.mark.proves("JSEP-5.7-2-df15")
@pytest.mark.parametrize(
    ("state", "whose"),
    [
        (S.HAVE_LOCAL_OFFER, Side.LOCAL),
        (S.HAVE_REMOTE_OFFER, Side.REMOTE),
        (S.HAVE_LOCAL_PRANSWER, Side.REMOTE),
        (S.HAVE_REMOTE_PRANSWER, Side.LOCAL),
    ],
)
@pytest.mark.parametrize("by", ["apply_local", "apply_remote"])
def test_rollback_by_either_side_goes_back_to_stable(ends, snapshot, state, whose, by):
    before = snapshot(ends.a)
    bring(ends, state)
    changes = getattr(ends.a, by)(Description("rollback"))
    assert (changes.state, changes.rolled_back) == (S.STABLE, whose)
    assert before == snapshot(ends.a)


def test_rollback_returns_to_the_exchange_before(connected, snapshot):
    before = snapshot(connected.a)
    connected.a.apply_local(connected.a.create_offer(connected.a_transport))
    changes = connected.a.apply_local(Description("rollback"))
    assert before == snapshot(connected.a)
    assert (changes.dtls, changes.sctp, changes.transport) == (
        TransportAction.UNCHANGED,
        TransportAction.UNCHANGED,
        None,
    )


def test_rollback_of_a_provisional_answer_stops_what_it_started(ends):
    bring(ends, S.HAVE_REMOTE_PRANSWER)
    changes = ends.a.apply_local(Description("rollback"))
    assert (changes.dtls, changes.sctp, changes.transport) == (TransportAction.STOP, TransportAction.STOP, None)
    assert ends.a.transport is None


def test_rollback_of_a_provisional_restart_returns_to_the_credentials_before(connected, transport):
    before = connected.a.transport
    offer = connected.a.create_offer(transport("a", 1))
    connected.a.apply_local(offer)
    connected.b.apply_remote(offer)
    answer = connected.b.create_answer(transport("b", 1))
    assert connected.a.apply_remote(Description("pranswer", answer.sdp)).is_ice_restart
    changes = connected.a.apply_remote(Description("rollback"))
    assert changes.is_ice_restart
    assert changes.transport == before == connected.a.transport
    assert changes.dtls is TransportAction.UNCHANGED


@pytest.mark.proves("JSEP-5.7-1-c2f9")
def test_rollback_in_stable_is_refused(connected):
    with pytest.raises(InvalidState):
        connected.a.apply_local(Description("rollback"))


@pytest.mark.proves("JSEP-4.1.8-1-60bb")
def test_rollback_with_text_is_refused(ends, snapshot):
    bring(ends, S.HAVE_LOCAL_OFFER)
    before = snapshot(ends.a)
    with pytest.raises(InvalidArgument, match="rollback"):
        ends.a.apply_local(Description("rollback", "v=0"))
    assert before == snapshot(ends.a)


def test_offer_that_was_rolled_back_cannot_be_applied_again(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(offer)
    ends.a.apply_local(Description("rollback"))
    with pytest.raises(InvalidState, match="create it first"):
        ends.a.apply_local(offer)


# -- implicit rollback (W3C setRemoteDescription) ---------------------------------------------------------------------


def test_remote_offer_undoes_a_local_one(ends):
    bring(ends, S.HAVE_LOCAL_OFFER)
    changes = ends.a.apply_remote(offer_of(ends))
    assert (changes.previous_state, changes.state) == (S.HAVE_LOCAL_OFFER, S.HAVE_REMOTE_OFFER)
    assert changes.rolled_back is Side.LOCAL
    assert ends.a.pending_local_description is None


def test_remote_offer_is_refused_where_implicit_rollback_is_off(new_ends, snapshot):
    ends = new_ends(is_implicit_rollback_allowed=False)
    bring(ends, S.HAVE_LOCAL_OFFER)
    before = snapshot(ends.a)
    with pytest.raises(InvalidState):
        ends.a.apply_remote(offer_of(ends))
    assert before == snapshot(ends.a)


def test_broken_remote_offer_does_not_undo_a_local_one(ends, snapshot, edit):
    bring(ends, S.HAVE_LOCAL_OFFER)
    before = snapshot(ends.a)
    with pytest.raises(InvalidArgument):
        ends.a.apply_remote(edit(offer_of(ends), ("a=ice-pwd", "a=x-pwd")))
    assert before == snapshot(ends.a)


# -- descriptions as arguments ----------------------------------------------------------------------------------------


def test_description_type_is_one_of_four():
    with pytest.raises(InvalidArgument, match="answer, pranswer or rollback"):
        Description("ofer", "")


def test_description_text_is_text():
    with pytest.raises(InvalidArgument, match="text"):
        Description("offer", b"v=0")


@pytest.mark.proves("JSEP-5.4-1-7623", "JSEP-5.5-5-908c", "JSEP-5.9-1-88f4")
def test_local_description_must_not_be_changed(ends, snapshot, edit):
    offer = ends.a.create_offer(ends.a_transport)
    before = snapshot(ends.a)
    with pytest.raises(InvalidArgument, match="must not be changed"):
        ends.a.apply_local(edit(offer, ("262144", "262145")))
    assert before == snapshot(ends.a)


def test_empty_local_description_means_the_one_created_last(ends):
    offer = ends.a.create_offer(ends.a_transport)
    ends.a.apply_local(Description("offer"))
    assert ends.a.local_description == offer


def test_local_description_must_have_been_created(ends):
    with pytest.raises(InvalidState, match="create it first"):
        ends.a.apply_local(Description("offer"))


def test_answer_to_an_earlier_remote_offer_is_void(ends):
    bring(ends, S.HAVE_REMOTE_OFFER)
    answer = ends.a.create_answer(ends.a_transport)
    ends.a.apply_remote(offer_of(ends))
    with pytest.raises(InvalidState, match="create it first"):
        ends.a.apply_local(answer)


def test_offer_from_before_an_exchange_is_void(connected):
    offer = connected.a.create_offer(connected.a_transport)
    connected.run(is_from_a=False)
    with pytest.raises(InvalidState, match="create it first"):
        connected.a.apply_local(offer)
