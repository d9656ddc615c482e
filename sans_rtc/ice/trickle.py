"""What the peer is told while gathering goes on: each candidate at once, and the end (RFC 8838 sections 9, 10, 13)."""

from __future__ import annotations

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import CandidateType
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.events import GatheringState, GatheringStateChanged, IceEvent, LocalCandidate, ResolveName
from sans_rtc.ice.gather import Gatherer
from sans_rtc.ice.generations import Generations
from sans_rtc.ice.hiding import Hiding
from sans_rtc.ice.names import Names
from sans_rtc.outbox import Outbox


class Trickle:
    """Carries what the gatherer finds to the peer and to the present generation, and names to whoever asked.

    state  of gathering, as the owner of the agent knows it
    """

    def __init__(
        self,
        config: IceConfig,
        gatherer: Gatherer,
        names: Names,
        generations: Generations,
        events: Outbox[IceEvent],
        entropy: Entropy,
    ) -> None:
        self.state = GatheringState.NEW
        relayed_only = frozenset({CandidateType.RELAYED})
        self._types = config.candidate_types & relayed_only if config.is_relay_only else config.candidate_types
        self._gatherer = gatherer
        self._names = names
        self._generations = generations
        self._events = events
        self._hiding = Hiding(entropy, events, is_on=config.hide_host_addresses)

    def proceed(self, now: float) -> None:
        """Pass on names, then candidates and errors, then the state: a candidate never follows `complete`."""
        self._resolve(now)
        candidates = self._gatherer.take_candidates()
        if candidates or self._gatherer.state is GatheringState.GATHERING:
            self._enter(GatheringState.GATHERING)
        for gathered in candidates:
            self._tell(gathered)
        for error in self._gatherer.take_errors():
            self._events.append(error)
        self._enter(self._gatherer.state)

    def restart(self, now: float) -> None:
        """A new generation has begun: everything is gathered and told anew."""
        self._names.forget()
        self._gatherer.restart(now)
        if self.state is not GatheringState.NEW:
            self._enter(GatheringState.GATHERING)

    def on_addresses_changed(self) -> None:
        """Sockets are gone: so are the names that stood for their addresses alone."""
        self._hiding.retain(self._gatherer.bases.values())

    def close(self) -> None:
        """The agent ends: withdraw all names."""
        self._hiding.retain(())

    def _resolve(self, now: float) -> None:
        for name in self._gatherer.take_names():
            self._names.ask(name, now)
        for name, hosts in self._names.take_answers():
            self._gatherer.resolve(name, hosts, now)
            for session in self._generations.sessions:
                session.resolve(name, hosts, now)
        for name in self._names.take_questions():
            self._events.append(ResolveName(name))

    def _tell(self, gathered: GatheredCandidate) -> None:
        """RFC 8838 section 10: an agent "MUST NOT pair a local candidate until it has been trickled".

        The extension `ufrag` names the generation, so that the peer can tell a late candidate from a new one.
        """
        if gathered.candidate.type not in self._types:
            return
        session, base = self._generations.current, gathered.base
        extensions = (("ufrag", session.local.ufrag), *_network_extensions(base))
        candidate = attrs.evolve(gathered.candidate, extensions=extensions)
        session.add_local(GatheredCandidate(candidate, base))
        self._events.append(LocalCandidate(self._hiding.conceal(candidate, base)))

    def _enter(self, state: GatheringState) -> None:
        if state is not self.state:
            self.state = state
            self._events.append(GatheringStateChanged(state))


def _network_extensions(base: Base) -> tuple[tuple[str, str], ...]:
    """As libwebrtc writes them: the id where it is known, the cost where it is not 0."""
    extensions = []
    if base.network_id:
        extensions.append(("network-id", str(base.network_id)))
        if base.network_cost:
            extensions.append(("network-cost", str(base.network_cost)))
    return tuple(extensions)
