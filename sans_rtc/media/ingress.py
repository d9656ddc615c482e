"""The way in: SRTP to RTP, to the stream that it belongs to, and what that stream has to do then.

receive -> unprotect -> arrivals (transport-wide, RFC 8888) -> routing -> stream -> frames, NACK, keyframe requests
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from sans_rtc.errors import WireError
from sans_rtc.media.arrivals import ArrivalsConfig, CcfbArrivals, TransportArrivals
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.control import FeedbackMode
from sans_rtc.media.events import StreamEndReason
from sans_rtc.media.inbound import InboundStream
from sans_rtc.media.parameters import CodecParameters
from sans_rtc.media.remb import ReceiverEstimate
from sans_rtc.media.reports import Reporter
from sans_rtc.media.routing import Router, Source
from sans_rtc.media.sections import Sections
from sans_rtc.media.shape import shape_of
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.rtcp.feedback import REMB_SSRC_COUNT_MAX, Remb
from sans_rtc.rtcp.wire import RtcpPacket
from sans_rtc.rtp.extensions import Extension
from sans_rtc.rtp.wire import HEADER_BYTES, RtpPacket, parse_rtp, unpack_header
from sans_rtc.srtp import SrtpReceiver

# The scheduler of RTCP is told of a source this often.
_HEARD_EVERY_S = 0.5
# Where headers look different than before, they are learned anew from one packet in 16.
_SHAPE_AGAIN = 15
# SRTCP 20, RR 8, SDES 16 without the CNAME, and a path through TURN: 36 and padding (RFC 8656 section 11.1).
_BESIDE_FEEDBACK_BYTES = 20 + 8 + 16 + 40


class Ingress:
    """Takes what arrives to its stream, and keeps when each wants to be asked again.

    srtp        None: there are no keys, and nothing is taken
    collisions  SSRCs of ours that the peer has sent with, until they are resolved
    """

    def __init__(
        self, config: MediaConfig, sections: Sections, router: Router, reporter: Reporter, stats: MediaStats
    ) -> None:
        self._config = config
        self._sections = sections
        self._router = router
        self._reporter = reporter
        self._stats = stats
        self._armed: dict[InboundStream, float] = {}
        self._transport_arrivals: TransportArrivals | None = None
        self._ccfb_arrivals: CcfbArrivals | None = None
        self._estimate: ReceiverEstimate | None = None
        self._number_id = self._time_id = 0
        self.srtp: SrtpReceiver | None = None
        self.collisions: list[int] = []

    def configure(self) -> None:
        """Take what negotiation has made of the sections."""
        sections = self._sections
        mode = sections.arrival_feedback_mode
        config = self._arrivals_config()
        self._number_id = sections.id_of(Extension.TRANSPORT_CC)
        speaker = self._reporter.speaker(sections.sending_streams)
        if mode is not FeedbackMode.TRANSPORT_WIDE:
            self._transport_arrivals = None
        elif self._transport_arrivals is None:
            self._transport_arrivals = TransportArrivals(config, sender_ssrc=speaker, media_ssrc=0)
        if mode is not FeedbackMode.PER_STREAM:
            self._ccfb_arrivals = None
        elif self._ccfb_arrivals is None:
            self._ccfb_arrivals = CcfbArrivals(config, sender_ssrc=speaker)
        self._time_id = sections.id_of(Extension.ABS_SEND_TIME) if mode is FeedbackMode.REMB else 0
        if not self._time_id:
            self._estimate = None
        elif self._estimate is None:
            self._estimate = ReceiverEstimate(self._config.estimator)
        sources = self._router.sources
        for source in sources.values():
            if isinstance(source, InboundStream):
                source.shape = None
        self._armed = {stream: at for stream, at in self._armed.items() if sources.get(stream.ssrc) is stream}

    def _arrivals_config(self) -> ArrivalsConfig:
        """Feedback cannot be split once it is made: it has to fit behind the report that goes before it."""
        config = self._config
        room = config.mtu_bytes - _BESIDE_FEEDBACK_BYTES - len(self._reporter.cname)
        return attrs.evolve(
            config.arrivals,
            wall_clock_offset_s=config.wall_clock.offset_s,
            feedback_bytes_max=max(64, min(config.arrivals.feedback_bytes_max, room)),
        )

    # --- packets ------------------------------------------------------------------------------------------------------

    def receive_rtp(self, srtp: SrtpReceiver, datagram: bytes, now: float) -> None:
        """Take one datagram of SRTP."""
        stats = self._stats
        plain = srtp.unprotect_rtp(datagram)
        if plain is None:
            stats.discard(DiscardReason.NOT_AUTHENTIC)
            return
        try:
            packet = parse_rtp(plain)
        except WireError:
            stats.discard(DiscardReason.MALFORMED_RTP)
            return
        stats.packets_received += 1
        stats.bytes_received += len(datagram)
        router = self._router
        source = router.sources.get(packet.ssrc)
        arrivals = self._transport_arrivals
        number_id, mid_id, time_id = self._number_id, router.mid_id, self._time_id
        for element_id, value in packet.extensions:
            if element_id == number_id:
                if arrivals is not None and len(value) == 2:
                    arrivals.note(value[0] << 8 | value[1], now)
            elif element_id == time_id:
                if self._estimate is not None and len(value) == 3:
                    self._estimate.note(int.from_bytes(value, "big"), len(datagram), now)
            elif element_id == mid_id and source is not None and router.moved(source, value):
                source = None
        if source is None:
            source = self._resolve(packet, now)
            if source is None:
                return
        if self._ccfb_arrivals is not None:
            self._ccfb_arrivals.note(packet.ssrc, packet.sequence_number, now)
        if now - source.heard_at >= _HEARD_EVERY_S:
            source.heard_at = now
            self._reporter.rtp_received(packet.ssrc, now)
        source.receive(packet, plain, now)
        if type(source) is InboundStream and (source.shape is None or not packet.sequence_number & _SHAPE_AGAIN):
            self._learn_shape(source, packet, plain)
        self.settle(source if isinstance(source, InboundStream) else source.target, now)

    def _learn_shape(self, stream: InboundStream, packet: RtpPacket, plain: bytes) -> None:
        """What comes after this packet and looks like it goes the short way."""
        if self._estimate is None and self._ccfb_arrivals is None:
            told = stream.receiver.frame_extension_ids
            number_id, mid_id = self._number_id, self._router.mid_id
            stream.shape = shape_of(plain, packet, number_id=number_id, mid_id=mid_id, told=told)

    def receive_in_order(self, srtp: SrtpReceiver, datagrams: Sequence[bytes], at: int, now: float) -> int:
        """Take datagrams from `at` on that are a piece of one frame, each the next of a stream whose headers are known.

        That is nearly all of video. What `receive_rtp` does for each is done once for all, with the same outcome; it is
        longer than others, for a call for each step would cost as much as the step. All else is left to `receive_rtp`.
        Returns  the place of the first that is left; `at` where the short way is not for the one there
        """
        data = datagrams[at]
        if len(data) < HEADER_BYTES:
            return at
        first, second, expected, timestamp, ssrc = unpack_header(data)
        stream = self._router.sources.get(ssrc)
        if type(stream) is not InboundStream or (shape := stream.shape) is None or not stream.awaits(expected):
            return at
        payload_type, first_byte, mask, pattern = shape.payload_type, shape.first, shape.mask, shape.pattern
        size, number_at = shape.size, shape.number_at
        row = stream.receiver.rows.get(payload_type)
        if row is None or row.codec is None:
            return at
        begin, count, following = at, len(datagrams), expected
        while first == first_byte and second & 0x7F == payload_type:
            if mask and int.from_bytes(data[HEADER_BYTES:size], "big") & mask != pattern:
                break
            at += 1
            if second > 0x7F or at == count or len(data := datagrams[at]) < HEADER_BYTES:
                break
            following = following + 1 & 0xFFFF
            first, second, number, its_timestamp, its_ssrc = unpack_header(data)
            if number != following or its_ssrc != ssrc or its_timestamp != timestamp:
                break
        alike = datagrams[begin:at]
        payloads = srtp.open_run(alike, size, ssrc, expected)
        if payloads:
            alike = alike[: len(payloads)]
            self._stats.packets_received += len(alike)
            self._stats.bytes_received += sum(map(len, alike))
            if number_at and self._transport_arrivals is not None:
                low = number_at + 1
                self._transport_arrivals.note_run([data[number_at] << 8 | data[low] for data in alike], now)
            packets = [
                RtpPacket(payload_type, number & 0xFFFF, timestamp, ssrc, payload, False, (), [])
                for number, payload in enumerate(payloads, expected)
            ]
            packets[-1].marker = alike[-1][1] > 0x7F
            self._take_frames(stream, packets, row.codec, size, now)
        return begin + len(payloads)

    def _take_frames(
        self, stream: InboundStream, packets: list[RtpPacket], codec: CodecParameters, size: int, now: float
    ) -> None:
        """Hand over packets of one timestamp, frame by frame: hardly ever does more than the first begin one."""
        if now - stream.heard_at >= _HEARD_EVERY_S:
            stream.heard_at = now
            self._reporter.rtp_received(stream.ssrc, now)
        starts = codec.codec.is_frame_start
        begins = [index for index, packet in enumerate(packets) if starts(packet.payload)]
        cuts = [index for index in begins if index]
        for start, end in zip([0, *cuts], [*cuts, len(packets)], strict=True):
            stream.receive_piece(packets[start:end], codec, start in begins, size, now)
            self.settle(stream, now)

    def _resolve(self, packet: RtpPacket, now: float) -> Source | None:
        if packet.ssrc in self._sections.streams:
            self.collisions.append(packet.ssrc)
        source = self._router.resolve(packet, now)
        if source is not None and self._transport_arrivals is not None:
            self._transport_arrivals.media_ssrc = packet.ssrc
        return source

    def settle(self, stream: InboundStream, now: float) -> None:
        """Do what a stream has to do at once, and remember when it wants to be asked again."""
        deadline = stream.deadline
        if deadline <= now:
            for feedback in stream.work(now):
                self._reporter.ask(feedback, now)
            deadline = stream.deadline
        if deadline < math.inf:
            self._armed[stream] = deadline
        elif self._armed:
            self._armed.pop(stream, None)

    # --- time ---------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self._armed:
            for stream in [stream for stream, at in self._armed.items() if at <= now]:
                if self._router.sources.get(stream.ssrc) is stream:
                    self.settle(stream, now)
                else:
                    del self._armed[stream]

    def take_feedback(self, now: float) -> None:
        """Feedback on arrivals, where it is due, on its way."""
        feedback: list[RtcpPacket] = []
        if self._transport_arrivals is not None and self._transport_arrivals.deadline <= now:
            feedback += self._transport_arrivals.take_feedback(now)
        if self._ccfb_arrivals is not None and self._ccfb_arrivals.deadline <= now:
            feedback += self._ccfb_arrivals.take_feedback(now)
        if self._estimate is not None and self._estimate.deadline <= now:
            bitrate_bps = self._estimate.take_bitrate(now)
            if bitrate_bps is not None:
                feedback.append(Remb(0, bitrate_bps, self._media_ssrcs()))
        for packet in feedback:
            self._reporter.ask(packet, now)

    def _media_ssrcs(self) -> tuple[int, ...]:
        sources = self._router.sources.values()
        return tuple([source.ssrc for source in sources if isinstance(source, InboundStream)])[:REMB_SSRC_COUNT_MAX]

    def time_out(self, ssrcs: list[int]) -> None:
        """These have been silent for long."""
        for ssrc in ssrcs:
            source = self._router.sources.get(ssrc)
            if isinstance(source, InboundStream):
                source.end(StreamEndReason.TIMEOUT)

    @property
    def feedback_at(self) -> float:
        """When feedback on arrivals is due."""
        at = math.inf
        if self._transport_arrivals is not None:
            at = self._transport_arrivals.deadline
        if self._ccfb_arrivals is not None:
            at = min(at, self._ccfb_arrivals.deadline)
        if self._estimate is not None:
            at = min(at, self._estimate.deadline)
        return at

    @property
    def deadline(self) -> float:
        """When something is due."""
        return min(self.feedback_at, min(self._armed.values())) if self._armed else self.feedback_at
