"""What a router reads of each peer that shares its socket; `ice.Agent` has it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from sans_rtc.machine import Path


class Routable(Protocol):
    """Whose is which datagram, as far as one peer can tell; reads only."""

    @property
    def revision(self) -> int:
        """Grows whenever anything below may have changed, so that most looks cost one comparison."""

    @property
    def local_ufrags(self) -> tuple[str, ...]:
        """The user name fragments by which the other end addresses this peer."""

    @property
    def proven_paths(self) -> Collection[Path]:
        """The paths that the other end has proven to be its own."""

    def knows(self, path: Path) -> bool:
        """True where the other end has been signalled to be there, or has sent an authenticated check from there."""

    def answered_at(self, path: Path) -> float:
        """When the other end last answered a check there, -inf for never: the source of a request can be forged."""

    @property
    def is_silent(self) -> bool:
        """True where the other end was there and is not heard of any more."""
