"""Whether transceivers need another offer (W3C WebRTC section 4.7.3, "check if negotiation is needed")."""

from __future__ import annotations

from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.negotiation_types import DescriptionType, Side
from sans_rtc.peer.transceivers import Transceiver, Transceivers, intersect, reverse


def is_media_negotiation_needed(exchange: Exchange, transceivers: Transceivers) -> bool:
    """True where the descriptions in force say of a transceiver other than what is wanted of it."""
    return any(_needs_offer(exchange, transceiver) for transceiver in transceivers)


def _needs_offer(exchange: Exchange, transceiver: Transceiver) -> bool:
    index = transceiver.association.mline_index
    if transceiver.is_stopping or index is None:
        return True  # one that is done with is not there any more
    local, remote = exchange.current.get(Side.LOCAL), exchange.current.get(Side.REMOTE)
    ours = None if local is None else local.media.get(index)
    theirs = None if remote is None else remote.media.get(index)
    if local is None or ours is None or theirs is None:
        return True
    if transceiver.wants_to_send and ours.streams != transceiver.streams:
        return True
    if local.type is DescriptionType.OFFER:
        return transceiver.direction not in (ours.direction, reverse(theirs.direction))
    return ours.direction is not intersect(transceiver.direction, reverse(theirs.direction))
