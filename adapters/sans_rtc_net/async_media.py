"""Audio and video of a peer connection for event loops: transceivers are added here, or come from the peer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from sans_rtc_net.async_transceiver import Sender, Transceiver
from sans_rtc_net.iterators import Items
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.media_inbox import TransceiverInbox
from sans_rtc_net.media_peer import MediaPeerBase
from sans_rtc_net.session import Session

_NO_LOCK: AbstractContextManager[object] = nullcontext()


class MediaPeer(MediaPeerBase[WaitSignal, Transceiver]):
    """Part of `AsyncPeerConnection`: its audio and video."""

    _loop: Loop
    _acting: Acting

    def add_track(self, kind: str, *, streams: Sequence[str] = ()) -> Sender:
        """Send audio or video: in a transceiver that waits for a sender, else in a new one (W3C addTrack)."""
        return self._add_track(kind, streams).sender

    def remove_track(self, sender: Sender) -> None:
        """Send no more there, and go on receiving (W3C removeTrack); takes a negotiation."""
        self._remove_track(sender)

    def incoming_transceivers(self) -> AsyncIterator[Transceiver]:
        """Those that the peer adds or begins to send in, each given out once; ends with the connection (W3C `track`).

        Errors  ConnectionLost where the connection went or failed
        """
        return TransceiverIterator(self._loop, self._session, self._added)

    @property
    def loop(self) -> Loop:
        """The loop it lives on."""
        return self._loop

    @property
    def acting(self) -> AbstractContextManager[float]:
        """Around a verb of the machine: gives its time; what it has to say goes out in the next turn of the loop."""
        return self._acting

    @property
    def reading(self) -> AbstractContextManager[object]:
        """Nothing: the loop is one thread's."""
        return _NO_LOCK

    def _make_transceiver(self, inbox: TransceiverInbox[WaitSignal]) -> Transceiver:
        return Transceiver(self, inbox)


class Acting:
    """What stands around a verb on a loop; one for all, for nothing is kept."""

    def __init__(self, verb: Callable[[], float]) -> None:
        """verb  gives the time, and has the driver flush in the next turn."""
        self._verb = verb

    def __enter__(self) -> float:
        return self._verb()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        return None


class TransceiverIterator(Items[Transceiver]):
    """The transceivers that the peer has added."""

    def __init__(self, loop: Loop, session: Session[WaitSignal], make: Callable[[int], Transceiver]) -> None:
        super().__init__(loop, session)
        self._make = make

    def _take(self) -> Transceiver | None:
        session = self._session
        if session.media.incoming:
            return self._make(session.media.incoming.popleft().handle)
        self._wait_unless_over()
        return None

    def _changed(self) -> WaitSignal:
        return self._session.media.incoming_changed
