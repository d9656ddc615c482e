"""Audio and video of a peer connection without waiting: what those for event loops and those for threads share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol, TypeVar

from sans_rtc.errors import InvalidArgument
from sans_rtc.media import EncodingSettings
from sans_rtc.media.statistics import Json, Stats
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.transceiver_types import as_direction
from sans_rtc.peer.transceivers import TransceiverOptions
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.sdp.values import Direction
from sans_rtc_net.inbox import SignalT
from sans_rtc_net.media_inbox import TransceiverInbox
from sans_rtc_net.session import Session


class AnyTransceiver(Protocol):
    """What is done with a transceiver of any adapter."""

    kind: MediaKind

    @property
    def sender(self) -> object:
        """What it sends with."""

    @property
    def direction(self) -> Direction:
        """Which way media shall flow."""

    @direction.setter
    def direction(self, direction: Direction | str) -> None: ...

    def set_codec_preferences(self, codecs: Sequence[str]) -> None:
        """Which codecs to negotiate."""


TransceiverT = TypeVar("TransceiverT", bound=AnyTransceiver)


class MediaPeerBase(Generic[SignalT, TransceiverT]):
    """Part of a peer connection: its audio and video. Each adapter adds how it waits."""

    _machine: Machine
    _session: Session[SignalT]
    _transceivers: dict[int, TransceiverT]

    # -- transceivers --------------------------------------------------------------------------------------------------

    def add_transceiver(
        self,
        kind: str,
        *,
        direction: Direction | str = Direction.SENDRECV,
        streams: Sequence[str] = (),
        send_encodings: Sequence[EncodingSettings | Mapping[str, object] | str] = (),
        codecs: Sequence[str] = (),
    ) -> TransceiverT:
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
        transceiver = self._add(kind, options)
        if codecs:
            transceiver.set_codec_preferences(codecs)
        return transceiver

    @property
    def transceivers(self) -> list[TransceiverT]:
        """All that are not stopped, in order."""
        with self.reading:
            return [self._added(info.handle) for info in self._machine.transceivers()]

    # -- statistics ----------------------------------------------------------------------------------------------------

    def statistics(self) -> dict[str, Stats]:
        """Everything that is counted, by id, with the W3C's names in snake_case."""
        with self.reading:
            return self._machine.statistics(self.now())

    def get_stats(self) -> dict[str, dict[str, Json]]:
        """The same as a browser's getStats has it."""
        return {id_: stats.to_json() for id_, stats in self.statistics().items()}

    # -- for its transceivers ------------------------------------------------------------------------------------------

    @property
    def machine(self) -> Machine:
        """The machine under it."""
        return self._machine

    @property
    def session(self) -> Session[SignalT]:
        """The application's side of the connection, without waiting."""
        return self._session

    @property
    def acting(self) -> AbstractContextManager[float]:
        """Around a verb of the machine: gives its time, and what the machine has to say goes out afterwards."""
        raise NotImplementedError

    @property
    def reading(self) -> AbstractContextManager[object]:
        """Around reads of the machine: a lock, where it is not one thread's alone."""
        raise NotImplementedError

    def now(self) -> float:
        """The time on the machine's scale, seconds."""
        raise NotImplementedError

    # -- private -------------------------------------------------------------------------------------------------------

    def _make_transceiver(self, inbox: TransceiverInbox[SignalT]) -> TransceiverT:
        raise NotImplementedError

    def _add_track(self, kind: str, streams: Sequence[str]) -> TransceiverT:
        """A transceiver that waits for a sender, else a new one (W3C addTrack)."""
        options = TransceiverOptions(direction=Direction.SENDRECV, streams=tuple(streams), is_from_track=True)
        return self._add(kind, options)

    def _remove_track(self, sender: object) -> None:
        transceiver = next((each for each in self.transceivers if each.sender is sender), None)
        if transceiver is None:
            raise InvalidArgument("the sender is none of this connection")
        sends = {Direction.SENDRECV: Direction.RECVONLY, Direction.SENDONLY: Direction.INACTIVE}
        transceiver.direction = sends.get(transceiver.direction, transceiver.direction)

    def _add(self, kind: str, options: TransceiverOptions) -> TransceiverT:
        with self.acting as now:
            return self._added(self._machine.add_transceiver(kind, options, now))

    def _added(self, handle: int) -> TransceiverT:
        transceiver = self._transceivers.get(handle)
        if transceiver is None:
            inbox = self._session.media.add(handle, self._machine.transceiver(handle).kind)
            transceiver = self._transceivers[handle] = self._make_transceiver(inbox)
        return transceiver


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
