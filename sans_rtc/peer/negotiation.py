"""Offers and answers: the signalling state machine of RFC 9429, as a transform.

    media.add_transceiver, media.set_direction, ...  what is wanted of audio and video; request_data of data

    create_offer / create_answer (LocalTransport)  -> Description    nothing but the version changes
    apply_local / apply_remote (Description)       -> Changes        validates fully, then changes
    add_local_candidate, add_remote_candidate      trickling

No clock and no I/O: what a description brings about comes back as `Changes`, and the peer connection does it. Errors
are `InvalidState`, `InvalidArgument` and, for text that is not SDP, `WireError`; after any of them nothing has changed.
"""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.peer.agreement import Outcome, check_offer_continuity, is_restart
from sans_rtc.peer.answering import Answered, answer_locally, answer_remotely
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.creation import Created, Creation
from sans_rtc.peer.exchange import TRANSITIONS, Exchange
from sans_rtc.peer.media_negotiation import MediaNegotiation
from sans_rtc.peer.negotiation_types import (
    CandidateUse,
    Changes,
    DataOutcome,
    Description,
    DescriptionType,
    DtlsRole,
    LocalTransport,
    NegotiationConfig,
    RejectedSection,
    Side,
    SignalingState,
    TransportAction,
    TransportParameters,
    TrickledCandidate,
    check_candidate,
)
from sans_rtc.peer.remote_description import Live, read_answer, read_offer
from sans_rtc.peer.transceivers import TransceiverChange
from sans_rtc.peer.trickling import take_trickled, with_ufrag
from sans_rtc.sdp.parse import parse_description

# fmt: off
__all__ = [
    "TRANSITIONS", "CandidateUse", "Changes", "DataOutcome", "Description", "DescriptionType", "DtlsRole",
    "LocalTransport", "Negotiation", "NegotiationConfig", "RejectedSection", "Side", "SignalingState",
    "TransportAction", "TransportParameters", "TrickledCandidate", "with_ufrag",
]
# fmt: on


class Negotiation:
    """The offers and answers of one session, from first to last."""

    def __init__(self, config: NegotiationConfig | None = None, *, entropy: Entropy) -> None:
        """Begin in state stable, with no description and no need of data.

        entropy  for the session id, the tls-ids, and the SSRCs and names of what is sent
        """
        self._config = config or NegotiationConfig()
        self._exchange = Exchange()
        self._creation = Creation(self._config, entropy)
        self.media = MediaNegotiation(self._config, self._exchange, entropy)
        self._is_data_wanted = False
        self._ufrag_to_replace: str | None = None

    # -- wishes ------------------------------------------------------------------------------------------------------

    def request_data(self) -> None:
        """A data channel was created: the next offer has a data section, if there is none yet."""
        self._require_open()
        self._is_data_wanted = True

    def request_ice_restart(self) -> None:
        """The next offer must restart ICE (W3C restartIce); without effect before data was agreed on."""
        self._require_open()
        if self._exchange.agreement is not None:
            self._ufrag_to_replace = self._exchange.agreement.local.ice_ufrag

    # -- local descriptions ------------------------------------------------------------------------------------------

    def require(self, kind: DescriptionType) -> None:
        """InvalidState where a local description of this kind cannot be created now; it changes nothing."""
        self._exchange.require(Side.LOCAL, kind)
        is_wanted = self._exchange.agreement is not None or self._is_data_wanted or self.media.has_something_to_offer
        if kind is DescriptionType.OFFER and not is_wanted:
            raise InvalidState("there is nothing to offer: no data channel was created, and no transceiver")

    def create_offer(self, transport: LocalTransport) -> Description:
        """Make an offer.

        transport  the local facts; other ICE credentials than before make it an ICE restart
        Effects    the session version rises where the text is not the same as the last
        Errors     InvalidState as `require`; InvalidArgument where the facts do not fit the session
        Source     RFC 9429 sections 5.2.1 and 5.2.2
        """
        self.require(DescriptionType.OFFER)
        return self._creation.make_offer(
            self._exchange, transport, self.media, self._ufrag_to_replace, wants_data=self._is_data_wanted
        )

    def create_answer(self, transport: LocalTransport) -> Description:
        """Make an answer to the remote offer; it may be applied under the type pranswer, too.

        transport  the local facts; new ICE credentials where the offer restarts ICE, and only there
        Errors     as create_offer
        Source     RFC 9429 sections 5.3.1 and 5.3.2
        """
        self.require(DescriptionType.ANSWER)
        return self._creation.make_answer(self._exchange, transport, self.media)

    def apply_local(self, description: Description) -> Changes:
        """Apply a description made by create_offer or create_answer, or a rollback.

        description  as it was made (an empty text means it too); an answer may be applied as pranswer first
        Effects      the state machine moves, and what is to be done comes back
        Errors       InvalidState where the type does not fit the state, InvalidArgument where the text was changed
        Source       RFC 9429 sections 5.5 and 5.9
        """
        exchange, kind = self._exchange, description.type
        if kind is DescriptionType.ROLLBACK:
            return self._roll_back(Side.LOCAL, description)
        exchange.require(Side.LOCAL, kind)
        created = self._creation.created(kind)
        if description.sdp not in ("", created.sdp):
            raise InvalidArgument("the text is not that of the description created last, which must not be changed")
        applied = created.apply(kind)
        if kind is DescriptionType.OFFER:
            return self._apply_local_offer(applied, created)
        offer = exchange.pending[Side.REMOTE]
        return self._settle(Side.LOCAL, applied, offer, answer_locally(exchange, offer, created))

    def _apply_local_offer(self, applied: AppliedDescription, created: Created) -> Changes:
        exchange, before = self._exchange, self._exchange.state
        agreement, terms = exchange.agreement, applied.terms
        is_other = agreement is not None and terms is not None and not terms.is_same_generation(agreement.local)
        exchange.offer(Side.LOCAL, applied)
        self.media.on_local_offer(created.handles, created.media)
        return Changes(previous_state=before, state=exchange.state, is_ice_restart=is_other)

    # -- remote descriptions -----------------------------------------------------------------------------------------

    def apply_remote(self, description: Description) -> Changes:
        """Apply a description from the peer, or a rollback.

        description  any text
        Effects      the state machine moves, and what is to be done comes back; an offer undoes a local offer that is
                     not answered yet, where the configuration lets it
        Errors       WireError for what is not SDP, InvalidArgument for what cannot be taken, InvalidState where the
                     type does not fit the state; nothing has changed then
        Source       RFC 9429 sections 5.6, 5.8, 5.10 and 5.11
        """
        if description.type is DescriptionType.ROLLBACK:
            return self._roll_back(Side.REMOTE, description)
        if description.type is DescriptionType.OFFER:
            return self._apply_remote_offer(description)
        return self._apply_remote_answer(description)

    def _apply_remote_offer(self, description: Description) -> Changes:
        exchange, before = self._exchange, self._exchange.state
        is_glare = before is SignalingState.HAVE_LOCAL_OFFER and self._config.is_implicit_rollback_allowed
        if not is_glare:
            exchange.require(Side.REMOTE, DescriptionType.OFFER)
        parsed = parse_description(description.sdp, self._config.limits)
        matching = self.media.match_offer()
        live = Live(exchange.data_index, self.media.live_sections)
        source_count_max = self._config.media.source_count_max
        reading = read_offer(parsed, exchange.previous(Side.REMOTE), live, matching.refuse, source_count_max)
        if reading.terms is not None:
            check_offer_continuity(exchange.agreement, reading.terms)
        if is_glare:
            exchange.roll_back()
        exchange.offer(Side.REMOTE, reading.apply(description, parsed))
        self._creation.on_offer()
        transceivers = self.media.on_remote_offer(matching, reading.media, exchange.mids)
        return Changes(
            previous_state=before,
            state=exchange.state,
            rolled_back=Side.LOCAL if is_glare else None,
            is_ice_restart=is_restart(exchange.agreement, reading.terms),
            transceivers=tuple(transceivers),
        )

    def _apply_remote_answer(self, description: Description) -> Changes:
        exchange = self._exchange
        exchange.require(Side.REMOTE, description.type)
        parsed = parse_description(description.sdp, self._config.limits)
        offer = exchange.pending[Side.LOCAL]
        source_count_max = self._config.media.source_count_max
        reading = read_answer(parsed, offer.description, offer.used, offer.data_index, source_count_max)
        answered = answer_remotely(exchange, offer, reading)
        offer.terms = answered.local_terms
        return self._settle(Side.REMOTE, reading.apply(description, parsed), offer, answered)

    def close(self) -> None:
        """End the session; idempotent. The descriptions stay readable."""
        self._exchange.close()

    # -- trickling ---------------------------------------------------------------------------------------------------

    def add_local_candidate(self, candidate: str, ufrag: str | None = None) -> None:
        """Note a candidate that was gathered after the local description was made.

        ufrag  of its generation; the newest where None. One that no local description has is not noted
        """
        text = check_candidate(candidate)
        for applied in self._exchange.of_generation(Side.LOCAL, ufrag):
            applied.add_candidate(text)

    def end_of_local_candidates(self, ufrag: str | None = None) -> None:
        """Note that there will be no more local candidates of a generation."""
        for applied in self._exchange.of_generation(Side.LOCAL, ufrag):
            applied.end_candidates()

    def add_remote_candidate(
        self, candidate: str, mid: str | None = None, mline_index: int | None = None, ufrag: str | None = None
    ) -> TrickledCandidate:
        """Take a candidate that the peer has trickled, and say what is to be done with it.

        candidate         "candidate:...", or empty for the end of candidates
        mid, mline_index  of its media section; the mid counts. An end of candidates without either is of all sections
        ufrag             of its generation; else it is read from the candidate, else it is the newest
        Errors            InvalidState before a remote description, InvalidArgument for what is not a candidate or
                          names no section
        Source            RFC 9429 sections 3.5.2.1 and 4.1.17, RFC 8838 section 11
        """
        self._require_open()
        return take_trickled(
            self._exchange, candidate, mid, mline_index, ufrag, self._config.remote_candidate_count_max
        )

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def state(self) -> SignalingState:
        """Where the exchange stands."""
        return self._exchange.state

    @property
    def local_description(self) -> Description | None:
        """The pending local description, else the current one, with the candidates gathered so far."""
        return _render(self._exchange.newest(Side.LOCAL), Side.LOCAL)

    @property
    def remote_description(self) -> Description | None:
        """The pending remote description, else the current one, with the candidates trickled so far."""
        return _render(self._exchange.newest(Side.REMOTE), Side.REMOTE)

    @property
    def current_local_description(self) -> Description | None:
        """The local description of the last completed exchange."""
        return _render(self._exchange.current.get(Side.LOCAL), Side.LOCAL)

    @property
    def current_remote_description(self) -> Description | None:
        """The remote description of the last completed exchange."""
        return _render(self._exchange.current.get(Side.REMOTE), Side.REMOTE)

    @property
    def pending_local_description(self) -> Description | None:
        """The local description of the exchange under way."""
        return _render(self._exchange.pending.get(Side.LOCAL), Side.LOCAL)

    @property
    def pending_remote_description(self) -> Description | None:
        """The remote description of the exchange under way."""
        return _render(self._exchange.pending.get(Side.REMOTE), Side.REMOTE)

    @property
    def transport(self) -> TransportParameters | None:
        """What is agreed about the transport, provisionally or for good; None where nothing is."""
        agreement = self._exchange.agreement_in_force
        return None if agreement is None else agreement.transport

    @property
    def local_credentials(self) -> tuple[str, str] | None:
        """Our ICE ufrag and pwd of the last completed exchange, which an answer without a restart must repeat."""
        agreement = self._exchange.agreement
        return None if agreement is None else (agreement.local.ice_ufrag, agreement.local.ice_pwd)

    @property
    def transport_section(self) -> tuple[str | None, int] | None:
        """Mid and index of the section in the newest local description that the transport belongs to, if any."""
        terms = self._exchange.local_terms
        return None if terms is None else (terms.mid, terms.mline_index)

    @property
    def data_section(self) -> tuple[str | None, int] | None:
        """Mid and index of the data section in the newest local description; None where it has none in use."""
        data = None if self._exchange.local_terms is None else self._exchange.local_terms.data
        return None if data is None else (data.mid, data.mline_index)

    @property
    def local_ufrag(self) -> str | None:
        """The ICE ufrag in the newest local description; None where it has no section in use."""
        return None if self._exchange.local_terms is None else self._exchange.local_terms.ice_ufrag

    @property
    def is_ice_restart_pending(self) -> bool:
        """True where the next local description must have other ICE credentials than those agreed."""
        agreement = self._exchange.agreement
        if agreement is None:
            return False
        if self._exchange.offered_by is Side.REMOTE:
            return self._exchange.is_restart_offered
        return self._ufrag_to_replace == agreement.local.ice_ufrag

    @property
    def can_trickle(self) -> bool | None:
        """Whether the peer takes trickled candidates; None before its first description (W3C canTrickle)."""
        return self._exchange.can_trickle

    @property
    def is_negotiation_needed(self) -> bool:
        """True where the state is stable and an offer would bring about what was asked for (W3C negotiationneeded)."""
        exchange = self._exchange
        if exchange.state is not SignalingState.STABLE:
            return False
        if self._is_data_wanted and exchange.data_index is None:
            return True
        if exchange.agreement is not None and self._ufrag_to_replace == exchange.agreement.local.ice_ufrag:
            return True
        return self.media.is_needed

    # -- parts -------------------------------------------------------------------------------------------------------

    def _require_open(self) -> None:
        if self._exchange.state is SignalingState.CLOSED:
            raise InvalidState("the session is closed")

    def _settle(
        self, side: Side, applied: AppliedDescription, offer: AppliedDescription, answered: Answered
    ) -> Changes:
        """Let an answer take effect."""
        exchange, before, outcome = self._exchange, self._exchange.state, answered.outcome
        exchange.answer(side, applied, outcome)
        if outcome.dtls in (TransportAction.START, TransportAction.RESTART):
            self._creation.on_association()
        is_stable = exchange.state is SignalingState.STABLE
        local, remote = (applied, offer) if side is Side.LOCAL else (offer, applied)
        transceivers = self.media.on_answer(
            local.media, remote.media, is_local_offer=side is Side.REMOTE, is_final=is_stable
        )
        if is_stable:
            self._on_stable(side)
        changes = self._carry_out(before, outcome, transceivers, has_sections=True)
        return attrs.evolve(changes, data=answered.data, rejected=answered.rejected)

    def _carry_out(
        self, before: SignalingState, outcome: Outcome, transceivers: list[TransceiverChange], *, has_sections: bool
    ) -> Changes:
        return Changes(
            previous_state=before,
            state=self._exchange.state,
            is_ice_restart=outcome.is_ice_restart,
            transport=None if outcome.agreement is None else outcome.agreement.transport,
            dtls=outcome.dtls,
            sctp=outcome.sctp,
            sections=self.media.sections if has_sections else None,
            transceivers=tuple(transceivers),
        )

    def _on_stable(self, answered_by: Side) -> None:
        """An exchange is complete: what was asked for and is done, or refused, is not asked for again."""
        self._creation.on_stable()
        agreement = self._exchange.agreement
        if self._exchange.data_index is not None or answered_by is Side.REMOTE:
            self._is_data_wanted = False
        if agreement is None or agreement.local.ice_ufrag != self._ufrag_to_replace:
            self._ufrag_to_replace = None

    def _roll_back(self, side: Side, description: Description) -> Changes:
        """Give the pending offer up (RFC 9429 section 5.7)."""
        exchange, before = self._exchange, self._exchange.state
        exchange.require(side, DescriptionType.ROLLBACK)
        if description.sdp:
            raise InvalidArgument("a rollback has no text")
        offered_by = exchange.offered_by
        was_provisional = exchange.provisional is not None
        outcome = exchange.roll_back()
        self._creation.on_rollback()
        changes = self._carry_out(before, outcome, self.media.roll_back(), has_sections=was_provisional)
        return attrs.evolve(changes, rolled_back=offered_by)


def _render(applied: AppliedDescription | None, side: Side) -> Description | None:
    return None if applied is None else applied.render(is_local=side is Side.LOCAL)
