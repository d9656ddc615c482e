"""What a seed stands for: two hosts, how each is on the internet, servers, and the weather of the cables."""

import random

import attrs

from sans_rtc.testing import Cable, LinkConditions, NatBehaviour
from tests.nat.access import KINDS, TLS_PORT, Access
from tests.nat.oracle import APART, SAME_CARRIER, SAME_LAN

STUN_PORT = 3478
SERVER_HOSTS = {4: "198.51.100.1", 6: "2001:db8:100::1"}
# What the server in the middle offers, best first.
SERVICES = (("udp", STUN_PORT), ("tcp", STUN_PORT), ("tls", TLS_PORT))
WEATHERS = (0.0, 0.0, 0.02, 0.05, 0.1, 0.2)


@attrs.define
class Topology:
    """Everything that is decided before the first datagram.

    accesses                of both ends
    relation                APART; SAME_LAN: behind the very same gateway; SAME_CARRIER: the outermost NAT is one
    is_carrier_hairpinning  that NAT lets its customers talk with each other
    services                (protocol, port) of TURN, best first; none: only STUN
    weather                 of each end's cable to the internet
    signalling_s            the longest that a signalled thing takes
    """

    seed: int
    chance: random.Random
    accesses: tuple[Access, Access]
    relation: str
    is_carrier_hairpinning: bool
    services: tuple
    weather: tuple
    signalling_s: float

    @property
    def is_lossy(self):
        return any(conditions.loss for conditions in self.weather)

    def __str__(self):
        first, second = self.accesses
        services = ", ".join(protocol for protocol, _ in self.services) or "none"
        return (
            f"seed {self.seed}: {first.name} and {second.name}, {self.relation}, TURN over {services}, "
            f"signalling {self.signalling_s} s\n  {self.weather[0]}\n  {self.weather[1]}"
        )


def draw_topology(seed):
    """The topology of a seed; the same at every run."""
    chance = random.Random(seed)
    relation = chance.choices((APART, SAME_LAN, SAME_CARRIER), (8, 1, 1))[0]
    is_hairpinning = chance.random() < 0.5
    accesses = (chance.choice(list(KINDS.values())), chance.choice(list(KINDS.values())))
    if relation == SAME_LAN:
        accesses = (accesses[0],) * 2
    elif relation == SAME_CARRIER:
        homes = [
            KINDS[chance.choice(("full cone", "address-restricted", "port-restricted", "symmetric"))] for _ in "ab"
        ]
        carrier = NatBehaviour(is_hairpinning=is_hairpinning)
        accesses = tuple(Access(f"{home.name} behind a carrier's", (carrier, *home.nats)) for home in homes)
    services = chance.choice((SERVICES, SERVICES, SERVICES, SERVICES[:1], SERVICES[:2], SERVICES[2:], ()))
    return Topology(
        seed=seed,
        chance=chance,
        accesses=accesses,
        relation=relation,
        is_carrier_hairpinning=is_hairpinning,
        services=services,
        weather=_draw_weather(chance),
        signalling_s=chance.choice((0.0, 0.02, 0.3)),
    )


def _draw_weather(chance):
    """The loss from one end to the other is up to a fifth: all on one cable, or spread over both."""
    loss = chance.choice(WEATHERS)
    first = chance.choice((0.0, loss / 2, loss))
    return tuple(
        LinkConditions(
            delay_s=chance.choice((0.001, 0.01, 0.04, 0.1)),
            jitter_s=chance.choice((0.0, 0.0, 0.02)),
            loss=share,
            duplication=chance.choice((0.0, 0.0, 0.1)),
            reordering=chance.choice((0.0, 0.05, 0.2)),
        )
        for share in (first, loss - first)
    )


def build(network, topology):
    """Make both hosts in a network and return them with their interfaces' addresses."""
    carrier = None
    if topology.relation == SAME_CARRIER:
        carrier = network.realm("carrier")
        network.gateway(
            inside=carrier, outside=network.internet, hosts=["203.0.113.1"], behaviour=topology.accesses[0].nats[0]
        )
    hosts, lan = [], None
    for end, access in enumerate(topology.accesses):
        cable = Cable(topology.weather[end])
        if topology.relation == SAME_LAN and end == 1:
            hosts.append(_attach(network, lan, end, access, cable))
        else:
            lan = _lan(network, end, access, cable, carrier)
            inner_cable = Cable() if lan is not network.internet else cable
            hosts.append(_attach(network, lan, end, access, inner_cable))
    return hosts


def _lan(network, end, access, cable, carrier):
    """The realm that a host is in, with the gateways between it and the internet; the outermost has the cable."""
    outside = carrier or network.internet
    nats = access.nats[1:] if carrier else access.nats
    if not nats and not access.is_guarded:
        return network.internet
    for depth, behaviour in enumerate(nats or (None,)):
        is_inmost = depth == max(len(nats) - 1, 0)
        inside = network.realm(f"lan {end}.{depth}")
        network.gateway(
            inside=inside,
            outside=outside,
            hosts=[_outer_host(end, depth, carrier)] if behaviour else [],
            behaviour=behaviour or NatBehaviour(),
            firewall=access.firewall() if is_inmost else None,
            cable=cable if depth == 0 else None,
        )
        outside = inside
    return outside


def _outer_host(end, depth, carrier):
    if depth > 0 or carrier:
        return f"100.64.{end}.{depth + 1}"
    return f"203.0.113.{10 + end}"


def _attach(network, lan, end, access, cable):
    host = network.host(f"peer {end}")
    addresses = []
    if 4 in access.families:
        addresses.append(f"192.168.0.{2 + end}" if access.nats else f"192.0.2.{2 + end}")
    if 6 in access.families:
        addresses.append(f"2001:db8:{1 + end}::2")
    host.attach(lan, *addresses, cable=cable)
    return host
