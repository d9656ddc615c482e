"""This project's own connection with media: it sends back what comes, as it came, and counts it. No codec is needed."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from interop_peers.local import LocalSession
from interop_peers.session import WAIT_TIMEOUT_S
from sans_rtc.dtls.config import DtlsConfig
from sans_rtc.errors import LocalError
from sans_rtc.media import EncodingSettings, MediaFrame, PacketReceived
from sans_rtc.peer.config import PeerConfig
from sans_rtc.srtp.profile import SrtpProfile
from sans_rtc_asyncio import PeerConnection, Transceiver

VIDEO_BITRATE_BPS_MAX = 1_500_000
"""More than any peer of the suite sends: nobody need probe for more."""


@attrs.frozen
class Arrival:
    """A frame that has come, or a packet where packets are forwarded."""

    transceiver: Transceiver
    kind: str
    rid: str
    is_keyframe: bool
    data: bytes
    timestamp: int


class LocalMedia(LocalSession):
    """One connection that echoes.

    arrived            everything that has come, in order
    keyframe_requests  transceivers for which the peer wanted a keyframe
    refused            why something could not be sent back
    """

    def __init__(self, connection: PeerConnection, echo: str) -> None:
        super().__init__(connection)
        self._echo = echo
        self._watched: list[Transceiver] = []
        self._copies: dict[Transceiver, Transceiver] = {}
        self.arrived: list[Arrival] = []
        self.keyframe_requests: list[Transceiver] = []
        self.refused: list[str] = []

    @classmethod
    async def open(cls, *, profile: SrtpProfile | None = None, echo: str = "frames") -> LocalMedia:
        """Make a connection on loopback.

        profile  the only SRTP profile; None: the defaults
        echo     "frames", "packets", or "none"
        """
        dtls = DtlsConfig() if profile is None else DtlsConfig(srtp_profiles=(int(profile),))
        session = cls(PeerConnection(PeerConfig(dtls=dtls), bind="127.0.0.1"), echo)
        session._start(session._report_states())
        session._start(session._report_channels())
        session._start(session._report_transceivers())
        return session

    # -- requests ------------------------------------------------------------------------------------------------------

    async def _on_media_add(
        self, name: str, kind: str, waits: bool = False, codecs: Sequence[str] = (), **_: object
    ) -> None:
        if waits:
            sender = self.connection.add_track(kind)
            transceiver = next(each for each in self.connection.transceivers if each.sender is sender)
        else:
            transceiver = self.connection.add_transceiver(kind, codecs=codecs)
        if kind == "video":
            transceiver.sender.set_encodings([EncodingSettings(max_bitrate_bps=VIDEO_BITRATE_BPS_MAX)])
        self._watch(transceiver)

    def direct(self, kind: str, direction: str) -> None:
        """Want another direction of the first transceiver of a kind, from the next offer on."""
        self._of(kind).direction = direction

    def copy(self, kind: str) -> None:
        """Add a track to send the first track of a kind in once more, from the next offer on."""
        source = self._of(kind)
        copy = self._copies[source] = self.connection.add_transceiver(kind, direction="sendonly")
        copy.sender.on_keyframe_request(lambda rid: self._on_keyframe_request(source))

    def request_keyframe(self, kind: str, rid: str | None = None) -> None:
        """Ask the peer for a keyframe of the first transceiver of a kind."""
        self._of(kind).receiver.request_keyframe(rid)

    # -- what has come -------------------------------------------------------------------------------------------------

    def count(self, kind: str, *, nth: int = 0, rid: str | None = None, keyframes: bool = False) -> int:
        """How many frames have come over the nth transceiver of a kind."""
        transceiver = self._of(kind, nth)
        own = (each for each in self.arrived if each.transceiver is transceiver and rid in (None, each.rid))
        return sum(1 for each in own if each.is_keyframe or not keyframes)

    def keyframe_count(self, kind: str, rid: str | None = None) -> int:
        """How many keyframes have come."""
        return self.count(kind, rid=rid, keyframes=True)

    async def until_arrived(
        self, kind: str, more: int, *, nth: int = 0, rid: str | None = None, timeout_s: float = WAIT_TIMEOUT_S
    ) -> None:
        """Wait for more frames."""
        wanted = self.count(kind, nth=nth, rid=rid) + more
        await self.until(lambda: self.count(kind, nth=nth, rid=rid) >= wanted, f"{more} more of {kind}", timeout_s)

    @property
    def srtp(self) -> str:
        """The SRTP profile, as our statistics name it."""
        stats = self.connection.get_stats().values()
        return next((str(each["srtpCipher"]) for each in stats if "srtpCipher" in each), "")

    def has(self, kind: str) -> bool:
        """Whether there is a transceiver of a kind that is not stopped."""
        return self._of(kind) is not None

    def direction(self, kind: str, nth: int = 0) -> str:
        """The direction agreed on, of the nth transceiver of a kind."""
        return str(self._of(kind, nth).current_direction)

    # -- private -------------------------------------------------------------------------------------------------------

    def _of(self, kind: str, nth: int = 0) -> Transceiver | None:
        found = [each for each in self.connection.transceivers if each.kind == kind]
        return found[nth] if nth < len(found) else None

    async def _report_transceivers(self) -> None:
        async for transceiver in self.connection.incoming_transceivers():
            self._watch(transceiver)

    def _watch(self, transceiver: Transceiver) -> None:
        if transceiver not in self._watched:
            self._watched.append(transceiver)
            transceiver.sender.on_keyframe_request(lambda rid: self._on_keyframe_request(transceiver))
            forwards = self._echo == "packets"
            self._start(self._report_packets(transceiver) if forwards else self._report_frames(transceiver))

    def _on_keyframe_request(self, source: Transceiver) -> None:
        self.keyframe_requests.append(source)
        source.receiver.request_keyframe()
        self._changed.set()

    async def _report_frames(self, transceiver: Transceiver) -> None:
        async for frame in transceiver.receiver.frames():
            self._note(transceiver, frame, frame.rid, frame.is_keyframe, frame.data)
        self._changed.set()  # it has ended

    async def _report_packets(self, transceiver: Transceiver) -> None:
        async for event in transceiver.receiver.packets():
            is_keyframe = event.codec is not None and event.codec.codec.is_keyframe_payload(event.packet.payload)
            self._note(transceiver, event, event.rid, is_keyframe, event.packet.payload)
        self._changed.set()

    def _note(
        self, transceiver: Transceiver, item: MediaFrame | PacketReceived, rid: str, is_keyframe: bool, data: bytes
    ) -> None:
        timestamp = item.timestamp if isinstance(item, MediaFrame) else item.packet.timestamp
        self.arrived.append(Arrival(transceiver, str(transceiver.kind), rid, is_keyframe, data, timestamp))
        self._changed.set()
        if self._echo == "none":
            return
        for target in (transceiver, self._copies.get(transceiver)):
            if target is not None and target.sender.can_send:
                self._send(target, item)

    def _send(self, target: Transceiver, item: MediaFrame | PacketReceived) -> None:
        try:
            if isinstance(item, MediaFrame):
                target.sender.send_frame(item.data, item.timestamp)
            else:
                target.sender.send_packet(item)
        except LocalError as error:
            self.refused.append(str(error))
