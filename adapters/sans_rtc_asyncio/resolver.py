"""Names to addresses without blocking the loop: DNS by the system's resolver in a thread, `.local` by multicast DNS.

    resolve(name) --> getaddrinfo in the loop's executor, or the mDNS querier --> on_resolved(name, hosts)

No task: a future with a callback. An unresolvable name is answered with no hosts, never with an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from sans_rtc_asyncio.mdns import MdnsResolver
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.names import is_local_name, resolve_blocking

# Names looked up at once; a peer can name many candidates, and each look-up occupies a thread.
LOOKUPS_MAX = 16


class Resolver:
    """Looks names up for one peer."""

    def __init__(
        self, on_resolved: Callable[[str, Sequence[str]], None], addresses: Callable[[], Sequence[LocalAddress]]
    ) -> None:
        """Answer by `on_resolved(name, hosts)`, from the loop, exactly once for each name until `close`.

        addresses  tells which interfaces to ask for `.local` names on
        """
        self._addresses = addresses
        self._on_resolved = on_resolved
        self._loop = asyncio.get_running_loop()
        self._lookups: dict[str, asyncio.Future[list[str]]] = {}
        self._mdns: MdnsResolver | None = None
        self._is_closed = False

    def resolve(self, name: str) -> None:
        """Begin to look a name up; the answer comes in a later turn of the loop."""
        if self._is_closed or name in self._lookups:
            return
        if is_local_name(name):
            if self._mdns is None:
                self._mdns = MdnsResolver(self._on_resolved, self._addresses)
            self._mdns.resolve(name)
            return
        if len(self._lookups) >= LOOKUPS_MAX:
            self._loop.call_soon(self._answer, name, [])
            return
        lookup = self._loop.run_in_executor(None, resolve_blocking, name)
        self._lookups[name] = lookup
        lookup.add_done_callback(lambda done: self._on_done(name, done))

    def close(self) -> None:
        """Forget what is under way; idempotent."""
        self._is_closed = True
        for lookup in self._lookups.values():
            lookup.cancel()
        self._lookups.clear()
        if self._mdns is not None:
            self._mdns.close()

    def _on_done(self, name: str, lookup: asyncio.Future[list[str]]) -> None:
        if not lookup.cancelled():
            self._lookups.pop(name, None)
            self._answer(name, lookup.result())

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        if not self._is_closed:
            self._on_resolved(name, hosts)
