"""Which local addresses a peer may bind: the machine's interfaces, filtered as RFC 8445 section 5.1.1.1 asks.

ifaddr -> every address -> no unspecified, multicast, IPv4-mapped -> families, interface names
       -> global ones; link-local only where a family has nothing else; loopback only where nothing else exists
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

import attrs
import ifaddr

from sans_rtc_net.clock import monotonic

# To list costs 0.3 ms, a tenth of making a peer; peers made in a row share one listing.
FRESH_S = 0.2


class LocalAddress(NamedTuple):
    """One address of this machine.

    host       text form, with the zone after `%` where the address is link-local IPv6
    interface  name of the interface: "eth0"
    """

    host: str
    interface: str


@attrs.define(slots=True)
class _Listing:
    """What the system said last."""

    at: float
    addresses: list[LocalAddress]


_last = _Listing(-math.inf, [])


def usable_addresses(
    *,
    families: Iterable[int] = (4, 6),
    include_loopback: bool | None = None,
    interface_filter: Callable[[str], bool] | None = None,
    listed: Callable[[], Sequence[LocalAddress]] | None = None,
) -> list[LocalAddress]:
    """List the addresses worth binding: the global ones first, IPv6 before IPv4, else in the system's order.

    A peer checks its first address at once and paces the others, so the family that RFC 8421 prefers comes first.

    families          4, 6 or both
    include_loopback  True, False, or None: only where there is no other address
    interface_filter  is the interface of this name to be used?
    listed            where the raw list comes from; the system's where None
    Errors            OSError where the system cannot list its interfaces
    """
    wanted = set(families)
    is_wanted = interface_filter or (lambda name: True)
    candidates = [
        address
        for address in (listed or listed_addresses)()
        if ip_address(address.host).version in wanted and is_wanted(address.interface) and _is_bindable(address.host)
    ]
    chosen = _prefer_global([address for address in candidates if not is_loopback(address.host)])
    if include_loopback or (include_loopback is None and not chosen):
        chosen += [address for address in candidates if is_loopback(address.host)]
    return sorted(chosen, key=_order)


def _order(address: LocalAddress) -> tuple[bool, bool, int]:
    ip = ip_address(address.host)
    return ip.is_loopback, ip.is_link_local, -ip.version


def listed_addresses() -> list[LocalAddress]:
    """List every address of every interface, as the system gives them, at most `FRESH_S` ago."""
    now = monotonic()
    if now - _last.at > FRESH_S:
        _last.addresses = [
            LocalAddress(_host_text(ip.ip, adapter.nice_name), adapter.nice_name)
            for adapter in ifaddr.get_adapters()
            for ip in adapter.ips
        ]
        _last.at = now
    return list(_last.addresses)


def forget_listing() -> None:
    """Ask the system again at the next listing: something has changed."""
    _last.at = -math.inf


def interface_of(host: str) -> str:
    """Name the interface that has this address; empty where none does."""
    return next((address.interface for address in listed_addresses() if address.host == host), "")


def is_loopback(host: str) -> bool:
    """Tell whether the address never leaves the machine."""
    return ip_address(host).is_loopback


def _host_text(ip: str | tuple[str, int, int], interface: str) -> str:
    if isinstance(ip, str):
        return ip
    host, _, scope_id = ip
    host = host.partition("%")[0]
    return f"{host}%{interface}" if scope_id else host


def _is_bindable(host: str) -> bool:
    address = ip_address(host)
    if isinstance(address, IPv6Address) and (address.ipv4_mapped is not None or address.is_site_local):
        return False
    return not (address.is_unspecified or address.is_multicast)


def _prefer_global(addresses: list[LocalAddress]) -> list[LocalAddress]:
    """Drop the link-local addresses of a family that has others.

    RFC 8445 section 5.1.1.1 forbids IPv6 link-local beside privacy addresses; the system does not tell which those are.
    """
    families_with_others = {
        ip_address(address.host).version for address in addresses if not ip_address(address.host).is_link_local
    }
    return [address for address in addresses if not _is_link_local_of(ip_address(address.host), families_with_others)]


def _is_link_local_of(address: IPv4Address | IPv6Address, families: set[Literal[4, 6]]) -> bool:
    return address.is_link_local and address.version in families
