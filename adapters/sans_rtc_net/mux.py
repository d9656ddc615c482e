"""Many peers of one loop on shared sockets: the routing of `sans_rtc.peer.mux_router` between sockets and drivers.

    shared sockets --> Driver of the Port --> Port --batches--> Seat --> the peer's machine, and its driver flushes
    shared sockets <-- Driver of the Port <-- Port <--datagrams-- Seat <-- the peer's machine, at every flush

The Port is a machine, so any driver can drive it. A Seat stands between one peer's machine and that peer's own driver:
what leaves by a shared socket, or on a stream that somebody has opened to a shared TCP port, goes to the Port; the
rest, streams of the peer's own, on to the driver. Each peer keeps its own timer, and a bug in one does not end others.
"""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from sans_rtc.errors import InvalidArgument
from sans_rtc.ice import IceConfig
from sans_rtc.machine import Address, Datagram, Path
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.events import PeerEvent
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_events import UnknownUfrag
from sans_rtc.peer.mux_router import Router
from sans_rtc.streams import StreamUnneeded
from sans_rtc_net.binding import BindConfig
from sans_rtc_net.gathering import Gathering
from sans_rtc_net.loop import Loop, LoopDriver, WaitSignal

if TYPE_CHECKING:
    from sans_rtc_net.async_peer import AsyncPeerConnection

PortEvent: TypeAlias = UnknownUfrag | StreamUnneeded


class Port:
    """The shared sockets as a machine, Machine[Datagram, Datagram, PortEvent], and who sits on them."""

    def __init__(self, config: MuxConfig, loop: Loop) -> None:
        self.router = Router(config)
        self.addresses: dict[Address, str] = {}  # and the names of their interfaces
        self.listeners: dict[Address, str] = {}
        self.seats: dict[int, Seat] = {}
        self.driver: LoopDriver | None = None
        self._loop = loop
        self._next_key = 1
        self._out: list[Datagram] = []
        self._is_receiving = False
        self._released: list[Path] = []

    def seat(self, machine: Machine) -> Seat:
        """A seat for a peer; it is taken until `Seat.leave`. Errors: those of `Router.add`."""
        key = self._next_key
        self.router.add(key, machine.routing)
        self._next_key += 1
        self.seats[key] = Seat(self, key, machine)
        return self.seats[key]

    def send(self, datagrams: Sequence[Datagram]) -> None:
        """Send by the shared sockets: now, or where a burst is being taken, at its end."""
        self._out += datagrams
        self._flush()

    def release(self, path: Path) -> None:
        """A peer needs a stream no more that somebody has opened to it."""
        self.router.streams.closed(path)
        self._released.append(path)
        self._flush()

    def leave(self, key: int) -> None:
        """A peer has ended: what is left of its streams is closed."""
        self.router.remove(key)
        if self.seats.pop(key, None) is not None:
            self._flush()

    def _flush(self) -> None:
        if not self._is_receiving and self.driver is not None:
            self.driver.flush()

    # -- the machine ---------------------------------------------------------------------------------------------------

    def receive(self, datagram: Datagram, now: float) -> None:
        """Take one datagram."""
        self.receive_many((datagram,), now)

    def receive_many(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Take a burst: each peer gets its part of it in one go."""
        batches = self.router.sort(datagrams, now)
        self._is_receiving = True
        for key, first in self.router.streams.take_claims():
            self._bring(key, Seat.deliver_stream, first, now)
        for key, batch in batches:
            self._bring(key, Seat.deliver, batch, now)
        self._is_receiving = False

    def _bring(self, key: int, bring: Callable[..., None], *arguments: object) -> None:
        seat = self.seats.get(key)
        if seat is None:  # it has left because of what another has received
            return
        try:
            bring(seat, *arguments)
        except BaseException as error:  # a bug of one peer: the loop is told of it, and the others go on
            seat.fail(error)
            self._loop.call_soon(_raise, error)

    def stream_opened(self, path: Path, now: float) -> None:
        """Somebody has connected to a shared TCP port; the first frame will say whose it is."""
        self.router.streams.opened(path, now)

    def stream_closed(self, path: Path, reason: str, now: float) -> None:
        """Such a connection has ended."""
        key = self.router.streams.closed(path)
        if key is not None:
            self._bring(key, Seat.deliver_end, path, reason, now)

    def handle_timer(self, now: float) -> None:
        """Give up connections on which no check has come."""
        self.router.streams.handle_timer(now)

    def close(self, now: float) -> None:
        """Nothing is to be said."""

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Hand over what the peers send."""
        out = self._out
        if out:
            self._out = []
        return out

    def take_events(self) -> Sequence[PortEvent]:
        """Hand over who has knocked, and which connections are to be closed."""
        released, self._released = self._released, []
        unwanted = self.router.streams.take_unwanted()
        if not released and not unwanted:
            return self.router.take_strangers()
        return [*self.router.take_strangers(), *map(StreamUnneeded, released), *map(StreamUnneeded, unwanted)]

    @property
    def deadline(self) -> float:
        """When the oldest connection without a check is given up."""
        return self.router.streams.deadline

    @property
    def is_terminated(self) -> bool:
        """Never."""
        return False


class Seat:
    """One peer's place at a port: the peer's machine, as its driver sees it."""

    def __init__(self, port: Port, key: int, machine: Machine) -> None:
        """Made by `Port.seat`."""
        self.port = port
        self._key = key
        self._machine = machine
        self._driver: LoopDriver | None = None
        self._on_received: Callable[[], None] = lambda: None
        self._on_failure: Callable[[BaseException], None] = lambda error: None
        self.member: AsyncPeerConnection | None = None
        self.receive = machine.receive
        self.receive_many = machine.receive_many
        self.handle_timer = machine.handle_timer
        self.close = machine.close
        self.stream_opened = machine.stream_opened  # the peer's own
        self.stream_closed = machine.stream_closed

    def attach(
        self,
        member: AsyncPeerConnection,
        driver: LoopDriver,
        *,
        on_received: Callable[[], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        """Say whose seat it is and who drives the peer; the callables are those that the driver has, too."""
        self.member, self._driver = member, driver
        self._on_received, self._on_failure = on_received, on_failure

    def deliver(self, datagrams: Sequence[Datagram], now: float) -> None:
        """Bring what is the peer's own."""
        self._machine.receive_many(datagrams, now)
        if self._driver is not None:
            self._driver.flush()
        self._on_received()

    def deliver_stream(self, first: Datagram, now: float) -> None:
        """Bring a stream that is the peer's, with what has come on it."""
        self._machine.stream_opened(first.path, now)
        self.deliver((first,), now)

    def deliver_end(self, path: Path, reason: str, now: float) -> None:
        """Tell the end of such a stream."""
        self._machine.stream_closed(path, reason, now)
        if self._driver is not None:
            self._driver.flush()

    def fail(self, error: BaseException) -> None:
        """The peer has a bug: it is driven no more."""
        if self._driver is not None:
            self._driver.close()
        self._on_failure(error)

    def leave(self) -> None:
        """Give up the seat; idempotent."""
        self.port.leave(self._key)

    def take_datagrams(self, now: float) -> Sequence[Datagram]:
        """Let the machine packetise; what leaves by a shared socket goes to the port, the rest is handed over."""
        datagrams = self._machine.take_datagrams(now)
        router, shared = self.port.router, self.port.addresses
        router.follow(self._key)
        if not datagrams:
            return datagrams
        router.note_sent(self._key, datagrams, now)
        path: Path | None = None
        own: list[Datagram] = []
        for datagram in datagrams:
            if datagram.path is not path:
                path = datagram.path
                is_shared = (
                    path.local in shared if path.protocol == "udp" else router.streams.owner_of(path) == self._key
                )
            if not is_shared:
                own.append(datagram)
        if own:
            kept = {id(datagram) for datagram in own}
            datagrams = [datagram for datagram in datagrams if id(datagram) not in kept]
        self.port.send(datagrams)
        return own

    def take_events(self) -> Sequence[PeerEvent]:
        """Hand over what the peer tells; of streams at a shared port the Port is told."""
        events = self._machine.take_events()
        if not self.port.listeners or not any(type(event) is StreamUnneeded for event in events):
            return events
        owner_of = self.port.router.streams.owner_of
        others: list[PeerEvent] = []
        for event in events:
            if isinstance(event, StreamUnneeded) and owner_of(event.path) == self._key:
                self.port.release(event.path)
            else:
                others.append(event)
        return others

    @property
    def deadline(self) -> float:
        """That of the machine."""
        return self._machine.deadline

    @property
    def is_terminated(self) -> bool:
        """That of the machine."""
        return self._machine.is_terminated


class SharedGathering(Gathering):
    """Gives a peer the shared sockets, and opens none."""

    def __init__(self, seat: Seat, machine: Machine, driver: LoopDriver, clock: Callable[[], float]) -> None:
        super().__init__(machine, driver, clock, BindConfig())
        self._port = seat.port
        self._seat = seat

    def start(self) -> None:
        """Tell the machine of the shared sockets; again, where a network has changed."""
        now = self._clock()
        for address, interface in self._port.addresses.items():
            self._machine.add_local_address(address, interface, now)
        for address, interface in self._port.listeners.items():
            self._machine.add_tcp_listener(address, interface, now)
        self._machine.end_of_local_addresses(now)
        self._driver.request_flush()

    def close(self) -> None:
        """The peer has ended: its seat is free."""
        self._seat.leave()


class KnockQueue:
    """Strangers that nobody has taken yet; those beyond the bound are dropped, and counted."""

    def __init__(self, count_max: int, arrived: WaitSignal) -> None:
        self.arrived = arrived
        self.dropped = 0
        self.items: deque[UnknownUfrag] = deque()
        self._count_max = count_max

    def put(self, strangers: Sequence[UnknownUfrag]) -> None:
        """Keep those for whom there is room."""
        for stranger in strangers:
            if len(self.items) < self._count_max:
                self.items.append(stranger)
            else:
                self.dropped += 1
        self.arrived.notify()


def refuse_what_cannot_be_shared(ice: IceConfig, sockets: Sequence[socket.socket]) -> None:
    """What cannot be had of a peer that shares its socket.

    Errors  InvalidArgument: sockets of its own; a TURN server over UDP, which would take all peers for one client
    """
    if sockets:
        raise InvalidArgument("a peer of a mux has the sockets of the mux, not others")
    if any(server.transport == "udp" for server in ice.turn_servers):
        raise InvalidArgument(
            "a TURN server over UDP tells its clients apart by their address, which peers of a mux share: "
            "use ?transport=tcp or turns:, or make this peer without mux"
        )


def _raise(error: BaseException) -> None:
    raise error
