"""A network in virtual time: hosts, cables, NATs, firewalls and TCP, from a seed. Any number of machines.

    network = Network(seed=7)
    home = network.realm("home")
    nat = network.gateway(inside=home, outside=network.internet, hosts=["203.0.113.1"], behaviour=SYMMETRIC)
    laptop = network.host("laptop")
    laptop.attach(home, "192.168.0.2", cable=Cable(LinkConditions(delay_s=0.02, loss=0.1)))
    program = laptop.run(machine, on_event=...)
    program.open_socket("192.168.0.2", 5000)
    network.run_until(lambda: ..., within_s=30)

A packet climbs from its host into the host's realm (RFC 2663: a part of the network in which addresses are unique). The
realm hands it to whoever has the address, else to its gateway, which takes it one realm up. Everything that happens is
an entry of one heap; the same seed gives the same run, to the byte.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial

from sans_rtc.testing.cable import NO_CONDITIONS, Cable, damaged
from sans_rtc.testing.clock import VirtualClock
from sans_rtc.testing.entropy import SeededEntropy
from sans_rtc.testing.host import Host, Program
from sans_rtc.testing.nat import PORT_RESTRICTED_CONE, Firewall, Gateway, NatBehaviour
from sans_rtc.testing.realm import DropReason, Node, Packet, Port, Realm
from sans_rtc.testing.watch import Watch

# One instant of virtual time may not take more steps than this: two machines answering each other for ever.
STEPS_PER_INSTANT_MAX = 100_000
# A packet that passes so many realms goes round in a circle.
HOPS_MAX = 16
IP_AND_UDP_BYTES = {4: 28, 6: 48}


class Network:
    """The whole, its clock and its heap.

    internet  the realm that everything else hangs from
    drops     packets that did not arrive, by reason
    carried   packets that were handed to a machine
    watch     is told of every step; see `sans_rtc.testing.oracles`
    """

    def __init__(self, *, seed: int | str = 0, clock: VirtualClock | None = None) -> None:
        self.clock = clock or VirtualClock()
        self.chance = SeededEntropy(f"network {seed}")
        self.internet = Realm("internet")
        self.hosts: list[Host] = []
        self.drops: Counter[DropReason] = Counter()
        self.carried = 0
        self.watch: Watch | None = None
        self._parted: set[tuple[Node, Node]] = set()
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._dirty: dict[Program, None] = {}

    # -- building ----------------------------------------------------------------------------------------------------

    def realm(self, name: str) -> Realm:
        """A realm of its own; without a gateway nothing leaves it."""
        return Realm(name)

    def host(self, name: str) -> Host:
        """A computer; `attach` joins it to realms."""
        host = Host(self, name)
        self.hosts.append(host)
        return host

    def gateway(
        self,
        *,
        inside: Realm,
        outside: Realm,
        hosts: Iterable[str] = (),
        behaviour: NatBehaviour | None = None,
        firewall: Firewall | None = None,
        cable: Cable | None = None,
    ) -> Gateway:
        """A router between two realms.

        hosts      its addresses outside: families that have one are translated, others pass as they are
        behaviour  of the NAT, and of the filter for what is not translated; None: port-restricted with addresses
                   outside, without them a plain router
        firewall   what it lets out at all
        cable      to the realm outside
        """
        outer_hosts = tuple(hosts)
        gateway = Gateway(self, behaviour or (PORT_RESTRICTED_CONE if outer_hosts else None), firewall or Firewall())
        gateway.inner = Port(gateway, inside, (), Cable())
        gateway.outer = Port(gateway, outside, outer_hosts, cable or Cable())
        outside.join(gateway.outer)
        inside.gateway = gateway
        for address in inside.hosts:
            gateway.announce(address)
        return gateway

    # -- partitions --------------------------------------------------------------------------------------------------

    def part(self, sender: Node, receiver: Node) -> None:
        """Let nothing through from one host or gateway to another in the same realm; for both ways do it twice."""
        self._parted.add((sender, receiver))

    def join(self, sender: Node, receiver: Node) -> None:
        """The way from one to the other is open again."""
        self._parted.discard((sender, receiver))

    def join_all(self) -> None:
        """There is no partition any more."""
        self._parted.clear()

    # -- time --------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The virtual time, in seconds."""
        return self.clock.now

    def at(self, moment: float, call: Callable[[], None]) -> None:
        """Have call() done at a moment; it may use any machine's verbs."""

        def done() -> None:
            call()
            self.touch_all()

        self.schedule(moment, done)

    def after(self, pause_s: float, call: Callable[[], None]) -> None:
        """Have call() done in so many seconds; it may use any machine's verbs."""
        self.at(self.now + pause_s, call)

    def run_for(self, duration_s: float) -> None:
        """Let this much virtual time pass."""
        self._run(self.now + duration_s, lambda: False)

    def run_until(self, condition: Callable[[], bool], *, within_s: float = 60.0) -> float:
        """Run until the condition holds and return the virtual seconds it took; AssertionError where it does not."""
        start = self.now
        if not self._run(start + within_s, condition):
            raise AssertionError(f"the condition does not hold after {within_s} s of virtual time")
        return self.now - start

    def flush(self) -> None:
        """Take what all machines have to say now, without letting time pass. Call it after using a verb."""
        self.touch_all()
        self._flush_dirty()

    def touch_all(self) -> None:
        """Every machine may have something to say."""
        for host in self.hosts:
            self._dirty.update(dict.fromkeys(host.programs))

    def touch(self, program: Program) -> None:
        """This machine may have something to say."""
        self._dirty[program] = None

    def schedule(self, moment: float, action: Callable[[], None]) -> None:
        """Have action() done at a moment; for the parts of the network, which say themselves whom it touches."""
        heapq.heappush(self._heap, (max(moment, self.now), next(self._order), action))

    def _run(self, until: float, condition: Callable[[], bool]) -> bool:
        self.touch_all()
        steps = 0
        while True:
            self._flush_dirty()
            if condition():
                return True
            moment = self._heap[0][0] if self._heap else math.inf
            if moment > until:
                if until < math.inf:
                    self.clock.advance_to(max(until, self.now))
                return False
            steps = steps + 1 if moment <= self.now else 0
            assert steps < STEPS_PER_INSTANT_MAX, "time stands still: something at this instant never ends"
            self.clock.advance_to(moment)
            heapq.heappop(self._heap)[2]()

    def _flush_dirty(self) -> None:
        steps = 0
        while self._dirty:
            program = next(iter(self._dirty))
            del self._dirty[program]
            program.flush()
            steps += 1
            assert steps < STEPS_PER_INSTANT_MAX, "machines never stop talking at one instant"

    # -- packets -----------------------------------------------------------------------------------------------------

    def drop(self, packet: Packet, reason: DropReason) -> None:
        """The packet ends here. One that opens a stream is missed: its host gives up after a while."""
        self.drops[reason] += 1

    def climb(self, packet: Packet, port: Port) -> None:
        """Send a packet from a port into its realm, over the port's cable."""
        self._travel(packet, port, is_up=True)

    def _route(self, packet: Packet, origin: Port) -> None:
        packet.hops += 1
        port = origin.realm.port_of(packet.destination.host)
        if port is None or port is origin or packet.hops > HOPS_MAX:
            self.drop(packet, DropReason.NO_ROUTE)
        elif self._parted and (origin.owner, port.owner) in self._parted:
            self.drop(packet, DropReason.PARTED)
        else:
            self._travel(packet, port, is_up=False)

    def _arrive(self, packet: Packet, port: Port, *, is_up: bool) -> None:
        if is_up:
            self._route(packet, port)
        else:
            port.owner.receive_packet(packet, port)

    def _travel(self, packet: Packet, port: Port, *, is_up: bool) -> None:
        cable, conditions = port.cable, port.cable.conditions
        if not cable.is_up:
            self.drop(packet, DropReason.NO_LINK)
        elif packet.syn is not None:
            packet.syn.way.ports.append(port)
            self._arrive(packet, port, is_up=is_up)
        elif len(packet.data) + IP_AND_UDP_BYTES[packet.destination.family] > cable.mtu_bytes:
            self.drop(packet, DropReason.TOO_BIG)
        elif conditions is NO_CONDITIONS:
            self._arrive(packet, port, is_up=is_up)
        else:
            lane = cable.up if is_up else cable.down
            arrivals = list(lane.arrivals(len(packet.data), conditions, self.chance, self.now))
            if not arrivals:
                self.drop(packet, DropReason.LOST)
            for moment in arrivals:
                data = damaged(packet.data, conditions, self.chance)
                copy = Packet(packet.source, packet.destination, data, packet.ecn, hops=packet.hops)
                self.schedule(moment, partial(self._arrive, copy, port, is_up=is_up))
