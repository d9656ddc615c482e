"""Where datagrams leave this host, and where candidates come from.

A candidate source is anything that produces `GatheredCandidate`: the candidate as peers are told of it, and the base
from which datagrams to them are sent. The local sockets are bases; server-reflexive and peer-reflexive candidates stand
on them. A relayed candidate is a base of its own whose datagrams a TURN client frames on their way out, a TCP candidate
one whose paths say "tcp": neither pairs, checks nor nomination see a difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import attrs

from sans_rtc.ice.addresses import is_link_local, zone_of
from sans_rtc.ice.candidate import Candidate
from sans_rtc.ice.config import StunServer, TurnServer
from sans_rtc.ice.events import CandidateError
from sans_rtc.machine import Address, Path, TransportProtocol

FRAMES = -1
"""The `stream` of a pair's path over TCP: whole datagrams. Those of real connections count from 0."""


@attrs.define(slots=True, eq=False)
class Base:
    """A transport address from which datagrams are sent (RFC 8445 section 4): a socket of ours, or a relayed address.

    address           as the paths of its datagrams have it, an IPv6 zone included; of an active TCP candidate port 9
    network           name of the interface, empty where unknown
    local_preference  of its best candidate (RFC 8421)
    candidate         its host or relayed candidate, whether peers are told of it or not
    protocol          "udp" or "tcp": how the peer sees it, whatever lies between us and a relay
    network_id,
    network_cost      of its network, as the peer is told of them; 0 and 0 where it is not
    """

    address: Address
    network: str
    local_preference: int
    candidate: Candidate
    protocol: TransportProtocol = "udp"
    is_relayed: bool = False
    network_id: int = 0
    network_cost: int = 0

    def path_to(self, remote: Address) -> Path:
        """The path of datagrams to this address. A link-local address there lives in the zone of the base here."""
        zone = zone_of(self.address.host)
        if zone and is_link_local(remote.host):
            remote = Address(f"{remote.host}%{zone}", remote.port)
        return Path(self.address, remote, self.protocol, FRAMES if self.protocol == "tcp" else 0)

    @property
    def network_info(self) -> int:
        """The value of GOOG_NETWORK_INFO in checks from here; 0: none is sent."""
        return self.network_id << 16 | self.network_cost

    @property
    def is_active(self) -> bool:
        """True where it opens connections (RFC 6544 section 4.1)."""
        return self.candidate.tcp_type == "active"


@attrs.frozen(slots=True, eq=False)
class GatheredCandidate:
    """A local candidate and the base it stands on."""

    candidate: Candidate
    base: Base


class CandidateSource(Protocol):
    """What turns bases into further candidates by asking servers: of STUN (`reflexive`), of TURN (`relayed_source`)."""

    def add_base(self, base: Base, now: float) -> None:
        """Begin to ask from this base."""

    def remove_base(self, base: Base, now: float) -> None:
        """The base is gone: forget what was asked from it."""

    def restart(self, now: float) -> None:
        """Ask again from every base, for a new generation."""

    def resolve(self, name: str, hosts: tuple[str, ...], now: float) -> None:
        """A server's name stands for these hosts; for none where it does not exist."""

    def handle_timer(self, now: float) -> None:
        """Do what is due."""

    def take_candidates(self) -> Sequence[GatheredCandidate]:
        """Hand over what was found."""

    def take_errors(self) -> Sequence[CandidateError]:
        """Hand over what failed."""

    def take_names(self) -> Sequence[str]:
        """Hand over the names of servers to be resolved."""

    @property
    def unresolved_servers(self) -> Sequence[StunServer | TurnServer]:
        """Servers whose name has no address, or not yet."""

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""

    @property
    def is_done(self) -> bool:
        """True where every question has been answered or given up."""
