"""Host addresses told as names that only the link can resolve (draft-ietf-rtcweb-mdns-ice-candidates-04, section 3.1).

    candidate:... 192.168.1.7 5000 typ host                     --> candidate:... <uuid>.local 5000 typ host
    candidate:... 203.0.113.9 5000 typ srflx raddr 192.168.1.7  --> candidate:... typ srflx raddr 0.0.0.0 rport 9

A name stands for one address. It is kept for the agent's life (section 3.1.1 step 5), restarts included, and for no
longer, since a name that lives on would be a mark to follow somebody by (section 3.3.3).
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from sans_rtc.entropy import Entropy
from sans_rtc.ice.addresses import canonical_host, without_zone
from sans_rtc.ice.base import Base
from sans_rtc.ice.candidate import Candidate, CandidateType
from sans_rtc.ice.events import IceEvent, PublishName, WithdrawName
from sans_rtc.machine import Address
from sans_rtc.outbox import Outbox

HIDDEN_PORT = 9  # section 3.1.2.2: "0.0.0.0"/"::" and port 9 in place of the related address


class Hiding:
    """Gives names to addresses, and asks for them to be published while a socket has them."""

    __slots__ = ("_entropy", "_events", "_is_on", "_names", "_published")

    def __init__(self, entropy: Entropy, events: Outbox[IceEvent], *, is_on: bool) -> None:
        self._entropy = entropy
        self._events = events
        self._is_on = is_on
        self._names: dict[str, str] = {}  # by IP address; bounded by local_address_count_max
        self._published: set[str] = set()

    def conceal(self, candidate: Candidate, base: Base) -> Candidate:
        """The candidate as the peer may know it.

        Only the socket's own address is hidden. What it was rewritten to was configured to be told.
        """
        if not self._is_on:
            return candidate
        related = candidate.related_address
        if related is not None:
            related = Address("::" if related.family == 6 else "0.0.0.0", HIDDEN_PORT)
        address = candidate.address
        if candidate.type is CandidateType.HOST and address.host == _plain_host(base):
            address = Address(self._name(address.host), address.port)
        return attrs.evolve(candidate, address=address, related_address=related)

    def retain(self, bases: Iterable[Base]) -> None:
        """Withdraw the names of addresses that no socket has any more."""
        if not self._published:
            return
        hosts = {_plain_host(base) for base in bases}
        for host in sorted(self._published - hosts):
            self._published.remove(host)
            self._events.append(WithdrawName(self._names[host]))

    def _name(self, host: str) -> str:
        name = self._names.get(host)
        if name is None:
            name = self._names[host] = f"{draw_uuid(self._entropy)}.local"
        if host not in self._published:
            self._published.add(host)
            self._events.append(PublishName(name, (host,)))
        return name


def draw_uuid(entropy: Entropy) -> str:
    """A version 4 UUID (RFC 9562 section 5.4): 122 random bits."""
    data = bytearray(entropy(16))
    data[6] = data[6] & 0x0F | 0x40
    data[8] = data[8] & 0x3F | 0x80
    text = data.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def _plain_host(base: Base) -> str:
    return canonical_host(without_zone(base.address).host)
