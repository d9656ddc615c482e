"""Who could talk to whom: our candidates, the peer's, and the pairs they form (RFC 8445 sections 6.1.2, 7.2.5.3)."""

from __future__ import annotations

from sans_rtc.ice.addresses import can_be_paired, without_zone
from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.checklist import Checklist
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.pair import CandidatePair, RemoteCandidate
from sans_rtc.ice.priority import Foundations
from sans_rtc.ice.remote import RemoteCandidates, is_mdns_name
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.ice.tcp import may_pair
from sans_rtc.machine import Address, Path

# Our addresses as the peer's responses tell them. A symmetric NAT makes one for each pair; a peer could make up more.
LOCAL_PEER_REFLEXIVE_MAX = 32


class Pairing:
    """The candidates of one generation and their pairs.

    candidates  ours, as the peer was told of them, and those learned from its responses
    remotes     the peer's
    checklist   the pairs
    """

    def __init__(self, context: AgentContext, foundations: Foundations) -> None:
        self.candidates: list[GatheredCandidate] = []
        self.remotes = RemoteCandidates(context)
        self.checklist = Checklist(context.config.pair_count_max)
        self._context = context
        self._foundations = foundations

    def add_local(self, gathered: GatheredCandidate) -> None:
        """A candidate that the peer has been told of: pair it with all that are known of the peer."""
        self.candidates.append(gathered)
        for remote in self.remotes:
            # A peer-reflexive candidate is paired only with the base that its check came to (7.3.1.3).
            if remote.candidate.type is not CandidateType.PEER_REFLEXIVE:
                self._pair_where_it_may(gathered, remote)

    def add_remote(self, remote: RemoteCandidate) -> None:
        """A candidate of the peer: pair it with all of ours."""
        # It may have been peer-reflexive until now, with another priority.
        self.checklist.reprioritise(self._context.roles.role)
        for gathered in self.candidates:
            if gathered.candidate.type is not CandidateType.PEER_REFLEXIVE:
                self._pair_where_it_may(gathered, remote)

    def drop_foreign(self, ufrag: str) -> None:
        """The generation of the peer is known now: drop candidates that say they are of another, and their pairs."""
        gone = {id(remote) for remote in self.remotes.drop_foreign(ufrag)}
        self.checklist.remove_where(lambda pair: id(pair.remote) in gone)

    def remove_base(self, base: Base) -> list[CandidatePair]:
        """A socket is gone: drop its candidates and pairs, and return the latter."""
        self.candidates = [gathered for gathered in self.candidates if gathered.base is not base]
        return self.checklist.remove_where(lambda pair: pair.local.base is base)

    def drop(self, pair: CandidatePair) -> None:
        """A pair can never work again, nor the candidate of the peer that its connection has made known."""
        self.checklist.remove_where(lambda other: other is pair)
        self.remotes.forget(pair.remote)

    def find_or_learn(self, path: Path, base: Base, priority: int) -> CandidatePair | None:
        """The pair on which a check of the peer has come (7.3.1.3, 7.3.1.4); None where there is no room for it.

        priority  of the peer-reflexive candidate that its source may turn out to be
        """
        pair = self.checklist.find(path)
        if pair is not None:
            return pair
        source = without_zone(path.remote)
        remote = self.remotes.find(source, base.protocol) or self.remotes.learn(source, priority, base.protocol)
        # The check has been answered, so the peer may send here: a pair, or what it sends would be nobody's.
        return None if remote is None else self._pair(self._best_on(base), remote, has_come=True)

    def is_proof(self, path: Path) -> bool:
        """True where a request of the peer alone proves its path.

        Integrity does not cover addresses: whoever overhears a request can send it again from elsewhere. So it does for
        an address that the peer has signalled; any other proves itself by answering a check. A lite agent sends none.
        """
        remote = self.remotes.find(without_zone(path.remote), path.protocol)
        is_signalled = remote is not None and remote.candidate.type is not CandidateType.PEER_REFLEXIVE
        return is_signalled or self._context.config.is_lite

    def local_of(self, pair: CandidatePair, mapped: Address, priority: int) -> Candidate:
        """The local candidate whose address the peer saw; a new peer-reflexive one where none of ours has it.

        priority  that of the check: a peer-reflexive candidate gets it (7.2.5.3.1)
        deviation: where it is another base's, RFC 8445 section 7.2.5.3.2 moves to the pair of that base. Here data
        leave from the socket that the check left from, which has proven itself.
        """
        base = pair.local.base
        here = (base.protocol, mapped)
        same = [each for each in self.candidates if (each.candidate.protocol, each.candidate.address) == here]
        for gathered in same:
            if gathered.base is base:
                return gathered.candidate
        told = without_zone(base.address)
        # The port of an active candidate means nothing: each connection has another (RFC 6544 section 4.5).
        if mapped == told or (base.is_active and mapped.host == told.host):
            return base.candidate
        if same:
            return same[0].candidate
        kind = CandidateType.PEER_REFLEXIVE
        foundation = self._foundations.name(kind, base.address.host, protocol=base.protocol)
        related = without_zone(base.address)
        tcp_type = base.candidate.tcp_type
        candidate = Candidate(foundation, 1, base.protocol, priority, mapped, kind, related, tcp_type)
        learned_count = sum(gathered.candidate.type is kind for gathered in self.candidates)
        if learned_count < LOCAL_PEER_REFLEXIVE_MAX:
            self.candidates.append(GatheredCandidate(candidate, base))
        return candidate

    def _best_on(self, base: Base) -> GatheredCandidate:
        """Our best candidate on a base; its own host candidate where the peer was told of none."""
        standing = [gathered for gathered in self.candidates if gathered.base is base]
        host = GatheredCandidate(base.candidate, base)
        return max(standing, key=lambda gathered: gathered.candidate.priority, default=host)

    def _pair_where_it_may(self, gathered: GatheredCandidate, remote: RemoteCandidate) -> None:
        if may_pair(gathered.candidate, remote.candidate):
            self._pair(gathered, remote)

    def _pair(
        self, gathered: GatheredCandidate, remote: RemoteCandidate, *, has_come: bool = False
    ) -> CandidatePair | None:
        base = gathered.base
        if not can_be_paired(base.address.host, remote.address.host, has_come=has_come):
            return None
        # draft-ietf-rtcweb-mdns-ice-candidates section 3.3.2: no pairs of relayed candidates and remote mDNS ones, or
        # the TURN server would learn the address that the peer hides.
        if base.is_relayed and is_mdns_name(remote.candidate.address.host):
            return None
        pair = CandidatePair(gathered, remote, base.path_to(remote.address))
        if self.checklist.add(pair, self._context.roles.role):
            return pair
        known = self.checklist.find(pair.path)
        if known is None:
            self._context.stats.discard(DiscardReason.PAIR_LIMIT)
        return known
