"""A host in virtual time: interfaces, sockets, streams, and the programs (machines) that use them.

It does what an adapter does with real sockets: hands over what arrives, sends what a machine has to say, keeps its
timer, and answers StreamNeeded and StreamUnneeded. All other events go to the test.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Datagram, Machine, Path, TransportProtocol
from sans_rtc.snapshot import KEY_BYTES, restore, store
from sans_rtc.streams import StreamNeeded, StreamUnneeded
from sans_rtc.testing.cable import Cable
from sans_rtc.testing.contract import ContractMonitor
from sans_rtc.testing.realm import DropReason, Packet, Port, Realm
from sans_rtc.testing.tcp import CONNECT_TIMEOUT_S, Connection, Syn

if TYPE_CHECKING:
    from sans_rtc.testing.network import Network

FIRST_EPHEMERAL_PORT = 49_152
PORTS_END = 1 << 16


# A snapshot stays within the simulation.
_SNAPSHOT_KEY = bytes(KEY_BYTES)


@attrs.define(slots=True)
class _Down:
    """What a program that has crashed leaves behind."""

    kind: type
    snapshot: bytes
    entropy: Entropy
    lost_streams: list[Path]


class Program:
    """One machine at work on a host.

    machine   any machine of `Datagram`s
    events    all that it has told, streams excepted
    on_event  called with each of them at once; it may use this machine's verbs, others' by way of `Network.after`
    """

    def __init__(self, host: Host, machine: Machine[Any, Any, Any], on_event: Callable[[Any], None]) -> None:
        self.host = host
        self.machine = machine
        self.on_event = on_event
        self.events: list[Any] = []
        self._network = host.network
        self._streams: dict[Path, Connection] = {}
        self._opening: set[Path] = set()
        self._paths: dict[tuple[Address, Address], Path] = {}
        self._armed_at = math.inf
        self._down: _Down | None = None

    # -- what it has -------------------------------------------------------------------------------------------------

    def open_socket(self, host: str, port: int = 0) -> Address:
        """Bind a UDP socket; port 0: any. InvalidArgument where the host has no such address, or it is taken."""
        return self.host.bind(self, "udp", host, port)

    def listen(self, host: str, port: int, protocol: TransportProtocol = "tcp") -> Address:
        """Accept streams ("tcp" or "tls"); the machine is told of each by `stream_opened`."""
        return self.host.bind(self, protocol, host, port)

    def close_socket(self, address: Address) -> None:
        """Let a UDP socket or a listening one go."""
        self.host.unbind(self, address)

    @property
    def now(self) -> float:
        """The time as this program's host has it: what its machine's verbs are to be given."""
        return self._network.clock.now + self.host.clock_ahead_s

    # -- dying -------------------------------------------------------------------------------------------------------

    def crash(self, pause_s: float, *, entropy: Entropy) -> None:
        """Die at once; after a pause go on from a snapshot of this very moment, with the same sockets.

        What arrives meanwhile is lost, and streams break. The machine is another one then: look at `machine` again. One
        in a `ContractMonitor` is found in it. Verbs must not be used in the pause: there is nobody to take them.

        entropy  for the restored machine
        """
        assert self._down is None, "the program has crashed already"
        wrapped = self.machine.machine if isinstance(self.machine, ContractMonitor) else self.machine
        sealed = store(wrapped, _SNAPSHOT_KEY, self.now)
        self._down = _Down(type(wrapped), sealed, entropy, [*self._streams, *self._opening])
        for path, connection in self._streams.items():
            connection.close(self, path)
        self._streams.clear()
        self._opening.clear()
        self._network.schedule(self._network.now + pause_s, self._revive)

    @property
    def is_down(self) -> bool:
        """Whether it has crashed and does not go on yet."""
        return self._down is not None

    def _revive(self) -> None:
        down, self._down = self._down, None
        assert down is not None
        machine: Any = restore(down.kind, down.snapshot, _SNAPSHOT_KEY, entropy=down.entropy)
        if isinstance(self.machine, ContractMonitor):
            self.machine.machine = machine
        else:
            self.machine = machine
        for path in down.lost_streams:
            machine.stream_closed(path, "the program has crashed", self.now)
        self._armed_at = math.inf
        self._network.touch(self)

    # -- driving -----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what the machine has to say, tell its events, keep its timer."""
        if self._down is not None:
            return
        machine, now, watch = self.machine, self.now, self._network.watch
        for datagram in machine.take_datagrams(now):
            if watch is not None:
                watch.on_datagram(self, datagram)
            self._send(datagram)
        events = machine.take_events()
        for event in events:
            if watch is not None:
                watch.on_event(self, event)
            self._on_event(event)
        if events:
            self._network.touch(self)
            return
        deadline = machine.deadline
        if deadline <= now:  # as after a pause, or where an input and a timer meet at one moment
            machine.handle_timer(now)
            self._network.touch(self)
            return
        if watch is not None:
            watch.on_step(self)
        self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        """Have the timer handled when it is due by the clock of this host, in the network's time."""
        ahead_s = self.host.clock_ahead_s
        moment = max(deadline - ahead_s, self._network.clock.now)
        while moment + ahead_s < deadline:  # what rounding has taken
            moment = math.nextafter(moment, math.inf)
        if moment < self._armed_at:
            self._armed_at = moment
            self._network.schedule(moment, partial(self._on_timer, moment))

    def receive(self, datagram: Datagram) -> None:
        """Hand the machine what has arrived."""
        if self._down is not None:
            self._network.drops[DropReason.NO_SOCKET] += 1
            return
        self._network.carried += 1
        self.machine.receive(datagram, self.now)
        self._network.touch(self)

    def receive_packet(self, packet: Packet) -> None:
        """A datagram for a socket of this program."""
        key = (packet.destination, packet.source)
        path = self._paths.get(key)
        if path is None:
            path = self._paths[key] = Path(*key)
        self.receive(Datagram(packet.data, path, packet.ecn))

    def _on_timer(self, armed_at: float) -> None:
        if armed_at < self._armed_at or self._down is not None:
            return
        self._armed_at = math.inf
        now = self.now
        deadline = self.machine.deadline
        if deadline > now:  # it has been put off since: nothing is done, so there is nothing to say
            self._arm(deadline)
            return
        self.machine.handle_timer(now)
        self._network.touch(self)

    def on_clock_jump(self) -> None:
        """The clock of the host is another: look when the timer is due now."""
        self._armed_at = math.inf
        if self._down is None:
            self._arm(self.machine.deadline)

    def _send(self, datagram: Datagram) -> None:
        path = datagram.path
        if path.protocol == "udp":
            self.host.send(self, datagram)
            return
        connection = self._streams.get(path)
        if connection is None or not connection.write(self, path, datagram.data):
            self._network.drops[DropReason.NO_STREAM] += 1

    def _on_event(self, event: Any) -> None:
        if isinstance(event, StreamNeeded):
            self._opening.add(event.path)
            self.host.connect(self, event.path)
        elif isinstance(event, StreamUnneeded):
            self._opening.discard(event.path)
            connection = self._streams.pop(event.path, None)
            if connection is not None:
                connection.close(self, event.path)
        else:
            self.events.append(event)
            self.on_event(event)

    # -- its streams -------------------------------------------------------------------------------------------------

    def tell_opened(self, path: Path, connection: Connection, *, is_accepted: bool) -> None:
        """A stream of this program is open, or has been accepted."""
        if self._down is not None or (not is_accepted and path not in self._opening):
            connection.close(self, path)  # there is nobody, or it had become unneeded before it was open
            return
        self._opening.discard(path)
        self._streams[path] = connection
        self.machine.stream_opened(path, self.now)  # type: ignore[attr-defined]  # asked for, so it has it
        self._network.touch(self)

    def tell_closed(self, path: Path, reason: str) -> None:
        """A stream has ended, or could not be opened."""
        if self._streams.pop(path, None) is None and path not in self._opening:
            return
        self._opening.discard(path)
        self.machine.stream_closed(path, reason, self.now)  # type: ignore[attr-defined]  # as above
        self._network.touch(self)

    def receive_piece(self, piece: bytes, path: Path) -> None:
        """Bytes of a stream."""
        if path in self._streams:
            self.receive(Datagram(piece, path))


class Host:
    """A computer. Made by `Network.host`.

    clock_ahead_s  how far its clock is ahead of the network's; `jump_clock` adds to it
    """

    def __init__(self, network: Network, name: str) -> None:
        self.network = network
        self.name = name
        self.interfaces: list[Port] = []
        self.programs: list[Program] = []
        self.clock_ahead_s = 0.0
        self._sockets: dict[tuple[TransportProtocol, Address], Program] = {}
        self._next_port = FIRST_EPHEMERAL_PORT

    # -- building ----------------------------------------------------------------------------------------------------

    def attach(self, realm: Realm, *hosts: str, cable: Cable | None = None, name: str = "") -> Port:
        """Join a realm: an interface with these addresses."""
        port = Port(self, realm, hosts, cable or Cable(), name or f"eth{len(self.interfaces)}")
        realm.join(port)
        self.interfaces.append(port)
        return port

    def detach(self, interface: Port) -> None:
        """An interface is gone, with its addresses; sockets stay and reach nobody."""
        interface.is_joined = False
        interface.realm.leave(interface)
        self.interfaces.remove(interface)

    def run(self, machine: Machine[Any, Any, Any], on_event: Callable[[Any], None] = lambda event: None) -> Program:
        """Let a machine work here."""
        program = Program(self, machine, on_event)
        self.programs.append(program)
        self.network.touch(program)
        return program

    def jump_clock(self, duration_s: float) -> None:
        """Let the clock of this host jump forward, as where a machine was suspended: nothing was done meanwhile, and
        all that was due in between is due at once."""
        if duration_s < 0.0:
            raise InvalidArgument("a monotonic clock does not jump back")
        self.clock_ahead_s += duration_s
        for program in self.programs:
            program.on_clock_jump()

    def bind(self, program: Program, protocol: TransportProtocol, host: str, port: int) -> Address:
        """Bind a socket, or a listening one; see `Program`."""
        if self._interface_of(host) is None:
            raise InvalidArgument(f"{self.name} has no address {host}")
        kind = "udp" if protocol == "udp" else "tcp"
        address = Address(host, port or self._free_port(host))
        if any(other == address and ("udp" if used == "udp" else "tcp") == kind for used, other in self._sockets):
            raise InvalidArgument(f"{address} is taken")
        self._sockets[protocol, address] = program
        return address

    def unbind(self, program: Program, address: Address) -> None:
        """Let a socket go."""
        for key in [key for key, owner in self._sockets.items() if owner is program and key[1] == address]:
            del self._sockets[key]

    # -- packets -----------------------------------------------------------------------------------------------------

    def send(self, program: Program, datagram: Datagram) -> None:
        """Send a datagram from the socket that its path names."""
        local, remote = datagram.path.local, datagram.path.remote
        packet = Packet(local, remote, datagram.data, datagram.ecn)
        interface = self._interface_of(local.host)
        if self._sockets.get(("udp", local)) is not program:
            self.network.drop(packet, DropReason.NO_SOCKET)
        elif interface is None:
            self.network.drop(packet, DropReason.NO_LINK)
        elif self._interface_of(remote.host) is not None:
            self.receive_packet(packet, interface)
        else:
            self.network.climb(packet, interface)

    def receive_packet(self, packet: Packet, port: Port) -> None:
        """Take a packet from an interface."""
        if packet.syn is not None:
            self._accept(packet, packet.syn)
            return
        program = self._sockets.get(("udp", packet.destination))
        if program is None:
            self.network.drop(packet, DropReason.NO_SOCKET)
        elif port not in self.interfaces:
            self.network.drop(packet, DropReason.NO_LINK)
        else:
            program.receive_packet(packet)

    # -- streams -----------------------------------------------------------------------------------------------------

    def connect(self, program: Program, path: Path) -> None:
        """Open a stream for a program; it hears of it under this path, in any case."""
        interface = self._interface_of(path.local.host)
        network = self.network
        if interface is None:
            network.schedule(network.now, partial(program.tell_closed, path, "the address is gone"))
            return
        syn = Syn(program, path)
        source = path.local if path.local.port else Address(path.local.host, self._free_port(path.local.host))
        network.schedule(network.now + CONNECT_TIMEOUT_S, partial(self._give_up, syn))
        packet = Packet(source, path.remote, b"", syn=syn)
        if self._interface_of(path.remote.host) is not None:
            self._accept(packet, syn)
        else:
            network.climb(packet, interface)

    def _accept(self, packet: Packet, syn: Syn) -> None:
        network, wanted = self.network, syn.path.protocol
        syn.is_answered = True
        acceptor = self._sockets.get((wanted, packet.destination))
        if acceptor is None:
            delay_s = 2 * syn.way.delay_s(network)
            network.schedule(network.now + delay_s, partial(syn.opener.tell_closed, syn.path, "connection refused"))
            return
        Connection(network, syn, acceptor, Path(packet.destination, packet.source, wanted))

    @staticmethod
    def _give_up(syn: Syn) -> None:
        if not syn.is_answered:
            syn.is_answered = True
            syn.opener.tell_closed(syn.path, "timed out")

    def _interface_of(self, host: str) -> Port | None:
        for port in self.interfaces:
            if host in port.hosts:
                return port
        return None

    def _free_port(self, host: str) -> int:
        taken = {address.port for _, address in self._sockets if address.host == host}
        while True:
            port = self._next_port
            self._next_port = port + 1 if port + 1 < PORTS_END else FIRST_EPHEMERAL_PORT
            if port not in taken:
                return port
