"""RtpSession: media over one transport, as one machine. It knows no SDP, no ICE and no DTLS.

    negotiation  configure          DTLS  set_keys
    the network  receive            SRTP -> RTP -> routing -> streams -> frames, packets
                                    SRTCP -> RTCP -> reports, feedback, estimates
    application  send_frame, ...    encodings -> pacer -> SRTP
    time         handle_timer       reports, NACK, frames that are due, pacing, estimates

Nothing is sent or delivered before the keys are there, and nothing that is not authentic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from sans_rtc.entropy import Entropy
from sans_rtc.errors import InvalidArgument, WireError
from sans_rtc.machine import Terminated, Trace, TraceRecord
from sans_rtc.media.allocation import allocate, bitrate_max
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.event_queue import EventQueue
from sans_rtc.media.events import (
    DropReason,
    FramesDropped,
    KeyframeRequested,
    MediaEvent,
    OutgoingFrame,
    SenderBitrateChanged,
    StreamEndReason,
    TargetBitrateChanged,
    TerminationReason,
)
from sans_rtc.media.gate import Gate
from sans_rtc.media.ingress import Ingress
from sans_rtc.media.outbound import OutgoingPacket
from sans_rtc.media.parameters import CodecParameters, EncodingSettings, MediaSection
from sans_rtc.media.reports import Reporter
from sans_rtc.media.routing import Router
from sans_rtc.media.rtcp_reader import RtcpReader
from sans_rtc.media.sections import Sections
from sans_rtc.media.statistics import RtpStats, rtp_statistics
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.media.transmit import Transmitter
from sans_rtc.rtcp.wire import parse_compound
from sans_rtc.rtp.extensions import ExtensionMap
from sans_rtc.rtp.recovery.keyframe import KeyframeRequestKind
from sans_rtc.rtp.wire import RtpPacket, is_rtcp
from sans_rtc.srtp import MasterKey, SrtpReceiver, SrtpSender

# What SRTCP adds at most: its index, 4 bytes, and a tag of 16 (RFC 7714 section 9.2).
_SRTCP_BYTES = 20


class RtpSession:
    """Media over one transport.

    config   bounds and settings of all parts
    entropy  for numbers, offsets and intervals
    stats    counters, `discards` by reason among them
    """

    def __init__(self, config: MediaConfig, *, entropy: Entropy, trace: Trace | None = None) -> None:
        self.stats = MediaStats()
        self._config = config
        self._trace = trace
        self._events = EventQueue(config.frames_max)
        self._transmitter = Transmitter(config, self.stats)
        self._router = Router(config, self.stats)
        self._sections = Sections(config, self._router, self._events, self.stats, entropy)
        self._reporter = Reporter(config, self.stats, entropy)
        self._gate = Gate(self._transmitter, self._events, self.stats, has_breaker=config.has_circuit_breaker)
        self._reader = RtcpReader(
            self._transmitter, self._reporter, self._router, self.stats, config.wall_clock, self._gate.breaker
        )
        self._ingress = Ingress(config, self._sections, self._router, self._reporter, self.stats)
        self.set_path_overhead(0)
        self._is_closed = False

    # --- keys, negotiation, path --------------------------------------------------------------------------------------

    def set_keys(self, profile: int, send: MasterKey, receive: MasterKey, now: float) -> None:
        """Take the keys that DTLS has agreed on; after a DTLS restart again: everything is fresh then.

        profile  number of `SrtpProfile`
        Errors   InvalidArgument for an unknown profile, or keys that do not fit it
        """
        if self._is_closed:
            return
        sender = SrtpSender(profile, send, self._config.srtp)
        self._ingress.srtp = SrtpReceiver(profile, receive, self._config.srtp)
        self._transmitter.set_keys(sender)
        self._gate.path_changed(self._sections)  # maybe another peer
        for encoding in self._sections.encodings.values():
            for stream in encoding.streams:
                stream.begin_anew(self._config.history)
        self._start(now)
        self._note("keys_set", now, profile=profile)

    def clear_keys(self, now: float) -> None:
        """The keys are void: nothing is sent or taken until there are new ones."""
        self._ingress.srtp = None
        self._transmitter.set_keys(None)
        self._reporter.clear()
        self._note("keys_cleared", now)

    def configure(self, sections: Sequence[MediaSection], now: float) -> None:
        """Take all sections that are in force now; each time the whole list, keyed by handle.

        Effects  streams go on where SSRC, MID and payload type stay; others begin or end
        Errors   InvalidArgument for a handle, MID or SSRC that is there twice; LimitExceeded for too many sections or
                 encodings. Nothing has changed then
        """
        if self._is_closed:
            return
        gone = self._sections.configure(sections)
        all_sections = self._sections
        self._reader.encodings, self._reader.streams = all_sections.encodings, all_sections.streams
        self._reporter.is_reduced_size = bool(sections) and all(section.is_reduced_size for section in sections)
        self._reporter.asks_for_rtt = any(section.wants_receiver_rtt for section in sections)
        self._reporter.cname = all_sections.cname or self._reporter.cname
        if gone:
            self._reporter.leave(gone, now)
        self._transmitter.set_mode(all_sections.feedback_mode)
        self._transmitter.padder = all_sections if all_sections.can_pad else None
        self._ingress.configure()
        self._start(now)
        self._share(now)

    def _start(self, now: float) -> None:
        if self._ingress.srtp is not None and self._sections.all:
            self._reporter.start(now)

    def set_path_overhead(self, overhead_bytes: int) -> None:
        """Say what ICE and TURN add to a datagram. InvalidArgument where nothing would be left of the MTU."""
        if not 0 <= overhead_bytes <= self._config.mtu_bytes // 2:
            raise InvalidArgument(f"{overhead_bytes} bytes of overhead, of an MTU of {self._config.mtu_bytes}")
        self._path_overhead_bytes = overhead_bytes
        self._transmitter.set_overhead(overhead_bytes)
        self._reporter.datagram_bytes_max = self._config.mtu_bytes - overhead_bytes - _SRTCP_BYTES

    def path_changed(self, now: float) -> None:
        """Congestion control begins anew: this is another path."""
        self._transmitter.path_changed(now)
        self._gate.path_changed(self._sections)

    # --- the network --------------------------------------------------------------------------------------------------

    def receive(self, datagram: bytes, now: float) -> None:
        """Take one datagram of SRTP or SRTCP.

        datagram  whose first byte is 128 to 191 (RFC 7983)
        Effects   may queue events and datagrams
        Errors    none for anything the peer sent; discards are counted in `stats`
        """
        srtp = self._ingress.srtp
        if srtp is None or self._is_closed:
            self.stats.discard(DiscardReason.NO_KEYS)
            return
        if is_rtcp(datagram):
            self._receive_rtcp(srtp, datagram, now)
            return
        self._ingress.receive_rtp(srtp, datagram, now)
        if self._ingress.collisions:
            self._resolve_collisions(now)

    def receive_many(self, datagrams: Sequence[bytes], now: float) -> None:
        """Take datagrams that have arrived together."""
        srtp, at = self._ingress.srtp, 0
        while at < len(datagrams):
            begin = at
            if srtp is not None and not self._is_closed:
                at = self._ingress.receive_in_order(srtp, datagrams, at, now)
            if at == begin:
                self.receive(datagrams[at], now)
                at += 1

    def _receive_rtcp(self, srtp: SrtpReceiver, datagram: bytes, now: float) -> None:
        plain = srtp.unprotect_rtcp(datagram)
        if plain is None:
            self.stats.discard(DiscardReason.NOT_AUTHENTIC)
            return
        self.stats.rtcp_received += 1
        try:
            # Of reduced size too (RFC 5506), whether that was agreed on or not: browsers send most feedback so.
            packets = parse_compound(plain, allow_reduced_size=True)
        except WireError:
            self.stats.discard(DiscardReason.MALFORMED_RTCP)
            return
        self._reporter.rtcp_received(packets, len(datagram), now)
        self._reader.read(packets, now)
        if self._reader.collisions:
            self._resolve_collisions(now)
        self._tell_keyframes(now)
        self._work(now)

    def _resolve_collisions(self, now: float) -> None:
        """The peer has sent with an SSRC of ours: ours changes (RFC 3550 section 8.2)."""
        ssrcs = dict.fromkeys((*self._ingress.collisions, *self._reader.collisions))
        self._ingress.collisions, self._reader.collisions = [], []
        for ssrc in ssrcs:
            self.stats.ssrc_collisions += 1
            self.stats.discard(DiscardReason.SSRC_COLLISION)
            if self._sections.resolve_collision(ssrc):
                self._reader.encodings, self._reader.streams = self._sections.encodings, self._sections.streams
                self._reporter.leave([ssrc], now)
                self._note("ssrc_collision", now, ssrc=ssrc)

    # --- time ---------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._is_closed or self._ingress.srtp is None:
            return
        self._reporter.handle_timer(now)
        self._ingress.handle_timer(now)
        self._tell_keyframes(now)
        self._transmitter.handle_timer(now)
        self._work(now)

    def _work(self, now: float) -> None:
        """RTCP that is due, and what the estimator says."""
        if self._ingress.feedback_at <= now:
            self._ingress.take_feedback(now)
        reporter = self._reporter
        if reporter.has_news:
            reports = reporter.take_datagrams(self._sections, self._router, now)
            if reports:
                reporter.sent(self._transmitter.send_rtcp(reports), now)
            timed_out = reporter.take_timed_out()
            self._ingress.time_out(timed_out)
            self._reader.left(timed_out, now)
        if self._reader.limits_changed:
            self._reader.limits_changed = False
            self._share(now)
        for target in self._transmitter.targets.take():
            self._events.append(TargetBitrateChanged(target.bitrate_bps, target.cause))
            self._share(now)

    def _tell_keyframes(self, now: float) -> None:
        for encoding, kind in self._reader.take_keyframes(self._config.keyframe_interval_s_min, now):
            self._events.append(KeyframeRequested(encoding.handle, encoding.rid, kind))

    def _share(self, now: float) -> None:
        """Divide the target, and tell each encoder whose share has changed."""
        senders = list(self._sections.senders.values())
        self._transmitter.control.set_bitrate_max(bitrate_max(senders, self._config), now)
        target = self._transmitter.control.target_bitrate_bps
        if target is None:
            return
        for encoding, bitrate_bps in allocate(target, senders, self._config).items():
            if encoding.bitrate_bps != bitrate_bps:
                encoding.bitrate_bps = bitrate_bps
                self._events.append(SenderBitrateChanged(encoding.handle, encoding.rid, bitrate_bps))

    @property
    def deadline(self) -> float:
        """When handle_timer wants to run, in seconds; math.inf when nothing is armed."""
        if self._ingress.srtp is None or self._is_closed:
            return math.inf
        deadline = min(self._reporter.deadline, self._transmitter.deadline, self._ingress.deadline)
        if self._reader.keyframes:
            deadline = min(deadline, self._reader.deadline(self._config.keyframe_interval_s_min))
        return deadline

    def has_section(self, handle: int) -> bool:
        """True where the handle is that of a section in force."""
        return handle in self._sections.senders

    @property
    def target_bitrate_bps(self) -> int | None:
        """What may be sent now; None where the peer gives no feedback to estimate it by."""
        return self._transmitter.control.target_bitrate_bps

    @property
    def is_terminated(self) -> bool:
        """True once `Terminated` has been queued or taken."""
        return self._is_closed

    # --- the application ----------------------------------------------------------------------------------------------

    def send_frame(self, handle: int, frame: OutgoingFrame, now: float) -> None:
        """Send a frame, as soon as the pacer lets it.

        Effects  without keys, or where negotiation or settings do not let it be sent, it is counted and dropped
        Errors   InvalidArgument for an unknown handle, rid or payload type, and for bytes that the format does not take
        """
        self._sections.require(handle)
        sender = self._sections.senders[handle]
        if self._is_closed or self._gate.encoding(sender, frame.rid, now) is None:
            return
        room = self._config.mtu_bytes - self._path_overhead_bytes - self._transmitter.protection_bytes
        packets = sender.make_frame(frame, room, now)
        self.stats.frames_sent += 1
        self._on_sent(self._transmitter.submit_frame(packets, sender.priority, now), now)

    def send_packet(
        self, handle: int, packet: RtpPacket, now: float, *, rid: str = "", source: ExtensionMap | None = None,
        codec: CodecParameters | None = None,
    ) -> None:  # fmt: skip
        """Forward a packet that was received elsewhere, as one of ours.

        packet  of one source at a time: where its SSRC changes, the stream goes on without a gap. Video changes at a
                keyframe: the new source's packets before one are counted and dropped
        source  what the ids of its header extensions mean; those that are not of each hop go on under ours
        codec   of the packet, as `PacketReceived` told it; None: its payload type is one of ours
        Effects as of `send_frame`; a codec that was not negotiated is counted and dropped
        Errors  InvalidArgument for an unknown handle or rid
        """
        self._sections.require(handle)
        sender = self._sections.senders[handle]
        encoding = None if self._is_closed else self._gate.encoding(sender, rid, now)
        if encoding is None:
            return
        own = sender.forward_codec(encoding, packet, codec)
        if own is None:
            self.stats.discard(DiscardReason.NOT_NEGOTIATED)
            return
        outgoing = encoding.forward(packet, own, sender.forward_elements(packet, source), now)
        if outgoing is None:
            self.stats.discard(encoding.sources.reason)
            return
        self._on_sent(self._transmitter.submit([outgoing], sender.priority, now), now)

    def _on_sent(self, dropped: list[OutgoingPacket], now: float) -> None:
        self._reporter.rtp_sent(now)
        self._gate.breaker.rtp_sent(now)
        if dropped:
            stream, count = dropped[0].stream, len({packet.frame_number for packet in dropped})
            self._events.append(FramesDropped(stream.handle, stream.rid, count, DropReason.SEND_QUEUE))

    def request_keyframe(
        self, handle: int, now: float, *, rid: str | None = None, kind: KeyframeRequestKind = KeyframeRequestKind.PLI
    ) -> None:
        """Ask the peer for a keyframe, where that was negotiated; again until one comes.

        rid     of the layer; None: of all streams received
        Errors  InvalidArgument for an unknown handle
        """
        self._sections.require(handle)
        receiver = self._sections.receivers.get(handle)
        if receiver is None or self._is_closed:
            return
        for stream in receiver.streams.values():
            if rid in (None, stream.rid):
                stream.want_keyframe(kind, now)
                self._ingress.settle(stream, now)
        self._work(now)

    def set_encodings(self, handle: int, encodings: Sequence[EncodingSettings], now: float) -> None:
        """Change what needs no negotiation: active or not, the most it may take, its priority.

        Errors  InvalidArgument for an unknown handle or rid
        """
        self._sections.require(handle)
        self._sections.senders[handle].set_encodings(encodings)
        self._share(now)

    def set_output(self, handle: int, *, frames: bool, packets: bool) -> None:
        """Choose what a receiver hands over; frames only, unless told otherwise. InvalidArgument: unknown handle."""
        self._sections.require(handle)
        self._sections.set_output(handle, frames, packets)

    def close(self, now: float) -> None:
        """Say BYE for all that is sent, and end; idempotent."""
        if self._is_closed:
            return
        if self._ingress.srtp is not None:
            self._transmitter.pump(now)
            self._reporter.close(now)
            self._work(now)
        for receiver in self._sections.receivers.values():
            for ssrc in list(receiver.streams):
                self._router.forget(ssrc, StreamEndReason.CLOSED)
        self._is_closed = True
        self._events.append(Terminated(TerminationReason.CLOSED, "closed by this end"))

    # --- outputs ------------------------------------------------------------------------------------------------------

    def take_datagrams(self, now: float) -> Sequence[bytes]:
        """Hand over SRTP and SRTCP, paced, in sending order."""
        if self._ingress.srtp is None:
            return ()
        if not self._is_closed:
            self._transmitter.pump(now)
            self._work(now)
        return self._transmitter.take_datagrams()

    def take_events(self) -> Sequence[MediaEvent]:
        """Hand over what has happened since the last call, in order."""
        return self._events.take()

    def statistics(self, now: float) -> list[RtpStats]:
        """The W3C's statistics of all streams, both ways, and of their codecs."""
        return rtp_statistics(self._sections, self._router, self._config.wall_clock, now)

    def _note(self, name: str, now: float, **fields: object) -> None:
        if self._trace is not None:
            self._trace(TraceRecord("media", name, now, fields))
