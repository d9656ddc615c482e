"""Which peers a client may reach through the server: the rules against using a relay to get behind a firewall.

    deny networks -> refused;  allow networks -> allowed;  special networks -> refused;  all others -> allowed

A relay sends from the inside of the operator's network, so what the Internet cannot reach must be out of its reach too
(RFC 8656 section 21.2). The table below is what is refused unless a network of the configuration allows it.
"""

from __future__ import annotations

import ipaddress
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

# What an address may be that no peer on the Internet has. IPv6 forms that carry an IPv4 address inside are refused as
# a whole: through them 127.0.0.1 would be ::ffff:127.0.0.1, and a translator would take care of the rest.
SPECIAL_NETWORKS: tuple[tuple[str, str], ...] = (
    ("0.0.0.0/8", "unspecified"),
    ("127.0.0.0/8", "loopback"),
    ("10.0.0.0/8", "private"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.64.0.0/10", "private"),  # RFC 6598, between a provider's NAT and its customers
    ("192.0.0.0/24", "private"),  # RFC 6890
    ("198.18.0.0/15", "private"),  # RFC 2544, benchmarks
    ("169.254.0.0/16", "link-local"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),  # the broadcast address among them
    ("::/128", "unspecified"),
    ("::1/128", "loopback"),
    ("::/96", "IPv4 inside"),
    ("::ffff:0:0/96", "IPv4 inside"),
    ("64:ff9b::/96", "IPv4 inside"),  # RFC 6052
    ("64:ff9b:1::/48", "IPv4 inside"),  # RFC 8215
    ("2002::/16", "IPv4 inside"),  # RFC 3056
    ("2001::/32", "IPv4 inside"),  # RFC 4380
    ("fc00::/7", "private"),
    ("fec0::/10", "private"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
)
_SPECIAL: tuple[tuple[Network, str], ...] = tuple((ipaddress.ip_network(net), name) for net, name in SPECIAL_NETWORKS)
_LOOPBACK: tuple[Network, ...] = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))

NETWORK_COUNT_MAX = 256


def _to_networks(networks: tuple[str, ...]) -> tuple[Network, ...]:
    if len(networks) > NETWORK_COUNT_MAX:
        raise InvalidArgument(f"{len(networks)} networks, {NETWORK_COUNT_MAX} is the most")
    try:
        return tuple(ipaddress.ip_network(network) for network in networks)
    except ValueError as error:
        raise InvalidArgument(f"not a network: {error}") from None


@attrs.frozen(slots=True, kw_only=True)
class PeerRules:
    """Which IP addresses peers may have.

    allow_loopback  for tests and for peers on the server's own host
    allow           networks as "192.168.0.0/16", allowed although they are special
    deny            networks that are refused, whatever `allow` says
    """

    allow_loopback: bool = False
    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()
    _allowed: tuple[Network, ...] = attrs.field(init=False, repr=False)
    _denied: tuple[Network, ...] = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        allowed = _to_networks(self.allow) + (_LOOPBACK if self.allow_loopback else ())
        object.__setattr__(self, "_allowed", allowed)
        object.__setattr__(self, "_denied", _to_networks(self.deny))

    def allows_by_name(self, host: str) -> bool:
        """True where a network of the configuration allows the address, and it is not merely of no special kind."""
        address = ipaddress.ip_address(host)
        return any(address in network for network in self._allowed)

    def refusal(self, host: str) -> str:
        """Why this address is refused, in a word or two; empty where it is allowed.

        host  an IP address as the STUN codec writes it
        """
        address = ipaddress.ip_address(host)
        if any(address in network for network in self._denied):
            return "denied"
        if any(address in network for network in self._allowed):
            return ""
        return next((name for network, name in _SPECIAL if address in network), "")


class PeerGate:
    """The rules, and beside them the server's own addresses.

    Two clients with relays of this server are each other's peers, so its relay addresses are allowed, with the ports
    that relays have; nothing else that listens on this host is reached through it (RFC 8656 section 21.1.7: a relay
    that is its own peer's server makes loops).

    own_hosts    every address of the server
    relay_hosts  those of them that relays have
    ports        of relays
    """

    __slots__ = ("_ports", "_relay_hosts", "_rules", "own_hosts")

    def __init__(self, rules: PeerRules, own_hosts: frozenset[str], relay_hosts: frozenset[str], ports: range) -> None:
        self.own_hosts = own_hosts
        self._rules = rules
        self._relay_hosts = relay_hosts
        self._ports = ports

    def host_refusal(self, host: str) -> str:
        """Why no permission is given for this address; empty where it is."""
        why = self._rules.refusal(host)
        if why or host not in self.own_hosts or host in self._relay_hosts or self._rules.allows_by_name(host):
            return why
        return "the server's own"

    def refusal(self, peer: Address) -> str:
        """Why nothing is sent to this address and port; empty where it is."""
        why = self.host_refusal(peer.host)
        if why or peer.host not in self.own_hosts or peer.port in self._ports:
            return why
        return "" if self._rules.allows_by_name(peer.host) else "the server's own"
