"""NATs and firewalls in virtual time, in the words of RFC 4787.

what it is called        mapping                      filtering
full cone                endpoint-independent         endpoint-independent
address-restricted cone  endpoint-independent         address-dependent
port-restricted cone     endpoint-independent         address- and port-dependent
symmetric                address- and port-dependent  address- and port-dependent
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from enum import Enum
from typing import TYPE_CHECKING

import attrs

from sans_rtc.machine import Address
from sans_rtc.testing.realm import DropReason, Packet, Port

if TYPE_CHECKING:
    from sans_rtc.testing.network import Network

FIRST_PORT = 20_000
PORT_COUNT = 40_000
# What a gateway remembers of one mapping, and of mappings at all: enough for tests, and bounded.
MAPPINGS_MAX = 10_000
CONTACTS_MAX = 1_000
# RFC 5382 REQ-5: an established TCP connection is kept for two hours and four minutes.
TCP_LIFETIME_S = 7440.0


class Dependence(Enum):
    """What of the other end a mapping or a filter depends on (RFC 4787 sections 4.1 and 5)."""

    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address- and port-dependent"

    def part_of(self, address: Address) -> Hashable:
        """The part of an address that counts."""
        if self is Dependence.ENDPOINT_INDEPENDENT:
            return None
        return address.host if self is Dependence.ADDRESS_DEPENDENT else address


@attrs.frozen(slots=True)
class NatBehaviour:
    """How a NAT translates and filters.

    is_hairpinning  packets from inside to its own outer address come back inside (RFC 4787 section 6)
    lifetime_s      a mapping, and the leave of a remote address to send, end so long after the last packet outwards;
                    RFC 4787 REQ-5: not below two minutes; many are at 30 s
    """

    mapping: Dependence = Dependence.ENDPOINT_INDEPENDENT
    filtering: Dependence = Dependence.ADDRESS_AND_PORT_DEPENDENT
    is_hairpinning: bool = False
    lifetime_s: float = 120.0


FULL_CONE = NatBehaviour(filtering=Dependence.ENDPOINT_INDEPENDENT)
ADDRESS_RESTRICTED_CONE = NatBehaviour(filtering=Dependence.ADDRESS_DEPENDENT)
PORT_RESTRICTED_CONE = NatBehaviour()
SYMMETRIC = NatBehaviour(mapping=Dependence.ADDRESS_AND_PORT_DEPENDENT)


@attrs.define(slots=True)
class Firewall:
    """What a gateway lets out; may be changed at any time.

    udp           any UDP at all
    udp_for_s     UDP for so long, counted from its first datagram outwards; then no more, either way
    tcp_ports     remote ports that a stream may be opened to; None: all
    """

    udp: bool = True
    udp_for_s: float = math.inf
    tcp_ports: frozenset[int] | None = None
    first_udp_at: float = math.inf

    def lets_udp(self, now: float) -> bool:
        """True where UDP passes at this moment."""
        return self.udp and now < self.first_udp_at + self.udp_for_s

    def lets_out(self, packet: Packet, now: float) -> bool:
        """True where the packet may leave."""
        if packet.protocol != "udp":
            return self.tcp_ports is None or packet.destination.port in self.tcp_ports
        self.first_udp_at = min(self.first_udp_at, now)
        return self.lets_udp(now)


@attrs.define(slots=True, eq=False)
class Mapping:
    """One address inside and how it is seen outside.

    contacts  when something was last sent to each remote address, or to that part of it that the filter looks at
    """

    inner: Address
    outer: Address
    expires_at: float = 0.0
    contacts: dict[Hashable, float] = attrs.Factory(dict)


class Gateway:
    """A router between two realms: a NAT for the families that it has an outer address of, a filter for the others.

    Made by `Network.gateway`. `rebind` makes it forget its mappings.
    """

    inner: Port
    outer: Port

    def __init__(self, network: Network, behaviour: NatBehaviour | None, firewall: Firewall) -> None:
        self.behaviour = behaviour
        self.firewall = firewall
        self._network = network
        self._by_key: dict[Hashable, Mapping] = {}
        self._by_outer: dict[Hashable, Mapping] = {}
        self._next_port = network.chance.below(PORT_COUNT)
        self._epoch = 0

    # -- what a test does to it ----------------------------------------------------------------------------------------

    def rebind(self) -> None:
        """Forget every mapping, as after a power cut: others are made; TCP streams through it are dead."""
        self._by_key.clear()
        self._by_outer.clear()
        self._epoch += 1

    # -- what passes -------------------------------------------------------------------------------------------------

    def receive_packet(self, packet: Packet, port: Port) -> None:
        """Take a packet from one side."""
        if port is self.inner:
            self._on_outward(packet)
        else:
            self._on_inward(packet)

    def announce(self, host: str) -> None:
        """An address inside is to be reached from outside, where its family is not translated."""
        if self.outer_host_like(host) is None:
            self.outer.realm.announce(host, self.outer)

    def withdraw(self, host: str) -> None:
        """An address inside is gone."""
        if host not in self.outer.hosts:
            self.outer.realm.withdraw(host, self.outer)

    def outer_host_like(self, host: str) -> str | None:
        """Its outer address of the same version of IP; None where that is not translated."""
        is_six = ":" in host
        return next((outer for outer in self.outer.hosts if (":" in outer) == is_six), None)

    def lets_stream(self, mark: int) -> bool:
        """True where a TCP stream that was opened when the gateway gave this mark still passes."""
        return mark == self._epoch

    def _on_outward(self, packet: Packet) -> None:
        network, now = self._network, self._network.now
        if not self.firewall.lets_out(packet, now):
            network.drop(packet, DropReason.BLOCKED)
            return
        outer_host = self.outer_host_like(packet.destination.host)
        if self.behaviour is not None:
            mapping = self._mapping_for(packet, outer_host)
            self._note_contact(mapping, packet, now)
            packet.source = mapping.outer
        if packet.syn is not None:
            packet.syn.way.gateways.append((self, self._epoch))
        if packet.destination.host == outer_host:
            self._on_hairpin(packet)
        else:
            network.climb(packet, self.outer)

    def _on_hairpin(self, packet: Packet) -> None:
        if self.behaviour is None or not self.behaviour.is_hairpinning:
            self._network.drop(packet, DropReason.NO_HAIRPIN)
        else:
            self._on_inward(packet)

    def _on_inward(self, packet: Packet) -> None:
        network = self._network
        if packet.protocol == "udp" and not self.firewall.lets_udp(network.now):
            network.drop(packet, DropReason.BLOCKED)
            return
        refusal = self._translate_inward(packet)
        if refusal is not None:
            network.drop(packet, refusal)
            return
        if packet.syn is not None:
            packet.syn.way.gateways.append((self, self._epoch))
        network.climb(packet, self.inner)

    def _translate_inward(self, packet: Packet) -> DropReason | None:
        """Put the inner address into the packet, or say why it does not pass."""
        if self.behaviour is None:
            return None
        mapping = self._by_outer.get((packet.protocol, packet.destination))
        if mapping is None or mapping.expires_at <= self._network.now:
            is_translated = packet.destination.host in self.outer.hosts
            lets_strangers_in = self.behaviour.filtering is Dependence.ENDPOINT_INDEPENDENT
            return DropReason.NO_MAPPING if is_translated or not lets_strangers_in else None
        part = self.behaviour.filtering.part_of(packet.source)
        if mapping.contacts.get(part, -math.inf) <= self._network.now:
            return DropReason.FILTERED
        packet.destination = mapping.inner
        return None

    # -- mappings ----------------------------------------------------------------------------------------------------

    def _mapping_for(self, packet: Packet, outer_host: str | None) -> Mapping:
        assert self.behaviour is not None
        dependence = self.behaviour.mapping if outer_host is not None else Dependence.ENDPOINT_INDEPENDENT
        key = (packet.protocol, packet.source, dependence.part_of(packet.destination))
        mapping = self._by_key.get(key)
        if mapping is None or mapping.expires_at <= self._network.now:
            outer = packet.source if outer_host is None else Address(outer_host, self._free_port())
            mapping = Mapping(packet.source, outer)
            self._forget_expired()
            self._by_key[key] = self._by_outer[packet.protocol, outer] = mapping
        return mapping

    def _note_contact(self, mapping: Mapping, packet: Packet, now: float) -> None:
        assert self.behaviour is not None
        lifetime_s = self.behaviour.lifetime_s if packet.protocol == "udp" else TCP_LIFETIME_S
        mapping.expires_at = now + lifetime_s
        contacts = mapping.contacts
        if len(contacts) >= CONTACTS_MAX:
            del contacts[next(iter(contacts))]
        contacts[self.behaviour.filtering.part_of(packet.destination)] = now + lifetime_s

    def _free_port(self) -> int:
        while True:
            self._next_port = (self._next_port + 1 + self._network.chance.below(3)) % PORT_COUNT
            port = FIRST_PORT + self._next_port
            if all(("udp", Address(host, port)) not in self._by_outer for host in self.outer.hosts):
                return port

    def _forget_expired(self) -> None:
        if len(self._by_key) >= MAPPINGS_MAX:
            now = self._network.now
            self._by_key = {key: mapping for key, mapping in self._by_key.items() if mapping.expires_at > now}
            self._by_outer = {key: mapping for key, mapping in self._by_outer.items() if mapping.expires_at > now}
