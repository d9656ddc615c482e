"""What is known of a NAT: mapping, filtering and hairpinning (RFC 4787, RFC 5780)."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs

from sans_rtc.machine import Address, Terminated


class Dependence(StrEnum):
    """What of the other end a NAT looks at (RFC 4787 sections 4.1 and 5)."""

    UNKNOWN = "unknown"
    ENDPOINT_INDEPENDENT = "endpoint-independent"
    ADDRESS_DEPENDENT = "address-dependent"
    ADDRESS_AND_PORT_DEPENDENT = "address- and port-dependent"


@attrs.frozen(slots=True)
class NatBehavior:
    """What has been found out about the way between one local address and a server.

    local           the address of the socket
    mapped          the same as the server sees it
    other           the server's other address; None: it has none, so nothing more could be found out
    mapping         which destinations get the same mapped address
    filtering       who may answer through it
    is_hairpinning  what is sent to the mapped address from behind the NAT comes back in; None: not known
    rtt_s           round trip to the server; None where it is not certain
    software        of the server, for people
    """

    local: Address
    mapped: Address
    other: Address | None
    mapping: Dependence = Dependence.UNKNOWN
    filtering: Dependence = Dependence.UNKNOWN
    is_hairpinning: bool | None = None
    rtt_s: float | None = None
    software: str = ""

    @property
    def is_translated(self) -> bool:
        """True where there is a NAT at all."""
        return self.mapped != self.local

    @property
    def classic_name(self) -> str:
        """What people call it, after the older RFC 3489; empty where too little is known."""
        if not self.is_translated:
            return {
                Dependence.UNKNOWN: "no NAT",
                Dependence.ENDPOINT_INDEPENDENT: "no NAT",
            }.get(self.filtering, "no NAT, but a firewall")
        if self.mapping in (Dependence.ADDRESS_DEPENDENT, Dependence.ADDRESS_AND_PORT_DEPENDENT):
            return "symmetric NAT"
        if Dependence.UNKNOWN in (self.mapping, self.filtering):
            return ""
        return {
            Dependence.ENDPOINT_INDEPENDENT: "full cone NAT",
            Dependence.ADDRESS_DEPENDENT: "address-restricted cone NAT",
        }.get(self.filtering, "port-restricted cone NAT")


@attrs.define(slots=True)
class BehaviorDiscovered:
    """Everything that could be found out."""

    behavior: NatBehavior


@attrs.define(slots=True)
class DiscoveryFailed:
    """The server could not be asked: code 300 to 699 of its error response, or 0 where there was none."""

    code: int
    reason: str


BehaviorEvent: TypeAlias = BehaviorDiscovered | DiscoveryFailed | Terminated
