"""Names to addresses without blocking the loop: DNS by the system's resolver in a thread, `.local` by multicast DNS.

    resolve(name) --> Loop.look_up, or LocalNames --> on_resolved(name, hosts)

An unresolvable name is answered with no hosts, never with an exception.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sans_rtc.peer.events import PublishName, ResolveName
from sans_rtc_net.interfaces import LocalAddress
from sans_rtc_net.local_names import LocalNames
from sans_rtc_net.loop import Loop
from sans_rtc_net.names import is_local_name

# Names looked up at once; a peer can name many candidates, and each look-up occupies a thread.
LOOKUPS_MAX = 16


class Resolver:
    """Looks names up for one peer."""

    def __init__(
        self,
        loop: Loop,
        on_resolved: Callable[[str, Sequence[str]], None],
        addresses: Callable[[], Sequence[LocalAddress]],
    ) -> None:
        """Answer by `on_resolved(name, hosts)`, from the loop, exactly once for each name until `close`.

        addresses  tells which interfaces to use for `.local` names
        """
        self.local = LocalNames.on(loop, on_resolved, addresses)
        """The peer's `.local` names."""
        self._loop = loop
        self._on_resolved = on_resolved
        self._lookups: dict[str, Callable[[], None]] = {}
        self._is_closed = False

    def resolve(self, name: str) -> None:
        """Begin to look a name up; the answer comes in a later turn of the loop."""
        if self._is_closed or name in self._lookups:
            return
        if is_local_name(name):
            self.local.resolve(name)
        elif len(self._lookups) >= LOOKUPS_MAX:
            self._loop.call_soon(self._answer, name, [])
        else:
            self._lookups[name] = self._loop.look_up(name, lambda hosts: self._answer(name, hosts))

    @property
    def standing(self) -> list[ResolveName | PublishName]:
        """What the machine has asked for, and goes on."""
        return [*map(ResolveName, self._lookups), *self.local.standing]

    def close(self) -> None:
        """Forget what is under way; idempotent."""
        self._is_closed = True
        for give_up in self._lookups.values():
            give_up()
        self._lookups.clear()
        self.local.close()

    def _answer(self, name: str, hosts: Sequence[str]) -> None:
        self._lookups.pop(name, None)
        if not self._is_closed:
            self._on_resolved(name, hosts)
