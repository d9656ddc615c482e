"""Where multicast DNS is spoken (RFC 6762 section 3), and who is near enough to take part (section 11)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TypeAlias

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path

MDNS_PORT = 5353
GROUP_IPV4 = "224.0.0.251"
GROUP_IPV6 = "ff02::fb"

Network: TypeAlias = IPv4Network | IPv6Network


def group_path(address: Address) -> Path:
    """The path from a local address to the group on its link. InvalidArgument for a host that is not an IP address."""
    return Path(address, Address(_group_of(address), MDNS_PORT))


def parse_networks(networks: Iterable[str]) -> tuple[Network, ...]:
    """Networks from "192.0.2.0/24"; InvalidArgument for what is none."""
    try:
        return tuple([ip_network(network, strict=False) for network in networks])
    except ValueError as error:
        raise InvalidArgument(str(error)) from error


def plain_host(host: str) -> str:
    """An IP address in its usual form, without a zone; InvalidArgument for what is none."""
    try:
        return str(ip_address(host.partition("%")[0]))
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {host!r}") from error


def is_in(host: str, networks: Iterable[Network]) -> bool:
    """Tell whether one of the networks has this IP address."""
    address = ip_address(host.partition("%")[0])
    return any(address in network for network in networks)


def is_on_link(host: str, networks: tuple[Network, ...]) -> bool:
    """Tell whether a datagram from this host is one of the link's (section 11).

    networks  those of the link; none: nobody knows, and everything is taken
    """
    return not networks or ip_address(host.partition("%")[0]).is_link_local or is_in(host, networks)


def _group_of(address: Address) -> str:
    try:
        ip_address(address.host.partition("%")[0])
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {address.host!r}") from error
    if address.family == 4:
        return GROUP_IPV4
    zone = address.host.partition("%")[2]
    return f"{GROUP_IPV6}%{zone}" if zone else GROUP_IPV6
