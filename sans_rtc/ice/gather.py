"""Gathering: from the sockets of this host to the candidates that the peer is told of (RFC 8445 section 5.1.1).

Host candidates come out at once, server-reflexive ones when they arrive; nothing waits for anything else (RFC 8838).
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import LimitExceeded
from sans_rtc.ice.addresses import canonical_host, without_zone
from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.events import CandidateError, GatheringState
from sans_rtc.ice.filters import FilterReason, matches, refuse, rewritings_of
from sans_rtc.ice.network_cost import NetworkCosts
from sans_rtc.ice.priority import (
    CANDIDATES_PER_ADDRESS_MAX,
    Foundations,
    LocalPreferences,
    candidate_priority,
)
from sans_rtc.ice.reflexive import Query, ServerReflexiveSource
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.machine import Address, Datagram
from sans_rtc.outbox import Outbox
from sans_rtc.stun.wire import Message


class Gatherer:
    """Holds the bases of an agent and everything that stands on them; outlives generations.

    bases     by address
    filtered  addresses that the filters have left out, and why
    """

    def __init__(self, config: IceConfig, entropy: Entropy, stats: IceStatistics) -> None:
        self.bases: dict[Address, Base] = {}
        self.filtered: dict[Address, FilterReason] = {}
        self.foundations = Foundations()
        self._config = config
        self._networks = NetworkCosts(config.network_costs)
        self._preferences = LocalPreferences(self._networks.level_count)
        self._server_reflexive = ServerReflexiveSource(config, entropy, stats, self.foundations)
        self._gathered: set[tuple[Address, Address, CandidateType | None]] = set()
        self._has_begun = False
        self._has_ended = False
        self._candidates: Outbox[GatheredCandidate] = Outbox()

    # -- inputs ------------------------------------------------------------------------------------------------------

    def add_base(self, address: Address, network: str, now: float) -> None:
        """Take a socket's address, unless the filters leave it out; known addresses are taken once."""
        self._has_begun = True
        if address in self.bases or address in self.filtered:
            return
        limit = self._config.local_address_count_max
        if len(self.bases) + len(self.filtered) >= limit:
            raise LimitExceeded(f"{limit} local addresses are known already")
        reason = refuse(address, network, self._config.address_filter)
        if reason is not None:
            self.filtered[address] = reason
            return
        base = self.bases[address] = self._base(address, network)
        self._gather_host(base)
        # A lite agent tells host candidates only (RFC 8445 section 5.2).
        if not self._config.is_lite:
            self._server_reflexive.add_base(base, now)

    def end(self) -> None:
        """No more sockets will come."""
        self._has_begun = self._has_ended = True

    def remove_base(self, address: Address, now: float) -> Base | None:
        """A socket is gone. Returns its base; None where it is not known, or was filtered."""
        self.filtered.pop(address, None)
        base = self.bases.pop(address, None)
        if base is not None:
            self._gathered = {key for key in self._gathered if key[1] != address}
            if not self._config.is_lite:
                self._server_reflexive.remove_base(base, now)
        return base

    def restart(self, now: float) -> None:
        """Gather anew for another generation, from the same sockets."""
        self._gathered.clear()
        self._candidates.take()
        self._server_reflexive.take_candidates()
        for base in self.bases.values():
            self._gather_host(base)
        self._server_reflexive.restart(now)

    def refresh(self, now: float) -> None:
        """The network may have changed: ask the STUN servers again; what they tell anew becomes a candidate."""
        self._server_reflexive.restart(now)

    def release(self) -> None:
        """A pair has been selected: bindings need no keeping."""
        self._server_reflexive.release()

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """The name of a STUN server stands for these hosts."""
        self._server_reflexive.resolve(name, hosts, now)

    def receive(self, message: Message, datagram: Datagram, now: float) -> bool:
        """Take a response of a STUN server; False where it is not one."""
        return self._server_reflexive.receive(message, datagram, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._server_reflexive.handle_timer(now)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_candidates(self) -> Sequence[GatheredCandidate]:
        """Hand over new candidates, redundant ones left out (RFC 8445 section 5.1.3)."""
        for gathered in self._server_reflexive.take_candidates():
            self._offer(gathered)
        return self._candidates.take()

    def take_datagrams(self) -> Sequence[Datagram]:
        """Hand over requests to servers."""
        return self._server_reflexive.take_datagrams()

    def take_errors(self) -> Sequence[CandidateError]:
        """Hand over which servers told nothing."""
        return self._server_reflexive.take_errors()

    def take_names(self) -> Sequence[str]:
        """Hand over the names of servers to be resolved."""
        return self._server_reflexive.take_names()

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return self._server_reflexive.deadline

    @property
    def state(self) -> GatheringState:
        """New until a socket comes; complete when none will come and every server has answered or failed."""
        if not self._has_begun:
            return GatheringState.NEW
        is_complete = self._has_ended and self._server_reflexive.is_done
        return GatheringState.COMPLETE if is_complete else GatheringState.GATHERING

    @property
    def queries(self) -> list[Query]:
        """What was asked of STUN servers in this generation."""
        return self._server_reflexive.queries

    @property
    def unresolved_servers(self) -> list[str]:
        """Servers whose name has no address, or not yet."""
        return [str(server) for server in self._server_reflexive.unresolved_servers]

    # -- host candidates ---------------------------------------------------------------------------------------------

    def _base(self, address: Address, network: str) -> Base:
        is_unreliable = matches(network, self._config.address_filter.unreliable_networks)
        networks = self._networks
        level = networks.level_of(network)
        preference = self._preferences.draw(address.family, is_unreliable=is_unreliable, level=level)
        candidate = self._host(address, without_zone(address), preference)
        network_id, cost = networks.id_of(network), networks.cost_of(network)
        return Base(address, network, preference, candidate, network_id=network_id, network_cost=cost)

    def _host(self, base_address: Address, told: Address, preference: int) -> Candidate:
        kind = CandidateType.HOST
        foundation = self.foundations.name(kind, base_address.host)
        return Candidate(foundation, 1, "udp", candidate_priority(kind, preference), told, kind)

    def _gather_host(self, base: Base) -> None:
        """The candidate of the address itself, and those of a 1:1 NAT before it."""
        is_told, rules = rewritings_of(canonical_host(base.address.host), self._config.rewrites)
        if is_told:
            self._offer(GatheredCandidate(base.candidate, base))
        server_count = len(self._config.stun_servers)
        for index, rule in enumerate(rules, start=is_told):
            told = Address(canonical_host(rule.external), base.address.port)
            if rule.candidate_type == CandidateType.HOST:
                candidate = self._host(base.address, told, base.local_preference - index)
            else:
                candidate = self._rewritten_reflexive(base, told, server_count + index)
            self._offer(GatheredCandidate(candidate, base))

    def _rewritten_reflexive(self, base: Base, told: Address, index: int) -> Candidate:
        kind = CandidateType.SERVER_REFLEXIVE
        foundation = self.foundations.name(kind, base.address.host, "rewrite")
        priority = candidate_priority(kind, base.local_preference - index)
        return Candidate(foundation, 1, "udp", priority, told, kind, related_address=without_zone(base.address))

    def _offer(self, gathered: GatheredCandidate) -> None:
        """Pass a candidate on unless its address and base are those of another, whatever its priority (RFC 8838 9)."""
        # A host candidate that is told as a name is never redundant with one that is told as an address
        # (draft-ietf-rtcweb-mdns-ice-candidates section 3.1.2.2).
        kind = gathered.candidate.type if self._config.hide_host_addresses else None
        key = (gathered.candidate.address, gathered.base.address, kind)
        # A server may tell another address at every refresh.
        count_max = CANDIDATES_PER_ADDRESS_MAX * self._config.local_address_count_max
        if key not in self._gathered and len(self._gathered) < count_max:
            self._gathered.add(key)
            self._candidates.append(gathered)
