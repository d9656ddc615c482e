"""Which sections of a remote description are taken, and which are not and why (RFC 9429 sections 5.8.3 and 5.10).

    read_offer    finds or foresees a transceiver for each section of media, and the transport of all
    read_answer   pairs each section with the one that was offered

Nothing here changes anything. What is malformed raises `WireError`, what is well formed and cannot be taken raises
`InvalidArgument` with a sentence about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.bundling import NOT_BUNDLED, choose_answered_tag, choose_tag
from sans_rtc.peer.media_terms import MediaTerms, is_multiplexed, media_kind, read_media
from sans_rtc.peer.negotiation_types import Description, RejectedSection
from sans_rtc.peer.terms import TransportTerms, is_data_section, is_legacy, read_terms
from sans_rtc.sdp.attributes import SCTP_PORT
from sans_rtc.sdp.description import MediaDescription, SessionDescription
from sans_rtc.sdp.values import Setup


@attrs.frozen(slots=True)
class Live:
    """What is in use before a description comes.

    data   where the data section stands, None where there is none
    media  the sections of audio and video, and the mid that each goes by
    """

    data: int | None = None
    media: Mapping[int, str | None] = attrs.Factory(dict)


@attrs.frozen(slots=True)
class Reading:
    """A remote description, looked at section by section.

    terms     of the transport; None where no section can be accepted
    media     terms of the sections of audio and video that can be accepted
    rejected  the sections that will not be used, and why; disabled ones are not among them
    """

    terms: TransportTerms | None
    media: Mapping[int, MediaTerms]
    rejected: tuple[RejectedSection, ...]

    @property
    def used(self) -> frozenset[int]:
        """The sections that can be accepted."""
        data = None if self.terms is None else self.terms.data
        return frozenset((*self.media, *(() if data is None else (data.mline_index,))))

    def apply(self, description: Description, parsed: SessionDescription) -> AppliedDescription:
        """What the description becomes when it is applied."""
        return AppliedDescription(
            description.type,
            description.sdp,
            parsed,
            self.terms,
            used=self.used,
            media=self.media,
            rejected=self.rejected,
        )


def check_mids(description: SessionDescription) -> None:
    """RFC 5888 section 4: a mid names one section of a description."""
    mids = [mid for media in description.media if (mid := media.mid) is not None]
    if len(set(mids)) != len(mids):
        raise InvalidArgument("two media sections have the same mid")


# -- offers ----------------------------------------------------------------------------------------------------------


def read_offer(
    description: SessionDescription,
    previous: SessionDescription | None,
    live: Live,
    refuse_media: Callable[[int, MediaDescription, MediaTerms | None], str | None],
    source_count_max: int,
) -> Reading:
    """Read a remote offer.

    previous      the remote description that it follows, None for the first
    refuse_media  why a section of audio or video is not taken: asked before its terms are read, and with them
    """
    check_mids(description)
    _check_continuity(description, previous, live)
    data = _choose_data(description, live.data)
    reasons: dict[int, str] = {}
    media: dict[int, MediaTerms] = {}
    for index, section in enumerate(description.media):
        if section.is_disabled:
            continue
        if is_data_section(section):
            reason = _data_refusal(section)
            if reason is None and index != data:
                reason = "there is another data section"
        else:
            reason = _media_refusal(description, index, refuse_media)
            if reason is None:
                media[index] = read_media(description, index, source_count_max)
                reason = refuse_media(index, section, media[index])
        if reason is not None:
            reasons[index] = reason
            media.pop(index, None)
    usable = sorted((*media, *(() if data is None else (data,))))
    tag, unbundled = choose_tag(description, usable, live.data)
    if data in unbundled and data == live.data:
        raise InvalidArgument(f"the offer would end the data section that is in use: {unbundled[data]}")
    reasons |= unbundled
    media = {index: terms for index, terms in media.items() if index not in reasons}
    if data in reasons:
        data = None
    rejected = _rejected(description, reasons)
    return Reading(None if tag is None else read_terms(description, tag, data), media, rejected)


def _rejected(description: SessionDescription, reasons: Mapping[int, str]) -> tuple[RejectedSection, ...]:
    sections = ((index, description.media[index]) for index in sorted(reasons))
    return tuple(RejectedSection(index, media.mid, media.kind, reasons[index]) for index, media in sections)


def _check_continuity(description: SessionDescription, previous: SessionDescription | None, live: Live) -> None:
    """RFC 3264 section 8: sections stay where they are; RFC 9429 section 5.2.2: and keep their mid while in use."""
    if previous is None:
        return
    if len(description.media) < len(previous.media):
        raise InvalidArgument(
            f"the offer has {len(description.media)} media sections, and the one before had {len(previous.media)}"
        )
    if live.data is not None and not description.media[live.data].is_disabled:
        media = description.media[live.data]
        if not is_data_section(media):
            raise InvalidArgument(f"media section {live.data} is in use for data, and the offer has {media.kind} there")
        if media.mid != previous.media[live.data].mid:
            raise InvalidArgument(f"the offer renames the data section, which is in use, to mid {media.mid}")
    for index in live.media:
        media, before = description.media[index], previous.media[index]
        if media.is_disabled or before.is_disabled:
            continue
        if media.kind.lower() != before.kind.lower():
            raise InvalidArgument(
                f"media section {index} is in use for {before.kind}, and the offer has {media.kind} there"
            )
        if media.mid != before.mid:
            raise InvalidArgument(f"the offer renames media section {index}, which is in use, to mid {media.mid}")


def _choose_data(description: SessionDescription, live_index: int | None) -> int | None:
    """The data section to be accepted: the one in use where the offer keeps it, else the first that can be."""
    sections = description.media
    if live_index is not None and not sections[live_index].is_disabled:
        reason = _data_refusal(sections[live_index])
        if reason is not None:
            raise InvalidArgument(f"the offer would end the data section that is in use: {reason}")
        return live_index
    usable = (
        index
        for index, media in enumerate(sections)
        if not media.is_disabled and is_data_section(media) and _data_refusal(media) is None
    )
    return next(usable, None)


def _data_refusal(media: MediaDescription) -> str | None:
    if not is_legacy(media) and media.lines.first(SCTP_PORT) == 0:
        return "its SCTP port is 0"
    return None


def _media_refusal(
    description: SessionDescription,
    index: int,
    refuse_media: Callable[[int, MediaDescription, MediaTerms | None], str | None],
) -> str | None:
    media = description.media[index]
    if media_kind(media) is None:
        return f"{media.kind} over {media.protocol} is not supported"
    reason = refuse_media(index, media, None)
    if reason is None and not is_multiplexed(media, _tag_section(description, media)):
        return "RTP and RTCP are not multiplexed"  # RFC 9429 section 4.1.1: "require"
    return reason


def _tag_section(description: SessionDescription, media: MediaDescription) -> MediaDescription:
    """The first section of the BUNDLE group of a section, or itself."""
    mid = media.mid
    group = next((group for group in description.bundle_groups if mid is not None and mid in group.mids), None)
    index = None if group is None else description.index_of(group.mids[0])
    return media if index is None else description.media[index]


# -- answers ---------------------------------------------------------------------------------------------------------


def read_answer(
    description: SessionDescription,
    offer: SessionDescription,
    used: frozenset[int],
    data_index: int | None,
    source_count_max: int,
) -> Reading:
    """Read a remote answer.

    offer       the local offer that it answers
    used        the sections that are not disabled in it
    data_index  where the offer has its data section, None where it has none
    """
    check_mids(description)
    _check_answer(description, offer)
    reasons: dict[int, str] = {}
    for index in sorted(used):
        media = description.media[index]
        if media.is_disabled:
            reasons[index] = "the peer rejected it"
        elif index == data_index and not is_legacy(media) and media.lines.first(SCTP_PORT) == 0:
            reasons[index] = "the peer answered with SCTP port 0"
    usable = [index for index in sorted(used) if index not in reasons]
    tag = choose_answered_tag(description, usable)
    if tag is None:
        return Reading(None, {}, _offered(description, offer, reasons))
    reasons |= {index: NOT_BUNDLED for index in usable if index not in tag[1]}
    for index in usable:
        if index != data_index and index not in reasons:
            _check_answer_multiplexing(description, index, tag[0])
    media_terms = {
        index: read_media(description, index, source_count_max)
        for index in usable
        if index != data_index and index not in reasons
    }
    data = data_index if data_index in used and data_index not in reasons else None
    terms = _check_answer_setup(read_terms(description, tag[0], data))
    return Reading(terms, media_terms, _offered(description, offer, reasons))


def _offered(
    description: SessionDescription, offer: SessionDescription, reasons: Mapping[int, str]
) -> tuple[RejectedSection, ...]:
    return tuple(
        RejectedSection(index, offer.media[index].mid, description.media[index].kind, reasons[index])
        for index in sorted(reasons)
    )


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


def _check_answer_multiplexing(description: SessionDescription, index: int, tag: int) -> None:
    """RFC 9429 sections 4.1.1 and 5.8.3: RTP and RTCP have one transport, which is what was offered."""
    if not is_multiplexed(description.media[index], description.media[tag]):
        raise InvalidArgument(f"media section {index} of the answer does not multiplex RTP and RTCP (a=rtcp-mux)")


def _check_answer_setup(terms: TransportTerms) -> TransportTerms:
    """RFC 8842 section 5.3: an answer is active or passive."""
    if terms.setup not in (Setup.ACTIVE, Setup.PASSIVE):
        said = "no a=setup" if terms.setup is None else f"a=setup:{terms.setup}"
        raise InvalidArgument(f"an answer says a=setup:active or a=setup:passive, and this one has {said}")
    return terms
