"""What a remote description says of the data section, and whether it can be taken (RFC 9429 sections 5.8.3 and 5.10).

Nothing here changes anything. What is malformed raises `WireError`, what is well formed and cannot be taken raises
`InvalidArgument` with a sentence about it.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.negotiation_types import LocalTransport, RejectedSection
from sans_rtc.sdp.attributes import (
    END_OF_CANDIDATES,
    FINGERPRINT,
    ICE_OPTIONS,
    ICE_PWD,
    ICE_UFRAG,
    MAX_MESSAGE_SIZE,
    SCTP_PORT,
    SCTPMAP,
    SETUP,
    TLS_ID,
)
from sans_rtc.sdp.description import MediaDescription, SessionDescription
from sans_rtc.sdp.values import Setup

DATA_FORMAT = "webrtc-datachannel"
# RFC 9429 section 5.1.2: the three that an implementation has to take.
DATA_PROTOCOLS = frozenset({"UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP"})
LEGACY_PROTOCOL = "DTLS/SCTP"  # from before RFC 8841: the format is the SCTP port, `a=sctpmap` says what runs on it
# RFC 8841 section 6.1: what an absent max-message-size stands for.
MESSAGE_SIZE_ABSENT = 65_536
# RFC 8122 section 5: name and length in bytes. MD2 and MD5 must not be used, what is unknown cannot be. Which of the
# others prove enough is for DTLS to say.
HASH_BYTES: Mapping[str, int] = {"sha-1": 20, "sha-224": 28, "sha-256": 32, "sha-384": 48, "sha-512": 64}


@attrs.frozen(slots=True)
class DataTerms:
    """What a description says of its data section, session-level attributes included.

    setup   None where there is none
    tls_id  None where there is none
    """

    mline_index: int
    mid: str | None
    ice_ufrag: str
    ice_pwd: str = attrs.field(repr=False)
    ice_lite: bool
    ice_options: tuple[str, ...]
    fingerprints: tuple[str, ...]
    setup: Setup | None
    tls_id: str | None
    sctp_port: int
    max_message_size: int
    candidates: tuple[str, ...]
    end_of_candidates: bool

    def is_same_generation(self, other: DataTerms | LocalTransport) -> bool:
        """True where the ICE credentials are the same; another value of either is a restart (RFC 9429 section 5.10)."""
        return (self.ice_ufrag, self.ice_pwd) == (other.ice_ufrag, other.ice_pwd)


@attrs.frozen(slots=True)
class Reading:
    """A remote description, looked at section by section.

    terms          of the data section that can be accepted; None where there is none
    rejected       the sections that will not be used, and why; disabled ones are not among them
    """

    terms: DataTerms | None
    rejected: tuple[RejectedSection, ...]


def is_data_section(media: MediaDescription) -> bool:
    """True where the section is for WebRTC data channels, in the form of RFC 8841 or the one before it."""
    if media.kind.lower() != "application" or media.protocol.upper() not in DATA_PROTOCOLS:
        return False
    if DATA_FORMAT in (format_.lower() for format_ in media.formats):
        return True
    return media.protocol.upper() == LEGACY_PROTOCOL and any(
        sctpmap.protocol.lower() == DATA_FORMAT and str(sctpmap.port) in media.formats
        for sctpmap in media.lines.all(SCTPMAP)
    )


def is_legacy(media: MediaDescription) -> bool:
    """True where a data section has the form from before RFC 8841: its format is a port."""
    return DATA_FORMAT not in (format_.lower() for format_ in media.formats)


def check_mids(description: SessionDescription) -> None:
    """RFC 5888 section 4: a mid names one section of a description."""
    mids = [mid for media in description.media if (mid := media.mid) is not None]
    if len(set(mids)) != len(mids):
        raise InvalidArgument("two media sections have the same mid")


# -- offers ----------------------------------------------------------------------------------------------------------


def read_offer(description: SessionDescription, previous: SessionDescription | None, live_index: int | None) -> Reading:
    """Read a remote offer.

    previous    the remote description that it follows, None for the first
    live_index  where the data section stands that is in use, None where there is none
    """
    check_mids(description)
    _check_continuity(description, previous, live_index)
    tags = _bundle_tags(description)
    chosen = _choose(description, live_index, tags)
    rejected = []
    terms = None
    for index, media in enumerate(description.media):
        if media.is_disabled:
            continue
        reason = _refusal(description, index, chosen, tags)
        if reason is None:
            terms = read_terms(description, index)
            continue
        if index == live_index:
            raise InvalidArgument(f"the offer would end the data section that is in use: {reason}")
        rejected.append(RejectedSection(index, media.mid, media.kind, reason))
    return Reading(terms, tuple(rejected))


def _check_continuity(
    description: SessionDescription, previous: SessionDescription | None, live_index: int | None
) -> None:
    """RFC 3264 section 8: sections stay where they are; RFC 9429 section 5.2.2: and keep their mid while in use."""
    if previous is None:
        return
    if len(description.media) < len(previous.media):
        raise InvalidArgument(
            f"the offer has {len(description.media)} media sections, and the one before had {len(previous.media)}"
        )
    if live_index is None or description.media[live_index].is_disabled:
        return
    media = description.media[live_index]
    if not is_data_section(media):
        raise InvalidArgument(f"media section {live_index} is in use for data, and the offer has {media.kind} there")
    if media.mid != previous.media[live_index].mid:
        raise InvalidArgument(f"the offer renames the data section, which is in use, to mid {media.mid}")


def _bundle_tags(description: SessionDescription) -> dict[str, str]:
    """For each bundled mid the mid that its group's transport belongs to (RFC 9143 section 7.2.1)."""
    tags: dict[str, str] = {}
    for group in description.bundle_groups:
        for mid in group.mids:
            tags.setdefault(mid, group.mids[0])
    return tags


def _choose(description: SessionDescription, live_index: int | None, tags: Mapping[str, str]) -> int | None:
    """The data section to be accepted: the one in use where the offer keeps it, else the first that can be."""
    if live_index is not None and not description.media[live_index].is_disabled:
        return live_index
    indices = (index for index, media in enumerate(description.media) if not media.is_disabled)
    return next((index for index in indices if _data_refusal(description, index, tags) is None), None)


def _refusal(description: SessionDescription, index: int, chosen: int | None, tags: Mapping[str, str]) -> str | None:
    """Why a section is not accepted; None where it is."""
    reason = _data_refusal(description, index, tags)
    if reason is None and index != chosen:
        return "there is another data section"
    return reason


def _data_refusal(description: SessionDescription, index: int, tags: Mapping[str, str]) -> str | None:
    media = description.media[index]
    if not is_data_section(media):
        return f"{media.kind} over {media.protocol} is not supported"
    if not is_legacy(media) and media.lines.first(SCTP_PORT) == 0:
        return "its SCTP port is 0"
    # RFC 9143 section 7.3.3: a section without a transport of its own goes where the tag of its BUNDLE group goes, and
    # the sections that could be the tag are rejected.
    mid = media.mid
    tag = None if mid is None else tags.get(mid)
    is_dependent = media.is_bundle_only if tag is None else tag != mid
    if is_dependent and (media.is_bundle_only or description.effective(media, ICE_UFRAG) is None):
        return "it is bundled onto the transport of a section that is not accepted"
    return None


# -- answers ---------------------------------------------------------------------------------------------------------


def read_answer(description: SessionDescription, offer: SessionDescription, data_index: int) -> Reading:
    """Read a remote answer.

    offer       the local offer that it answers
    data_index  where the offer has its data section; the other sections it has are disabled
    """
    check_mids(description)
    _check_answer(description, offer)
    media = description.media[data_index]
    if media.is_disabled:
        reason = "the peer rejected it"
    elif not is_legacy(media) and media.lines.first(SCTP_PORT) == 0:
        reason = "the peer answered with SCTP port 0"
    else:
        return Reading(_check_answer_setup(read_terms(description, data_index)), ())
    return Reading(None, (RejectedSection(data_index, offer.media[data_index].mid, media.kind, reason),))


def _check_answer(description: SessionDescription, offer: SessionDescription) -> None:
    """RFC 3264 section 6, RFC 9429 section 5.8.3: an answer has the offer's sections, in the offer's order."""
    if len(description.media) != len(offer.media):
        raise InvalidArgument(
            f"the answer has {len(description.media)} media sections, and the offer had {len(offer.media)}"
        )
    for index, (answered, offered) in enumerate(zip(description.media, offer.media, strict=True)):
        if answered.kind.lower() != offered.kind.lower():
            raise InvalidArgument(f"media section {index} is {answered.kind}, and {offered.kind} was offered")
        if answered.protocol.upper() != offered.protocol.upper():
            raise InvalidArgument(f"media section {index} has {answered.protocol}, {offered.protocol} was offered")
        if answered.mid not in (None, offered.mid):
            raise InvalidArgument(f"media section {index} has mid {answered.mid}, and {offered.mid} was offered")
        if offered.is_disabled and not answered.is_disabled:
            raise InvalidArgument(f"media section {index} was offered with port 0, and the answer takes it")
    _check_answer_bundle(description, offer)


def _check_answer_bundle(description: SessionDescription, offer: SessionDescription) -> None:
    """RFC 9143 section 7.4: what the answer bundles, the offer has bundled."""
    offered = {mid for group in offer.bundle_groups for mid in group.mids}
    for mid in (mid for group in description.bundle_groups for mid in group.mids):
        if mid not in offered:
            raise InvalidArgument(f"the answer bundles mid {mid}, which was not offered so")
        index = offer.index_of(mid)
        if index is not None and description.media[index].is_disabled:
            raise InvalidArgument(f"the answer bundles mid {mid}, which it rejects")


def _check_answer_setup(terms: DataTerms) -> DataTerms:
    """RFC 8842 section 5.3: an answer is active or passive."""
    if terms.setup not in (Setup.ACTIVE, Setup.PASSIVE):
        said = "no a=setup" if terms.setup is None else f"a=setup:{terms.setup}"
        raise InvalidArgument(f"an answer says a=setup:active or a=setup:passive, and this one has {said}")
    return terms


# -- the terms -------------------------------------------------------------------------------------------------------


def read_terms(description: SessionDescription, index: int) -> DataTerms:
    """Read what a description says of the data section at an index; InvalidArgument where something is missing."""
    media = description.media[index]
    ufrag = description.effective(media, ICE_UFRAG)
    pwd = description.effective(media, ICE_PWD)
    if ufrag is None or pwd is None:
        raise InvalidArgument(f"the data section (mid {media.mid}) has no ICE credentials")
    sctp_port, message_size = _read_sctp(media)
    return DataTerms(
        mline_index=index,
        mid=media.mid,
        ice_ufrag=ufrag,
        ice_pwd=pwd,
        ice_lite=description.is_ice_lite,
        ice_options=description.effective(media, ICE_OPTIONS) or (),
        fingerprints=_read_fingerprints(description, media),
        setup=description.effective(media, SETUP),
        tls_id=description.effective(media, TLS_ID),
        sctp_port=sctp_port,
        max_message_size=message_size,
        candidates=tuple(media.candidates),
        end_of_candidates=bool(description.effective(media, END_OF_CANDIDATES)),
    )


def _read_fingerprints(description: SessionDescription, media: MediaDescription) -> tuple[str, ...]:
    usable = []
    for fingerprint in description.effective_all(media, FINGERPRINT):
        length = HASH_BYTES.get(fingerprint.algorithm)
        if length is None:
            continue
        if len(fingerprint.value) != length:
            raise InvalidArgument(
                f"a {fingerprint.algorithm} fingerprint has {length} bytes, not {len(fingerprint.value)}"
            )
        usable.append(str(fingerprint))
    if not usable:
        raise InvalidArgument(f"the data section (mid {media.mid}) has no certificate fingerprint that can be checked")
    return tuple(dict.fromkeys(usable))


def _read_sctp(media: MediaDescription) -> tuple[int, int]:
    """The SCTP port and the longest message, bytes."""
    message_size = media.lines.first(MAX_MESSAGE_SIZE)
    if message_size is None:
        message_size = MESSAGE_SIZE_ABSENT
    if is_legacy(media):
        ports = [sctpmap.port for sctpmap in media.lines.all(SCTPMAP) if sctpmap.protocol.lower() == DATA_FORMAT]
        port: int | None = next((port for port in ports if port != 0), None)
    else:
        port = media.lines.first(SCTP_PORT)
    if port is None:
        raise InvalidArgument(f"the data section (mid {media.mid}) has no SCTP port")
    return port, message_size
