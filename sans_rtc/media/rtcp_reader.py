"""RTCP that is received: what each packet means for the streams of a session."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sans_rtc.congestion.pacer import Priority
from sans_rtc.media.circuit_breaker import SessionBreaker
from sans_rtc.media.encoding import EncodingSender
from sans_rtc.media.inbound import InboundStream
from sans_rtc.media.outbound import OutboundStream
from sans_rtc.media.reports import Reporter
from sans_rtc.media.routing import Router
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.media.transmit import Transmitter
from sans_rtc.rtcp import (
    BitrateNotification,
    BitrateRequest,
    CongestionControlFeedback,
    DelaySinceLastReport,
    ExtendedReport,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReferenceTime,
    ReceiverReport,
    Remb,
    ReportBlock,
    RtcpPacket,
    SdesType,
    SenderReport,
    SourceDescription,
    TransportFeedback,
)
from sans_rtc.rtp.ntp import WallClock, round_trip_s, short_ntp
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery.keyframe import KeyframeRequestKind

# A round trip of more is a clock that jumps, not a network.
_RTT_S_MAX = 30.0
_RTT_GAIN = 1 / 8


class RtcpReader:
    """Takes RTCP to the streams that it is about.

    rtt_s           the smoothed round trip; None before one was measured
    keyframes       what the peer has asked a keyframe of since it was taken: (encoding, kind)
    limits_changed  the peer has bounded a stream, or loses more or less of it: shares are to be made anew
    collisions      SSRCs of ours that the peer has described as its own, until they are resolved
    """

    def __init__(
        self, transmitter: Transmitter, reporter: Reporter, router: Router, stats: MediaStats, wall_clock: WallClock,
        breaker: SessionBreaker,
    ) -> None:  # fmt: skip
        self._transmitter = transmitter
        self._control = transmitter.control
        self._reporter = reporter
        self._router = router
        self._stats = stats
        self._wall_clock = wall_clock
        self._breaker = breaker
        self.encodings: Mapping[int, EncodingSender] = {}
        self.streams: Mapping[int, OutboundStream] = {}
        self.rtt_s: float | None = None
        self.keyframes: list[tuple[EncodingSender, KeyframeRequestKind]] = []
        self.limits_changed = False
        self.collisions: list[int] = []

    def read(self, packets: Sequence[RtcpPacket], now: float) -> None:
        """Take the packets of one datagram."""
        for packet in packets:
            self._breaker.rtcp_received(hasattr(packet, "sender_ssrc"), now)  # which feedback alone has
            match packet:
                case SenderReport():
                    self._on_sender_report(packet, now)
                case ReceiverReport(blocks=blocks):
                    self._on_blocks(blocks, now)
                case SourceDescription(chunks=chunks):
                    for chunk in chunks:
                        source = self._router.sources.get(chunk.ssrc)
                        if isinstance(source, InboundStream):
                            source.cname = chunk.cname or source.cname
                        elif source is None and (mid := chunk.value(SdesType.MID)):
                            self._router.described(chunk.ssrc, mid.encode())
                case Goodbye(ssrcs=ssrcs):
                    for ssrc in ssrcs:
                        self._router.left(ssrc, now)
                    self.left(ssrcs, now)
                case TransportFeedback():
                    self._control.on_transport_feedback(packet, now)
                case CongestionControlFeedback():
                    self._control.on_ccfb(packet, now)
                case Remb(bitrate_bps=bitrate_bps):
                    self._control.on_remb(bitrate_bps, now)
                case ExtendedReport():
                    self._on_extended(packet, now)
                case _:
                    self._on_feedback(packet, now)

    def _on_feedback(self, packet: RtcpPacket, now: float) -> None:
        match packet:
            case Nack(media_ssrc=ssrc, lost=lost):
                encoding = self._encoding(ssrc)
                if encoding is not None and self._transmitter.can_send:
                    self._transmitter.submit(encoding.answer_nack(lost, now), Priority.RETRANSMISSION, now)
            case PictureLossIndication(media_ssrc=ssrc):
                encoding = self._encoding(ssrc)
                if encoding is not None and encoding.kind is MediaKind.VIDEO:
                    encoding.pli_count += 1
                    self.keyframes.append((encoding, KeyframeRequestKind.PLI))
            case FullIntraRequest(entries=entries):
                for entry in entries:
                    self._on_fir(entry.ssrc, entry.sequence_number)
            case BitrateRequest():
                self._on_bitrate_request(packet, now)

    def _encoding(self, ssrc: int) -> EncodingSender | None:
        encoding = self.encodings.get(ssrc)
        if encoding is None:
            self._stats.discard(DiscardReason.UNKNOWN_SOURCE)
        return encoding

    def _on_fir(self, ssrc: int, number: int) -> None:
        """The same number repeats a command, which was told already (RFC 5104 section 4.3.1.1)."""
        encoding = self._encoding(ssrc)
        if encoding is not None and encoding.kind is MediaKind.VIDEO:
            encoding.fir_count += 1
            if encoding.fir_number != number:
                encoding.fir_number = number
                self.keyframes.append((encoding, KeyframeRequestKind.FIR))

    def _on_bitrate_request(self, packet: BitrateRequest, now: float) -> None:
        """TMMBR: hold to it, and say so to all (RFC 5104 section 4.2.1.2)."""
        for ssrc, bitrate_bps, overhead_bytes in packet.limits:
            encoding = self._encoding(ssrc)
            if encoding is not None:
                encoding.media.limits.request(packet.sender_ssrc, bitrate_bps, overhead_bytes)
                self._notify_limits(encoding.media, now)

    def _notify_limits(self, stream: OutboundStream, now: float) -> None:
        self.limits_changed = True
        self._reporter.ask(BitrateNotification(stream.ssrc, stream.limits.bounding), now)

    def left(self, ssrcs: Sequence[int], now: float) -> None:
        """Sources have said BYE, or were silent for long: what they have asked for holds no more (4.2.1.2)."""
        for encoding in self.encodings.values():
            stream = encoding.media
            if sum([stream.limits.left(ssrc) for ssrc in ssrcs]):
                self._notify_limits(stream, now)

    def _on_sender_report(self, packet: SenderReport, now: float) -> None:
        if packet.ssrc in self.streams:  # who sends RTP with an SSRC of ours tells of it, too (RFC 3550 section 8.2)
            self.collisions.append(packet.ssrc)
        source = self._router.sources.get(packet.ssrc)
        if source is not None:
            source.statistics.sender_report_received(packet.ntp, now)
        if isinstance(source, InboundStream):
            source.clock.report_received(packet.ntp, packet.rtp_timestamp)
            source.packets_sent_by_peer = packet.packet_count
            source.bytes_sent_by_peer = packet.octet_count
            source.reports_received += 1
            source.report_at, source.report_ntp = now, packet.ntp
        self._on_blocks(packet.blocks, now)

    def _on_blocks(self, blocks: Sequence[ReportBlock], now: float) -> None:
        for block in blocks:
            stream = self.streams.get(block.ssrc)
            if stream is None:
                self._stats.discard(DiscardReason.UNKNOWN_SOURCE)
                continue
            if block.last_sr:
                arrival = short_ntp(self._wall_clock.ntp(now))
                rtt_s = round_trip_s(arrival, block.last_sr, block.delay_since_sr)
                if rtt_s > _RTT_S_MAX:
                    block.last_sr = 0
                else:
                    self._on_rtt(rtt_s, now)
            stream.report_block_received(block, now)
            self._breaker.rtcp_received(True, now)
            counts = stream.statistics
            stream.watch.report_received(block, (counts.packets_sent, counts.bytes_sent), self.rtt_s, now)
            if stream.protection is not None and stream.protection.loss_reported(block.fraction_lost / 256):
                self.limits_changed = True
            self._control.on_report_block(block, now)

    def _on_extended(self, packet: ExtendedReport, now: float) -> None:
        for block in packet.blocks:
            match block:
                case ReceiverReferenceTime(ntp=ntp):
                    self._reporter.reference_received(packet.ssrc, ntp, now)
                case DelaySinceLastReport(delays=delays):
                    for delay in delays:
                        rtt_s = round_trip_s(short_ntp(self._wall_clock.ntp(now)), delay.last_rr, delay.delay)
                        if self._reporter.is_own(delay.ssrc) and delay.last_rr and rtt_s <= _RTT_S_MAX:
                            self._on_rtt(rtt_s, now)

    def _on_rtt(self, rtt_s: float, now: float) -> None:
        before = self.rtt_s
        self.rtt_s = rtt_s if before is None else before + _RTT_GAIN * (rtt_s - before)
        self._control.on_rtt(self.rtt_s, now)
        for encoding in self.encodings.values():
            if encoding.media.history is not None:
                encoding.media.history.set_rtt(self.rtt_s)
        for source in self._router.sources.values():
            if isinstance(source, InboundStream):
                source.set_rtt(self.rtt_s)

    def take_keyframes(self, interval_s: float, now: float) -> list[tuple[EncodingSender, KeyframeRequestKind]]:
        """The requests that are to be told now; the others wait until the last one is old enough."""
        if not self.keyframes:
            return []
        due, waiting = [], []
        for encoding, kind in dict(self.keyframes).items():
            if encoding.keyframe_at + interval_s > now:
                waiting.append((encoding, kind))
            else:
                encoding.keyframe_at = now
                due.append((encoding, kind))
        self.keyframes = waiting
        return due

    def deadline(self, interval_s: float) -> float:
        """When a request that waits may be told."""
        return min([encoding.keyframe_at + interval_s for encoding, _ in self.keyframes], default=math.inf)
