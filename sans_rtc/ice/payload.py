"""The gate for datagrams that are not STUN: open for paths that the peer has proven, shut for strangers.

A path is proven by an authenticated success response on it, or by an authenticated request from an address that the
peer has signalled (`Pairing.is_proof`). What comes earlier from an address that is known waits: DTLS may start before
the check that proves its path has arrived, and a lost first flight costs a retransmission timeout.
"""

from __future__ import annotations

from collections.abc import Callable

from sans_rtc.ice.config import IceConfig
from sans_rtc.machine import Datagram, Path


class PayloadGate:
    """Which paths are proven, and what waits for the others.

    proven  the paths; always the same dict, for the agent asks it for every datagram
    """

    __slots__ = ("_bytes", "_bytes_max", "_count_max", "_waiting", "proven")

    def __init__(self, config: IceConfig) -> None:
        self.proven: dict[Path, bool] = {}
        self._count_max = config.early_datagram_count_max
        self._bytes_max = config.early_bytes_max
        self._waiting: list[Datagram] = []
        self._bytes = 0

    def hold(self, datagram: Datagram) -> bool:
        """Keep an early datagram; False where there is no room: the earlier ones are the better ones."""
        size = len(datagram.data)
        if len(self._waiting) >= self._count_max or self._bytes + size > self._bytes_max:
            return False
        self._waiting.append(datagram)
        self._bytes += size
        return True

    def prove(self, path: Path) -> list[Datagram]:
        """The path is the peer's: return what has waited for it, in order."""
        if path in self.proven:
            return []
        self.proven[path] = True
        released = [datagram for datagram in self._waiting if datagram.path == path]
        if released:
            self._waiting = [datagram for datagram in self._waiting if datagram.path != path]
            self._bytes = sum(len(datagram.data) for datagram in self._waiting)
        return released

    def retain(self, is_kept: Callable[[Path], bool]) -> None:
        """Shut the gate again for all paths but these."""
        for path in [path for path in self.proven if not is_kept(path)]:
            del self.proven[path]

    def clear(self) -> None:
        """Shut the gate and forget what waits."""
        self.proven.clear()
        self._waiting = []
        self._bytes = 0

    @property
    def waiting_count(self) -> int:
        """Datagrams that wait for their path to be proven."""
        return len(self._waiting)
