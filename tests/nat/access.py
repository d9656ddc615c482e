"""How hosts are joined to the internet, and what that lets them do: the vocabulary of the topologies."""

import math

import attrs

from sans_rtc.testing import (
    ADDRESS_RESTRICTED_CONE,
    FULL_CONE,
    PORT_RESTRICTED_CONE,
    SYMMETRIC,
    Dependence,
    Firewall,
    NatBehaviour,
)

EI = Dependence.ENDPOINT_INDEPENDENT
STRICTNESS = {dependence: number for number, dependence in enumerate(Dependence)}


@attrs.frozen
class Access:
    """One way to be on the internet.

    nats       from the outside to the inside; with none of them the host has public addresses
    is_guarded public addresses, behind a firewall that lets in what was asked for
    families   the versions of IP that it has; IPv6 is never translated
    """

    name: str
    nats: tuple[NatBehaviour, ...] = ()
    is_guarded: bool = False
    families: tuple[int, ...] = (4,)
    udp: bool = True
    udp_for_s: float = math.inf
    tcp_ports: frozenset[int] | None = None

    def firewall(self):
        return Firewall(udp=self.udp, udp_for_s=self.udp_for_s, tcp_ports=self.tcp_ports)

    def mapping(self, family):
        """What the mapping depends on, all NATs together."""
        nats = self.nats if family == 4 else ()
        return max((nat.mapping for nat in nats), key=STRICTNESS.get, default=EI)

    def filtering(self, family):
        """What the strictest filter looks at; None: there is no filter."""
        nats = self.nats if family == 4 else ()
        filters = [nat.filtering for nat in nats]
        if self.is_guarded or (family == 6 and self.nats):
            filters.append(Dependence.ADDRESS_AND_PORT_DEPENDENT)
        return max(filters, key=STRICTNESS.get, default=None)

    def in_the_end(self):
        """The same when UDP has had its time."""
        return self if self.udp_for_s == math.inf else attrs.evolve(self, udp=False)

    def can_reach(self, protocol, port):
        """True where a server on the internet can be reached so."""
        if protocol == "udp":
            return self.udp
        return self.tcp_ports is None or port in self.tcp_ports


TLS_PORT = 443

KINDS = {
    access.name: access
    for access in (
        Access("open"),
        Access("firewall", is_guarded=True),
        Access("full cone", (FULL_CONE,)),
        Access("address-restricted", (ADDRESS_RESTRICTED_CONE,)),
        Access("port-restricted", (PORT_RESTRICTED_CONE,)),
        Access("symmetric", (SYMMETRIC,)),
        Access("double NAT", (PORT_RESTRICTED_CONE, PORT_RESTRICTED_CONE)),
        Access("symmetric carrier", (SYMMETRIC, FULL_CONE)),
        Access("IPv6 only", is_guarded=True, families=(6,)),
        Access("dual stack", (PORT_RESTRICTED_CONE,), families=(4, 6)),
        Access("UDP blocked", (PORT_RESTRICTED_CONE,), udp=False),
        Access("TLS only", (PORT_RESTRICTED_CONE,), udp=False, tcp_ports=frozenset({TLS_PORT})),
        Access("UDP for 5 s", (PORT_RESTRICTED_CONE,), udp_for_s=5.0),
        Access("nothing", (PORT_RESTRICTED_CONE,), udp=False, tcp_ports=frozenset()),
    )
}
