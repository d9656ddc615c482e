"""Where a trickled candidate belongs, and whether it is of use (RFC 8838 section 11, RFC 9429 section 3.5.2.1).

A session has one transport, that of the tagged section. Candidates for other sections are the peer's normal doing
before the answer bundles them, and candidates of an ICE generation that is over may come late: neither is an error.
Once sections are bundled, a candidate of any of them can only be one of the transport that they share.
"""

from __future__ import annotations

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.peer.applied_description import AppliedDescription
from sans_rtc.peer.exchange import Exchange
from sans_rtc.peer.negotiation_types import CandidateUse, Side, TrickledCandidate, check_candidate

_END_OF_CANDIDATES = ("", "candidate:", "end-of-candidates")


def with_ufrag(candidate: str, ufrag: str) -> str:
    """A candidate that tells its ICE generation, as candidates are trickled (RFC 8838 section 9)."""
    return candidate if candidate_ufrag(candidate) is not None else f"{candidate} ufrag {ufrag}"


def candidate_ufrag(candidate: str) -> str | None:
    """The ICE generation that a candidate tells; None where it does not."""
    words = candidate.split(" ")
    # Eight words come first, "candidate:foundation" to the type; then names and values in turns (RFC 8839 section 5.1).
    return next((value for name, value in zip(words[8::2], words[9::2], strict=False) if name == "ufrag"), None)


def take_trickled(
    exchange: Exchange, candidate: str, mid: str | None, mline_index: int | None, ufrag: str | None, count_max: int
) -> TrickledCandidate:
    """Find the section of a trickled candidate, and keep it with the remote description where it is of use."""
    newest = exchange.newest(Side.REMOTE)
    if newest is None:
        raise InvalidState("there is no remote description yet that a candidate could belong to")
    bare = candidate.strip().removeprefix("a=")
    text = "" if bare in _END_OF_CANDIDATES else check_candidate(bare)
    ufrag = ufrag or candidate_ufrag(text)
    applied = newest if ufrag is None else next(iter(exchange.of_generation(Side.REMOTE, ufrag)), None)
    index = _locate(applied or newest, text, mid, mline_index)
    if applied is None:
        return TrickledCandidate(candidate=text, use=CandidateUse.STALE, ufrag=ufrag, mline_index=index)
    use = _keep(exchange, applied, text, index, count_max)
    return TrickledCandidate(candidate=text, use=use, ufrag=ufrag, mline_index=index)


def _locate(applied: AppliedDescription, text: str, mid: str | None, mline_index: int | None) -> int | None:
    """The section by its mid, else by its index; none for an end of candidates that names neither."""
    if mid is None and mline_index is None:
        if text:
            raise InvalidArgument("a candidate needs the mid or the index of its media section")
        return None
    media = applied.description.media
    if mid is not None:
        index = applied.description.index_of(mid)
    else:
        index = mline_index if mline_index is not None and 0 <= mline_index < len(media) else None
    if index is None:
        named = f"mid {mid}" if mid is not None else f"index {mline_index}"
        raise InvalidArgument(f"the remote description has no media section with {named}")
    return index


def _keep(
    exchange: Exchange, applied: AppliedDescription, text: str, index: int | None, count_max: int
) -> CandidateUse:
    terms = applied.terms
    if terms is None or (index is not None and index not in applied.used):
        return CandidateUse.OTHER_SECTION
    if not text:
        applied.end_candidates(index)
    elif applied.candidate_count >= count_max and not applied.knows(text):
        return CandidateUse.TOO_MANY
    else:
        applied.add_candidate(text, index)
    agreement = exchange.agreement_in_force
    is_agreed = agreement is not None and agreement.remote.is_same_generation(terms)
    if index not in (None, terms.mline_index) and not (is_agreed and text):
        return CandidateUse.OTHER_SECTION
    return CandidateUse.NOW if is_agreed else CandidateUse.LATER
