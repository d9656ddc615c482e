"""Transceivers without waiting: what those for event loops and those for threads share (W3C WebRTC section 5).

Sender, Receiver, Transceiver of an adapter = these + how it waits for what comes
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Generic, Protocol

from sans_rtc.media import CodecParameters, EncodingSettings, MediaFrame, OutgoingFrame, PacketReceived
from sans_rtc.peer.connection import PeerConnection as Machine
from sans_rtc.peer.transceivers import TransceiverInfo
from sans_rtc.rtp import RtpPacket
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.sdp.values import Direction
from sans_rtc_net.inbox import SignalT
from sans_rtc_net.media_inbox import BitrateCallback, KeyframeCallback, TransceiverInbox
from sans_rtc_net.session import Session


class MediaHost(Protocol[SignalT]):
    """What a transceiver needs of its connection."""

    @property
    def machine(self) -> Machine:
        """The machine under it."""

    @property
    def session(self) -> Session[SignalT]:
        """The application's side of the connection."""

    @property
    def acting(self) -> AbstractContextManager[float]:
        """Around a verb of the machine: gives its time, and what the machine has to say goes out afterwards."""

    @property
    def reading(self) -> AbstractContextManager[object]:
        """Around reads of the machine: a lock, where it is not one thread's alone."""


class SenderBase(Generic[SignalT]):
    """What this end sends in a transceiver."""

    def __init__(self, host: MediaHost[SignalT], inbox: TransceiverInbox[SignalT]) -> None:
        """Made with its transceiver."""
        self._machine = host.machine
        self._acting = host.acting
        self._reading = host.reading
        self._inbox = inbox

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
        audio_level_dbov  0 (loudest) to 127 (silence); rotation in degrees
        capture_time_s    on the scale of `MediaFrame.received_at`, which is the clock of the loop
        Errors            InvalidState before media are negotiated and after the end; InvalidArgument. While nothing
                          may be sent (see `can_send`) the frame is dropped and counted
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
        with self._acting as now:
            self._machine.send_frame(self._inbox.handle, frame, now)

    def send_packet(self, packet: RtpPacket | PacketReceived, *, rid: str = "") -> None:
        """Forward an RTP packet without decoding: SSRC, payload type and numbers become this sender's.

        packet  one of `Receiver.packets()`, whose header extensions go with it, or a bare one, whose do not. One whose
                codec was not negotiated here is dropped and counted
        Errors  as send_frame
        """
        with self._acting as now:
            self._machine.send_packet(self._inbox.handle, packet, rid, now)

    def set_encodings(self, encodings: Sequence[EncodingSettings]) -> None:
        """Switch layers on and off and bound their bitrate, without negotiation (W3C setParameters)."""
        with self._acting as now:
            self._machine.set_encodings(self._inbox.handle, encodings, now)

    def on_bitrate(self, callback: BitrateCallback) -> BitrateCallback:
        """Call back with the bitrate that the encoder shall have, bits a second, at each change. A decorator too."""
        with self._reading:
            self._inbox.on_bitrate.append(callback)
        return callback

    def on_keyframe_request(self, callback: KeyframeCallback) -> KeyframeCallback:
        """Call back with the rid of the layer that the peer wants a keyframe of. A decorator too."""
        with self._reading:
            self._inbox.on_keyframe.append(callback)
        return callback

    @property
    def can_send(self) -> bool:
        """True where frames may be sent: negotiated, and encrypted."""
        with self._reading:
            return self._machine.can_send_media(self._inbox.handle)

    @property
    def target_bitrate_bps(self) -> int | None:
        """What its encoders together shall send now; None before it is known."""
        with self._reading:
            return self._inbox.target_bitrate_bps

    @property
    def bitrate_by_rid(self) -> dict[str, int]:
        """The same for each layer of a simulcast; 0: leave it out."""
        with self._reading:
            return dict(self._inbox.bitrates)

    @property
    def codecs(self) -> tuple[CodecParameters, ...]:
        """What was negotiated for sending, the preferred one first; empty before."""
        with self._reading:
            section = self._machine.transceiver(self._inbox.handle).section
        return () if section is None or section.send is None else section.send.codecs

    @property
    def codec(self) -> CodecParameters | None:
        """The preferred one of `codecs`."""
        return next(iter(self.codecs), None)

    def _take_keyframe_request(self) -> str | None:
        wanted = self._inbox.keyframes_wanted
        for rid in wanted:
            del wanted[rid]
            return rid
        return None


class BitrateTaker:
    """Gives each version of the bitrate once."""

    def __init__(self, inbox: TransceiverInbox[SignalT]) -> None:
        self._inbox = inbox
        self._seen = 0

    def take(self) -> int | None:
        """The present one; None where it has been taken."""
        if self._inbox.bitrate_version == self._seen:
            return None
        self._seen = self._inbox.bitrate_version
        return self._inbox.target_bitrate_bps


class ReceiverBase(Generic[SignalT]):
    """What this end receives in a transceiver."""

    def __init__(self, host: MediaHost[SignalT], inbox: TransceiverInbox[SignalT]) -> None:
        """Made with its transceiver."""
        self._machine = host.machine
        self._session = host.session
        self._acting = host.acting
        self._reading = host.reading
        self._inbox = inbox

    def request_keyframe(self, rid: str | None = None, *, for_new_viewer: bool = False) -> None:
        """Ask the peer for a keyframe, again and again until one comes: by PLI, or by FIR for a new viewer.

        Errors  InvalidState before media are negotiated
        """
        kind = KeyframeRequestKind.FIR if for_new_viewer else KeyframeRequestKind.PLI
        with self._acting as now:
            self._machine.request_keyframe(self._inbox.handle, rid, kind, now)

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
        with self._reading:
            section = self._machine.transceiver(self._inbox.handle).section
        return () if section is None or section.receive is None else section.receive.codecs

    def _want_frames(self) -> None:
        _, packets = self._inbox.output or (True, False)
        self._want(frames=True, packets=packets)

    def _want_packets(self, *, frames: bool) -> None:
        self._want(frames=frames, packets=True)

    def _want(self, *, frames: bool, packets: bool) -> None:
        with self._acting as now:
            is_over = self._inbox.is_ended or self._session.terminated is not None
            if not is_over and (frames, packets) != self._inbox.output:
                self._inbox.output = frames, packets
                self._machine.set_receiver_output(self._inbox.handle, frames, packets, now)

    def _take_frame(self) -> MediaFrame | None:
        return self._inbox.take_frame() if self._inbox.frames else None

    def _take_packet(self) -> PacketReceived | None:
        return self._inbox.packets.popleft() if self._inbox.packets else None


class TransceiverBase(Generic[SignalT]):
    """A sender and a receiver that share a media section (W3C RTCRtpTransceiver)."""

    def __init__(self, host: MediaHost[SignalT], inbox: TransceiverInbox[SignalT]) -> None:
        """Made by its connection."""
        self.handle = inbox.handle
        self.kind: MediaKind = inbox.kind
        self._machine = host.machine
        self._session = host.session
        self._acting = host.acting
        self._reading = host.reading
        self._inbox = inbox

    @property
    def info(self) -> TransceiverInfo:
        """All there is to know of it."""
        with self._reading:
            return self._machine.transceiver(self.handle)

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
        with self._acting as now:
            self._machine.set_direction(self.handle, direction, now)

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
        with self._acting as now:
            self._machine.set_codec_preferences(self.handle, codecs, now)

    def stop(self) -> None:
        """Send and receive no more in it; the next exchange of descriptions tells the peer. Idempotent."""
        with self._acting as now:
            if not self._inbox.is_ended:
                self._machine.stop_transceiver(self.handle, now)

    @property
    def _is_over(self) -> bool:
        return self._inbox.is_ended or self._session.terminated is not None

    def __repr__(self) -> str:
        state = "ended" if self._inbox.is_ended else self.direction
        return f"<{type(self).__name__} {self.handle} {self.kind} {state}>"
