"""Which transceiver is for which section of a peer's offer (RFC 9429 section 5.10), before anything is changed."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.media.parameters import Encoding
from sans_rtc.peer.media_offering import MediaAuthor
from sans_rtc.peer.media_terms import MediaTerms, media_kind
from sans_rtc.peer.numbering import FormatKey, conflict
from sans_rtc.peer.transceivers import Association, Transceiver, Transceivers
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp.description import MediaDescription
from sans_rtc.sdp.values import Direction


@attrs.define(slots=True)
class OfferMatching:
    """Finds transceivers for the sections of one offer, in order.

    transceivers  of the session
    stable        their associations before any exchange that is under way, which gives way to this offer
    accepts_media a section that no transceiver waits for gets one of its own
    handles       the transceivers found by section; None: one is to be made
    """

    transceivers: Transceivers
    stable: Mapping[int, Association]
    author: MediaAuthor
    accepts_media: bool = attrs.field(kw_only=True)
    handles: dict[int, int | None] = attrs.field(factory=dict)
    _meanings: dict[int, FormatKey] = attrs.field(factory=dict)

    def refuse(self, index: int, media: MediaDescription, terms: MediaTerms | None) -> str | None:
        """Why a section cannot be taken; None where it can. Asked twice: before its terms are read, and with them."""
        if terms is None:
            return self._find(index, media)
        reason = self._refuse_terms(index, terms)
        if reason is not None:
            del self.handles[index]
        return reason

    def _find(self, index: int, media: MediaDescription) -> str | None:
        kind = media_kind(media)
        assert kind is not None
        transceiver = self.transceivers.at(index, self.stable)
        if transceiver is not None:
            if not transceiver.is_live:
                return "its transceiver is stopped"
            self.handles[index] = transceiver.handle
            return None
        waiting = self._waiting(kind, media)
        if waiting is None and not self.accepts_media:
            return f"{kind} is not taken"
        made = sum(handle is None for handle in self.handles.values())
        if waiting is None and self.transceivers.room <= made:
            return "there are too many transceivers"
        self.handles[index] = None if waiting is None else waiting.handle
        return None

    def _waiting(self, kind: MediaKind, media: MediaDescription) -> Transceiver | None:
        """The first transceiver added as of a track that has no section; the peer must want to receive."""
        if media.direction in (Direction.SENDONLY, Direction.INACTIVE):
            return None
        taken = set(self.handles.values())
        for transceiver in self.transceivers:
            before = self.stable.get(transceiver.handle)
            is_free = before is None or before.mline_index is None
            is_fit = transceiver.kind is kind and transceiver.is_from_track and transceiver.is_live
            if is_free and is_fit and transceiver.handle not in taken:
                return transceiver
        return None

    def _refuse_terms(self, index: int, terms: MediaTerms) -> str | None:
        handle = self.handles[index]
        transceiver = _newcomer(terms.kind) if handle is None else self.transceivers.of(handle)
        if self.author.answer(transceiver, terms) is None:
            return "no format is in common"
        number = conflict(self._meanings, terms)
        if number is not None:
            return f"payload type {number} means another format in another section"
        for format_ in terms.formats:
            self._meanings[format_.payload_type] = (format_.name.lower(), format_.clock_rate, format_.channels)
        return None


def _newcomer(kind: MediaKind) -> Transceiver:
    """A transceiver as an offer would make it, for asking what it would answer."""
    return Transceiver(0, kind, Direction.RECVONLY, "", association=Association(encodings=(Encoding(),)))
