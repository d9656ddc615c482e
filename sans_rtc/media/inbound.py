"""One SSRC of media that is received: counted, repaired, ordered, and made into frames.

packet -> statistics -> error correction -> NACK, receive buffer -> frames -> events
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sans_rtc.errors import WireError
from sans_rtc.media.events import (
    DropReason,
    FrameReceived,
    FramesDropped,
    MediaFrame,
    PacketReceived,
    StreamEnded,
    StreamEndReason,
    StreamStarted,
)
from sans_rtc.media.frame_buffer import new_buffer
from sans_rtc.media.parameters import CodecParameters
from sans_rtc.media.payloads import Depacketizers, PayloadRow, Role
from sans_rtc.media.shape import HeaderShape
from sans_rtc.media.stats import DiscardReason
from sans_rtc.replay_window import ReplayWindow
from sans_rtc.rtcp.feedback import FirEntry, FullIntraRequest, Nack, PictureLossIndication
from sans_rtc.rtcp.wire import RtcpPacket
from sans_rtc.rtp.ntp import RtpClock
from sans_rtc.rtp.payload import RedReceiver
from sans_rtc.rtp.payload.interface import MediaKind
from sans_rtc.rtp.recovery import (
    FlexFecReceiver,
    Frame,
    KeyframeRequester,
    KeyframeRequestKind,
    NackGenerator,
    RedUlpFecReceiver,
)
from sans_rtc.rtp.sequence import SequenceUnwrapper
from sans_rtc.rtp.statistics import ReceiverStatistics
from sans_rtc.rtp.wire import RtpPacket, parse_rtp, serialize_rtp

if TYPE_CHECKING:
    from sans_rtc.media.receiver import SectionReceiver

_SEEN_WINDOW = 2048


class InboundStream:
    """The receiving side of one SSRC of media.

    rid          its layer in a simulcast
    is_live      media comes; False after BYE or silence, until it comes again
    heard_at     when RTCP's table of members was told of it last
    shape        how the headers of its packets look; None where that is not known
    """

    __slots__ = (
        "_buffer", "_depacketizers", "_dropped_count", "_fec", "_flexfec", "_is_broken", "_nack", "_numbers", "_red",
        "_seen", "bytes_restored", "bytes_sent_by_peer", "clock", "clock_rate", "cname", "codec", "fir_count",
        "frames_assembled", "frames_received", "header_bytes_received", "heard_at", "is_live", "key_frames_received",
        "nack_count", "packets_repaired", "packets_restored", "packets_sent_by_peer", "pli_count", "receiver",
        "report_at", "report_ntp", "reports_received", "requester", "rid", "shape", "ssrc", "statistics",
    )  # fmt: skip

    def __init__(self, receiver: SectionReceiver, ssrc: int, rid: str, clock_rate: int) -> None:
        config = receiver.config
        self.receiver = receiver
        self.ssrc = ssrc
        self.rid = rid
        self.clock_rate = clock_rate
        self.is_live = False
        self.heard_at = -math.inf
        self.shape: HeaderShape | None = None
        self.statistics = ReceiverStatistics(ssrc, clock_rate, min_sequential=1)
        self.clock = RtpClock(clock_rate)
        self.cname = ""
        self.codec: CodecParameters | None = None
        self.requester = KeyframeRequester(config.keyframe)
        self.frames_received = self.key_frames_received = self.nack_count = self.pli_count = self.fir_count = 0
        self.frames_assembled = self.packets_repaired = self.packets_restored = self.bytes_restored = 0
        self.header_bytes_received = 0
        self.packets_sent_by_peer = self.bytes_sent_by_peer = self.reports_received = 0
        self.report_at = 0.0
        self.report_ntp = 0
        self._dropped_count = 0
        self._is_broken = False
        self._red: RedReceiver | None = None
        self._depacketizers = Depacketizers()
        self._nack = NackGenerator(config.nack) if receiver.has_nack else None
        self._buffer = new_buffer(receiver, clock_rate)
        self._seen: ReplayWindow | None = None
        self._numbers = SequenceUnwrapper()
        self._fec: RedUlpFecReceiver | None = None
        self._flexfec: FlexFecReceiver | None = None
        if receiver.ulpfec_payload_type is not None:
            self._fec = RedUlpFecReceiver(config.fec, ssrc=ssrc, ulpfec_payload_type=receiver.ulpfec_payload_type)
        elif receiver.has_flexfec:
            self._flexfec = FlexFecReceiver(config.fec, ssrcs=(ssrc,))

    # --- packets ------------------------------------------------------------------------------------------------------

    def receive(self, packet: RtpPacket, plain: bytes, now: float) -> None:
        """Take a packet of this SSRC.

        plain  its bytes, for error correction
        """
        receiver = self.receiver
        row = receiver.rows.get(packet.payload_type)
        if row is None:
            receiver.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
            return
        payload_bytes = len(packet.payload)
        self.statistics.packet_received(packet.sequence_number, packet.timestamp, payload_bytes, now)
        self.header_bytes_received += len(plain) - payload_bytes
        if not self.is_live:
            self._start()
        if row.codec is not None:
            if self._fec is not None:
                self._recover(self._fec.receive_media(plain), now)
            elif self._flexfec is not None:
                self._recover(self._flexfec.receive_media(plain), now)
            self.codec = row.codec
            self._accept(packet, False, now)
        elif row.role is Role.RED and self._fec is not None:
            self._receive_red(packet, plain, False, now)
        else:
            receiver.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)

    def awaits(self, sequence_number: int) -> bool:
        """Whether a packet of this number may go the short way: the next one, of video that is made into frames."""
        return (
            self.receiver.makes_frames_only
            and self.is_live
            and self._fec is None
            and self._flexfec is None
            and self.statistics.awaits(sequence_number)
            and (self._nack is None or self._nack.awaits(sequence_number))
        )

    def receive_piece(
        self, packets: list[RtpPacket], codec: CodecParameters, begins: bool, header_bytes: int, now: float
    ) -> None:
        """As `receive` of each, for a piece of a frame, see `ReceiveBuffer.receive_piece`, that `awaits` lets in.

        begins        whether the first one begins a frame; the last one ends it where it is marked
        header_bytes  of each
        """
        first, count = packets[0], len(packets)
        payload_bytes = sum([len(packet.payload) for packet in packets])
        self.statistics.run_received(count, first.timestamp, payload_bytes, now)
        self.header_bytes_received += header_bytes * count
        self.codec = codec
        if self._nack is not None:
            self._nack.receive_run(count)
        self._buffer.receive_piece(packets, begins, packets[-1].marker, now)

    def receive_restored(self, packet: RtpPacket, now: float) -> None:
        """Take a packet that was sent again, out of RTX."""
        row = self.receiver.rows.get(packet.payload_type)
        if row is None or (row.codec is None and row.role is not Role.RED):
            self.receiver.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
            return
        self.packets_restored += 1
        self.bytes_restored += len(packet.payload)
        if row.role is Role.RED:
            self._receive_red(packet, serialize_rtp(packet), True, now)
            return
        self.codec = row.codec
        self._accept(packet, True, now)

    def receive_repair(self, packet: RtpPacket, now: float) -> None:
        """Take a packet of FlexFEC, which has an SSRC of its own."""
        if self._flexfec is not None:
            self._recover(self._flexfec.receive_repair(packet), now)

    def _receive_red(self, packet: RtpPacket, plain: bytes, is_recovered: bool, now: float) -> None:
        if self._fec is None:
            self._note_number(packet.sequence_number, now)
            return
        inside = self._fec.receive(plain)
        if inside.media is None:
            self._note_number(packet.sequence_number, now)
        else:
            self._accept_bytes(inside.media, is_recovered, now)
        self._recover(inside.recovered, now)

    def _note_number(self, number: int, now: float) -> None:
        """A number that holds no media."""
        if self._nack is not None:
            self._nack.receive(number, now)
        self._buffer.skip(number, now)

    def _recover(self, found: list[bytes], now: float) -> None:
        for data in found:
            self.packets_repaired += 1
            self._accept_bytes(data, True, now)

    def _accept_bytes(self, data: bytes, is_recovered: bool, now: float) -> None:
        try:
            packet = parse_rtp(data)
        except WireError:
            self.receiver.stats.discard(DiscardReason.MALFORMED_RTP)
            return
        row = self.receiver.rows.get(packet.payload_type)
        if row is None or row.codec is None:
            self._note_number(packet.sequence_number, now)
            return
        self.codec = row.codec
        self._accept(packet, is_recovered, now)

    def _accept(self, packet: RtpPacket, is_recovered: bool, now: float) -> None:
        if self._nack is not None:
            self._nack.receive(packet.sequence_number, now)
        receiver = self.receiver
        if receiver.wants_packets:
            self._hand_on(packet, is_recovered)
        if not receiver.wants_frames:
            if packet.payload and self.codec is not None and self.codec.codec.is_keyframe_payload(packet.payload):
                self.requester.on_keyframe()
        elif is_recovered:
            self._buffer.receive_recovered(packet, now)
        else:
            self._buffer.receive(packet, now)

    def _hand_on(self, packet: RtpPacket, is_recovered: bool) -> None:
        """Each packet once: SRTP sees to it for those that came by themselves."""
        if self._seen is None:
            self._seen = ReplayWindow(_SEEN_WINDOW)
        number = self._numbers.unwrap(packet.sequence_number) + 0x10000
        if number < 0 or not self._seen.is_fresh(number):
            return
        self._seen.accept(number)
        if packet.payload:
            receiver = self.receiver
            receiver.events.append_media(
                PacketReceived(receiver.handle, packet, self.rid, self.codec, receiver.extensions)
            )

    # --- frames -------------------------------------------------------------------------------------------------------

    def work(self, now: float) -> list[RtcpPacket]:
        """Do what is due: frames to events; returns what is to be asked of the sender."""
        if self._buffer.deadline <= now:
            self._deliver(now)
        feedback: list[RtcpPacket] = []
        nack = self._nack
        if nack is not None and nack.deadline <= now:
            lost = nack.take_requests(now)
            if lost:
                self.nack_count += 1
                feedback.append(Nack(0, self.ssrc, list(lost)))
            self._give_up(nack, now)
        if self.requester.deadline <= now:
            self._ask_keyframe(feedback, now)
        return feedback

    def _give_up(self, nack: NackGenerator, now: float) -> None:
        for number in nack.take_given_up():
            self._buffer.give_up(number, now)
        if nack.take_keyframe_needed():
            self.want_keyframe(KeyframeRequestKind.PLI, now)
        if self._buffer.deadline <= now:
            self._deliver(now)

    def _ask_keyframe(self, feedback: list[RtcpPacket], now: float) -> None:
        request = self.requester.take_request(now)
        if request is None:
            return
        if request.kind is KeyframeRequestKind.FIR:
            self.fir_count += 1
            feedback.append(FullIntraRequest(0, [FirEntry(self.ssrc, request.command_number)]))
        else:
            self.pli_count += 1
            feedback.append(PictureLossIndication(0, self.ssrc))

    def want_keyframe(self, kind: KeyframeRequestKind, now: float) -> bool:
        """Ask for a keyframe, the way that was negotiated; False where none was."""
        possible = self.receiver.keyframe_kind(kind)
        if possible is None:
            return False
        self.requester.request(possible, now)
        return True

    def _deliver(self, now: float) -> None:
        buffer = self._buffer
        for frame in buffer.take_frames(now):
            self._on_frame(frame, now)
        dropped = buffer.stats.frames_dropped - self._dropped_count
        if dropped:
            self._dropped_count += dropped
            receiver = self.receiver
            receiver.events.append(FramesDropped(receiver.handle, self.rid, dropped, DropReason.RECEIVE_QUEUE))

    def _on_frame(self, frame: Frame, now: float) -> None:
        packets = frame.packets
        row = self.receiver.rows.get(packets[0].payload_type)
        if row is None or row.codec is None:  # negotiation has changed while it waited
            self.receiver.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
            self._is_broken = True
            return
        if len(packets) > 1:
            self.frames_assembled += 1
        try:
            if row.role is Role.REDUNDANCY:
                self._on_redundant(frame, row)
                return
            depacketizer = self._depacketizers.of(row.codec)
            data = depacketizer.depacketize([packet.payload for packet in packets]) if depacketizer else b""
        except WireError:
            self.receiver.stats.discard(DiscardReason.MALFORMED_PAYLOAD)
            self._is_broken = True
            data = b""
        is_video = self.receiver.kind is MediaKind.VIDEO
        is_contiguous = frame.is_contiguous and not self._is_broken
        if not data:
            if is_video:
                self.want_keyframe(KeyframeRequestKind.PLI, now)
            return
        is_keyframe = True
        if is_video:
            is_keyframe = row.codec.codec.is_keyframe(data)
            self._on_video(packets[0].sequence_number, is_keyframe, is_contiguous, now)
        self._emit(frame, row.codec, data, frame.timestamp, is_keyframe, is_contiguous)

    def _on_video(self, number: int, is_keyframe: bool, is_contiguous: bool, now: float) -> None:
        """Ask for a keyframe where the decoder cannot go on, or could not begin."""
        if not is_contiguous and self._nack is not None:
            self._nack.forget_before(number)
        if is_keyframe:
            self.key_frames_received += 1
            self.requester.on_keyframe()
        elif not is_contiguous or not self.frames_received:
            self.want_keyframe(KeyframeRequestKind.PLI, now)

    def _on_redundant(self, frame: Frame, row: PayloadRow) -> None:
        """RED of audio: what earlier packets held comes out where they were lost."""
        if self._red is None:
            self._red = RedReceiver()
        packet = frame.packets[0]
        media = self._red.receive(packet.payload, timestamp=packet.timestamp)
        lost = max(0, frame.lost_packet_count - sum([item.is_redundant for item in media]))
        for item in media:
            inner = self.receiver.rows.get(item.payload_type)
            if inner is None or inner.codec is None:
                self.receiver.stats.discard(DiscardReason.UNKNOWN_PAYLOAD_TYPE)
                continue
            if item.is_redundant:
                self.packets_repaired += 1
            frame.lost_packet_count = lost
            self._emit(frame, inner.codec, item.data, item.timestamp, True, not lost and not self._is_broken)
            lost = 0

    def _emit(
        self, frame: Frame, codec: CodecParameters, data: bytes, timestamp: int, is_keyframe: bool, is_contiguous: bool
    ) -> None:
        receiver = self.receiver
        self._is_broken = False
        self.frames_received += 1
        receiver.stats.frames_received += 1
        media = MediaFrame(
            data, timestamp, self.ssrc, self.rid, codec, is_keyframe, is_contiguous,
            frame.lost_packet_count, frame.whole_at,
        )  # fmt: skip
        if receiver.has_frame_extensions:
            receiver.read_extensions(frame.packets, media)
        receiver.events.append_media(FrameReceived(receiver.handle, media))

    # --- life ---------------------------------------------------------------------------------------------------------

    def set_rtt(self, rtt_s: float) -> None:
        """Take a measured round trip."""
        if self._nack is not None:
            self._nack.set_rtt(rtt_s)
        self.requester.set_rtt(rtt_s)

    def _start(self) -> None:
        self.is_live = True
        self.receiver.events.append(StreamStarted(self.receiver.handle, self.ssrc, self.rid))

    def end(self, reason: StreamEndReason) -> None:
        """Media comes no more, or not for now."""
        if self.is_live:
            self.is_live = False
            self.requester.on_keyframe()
            self.receiver.events.append(StreamEnded(self.receiver.handle, self.ssrc, self.rid, reason))

    @property
    def packets_discarded(self) -> int:
        """Packets that came too late, or twice, or were too many."""
        return sum(self._buffer.stats.discards.values())

    @property
    def frames_dropped(self) -> int:
        """Frames that a bound has dropped, or that never became whole."""
        return self._buffer.stats.frames_dropped + self._buffer.stats.frames_abandoned

    @property
    def deadline(self) -> float:
        """When `work` has something to do."""
        buffer, asked = self._buffer.deadline, self.requester.deadline
        soonest = buffer if buffer < asked else asked
        if self._nack is not None and self._nack.deadline < soonest:
            return self._nack.deadline
        return soonest
