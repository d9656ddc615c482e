"""Gathering: from the sockets of this host to the candidates that the peer is told of (RFC 8445 section 5.1.1).

Host candidates come out at once, those that servers give when they arrive; nothing waits for anything else (RFC 8838).
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import LimitExceeded
from sans_rtc.ice.addresses import canonical_host, without_zone
from sans_rtc.ice.base import FRAMES, Base, CandidateSource, GatheredCandidate
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
from sans_rtc.ice.relayed_source import RelayedSource
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.ice.tcp import ACTIVE, PASSIVE, active_address, tcp_candidate_priority
from sans_rtc.ice.wiring import Wiring
from sans_rtc.machine import Address, Datagram, Path, Trace, TransportProtocol
from sans_rtc.outbox import Outbox
from sans_rtc.stun.wire import Message


class Gatherer:
    """Holds the bases of an agent and everything that stands on them; outlives generations.

    bases      UDP sockets, by address
    tcp_bases  listeners, and for each host one base of active candidates, at port 9
    relayed    the TURN servers, and the relayed addresses that they have given
    filtered   addresses that the filters have left out, and why
    """

    def __init__(
        self, config: IceConfig, entropy: Entropy, stats: IceStatistics, wiring: Wiring, trace: Trace | None
    ) -> None:
        self.bases: dict[Address, Base] = {}
        self.tcp_bases: dict[Address, Base] = {}
        self.filtered: dict[Address, FilterReason] = {}
        self.foundations = Foundations()
        self.is_relay_only = config.is_relay_only
        self._config = config
        self._networks = NetworkCosts(config.network_costs)
        self._preferences = LocalPreferences(self._networks.level_count)
        self._server_reflexive = ServerReflexiveSource(config, entropy, stats, self.foundations)
        self.relayed = RelayedSource(config, entropy, stats, self.foundations, wiring, trace)
        # Where only relayed candidates count, nobody but TURN servers is asked. A lite agent tells host candidates only
        # (RFC 8445 section 5.2).
        self._reflexive_sources = () if config.is_relay_only or config.is_lite else (self._server_reflexive,)
        self._relayed_sources = () if config.is_lite else (self.relayed,)
        self._gathered: set[tuple[str, Address, Address, CandidateType | None]] = set()
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
        self._add_active(base)
        for source in self._sources:
            source.add_base(base, now)

    def add_listener(self, address: Address, network: str) -> None:
        """Take a listening TCP socket's address, unless the filters leave it out, or nobody is to connect to us."""
        self._has_begun = True
        if address in self.tcp_bases or not self._config.tcp.passive or self.is_relay_only:
            return
        limit = self._config.local_address_count_max
        if len(self.tcp_bases) >= 2 * limit:
            raise LimitExceeded(f"{limit} listeners are known already")
        reason = refuse(address, network, self._config.address_filter)
        if reason is not None:
            self.filtered[address] = reason
            return
        base = self.tcp_bases[address] = self._base(address, network, PASSIVE)
        self._gather_host(base)

    def remove_listener(self, address: Address) -> list[Base]:
        """A listener is gone. Returns its base; none where it is not known."""
        base = self.tcp_bases.get(address)
        if base is None or base.is_active:
            return []
        return [self._forget(self.tcp_bases.pop(address))]

    def end(self) -> None:
        """No more sockets will come."""
        self._has_begun = self._has_ended = True

    def remove_base(self, address: Address, now: float) -> list[Base]:
        """A socket is gone. Returns the bases that end with it; none where it is not known, or was filtered.

        With the last socket of a host its active TCP candidate goes; relayed bases say so themselves (`relayed`).
        """
        self.filtered.pop(address, None)
        base = self.bases.pop(address, None)
        if base is None:
            return []
        for source in self._sources:
            source.remove_base(base, now)
        gone = [self._forget(base)]
        active = active_address(address.host)
        if active in self.tcp_bases and not any(other.host == address.host for other in self.bases):
            gone.append(self._forget(self.tcp_bases.pop(active)))
        return gone

    def restart(self, now: float) -> None:
        """Gather anew for another generation, from the same sockets."""
        self._gathered.clear()
        self._candidates.take()
        self._server_reflexive.take_candidates()
        for base in (*self.bases.values(), *self.tcp_bases.values()):
            self._gather_host(base)
        for source in self._sources:
            source.restart(now)

    def refresh(self, now: float) -> None:
        """The network may have changed: ask the servers again; what they tell anew becomes a candidate."""
        for source in self._sources:
            source.restart(now)

    def release(self) -> None:
        """A pair has been selected: bindings need no keeping."""
        self._server_reflexive.release()

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """The name of a server stands for these hosts."""
        for source in self._sources:
            source.resolve(name, hosts, now)

    def receive(self, message: Message, datagram: Datagram, now: float) -> bool:
        """Take a response of a STUN server; False where it is not one."""
        return self._server_reflexive.receive(message, datagram, now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        for source in self._sources:
            source.handle_timer(now)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_candidates(self) -> Sequence[GatheredCandidate]:
        """Hand over new candidates, redundant ones left out (RFC 8445 section 5.1.3)."""
        for source in self._sources:
            for gathered in source.take_candidates():
                self._offer(gathered)
        return self._candidates.take()

    def take_datagrams(self) -> Sequence[Datagram]:
        """Hand over requests to STUN servers; those to TURN servers leave with what goes through them."""
        return self._server_reflexive.take_datagrams()

    def take_errors(self) -> Sequence[CandidateError]:
        """Hand over which servers told nothing."""
        return [error for source in self._sources for error in source.take_errors()]

    def take_names(self) -> Sequence[str]:
        """Hand over the names of servers to be resolved."""
        return [name for source in self._sources for name in source.take_names()]

    def base_at(self, path: Path) -> Base | None:
        """The base at the local end of a pair's path; None where no pair could have it."""
        if path.protocol == "tcp":
            return self.tcp_bases.get(path.local) if path.stream == FRAMES else None
        return self.bases.get(path.local) or self.relayed.bases.get(path.local)

    def is_listening(self, address: Address) -> bool:
        """True where a listener of ours has this address."""
        base = self.tcp_bases.get(address)
        return base is not None and not base.is_active

    @property
    def addresses(self) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
        """Of the UDP sockets that are in use, and of the listeners."""
        listeners = tuple(address for address, base in self.tcp_bases.items() if not base.is_active)
        return tuple(self.bases), listeners

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return min(self._server_reflexive.deadline, self.relayed.deadline)

    @property
    def state(self) -> GatheringState:
        """New until a socket comes; complete when none will come and every server has answered or failed."""
        if not self._has_begun:
            return GatheringState.NEW
        is_complete = self._has_ended and all(source.is_done for source in self._sources)
        return GatheringState.COMPLETE if is_complete else GatheringState.GATHERING

    @property
    def queries(self) -> list[Query]:
        """What was asked of STUN servers in this generation."""
        return self._server_reflexive.queries

    @property
    def unresolved_servers(self) -> list[str]:
        """Servers whose name has no address, or not yet."""
        return [str(server) for source in self._sources for server in source.unresolved_servers]

    @property
    def _sources(self) -> tuple[CandidateSource, ...]:
        return (*self._reflexive_sources, *self._relayed_sources)

    # -- host candidates ---------------------------------------------------------------------------------------------

    def _add_active(self, base: Base) -> None:
        """RFC 6544 section 5.1: beside a UDP socket, one active candidate for each host."""
        config, address = self._config, active_address(base.address.host)
        if config.tcp.active and not config.is_lite and not config.is_relay_only and address not in self.tcp_bases:
            candidate = self._host(address, without_zone(address), base.local_preference, ACTIVE)
            active = attrs.evolve(base, address=address, candidate=candidate, protocol="tcp")
            self.tcp_bases[address] = active
            self._gather_host(active)

    def _forget(self, base: Base) -> Base:
        here = base.protocol, base.address
        self._gathered = {key for key in self._gathered if (key[0], key[2]) != here}
        return base

    def _base(self, address: Address, network: str, tcp_type: str | None = None) -> Base:
        is_unreliable = matches(network, self._config.address_filter.unreliable_networks)
        networks = self._networks
        level = networks.level_of(network)
        preference = self._preferences.draw(address.family, is_unreliable=is_unreliable, level=level)
        candidate = self._host(address, without_zone(address), preference, tcp_type)
        network_id, cost = networks.id_of(network), networks.cost_of(network)
        protocol: TransportProtocol = "udp" if tcp_type is None else "tcp"
        return Base(address, network, preference, candidate, protocol, network_id=network_id, network_cost=cost)

    def _host(self, base_address: Address, told: Address, preference: int, tcp_type: str | None) -> Candidate:
        kind = CandidateType.HOST
        protocol = "udp" if tcp_type is None else "tcp"
        foundation = self.foundations.name(kind, base_address.host, protocol=protocol)
        priority = self._priority(kind, preference, tcp_type)
        return Candidate(foundation, 1, protocol, priority, told, kind, tcp_type=tcp_type)

    def _priority(self, kind: CandidateType, preference: int, tcp_type: str | None) -> int:
        if tcp_type is None:
            return candidate_priority(kind, preference)
        return tcp_candidate_priority(kind, tcp_type, preference)

    def _gather_host(self, base: Base) -> None:
        """The candidate of the address itself, and those of a 1:1 NAT before it."""
        is_told, rules = rewritings_of(canonical_host(base.address.host), self._config.rewrites)
        if is_told:
            self._offer(GatheredCandidate(base.candidate, base))
        server_count = len(self._config.stun_servers)
        for index, rule in enumerate(rules, start=is_told):
            told = Address(canonical_host(rule.external), base.address.port)
            if rule.candidate_type == CandidateType.HOST:
                preference = base.local_preference - index
                candidate = self._host(base.address, told, preference, base.candidate.tcp_type)
            else:
                candidate = self._rewritten_reflexive(base, told, server_count + index)
            self._offer(GatheredCandidate(candidate, base))

    def _rewritten_reflexive(self, base: Base, told: Address, index: int) -> Candidate:
        kind = CandidateType.SERVER_REFLEXIVE
        tcp_type = base.candidate.tcp_type
        foundation = self.foundations.name(kind, base.address.host, "rewrite", base.protocol)
        priority = self._priority(kind, base.local_preference - index, tcp_type)
        related = without_zone(base.address)
        return Candidate(foundation, 1, base.protocol, priority, told, kind, related, tcp_type)

    def _offer(self, gathered: GatheredCandidate) -> None:
        """Pass a candidate on unless its address and base are those of another, whatever its priority (RFC 8838 9)."""
        # A host candidate that is told as a name is never redundant with one that is told as an address
        # (draft-ietf-rtcweb-mdns-ice-candidates section 3.1.2.2).
        kind = gathered.candidate.type if self._config.hide_host_addresses else None
        candidate = gathered.candidate
        key = (candidate.protocol, candidate.address, gathered.base.address, kind)
        # A server may tell another address at every refresh.
        count_max = CANDIDATES_PER_ADDRESS_MAX * self._config.local_address_count_max
        if key not in self._gathered and len(self._gathered) < count_max:
            self._gathered.add(key)
            self._candidates.append(gathered)
