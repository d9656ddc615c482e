"""Local candidates on their way into descriptions and events (RFC 9429 section 3.5.1, RFC 8838).

ICE may gather before the description that names its generation has been set; until then candidates wait, since a peer
could make nothing of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.ice import Candidate, serialize_candidate
from sans_rtc.peer.events import LocalCandidate
from sans_rtc.peer.negotiation import Negotiation


class LocalCandidates:
    """The candidates of the newest local generation."""

    def __init__(self, negotiation: Negotiation) -> None:
        self._negotiation = negotiation
        self._gathered: list[str] = []
        self._is_gathered = False
        self._waiting: list[str] = []
        self._is_end_waiting = False
        self._announced_for: tuple[str | None, int] | None = None

    def begin(self) -> None:
        """A new generation has begun; what was gathered for the old one is of no use."""
        self._gathered, self._is_gathered = [], False
        self.rewind()

    def rewind(self) -> None:
        """The description that was announced with is undone; the next one needs everything again."""
        self._waiting, self._is_end_waiting = list(self._gathered), self._is_gathered

    def add(self, candidate: Candidate) -> None:
        """ICE has gathered a candidate."""
        line = serialize_candidate(candidate)
        self._gathered.append(line)
        self._waiting.append(line)

    def end(self) -> None:
        """ICE has gathered all there is."""
        self._is_gathered = self._is_end_waiting = True

    def announce(self, ufrag: str) -> Sequence[LocalCandidate]:
        """Put what waits into the local description and return it as events; nothing where there is no section yet."""
        section = self._negotiation.transport_section
        if section is None or not self._is_described(ufrag):
            return ()
        if self._announced_for not in (None, section):
            self.rewind()  # the answer has chosen the transport of another section; the candidates are the same
        self._announced_for = section
        mid, mline_index = section
        events = [LocalCandidate(line, mid or "", mline_index) for line in self._waiting]
        for line in self._waiting:
            self._negotiation.add_local_candidate(line, ufrag)
        if self._is_end_waiting:
            self._negotiation.end_of_local_candidates(ufrag)
            events.append(LocalCandidate("", mid or "", mline_index))
        self._waiting, self._is_end_waiting = [], False
        return events

    def _is_described(self, ufrag: str) -> bool:
        return self._negotiation.local_ufrag == ufrag
