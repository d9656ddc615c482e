"""A description that has been applied, with the candidates that were trickled since (RFC 9429 section 4.1.11)."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from sans_rtc.peer.media_terms import MediaTerms
from sans_rtc.peer.negotiation_types import Description, DescriptionType, RejectedSection
from sans_rtc.peer.offer_answer import with_candidates
from sans_rtc.peer.terms import TransportTerms
from sans_rtc.sdp.description import SessionDescription
from sans_rtc.sdp.serialize import serialize_description


@attrs.define(slots=True)
class AppliedDescription:
    """One side's description in force, current or pending.

    sdp            the text that was applied
    description    the same, parsed
    terms          of the transport that is used, or would be; None where no section is in use
    used           the sections that are in use, or may be: candidates for others are of no use
    media          terms of its sections of audio and video that are in use
    rejected       sections that are not used
    spread         the sections that each tell the candidates of the one transport; the tagged one alone where empty
    offered_terms  our offers: `terms` as they were made, whatever an answer has chosen since
    candidates     trickled since, in order, by section
    ended          sections whose candidates are complete, as told since
    """

    type: DescriptionType
    sdp: str
    description: SessionDescription
    terms: TransportTerms | None
    used: frozenset[int] = frozenset()
    media: Mapping[int, MediaTerms] = attrs.Factory(dict)
    rejected: tuple[RejectedSection, ...] = ()
    spread: tuple[int, ...] = ()
    offered_terms: TransportTerms | None = None
    candidates: dict[int, list[str]] = attrs.field(factory=dict)
    ended: set[int] = attrs.field(factory=set)

    def add_candidate(self, candidate: str, index: int | None = None) -> None:
        """Note a trickled candidate of a section, the tagged one where None; what is there is not noted twice."""
        index = self.tag if index is None else index
        known = self.candidates.setdefault(index, [])
        if candidate not in known and candidate not in self.description.media[index].candidates:
            known.append(candidate)

    def end_candidates(self, index: int | None = None) -> None:
        """Note that there will be no more."""
        self.ended.add(self.tag if index is None else index)

    def knows(self, candidate: str) -> bool:
        """True where it was trickled for any section."""
        return any(candidate in known for known in self.candidates.values())

    @property
    def tag(self) -> int:
        """The section that the transport belongs to."""
        assert self.terms is not None
        return self.terms.mline_index

    @property
    def data_index(self) -> int | None:
        """Where our offer has its data section, None where it has none."""
        data = None if self.offered_terms is None else self.offered_terms.data
        return None if data is None else data.mline_index

    @property
    def candidate_count(self) -> int:
        """How many candidates were trickled."""
        return sum(map(len, self.candidates.values()))

    @property
    def whole_terms(self) -> TransportTerms | None:
        """The terms with what was trickled."""
        if self.terms is None:
            return None
        return self.complete(self.terms)

    def complete(self, terms: TransportTerms) -> TransportTerms:
        """Terms of this description with what was trickled for their section."""
        index = terms.mline_index
        return attrs.evolve(
            terms,
            candidates=tuple(dict.fromkeys((*terms.candidates, *self.candidates.get(index, ())))),
            end_of_candidates=terms.end_of_candidates or index in self.ended,
        )

    def render(self, *, is_local: bool) -> Description:
        """The description as it stands now, the trickled candidates in it."""
        if not (self.candidates or self.ended):
            return Description(self.type, self.sdp)
        whole = self.description
        for index in sorted(self.candidates.keys() | self.ended):
            targets = self.spread if is_local and self.spread else (index,)
            for target in targets:
                whole = with_candidates(
                    whole, target, self.candidates.get(index, ()), index in self.ended, is_local=is_local
                )
        return Description(self.type, serialize_description(whole))
