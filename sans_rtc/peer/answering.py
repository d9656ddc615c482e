"""What an answer means, ours or the peer's, before it takes effect (RFC 9429 section 5.11)."""

from __future__ import annotations

import attrs

from sans_rtc.peer.agreement import Outcome, agree, check_remote_answer, refuse
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.creation import Created
from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.negotiation_types import DataOutcome, RejectedSection
from sans_rtc.peer.remote_description import Reading
from sans_rtc.peer.terms import TransportTerms, is_data_section


@attrs.frozen(slots=True)
class Answered:
    """What an answer means.

    outcome      for the transport
    data         for data; None where nothing was decided
    rejected     the sections that are not used
    local_terms  peer's answers: what our offer says of the transport that the answer has chosen
    """

    outcome: Outcome
    data: DataOutcome | None
    rejected: tuple[RejectedSection, ...]
    local_terms: TransportTerms | None = None


def answer_locally(exchange: Exchange, offer: AppliedDescription, created: Created) -> Answered:
    """What our answer means."""
    if created.terms is None or created.remote_terms is None:
        outcome = refuse(exchange.agreement_in_force)
    else:
        remote = offer.complete(created.remote_terms)
        outcome = agree(exchange.agreement_in_force, created.terms, remote, is_local_offer=False)
    # What could have been accepted and is not: its transceiver has changed meanwhile.
    left = tuple(
        RejectedSection(index, offer.description.media[index].mid, offer.description.media[index].kind, "not wanted")
        for index in sorted(offer.used - created.used)
    )
    return Answered(outcome, _local_data(exchange, offer, outcome), offer.rejected + left)


def _local_data(exchange: Exchange, offer: AppliedDescription, outcome: Outcome) -> DataOutcome | None:
    agreement = outcome.agreement
    if agreement is not None and agreement.remote.data is not None:
        return DataOutcome.ACCEPTED
    if exchange.data_index is not None:
        return DataOutcome.REMOVED
    is_offered = any(is_data_section(media) for media in offer.description.media if not media.is_disabled)
    return DataOutcome.REJECTED if is_offered else None


def answer_remotely(exchange: Exchange, offer: AppliedDescription, reading: Reading) -> Answered:
    """What the peer's answer means; InvalidArgument where it cannot be taken (RFC 9429 sections 5.10 and 5.11)."""
    local, remote = offer.offered_terms, reading.terms
    data = None
    if local is not None and local.data is not None:
        data = DataOutcome.REJECTED if remote is None or remote.data is None else DataOutcome.ACCEPTED
    if local is None or remote is None:
        outcome = refuse(exchange.agreement_in_force)
    else:
        local = attrs.evolve(
            local,
            mline_index=remote.mline_index,
            mid=offer.description.media[remote.mline_index].mid,
            data=None if remote.data is None else local.data,
        )
        outcome = agree(exchange.agreement_in_force, local, remote, is_local_offer=True)
    check_remote_answer(exchange.agreement, outcome)
    return Answered(outcome, data, reading.rejected, local)
