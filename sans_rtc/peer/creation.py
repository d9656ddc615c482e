"""The making of local descriptions: what stays the same for a session's life, and the version that does not.

session id  drawn once
version     rises whenever a description differs from the one made before it (RFC 3264 section 8)
tls-id      one for each DTLS association (RFC 8842 section 4)
"""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy, draw_below, draw_text
from sans_rtc.errors import InvalidState
from sans_rtc.peer.agreement import (
    check_local_answer,
    check_local_offer,
    choose_setup,
    is_new_certificate,
    is_restart,
)
from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.negotiation_types import Description, DescriptionType, LocalTransport, NegotiationConfig, Side
from sans_rtc.peer.offer_answer import build_answer, build_offer, build_rejection, plan_offer, with_version
from sans_rtc.peer.remote_description import DataTerms, read_terms
from sans_rtc.sdp.description import SessionDescription
from sans_rtc.sdp.serialize import serialize_description

_TLS_ID_LENGTH = 32  # RFC 8842 section 4 asks for 20 to 255 characters and 120 random bits; these have 6 bits each


@attrs.frozen(slots=True)
class Created:
    """A local description that was made and can be applied."""

    sdp: str
    description: SessionDescription
    terms: DataTerms | None


class Creation:
    """Makes the offers and answers of one session."""

    __slots__ = ("_config", "_created", "_entropy", "_last_text", "_session_id", "_session_version", "_spare_tls_id")

    def __init__(self, config: NegotiationConfig, entropy: Entropy) -> None:
        self._config = config
        self._entropy = entropy
        # RFC 9429 section 5.2.1: 62 random bits, and less than 2**62 - 1.
        self._session_id = draw_below(entropy, (1 << 62) - 2) + 1
        self._session_version = 0
        self._last_text = ""  # of the last description made, as it is under version 0
        self._created: dict[DescriptionType, Created] = {}
        self._spare_tls_id: str | None = None

    def make_offer(self, exchange: Exchange, transport: LocalTransport, ufrag_to_replace: str | None) -> Description:
        """Make an offer with a data section."""
        agreement = exchange.agreement
        check_local_offer(agreement, transport, ufrag_to_replace)
        transport = _with_known_candidates(exchange, transport)
        slots = plan_offer(exchange.previous(Side.LOCAL), exchange.live_index, exchange.mids)
        tls_id = None
        if self._config.is_tls_id_sent:
            tls_id = self._draw_tls_id() if agreement is None else agreement.local.tls_id
        description = build_offer(slots, transport, tls_id, self._session_id)
        data_index = next(index for index, slot in enumerate(slots) if slot.is_data)
        return self._finish(DescriptionType.OFFER, description, data_index)

    def make_answer(self, exchange: Exchange, transport: LocalTransport) -> Description:
        """Make an answer to the pending remote offer."""
        offer = exchange.pending[Side.REMOTE]
        transport = _with_known_candidates(exchange, transport)
        if offer.terms is None:
            description = build_rejection(offer.description, transport, self._session_id)
            return self._finish(DescriptionType.ANSWER, description, None)
        is_restart_offered = is_restart(exchange.agreement, offer.terms)
        check_local_answer(exchange.agreement, transport, is_restart_offered=is_restart_offered)
        setup = choose_setup(exchange.agreement_in_force, offer.terms, self._config.is_dtls_client_preferred)
        tls_id = self._answer_tls_id(exchange, offer.terms)
        description = build_answer(offer.description, offer.terms, transport, setup, tls_id, self._session_id)
        return self._finish(DescriptionType.ANSWER, description, offer.terms.mline_index)

    def created(self, kind: DescriptionType) -> Created:
        """The offer, or for answers and provisional answers the answer, made last; InvalidState where there is none."""
        made_as = DescriptionType.OFFER if kind is DescriptionType.OFFER else DescriptionType.ANSWER
        created = self._created.get(made_as)
        if created is None:
            raise InvalidState(f"there is no {made_as} that could be applied: create it first")
        return created

    # -- what makes them void ----------------------------------------------------------------------------------------

    def on_offer(self) -> None:
        """Another remote offer is pending: the answer made does not belong to it."""
        self._created.pop(DescriptionType.ANSWER, None)

    def on_stable(self) -> None:
        """An exchange is complete: what was made before is void."""
        self._created.clear()

    def on_rollback(self) -> None:
        """An offer was given up: the next description has another version, whatever it says (RFC 9429 5.2.2)."""
        self._created.clear()
        self._last_text = ""

    def on_association(self) -> None:
        """The tls-id is taken by a DTLS association: the next gets another."""
        self._spare_tls_id = None

    # -- parts -------------------------------------------------------------------------------------------------------

    def _answer_tls_id(self, exchange: Exchange, terms: DataTerms) -> str | None:
        """RFC 8842 section 5.3: only where one is offered; RFC 9429 section 5.3.2: the same for one association."""
        if terms.tls_id is None or not self._config.is_tls_id_sent:
            return None
        agreement = exchange.agreement_in_force
        if agreement is None or is_new_certificate(agreement.remote, terms):
            return self._draw_tls_id()
        return agreement.local.tls_id or self._draw_tls_id()

    def _draw_tls_id(self) -> str:
        """The tls-id of an association that is yet to be agreed on; the same until one is."""
        if self._spare_tls_id is None:
            self._spare_tls_id = draw_text(self._entropy, _TLS_ID_LENGTH)
        return self._spare_tls_id

    def _finish(self, kind: DescriptionType, description: SessionDescription, data_index: int | None) -> Description:
        """Give a description its version, and keep it to be applied."""
        terms = None if data_index is None else read_terms(description, data_index)
        text = serialize_description(description)
        if text != self._last_text:
            self._session_version += 1
            self._last_text = text
        versioned = with_version(description, self._session_version)
        self._created[kind] = Created(serialize_description(versioned), versioned, terms)
        return Description(kind, self._created[kind].sdp)


def _with_known_candidates(exchange: Exchange, transport: LocalTransport) -> LocalTransport:
    """RFC 9429 section 5.2.2: a later description has every candidate of its generation that was told before."""
    known = [applied.whole_terms for applied in exchange.of_generation(Side.LOCAL, transport.ice_ufrag)]
    candidates = [*transport.candidates]
    candidates += [candidate for terms in known if terms is not None for candidate in terms.candidates]
    is_complete = any(terms is not None and terms.end_of_candidates for terms in known)
    return attrs.evolve(
        transport,
        candidates=tuple(dict.fromkeys(candidates)),
        end_of_candidates=transport.end_of_candidates or is_complete,
    )
