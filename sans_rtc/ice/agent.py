"""The ICE agent: finds a path between two hosts, keeps it, and moves to another when it dies (RFC 8445, 8838, 7675).

    sockets --> Gatherer --> Trickle --> candidates to the peer
                                |
                                v
    STUN ---> Inbound ---> Generations of Session: pairs, checks, nomination --> the pair that carries data
                 |                                                                     |
    payload -----+-------> Payload events          Consent: is the peer still there? <-+

The agent itself routes inputs to these parts and, after each, draws the consequences in one straight pass (`_settle`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.ice import events
from sans_rtc.ice.addresses import canonical_address, is_ip
from sans_rtc.ice.base import Base
from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.carriers import Carriers, is_carrying
from sans_rtc.ice.config import IceConfig
from sans_rtc.ice.context import AgentContext
from sans_rtc.ice.events import ConnectionState, GatheringState, IceEvent, TerminationReason
from sans_rtc.ice.explain import IceExplanation, explain
from sans_rtc.ice.gather import Gatherer
from sans_rtc.ice.generations import Generations
from sans_rtc.ice.inbound import Inbound
from sans_rtc.ice.names import Names
from sans_rtc.ice.parameters import Parameters
from sans_rtc.ice.priority import CANDIDATES_PER_ADDRESS_MAX
from sans_rtc.ice.remote import plain_hosts
from sans_rtc.ice.role import Role, RoleKeeper
from sans_rtc.ice.stats import IceStatistics
from sans_rtc.ice.told import Told
from sans_rtc.ice.trickle import Trickle
from sans_rtc.ice.wiring import Wiring
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace
from sans_rtc.outbox import Outbox

# RFC 7983 section 7: a first byte of 0 to 3 is STUN.
STUN_BYTE_MAX = 3


class Agent:
    """An ICE agent for one component of one data stream. Machine[Datagram, Datagram, IceEvent].

    Order of use: add_local_address for each socket, tell the peer `local_parameters` and each LocalCandidate, give what
    the peer tells to set_remote_parameters and add_remote_candidate. All of these may come in any order, at any time.
    """

    def __init__(self, config: IceConfig, *, role: Role, entropy: Entropy, trace: Trace | None = None) -> None:
        context = AgentContext(config, entropy, RoleKeeper(role, entropy), trace)
        self._context = context
        self._datagrams = context.datagrams
        self._events: Outbox[IceEvent] = Outbox()
        wiring = Wiring()
        self._gatherer = Gatherer(config, entropy, context.stats, wiring, trace)
        self._generations = Generations(context, self._gatherer.foundations)
        self._names = Names(config.name_timeout_s, config.remote_candidate_count_max + CANDIDATES_PER_ADDRESS_MAX)
        self._trickle = Trickle(config, self._gatherer, self._names, self._generations, self._events, entropy)
        self._inbound = Inbound(context, self._gatherer, self._generations)
        self._proven = self._inbound.gate.proven
        self._carriers = Carriers(context, self._gatherer, self._generations, self._inbound.gate, wiring)
        self._routes = wiring.routes
        self._is_carrying = is_carrying(config)
        self._send_path: Path | None = None
        self._told = Told(context, self._generations, self._events)
        self._awaits_addresses = False
        self._deadline = self._settled_deadline = math.inf
        self._is_terminated = False
        self.revision = 0
        """Grows whenever `local_ufrags`, `proven_paths`, `knows` or `answered_at` may have changed."""

    # -- inputs: the network -----------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram from a socket: STUN, or payload.

        Payload from a path that is proven becomes an event; from an address that the peer has named it waits; from
        anybody else it is discarded and counted.
        """
        data = datagram.data
        if data and data[0] > STUN_BYTE_MAX and datagram.path in self._proven:
            self._events.append(datagram)
        elif self._routes and datagram.path in self._routes:
            self._receive_carried((datagram,), now)
        else:
            self._receive_plain(datagram, now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst, as `receive` would one by one; a run of payload on one proven path costs one look-up."""
        if self._routes:
            self._receive_carried(datagrams, now)
            return
        known: Path | None = None
        for datagram in datagrams:
            data, path = datagram.data, datagram.path
            if data and data[0] > STUN_BYTE_MAX and (path is known or path in self._proven):
                known = path
                self._events.append(datagram)
            else:
                known = None
                self._receive_plain(datagram, now)

    def _receive_carried(self, datagrams: Sequence[Datagram], now: float) -> None:
        """As `receive_many`, where some may be for a TURN client, or pieces of a stream."""
        known: Path | None = None
        inner = self._carriers.unwrap(datagrams, now)
        for datagram in inner:
            data, path = datagram.data, datagram.path
            if data and data[0] > STUN_BYTE_MAX and (path is known or path in self._proven):
                known = path
                self._events.append(datagram)
            else:
                known = None
                self._receive_plain(datagram, now)
        if inner is datagrams:
            return
        if self._carriers.has_news:
            self._settle(now)
        else:
            self._follow_carriers()

    def _receive_plain(self, datagram: Datagram, now: float) -> None:
        """Take a datagram that is of no carrier's, and no payload on a proven path."""
        if self._is_terminated:
            return
        data = datagram.data
        if data and data[0] > STUN_BYTE_MAX:
            self._inbound.hold(datagram)
        elif self._inbound.receive_stun(datagram, now):
            self._settle(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._is_terminated:
            return
        if self._gatherer.deadline <= now:
            self._gatherer.handle_timer(now)
        self._names.handle_timer(now)
        self._carriers.handle_timer(now)
        self._generations.handle_timer(now)
        self._settle(now)

    def send(self, data: bytes, now: float) -> None:
        """Send a datagram on the selected path; before selection on the best valid one.

        Errors   InvalidState where there is none: see `can_send`
        """
        path = self._send_path
        if path is None:
            if self._is_terminated:
                return
            raise InvalidState("no path to the peer is known to work")
        self._datagrams.append(Datagram(data, path))

    def send_many(self, datagrams: Sequence[bytes], now: float) -> None:
        """As `send` of each, in order."""
        path = self._send_path
        if path is None:
            if self._is_terminated:
                return
            raise InvalidState("no path to the peer is known to work")
        self._datagrams.extend([Datagram(data, path) for data in datagrams])

    def send_whole(self, data: bytes, now: float) -> None:
        """Send a datagram that must not be fragmented, since it asks whether the path takes its size.

        Where no path is known to work, and on one that is no plain one, it is not sent: lost, as any probe may be.
        """
        path = self._send_path
        if path is not None and path.protocol == "udp":
            self._datagrams.append(Datagram(data, path, 0, dont_fragment=True))

    # -- inputs: this host -------------------------------------------------------------------------------------------

    def add_local_address(self, address: Address, network: str, now: float) -> None:
        """A UDP socket has been bound: its address becomes a host candidate and asks the STUN servers.

        network  name of its interface, empty where unknown
        Errors   InvalidArgument for what is not an IP address and a port; LimitExceeded
        An address after end_of_local_addresses opens gathering again.
        """
        if self._is_terminated:
            return
        self._gatherer.add_base(_local_address(address), network, now)
        self._settle(now)

    def end_of_local_addresses(self, now: float) -> None:
        """All sockets are bound: gathering is complete once every STUN server has answered or failed."""
        if self._is_terminated:
            return
        self._gatherer.end()
        self._awaits_addresses = False
        self._settle(now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """A socket is closed or broken: nothing is sent from it any more."""
        if self._is_terminated:
            return
        self._remove_bases(self._gatherer.remove_base(address, now), now)

    def add_tcp_listener(self, address: Address, network: str, now: float) -> None:
        """A TCP socket listens: a passive candidate, where the configuration wants one (RFC 6544 section 5.1).

        Who connects to it is told by stream_opened, with a path whose `local` is this address; errors as of
        add_local_address.
        """
        if self._is_terminated:
            return
        self._gatherer.add_listener(_local_address(address), network)
        self._settle(now)

    def remove_tcp_listener(self, address: Address, now: float) -> None:
        """A listener is closed, and with it what has been accepted there."""
        if not self._is_terminated:
            self._remove_bases(self._gatherer.remove_listener(address), now)

    def stream_opened(self, path: Path, now: float) -> None:
        """A connection that was asked for is open, or somebody has connected to a listener (see `streams`)."""
        if not self._is_terminated:
            self._carriers.stream_opened(path, now)
            self._settle(now)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """A connection has ended, or could not be opened. Its pair fails at once, its relay is lost."""
        if not self._is_terminated:
            self._carriers.stream_closed(path, reason, now)
            self._settle(now)

    def network_changed(self, now: float) -> None:
        """The network may have changed: find out where this host is now, and whether the pair in use is still alive.

        Effects  AddressesNeeded: name the sockets that are new, remove those that are gone, then say
                 end_of_local_addresses. Servers are asked again; candidates that are new are told in the present
                 generation, and checked. Where the socket in use is gone, data move to another pair at once; where no
                 pair is left that could work, RestartNeeded
        """
        if self._is_terminated:
            return
        self._awaits_addresses = True
        self._gatherer.refresh(now)
        self._generations.roam(now)
        self._events.append(events.AddressesNeeded())
        self._settle(now)

    def name_resolved(self, name: str, hosts: Sequence[str], now: float) -> None:
        """The answer to ResolveName: IP addresses, none where the name does not exist."""
        if self._is_terminated:
            return
        self._names.answer(name, plain_hosts(hosts))
        self._settle(now)

    # -- inputs: signalling ------------------------------------------------------------------------------------------

    def set_role(self, role: Role, now: float) -> None:
        """Take a role. Errors: InvalidState once the peer's parameters are known (RFC 8445 section 6.1.1)."""
        if self._is_terminated:
            return
        session = self._generations.current
        if session.remote is not None or session.number > 0:
            raise InvalidState("roles persist once checks have begun")
        self._context.roles.role = self._told.role = role
        session.on_role_changed()

    def set_remote_parameters(self, parameters: Parameters, now: float) -> None:
        """The peer's credentials. Others than before are a restart by the peer: then `local_parameters` change, too."""
        if self._is_terminated:
            return
        known = self._generations.current.remote
        if known is not None and (known.ufrag, known.pwd) == (parameters.ufrag, parameters.pwd):
            return
        if known is not None:
            self._begin_generation(now)
        self._context.settle_role(is_remote_lite=parameters.is_lite)
        self._generations.current.set_remote(parameters, now)
        self._settle(now)

    def add_remote_candidate(self, candidate: Candidate, now: float) -> None:
        """A candidate of the peer. A name in it comes out as ResolveName; what is of no use is counted."""
        if self._is_terminated:
            return
        name = self._generations.current.add_remote(candidate, now)
        if name is not None:
            self._names.ask(name, now)
        self._settle(now)

    def end_of_remote_candidates(self, now: float) -> None:
        """The peer has no more candidates (RFC 8838 section 14)."""
        if self._is_terminated:
            return
        self._generations.current.remotes.has_ended = True
        self._settle(now)

    def restart(self, now: float) -> None:
        """Begin a new generation (RFC 8445 section 9): new credentials, candidates gathered again.

        Data go on travelling on the old path until a pair of the new generation is selected.
        """
        if self._is_terminated:
            return
        self._begin_generation(now)
        self._settle(now)

    def cancel_restart(self, now: float) -> None:
        """Go back to the generation before `restart`, as the rollback of an offer asks for.

        Errors   InvalidState where there is none, or the peer has taken it up
        """
        if self._is_terminated:
            return
        self._generations.cancel()
        self._settle(now)

    # -- the end -----------------------------------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """End at once; ICE has no farewell."""
        self._terminate(TerminationReason.CLOSED, "close() was called", now)

    def abort(self, now: float) -> None:
        """End at once."""
        self._terminate(TerminationReason.ABORTED, "abort() was called", now)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what is to be sent, in order."""
        datagrams = self._datagrams.take()
        if not self._is_carrying:
            return datagrams
        outer = self._carriers.wrap(datagrams, now)
        if outer is not datagrams:
            self._follow_carriers()
        return outer

    def take_events(self) -> Sequence[IceEvent]:
        """Hand over what has happened, in order."""
        return self._events.take()

    # -- reads -------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return self._deadline

    @property
    def is_terminated(self) -> bool:
        """True after close and abort."""
        return self._is_terminated

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._told.state

    @property
    def gathering_state(self) -> GatheringState:
        """The state of gathering."""
        return self._trickle.state

    @property
    def role(self) -> Role:
        """Controlling or controlled."""
        return self._context.roles.role

    @property
    def local_parameters(self) -> Parameters:
        """Our credentials in this generation, for the peer."""
        return self._generations.current.local

    @property
    def remote_parameters(self) -> Parameters | None:
        """The peer's, once signalled."""
        return self._generations.current.remote

    @property
    def can_send(self) -> bool:
        """True where `send` has a path."""
        return self._send_path is not None

    @property
    def selected_path(self) -> Path | None:
        """The path of the selected pair; during a restart that of the old one."""
        return self._generations.selected_path

    @property
    def sockets(self) -> tuple[tuple[Address, ...], tuple[Address, ...], tuple[Path, ...]]:
        """The addresses of UDP sockets and of listeners that it knows, and its streams: open, or asked for."""
        return (*self._gatherer.addresses, self._carriers.stream_paths)

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """Our user name fragments that checks of the peer may be for: of this generation and the one before."""
        return tuple(session.local.ufrag for session in self._generations.sessions)

    @property
    def proven_paths(self) -> Collection[Path]:
        """The paths from which payload is taken; none after the end."""
        return self._proven.keys()

    def knows(self, path: Path) -> bool:
        """True where a pair has this path: by what the peer has signalled, or by an authenticated check of it."""
        return self._generations.know(path)

    def answered_at(self, path: Path) -> float:
        """When the peer last answered a check of ours on this path; -inf where it never did, or no checks are sent.

        That tells more than a request of the peer, whose source may be forged: the answer has come from there.
        """
        if self._context.config.is_lite:
            return -math.inf
        pairs = (session.checklist.find(path) for session in self._generations.sessions)
        return max((pair.last_response_at for pair in pairs if pair is not None), default=-math.inf)

    @property
    def is_silent(self) -> bool:
        """True where the peer was there and is not heard of any more."""
        return self._told.state in (ConnectionState.DISCONNECTED, ConnectionState.FAILED, ConnectionState.CLOSED)

    @property
    def path_overhead_bytes(self) -> int:
        """The most that is put around a datagram of `send` between here and a relay: 36, to IPv6 peers 48; else 0."""
        return self._carriers.overhead_bytes(self._send_path)

    @property
    def stats(self) -> IceStatistics:
        """Counters."""
        return self._context.stats

    def explain(self) -> IceExplanation:
        """Describe candidates, pairs, servers and counters as plain data; changes nothing."""
        return explain(
            self._told.state,
            self.role,
            self._gatherer,
            self._carriers.streams,
            self._generations.sessions,
            self._inbound.gate.waiting_count,
            self._context.stats,
        )

    # -- consequences ------------------------------------------------------------------------------------------------

    def _settle(self, now: float) -> None:
        """Draw the consequences of an input: each part once, in the order in which one leads to the next."""
        self.revision += 1
        for early in self._inbound.take_released():
            self._events.append(early)
        self._told.follow_role()
        self._carriers.proceed(now)
        self._trickle.proceed(now)
        for datagram in self._gatherer.take_datagrams():
            self._datagrams.append(datagram)
        self._generations.proceed(now)
        if self._generations.retire(now):
            self._inbound.gate.retain(self._generations.know)
        self._send_path = self._generations.carrier_path
        if self._told.follow_path(now):
            self._gatherer.release()
        if self._context.config.is_lite:
            self._inbound.trust_without_checks()
            for early in self._inbound.take_released():
                self._events.append(early)
        is_gathered = self._trickle.state is GatheringState.COMPLETE
        self._told.enter(self._generations.state(now, is_gathered=is_gathered), now)
        if not self._awaits_addresses and self._gatherer.bases:
            self._told.ask_for_restart()
        self._carriers.follow(self._told.state, now)
        # Kept, for it is read after every packet; payload and `send`, which do not come here, change no deadline.
        self._settled_deadline = min(self._generations.deadline, self._gatherer.deadline, self._names.deadline)
        self._follow_carriers()

    def _follow_carriers(self) -> None:
        """What carriers want of the driver, and when; what passes through them may change both."""
        for event in self._carriers.take_stream_events():
            self._events.append(event)
        carriers_deadline = self._carriers.deadline if self._is_carrying else math.inf
        self._deadline = min(self._settled_deadline, carriers_deadline)

    def _begin_generation(self, now: float) -> None:
        self._generations.begin()
        self._inbound.gate.retain(self._generations.know)
        self._trickle.restart(now)

    def _terminate(self, reason: TerminationReason, detail: str, now: float) -> None:
        if self._is_terminated:
            return
        self._is_terminated = True
        self.revision += 1
        if self._is_carrying:
            self._carriers.close(now, is_graceful=reason is TerminationReason.CLOSED)
            self._follow_carriers()
            self._is_carrying = False
        self._deadline = math.inf
        self._send_path = None
        self._inbound.gate.clear()
        self._trickle.close()
        self._told.enter(ConnectionState.CLOSED, now)
        self._events.append(Terminated(reason, detail))

    def _remove_bases(self, bases: Sequence[Base], now: float) -> None:
        if not bases:
            return
        for base in bases:
            self._carriers.remove_base(base, now)
        self._trickle.on_addresses_changed()
        self._settle(now)


def _local_address(address: Address) -> Address:
    if not is_ip(address.host) or not 0 < address.port <= 0xFFFF:
        raise InvalidArgument(f"a local address is an IP address and a port, not {address!r}")
    return Address(*canonical_address(address))
