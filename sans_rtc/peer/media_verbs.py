"""Audio and video of a peer connection, as its application uses them (W3C WebRTC section 5, RFC 9429 section 4.1).

A transceiver has a handle, a number that stays valid for the connection's life. Frames are encoded; packets are RTP.
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.errors import InvalidArgument, InvalidState
from sans_rtc.media import EncodingSettings, OutgoingFrame, PacketReceived, RtpSession
from sans_rtc.media.statistics import Stats
from sans_rtc.peer.base import PeerBase
from sans_rtc.peer.statistics import transport_statistics
from sans_rtc.peer.transceiver_types import as_direction
from sans_rtc.peer.transceivers import TransceiverInfo, TransceiverOptions
from sans_rtc.rtp import RtpPacket
from sans_rtc.rtp.payload.codecs import CODECS, codecs_named
from sans_rtc.rtp.payload.interface import Codec, MediaKind
from sans_rtc.rtp.recovery import KeyframeRequestKind
from sans_rtc.sdp.values import Direction


class MediaVerbs(PeerBase):
    """Part of `PeerConnection`: what it does and tells about audio and video."""

    # -- transceivers ------------------------------------------------------------------------------------------------

    def add_transceiver(self, kind: MediaKind | str, options: TransceiverOptions, now: float) -> int:
        """Add a transceiver and return its handle (W3C addTransceiver; addTrack where the options say so).

        Effects  makes negotiation needed
        Errors   InvalidArgument, LimitExceeded, InvalidState after close
        """
        self._require_open()
        handle = self._signalling.negotiation.media.add_transceiver(_kind_of(kind), options)
        self._after_wish(now)
        return handle

    def set_direction(self, transceiver: int, direction: Direction | str, now: float) -> None:
        """Which way media shall flow: "sendrecv", "sendonly", "recvonly", "inactive"; takes a negotiation."""
        self._require_open()
        self._signalling.negotiation.media.set_direction(transceiver, as_direction(direction))
        self._after_wish(now)

    def set_codec_preferences(self, transceiver: int, codecs: Sequence[str], now: float) -> None:
        """Which codecs to negotiate, the favourite first, by name; empty: the configuration's (W3C 5.4)."""
        self._require_open()
        self._signalling.negotiation.media.set_codec_preferences(transceiver, _codecs_of(codecs))
        self._after_wish(now)

    def set_streams(self, transceiver: int, streams: Sequence[str], now: float) -> None:
        """The media streams that the sender's track belongs to, by name (`a=msid`)."""
        self._require_open()
        self._signalling.negotiation.media.set_streams(transceiver, streams)
        self._after_wish(now)

    def stop_transceiver(self, transceiver: int, now: float) -> None:
        """Send and receive nothing in it any more; the next exchange of descriptions frees its section."""
        self._require_open()
        for change in self._signalling.negotiation.media.stop(transceiver):
            self._signalling.tell_transceiver(change)
        self._carry_sections(now)
        self._after_wish(now)

    def _carry_sections(self, now: float) -> None:
        self._transport.media.configure(self._signalling.negotiation.media.sections, now)

    def _after_wish(self, now: float) -> None:
        self._signalling.tell_need()
        self._rise_all(now)

    # -- sending -----------------------------------------------------------------------------------------------------

    def send_frame(self, transceiver: int, frame: OutgoingFrame, now: float) -> None:
        """Send one encoded frame.

        Effects  packets wait for the pacer. Where too much waits the oldest frames are dropped: `FramesDropped`. While
                 the direction agreed on does not let it be sent, or the peer is not proved yet (`can_send_media`), it
                 is dropped and counted, as a browser does
        Errors   InvalidState before the transceiver is negotiated and after its end; InvalidArgument for another
                 handle, rid or payload type, and for what is no frame of the format
        """
        self._media_session(transceiver).send_frame(transceiver, frame, now)

    def send_packet(self, transceiver: int, packet: RtpPacket | PacketReceived, rid: str, now: float) -> None:
        """Forward an RTP packet as it is: SSRC, payload type and numbers become those of this sender.

        packet  as `PacketReceived` has told it, with what its header extensions mean; or one whose payload type and
                extensions are those negotiated here
        rid     of the encoding to send it in; empty where there is one only
        Effects, Errors  as of `send_frame`
        """
        session = self._media_session(transceiver)
        if isinstance(packet, PacketReceived):
            source, codec = packet.extensions, packet.codec
            session.send_packet(transceiver, packet.packet, now, rid=rid, source=source, codec=codec)
        else:
            session.send_packet(transceiver, packet, now, rid=rid)

    def set_encodings(self, transceiver: int, encodings: Sequence[EncodingSettings], now: float) -> None:
        """Change what is sent without negotiation: layers on and off, their bitrate (W3C setParameters)."""
        self._require_open()
        self._signalling.negotiation.media.set_encodings(transceiver, encodings)
        session = self._transport.media.session
        if session is not None and session.has_section(transceiver):
            session.set_encodings(transceiver, encodings, now)
            self._rise_all(now)

    # -- receiving ---------------------------------------------------------------------------------------------------

    def request_keyframe(self, transceiver: int, rid: str | None, kind: KeyframeRequestKind, now: float) -> None:
        """Ask the peer for a keyframe, repeatedly until one comes.

        rid   of a layer; None: of all
        kind  PLI after a loss, FIR for a new viewer (RFC 5104 section 4.3.1)
        """
        self._media_session(transceiver).request_keyframe(transceiver, now, rid=rid, kind=kind)

    def set_receiver_output(self, transceiver: int, frames: bool, packets: bool, now: float) -> None:
        """What is told of what arrives: whole frames (`FrameReceived`), RTP packets (`PacketReceived`), or both."""
        self._require_open()
        self._signalling.negotiation.media.transceiver(transceiver)  # LocalError where it is none
        self._transport.media.set_output(transceiver, frames, packets)

    def _media_session(self, transceiver: int) -> RtpSession:
        if self._end is not None:
            raise InvalidState(f"the connection has ended: {self._end.reason}")
        session = self._transport.media.session
        if session is None or not session.has_section(transceiver):
            self.transceiver(transceiver)  # LocalError where it is none
            raise InvalidState(f"transceiver {transceiver} has not been negotiated yet")
        return session

    # -- reads -------------------------------------------------------------------------------------------------------

    def transceiver(self, transceiver: int) -> TransceiverInfo:
        """What there is to know of a transceiver. InvalidArgument for a number that is none."""
        return self._signalling.negotiation.media.transceiver(transceiver)

    def transceivers(self) -> Sequence[TransceiverInfo]:
        """All transceivers that are not stopped for good, in order."""
        return self._signalling.negotiation.media.infos()

    def can_send_media(self, transceiver: int) -> bool:
        """True where frames may be sent: negotiated, and the peer is proved. InvalidArgument for what is none."""
        section = self.transceiver(transceiver).section
        return section is not None and section.send is not None and self._transport.media.is_secured

    def statistics(self, now: float) -> dict[str, Stats]:
        """Everything that is counted, by id, with the W3C's names (webrtc-stats)."""
        transport, signalling = self._transport, self._signalling
        timestamp = signalling.unix_time(now) * 1000
        found: list[Stats] = list(transport_statistics(transport, signalling.certificate, timestamp))
        if transport.media.session is not None:
            found += transport.media.session.statistics(now)
        return {stats.id: stats for stats in found}


def _kind_of(kind: MediaKind | str) -> MediaKind:
    try:
        return MediaKind(kind)
    except ValueError:
        raise InvalidArgument(f'a transceiver is of "audio" or "video", not {kind!r}') from None


def _codecs_of(names: Sequence[str]) -> list[Codec]:
    codecs: list[Codec] = []
    for name in names:
        rows = codecs_named(name)
        if not rows:
            raise InvalidArgument(
                f"there is no codec {name!r}; known are {', '.join(dict.fromkeys(c.name for c in CODECS))}"
            )
        codecs += rows
    return codecs
