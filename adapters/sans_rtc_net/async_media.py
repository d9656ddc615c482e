"""Audio and video of a peer connection for event loops: transceivers are added here, or come from the peer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence

from sans_rtc.errors import InvalidArgument
from sans_rtc.media import EncodingSettings
from sans_rtc.media.statistics import Json, Stats
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.media_verbs import as_direction
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.sdp.values import Direction
from sans_rtc_net.async_transceiver import Sender, Transceiver
from sans_rtc_net.iterators import Items
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.session import Session


class MediaPeer:
    """Part of `AsyncPeerConnection`: its audio and video."""

    _machine: Machine
    _session: Session[WaitSignal]
    _loop: Loop
    _transceivers: dict[int, Transceiver]

    # -- transceivers --------------------------------------------------------------------------------------------------

    def add_transceiver(
        self,
        kind: str,
        *,
        direction: Direction | str = Direction.SENDRECV,
        streams: Sequence[str] = (),
        send_encodings: Sequence[EncodingSettings | Mapping[str, object] | str] = (),
        codecs: Sequence[str] = (),
    ) -> Transceiver:
        """Add a transceiver: a media section of the next offer.

        kind            "audio" or "video"
        direction       "sendrecv", "sendonly", "recvonly" or "inactive"
        streams         names of the media streams that its track belongs to
        send_encodings  the layers of a simulcast, the smallest first: rids, mappings such as
                        {"rid": "q", "max_bitrate_bps": 150_000}, or EncodingSettings
        codecs          to negotiate, the favourite first, by name; empty: the defaults
        Errors          InvalidArgument, LimitExceeded, InvalidState after the end
        """
        options = TransceiverOptions(
            direction=as_direction(direction),
            streams=tuple(streams),
            encodings=tuple(_as_encoding(encoding) for encoding in send_encodings),
        )
        transceiver = self._added(self._machine.add_transceiver(kind, options, self.verb()))
        if codecs:
            transceiver.set_codec_preferences(codecs)
        return transceiver

    def add_track(self, kind: str, *, streams: Sequence[str] = ()) -> Sender:
        """Send audio or video: in a transceiver that waits for a sender, else in a new one (W3C addTrack)."""
        options = TransceiverOptions(direction=Direction.SENDRECV, streams=tuple(streams), is_from_track=True)
        return self._added(self._machine.add_transceiver(kind, options, self.verb())).sender

    def remove_track(self, sender: Sender) -> None:
        """Send no more there, and go on receiving (W3C removeTrack); takes a negotiation."""
        transceiver = next((each for each in self.transceivers if each.sender is sender), None)
        if transceiver is None:
            raise InvalidArgument("the sender is none of this connection")
        sends = {Direction.SENDRECV: Direction.RECVONLY, Direction.SENDONLY: Direction.INACTIVE}
        transceiver.direction = sends.get(transceiver.direction, transceiver.direction)

    @property
    def transceivers(self) -> list[Transceiver]:
        """All that are not stopped, in order."""
        return [self._added(info.handle) for info in self._machine.transceivers()]

    def incoming_transceivers(self) -> AsyncIterator[Transceiver]:
        """Those that the peer adds or begins to send in, each given out once; ends with the connection (W3C `track`).

        Errors  ConnectionLost where the connection went or failed
        """
        return TransceiverIterator(self._loop, self._session, self._added)

    # -- statistics ----------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, Stats]:
        """Everything that is counted, by id, with the W3C's names in snake_case."""
        return self._machine.statistics(self._loop.clock())

    def get_stats(self) -> dict[str, dict[str, Json]]:
        """The same as a browser's getStats has it."""
        return {id_: stats.to_json() for id_, stats in self.statistics().items()}

    # -- for its transceivers ------------------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """The machine under it."""
        return self._machine

    def verb(self) -> float:
        """The time for a verb of the machine; what it has to say then goes out in the next turn of the loop."""
        raise NotImplementedError

    def _added(self, handle: int) -> Transceiver:
        transceiver = self._transceivers.get(handle)
        if transceiver is None:
            kind = self._machine.transceiver(handle).kind
            transceiver = Transceiver(self, self._session.media.add(handle, kind))  # type: ignore[arg-type]
            self._transceivers[handle] = transceiver
        return transceiver


class TransceiverIterator(Items[Transceiver]):
    """The transceivers that the peer has added."""

    def __init__(self, loop: Loop, session: Session[WaitSignal], make: Callable[[int], Transceiver]) -> None:
        super().__init__(loop, session)
        self._make = make

    def _take(self) -> Transceiver | None:
        session = self._session
        if session.media.incoming:
            return self._make(session.media.incoming.popleft().handle)
        loss = session.loss()
        if loss is not None:
            raise loss
        if session.terminated is not None:
            raise StopAsyncIteration
        return None

    def _changed(self) -> WaitSignal:
        return self._session.media.incoming_changed


def _as_encoding(encoding: EncodingSettings | Mapping[str, object] | str) -> EncodingSettings:
    if isinstance(encoding, EncodingSettings):
        return encoding
    if isinstance(encoding, str):
        return EncodingSettings(rid=encoding)
    try:
        return EncodingSettings(**encoding)  # type: ignore[arg-type]  # checked by the class
    except TypeError as error:
        raise InvalidArgument(
            f"an encoding has rid, is_active, max_bitrate_bps, scale_down_by, priority: {error}"
        ) from None
