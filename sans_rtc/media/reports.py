"""RTCP that is sent: when the scheduler says so, reports on all streams, and the feedback that waits.

    SR of each SSRC that sends, report blocks in the first; or RR  |  SDES with CNAME  |  XR  |  feedback

All SSRCs of the session report together (RFC 8108 section 5.3 allows one compound for several); the first speaks for
all of them in feedback.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence

import attrs

from sans_rtc.entropy import Entropy, draw_text, draw_uint
from sans_rtc.errors import InvalidArgument
from sans_rtc.machine import Terminated
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.outbound import OutboundStream
from sans_rtc.media.routing import Router, Source
from sans_rtc.media.sections import Sections
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.rtcp import (
    BitrateNotification,
    DelaySinceLastReport,
    ExtendedReport,
    FeedbackPlan,
    Goodbye,
    MembersTimedOut,
    ReceiverDelay,
    ReceiverReferenceTime,
    ReceiverReport,
    ReportBlock,
    ReportDue,
    ReportKind,
    RtcpPacket,
    RtcpScheduler,
    SdesChunk,
    SdesItem,
    SdesType,
    SenderReport,
    SourceDescription,
    serialize_datagrams,
)
from sans_rtc.rtcp.compound import DATAGRAM_BYTES_MAX
from sans_rtc.rtp.ntp import short_from_seconds, short_ntp

# RFC 7022 section 4.2: a CNAME of 96 random bits, in base64.
_CNAME_CHARACTERS = 16
# Feedback is of use for as long as the sender keeps packets, or the picture stands still.
_FEEDBACK_DELAY_S_MAX = 0.5
_PENDING_MAX = 256
# An SSRC is told of in reports for so long after its last packet.
_REPORTED_FOR_S = 10.0


class Reporter:
    """Composes RTCP; a transform with a deadline.

    cname            of this end
    is_reduced_size  feedback need not be in a compound, once there was one (RFC 5506 section 4)
    has_news         `take_datagrams` may have something
    datagram_bytes_max  of RTCP, before protection
    asks_for_rtt     RRTR goes with reports, so that a receiver learns the round trip
    """

    def __init__(self, config: MediaConfig, stats: MediaStats, entropy: Entropy) -> None:
        self._config = config
        self._stats = stats
        self._entropy = entropy
        self._own_ssrc = draw_uint(entropy, 32)
        self._scheduler = RtcpScheduler(config.rtcp, ssrc=self._own_ssrc, entropy=entropy)
        self._pending: list[RtcpPacket] = []
        self._references: OrderedDict[int, tuple[int, float]] = OrderedDict()
        self._is_started = self._has_ended = self._has_reported = False
        self._sent_at = -math.inf
        self._spoken: tuple[int, ...] = ()
        self.cname = draw_text(entropy, _CNAME_CHARACTERS)
        self.datagram_bytes_max = DATAGRAM_BYTES_MAX
        self.is_reduced_size = self.asks_for_rtt = self.has_news = False
        self._timed_out: list[int] = []

    # --- inputs -------------------------------------------------------------------------------------------------------

    def start(self, now: float) -> None:
        """There are keys and something to report on."""
        if not self._is_started:
            self._is_started = True
            self._scheduler.start(now)

    def rtp_sent(self, now: float) -> None:
        """RTP goes out; the scheduler need not know of each packet."""
        if now - self._sent_at > 0.5:
            self._sent_at = now
            self._scheduler.rtp_sent(now)

    def rtp_received(self, ssrc: int, now: float) -> None:
        """RTP of an SSRC has come."""
        self._scheduler.rtp_received(ssrc, (), now)

    def rtcp_received(self, packets: Sequence[RtcpPacket], size_bytes: int, now: float) -> None:
        """A datagram of RTCP has come."""
        self.has_news = True
        self._scheduler.rtcp_received(packets, size_bytes, now)

    def reference_received(self, ssrc: int, ntp: int, now: float) -> None:
        """The peer asks by RRTR to be told how long its time was on the way (RFC 3611 section 4.5)."""
        if self._config.reference_sources_max:
            self._references[ssrc] = (short_ntp(ntp), now)
            self._references.move_to_end(ssrc)
            if len(self._references) > self._config.reference_sources_max:
                self._references.popitem(last=False)

    def ask(self, packet: RtcpPacket, now: float) -> None:
        """Send feedback as soon as the rules of RFC 4585 allow."""
        if not self._is_started or self._has_ended:
            return
        if isinstance(packet, BitrateNotification):  # one tells of all requests up to now (RFC 5104 section 4.2.2.2)
            self._pending = [each for each in self._pending if not _is_of_same_stream(each, packet)]
        if len(self._pending) >= _PENDING_MAX:
            self._stats.discard(DiscardReason.FEEDBACK_DROPPED)
            return
        self.has_news = True
        if self._scheduler.request_feedback(_FEEDBACK_DELAY_S_MAX, now) is FeedbackPlan.DROPPED:
            self._stats.discard(DiscardReason.FEEDBACK_DROPPED)
            return
        self._pending.append(packet)

    def leave(self, ssrcs: Sequence[int], now: float) -> None:
        """Say BYE for these SSRCs: nothing comes of them any more."""
        if self._is_started and not self._has_ended:
            self.ask(Goodbye(tuple(ssrcs)), now)

    def clear(self) -> None:
        """Forget the feedback that waits: the keys are gone."""
        self._pending = []
        self._scheduler.take_events()

    def close(self, now: float) -> None:
        """Say goodbye."""
        if self._is_started:
            self.has_news = True
            self._scheduler.close(now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._is_started:
            self.has_news = True
            self._scheduler.handle_timer(now)

    # --- outputs ------------------------------------------------------------------------------------------------------

    def take_datagrams(self, sections: Sections, router: Router, now: float) -> list[bytes]:
        """The datagrams that are due, unprotected."""
        self.has_news = False
        datagrams: list[bytes] = []
        for event in self._scheduler.take_events():
            match event:
                case ReportDue(kind=kind):
                    senders, sources = sections.sending_streams, list(router.sources.values())
                    datagrams += self._compose(kind, senders, sources, now)
                case MembersTimedOut(ssrcs=ssrcs):
                    self._timed_out += ssrcs
                case Terminated():
                    self._has_ended = True
        return datagrams

    def take_timed_out(self) -> list[int]:
        """SSRCs of the peer that have been silent for long."""
        timed_out, self._timed_out = self._timed_out, []
        return timed_out

    def sent(self, size_bytes: int, now: float) -> None:
        """So large was the largest datagram, protected."""
        self._scheduler.rtcp_sent(size_bytes, now)

    @property
    def deadline(self) -> float:
        """When `handle_timer` wants to run."""
        return self._scheduler.deadline

    # --- composing ----------------------------------------------------------------------------------------------------

    def is_own(self, ssrc: int) -> bool:
        """Whether reports have come from this SSRC of ours."""
        return ssrc in self._spoken

    def speaker(self, senders: Sequence[OutboundStream]) -> int:
        """The SSRC that feedback comes from: one that sends, where any does."""
        for stream in senders:
            if stream.statistics.packets_sent:
                return stream.ssrc
        return senders[0].ssrc if senders else self._own_ssrc

    def _compose(
        self, kind: ReportKind, senders: Sequence[OutboundStream], sources: Sequence[Source], now: float
    ) -> list[bytes]:
        speaker = self.speaker(senders)
        self._spoken = (speaker, *self._spoken[:1]) if speaker not in self._spoken else self._spoken
        feedback, self._pending = self._pending, []
        for packet in feedback:
            if hasattr(packet, "sender_ssrc") and not isinstance(packet, BitrateNotification):
                packet.sender_ssrc = speaker
        if kind is ReportKind.EARLY and not feedback:
            return []
        leaves = any(isinstance(packet, Goodbye) for packet in feedback)
        if kind is ReportKind.EARLY and self.is_reduced_size and self._has_reported and not leaves:
            return self._serialize([], feedback, is_reduced_size=True)
        self._has_reported = True
        packets: list[RtcpPacket] = []
        if kind is ReportKind.EARLY:
            packets.append(ReceiverReport(speaker))
        else:
            packets += self._reports(speaker, senders, sources, now)
        ssrcs = [stream.ssrc for stream in senders] or [speaker]
        named = ssrcs if kind is not ReportKind.EARLY else [speaker]
        mids = {} if kind is ReportKind.EARLY else {stream.ssrc: stream.untold_mid for stream in senders}
        packets.append(SourceDescription([self._describe(ssrc, mids.get(ssrc, "")) for ssrc in named]))
        if kind is not ReportKind.EARLY:
            packets += self._extended(speaker, senders, now)
        if kind is ReportKind.BYE:
            feedback = [*feedback, Goodbye(tuple(ssrcs))]
        return self._serialize(packets, feedback)

    def _describe(self, ssrc: int, mid: str) -> SdesChunk:
        """CNAME, and MID for as long as the peer may not know where the SSRC belongs (RFC 9143 section 15.1)."""
        items = [SdesItem(SdesType.CNAME, self.cname.encode())]
        return SdesChunk(ssrc, [*items, SdesItem(SdesType.MID, mid.encode())] if mid else items)

    def _serialize(
        self, reports: list[RtcpPacket], feedback: list[RtcpPacket], *, is_reduced_size: bool = False
    ) -> list[bytes]:
        """Into datagrams. Feedback that fits none, for the path has grown narrow, is left out and counted."""
        room = self.datagram_bytes_max
        try:
            return serialize_datagrams(reports + feedback, datagram_bytes_max=room, is_reduced_size=is_reduced_size)
        except InvalidArgument:
            self._stats.discard(DiscardReason.FEEDBACK_DROPPED, len(feedback))
            return serialize_datagrams(reports, datagram_bytes_max=DATAGRAM_BYTES_MAX) if reports else []

    def _reports(
        self, speaker: int, senders: Sequence[OutboundStream], sources: Sequence[Source], now: float
    ) -> list[RtcpPacket]:
        blocks = [
            source.statistics.make_report_block(now)
            for source in sources
            if source.statistics.last_received_at is not None
            and now - source.statistics.last_received_at < _REPORTED_FOR_S
        ]
        made = [stream.statistics.make_sender_report([], now) for stream in senders]
        reports: list[RtcpPacket] = [report for report in made if report is not None]
        if not reports:
            return [ReceiverReport(speaker, blocks)]
        first = reports[0]
        assert isinstance(first, SenderReport)
        reports[0] = attrs.evolve(first, blocks=blocks[:31])
        return [reports[0], *self._more_blocks(speaker, blocks[31:]), *reports[1:]]

    @staticmethod
    def _more_blocks(speaker: int, blocks: list[ReportBlock]) -> list[RtcpPacket]:
        return [ReceiverReport(speaker, blocks)] if blocks else []

    def _extended(self, speaker: int, senders: Sequence[OutboundStream], now: float) -> list[RtcpPacket]:
        """XR: our own reference time where nothing that we send measures, and answers to the peer's."""
        blocks: list[ReceiverReferenceTime | DelaySinceLastReport] = []
        if self.asks_for_rtt and not any(stream.statistics.packets_sent for stream in senders):
            blocks.append(ReceiverReferenceTime(self._config.wall_clock.ntp(now)))
        if self._references:
            delays = [
                ReceiverDelay(ssrc, reference, short_from_seconds(now - at))
                for ssrc, (reference, at) in self._references.items()
            ]
            blocks.append(DelaySinceLastReport(delays))
            self._references.clear()
        return [ExtendedReport(speaker, list(blocks))] if blocks else []


def _is_of_same_stream(waiting: RtcpPacket, packet: BitrateNotification) -> bool:
    return isinstance(waiting, BitrateNotification) and waiting.sender_ssrc == packet.sender_ssrc
