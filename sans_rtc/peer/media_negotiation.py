"""The audio and video of a session: its transceivers, and what each step of the exchange makes of them.

    application --verbs--> MediaNegotiation --sections, changes--> Negotiation --> the media session

Source: RFC 9429 sections 4.2, 5.7, and 5.9 to 5.11.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media.parameters import Encoding, EncodingSettings, MediaSection
from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.media_config import FLEXFEC, CodecChoice
from sans_rtc.peer.media_needs import is_media_negotiation_needed
from sans_rtc.peer.media_offering import MediaAuthor
from sans_rtc.peer.media_settling import settle, settled_direction
from sans_rtc.peer.media_terms import MediaTerms
from sans_rtc.peer.negotiation_types import NegotiationConfig, SignalingState
from sans_rtc.peer.numbering import Numbering
from sans_rtc.peer.offer_matching import OfferMatching
from sans_rtc.peer.transceivers import (
    Association,
    Transceiver,
    TransceiverAction,
    TransceiverChange,
    TransceiverInfo,
    TransceiverOptions,
    Transceivers,
    combine,
    draw_cname,
    tell_difference,
)
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.sdp.values import Direction

_RECEIVING = (Direction.SENDRECV, Direction.RECVONLY)


class MediaNegotiation:
    """The transceivers of one session."""

    __slots__ = ("_config", "_entropy", "_exchange", "_saved_numbering", "author", "transceivers")

    def __init__(self, config: NegotiationConfig, exchange: Exchange, entropy: Entropy) -> None:
        self._config = config
        self._exchange = exchange
        self._entropy = entropy
        self._saved_numbering: Numbering | None = None
        self.author = MediaAuthor(config.media, Numbering(), config.media.cname or "")
        draws_fec = FLEXFEC in config.media.fec
        self.transceivers = Transceivers(config.media.transceiver_count_max, entropy, draws_fec=draws_fec)

    # -- verbs -------------------------------------------------------------------------------------------------------

    def add_transceiver(self, kind: MediaKind, options: TransceiverOptions | None = None) -> int:
        """Add a transceiver and return its handle; the next offer has a section for it (W3C addTransceiver, addTrack).

        options  of a track (`is_from_track`): a transceiver that a peer's offer has made, and that nothing is sent by
                 yet, is taken, as W3C addTrack does
        Errors   LimitExceeded
        """
        self._require_open()
        options = options or TransceiverOptions()
        if len(options.encodings) > self._config.media.encoding_count_max:
            raise InvalidArgument(f"{self._config.media.encoding_count_max} encodings are the most")
        if options.is_from_track:
            for transceiver in self.transceivers:
                if transceiver.kind is kind and transceiver.is_from_peer and transceiver.is_live:
                    self._claim(transceiver, options)
                    return transceiver.handle
        return self._add(kind, options).handle

    def _add(self, kind: MediaKind, options: TransceiverOptions, *, is_from_peer: bool = False) -> Transceiver:
        """Make one; the first draws the cname of the session."""
        transceiver = self.transceivers.add(kind, options, is_from_peer=is_from_peer)
        if not self.author.cname:
            self.author = attrs.evolve(self.author, cname=draw_cname(self._entropy))
        return transceiver

    def _claim(self, transceiver: Transceiver, options: TransceiverOptions) -> None:
        sends = options.direction in (Direction.SENDRECV, Direction.SENDONLY)
        transceiver.direction = combine(sends, transceiver.direction in _RECEIVING)
        transceiver.streams = options.streams
        transceiver.is_from_track, transceiver.is_from_peer = True, False
        if options.encodings:
            drawn = self.transceivers.draw_encodings(transceiver.kind, options.encodings)
            transceiver.association = attrs.evolve(transceiver.association, encodings=drawn)

    def set_direction(self, handle: int, direction: Direction) -> None:
        """Say what is wanted of a transceiver; it takes effect with the next exchange (W3C direction)."""
        transceiver = self._live(handle)
        transceiver.direction = Direction(direction)

    def set_streams(self, handle: int, streams: Sequence[str]) -> None:
        """Say to which streams belongs what is sent (W3C setStreams)."""
        transceiver = self._live(handle)
        transceiver.streams = TransceiverOptions(streams=tuple(streams)).streams

    def set_codec_preferences(self, handle: int, codecs: Sequence[Codec | CodecChoice]) -> None:
        """Say which codecs are offered and taken, the preferred one first; none: the configuration's.

        Retransmissions and error correction follow by themselves.
        Errors  InvalidArgument for a codec that the configuration does not have
        Source  RFC 9429 section 4.2.6
        """
        transceiver = self._live(handle)
        known = self._config.media.of(transceiver.kind).codecs
        choices = tuple(dict.fromkeys(map(CodecChoice.of, codecs)))
        for choice in choices:
            if choice not in known:
                raise InvalidArgument(f"{choice.name} ({choice.parameters}) is not one of the codecs configured")
        transceiver.preferences = choices

    def set_encodings(self, handle: int, settings: Sequence[EncodingSettings]) -> None:
        """Change what needs no negotiation, by rid: later sections have it (W3C RTCRtpSender.setParameters).

        Errors  InvalidArgument for a rid that there is none of
        """
        transceiver = self._live(handle)
        changes = {each.rid: each for each in settings}
        unknown = changes.keys() - {encoding.rid for encoding in transceiver.association.encodings}
        if unknown:
            raise InvalidArgument(f"there is no encoding with rid {sorted(unknown)[0]!r}")
        self.transceivers.change_encodings(transceiver, changes)

    def stop(self, handle: int) -> tuple[TransceiverChange, ...]:
        """End a transceiver: it neither sends nor receives from now on, and the next offer says so (W3C stop).

        Effects  `sections` is without it; one that the peer has not been told of is gone at once
        """
        self._require_open()
        transceiver = self.transceivers.of(handle)
        transceiver.is_stopping = True
        if transceiver.association.mline_index is not None or transceiver.association != self._stable(transceiver):
            return ()
        transceiver.association = attrs.evolve(transceiver.association, is_stopped=True)
        self.transceivers.remove(handle)
        return (transceiver.change(TransceiverAction.STOPPED),)

    def _stable(self, transceiver: Transceiver) -> Association:
        return self.transceivers.stable.get(transceiver.handle, transceiver.association)

    def _live(self, handle: int) -> Transceiver:
        self._require_open()
        transceiver = self.transceivers.of(handle)
        if not transceiver.is_live:
            raise InvalidState(f"transceiver {handle} is being stopped")
        return transceiver

    def _require_open(self) -> None:
        if self._exchange.state is SignalingState.CLOSED:
            raise InvalidState("the session is closed")

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def sections(self) -> tuple[MediaSection, ...]:
        """Audio and video in force, in the order of their sections."""
        sections = [
            (transceiver.association.mline_index or 0, transceiver.association.section)
            for transceiver in self.transceivers
            if transceiver.is_live and transceiver.association.section is not None
        ]
        return tuple(section for _, section in sorted(sections, key=lambda pair: pair[0]) if section is not None)

    @property
    def live_sections(self) -> dict[int, str | None]:
        """The sections that stable transceivers have, and their mids."""
        stable = self.transceivers.stable.values()
        return {each.mline_index: each.mid for each in stable if each.mline_index is not None}

    @property
    def is_needed(self) -> bool:
        """True where an offer would bring about what is wanted of a transceiver (W3C WebRTC section 4.7.3)."""
        return is_media_negotiation_needed(self._exchange, self.transceivers)

    @property
    def has_something_to_offer(self) -> bool:
        """True where an offer would have a section of audio or video."""
        return any(transceiver.is_live for transceiver in self.transceivers)

    def transceiver(self, handle: int) -> TransceiverInfo:
        """What there is to know of a transceiver; InvalidState for one that has ended, InvalidArgument else."""
        return _inform(self.transceivers.of(handle))

    def infos(self) -> tuple[TransceiverInfo, ...]:
        """All transceivers that have not ended."""
        return tuple(_inform(transceiver) for transceiver in self.transceivers)

    # -- steps of the exchange ---------------------------------------------------------------------------------------

    def on_local_offer(self, handles: Mapping[int, int], media: Mapping[int, MediaTerms]) -> None:
        """Our offer is in force: its sections belong to their transceivers (RFC 9429 section 5.9)."""
        self._begin()
        for index, handle in handles.items():
            transceiver = self.transceivers.find(handle)
            if transceiver is not None:
                transceiver.association = attrs.evolve(transceiver.association, mid=media[index].mid, mline_index=index)

    def match_offer(self) -> OfferMatching:
        """Begin to find transceivers for the sections of a peer's offer; nothing changes by it."""
        return OfferMatching(
            self.transceivers, self.transceivers.stable, self.author, accepts_media=self._config.accepts_media
        )

    def on_remote_offer(
        self, matching: OfferMatching, media: Mapping[int, MediaTerms], mids: set[str]
    ) -> list[TransceiverChange]:
        """The peer's offer is in force: its sections have their transceivers (RFC 9429 section 5.10)."""
        changes = self.roll_back()
        self._begin()
        for index, terms in sorted(media.items()):
            self.author.numbering.note(terms, self._config.media.of(terms.kind).rows)
            handle = matching.handles[index]
            if handle is None:
                newcomer = TransceiverOptions(direction=Direction.RECVONLY)
                transceiver = self._add(terms.kind, newcomer, is_from_peer=True)
            else:
                transceiver = self.transceivers.of(handle)
            told = self._on_offered(transceiver, terms, mids)
            changes += [transceiver.change(TransceiverAction.ADDED), *told] if handle is None else told
        return changes

    def _on_offered(self, transceiver: Transceiver, terms: MediaTerms, mids: set[str]) -> list[TransceiverChange]:
        before = transceiver.association
        is_new = before.mline_index is None
        transceiver.association = attrs.evolve(
            before,
            mid=(matched_mid(terms, mids) if is_new else before.mid),
            mline_index=terms.mline_index,
            is_heard=terms.is_sending,
            streams=terms.streams,
            encodings=self._asked_encodings(transceiver, terms) if is_new else before.encodings,
        )
        return tell_difference(transceiver, before)

    def _asked_encodings(self, transceiver: Transceiver, terms: MediaTerms) -> tuple[Encoding, ...]:
        """A peer that asks for a simulcast gets its layers of a sender that has none of its own (W3C 4.4.1.5)."""
        own = transceiver.association.encodings
        rids = terms.received[: self._config.media.encoding_count_max]
        if len(rids) < 2 or len(own) != 1 or own[0].rid:
            return own
        return self.transceivers.draw_encodings(transceiver.kind, [EncodingSettings(rid=rid) for rid in rids])

    def on_answer(
        self,
        local: Mapping[int, MediaTerms],
        remote: Mapping[int, MediaTerms],
        *,
        is_local_offer: bool,
        is_final: bool,
    ) -> list[TransceiverChange]:
        """An answer is in force (RFC 9429 section 5.11)."""
        changes: list[TransceiverChange] = []
        for transceiver in self.transceivers:
            before = transceiver.association
            index = before.mline_index
            if index is None:
                continue
            if index in local and index in remote:
                self._settle(transceiver, local[index], remote[index], is_local_offer=is_local_offer)
                if is_final and is_local_offer:
                    _keep_agreed_encodings(transceiver)
            else:
                transceiver.association = attrs.evolve(
                    before, section=None, current_direction=None, is_heard=False, is_stopped=is_final
                )
            changes += tell_difference(transceiver, before)
        if is_final:
            self.transceivers.commit()
            self.transceivers.forget_stopped()
            self._saved_numbering = None
        return changes

    def _settle(self, transceiver: Transceiver, local: MediaTerms, remote: MediaTerms, *, is_local_offer: bool) -> None:
        association = transceiver.association
        section = settle(transceiver.handle, association.encodings, local, remote, is_local_offer=is_local_offer)
        direction = settled_direction(local, remote)
        transceiver.association = attrs.evolve(
            association,
            section=section,
            current_direction=direction,
            is_heard=direction in _RECEIVING,
            streams=remote.streams,
            rids=association.rids if section.receive is None else section.receive.rids,
        )
        if is_local_offer:
            self.author.numbering.note(remote, self._config.media.of(remote.kind).rows)

    def _begin(self) -> None:
        self.transceivers.begin()
        if self._saved_numbering is None:
            self._saved_numbering = self.author.numbering.copy()

    def roll_back(self) -> list[TransceiverChange]:
        """The offer is given up (RFC 9429 section 5.7); without effect where there is none."""
        if self._saved_numbering is None:
            return []
        self.author = attrs.evolve(self.author, numbering=self._saved_numbering)
        self._saved_numbering = None
        return self.transceivers.roll_back()


def _keep_agreed_encodings(transceiver: Transceiver) -> None:
    """The layers that the peer does not take are gone for good (W3C WebRTC section 4.4.1.5, RFC 9429 section 3.7)."""
    association = transceiver.association
    section = association.section
    if section is None or section.send is None or len(section.send.encodings) == len(association.encodings):
        return
    agreed = {encoding.ssrc for encoding in section.send.encodings}
    kept = tuple(encoding for encoding in association.encodings if encoding.ssrc in agreed)
    if len(kept) == 1:
        kept = (attrs.evolve(kept[0], rid=section.send.encodings[0].rid),)
    transceiver.association = attrs.evolve(association, encodings=kept)


def matched_mid(terms: MediaTerms, mids: set[str]) -> str:
    """The mid of a section, or one that is made up where the peer does not use any (RFC 9429 section 5.10)."""
    if terms.mid is not None:
        return terms.mid
    mid = next(str(number) for number in range(len(mids) + 1) if str(number) not in mids)
    mids.add(mid)
    return mid


def _inform(transceiver: Transceiver) -> TransceiverInfo:
    association = transceiver.association
    return TransceiverInfo(
        handle=transceiver.handle,
        kind=transceiver.kind,
        mid=association.mid,
        direction=transceiver.direction,
        current_direction=association.current_direction,
        is_stopping=transceiver.is_stopping,
        streams=transceiver.streams,
        remote_streams=association.streams,
        encodings=association.encodings,
        codec_preferences=transceiver.preferred,
        section=association.section if transceiver.is_live else None,
    )
