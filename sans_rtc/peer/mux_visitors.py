"""Streams that somebody has opened to a shared TCP port, until their first frame says whose they are (RFC 6544).

    somebody connects --> Visitors --first frame: a check that names a peer--> the stream is that peer's
                             |
                             +--> no room, too much, no check in time: closed

A check over TCP is framed as over any stream: two bytes of length before it.
"""

from __future__ import annotations

import attrs

from sans_rtc.ice.framing import FrameReader
from sans_rtc.machine import UNARMED, Datagram, Path
from sans_rtc.peer.mux_config import MuxConfig

# A check and nothing longer is expected of somebody who has proven nothing.
FRAME_BYTES_MAX = 2048
# Kept of one visitor: its check, and what it sends behind it while the application decides.
VISITOR_BYTES_MAX = 8192


@attrs.define(slots=True, eq=False)
class _Visitor:
    """Who has connected and has no peer yet.

    pieces  everything that has come, as it came
    frame   the first datagram, empty before it is whole
    """

    expires_at: float
    reader: FrameReader
    pieces: list[bytes] = attrs.field(factory=list)
    byte_count: int = 0
    frame: bytes = b""


class Visitors:
    """Bounded: so many at a time, of one host too, so long, so many bytes each."""

    __slots__ = ("_by_host", "_config", "_visitors")

    def __init__(self, config: MuxConfig) -> None:
        self._config = config
        self._visitors: dict[Path, _Visitor] = {}  # oldest first, so earliest to expire first
        self._by_host: dict[str, int] = {}

    def open(self, path: Path, now: float) -> bool:
        """Somebody has connected. False where there is no room, or the path is a visitor's already."""
        config, host = self._config, path.remote.host
        if path in self._visitors or len(self._visitors) >= config.visitor_count_max:
            return False
        if self._by_host.get(host, 0) >= config.visitors_per_host_max:
            return False
        self._by_host[host] = self._by_host.get(host, 0) + 1
        self._visitors[path] = _Visitor(now + config.visitor_wait_s, FrameReader(FRAME_BYTES_MAX))
        return True

    def feed(self, datagram: Datagram) -> bytes | None:
        """Take a piece, or the first frame once more to look at it again.

        Returns  the first frame, empty before it is whole; None where the stream is to be closed: it is unknown, or
                 holds no frame that could be a check
        """
        visitor = self._visitors.get(datagram.path)
        if visitor is None:
            return None
        if visitor.frame and datagram.data == visitor.frame:
            return visitor.frame
        visitor.pieces.append(datagram.data)
        visitor.byte_count += len(datagram.data)
        if visitor.byte_count > VISITOR_BYTES_MAX:
            return None
        if not visitor.frame:
            frames = visitor.reader.feed(datagram.data)
            visitor.frame = frames[0] if frames else b""
        return None if visitor.reader.is_broken and not visitor.frame else visitor.frame

    def claim(self, path: Path) -> bytes:
        """It is known whose the stream is: forget it, and return all of its bytes."""
        visitor = self._visitors[path]
        self.forget(path)
        return b"".join(visitor.pieces)

    def forget(self, path: Path) -> None:
        """The stream is gone; no effect where it is not a visitor's."""
        if self._visitors.pop(path, None) is None:
            return
        host = path.remote.host
        self._by_host[host] -= 1
        if not self._by_host[host]:
            del self._by_host[host]

    def take_all(self) -> list[Path]:
        """Forget and return them all."""
        paths = list(self._visitors)
        self._visitors.clear()
        self._by_host.clear()
        return paths

    def take_expired(self, now: float) -> list[Path]:
        """Forget those whose time is over, and return them."""
        expired = []
        for path, visitor in self._visitors.items():
            if visitor.expires_at > now:
                break
            expired.append(path)
        for path in expired:
            self.forget(path)
        return expired

    @property
    def deadline(self) -> float:
        """When the oldest is given up."""
        return next(iter(self._visitors.values())).expires_at if self._visitors else UNARMED

    def __contains__(self, path: object) -> bool:
        return path in self._visitors

    def __len__(self) -> int:
        return len(self._visitors)
