"""The making of local descriptions: what stays the same for a session's life, and the version that does not.

session id  drawn once
version     rises whenever a description differs from the one made before it (RFC 3264 section 8)
tls-id      one for each DTLS association (RFC 8842 section 4)
"""

from __future__ import annotations

from collections.abc import Mapping

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
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.bundling import choose_tag
from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.media_negotiation import MediaNegotiation
from sans_rtc.peer.media_offering import MediaAuthor
from sans_rtc.peer.media_terms import MediaTerms
from sans_rtc.peer.negotiation_types import Description, DescriptionType, LocalTransport, NegotiationConfig, Side
from sans_rtc.peer.offer_answer import Accepted, build_answer, build_offer, build_rejection, with_version
from sans_rtc.peer.offer_plan import plan_offer
from sans_rtc.peer.terms import TransportTerms, read_terms
from sans_rtc.peer.transceivers import Transceivers
from sans_rtc.sdp.description import SessionDescription
from sans_rtc.sdp.serialize import serialize_description
from sans_rtc.sdp.values import Direction

_TLS_ID_LENGTH = 32  # RFC 8842 section 4 asks for 20 to 255 characters and 120 random bits; these have 6 bits each


@attrs.frozen(slots=True, kw_only=True)
class Created:
    """A local description that was made and can be applied.

    terms         of our transport; None where no section is in use
    remote_terms  answers: of the transport of the offer that is used
    media         terms of audio and video, by section
    used, spread  as in `AppliedDescription`
    handles       offers: the transceivers of sections
    """

    type: DescriptionType
    sdp: str
    description: SessionDescription
    terms: TransportTerms | None = None
    remote_terms: TransportTerms | None = None
    media: Mapping[int, MediaTerms] = attrs.Factory(dict)
    used: frozenset[int] = frozenset()
    spread: tuple[int, ...] = ()
    handles: Mapping[int, int] = attrs.Factory(dict)

    def apply(self, kind: DescriptionType) -> AppliedDescription:
        """What it becomes when it is applied."""
        return AppliedDescription(
            kind,
            self.sdp,
            self.description,
            self.terms,
            used=self.used,
            media=self.media,
            spread=self.spread,
            offered_terms=self.terms,
        )


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

    def make_offer(
        self,
        exchange: Exchange,
        transport: LocalTransport,
        media: MediaNegotiation,
        ufrag_to_replace: str | None,
        *,
        wants_data: bool,
    ) -> Description:
        """Make an offer of what is in use, and what is wanted."""
        agreement = exchange.agreement
        check_local_offer(agreement, transport, ufrag_to_replace)
        transport = _with_known_candidates(exchange, transport)
        plan = plan_offer(exchange, media.transceivers, media.author, wants_data=wants_data)
        tls_id = None
        if self._config.is_tls_id_sent:
            tls_id = self._draw_tls_id() if agreement is None else agreement.local.tls_id
        tag = plan.tag(None if agreement is None else agreement.local.mline_index)
        spread = plan.spread() if agreement is None or tag is None else (tag,)
        description = build_offer(plan.slots, transport, tls_id, self._session_id, tag, spread)
        created = Created(
            type=DescriptionType.OFFER,
            sdp="",
            description=description,
            terms=None if tag is None else read_terms(description, tag, plan.data_index),
            media={index: slot.terms for index, slot in enumerate(plan.slots) if slot.terms is not None},
            used=frozenset(plan.used),
            spread=spread,
            handles=plan.handles,
        )
        return self._finish(created)

    def make_answer(self, exchange: Exchange, transport: LocalTransport, media: MediaNegotiation) -> Description:
        """Make an answer to the pending remote offer."""
        offer = exchange.pending[Side.REMOTE]
        transport = _with_known_candidates(exchange, transport)
        accepted = accept(offer, media.transceivers, media.author, exchange.data_index)
        if accepted is None:
            description = build_rejection(offer.description, transport, self._session_id)
            return self._finish(Created(type=DescriptionType.ANSWER, sdp="", description=description))
        terms = read_terms(offer.description, accepted.tag, accepted.data)
        is_restart_offered = is_restart(exchange.agreement, terms)
        check_local_answer(exchange.agreement, transport, is_restart_offered=is_restart_offered)
        setup = choose_setup(exchange.agreement_in_force, terms, self._config.is_dtls_client_preferred)
        tls_id = self._answer_tls_id(exchange, terms)
        description = build_answer(
            offer.description, accepted, terms.ice_options, transport, setup, tls_id, self._session_id
        )
        created = Created(
            type=DescriptionType.ANSWER,
            sdp="",
            description=description,
            terms=read_terms(description, accepted.tag, accepted.data),
            remote_terms=terms,
            media=accepted.media,
            used=frozenset(accepted.indices),
        )
        return self._finish(created)

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

    def _answer_tls_id(self, exchange: Exchange, terms: TransportTerms) -> str | None:
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

    def _finish(self, created: Created) -> Description:
        """Give a description its version, and keep it to be applied."""
        text = serialize_description(created.description)
        if text != self._last_text:
            self._session_version += 1
            self._last_text = text
        versioned = with_version(created.description, self._session_version)
        created = attrs.evolve(created, sdp=serialize_description(versioned), description=versioned)
        self._created[created.type] = created
        return Description(created.type, created.sdp)


def accept(
    offer: AppliedDescription, transceivers: Transceivers, author: MediaAuthor, live_data: int | None
) -> Accepted | None:
    """What an answer takes of an offer, as its transceivers are now; None where it is nothing (RFC 9429 5.3.1)."""
    media: dict[int, MediaTerms] = {}
    for index, offered in offer.media.items():
        transceiver = transceivers.at(index)
        answer = author.answer(transceiver, offered) if transceiver is not None and transceiver.is_live else None
        if answer is not None:
            media[index] = answer
    if offer.terms is None:
        return None
    data = None if offer.terms.data is None else offer.terms.data.mline_index
    usable = sorted((*media, *(() if data is None else (data,))))
    tag, unbundled = choose_tag(offer.description, usable, live_data)
    if tag is None and usable:
        # RFC 9143 section 7.3.3: the tagged section cannot be rejected alone, so it is kept, "and later create an offer
        # where the "m=" section is disabled".
        kept_idle = _answer_idle(offer, offer.terms.mline_index, transceivers, author)
        media |= {} if kept_idle is None else {offer.terms.mline_index: kept_idle}
        usable = sorted((*usable, *(() if kept_idle is None else (offer.terms.mline_index,))))
        tag, unbundled = choose_tag(offer.description, usable, live_data)
    if tag is None:
        return None
    kept = {index: terms for index, terms in media.items() if index not in unbundled}
    return Accepted(tag, None if data in unbundled else data, kept)


def _answer_idle(
    offer: AppliedDescription, index: int, transceivers: Transceivers, author: MediaAuthor
) -> MediaTerms | None:
    """An answer for the section of a transceiver that is being stopped: nothing flows."""
    transceiver = transceivers.at(index)
    if transceiver is None or index not in offer.media:
        return None
    return author.answer(attrs.evolve(transceiver, direction=Direction.INACTIVE), offer.media[index])


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
