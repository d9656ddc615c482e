"""Transceivers for event loops: encoded frames and RTP packets out by a call, in by iteration (W3C WebRTC 5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from sans_rtc.media import (
    CodecParameters,
    EncodingSettings,
    MediaFrame,
    OutgoingFrame,
    PacketReceived,
)
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.transceivers import TransceiverInfo
from sans_rtc.rtp import RtpPacket
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.sdp.values import Direction
from sans_rtc_net.loop import Loop, WaitSignal
from sans_rtc_net.media_inbox import BitrateCallback, KeyframeCallback, TransceiverInbox
from sans_rtc_net.session import Session

Item = TypeVar("Item")


class MediaOwner(Protocol):
    """What a transceiver needs of its connection."""

    @property
    def machine(self) -> Machine:
        """The machine under it."""

    @property
    def session(self) -> Session[WaitSignal]:
        """The application's side of the connection."""

    @property
    def loop(self) -> Loop:
        """The loop it lives on."""

    def verb(self) -> float:
        """The time for a verb of the machine; what it has to say then goes out soon."""


class _Stream(Generic[Item]):
    """Iterates over what arrives in one transceiver, until it or the connection ends."""

    def __init__(
        self,
        owner: MediaOwner,
        inbox: TransceiverInbox[WaitSignal],
        take: Callable[[], Item | None],
        signal: WaitSignal,
    ) -> None:
        self._owner = owner
        self._inbox = inbox
        self._take = take
        self._signal = signal

    def __aiter__(self) -> _Stream[Item]:
        return self

    async def __anext__(self) -> Item:
        loop, session = self._owner.loop, self._owner.session
        await loop.may_act()
        while (item := self._take()) is None:
            if self._inbox.is_ended or session.terminated is not None:
                loss = session.loss()
                if loss is not None:
                    raise loss
                raise StopAsyncIteration
            loss = session.loss()
            if loss is not None:
                raise loss
            await self._signal.wait()
        await loop.has_acted()
        return item


class Sender:
    """What this end sends in a transceiver.

    sender.send_frame(data, timestamp)      # encoded; the timestamp in units of the codec's clock
    """

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made with its `Transceiver`."""
        self._owner = owner
        self._inbox = inbox
        self._bitrate_seen = 0

    def send_frame(
        self,
        data: bytes,
        timestamp: int,
        *,
        rid: str = "",
        payload_type: int | None = None,
        audio_level_dbov: int | None = None,
        is_voice: bool = False,
        rotation: int | None = None,
        capture_time_s: float | None = None,
    ) -> None:
        """Send one encoded frame; it is paced and sent again where it is lost. Never waits: too much drops the oldest.

        timestamp         in units of the codec's clock rate: 90000 a second for video, 48000 for Opus; of any origin
        rid               the layer of a simulcast
        payload_type      of a codec other than the preferred one
        audio_level_dbov  0 (loudest) to -127; rotation in degrees; capture_time_s as Unix time
        Errors            InvalidState while nothing may be sent: see `can_send`; InvalidArgument
        """
        frame = OutgoingFrame(
            data,
            timestamp,
            rid=rid,
            payload_type=payload_type,
            audio_level_dbov=audio_level_dbov,
            is_voice=is_voice,
            rotation=rotation,
            capture_time_s=capture_time_s,
        )
        self._owner.machine.send_frame(self._inbox.handle, frame, self._owner.verb())

    def send_packet(self, packet: RtpPacket | PacketReceived, *, rid: str = "") -> None:
        """Forward an RTP packet without decoding: SSRC, payload type and numbers become this sender's.

        packet  one of `Receiver.packets()`, whose header extensions go with it, or a bare one, whose do not
        Errors  as send_frame; InvalidArgument where its codec was not negotiated here
        """
        self._owner.machine.send_packet(self._inbox.handle, packet, rid, self._owner.verb())

    def set_encodings(self, encodings: Sequence[EncodingSettings]) -> None:
        """Switch layers on and off and bound their bitrate, without negotiation (W3C setParameters)."""
        self._owner.machine.set_encodings(self._inbox.handle, encodings, self._owner.verb())

    def on_bitrate(self, callback: BitrateCallback) -> BitrateCallback:
        """Call back with the bitrate that the encoder shall have, bits a second, at each change. A decorator too."""
        self._inbox.on_bitrate.append(callback)
        return callback

    def on_keyframe_request(self, callback: KeyframeCallback) -> KeyframeCallback:
        """Call back with the rid of the layer that the peer wants a keyframe of. A decorator too."""
        self._inbox.on_keyframe.append(callback)
        return callback

    def bitrates(self) -> AsyncIterator[int]:
        """The bitrate that the encoder shall have, at each change; the present one first where it is known."""
        return _Stream(self._owner, self._inbox, _BitrateTaker(self._inbox).take, self._inbox.changed)

    def keyframe_requests(self) -> AsyncIterator[str]:
        """The rids of layers that the peer wants a keyframe of; requests that nobody took meanwhile count once."""
        return _Stream(self._owner, self._inbox, self._take_keyframe_request, self._inbox.changed)

    def _take_keyframe_request(self) -> str | None:
        wanted = self._inbox.keyframes_wanted
        for rid in wanted:
            del wanted[rid]
            return rid
        return None

    @property
    def can_send(self) -> bool:
        """True where frames may be sent: negotiated, and encrypted."""
        return self._owner.machine.can_send_media(self._inbox.handle)

    @property
    def target_bitrate_bps(self) -> int | None:
        """What its encoders together shall send now; None before it is known."""
        return self._inbox.target_bitrate_bps

    @property
    def bitrate_by_rid(self) -> dict[str, int]:
        """The same for each layer of a simulcast; 0: leave it out."""
        return dict(self._inbox.bitrates)

    @property
    def codecs(self) -> tuple[CodecParameters, ...]:
        """What was negotiated for sending, the preferred one first; empty before."""
        section = self._owner.machine.transceiver(self._inbox.handle).section
        return () if section is None or section.send is None else section.send.codecs

    @property
    def codec(self) -> CodecParameters | None:
        """The preferred one of `codecs`."""
        return next(iter(self.codecs), None)


class _BitrateTaker:
    """Gives each version of the bitrate once."""

    def __init__(self, inbox: TransceiverInbox[WaitSignal]) -> None:
        self._inbox = inbox
        self._seen = 0

    def take(self) -> int | None:
        if self._inbox.bitrate_version == self._seen:
            return None
        self._seen = self._inbox.bitrate_version
        return self._inbox.target_bitrate_bps


class Receiver:
    """What this end receives in a transceiver.

    async for frame in receiver.frames(): ...    # MediaFrame: data, timestamp, is_keyframe, codec
    """

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made with its `Transceiver`."""
        self._owner = owner
        self._inbox = inbox
        self._has_frames = True
        self._has_packets = False

    def frames(self) -> AsyncIterator[MediaFrame]:
        """Whole encoded frames in order; ends with the transceiver or the connection.

        What is not taken is kept for a while; then the oldest are dropped, and the next one is not `is_contiguous`.
        Errors  ConnectionLost where the connection went or failed
        """
        self._want(frames=True, packets=self._has_packets)
        return _Stream(self._owner, self._inbox, self._take_frame, self._inbox.arrived)

    def packets(self, *, frames: bool = False) -> AsyncIterator[PacketReceived]:
        """RTP packets as they arrive, authenticated and decrypted: for forwarding without decoding.

        frames  whole frames are still wanted as well
        """
        self._want(frames=frames, packets=True)
        return _Stream(self._owner, self._inbox, self._take_packet, self._inbox.arrived)

    def request_keyframe(self, rid: str | None = None, *, for_new_viewer: bool = False) -> None:
        """Ask the peer for a keyframe, again and again until one comes: by PLI, or by FIR for a new viewer.

        Errors  InvalidState before media are negotiated
        """
        kind = KeyframeRequestKind.FIR if for_new_viewer else KeyframeRequestKind.PLI
        self._owner.machine.request_keyframe(self._inbox.handle, rid, kind, self._owner.verb())

    @property
    def is_muted(self) -> bool:
        """True where nothing comes from the peer: not yet, or not any more (W3C `muted`)."""
        return self._inbox.is_muted

    @property
    def dropped_frames(self) -> int:
        """Frames that were dropped because nobody took them, or too much was on its way."""
        return self._inbox.dropped_frames

    @property
    def dropped_packets(self) -> int:
        """Packets that were dropped because nobody took them."""
        return self._inbox.dropped_packets

    @property
    def codecs(self) -> tuple[CodecParameters, ...]:
        """What may come, as negotiated; empty before."""
        section = self._owner.machine.transceiver(self._inbox.handle).section
        return () if section is None or section.receive is None else section.receive.codecs

    def _want(self, *, frames: bool, packets: bool) -> None:
        is_over = self._inbox.is_ended or self._owner.session.terminated is not None
        if not is_over and (frames, packets) != (self._has_frames, self._has_packets):
            self._has_frames, self._has_packets = frames, packets
            self._owner.machine.set_receiver_output(self._inbox.handle, frames, packets, self._owner.verb())

    def _take_frame(self) -> MediaFrame | None:
        return self._inbox.take_frame() if self._inbox.frames else None

    def _take_packet(self) -> PacketReceived | None:
        return self._inbox.packets.popleft() if self._inbox.packets else None


class Transceiver:
    """A sender and a receiver that share a media section (W3C RTCRtpTransceiver)."""

    def __init__(self, owner: MediaOwner, inbox: TransceiverInbox[WaitSignal]) -> None:
        """Made by `PeerConnection.add_transceiver`, `add_track` and `incoming_transceivers`."""
        self.handle = inbox.handle
        self.kind: MediaKind = inbox.kind
        self.sender = Sender(owner, inbox)
        self.receiver = Receiver(owner, inbox)
        self._owner = owner
        self._inbox = inbox

    @property
    def info(self) -> TransceiverInfo:
        """All there is to know of it."""
        return self._owner.machine.transceiver(self.handle)

    @property
    def mid(self) -> str | None:
        """The name of its media section; None before there is one."""
        return self.info.mid

    @property
    def direction(self) -> Direction:
        """Which way media shall flow, as wished here."""
        return self.info.direction

    @direction.setter
    def direction(self, direction: Direction | str) -> None:
        self._owner.machine.set_direction(self.handle, direction, self._owner.verb())

    @property
    def current_direction(self) -> Direction | None:
        """Which way media flow, as negotiated; None before."""
        return self.info.current_direction

    @property
    def is_stopped(self) -> bool:
        """True once it is over."""
        return self._inbox.is_ended

    def set_codec_preferences(self, codecs: Sequence[str]) -> None:
        """Which codecs to negotiate, the favourite first, by name: "VP8", "H264"; empty: the defaults."""
        self._owner.machine.set_codec_preferences(self.handle, codecs, self._owner.verb())

    async def changed(self) -> None:
        """Wait until something happens to it: a direction is negotiated, a stream begins or ends, it is stopped."""
        await self._owner.loop.may_act()
        if not self._inbox.is_ended and self._owner.session.terminated is None:
            await self._inbox.changed.wait()
        await self._owner.loop.has_acted()

    def stop(self) -> None:
        """Send and receive no more in it; the next exchange of descriptions tells the peer. Idempotent."""
        if not self._inbox.is_ended:
            self._owner.machine.stop_transceiver(self.handle, self._owner.verb())

    def __repr__(self) -> str:
        return f"<Transceiver {self.handle} {self.kind} {'ended' if self._inbox.is_ended else self.direction}>"
