"""Making the text of offers and answers (RFC 9429 sections 5.2 and 5.3), for data channels.

Everything here is a pure function of what it is given; identifiers and versions are drawn by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs

from sans_rtc.peer.negotiation_types import LocalTransport
from sans_rtc.peer.remote_description import DATA_FORMAT, DataTerms, is_legacy
from sans_rtc.sdp.attributes import (
    CANDIDATE,
    END_OF_CANDIDATES,
    FINGERPRINT,
    GROUP,
    ICE_LITE,
    ICE_OPTIONS,
    ICE_PWD,
    ICE_UFRAG,
    INACTIVE,
    MAX_MESSAGE_SIZE,
    MID,
    SCTP_PORT,
    SCTPMAP,
    SETUP,
    TLS_ID,
)
from sans_rtc.sdp.description import Attribute, Field, Lines, MediaDescription, SessionDescription
from sans_rtc.sdp.values import Connection, Fingerprint, Group, Origin, SctpMap, Setup, Timing

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
    """One media section of an offer that is to be made.

    media    the section as the local description had it; None for a new one
    is_data  the data section is to be here
    mid      of the data section; None where the peer does not use mids
    """

    media: MediaDescription | None
    is_data: bool = False
    mid: str | None = None


def plan_offer(previous: SessionDescription | None, live_index: int | None, mids_used: Iterable[str]) -> list[Slot]:
    """Lay out the sections of an offer: those before stay, and data take a new one or one that is free.

    previous    the local description in force, None before the first
    live_index  its data section that is in use; all others have port 0
    mids_used   by either end, in any section
    Source      RFC 3264 section 8, RFC 9429 section 5.2.2
    """
    slots = [Slot(media) for media in previous.media] if previous is not None else []
    if live_index is not None:
        media = slots[live_index].media
        assert media is not None
        slots[live_index] = Slot(media, True, media.mid)
        return slots
    fresh = Slot(None, True, _new_mid(mids_used))
    # A slot is recycled under a new mid. It must have been for data: Firefox refuses an m-line that changes from audio
    # or video to application, which RFC 3264 section 8.3.3 would allow.
    free = next((index for index, slot in enumerate(slots) if slot.media and slot.media.kind == "application"), None)
    if free is None:
        slots.append(fresh)
    else:
        slots[free] = fresh
    return slots


def _new_mid(mids_used: Iterable[str]) -> str:
    """RFC 9429 section 5.2.1: a mid that tells nothing and is short: the least number that is free."""
    used = set(mids_used)
    return next(str(number) for number in range(len(used) + 1) if str(number) not in used)


def build_offer(
    slots: Sequence[Slot], transport: LocalTransport, tls_id: str | None, session_id: int
) -> SessionDescription:
    """Make an offer with session version 0."""
    description = _build_session(session_id, transport, (*ICE_OPTIONS_OFFERED, *transport.ice_options))
    bundled = tuple(slot.mid for slot in slots if slot.mid is not None)
    if bundled:
        description.lines.add(GROUP, Group("BUNDLE", bundled))
    for slot in slots:
        if not slot.is_data:
            assert slot.media is not None
            description.media.append(build_rejected(slot.media))
            continue
        media = MediaDescription("application", DUMMY_PORT, DATA_PROTOCOL, [DATA_FORMAT])
        _fill_data(media, transport, Setup.ACTPASS, slot.mid, tls_id)
        description.media.append(media)
    return description


def build_answer(
    offer: SessionDescription,
    terms: DataTerms,
    transport: LocalTransport,
    setup: Setup,
    tls_id: str | None,
    session_id: int,
) -> SessionDescription:
    """Make an answer with session version 0: the data section of `terms` is accepted, all others are rejected."""
    # RFC 9429 section 5.3.1: an option is answered where it was offered.
    known = (*ICE_OPTIONS_OFFERED, *transport.ice_options)
    options = tuple(option for option in known if option in terms.ice_options)
    description = _build_session(session_id, transport, options)
    if terms.mid is not None and any(terms.mid in group.mids for group in offer.bundle_groups):
        # RFC 9143 sections 7.3.1 and 7.3.3: sections that are rejected leave the group, and the first that is left
        # is its tag, which carries the transport. That is the data section, whatever stood before it.
        description.lines.add(GROUP, Group("BUNDLE", (terms.mid,)))
    description.media = [build_rejected(media) for media in offer.media]
    offered = offer.media[terms.mline_index]
    media = MediaDescription(offered.kind, DUMMY_PORT, offered.protocol, _answer_formats(offered, transport))
    _fill_data(media, transport, setup, offered.mid, tls_id)
    description.media[terms.mline_index] = media
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
    return description


def _fill_data(
    media: MediaDescription, transport: LocalTransport, setup: Setup, mid: str | None, tls_id: str | None
) -> None:
    """The lines of a data section that carries the transport."""
    lines = media.lines
    lines.add_field("c", DUMMY_ADDRESS)
    if mid is not None:
        lines.add(MID, mid)
    lines.add(ICE_UFRAG, transport.ice_ufrag)
    lines.add(ICE_PWD, transport.ice_pwd)
    for fingerprint in transport.fingerprints:
        lines.add(FINGERPRINT, Fingerprint.parse(fingerprint))
    lines.add(SETUP, setup)
    if tls_id is not None:
        lines.add(TLS_ID, tls_id)
    if is_legacy(media):
        lines.add(SCTPMAP, SctpMap(transport.sctp_port, DATA_FORMAT, _SCTP_STREAMS))
    else:
        lines.add(SCTP_PORT, transport.sctp_port)
    lines.add(MAX_MESSAGE_SIZE, transport.max_message_size)
    for candidate in transport.candidates:
        lines.add(CANDIDATE, candidate.removeprefix("candidate:"))
    if transport.end_of_candidates:
        lines.add(END_OF_CANDIDATES, True)
    _set_default(media)


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
