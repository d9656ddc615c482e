"""Which local addresses become candidates, and under which address peers are told of them."""

from __future__ import annotations

from enum import StrEnum
from fnmatch import fnmatchcase

from sans_rtc.ice.addresses import canonical_host, is_link_local, is_loopback, is_unusable
from sans_rtc.ice.config import AddressFilter, AddressRewrite, RewriteMode
from sans_rtc.machine import Address


class FilterReason(StrEnum):
    """Why a local address is left out."""

    UNUSABLE = "unusable"
    FAMILY = "family"
    PORT = "port"
    LOOPBACK = "loopback"
    LINK_LOCAL = "link_local"
    NETWORK = "network"


def refuse(address: Address, network: str, rules: AddressFilter) -> FilterReason | None:
    """Why the address is left out; None where it is taken."""
    host, port = address
    if is_unusable(host):
        return FilterReason.UNUSABLE
    if address.family not in rules.families:
        return FilterReason.FAMILY
    if not rules.port_min <= port <= rules.port_max:
        return FilterReason.PORT
    if is_loopback(host) and not rules.allow_loopback:
        return FilterReason.LOOPBACK
    if is_link_local(host) and not rules.allow_link_local:
        return FilterReason.LINK_LOCAL
    if rules.networks is not None and not matches(network, rules.networks):
        return FilterReason.NETWORK
    return FilterReason.NETWORK if matches(network, rules.excluded_networks) else None


def matches(network: str, patterns: tuple[str, ...]) -> bool:
    """True where an interface name fits one of the patterns."""
    return any(fnmatchcase(network, pattern) for pattern in patterns)


def rewritings_of(host: str, rewrites: tuple[AddressRewrite, ...]) -> tuple[bool, list[AddressRewrite]]:
    """The rewritings of a local address, and whether its own address is told to peers as well."""
    found = [rule for rule in rewrites if canonical_host(rule.internal) == host]
    return all(rule.mode == RewriteMode.ADD for rule in found), found
