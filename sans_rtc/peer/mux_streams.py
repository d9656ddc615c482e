"""Whose is which stream: those that others have opened to a shared port, and those that peers have asked for."""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.machine import Datagram, Path
from sans_rtc.peer.mux_config import MuxConfig
from sans_rtc.peer.mux_stats import DiscardReason, MuxStatistics
from sans_rtc.peer.mux_visitors import Visitors


class Streams:
    """Streams by path, and visitors whose first frame is still to come.

    owner_of  the key of the peer whose a stream is; None where it is nobody's yet
    """

    __slots__ = ("_by_key", "_claims", "_owners", "_stats", "_unwanted", "_visitors", "owner_of")

    def __init__(self, config: MuxConfig, stats: MuxStatistics) -> None:
        self._stats = stats
        self._visitors = Visitors(config)
        self._owners: dict[Path, int] = {}
        self._by_key: dict[int, set[Path]] = {}
        self._claims: list[tuple[int, Datagram]] = []
        self._unwanted: list[Path] = []
        self.owner_of = self._owners.get

    # -- inputs --------------------------------------------------------------------------------------------------------

    def opened(self, path: Path, now: float) -> None:
        """Somebody has connected to a shared port; until a check has come, it is a visitor."""
        if path in self._owners:
            return
        if not self._visitors.open(path, now):
            self._stats.discard(DiscardReason.VISITOR_LIMIT)
            self._unwanted.append(path)

    def closed(self, path: Path) -> int | None:
        """A stream has ended, or its peer needs it no more: the key of that peer; None where it was nobody's."""
        self._visitors.forget(path)
        key = self._owners.pop(path, None)
        if key is not None:
            self._by_key[key].discard(path)
        return key

    def bind(self, path: Path, key: int) -> None:
        """The stream is this peer's."""
        self._owners[path] = key
        self._by_key.setdefault(key, set()).add(path)

    def remove(self, key: int) -> None:
        """The peer is gone, and its streams with it."""
        for path in self._by_key.pop(key, ()):
            del self._owners[path]
            self._unwanted.append(path)

    def first_frame(self, datagram: Datagram) -> bytes:
        """Take a piece of a stream that is nobody's; return its first datagram, empty before it is whole."""
        path = datagram.path
        frame = self._visitors.feed(datagram)
        if frame is None:
            self.refuse(path)
        return frame or b""

    def refuse(self, path: Path) -> None:
        """What has come on it is not what it takes to be somebody's: close it."""
        self._stats.discard(DiscardReason.VISITOR_NOT_ADDRESSED)
        if path in self._visitors:
            self._visitors.forget(path)
            self._unwanted.append(path)

    def claim(self, path: Path, key: int) -> None:
        """A visitor's first frame has said that it is this peer's."""
        self._claims.append((key, Datagram(self._visitors.claim(path), path)))
        self.bind(path, key)

    def handle_timer(self, now: float) -> None:
        """Give up visitors that have said nothing."""
        for path in self._visitors.take_expired(now):
            self._stats.discard(DiscardReason.VISITOR_TOO_LATE)
            self._unwanted.append(path)

    def end(self) -> None:
        """Nobody is left whose a visitor could be."""
        self._unwanted += self._visitors.take_all()

    # -- outputs -------------------------------------------------------------------------------------------------------

    def take_claims(self) -> Sequence[tuple[int, Datagram]]:
        """Hand over streams of which it is known now whose they are, each with all that has come on it.

        To be brought to the peers before what the same `Router.sort` has returned: first that the stream is open.
        """
        claims = self._claims
        if claims:
            self._claims = []
        return claims

    def take_unwanted(self) -> Sequence[Path]:
        """Hand over streams that are to be closed."""
        unwanted = self._unwanted
        if unwanted:
            self._unwanted = []
        return unwanted

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return self._visitors.deadline

    @property
    def visitor_count(self) -> int:
        """Streams that are nobody's yet."""
        return len(self._visitors)

    def __len__(self) -> int:
        return len(self._owners)
