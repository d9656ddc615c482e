"""The exchange of descriptions: which are in force, which are pending, and the state machine over them.

    stable      the descriptions of the last completed exchange, and what they agree on
    pending     an offer that is not answered for good, and its provisional answer
    provisional what that provisional answer has settled

The moves are made by `Negotiation`, after everything has been checked; none of them fails.
"""

from __future__ import annotations

from collections.abc import Mapping

from sans_rtc.errors import InvalidState
from sans_rtc.peer.agreement import Agreement, Outcome, is_restart, undo
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.media_terms import MediaTerms
from sans_rtc.peer.negotiation_types import DescriptionType, Side, SignalingState
from sans_rtc.peer.terms import TransportTerms
from sans_rtc.sdp.description import SessionDescription

_S, _T = SignalingState, DescriptionType

TRANSITIONS: Mapping[tuple[SignalingState, Side, DescriptionType], SignalingState] = {
    (_S.STABLE, Side.LOCAL, _T.OFFER): _S.HAVE_LOCAL_OFFER,
    (_S.STABLE, Side.REMOTE, _T.OFFER): _S.HAVE_REMOTE_OFFER,
    (_S.HAVE_LOCAL_OFFER, Side.LOCAL, _T.OFFER): _S.HAVE_LOCAL_OFFER,
    (_S.HAVE_LOCAL_OFFER, Side.REMOTE, _T.PRANSWER): _S.HAVE_REMOTE_PRANSWER,
    (_S.HAVE_LOCAL_OFFER, Side.REMOTE, _T.ANSWER): _S.STABLE,
    (_S.HAVE_REMOTE_PRANSWER, Side.REMOTE, _T.PRANSWER): _S.HAVE_REMOTE_PRANSWER,
    (_S.HAVE_REMOTE_PRANSWER, Side.REMOTE, _T.ANSWER): _S.STABLE,
    (_S.HAVE_REMOTE_OFFER, Side.REMOTE, _T.OFFER): _S.HAVE_REMOTE_OFFER,
    (_S.HAVE_REMOTE_OFFER, Side.LOCAL, _T.PRANSWER): _S.HAVE_LOCAL_PRANSWER,
    (_S.HAVE_REMOTE_OFFER, Side.LOCAL, _T.ANSWER): _S.STABLE,
    (_S.HAVE_LOCAL_PRANSWER, Side.LOCAL, _T.PRANSWER): _S.HAVE_LOCAL_PRANSWER,
    (_S.HAVE_LOCAL_PRANSWER, Side.LOCAL, _T.ANSWER): _S.STABLE,
    # RFC 9429 section 5.7: a rollback does the same by whichever side it comes, from any state but stable.
    #   deviation: W3C setLocalDescription lets only offers be rolled back, not provisional answers.
    **{
        (state, side, _T.ROLLBACK): _S.STABLE
        for state in (_S.HAVE_LOCAL_OFFER, _S.HAVE_REMOTE_OFFER, _S.HAVE_LOCAL_PRANSWER, _S.HAVE_REMOTE_PRANSWER)
        for side in Side
    },
}
"""Figure 2 of RFC 9429 section 3.2, and rollback. The closed state has no way out, and is entered from every other."""

_OFFERED_BY: Mapping[SignalingState, Side] = {
    _S.HAVE_LOCAL_OFFER: Side.LOCAL,
    _S.HAVE_REMOTE_PRANSWER: Side.LOCAL,
    _S.HAVE_REMOTE_OFFER: Side.REMOTE,
    _S.HAVE_LOCAL_PRANSWER: Side.REMOTE,
}


class Exchange:
    """The descriptions of one session and the state of their exchange."""

    __slots__ = ("agreement", "current", "pending", "provisional", "state")

    def __init__(self) -> None:
        self.state = SignalingState.STABLE
        self.current: dict[Side, AppliedDescription] = {}
        self.pending: dict[Side, AppliedDescription] = {}
        self.agreement: Agreement | None = None  # of the current descriptions
        self.provisional: Outcome | None = None

    # -- moves -------------------------------------------------------------------------------------------------------

    def require(self, side: Side, kind: DescriptionType) -> SignalingState:
        """The state that a description leads to; InvalidState where it does not fit the present one."""
        state = TRANSITIONS.get((self.state, side, kind))
        if state is None:
            raise InvalidState(f"a {side} {kind} does not fit the signalling state {self.state}")
        return state

    def offer(self, side: Side, applied: AppliedDescription) -> None:
        """Make an offer the pending one."""
        self._enter(side, applied.type)
        self.pending = {side: applied}

    def answer(self, side: Side, applied: AppliedDescription, outcome: Outcome) -> None:
        """Answer the pending offer, for good or provisionally."""
        self._enter(side, applied.type)
        descriptions = {**self.pending, side: applied}
        if self.state is SignalingState.STABLE:
            self.current, self.pending = descriptions, {}
            self.agreement, self.provisional = outcome.agreement, None
        else:
            self.pending, self.provisional = descriptions, outcome

    def roll_back(self) -> Outcome:
        """Give the pending offer up; what it takes to go back comes out."""
        self._enter(Side.LOCAL, DescriptionType.ROLLBACK)
        outcome = Outcome() if self.provisional is None else undo(self.provisional, self.agreement)
        self.pending, self.provisional = {}, None
        return outcome

    def close(self) -> None:
        """End; nothing moves any more."""
        self.state = SignalingState.CLOSED

    def _enter(self, side: Side, kind: DescriptionType) -> None:
        """The only move of the state but the closing one."""
        self.state = TRANSITIONS[self.state, side, kind]

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def agreement_in_force(self) -> Agreement | None:
        """What the provisional answer has settled, else what the last completed exchange has."""
        return self.agreement if self.provisional is None else self.provisional.agreement

    @property
    def offered_by(self) -> Side | None:
        """Whose offer is pending."""
        return _OFFERED_BY.get(self.state)

    @property
    def is_restart_offered(self) -> bool:
        """True where the newest remote description asks for an ICE restart of what was agreed on."""
        newest = self.newest(Side.REMOTE)
        return newest is not None and is_restart(self.agreement, newest.terms)

    @property
    def can_trickle(self) -> bool | None:
        """Whether the peer takes trickled candidates; None before its first description."""
        newest = self.newest(Side.REMOTE)
        if newest is None:
            return None
        return newest.terms is not None and "trickle" in newest.terms.ice_options

    @property
    def local_terms(self) -> TransportTerms | None:
        """What the newest local description says of the transport; None where it has no section in use."""
        newest = self.newest(Side.LOCAL)
        return None if newest is None else newest.terms

    @property
    def data_index(self) -> int | None:
        """Where the data section stands that the last completed exchange has agreed on."""
        data = None if self.agreement is None else self.agreement.local.data
        return None if data is None else data.mline_index

    @property
    def mids(self) -> set[str]:
        """All mids of the last completed exchange, and of the one under way."""
        return {
            mid
            for applied in (*self.current.values(), *self.pending.values())
            for media in applied.description.media
            if (mid := media.mid) is not None
        }

    @property
    def disabled(self) -> set[int]:
        """The sections with port 0 in either description of the last completed exchange."""
        return {
            index
            for applied in self.current.values()
            for index, media in enumerate(applied.description.media)
            if media.is_disabled
        }

    def answered_media(self, index: int) -> MediaTerms | None:
        """What the last answer, whosever, says of a section of audio or video."""
        answers = (applied for applied in self.current.values() if applied.type is not DescriptionType.OFFER)
        return next((applied.media.get(index) for applied in answers), None)

    def previous(self, side: Side) -> SessionDescription | None:
        """The description of a side in the last completed exchange."""
        applied = self.current.get(side)
        return None if applied is None else applied.description

    def newest(self, side: Side) -> AppliedDescription | None:
        """The pending description of a side, else the current one."""
        return self.pending.get(side) or self.current.get(side)

    def of_generation(self, side: Side, ufrag: str | None) -> list[AppliedDescription]:
        """The descriptions of a side with this ICE ufrag, the newest first; those with the newest ufrag where None."""
        found = [applied for applied in (self.pending.get(side), self.current.get(side)) if applied is not None]
        if ufrag is None and found:
            newest = found[0].terms
            ufrag = None if newest is None else newest.ice_ufrag
        return [applied for applied in found if applied.terms is not None and applied.terms.ice_ufrag == ufrag]
