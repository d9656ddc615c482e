"""What a `Network` is made of: packets, ports, and realms in which addresses are unique (RFC 2663 section 2.1)."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, TransportProtocol
from sans_rtc.testing.cable import Cable
from sans_rtc.testing.tcp import Syn


class DropReason(StrEnum):
    """Why a packet did not arrive."""

    LOST = "lost"  # by the conditions of a cable
    NO_ROUTE = "no_route"  # nobody has the address, and there is no gateway
    PARTED = "parted"  # between the two there is a partition
    NO_SOCKET = "no_socket"  # the host has no such socket
    NO_LINK = "no_link"  # the cable is down, or the interface gone
    TOO_BIG = "too_big"  # for the MTU of a cable
    NO_MAPPING = "no_mapping"  # the NAT knows nothing of this port
    FILTERED = "filtered"  # by the NAT's filter
    BLOCKED = "blocked"  # by a firewall
    NO_HAIRPIN = "no_hairpin"  # to the NAT's own address from inside
    NO_STREAM = "no_stream"  # on a TCP stream that is not open


@attrs.define(slots=True)
class Packet:
    """A UDP datagram on its way, or the SYN of a TCP connection."""

    source: Address
    destination: Address
    data: bytes
    ecn: int = 0
    syn: Syn | None = None
    hops: int = 0

    @property
    def protocol(self) -> TransportProtocol:
        """ "tcp" for the opening of a stream, else "udp"."""
        return "udp" if self.syn is None else "tcp"


class Node(Protocol):
    """A host or a gateway."""

    def receive_packet(self, packet: Packet, port: Port) -> None:
        """Take a packet that has come over the cable of a port."""


class Uplink(Protocol):
    """The gateway of a realm, as the realm sees it."""

    inner: Port

    def announce(self, host: str) -> None:
        """An address inside is there."""

    def withdraw(self, host: str) -> None:
        """An address inside is gone."""


@attrs.define(slots=True, eq=False)
class Port:
    """Where a host or a gateway is joined to a realm.

    hosts      its addresses there
    name       of the interface, "eth0"
    is_joined  False once it has been taken away
    """

    owner: Node
    realm: Realm
    hosts: tuple[str, ...]
    cable: Cable
    name: str = ""
    is_joined: bool = True


@attrs.define(slots=True, eq=False)
class Realm:
    """A part of the network in which an IP address means one interface."""

    name: str
    gateway: Uplink | None = None
    _ports: dict[str, Port] = attrs.Factory(dict)

    def join(self, port: Port) -> None:
        """Let packets to the port's addresses go to it."""
        for host in port.hosts:
            self.announce(host, port)

    def leave(self, port: Port) -> None:
        """The port is gone."""
        for host in port.hosts:
            self.withdraw(host, port)

    def announce(self, host: str, port: Port) -> None:
        """An address is reached by a port; a gateway that does not translate it says so further out."""
        if self._ports.setdefault(host, port) is not port:
            raise InvalidArgument(f"{host} is taken in {self.name}")
        if self.gateway is not None:
            self.gateway.announce(host)

    def withdraw(self, host: str, port: Port) -> None:
        """An address is not reached by this port any more."""
        if self._ports.get(host) is port:
            del self._ports[host]
            if self.gateway is not None:
                self.gateway.withdraw(host)

    def port_of(self, host: str) -> Port | None:
        """Where packets to an address go: to its owner, else to the gateway."""
        port = self._ports.get(host)
        if port is None and self.gateway is not None:
            return self.gateway.inner
        return port

    @property
    def hosts(self) -> tuple[str, ...]:
        """The addresses that are here."""
        return tuple(self._ports)
