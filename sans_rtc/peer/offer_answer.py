"""Making the text of offers and answers (RFC 9429 sections 5.2 and 5.3).

Everything here is a pure function of what it is given; identifiers and versions are drawn by the caller.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import attrs

from sans_rtc.peer.media_terms import MEDIA_PROTOCOL, MediaTerms, write_media
from sans_rtc.peer.negotiation_types import LocalTransport
from sans_rtc.peer.terms import DATA_FORMAT, is_legacy
from sans_rtc.sdp.attributes import (
    BUNDLE_ONLY,
    CANDIDATE,
    END_OF_CANDIDATES,
    EXTMAP_ALLOW_MIXED,
    FINGERPRINT,
    GROUP,
    ICE_LITE,
    ICE_OPTIONS,
    ICE_PACING,
    ICE_PWD,
    ICE_UFRAG,
    INACTIVE,
    MAX_MESSAGE_SIZE,
    MID,
    RTCP,
    RTCP_MUX_ONLY,
    SCTP_PORT,
    SCTPMAP,
    SETUP,
    TLS_ID,
)
from sans_rtc.sdp.description import Attribute, Field, Lines, MediaDescription, SessionDescription
from sans_rtc.sdp.values import Connection, Fingerprint, Group, Origin, RtcpDestination, SctpMap, Setup, Timing

DATA_PROTOCOL = "UDP/DTLS/SCTP"
# RFC 9429 section 5.2.1: both options, in every offer.
ICE_OPTIONS_OFFERED = ("trickle", "ice2")
# RFC 8838 section 4 and RFC 9429 section 5.2.1: "no candidate yet" is the discard port of no address.
DUMMY_PORT = 9
DUMMY_ADDRESS = Connection("0.0.0.0")
STATIC_FORMAT = "0"  # PCMU, which needs no rtpmap (RFC 3551 section 6)
# RFC 8445 section 5.1.4: the default destination is the candidate most likely to work with a peer without ICE.
_TYPE_RANK = {"relay": 3, "srflx": 2, "prflx": 1, "host": 0}
_SCTP_STREAMS = 65_535


@attrs.frozen(slots=True)
class Slot:
    """One section of an offer that is to be made.

    before          the section as the local description had it; None for a new one
    mid             None where the section is disabled, and where the peer does not use mids
    is_data         it is the data section
    terms           of audio or video
    is_answered     both ends have it already
    is_bundle_only  it names no transport of its own
    """

    before: MediaDescription | None
    mid: str | None = None
    is_data: bool = False
    terms: MediaTerms | None = None
    is_answered: bool = False
    is_bundle_only: bool = False

    @property
    def is_used(self) -> bool:
        """True where the section is not disabled."""
        return self.is_data or self.terms is not None


def build_offer(
    slots: Sequence[Slot],
    facts: LocalTransport,
    tls_id: str | None,
    session_id: int,
    tag: int | None,
    spread: Collection[int],
) -> SessionDescription:
    """Make an offer with session version 0.

    tag     the section that the transport belongs to, None where no section is in use
    spread  the sections that tell the candidates
    """
    description = _build_session(session_id, facts, (*ICE_OPTIONS_OFFERED, *facts.ice_options))
    ordered = sorted(range(len(slots)), key=lambda index: index != tag)
    bundled = tuple(mid for index in ordered if (mid := slots[index].mid) is not None)
    if bundled:
        description.lines.add(GROUP, Group("BUNDLE", bundled))
    if any(slot.terms is not None and slot.terms.allows_mixed for slot in slots):
        description.lines.add(EXTMAP_ALLOW_MIXED, True)
    for index, slot in enumerate(slots):
        if not slot.is_used:
            assert slot.before is not None
            description.media.append(build_rejected(slot.before))
            continue
        if slot.terms is None:
            media = MediaDescription("application", DUMMY_PORT, DATA_PROTOCOL, [DATA_FORMAT])
        else:
            media = MediaDescription(slot.terms.kind, DUMMY_PORT, MEDIA_PROTOCOL, _numbers(slot.terms))
        transport = None
        if not slot.is_bundle_only:
            # RFC 9429 section 5.2.2: a section that is agreed on has RTP and RTCP multiplexed, and needs neither line.
            is_new = slot.terms is not None and not slot.is_answered
            transport = SectionTransport(
                facts, Setup.ACTPASS, tls_id, index in spread, tells_rtcp=is_new, is_mux_only=is_new
            )
        _fill(media, transport, facts, slot.mid, slot.terms)
        description.media.append(media)
    return description


@attrs.frozen(slots=True)
class SectionTransport:
    """What a section tells of the transport.

    tells_rtcp   `a=rtcp`, which only those need who do not know `a=rtcp-mux`
    is_mux_only  `a=rtcp-mux-only` (RFC 8858): without multiplexing the section cannot be
    """

    facts: LocalTransport
    setup: Setup
    tls_id: str | None
    has_candidates: bool
    tells_rtcp: bool = False
    is_mux_only: bool = False


@attrs.frozen(slots=True)
class Accepted:
    """What an answer takes of an offer.

    tag    the section that the transport belongs to
    data   the data section, None where there is none
    media  terms of audio and video
    """

    tag: int
    data: int | None
    media: Mapping[int, MediaTerms]

    @property
    def indices(self) -> list[int]:
        """The sections that are taken, the tagged one first."""
        others = sorted((*self.media, *(() if self.data is None else (self.data,))))
        return [self.tag, *(index for index in others if index != self.tag)]


def build_answer(
    offer: SessionDescription,
    accepted: Accepted,
    ice_options: Collection[str],
    facts: LocalTransport,
    setup: Setup,
    tls_id: str | None,
    session_id: int,
) -> SessionDescription:
    """Make an answer with session version 0: what is accepted is taken, all else is rejected.

    ice_options  of the offer
    """
    # RFC 9429 section 5.3.1: an option is answered where it was offered.
    known = (*ICE_OPTIONS_OFFERED, *facts.ice_options)
    description = _build_session(session_id, facts, tuple(option for option in known if option in ice_options))
    mids = [offer.media[index].mid for index in accepted.indices]
    grouped = {mid for group in offer.bundle_groups for mid in group.mids}
    bundled = tuple(mid for mid in mids if mid is not None and mid in grouped)
    if bundled:
        # RFC 9143 sections 7.3.1 and 7.3.3: sections that are rejected leave the group, and the first that is left
        # is its tag, which carries the transport, whatever stood before it.
        description.lines.add(GROUP, Group("BUNDLE", bundled))
    if offer.lines.has(EXTMAP_ALLOW_MIXED) and any(terms.allows_mixed for terms in accepted.media.values()):
        description.lines.add(EXTMAP_ALLOW_MIXED, True)
    for index, offered in enumerate(offer.media):
        if index not in accepted.indices:
            description.media.append(build_rejected(offered))
            continue
        terms = accepted.media.get(index)
        formats = _answer_formats(offered, facts) if terms is None else _numbers(terms)
        media = MediaDescription(offered.kind, DUMMY_PORT, offered.protocol, formats)
        is_tag = index == accepted.tag
        # RFC 9143 section 9.3.1.2: the tag repeats it where it was offered.
        is_mux_only = is_tag and terms is not None and offered.lines.has(RTCP_MUX_ONLY)
        section = SectionTransport(facts, setup, tls_id, is_tag, is_mux_only=is_mux_only)
        _fill(media, section, facts, offered.mid, terms)
        description.media.append(media)
    return description


def build_rejection(offer: SessionDescription, transport: LocalTransport, session_id: int) -> SessionDescription:
    """Make an answer with session version 0 that rejects every section (RFC 3264 section 6)."""
    description = _build_session(session_id, transport, ())
    description.media = [build_rejected(media) for media in offer.media]
    return description


def build_rejected(media: MediaDescription) -> MediaDescription:
    """The section with port 0, as an answer rejects it and a later offer keeps it (RFC 3264 sections 6 and 8.2)."""
    is_rtp = "RTP" in media.protocol.upper()
    # RFC 3264 section 6: "Any media formats listed are ignored. At least one MUST be present, as specified by SDP."
    # pion does look at them and wants a rtpmap for each, except for static ones as libwebrtc lists them here.
    formats = [STATIC_FORMAT] if is_rtp else list(media.formats)
    rejected = MediaDescription(media.kind, 0, media.protocol, formats)
    rejected.lines.add_field("c", DUMMY_ADDRESS)
    mid = media.mid
    if mid is not None:
        rejected.lines.add(MID, mid)
    if is_rtp:
        rejected.lines.add(INACTIVE, True)
    return rejected


def with_version(description: SessionDescription, version: int) -> SessionDescription:
    """The same description under another session version."""
    items: list[Field | Attribute] = [
        Field("o", str(attrs.evolve(description.origin, session_version=version)))
        if isinstance(item, Field) and item.type == "o"
        else item
        for item in description.lines.items
    ]
    return SessionDescription(Lines(items), description.media)


def with_candidates(
    description: SessionDescription, index: int, candidates: Sequence[str], is_complete: bool, *, is_local: bool
) -> SessionDescription:
    """The same description with candidates added to the section at an index.

    is_local  the default destination in `m=` and `c=` follows the candidates (RFC 9429 section 5.2.2)
    """
    old = description.media[index]
    media = attrs.evolve(old, lines=Lines([*old.lines.items]))
    for candidate in candidates:
        media.lines.add(CANDIDATE, candidate.removeprefix("candidate:"))
    if is_complete and not media.lines.has(END_OF_CANDIDATES):
        media.lines.add(END_OF_CANDIDATES, True)
    if is_local:
        _set_default(media)
    sections = [media if number == index else section for number, section in enumerate(description.media)]
    return SessionDescription(description.lines, sections)


# -- parts -----------------------------------------------------------------------------------------------------------


def _build_session(session_id: int, transport: LocalTransport, ice_options: tuple[str, ...]) -> SessionDescription:
    """RFC 9429 section 5.2.1: v=, o=, s=, t=, and what is said once; the group follows."""
    description = SessionDescription()
    lines = description.lines
    lines.add_field("v", 0)
    lines.add_field("o", Origin("-", session_id, 0))
    lines.add_field("s", "-")
    lines.add_field("t", Timing())
    if transport.ice_lite:
        lines.add(ICE_LITE, True)
    if ice_options:
        lines.add(ICE_OPTIONS, ice_options)
    if transport.ice_pacing_ms is not None and not transport.ice_lite:
        lines.add(ICE_PACING, transport.ice_pacing_ms)
    return description


def _numbers(terms: MediaTerms) -> list[str]:
    return [str(format_.payload_type) for format_ in terms.formats]


def _fill(
    media: MediaDescription,
    transport: SectionTransport | None,
    facts: LocalTransport,
    mid: str | None,
    terms: MediaTerms | None,
) -> None:
    """The lines of a section; None for a transport makes it bundle-only (RFC 9143 section 6)."""
    lines = media.lines
    lines.add_field("c", DUMMY_ADDRESS)
    if transport is not None and transport.tells_rtcp:
        lines.add(RTCP, RtcpDestination(DUMMY_PORT, DUMMY_ADDRESS))
    if mid is not None:
        lines.add(MID, mid)
    if transport is None:
        lines.add(BUNDLE_ONLY, True)
    else:
        lines.add(ICE_UFRAG, facts.ice_ufrag)
        lines.add(ICE_PWD, facts.ice_pwd)
        for fingerprint in facts.fingerprints:
            lines.add(FINGERPRINT, Fingerprint.parse(fingerprint))
        lines.add(SETUP, transport.setup)
        if transport.tls_id is not None:
            lines.add(TLS_ID, transport.tls_id)
        if transport.is_mux_only:
            lines.add(RTCP_MUX_ONLY, True)
    if terms is None:
        _fill_data(media, facts)
    else:
        write_media(media, terms)
    if transport is not None and transport.has_candidates:
        for candidate in facts.candidates:
            lines.add(CANDIDATE, candidate.removeprefix("candidate:"))
        if facts.end_of_candidates:
            lines.add(END_OF_CANDIDATES, True)
    _set_default(media)
    if transport is None:
        media.port = 0


def _fill_data(media: MediaDescription, facts: LocalTransport) -> None:
    if is_legacy(media):
        media.lines.add(SCTPMAP, SctpMap(facts.sctp_port, DATA_FORMAT, _SCTP_STREAMS))
    else:
        media.lines.add(SCTP_PORT, facts.sctp_port)
    media.lines.add(MAX_MESSAGE_SIZE, facts.max_message_size)


def _answer_formats(offered: MediaDescription, transport: LocalTransport) -> list[str]:
    """RFC 9429 section 5.3.1: the format that was offered; in the form before RFC 8841 it is one's own port."""
    return [str(transport.sctp_port)] if is_legacy(offered) else list(offered.formats)


def _set_default(media: MediaDescription) -> None:
    """Name the default destination in `m=` and `c=`: that of the best candidate, or none (RFC 8839 section 4.2.1.2)."""
    connection, media.port = default_destination(media.candidates)
    media.lines.items = [
        Field("c", str(connection)) if isinstance(item, Field) and item.type == "c" else item
        for item in media.lines.items
    ]


def default_destination(candidates: Sequence[str]) -> tuple[Connection, int]:
    """The address and port of the candidate that suits a default best; the dummy where none does.

    Relayed before reflexive before host (RFC 8445 section 5.1.4), then IPv4 before IPv6, then the first. Names such as
    `.local` are not told here, nor is TCP: both ends then have the dummy, which is no mismatch (RFC 8839 4.2.5).
    """
    best, best_rank = (DUMMY_ADDRESS, DUMMY_PORT), (-1, -1)
    for candidate in candidates:
        words = candidate.split(" ")
        if len(words) < 8 or words[1] != "1" or words[2].lower() != "udp" or not words[5].isdecimal():
            continue
        host, port = words[4], int(words[5])
        version = 6 if ":" in host else 4 if host.replace(".", "").isdecimal() else 0
        rank = (_TYPE_RANK.get(words[7], -1), 10 - version)
        if version and port <= 65_535 and rank > best_rank:
            best, best_rank = (Connection(host, f"IP{version}"), port), rank
    return best
