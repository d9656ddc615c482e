"""What must come of a topology, told from what its parts are, not from what happens in it.

    from \\ to            none  full cone  address-restricted  port-restricted  symmetric
    none                  D     D          D                   D                D
    full cone             D     D          D                   D                D
    address-restricted    D     D          D                   D                D
    port-restricted       D     D          D                   D                R
    symmetric             D     D          D                   R                R

D: direct. R: only by a relay. A firewall before public addresses counts as a port-restricted cone.
"""

from tests.nat.access import EI, Dependence

DIRECT = "direct"
UDP, TCP, TLS = "relayed over UDP", "relayed over TCP", "relayed over TLS"
NONE = "no way"
OUTCOMES = (DIRECT, UDP, TCP, TLS, NONE)
APART, SAME_LAN, SAME_CARRIER = "apart", "same LAN", "same carrier"
BY_PROTOCOL = {"udp": UDP, "tcp": TCP, "tls": TLS}


def lets_in(at, source, family):
    """True where the first packet of `source` to the reflexive address of `at` gets in, once both have sent.

    `at` has sent to the reflexive address of `source`; its own packets come from there only if its mapping does not
    depend on whom it sends to.
    """
    filtering = at.filtering(family)
    if filtering is None or filtering is EI:
        return True
    if at.mapping(family) is not EI:
        return False  # that mapping is for the STUN server alone
    return filtering is Dependence.ADDRESS_DEPENDENT or source.mapping(family) is EI


def is_direct_possible(first, second):
    """True where two hosts apart from each other can talk without a relay."""
    if not (first.udp and second.udp):
        return False
    families = set(first.families) & set(second.families)
    return any(lets_in(first, second, family) or lets_in(second, first, family) for family in families)


def relay_protocol(access, services):
    """The best transport by which a host can use a relay; None where there is none."""
    return next((protocol for protocol, port in services if access.can_reach(protocol, port)), None)


def expected(topology):
    """Which of OUTCOMES a topology must come to, while the firewalls let UDP through that do so at first."""
    return _expected(topology, topology.accesses)


def expected_in_the_end(topology):
    """The same once those firewalls have had enough of UDP."""
    return _expected(topology, [access.in_the_end() for access in topology.accesses])


def _expected(topology, accesses):
    first, second = accesses
    if topology.relation == SAME_LAN:
        return DIRECT
    is_reachable = topology.relation == APART or topology.is_carrier_hairpinning
    if is_reachable and is_direct_possible(first, second):
        return DIRECT
    ways = [relay_protocol(access, topology.services) for access in accesses]
    # An end without UDP needs a relay of its own; with UDP, the other's relay is as good to it as one of its own.
    needed = [way for access, way in zip(accesses, ways, strict=True) if not access.udp]
    if None in needed:
        return NONE
    if needed:
        return max((BY_PROTOCOL[way] for way in needed), key=OUTCOMES.index)
    usable = [BY_PROTOCOL[way] for way in ways if way is not None]
    return min(usable, key=OUTCOMES.index, default=NONE)
