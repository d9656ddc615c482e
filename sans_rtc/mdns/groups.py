"""Where multicast DNS is spoken (RFC 6762 section 3)."""

from __future__ import annotations

from ipaddress import ip_address

from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Address, Path

MDNS_PORT = 5353
GROUP_IPV4 = "224.0.0.251"
GROUP_IPV6 = "ff02::fb"


def group_path(address: Address) -> Path:
    """The path from a local address to the group on its link. InvalidArgument for a host that is not an IP address."""
    return Path(address, Address(_group_of(address), MDNS_PORT))


def _group_of(address: Address) -> str:
    try:
        ip_address(address.host.partition("%")[0])
    except ValueError as error:
        raise InvalidArgument(f"not an IP address: {address.host!r}") from error
    if address.family == 4:
        return GROUP_IPV4
    zone = address.host.partition("%")[2]
    return f"{GROUP_IPV6}%{zone}" if zone else GROUP_IPV6
