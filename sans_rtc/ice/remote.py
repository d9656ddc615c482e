"""The peer's candidates of one generation: signalled, resolved, or learned from its checks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from sans_rtc.ice.addresses import canonical_host, is_ip, is_loopback, is_unusable
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.network_cost import network_cost_of
from sans_rtc.ice.pair import RemoteCandidate
from sans_rtc.ice.stats import DiscardReason
from sans_rtc.ice.tcp import ACTIVE
from sans_rtc.machine import Address

# One address of each family is used at most.
HOSTS_PER_NAME_MAX = 16


class RemoteCandidates:
    """Bounded and free of duplicates.

    has_ended  the peer has said that no more will come
    """

    def __init__(self, context: AgentContext) -> None:
        self.has_ended = False
        self._context = context
        self._by_address: dict[tuple[str, Address], RemoteCandidate] = {}  # by protocol and address
        self._named: dict[str, list[Candidate]] = {}
        self._signalled_count = 0
        self._learned_count = 0

    def __iter__(self) -> Iterator[RemoteCandidate]:
        return iter(self._by_address.values())

    def __len__(self) -> int:
        return len(self._by_address)

    def find(self, address: Address, protocol: str = "udp") -> RemoteCandidate | None:
        """The candidate with this address, which has no zone."""
        return self._by_address.get((protocol, address))

    def admit(self, candidate: Candidate, *, is_late: bool = False) -> bool:
        """True where a signalled candidate may be used; counts it, and why not.

        is_late  a pair has been selected since the end of candidates
        deviation: RFC 8838 sections 13 and 14 let no candidate follow that, and want a restart. Who moves to another
        network while the session goes on has no other way to tell where it is now, and a restart takes two more
        messages; a candidate that nobody could send before is no danger to a checklist that has done its work.
        """
        reason = self._refusal(candidate, is_late=is_late)
        if reason is not None:
            self._context.stats.discard(reason)
            return False
        self._signalled_count += 1
        return True

    def add(self, candidate: Candidate, host: str | None = None) -> RemoteCandidate | None:
        """Take an admitted candidate; None where its address is known already or of no use.

        host  what its name stands for; None where its address is no name
        A peer-reflexive candidate with the same address becomes the signalled one: it is now known what it is (RFC 8445
        section 7.3.1.3), and both ends see the same priority (RFC 8838 section 11).
        """
        address = candidate.address if host is None else Address(host, candidate.address.port)
        if not self._is_usable(address.host):
            self._context.stats.discard(DiscardReason.REMOTE_CANDIDATE_UNUSABLE)
            return None
        key = candidate.protocol, address
        known = self._by_address.get(key)
        if known is None:
            self._by_address[key] = RemoteCandidate(candidate, address)
            return self._by_address[key]
        if known.candidate.type is CandidateType.PEER_REFLEXIVE:
            known.candidate = candidate
            known.network_cost = network_cost_of(candidate) or known.network_cost
            return known
        self._context.stats.discard(DiscardReason.REMOTE_CANDIDATE_REPEATED)
        return None

    def add_named(self, candidate: Candidate) -> None:
        """Keep an admitted candidate until its name is resolved."""
        self._named.setdefault(candidate.address.host, []).append(candidate)

    def resolve(self, name: str, hosts: tuple[str, ...]) -> list[RemoteCandidate]:
        """A name stands for these hosts: return the candidates that this makes usable."""
        candidates = self._named.pop(name, [])
        if not candidates:
            return []
        host = self._choose(name, hosts)
        if host is None:
            return []
        found = [self.add(candidate, host) for candidate in candidates]
        return [remote for remote in found if remote is not None]

    def learn(self, address: Address, priority: int, protocol: str = "udp") -> RemoteCandidate | None:
        """A check came from an address that nobody has signalled: a peer-reflexive candidate (RFC 8445 7.3.1.3).

        None where as many as may be have been learned. Its foundation is an arbitrary value, different from those of
        all other remote candidates.
        """
        if self._learned_count >= self._context.config.peer_reflexive_count_max:
            self._context.stats.discard(DiscardReason.PEER_REFLEXIVE_LIMIT)
            return None
        self._learned_count += 1
        taken = {remote.candidate.foundation for remote in self}
        foundation = next(name for name in map("prflx{}".format, count(1)) if name not in taken)
        tcp_type = ACTIVE if protocol == "tcp" else None
        kind = CandidateType.PEER_REFLEXIVE
        candidate = Candidate(foundation, 1, protocol, priority, address, kind, tcp_type=tcp_type)
        remote = self._by_address[protocol, address] = RemoteCandidate(candidate, address)
        return remote

    def forget(self, remote: RemoteCandidate) -> None:
        """A candidate that was learned from a check is of no more use; others stay."""
        key = remote.candidate.protocol, remote.address
        if remote.candidate.type is CandidateType.PEER_REFLEXIVE and self._by_address.get(key) is remote:
            del self._by_address[key]
            self._learned_count -= 1

    def drop_foreign(self, ufrag: str) -> list[RemoteCandidate]:
        """The generation of the peer is known now: drop and return candidates that say they are of another."""
        foreign = [remote for remote in self if remote.candidate.extension("ufrag") not in (None, ufrag)]
        for remote in foreign:
            del self._by_address[remote.candidate.protocol, remote.address]
            self._context.stats.discard(DiscardReason.FOREIGN_GENERATION)
        return foreign

    @property
    def names(self) -> list[str]:
        """Names that have not been resolved yet."""
        return list(self._named)

    def _refusal(self, candidate: Candidate, *, is_late: bool) -> DiscardReason | None:
        # RFC 8838 section 14: after end-of-candidates an agent "MUST ignore any newly received candidates".
        if self.has_ended and not is_late:
            return DiscardReason.REMOTE_CANDIDATE_AFTER_END
        if candidate.component != 1 or not self._has_use_for(candidate):
            return DiscardReason.REMOTE_CANDIDATE_UNUSABLE
        if self._signalled_count >= self._context.config.remote_candidate_count_max:
            return DiscardReason.REMOTE_CANDIDATE_LIMIT
        return None

    def _has_use_for(self, candidate: Candidate) -> bool:
        """RFC 6544 section 6.2: passive ones are for us to connect to, active ones connect to us."""
        policy = self._context.config.tcp
        match candidate.protocol, candidate.tcp_type:
            case "udp", _:
                return candidate.address.port != 0
            case "tcp", "passive":
                return policy.active and candidate.address.port != 0
            case "tcp", "active":
                return policy.passive
            case _:
                return False

    def _is_usable(self, host: str) -> bool:
        rules = self._context.config.address_filter
        return not is_unusable(host) and (rules.allow_loopback or not is_loopback(host))

    def _choose(self, name: str, hosts: tuple[str, ...]) -> str | None:
        """The one address that a name is to stand for.

        draft-ietf-rtcweb-mdns-ice-candidates section 3.2.2: "An ICE agent SHOULD ignore candidates where the hostname
        resolution returns more than one IP address." So for `.local`; of a DNS name's the first of a usable family.
        """
        families = self._context.config.address_filter.families
        unique = list(dict.fromkeys(hosts))
        if is_mdns_name(name) and len(unique) > 1:
            self._context.stats.discard(DiscardReason.REMOTE_NAME_AMBIGUOUS)
            return None
        for host in unique:
            if (6 if ":" in host else 4) in families and self._is_usable(host):
                return host
        self._context.stats.discard(DiscardReason.REMOTE_NAME_UNRESOLVED)
        return None


def is_mdns_name(name: str) -> bool:
    """True for names that mDNS resolves: one label before `.local` (draft-...-mdns-ice-candidates section 3.2.1)."""
    return name.endswith(".local") and name.count(".") == 1


def plain_hosts(hosts: Sequence[str]) -> tuple[str, ...]:
    """Resolved addresses in one spelling and without zones; those that are none left out, and no more than counts."""
    plain = (host.partition("%")[0] for host in hosts[:HOSTS_PER_NAME_MAX] if is_ip(host))
    return tuple(canonical_host(host) for host in plain)
