"""Names to addresses for threads, so that nothing waits for a dead server.

DNS is asked by the system's resolver, each time in a daemon thread; `.local` names by the one thread of multicast DNS.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sans_rtc.peer.events import PublishName, ResolveName
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.mdns_thread import ThreadedNames
from sans_rtc_net.names import is_local_name, resolve_blocking

# Names looked up at once; a peer can name many candidates, and each look-up is a thread.
LOOKUPS_MAX = 16


class ThreadedLookups:
    """Looks names up for one peer."""

    def __init__(
        self, on_resolved: Callable[[str, Sequence[str]], None], addresses: Callable[[], Sequence[LocalAddress]]
    ) -> None:
        """Answer by `on_resolved(name, hosts)` from some other thread, once for each name, until `close`.

        addresses  tells which interfaces to use for `.local` names
        """
        self.local = ThreadedNames(on_resolved, addresses)
        """The peer's `.local` names."""
        self._on_resolved = on_resolved
        self._names: set[str] = set()
        self._is_closed = False

    def resolve(self, name: str) -> None:
        """Begin to look a name up. A name too many is answered at once with no hosts."""
        if self._is_closed or name in self._names:
            return
        if is_local_name(name):
            self.local.resolve(name)
            return
        work = self._look_up if len(self._names) < LOOKUPS_MAX else self._refuse
        self._names.add(name)
        threading.Thread(target=work, args=(name,), name=f"resolve {name}", daemon=True).start()

    @property
    def standing(self) -> list[ResolveName | PublishName]:
        """What the machine has asked for, and goes on."""
        return [*map(ResolveName, tuple(self._names)), *self.local.standing]

    def close(self) -> Callable[[], None]:
        """Answer no more; idempotent. A look-up under way ends by itself.

        Returns  what waits until the names that were published are withdrawn; not while a lock is held that
                 `on_resolved` takes
        """
        self._is_closed = True
        return self.local.close()

    def _look_up(self, name: str) -> None:
        self._answer(name, resolve_blocking(name))

    def _refuse(self, name: str) -> None:
        self._answer(name, [])

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        self._names.discard(name)
        if not self._is_closed:
            self._on_resolved(name, hosts)
