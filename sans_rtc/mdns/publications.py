"""Names that a responder has published, and on which link which of their records was last told to the group."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import attrs

from sans_rtc.machine import Address, Path
from sans_rtc.mdns.groups import Network, is_in
from sans_rtc.mdns.wire import Record, address_record

# RFC 6762 section 8.3: "at least two unsolicited responses, one second apart".
ANNOUNCEMENT_COUNT = 2


@attrs.define(slots=True, eq=False)
class Link:
    """A local address, the way from it to the group, and which addresses are on the link; none given: nobody knows."""

    path: Path
    networks: tuple[Network, ...] = ()


@attrs.define(slots=True, eq=False)
class Publication:
    """A name that is ours.

    announce_at   when it is announced next; inf: it has been told often enough
    multicast_at  when a record was last sent to the group, by local address, type and data
    """

    name: str
    hosts: tuple[str, ...]
    announce_at: float
    announcements_left: int = ANNOUNCEMENT_COUNT
    multicast_at: dict[tuple[Address, int, bytes], float] = attrs.Factory(dict)

    def told_at(self, record: Record, link: Link) -> float:
        """When the group on this link last heard the record; -inf: never."""
        return self.multicast_at.get((link.path.local, record.type, record.data), -math.inf)

    def note_told(self, record: Record, link: Link, now: float) -> None:
        """The group on this link hears the record now."""
        self.multicast_at[link.path.local, record.type, record.data] = now

    def forget_link(self, address: Address) -> None:
        """There is no such link any more."""
        for key in [key for key in self.multicast_at if key[0] == address]:
            del self.multicast_at[key]

    def announce_again(self, now: float) -> None:
        """There are caches that have not heard of it. One that has never been announced waits for its time."""
        if self.announcements_left < ANNOUNCEMENT_COUNT:
            self.announcements_left, self.announce_at = ANNOUNCEMENT_COUNT, now

    def replaced_by(self, hosts: tuple[str, ...], now: float) -> Publication:
        """The same name with other addresses, to be announced at once (RFC 6762 section 8.4)."""
        return attrs.evolve(
            self, hosts=hosts, announce_at=now, announcements_left=ANNOUNCEMENT_COUNT, multicast_at=self.multicast_at
        )

    def records(self, link: Link, links: Sequence[Link], ttl_s: int) -> list[Record]:
        """What is told of it on this link: not the addresses that are known to be of another link.

        Those would lead nowhere there, and would tell one network what the other looks like.
        """
        is_told = _is_told_on(link, links)
        return [address_record(self.name, host, ttl_s) for host in self.hosts if is_told(host)]

    def goodbyes(self, link: Link, *, besides: Sequence[str] = ()) -> list[Record]:
        """Records with TTL 0 (section 10.1) of what the group on this link has heard.

        besides  addresses that the name keeps: the cache-flush bit would take them out of caches as well
        """
        records = [address_record(self.name, host, 0, flushes_cache=not besides) for host in self.hosts]
        return [record for record in records if self.told_at(record, link) > -math.inf and record.host not in besides]


def _is_told_on(link: Link, links: Sequence[Link]) -> Callable[[str], bool]:
    def is_told(host: str) -> bool:
        if not link.networks or is_in(host, link.networks):
            return True
        return not any(is_in(host, other.networks) for other in links)

    return is_told
