"""The connections under TCP pairs: opened when a check is due, taken when the peer connects (RFC 6544).

check of an active pair --> StreamNeeded --> opened --> frames of RFC 4571 both ways
somebody connects to a listener --> the first frame is a check of the peer's --> ... likewise; else closed
closed by the far end --> the pair has failed
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import attrs

from sans_rtc.ice.base import FRAMES
from sans_rtc.ice.config import TcpPolicy
from sans_rtc.ice.framing import FRAME_BYTES_MAX, FrameReader, serialize_frame
from sans_rtc.ice.stats import DiscardReason, IceStatistics
from sans_rtc.ice.tcp import DISCARD_PORT
from sans_rtc.ice.wiring import Wiring
from sans_rtc.machine import Datagram, Path
from sans_rtc.outbox import Outbox

# Frames kept while a connection is being opened: one check, perhaps one more that nominates.
WAITING_FRAMES_MAX = 4
# A check and nothing longer is expected of somebody who has proven nothing yet.
STRANGERS_FRAME_BYTES_MAX = 2048

_REQUEST = b"\x00\x01"


class TcpStream:
    """One connection, open or being opened; a Carrier.

    outer        its real path
    inner        the path of the pair that it carries
    is_accepted  somebody else has opened it
    is_open      it is open
    is_proven    the peer's check has come on it; one that we have opened ourselves needs no such proof
    expires_at   when it is given up: not open, or not proven by then
    waiting      frames that wait until it is open
    """

    __slots__ = (
        "_owner", "_reader", "expires_at", "inner", "is_accepted", "is_open", "is_proven", "outer", "waiting",
    )  # fmt: skip

    def __init__(self, owner: TcpStreams, outer: Path, inner: Path, *, is_accepted: bool, expires_at: float) -> None:
        self.outer = outer
        self.inner = inner
        self.is_accepted = is_accepted
        self.is_open = is_accepted
        self.is_proven = not is_accepted
        self.expires_at = expires_at
        self.waiting: list[bytes] = []
        self._owner = owner
        self._reader = FrameReader(STRANGERS_FRAME_BYTES_MAX if is_accepted else owner.policy.frame_bytes_max)

    def unwrap(self, datagrams: Sequence[Datagram], now: float) -> Sequence[Datagram]:
        """Take pieces; return the datagrams that are whole now. A stream that is broken is closed."""
        reader = self._reader
        pieces = [datagram.data for datagram in datagrams]
        frames = reader.feed(pieces[0] if len(pieces) == 1 else b"".join(pieces))
        if frames and not self.is_proven:
            self._owner.note_to_judge(self)
        if reader.is_broken:
            self._owner.on_broken(self)
        inner = self.inner
        return [Datagram(frame, inner) for frame in frames]

    def prove(self) -> None:
        """The peer's check has come on it."""
        self.is_proven = True
        self.expires_at = math.inf
        self._reader.frame_bytes_max = self._owner.policy.frame_bytes_max

    def on_stream_opened(self, path: Path, now: float) -> None:
        """The driver has opened it."""
        self._owner.on_opened(self)

    def on_stream_closed(self, path: Path, reason: str, now: float) -> None:
        """It has ended, or could not be opened."""
        self._owner.on_closed(self, reason)


@attrs.frozen(slots=True)
class StreamFailure:
    """A connection that has ended, and why: for people."""

    inner: Path
    reason: str


class TcpStreams:
    """All connections under pairs; bounded."""

    def __init__(self, policy: TcpPolicy, wiring: Wiring, stats: IceStatistics) -> None:
        self.policy = policy
        self.failures: dict[Path, str] = {}
        self._wiring = wiring
        self._stats = stats
        self._by_inner: dict[Path, TcpStream] = {}
        self._to_judge: list[TcpStream] = []
        self._datagrams: Outbox[Datagram] = Outbox()
        self._broken: Outbox[Path] = Outbox()

    # -- inputs ------------------------------------------------------------------------------------------------------

    def accept(self, path: Path, now: float) -> None:
        """Somebody has connected to a listener of ours: until the peer's check comes on it, it is a stranger's."""
        if self._count(is_accepted=True) >= self.policy.accepted_count_max:
            self._stats.discard(DiscardReason.TCP_STREAM_LIMIT)
            self._wiring.refuse(path)
            return
        inner = Path(path.local, path.remote, "tcp", FRAMES)
        known = self._by_inner.get(inner)
        if known is not None:  # the same port again: the connection before has ended, and nobody has said so
            self._drop(known)
        expires_at = now + self.policy.validation_timeout_s
        stream = TcpStream(self, path, inner, is_accepted=True, expires_at=expires_at)
        self._by_inner[inner] = stream
        self._wiring.routes[path] = stream

    def wrap(self, datagram: Datagram, now: float) -> Datagram | None:
        """Frame a pair's datagram; None where it waits for its connection, or there is none for it."""
        data = datagram.data
        if len(data) > FRAME_BYTES_MAX:
            self._stats.discard(DiscardReason.FRAME_TOO_LONG)
            return None
        stream = self._by_inner.get(datagram.path) or self._open_for(datagram, now)
        if stream is None:
            return None
        frame = serialize_frame(data)
        if stream.is_open:
            return Datagram(frame, stream.outer)
        if len(stream.waiting) < WAITING_FRAMES_MAX:
            stream.waiting.append(frame)
        return None

    def handle_timer(self, now: float) -> None:
        """Give up connections that do not open, or on which the peer does not prove itself."""
        for stream in [stream for stream in self._by_inner.values() if stream.expires_at <= now]:
            if stream.is_accepted:
                self._stats.discard(DiscardReason.TCP_STREAM_NOT_PROVEN)
            self._fail(stream, "no check of the peer has come" if stream.is_accepted else "not open in time")
            self._wiring.close(stream.outer)

    def judge(self, is_known: Callable[[Path], bool]) -> None:
        """The first frame of these has been looked at: it was a check of the peer's, or they are strangers."""
        to_judge, self._to_judge = self._to_judge, []
        for stream in to_judge:
            if self._by_inner.get(stream.inner) is not stream or stream.is_proven:
                continue
            if is_known(stream.inner):
                stream.prove()
            else:
                self._stats.discard(DiscardReason.TCP_STREAM_NOT_PROVEN)
                self._drop(stream)

    def retain(self, is_needed: Callable[[Path], bool]) -> None:
        """Close the connections whose pairs are gone or have failed; strangers have their own time.

        A pair on a connection of the peer's cannot come back without it, so it goes as well.
        """
        for stream in list(self._by_inner.values()):
            if stream.is_proven and not is_needed(stream.inner):
                self._drop(stream)
                if stream.is_accepted:
                    self._broken.append(stream.inner)

    def release(self, is_needed: Callable[[Path], bool]) -> None:
        """Another pair carries data for good: close the connections that we have opened, and let their pairs fail."""
        for stream in list(self._by_inner.values()):
            if not stream.is_accepted and not is_needed(stream.inner):
                self._drop(stream)
                self._broken.append(stream.inner)

    def has_unused(self, is_needed: Callable[[Path], bool]) -> bool:
        """True where `release` would close something."""
        return any(not stream.is_accepted and not is_needed(stream.inner) for stream in self._by_inner.values())

    def close_all(self) -> None:
        """The agent ends."""
        for stream in list(self._by_inner.values()):
            self._drop(stream)

    # -- what streams say --------------------------------------------------------------------------------------------

    def note_to_judge(self, stream: TcpStream) -> None:
        """Frames have come on a stream that is not proven."""
        self._to_judge.append(stream)

    def on_opened(self, stream: TcpStream) -> None:
        """It is open: what waits goes out."""
        if stream.is_open:
            return
        stream.is_open = True
        stream.expires_at = math.inf
        for frame in stream.waiting:
            self._datagrams.append(Datagram(frame, stream.outer))
        stream.waiting = []

    def on_closed(self, stream: TcpStream, reason: str) -> None:
        """The far end, or the network, has ended it."""
        self._wiring.routes.pop(stream.outer, None)
        self._fail(stream, reason)

    def on_broken(self, stream: TcpStream) -> None:
        """It holds no frames."""
        self._stats.discard(DiscardReason.TCP_STREAM_BROKEN)
        self._fail(stream, "what came is not framed as RFC 4571 says")
        self._wiring.close(stream.outer)

    # -- outputs -----------------------------------------------------------------------------------------------------

    def take_datagrams(self) -> Sequence[Datagram]:
        """Hand over frames that have waited for their connection."""
        return self._datagrams.take()

    def take_broken(self) -> Sequence[Path]:
        """Hand over the pairs' paths that lead nowhere any more."""
        return self._broken.take()

    @property
    def has_news(self) -> bool:
        """True where `judge` or `take_broken` has something to do."""
        return bool(self._to_judge) or len(self._broken) > 0

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run."""
        return min((stream.expires_at for stream in self._by_inner.values()), default=math.inf)

    @property
    def streams(self) -> Iterable[TcpStream]:
        """All connections."""
        return self._by_inner.values()

    # -- private -----------------------------------------------------------------------------------------------------

    def _open_for(self, datagram: Datagram, now: float) -> TcpStream | None:
        """A connection for a check that is due; for nothing else (RFC 6544 section 6.2)."""
        inner = datagram.path
        if inner.local.port != DISCARD_PORT or datagram.data[:2] != _REQUEST:
            self._stats.discard(DiscardReason.TCP_STREAM_GONE)
            return None
        if self._count(is_accepted=False) >= self.policy.stream_count_max:
            self._stats.discard(DiscardReason.TCP_STREAM_LIMIT)
            self._broken.append(inner)
            return None
        outer = self._wiring.name_stream(inner.local.host, inner.remote, "tcp")
        expires_at = now + self.policy.open_timeout_s
        stream = self._by_inner[inner] = TcpStream(self, outer, inner, is_accepted=False, expires_at=expires_at)
        self._wiring.open(outer, stream)
        return stream

    def _count(self, *, is_accepted: bool) -> int:
        return sum(stream.is_accepted is is_accepted for stream in self._by_inner.values())

    def _fail(self, stream: TcpStream, reason: str) -> None:
        if self._by_inner.get(stream.inner) is stream:
            del self._by_inner[stream.inner]
            self._broken.append(stream.inner)
            if stream.is_proven:
                self.failures[stream.inner] = reason
                while len(self.failures) > self.policy.stream_count_max:
                    del self.failures[next(iter(self.failures))]

    def _drop(self, stream: TcpStream) -> None:
        del self._by_inner[stream.inner]
        self._wiring.close(stream.outer)
