"""Audio and video of a peer connection for threads: transceivers are added here, or come from the peer."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from types import TracebackType

from sans_rtc_net.blocking_channel import ThreadSignal, deadline_of
from sans_rtc_net.blocking_transceiver import BlockingSender, BlockingTransceiver
from sans_rtc_net.clock import monotonic
from sans_rtc_net.errors import ChannelClosed
from sans_rtc_net.media_inbox import TransceiverInbox
from sans_rtc_net.media_peer import MediaPeerBase


class LockedActing:
    """What stands around a verb in any thread: the lock, and a flush at the end."""

    def __init__(self, lock: threading.RLock, flush: Callable[[], None]) -> None:
        self._lock = lock
        self._flush = flush

    def __enter__(self) -> float:
        self._lock.acquire()
        return monotonic()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._flush()
        finally:
            self._lock.release()


class Callbacks:
    """What the application is to be told, kept until the connection's thread has let go of the lock.

    A callback may use all of the connection's methods that do not wait. What it raises ends the connection.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._calls: deque[tuple[Callable[..., object], tuple[object, ...]]] = deque()

    def call_soon(self, callback: Callable[..., object], *arguments: object) -> None:
        """Keep a call, in any thread."""
        self._calls.append((callback, arguments))
        self._wake()

    def run(self) -> None:
        """Make the calls, in the connection's thread and without its lock."""
        while self._calls:
            callback, arguments = self._calls.popleft()
            callback(*arguments)


class BlockingMedia(MediaPeerBase[ThreadSignal, BlockingTransceiver]):
    """Part of `BlockingPeerConnection`: its audio and video."""

    lock: threading.RLock
    _acting: LockedActing

    def add_track(self, kind: str, *, streams: Sequence[str] = ()) -> BlockingSender:
        """Send audio or video: in a transceiver that waits for a sender, else in a new one (W3C addTrack)."""
        return self._add_track(kind, streams).sender

    def remove_track(self, sender: BlockingSender) -> None:
        """Send no more there, and go on receiving (W3C removeTrack); takes a negotiation."""
        self._remove_track(sender)

    def accept_transceiver(self, timeout_s: float | None = None) -> BlockingTransceiver:
        """Wait for a transceiver that the peer adds or begins to send in; each is given out once (W3C `track`).

        Errors  ConnectionLost, ChannelClosed at the end, TimeoutError
        """
        session = self._session
        with self.lock:
            session.media.incoming_changed.wait_until(
                lambda: bool(session.media.incoming) or session.terminated is not None or session.loss() is not None,
                deadline_of(timeout_s),
            )
            if session.media.incoming:
                return self._added(session.media.incoming.popleft().handle)
            raise session.loss() or ChannelClosed("the connection is closed")

    def incoming_transceivers(self) -> Iterator[BlockingTransceiver]:
        """Those that the peer adds or begins to send in; ends with the connection."""
        while True:
            try:
                yield self.accept_transceiver()
            except ChannelClosed:
                return

    @property
    def acting(self) -> AbstractContextManager[float]:
        """Around a verb of the machine: the lock, and a flush at the end."""
        return self._acting

    @property
    def reading(self) -> AbstractContextManager[object]:
        """Around reads of the machine: the lock."""
        return self.lock

    def now(self) -> float:
        """The time on the machine's scale, seconds."""
        return monotonic()

    def _make_transceiver(self, inbox: TransceiverInbox[ThreadSignal]) -> BlockingTransceiver:
        return BlockingTransceiver(self, inbox)
