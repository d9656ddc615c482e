"""A description that has been applied, with the candidates that were trickled since (RFC 9429 section 4.1.11)."""

from __future__ import annotations

import attrs

from sans_rtc.peer.negotiation_types import Description, DescriptionType, RejectedSection
from sans_rtc.peer.offer_answer import with_candidates
from sans_rtc.peer.remote_description import DataTerms
from sans_rtc.sdp.description import SessionDescription
from sans_rtc.sdp.serialize import serialize_description


@attrs.define(slots=True)
class AppliedDescription:
    """One side's description in force, current or pending.

    sdp                the text that was applied
    description        the same, parsed
    terms              of its data section; None where data is not in use
    rejected           sections that are not used
    candidates         trickled since, in order
    end_of_candidates  trickled since
    """

    type: DescriptionType
    sdp: str
    description: SessionDescription
    terms: DataTerms | None
    rejected: tuple[RejectedSection, ...] = ()
    candidates: list[str] = attrs.field(factory=list)
    end_of_candidates: bool = False

    def add_candidate(self, candidate: str) -> None:
        """Note a trickled candidate; one that is there already is not noted twice."""
        assert self.terms is not None
        if candidate not in self.terms.candidates and candidate not in self.candidates:
            self.candidates.append(candidate)

    @property
    def whole_terms(self) -> DataTerms | None:
        """The terms with what was trickled."""
        if self.terms is None:
            return None
        return attrs.evolve(
            self.terms,
            candidates=(*self.terms.candidates, *self.candidates),
            end_of_candidates=self.terms.end_of_candidates or self.end_of_candidates,
        )

    def render(self, *, is_local: bool) -> Description:
        """The description as it stands now, the trickled candidates in it."""
        if self.terms is None or not (self.candidates or self.end_of_candidates):
            return Description(self.type, self.sdp)
        whole = with_candidates(
            self.description, self.terms.mline_index, self.candidates, self.end_of_candidates, is_local=is_local
        )
        return Description(self.type, serialize_description(whole))
