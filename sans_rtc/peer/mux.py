"""Many peer connections on one port, as one machine. Machine[Datagram, Datagram, MuxEvent].

    sockets --bursts--> Router --batches--> peers touched --> datagrams, events tagged with the peer
                           |
                           +--> UnknownUfrag: the application may make a peer for a stranger

    key = mux.add(peer, now)                    # or mux.create(config, certificate, now)
    mux.peer(key).set_remote_description(offer, now)
    mux.touch(key, now)                         # after verbs on a peer: the mux looks at touched peers only

Its owner names the shared sockets by `add_local_address`; peers that need addresses are given these, so that
`GatheringNeeded` is never told. A datagram touches one peer: the work does not grow with the number of the others, and
the earliest of their deadlines is kept in a heap.

One remote address serves one peer at a time, since DTLS and SCTP do not say whose they are: two peers of this mux
cannot both talk to one socket of another mux. For the same reason a TURN server over UDP, which knows its clients by
their addresses, can serve one peer of a mux: give a peer that needs a relay a socket of its own, or a server over TCP.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sans_rtc import dtls
from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, InvalidState, LimitExceeded
from sans_rtc.ice.addresses import is_ip
from sans_rtc.machine import Address, Datagram, Path, Terminated, Trace, TraceRecord
from sans_rtc.outbox import Outbox
from sans_rtc.peer.config import PeerConfig
from sans_rtc.peer.connection import PeerConnection
from sans_rtc.peer.events import GatheringNeeded, PeerEvent
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_deadlines import Deadlines
from sans_rtc.peer.mux_events import MuxEvent, PeerEvents
from sans_rtc.peer.mux_router import Router
from sans_rtc.peer.mux_stats import MuxStatistics
from sans_rtc.peer.mux_stream_names import StreamNames
from sans_rtc.peer.states import TerminationReason
from sans_rtc.streams import StreamNeeded, StreamUnneeded


class Mux:
    """Peers that share sockets."""

    def __init__(self, config: MuxConfig | None = None, *, entropy: Entropy, trace: Trace | None = None) -> None:
        """Make a mux without peers.

        entropy  of the peers that `create` makes
        trace    theirs, too
        """
        self._router = Router(config)
        self._entropy = entropy
        self._trace = trace
        self._peers: dict[int, PeerConnection] = {}
        self._known: set[PeerConnection] = set()
        self._addresses: dict[Address, str] = {}
        self._listeners: dict[Address, str] = {}
        self._names = StreamNames()
        self._leaving: list[tuple[int, Path]] = []  # streams that peers need no more, once the peers are drained
        self._next_key = 1
        self._touched: dict[int, None] = {}  # in the order of touching, to be drained
        self._farewells: list[Datagram] = []
        self._deadlines = Deadlines()
        self._events: Outbox[MuxEvent] = Outbox()
        self._is_closing = False
        self._is_terminated = False
        self._reason = TerminationReason.CLOSED

    # -- inputs: the network -------------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram that arrived at a shared socket; whatever it holds, nothing is raised."""
        self.receive_many((datagram,), now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst: each peer takes what is its own in one go."""
        if self._is_terminated:
            return
        batches = self._router.sort(datagrams, now)
        for key, first in self._router.streams.take_claims():
            if key in self._peers:
                self._peers[key].stream_opened(first.path, now)
                self._peers[key].receive(first, now)
                self._settle(key, now)
        for key, batch in batches:
            if key in self._peers:
                self._peers[key].receive_many(self._names.inward(key, batch), now)
                self._settle(key, now)
        self._say_unwanted()
        for stranger in self._router.take_strangers():
            if not self._is_closing:
                self._events.append(stranger)

    def handle_timer(self, now: float) -> None:
        """Let the peers that are due do what is due."""
        self._router.streams.handle_timer(now)
        self._say_unwanted()
        for key in self._deadlines.take_due(now):
            peer = self._peers[key]
            if peer.deadline <= now:
                peer.handle_timer(now)
                self._settle(key, now)
            else:
                self._deadlines.arm(key, peer.deadline)

    def add_local_address(self, address: Address, network: str, now: float) -> None:
        """Name a bound socket: it becomes a candidate of every peer that gathers, or has gathered.

        Errors  InvalidArgument for what is not an IP address and a port
        """
        self._require_open()
        _require_address(address)
        self._addresses[address] = network
        for key in tuple(self._peers):
            self._name(self._peers[key], address, network, now)
            self._settle(key, now)

    def remove_local_address(self, address: Address, now: float) -> None:
        """A socket is gone."""
        self._require_open()
        self._addresses.pop(address, None)
        for key in tuple(self._peers):
            with suppress(InvalidState):  # it is being closed
                self._peers[key].remove_local_address(address, now)
            self._settle(key, now)

    # -- inputs: streams -----------------------------------------------------------------------------------------------

    def add_tcp_listener(self, address: Address, network: str, now: float) -> None:
        """Name a listening TCP socket: a passive candidate of every peer whose `IceConfig.tcp` wants one."""
        self._require_open()
        _require_address(address)
        self._listeners[address] = network
        for key in tuple(self._peers):
            with suppress(InvalidState, LimitExceeded):
                self._peers[key].add_tcp_listener(address, network, now)
            self._settle(key, now)

    def remove_tcp_listener(self, address: Address, now: float) -> None:
        """A listening socket is closed."""
        self._require_open()
        self._listeners.pop(address, None)
        for key in tuple(self._peers):
            with suppress(InvalidState):
                self._peers[key].remove_tcp_listener(address, now)
            self._settle(key, now)

    def stream_opened(self, path: Path, now: float) -> None:
        """A stream that `StreamNeeded` asked for is open, or somebody has connected to a listener."""
        if self._is_terminated:
            return
        asked = self._names.find(path)
        if asked is None:
            self._router.streams.opened(path, now)
            self._say_unwanted()
        else:
            key, inner = asked
            self._peers[key].stream_opened(inner, now)
            self._settle(key, now)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """A stream has ended, or could not be opened."""
        asked = self._names.find(path)
        key = self._router.streams.closed(path)
        if key is None:
            return
        inner = path if asked is None else asked[1]
        self._names.drop(key, inner)
        self._peers[key].stream_closed(inner, reason, now)
        self._settle(key, now)

    # -- inputs: peers -------------------------------------------------------------------------------------------------

    def add(self, peer: PeerConnection, now: float) -> int:
        """Take in a peer and return its key, which is never used again.

        Errors  InvalidArgument where another peer has its ICE user name fragment; LimitExceeded; InvalidState after
                close, or where the peer has ended
        """
        self._require_open()
        if peer.is_terminated:
            raise InvalidState("the peer has ended")
        if peer in self._known:
            raise InvalidArgument("the peer is here already")
        key = self._next_key
        self._router.add(key, peer.routing)
        self._next_key += 1
        self._peers[key] = peer
        self._known.add(peer)
        self._settle(key, now)
        return key

    def create(self, config: PeerConfig | None, certificate: dtls.Certificate | None, now: float) -> int:
        """Make a peer and take it in; returns its key. Errors as `add`."""
        self._require_open()
        return self.add(PeerConnection(config, certificate=certificate, entropy=self._entropy, trace=self._trace), now)

    def remove(self, key: int, now: float) -> PeerConnection:
        """Let go of a peer, which lives on without these sockets. Errors: InvalidArgument for an unknown key."""
        peer = self.peer(key)
        self._settle(key, now)
        self._forget(key)
        return peer

    def touch(self, key: int, now: float) -> None:
        """A verb of this peer was used: what it has to say is looked for. No effect where the peer is gone."""
        if key in self._peers:
            self._settle(key, now)

    # -- inputs: the end -----------------------------------------------------------------------------------------------

    def close(self, now: float) -> None:
        """Close every peer gracefully and end with the last one; idempotent."""
        if self._is_closing:
            return
        self._is_closing = True
        for key in tuple(self._peers):
            self._peers[key].close(now)
            self._settle(key, now)
        self._finish_if_empty(now)

    def abort(self, now: float) -> None:
        """End every peer at once."""
        if self._is_terminated:
            return
        self._is_closing = True
        self._reason = TerminationReason.ABORTED
        for key in tuple(self._peers):
            self._peers[key].abort(now)
            self._settle(key, now)
        self._finish_if_empty(now)

    # -- outputs -------------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Let the touched peers packetise and hand over what they send, those of each peer in order."""
        touched, self._touched = self._touched, {}
        sent, self._farewells = self._farewells, []
        for key in touched:
            datagrams = self._outward(key, self._peers[key].take_datagrams(now))
            if datagrams:
                self._router.note_sent(key, datagrams, now)
                sent += datagrams
            self._rise(key, now)
        if self._farewells:  # of a peer that has ended meanwhile
            sent += self._farewells
            self._farewells = []
        self._let_go()
        return sent or ()

    def take_events(self) -> Sequence[MuxEvent]:
        """Hand over what has happened, in order for each peer."""
        return self._events.take()

    # -- reads ---------------------------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, seconds: never later than the earliest deadline of a touched peer."""
        return min(self._deadlines.earliest, self._router.streams.deadline)

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._is_terminated

    @property
    def keys(self) -> Sequence[int]:
        """The keys of the peers, oldest first."""
        return tuple(self._peers)

    def peer(self, key: int) -> PeerConnection:
        """The peer with this key; InvalidArgument where there is none, any more or at all."""
        peer = self._peers.get(key)
        if peer is None:
            raise InvalidArgument(f"no peer has the key {key!r}")
        return peer

    @property
    def local_addresses(self) -> Sequence[Address]:
        """The shared sockets."""
        return tuple(self._addresses)

    @property
    def router(self) -> Router:
        """Who is reached how: for reading."""
        return self._router

    @property
    def stats(self) -> MuxStatistics:
        """Counters of what reached nobody; each peer counts what it discards itself."""
        return self._router.stats

    # -- consequences --------------------------------------------------------------------------------------------------

    def _settle(self, key: int, now: float) -> None:
        """After an input of a peer: its events rise, and it is drained with the next take."""
        self._touched[key] = None
        self._rise(key, now)

    def _rise(self, key: int, now: float) -> None:
        peer = self._peers[key]
        events = peer.take_events()
        if events:
            events = self._without_streams(key, self._answered(peer, events, now))
        self._router.follow(key)
        if events:
            self._events.append(PeerEvents(key, events))
        if peer.is_terminated:
            self._farewells += self._outward(key, peer.take_datagrams(now))
            self._forget(key)
            if self._is_closing:
                self._finish_if_empty(now)
        else:
            self._deadlines.arm(key, peer.deadline)

    def _answered(self, peer: PeerConnection, events: Sequence[PeerEvent], now: float) -> Sequence[PeerEvent]:
        """Give a peer that asks for addresses the shared ones; its question is left out, what follows is put in."""
        if not any(type(event) is GatheringNeeded for event in events):
            return events
        for address, network in self._addresses.items():
            self._name(peer, address, network, now)
        for address, network in self._listeners.items():
            with suppress(InvalidState, LimitExceeded):
                peer.add_tcp_listener(address, network, now)
        with suppress(InvalidState):
            peer.end_of_local_addresses(now)
        return [*(event for event in events if type(event) is not GatheringNeeded), *peer.take_events()]

    def _without_streams(self, key: int, events: Sequence[PeerEvent]) -> Sequence[PeerEvent]:
        """What a peer says of streams is said by the mux, with names that are nobody else's."""
        others: list[PeerEvent] = []
        for event in events:
            if isinstance(event, StreamNeeded):
                outer = self._names.need(key, event.path)
                self._router.streams.bind(outer, key)
                self._events.append(StreamNeeded(outer, event.server_name))
            elif isinstance(event, StreamUnneeded):
                self._leaving.append((key, event.path))
                self._events.append(StreamUnneeded(self._names.outer_of(key, event.path) or event.path))
            else:
                others.append(event)
        return others

    def _outward(self, key: int, datagrams: Sequence[Datagram]) -> Sequence[Datagram]:
        """What a peer sends, streams by their names outside; nothing for a stream that is not the peer's any more."""
        if all(datagram.path.protocol == "udp" for datagram in datagrams):
            return datagrams
        out = []
        for datagram in datagrams:
            path = datagram.path
            if path.protocol != "udp":
                path = self._names.outer_of(key, path) or path
                if self._router.streams.owner_of(path) != key:
                    continue
                datagram = Datagram(datagram.data, path, datagram.ecn)
            out.append(datagram)
        return out

    def _let_go(self) -> None:
        """Everything that was for these streams has been taken."""
        leaving, self._leaving = self._leaving, []
        for key, inner in leaving:
            self._router.streams.closed(self._names.drop(key, inner) or inner)

    def _say_unwanted(self) -> None:
        for path in self._router.streams.take_unwanted():
            self._events.append(StreamUnneeded(path))

    @staticmethod
    def _name(peer: PeerConnection, address: Address, network: str, now: float) -> None:
        """Name a socket to a peer, unless it is being closed, or its configuration takes no more addresses."""
        with suppress(InvalidState, LimitExceeded):
            peer.add_local_address(address, network, now)

    def _forget(self, key: int) -> None:
        self._let_go()
        self._names.drop_all(key)
        self._router.remove(key)
        self._known.remove(self._peers.pop(key))
        self._touched.pop(key, None)
        self._deadlines.forget(key)
        self._say_unwanted()

    def _finish_if_empty(self, now: float) -> None:
        if self._peers or self._is_terminated:
            return
        self._is_terminated = True
        self._addresses.clear()
        self._router.streams.end()
        self._say_unwanted()
        self._events.append(Terminated(self._reason, ""))
        if self._trace is not None:
            self._trace(TraceRecord("mux", "terminated", now, {"reason": str(self._reason)}))

    def _require_open(self) -> None:
        if self._is_closing:
            raise InvalidState("the mux has ended" if self._is_terminated else "the mux is being closed")


def _require_address(address: Address) -> None:
    if not is_ip(address.host) or not 0 < address.port <= 0xFFFF:
        raise InvalidArgument(f"a local address is an IP address and a port, not {address!r}")
