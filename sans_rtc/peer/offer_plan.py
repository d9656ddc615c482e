"""The layout of an offer: which section is for what (RFC 3264 section 8, RFC 9429 sections 5.2.1 and 5.2.2).

Sections that were there stay in their places. What is new takes a disabled section of its kind, under a new mid, or
comes behind the others: audio and video in the order of their transceivers, then data.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

import attrs

from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.media_config import BundlePolicy
from sans_rtc.peer.media_offering import MediaAuthor
from sans_rtc.peer.media_terms import media_kind
from sans_rtc.peer.negotiation_types import Side, SignalingState
from sans_rtc.peer.offer_answer import Slot
from sans_rtc.peer.transceivers import Transceiver, Transceivers


def new_mid(used: set[str]) -> str:
    """RFC 9429 section 5.2.1: a mid that tells nothing and is short: the least number that is free, now taken."""
    mid = next(str(number) for number in range(len(used) + 1) if str(number) not in used)
    used.add(mid)
    return mid


@attrs.define(slots=True)
class OfferPlan:
    """An offer as it is laid out.

    slots    its sections
    free     the sections that nobody uses, as both ends know
    handles  the transceivers of sections of audio and video
    """

    slots: list[Slot]
    free: Collection[int]
    handles: dict[int, int] = attrs.field(factory=dict)

    @property
    def used(self) -> list[int]:
        """The sections that are not disabled."""
        return [index for index, slot in enumerate(self.slots) if slot.is_used]

    @property
    def data_index(self) -> int | None:
        """Where data are."""
        return next((index for index, slot in enumerate(self.slots) if slot.is_data), None)

    def tag(self, live: int | None) -> int | None:
        """The section that the transport belongs to: the one before where it stays, else the first."""
        able = [index for index in self.used if not self.slots[index].is_bundle_only]
        return live if live in able else next(iter(able), None)

    def spread(self) -> tuple[int, ...]:
        """All sections that name the transport."""
        return tuple(index for index in self.used if not self.slots[index].is_bundle_only)


def plan_offer(exchange: Exchange, transceivers: Transceivers, author: MediaAuthor, *, wants_data: bool) -> OfferPlan:
    """Lay out an offer in state stable or have-local-offer."""
    is_pending = exchange.state is SignalingState.HAVE_LOCAL_OFFER
    base = exchange.newest(Side.LOCAL) if is_pending else exchange.current.get(Side.LOCAL)
    plan = OfferPlan([Slot(media) for media in base.description.media] if base is not None else [], exchange.disabled)
    data = base.terms.data if base is not None and base.terms is not None else None
    in_use = data is not None and (is_pending or exchange.data_index == data.mline_index)
    if data is not None and in_use:
        plan.slots[data.mline_index] = Slot(plan.slots[data.mline_index].before, data.mid, is_data=True)
    mids = exchange.mids
    _place(plan, [each for each in transceivers if each.is_live], exchange, author, mids)
    if wants_data and not in_use:
        # Firefox refuses an m-line that changes from audio or video to application, which RFC 3264 section 8.3.3
        # would allow.
        fresh = Slot(None, new_mid(mids), is_data=True)
        _put(plan, _free(plan, "application"), fresh)
    if author.config.bundle_policy is BundlePolicy.MAX_BUNDLE:
        _mark_bundle_only(plan, exchange)
    return plan


def _place(
    plan: OfferPlan, transceivers: Iterable[Transceiver], exchange: Exchange, author: MediaAuthor, mids: set[str]
) -> None:
    fresh = []
    for transceiver in transceivers:
        index, mid = transceiver.association.mline_index, transceiver.association.mid
        if index is None:
            fresh.append(transceiver)
            continue
        before = plan.slots[index].before
        assert before is not None
        answered = exchange.answered_media(index)
        terms = author.offer(transceiver, index, mid or "", answered)
        plan.slots[index] = Slot(before, before.mid, terms=terms, is_answered=answered is not None)
        plan.handles[index] = transceiver.handle
    for transceiver in fresh:
        index = _free(plan, transceiver.kind)
        mid = new_mid(mids)
        terms = author.offer(transceiver, len(plan.slots) if index is None else index, mid, None)
        plan.handles[_put(plan, index, Slot(None, mid, terms=terms))] = transceiver.handle


def _put(plan: OfferPlan, index: int | None, slot: Slot) -> int:
    if index is None:
        plan.slots.append(slot)
        return len(plan.slots) - 1
    plan.slots[index] = slot
    return index


def _free(plan: OfferPlan, kind: str) -> int | None:
    """A section of this kind that can be recycled: it "has a zero port" already (RFC 9429 section 5.2.2)."""
    for index, slot in enumerate(plan.slots):
        if index not in plan.free or slot.is_used or slot.before is None or slot.before.kind.lower() != kind:
            continue
        if kind == "application" or media_kind(slot.before) is not None:
            return index
    return None


def _mark_bundle_only(plan: OfferPlan, exchange: Exchange) -> None:
    """RFC 9429 section 5.2.1: all but the first; section 5.2.2: not those that were bundled already."""
    agreement = exchange.agreement
    current = exchange.current.get(Side.LOCAL)
    settled = current.used if current is not None and agreement is not None else frozenset()
    first = plan.tag(None if agreement is None else agreement.local.mline_index)
    for index in plan.used:
        if index != first and index not in settled:
            plan.slots[index] = attrs.evolve(plan.slots[index], is_bundle_only=True)
