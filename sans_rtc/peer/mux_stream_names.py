"""Names for the streams that peers ask for: each peer numbers its own, so two may mean different ones by one path."""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.machine import Datagram, Path


class StreamNames:
    """The peers' own paths inside, paths that are nobody else's outside."""

    __slots__ = ("_count", "_inner", "_outer")

    def __init__(self) -> None:
        self._inner: dict[Path, tuple[int, Path]] = {}
        self._outer: dict[int, dict[Path, Path]] = {}
        self._count = 0

    def need(self, key: int, inner: Path) -> Path:
        """A peer asks for a stream: its name outside."""
        self._count += 1
        outer = Path(inner.local, inner.remote, inner.protocol, self._count)
        self._inner[outer] = key, inner
        self._outer.setdefault(key, {})[inner] = outer
        return outer

    def drop(self, key: int, inner: Path) -> Path | None:
        """A peer does not need a stream any more, or it is over: its name outside; None for one that is not known."""
        names = self._outer.get(key, {})
        outer = names.pop(inner, None)
        if outer is not None:
            del self._inner[outer]
        if not names:
            self._outer.pop(key, None)
        return outer

    def drop_all(self, key: int) -> list[Path]:
        """The peer is gone: the names of its streams outside."""
        names = list(self._outer.pop(key, {}).values())
        for outer in names:
            del self._inner[outer]
        return names

    def find(self, outer: Path) -> tuple[int, Path] | None:
        """Whose stream it is, and its name inside; None where nobody has asked for it."""
        return self._inner.get(outer)

    def outer_of(self, key: int, inner: Path) -> Path | None:
        """The name outside of a stream that a peer has asked for."""
        return self._outer.get(key, {}).get(inner)

    def inward(self, key: int, datagrams: Sequence[Datagram]) -> Sequence[Datagram]:
        """What has come for a peer, by the names inside."""
        if key not in self._outer:
            return datagrams
        known = self._inner
        return [
            Datagram(datagram.data, known[datagram.path][1], datagram.ecn) if datagram.path in known else datagram
            for datagram in datagrams
        ]
