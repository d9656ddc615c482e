"""Relayed candidates: every base asks every TURN server, all of them raced (RFC 8445 section 5.1.1.2, RFC 8656).

a base and a server --> Relay --> Allocated --> a relayed candidate, and over UDP a server-reflexive one
                          |
                          +--> AllocationFailed --> CandidateError with the server's code, name and reason
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.ice.addresses import can_be_paired, canonical_host, is_ip, is_unusable, without_zone
from sans_rtc.ice.base import Base, GatheredCandidate
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.config import IceConfig, TurnServer
from sans_rtc.ice.events import CandidateError
from sans_rtc.ice.hiding import HIDDEN_PORT
from sans_rtc.ice.pacer import Pacer
from sans_rtc.ice.priority import Foundations, candidate_priority
from sans_rtc.ice.reflexive import NO_ANSWER
from sans_rtc.ice.relayed import PeerRefusal, Relay, RelayState, relay_key
from sans_rtc.ice.server_names import ServerNames
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.ice.wiring import Wiring
from sans_rtc.machine import Address, Datagram, Terminated, Trace
from sans_rtc.outbox import Outbox
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.turn.client import Client
from sans_rtc.turn.config import TurnConfig
from sans_rtc.turn.events import Allocated, AllocationFailed, PeerRefused, Redirected, TurnEvent


class RelayedSource:
    """A source of candidates: TURN servers, asked one Ta after the other, each answering for itself.

    relays  all, in the order in which they were begun; those of no more use are forgotten at a restart
    bases   relayed addresses that can be used, and the relay that each is of
    """

    def __init__(
        self,
        config: IceConfig,
        entropy: Entropy,
        stats: IceStatistics,
        foundations: Foundations,
        wiring: Wiring,
        trace: Trace | None,
    ) -> None:
        self.relays: list[Relay] = []
        self.bases: dict[Address, Base] = {}
        self._config = config
        self._entropy = entropy
        self._stats = stats
        self._foundations = foundations
        self._wiring = wiring
        self._trace = trace
        self._pacer = Pacer(config.check_pace_s)
        self._servers = ServerNames(config.turn_servers)
        self._bases: list[Base] = []
        self._by_relayed: dict[Address, Relay] = {}
        self._candidates: Outbox[GatheredCandidate] = Outbox()
        self._errors: Outbox[CandidateError] = Outbox()
        self._gone: Outbox[Base] = Outbox()
        self._refused: Outbox[tuple[Relay, str]] = Outbox()

    # -- inputs ------------------------------------------------------------------------------------------------------

    def add_base(self, base: Base, now: float) -> None:
        """Begin to ask every server from this base; names of servers are asked for first."""
        self._bases.append(base)
        for index, server, hosts in self._servers.known():
            self._enqueue(base, index, server, hosts)
        self.proceed(now)

    def remove_base(self, base: Base, now: float) -> None:
        """The base is gone. What was asked from it ends; over a stream only with the last base of its host."""
        self._bases.remove(base)
        for relay in [relay for relay in self.relays if relay.base is base]:
            others = [other for other in self._bases if other.address.host == base.address.host]
            if relay.server.transport != "udp" and others:
                relay.base = others[0]
                continue
            self._end(relay, RelayState.LOST, now, is_graceful=False)
            self.relays.remove(relay)
        self.proceed(now)

    def restart(self, now: float) -> None:
        """Gather for a new generation: what there is is told again, what has failed or was given back is asked anew."""
        for relay in self.relays:
            if not relay.is_open and relay.is_using_server:
                self._end(relay, relay.state, now, is_graceful=False)  # its farewell was sent; its path is wanted
        self.relays = [relay for relay in self.relays if relay.is_open]
        self._candidates.take()
        for relay in self.relays:
            self._tell(relay)
        bases, self._bases = self._bases, []
        self._servers.forget()
        for base in bases:
            self.add_base(base, now)

    def release(self, kept: Sequence[Base], now: float) -> None:
        """Another pair is in use for good: give back all allocations but those of these bases."""
        for relay in self._unused(kept):
            self._end(relay, RelayState.RELEASED, now, is_graceful=True)

    def has_unused(self, kept: Sequence[Base]) -> bool:
        """True where `release` would give something back."""
        return bool(self._unused(kept))

    def _unused(self, kept: Sequence[Base]) -> list[Relay]:
        open_relays = (relay for relay in self.relays if relay.is_open)
        return [relay for relay in open_relays if not any(base in kept for base in relay.bases.values())]

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """A server's name stands for these hosts; for none where it does not exist."""
        servers = self._servers.answer(name, hosts)
        if not servers:
            return
        for index, server in servers:
            if not hosts:
                self._errors.append(CandidateError(server, None, NO_ANSWER, "the name is not resolved"))
            for base in self._bases:
                self._enqueue(base, index, server, hosts)
        self.proceed(now)

    def handle_timer(self, now: float) -> None:
        """Let every client do what is due, give up on servers that do not answer, ask the next."""
        for relay in self.relays:
            client = relay.client
            if client is not None and client.deadline <= now:
                client.handle_timer(now)
            if relay.give_up_at <= now:
                relay.reason = "no answer"
                self._fail(relay, now)
        self.proceed(now)

    def proceed(self, now: float) -> None:
        """Take what clients have said, and begin with the next server where it is due (RFC 8445 section 14.1)."""
        for relay in list(self.relays):
            for event in relay.take_news():
                self._on_event(relay, event, now)
        if self._pacer.ordinary_at <= now:
            relay_next = next((relay for relay in self.relays if relay.state is RelayState.WAITING), None)
            if relay_next is not None:
                self._pacer.note_sent(now)
                self._start(relay_next, now)

    def close(self, now: float, *, is_graceful: bool) -> None:
        """The agent ends: give everything back, without waiting for an answer."""
        for relay in self.relays:
            self._end(relay, RelayState.RELEASED, now, is_graceful=is_graceful)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> list[Datagram]:
        """Hand over what goes to servers: requests, and what was sent through them."""
        datagrams: list[Datagram] = []
        for relay in self.relays:
            if relay.client is not None:
                datagrams += relay.client.take_datagrams(now)
        return datagrams

    def take_candidates(self) -> Sequence[GatheredCandidate]:
        """Hand over what servers have given."""
        return self._candidates.take()

    def take_errors(self) -> Sequence[CandidateError]:
        """Hand over which servers gave nothing, and why."""
        return self._errors.take()

    def take_names(self) -> Sequence[str]:
        """Hand over the names of servers to be resolved."""
        return self._servers.take()

    def take_gone(self) -> Sequence[Base]:
        """Hand over relayed bases that exist no more."""
        return self._gone.take()

    def take_refused(self) -> Sequence[tuple[Relay, str]]:
        """Hand over hosts to which a server relays nothing."""
        return self._refused.take()

    def relay_of(self, relayed: Address) -> Relay | None:
        """The relay that has given this address."""
        return self._by_relayed.get(relayed)

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        deadline = min((relay.deadline for relay in self.relays), default=math.inf)
        if any(relay.state is RelayState.WAITING for relay in self.relays):
            deadline = min(deadline, self._pacer.ordinary_at)
        return deadline

    @property
    def is_done(self) -> bool:
        """True where every server has answered or failed, and no name is being resolved."""
        if self._servers.is_waiting:
            return False
        return not any(relay.state in (RelayState.WAITING, RelayState.IN_PROGRESS) for relay in self.relays)

    @property
    def unresolved_servers(self) -> list[TurnServer]:
        """Servers whose name has no address, or not yet."""
        return self._servers.unresolved

    # -- asking ------------------------------------------------------------------------------------------------------

    def _enqueue(self, base: Base, index: int, server: TurnServer, hosts: tuple[str, ...]) -> None:
        """One allocation per server and socket, over streams per host: at the first address that can be reached."""
        key = relay_key(base, server, index)
        if any(relay.is_open and relay.key == key for relay in self.relays):
            return
        for host in hosts:
            if can_be_paired(base.address.host, host):
                remote = base.path_to(Address(canonical_host(host), server.port)).remote
                if server.transport == "udp":
                    path = base.path_to(remote)
                else:
                    path = self._wiring.name_stream(base.address.host, remote, server.transport)
                self.relays.append(Relay(base, server, index, path, self._stats))
                return

    def _start(self, relay: Relay, now: float) -> None:
        if sum(other.is_using_server for other in self.relays) >= self._config.relay_count_max:
            relay.reason = "relay_count_max is reached"
            self._fail(relay, now)
            return
        if relay.path in self._wiring.routes:
            relay.reason = "another server of the configuration has the same address"
            self._fail(relay, now)
            return
        server = relay.server
        name = server.server_name or ("" if is_ip(server.host) else server.host)
        config = TurnConfig(
            username=server.username,
            password=server.password,
            server_name=name if server.transport == "tls" else "",
            families=server.families,
            schedule=self._config.check_schedule,
            keepalive_s=min(self._config.binding_keepalive_s, 600.0),
        )
        relay.client = Client(config, relay.path, entropy=self._entropy, trace=self._trace)
        relay.state = RelayState.IN_PROGRESS
        relay.give_up_at = now + self._config.relay_timeout_s
        if server.transport == "udp":
            self._wiring.routes[relay.path] = relay
        else:
            self._wiring.open(relay.path, relay, config.server_name)
        relay.client.allocate(now)

    # -- answers -----------------------------------------------------------------------------------------------------

    def _on_event(self, relay: Relay, event: TurnEvent, now: float) -> None:
        match event:
            case Allocated():
                self._on_allocated(relay, event)
            case AllocationFailed():
                relay.code, relay.name, relay.reason = event.code, event.name, event.reason
            case PeerRefused():
                relay.note_refusal(PeerRefusal(event.peer.host, event.code, event.name, event.reason))
                self._refused.append((relay, event.peer.host))
            case Redirected():
                if event.path.protocol == "udp":  # of streams it says itself which are needed, and which are not
                    self._wiring.routes.pop(relay.path, None)
                    self._wiring.routes[event.path] = relay
                relay.path = event.path
            case StreamNeeded():
                self._wiring.open(event.path, relay, event.server_name)
            case StreamUnneeded():
                self._wiring.close(event.path)
            case Terminated():
                if relay.state is RelayState.IN_PROGRESS:
                    relay.reason = relay.reason or event.detail
                    self._fail(relay, now)
                elif relay.state is RelayState.SUCCEEDED:
                    self._end(relay, RelayState.LOST, now, is_graceful=False)
                self._unroute(relay)
            case _:
                pass

    def _on_allocated(self, relay: Relay, event: Allocated) -> None:
        if relay.state is not RelayState.IN_PROGRESS:
            return
        relay.state = RelayState.SUCCEEDED
        relay.give_up_at = math.inf
        relay.mapped = event.mapped
        for index, relayed in enumerate(event.relayed):
            if relayed.port and not is_unusable(relayed.host) and relayed not in self.bases:
                base = self._relayed_base(relay, relayed, index)
                relay.bases[relayed] = self.bases[relayed] = base
                self._by_relayed[relayed] = relay
        self._tell(relay)

    def _relayed_base(self, relay: Relay, relayed: Address, index: int) -> Base:
        kind, server = CandidateType.RELAYED, relay.server
        assert relay.mapped is not None
        # Where nobody is to learn our address, it does not stand beside the relayed one either.
        hidden = Address("::" if relay.mapped.family == 6 else "0.0.0.0", HIDDEN_PORT)
        preference = max(0, relay.local_preference - index)
        candidate = Candidate(
            # RFC 8445 section 5.1.1.3: the type, the base's address, the server's, and the protocol to the server.
            self._foundations.name(kind, relayed.host, relay.path.remote.host, server.transport),
            1,
            "udp",
            candidate_priority(kind, preference),
            relayed,
            kind,
            related_address=hidden if self._config.is_relay_only else relay.mapped,
        )
        own = relay.base
        return Base(
            relayed,
            own.network,
            preference,
            candidate,
            is_relayed=True,
            network_id=own.network_id,
            network_cost=own.network_cost,
        )

    def _tell(self, relay: Relay) -> None:
        for base in relay.bases.values():
            self._candidates.append(GatheredCandidate(base.candidate, base))
        mapped = relay.mapped
        is_reflexive = relay.server.transport == "udp" and relay.state is RelayState.SUCCEEDED
        if is_reflexive and mapped is not None and mapped.port and not is_unusable(mapped.host):
            self._candidates.append(GatheredCandidate(self._reflexive(relay, mapped), relay.base))

    def _reflexive(self, relay: Relay, mapped: Address) -> Candidate:
        """RFC 8445 section 5.1.1.2: an Allocate tells the server-reflexive address as well."""
        base, kind = relay.base, CandidateType.SERVER_REFLEXIVE
        index = len(self._config.stun_servers) + len(self._config.rewrites) + relay.server_index
        return Candidate(
            self._foundations.name(kind, base.address.host, relay.path.remote.host),
            1,
            "udp",
            candidate_priority(kind, base.local_preference - index),
            mapped,
            kind,
            related_address=without_zone(base.address),
        )

    # -- ending ------------------------------------------------------------------------------------------------------

    def _fail(self, relay: Relay, now: float) -> None:
        """It gives no candidate (W3C icecandidateerror)."""
        text = ": ".join(dict.fromkeys(part for part in (relay.name, relay.reason) if part))
        self._errors.append(CandidateError(relay.server, relay.base.address, relay.code or NO_ANSWER, text))
        self._end(relay, RelayState.FAILED, now, is_graceful=False)

    def _end(self, relay: Relay, state: RelayState, now: float, *, is_graceful: bool) -> None:
        """It gives no address any more; one that is ended gracefully tells its server, and has its answer awaited."""
        relay.state = state
        relay.give_up_at = math.inf
        for relayed, base in relay.bases.items():
            del self.bases[relayed], self._by_relayed[relayed]
            self._gone.append(base)
        relay.bases = {}
        client = relay.client
        if client is not None and not client.is_terminated:
            if is_graceful:
                client.close(now)
                return
            client.abort(now)
        self._unroute(relay)

    def _unroute(self, relay: Relay) -> None:
        for path in [path for path, carrier in self._wiring.routes.items() if carrier is relay]:
            if path.protocol == "udp":
                del self._wiring.routes[path]
            else:
                self._wiring.close(path)
