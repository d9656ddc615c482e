"""What IP addresses are: spelling, scope, and which of them a peer may ask us to send to."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from sans_rtc.machine import Address
from sans_rtc.stun.values import host_bytes, host_text

# A process meets few addresses, each many times. Bounded: a peer chooses some of them.
_CACHE_SIZE = 1024


@lru_cache(_CACHE_SIZE)
def _parsed(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_ip(host: str) -> bool:
    """True for the text of an IPv4 or IPv6 address, with or without a zone."""
    return _parsed(host) is not None


def canonical_host(host: str) -> str:
    """The one spelling of an IP address (RFC 5952), its zone kept."""
    plain, separator, zone = host.partition("%")
    return host_text(host_bytes(plain)) + separator + zone


def canonical_address(address: Address) -> Address:
    """The address with its host in the one spelling; the same object where nothing changes."""
    host = canonical_host(address.host)
    return address if host == address.host else Address(host, address.port)


def without_zone(address: Address) -> Address:
    """The address as another host knows it: an IPv6 zone says something to its own host only (RFC 4007)."""
    host, separator, _ = address.host.partition("%")
    return Address(host, address.port) if separator else address


def zone_of(host: str) -> str:
    """What stands behind `%`, empty without a zone."""
    return host.partition("%")[2]


def is_loopback(host: str) -> bool:
    """127.0.0.0/8 and ::1."""
    parsed = _parsed(host)
    return parsed is not None and parsed.is_loopback


def is_link_local(host: str) -> bool:
    """169.254.0.0/16 and fe80::/10."""
    parsed = _parsed(host)
    return parsed is not None and parsed.is_link_local


def is_unusable(host: str) -> bool:
    """True for what is never one host's own address, or what RFC 8445 section 5.1.1.1 keeps out of candidates.

    Unspecified, multicast, broadcast, IPv4-mapped and IPv4-compatible IPv6, and site-local addresses.
    """
    parsed = _parsed(host)
    if parsed is None or parsed.is_unspecified or parsed.is_multicast:
        return True
    if isinstance(parsed, ipaddress.IPv4Address):
        return int(parsed) == 0xFFFFFFFF or int(parsed) >> 24 == 0
    is_ipv4_compatible = int(parsed) >> 32 == 0 and not parsed.is_loopback
    return parsed.ipv4_mapped is not None or is_ipv4_compatible or parsed.is_site_local


def can_be_paired(local: str, remote: str, *, has_come: bool = False) -> bool:
    """True where a datagram from one address can make sense at the other.

    has_come  one has: then loopback reaches further. A host takes what its own other addresses send to its loopback
    Same IP version (RFC 8445 section 6.1.2.2); "IPv6 link-local addresses MUST NOT be paired with other than link-local
    addresses" (same section); loopback reaches loopback only.
    """
    here, there = _parsed(local), _parsed(remote)
    if here is None or there is None or here.version != there.version:
        return False
    if here.is_loopback != there.is_loopback and not has_come:
        return False
    return here.version == 4 or here.is_link_local == there.is_link_local
