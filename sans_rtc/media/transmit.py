"""The way out: packets through the pacer, numbered, protected, remembered for feedback, and handed over.

submit -> pacer -> number and time of sending -> SRTP -> datagrams
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from sans_rtc.congestion.events import ProbeCluster, TargetBitrate
from sans_rtc.congestion.pacer import Paced, Pacer, Priority
from sans_rtc.errors import InvalidArgument, LimitExceeded, LocalError
from sans_rtc.media.config import MediaConfig
from sans_rtc.media.control import FeedbackMode, SendControl
from sans_rtc.media.outbound import OutgoingPacket
from sans_rtc.media.protection import Protection
from sans_rtc.media.stats import DiscardReason, MediaStats
from sans_rtc.outbox import Outbox
from sans_rtc.srtp import SrtpSender

# Header, extensions and tag, near enough for the pacer: what counts for the estimate is measured.
_OVERHEAD_BYTES = 48
# The flag of padding, in the first byte of a header.
_P = 0x20


class Padder(Protocol):
    """Who can make packets to fill up with."""

    def make_padding(self, size_bytes: int) -> list[OutgoingPacket]:
        """Packets of about so many bytes together."""


class Transmitter:
    """Everything that goes out passes here; a transform with a deadline.

    targets  new target bitrates, to be taken
    padder   who fills up, where somebody can
    """

    def __init__(self, config: MediaConfig, stats: MediaStats) -> None:
        self._config = config
        self._stats = stats
        self._srtp: SrtpSender | None = None
        self._out: Outbox[bytes] = Outbox()
        self._next_number = 0
        self._overhead_bytes = 0
        self.control = SendControl(config)
        self.pacer: Pacer[OutgoingPacket] = Pacer(config.pacer)
        self.targets: Outbox[TargetBitrate] = Outbox()
        self.padder: Padder | None = None
        self._repairs: list[OutgoingPacket] = []  # that follow what is being sent
        self._set_pace()

    # --- settings -----------------------------------------------------------------------------------------------------

    def set_keys(self, srtp: SrtpSender | None) -> None:
        """Protect with these keys from now on; None: nothing goes out, and what waited is gone."""
        self._srtp = srtp
        if srtp is None:
            self.pacer.clear()
            self._repairs.clear()
            self._out.take()

    def set_mode(self, mode: FeedbackMode) -> None:
        """Take another kind of feedback."""
        self.control.set_mode(mode)
        self._set_pace()

    def set_overhead(self, overhead_bytes: int) -> None:
        """What the path adds to a datagram: it counts for the bitrate."""
        self._overhead_bytes = overhead_bytes

    def path_changed(self, now: float) -> None:
        """Begin the estimate anew."""
        self.control.path_changed(now)
        self._set_pace()

    @property
    def can_send(self) -> bool:
        """There are keys."""
        return self._srtp is not None

    @property
    def protection_bytes(self) -> int:
        """What SRTP adds to a packet; before there are keys, the most that it may."""
        return 16 if self._srtp is None else self._srtp.rtp_overhead_bytes_max

    def _set_pace(self) -> None:
        target = self.control.target_bitrate_bps
        self.pacer.set_target(self._config.unpaced_bitrate_bps if target is None else target)

    # --- packets ------------------------------------------------------------------------------------------------------

    def submit(self, packets: Sequence[OutgoingPacket], priority: Priority, now: float) -> list[OutgoingPacket]:
        """Take packets of one frame, or retransmissions; returns those of older frames that had to go for them."""
        if priority is Priority.AUDIO:
            for packet in packets:
                self._send(packet, 0, now)
            return []
        dropped: list[OutgoingPacket] = []
        passes = self.pacer.passes
        for packet in packets:
            if passes(len(packet.payload) + _OVERHEAD_BYTES, now):
                self._send(packet, 0, now)
                self._on_control(now)  # the first packet asks for probes: what follows belongs to them
            else:
                self._enqueue(packet, priority, dropped, now)
        if self._repairs:
            self._submit_repairs(now)
        return dropped

    def submit_frame(self, packets: Sequence[OutgoingPacket], priority: Priority, now: float) -> list[OutgoingPacket]:
        """As `submit`, for the packets of one new frame: what the pacer lets pass at once goes as one run."""
        if priority is Priority.AUDIO:
            for packet in packets:  # nearly always one
                self._send(packet, 0, now)
            return []
        if self.control.mode is not FeedbackMode.NONE and not self.control.is_started:
            return self.submit(packets, priority, now)  # the first packet asks for probes
        count = self.pacer.pass_run([len(packet.payload) + _OVERHEAD_BYTES for packet in packets], now)
        if count:
            self._send_run(packets if count == len(packets) else packets[:count], 0, now)
            self._on_control(now)
        dropped: list[OutgoingPacket] = []
        for packet in packets[count:]:
            self._enqueue(packet, priority, dropped, now)
        if self._repairs:
            self._submit_repairs(now)
        return dropped

    def _submit_repairs(self, now: float) -> None:
        """Error correction goes behind the frame that it protects; no frame has to go for it."""
        repairs, self._repairs = self._repairs, []
        for packet in repairs:
            size = len(packet.payload) + _OVERHEAD_BYTES
            if self.pacer.passes(size, now):
                self._send(packet, 0, now)
                continue
            try:
                self.pacer.enqueue(packet, size, Priority.VIDEO, now)
            except LimitExceeded:
                self._stats.discard(DiscardReason.PACER_FULL)

    def _enqueue(self, packet: OutgoingPacket, priority: Priority, dropped: list[OutgoingPacket], now: float) -> None:
        size = len(packet.payload) + _OVERHEAD_BYTES
        while True:
            try:
                self.pacer.enqueue(packet, size, priority, now)
            except LimitExceeded:
                gone = self._drop_oldest_frame()
                if not gone:
                    self._stats.discard(DiscardReason.PACER_FULL)
                    return
                dropped += [packet for packet in gone if packet.frame_number >= 0]
                continue
            return

    def _drop_oldest_frame(self) -> list[OutgoingPacket]:
        gone: list[OutgoingPacket] = []
        while True:
            oldest = self.pacer.oldest(Priority.VIDEO)
            if oldest is None or (gone and oldest.frame_number != gone[0].frame_number):
                break
            self.pacer.drop_oldest(Priority.VIDEO)
            gone.append(oldest)
        self._stats.discard(DiscardReason.PACER_FULL, len(gone))
        return gone

    def pump(self, now: float) -> None:
        """Send what is due; the first packet may ask for probes, so until nothing is."""
        if self._srtp is None or self.pacer.deadline > now:
            return
        while True:
            due = self.pacer.take(now)
            self._send_paced(due, now)
            if self._repairs:
                self._submit_repairs(now)
            self._on_control(now)
            if not due:
                return

    def _send_paced(self, due: Sequence[Paced[OutgoingPacket]], now: float) -> None:
        """Send what the pacer hands over, packets of one frame in a run."""
        run: list[OutgoingPacket] = []
        probe_id = 0
        for paced in due:
            packet = paced.item
            if run and (packet is None or paced.probe_id != probe_id or not packet.follows(run[-1])):
                self._send_run(run, probe_id, now)
                run = []
            if packet is None:
                self._pad(paced.size_bytes, paced.probe_id, now)
            else:
                run.append(packet)
                probe_id = paced.probe_id
        if run:
            self._send_run(run, probe_id, now)

    def _pad(self, size_bytes: int, probe_id: int, now: float) -> None:
        if self.padder is not None:
            for packet in self.padder.make_padding(size_bytes):
                self._send(packet, probe_id, now)

    def _on_control(self, now: float) -> None:
        if self.control.mode is FeedbackMode.NONE:
            return
        for event in self.control.take_events():
            if isinstance(event, ProbeCluster):
                if self.padder is not None and self.control.mode is not FeedbackMode.REMB:
                    self.pacer.probe(event, now)
            else:
                self.pacer.set_target(event.bitrate_bps)
                self.targets.append(event)

    def _send(self, packet: OutgoingPacket, probe_id: int, now: float) -> None:
        srtp, stream = self._srtp, packet.stream
        if srtp is None:
            return
        number = 0
        layout = stream.layout
        datagram = packet.protected
        if not datagram:
            if layout.is_numbered:
                number = self._next_number
                self._next_number = number + 1 & 0xFFFF
            header = layout.header(
                packet.second, packet.sequence_number, packet.timestamp, stream.ssrc,
                stream.identity, packet.extra, number, now,
            )  # fmt: skip
            if packet.is_padding:
                header = bytes((header[0] | _P,)) + header[1:]
            plain = header + packet.payload
            try:
                datagram = srtp.protect_rtp(plain)
            except LimitExceeded:
                self._stats.discard(DiscardReason.SRTP_EXHAUSTED)
                return
            except InvalidArgument:  # forwarded twice, or too late for its number
                self._stats.discard(DiscardReason.NUMBER_USED)
                return
            self._note(packet, len(header), datagram, now)
            if stream.protection is not None and stream.protection.ratio:
                self._correct(stream.protection, plain, packet, now)
            mode = self.control.mode
            if mode is FeedbackMode.TRANSPORT_WIDE:
                if layout.is_numbered:
                    self.control.on_sent(number, 0, len(datagram) + self._overhead_bytes, probe_id, now)
            elif mode is FeedbackMode.PER_STREAM:
                size = len(datagram) + self._overhead_bytes
                self.control.on_sent(packet.sequence_number, stream.ssrc, size, probe_id, now)
        self._out.append(datagram)
        self._stats.packets_sent += 1
        self._stats.bytes_sent += len(datagram)

    def _send_run(self, packets: Sequence[OutgoingPacket], probe_id: int, now: float) -> None:
        """As `_send` of each, for packets of which each `follows` the one before: what they share is made once."""
        first = packets[0]
        stream = first.stream
        srtp, layout, ssrc = self._srtp, stream.layout, stream.ssrc
        shared = layout.run(stream.identity, first.extra, now)
        is_corrected = stream.protection is not None and stream.protection.ratio > 0
        if srtp is None or shared is None or first.protected or first.is_padding or is_corrected:
            for packet in packets:
                self._send(packet, probe_id, now)
            return
        step = 1 if layout.is_numbered else 0
        begin = self._next_number
        headers = shared.headers(packets, ssrc, begin)
        datagrams = srtp.protect_run(headers, [packet.payload for packet in packets], ssrc, first.sequence_number)
        overhead_bytes = self._overhead_bytes
        sizes = [len(datagram) + overhead_bytes for datagram in datagrams]
        if stream.keeps_protected:
            for packet, datagram in zip(packets, datagrams, strict=False):
                packet.protected = datagram
        sent = packets[: len(sizes)]
        if sent:
            self._next_number = begin + step * len(sent) & 0xFFFF
            payload_bytes = sum([len(packet.payload) for packet in sent])
            self._note_run(sent, len(sent) * len(headers[0]), payload_bytes, now)
            mode = self.control.mode
            if mode is FeedbackMode.TRANSPORT_WIDE and step:
                self.control.on_sent_run(begin, 0, sizes, probe_id, now)
            elif mode is FeedbackMode.PER_STREAM:
                self.control.on_sent_run(first.sequence_number, ssrc, sizes, probe_id, now)
            self._out.extend(datagrams)
            self._stats.packets_sent += len(sent)
            self._stats.bytes_sent += sum(sizes) - overhead_bytes * len(sizes)
        for packet in packets[len(sizes) :]:  # `_send` says what is wrong with the first of them
            self._send(packet, probe_id, now)

    def _correct(self, protection: Protection, plain: bytes, packet: OutgoingPacket, now: float) -> None:
        room_bytes = self._config.mtu_bytes - self._overhead_bytes - self.protection_bytes
        repair = protection.protect(plain, packet, room_bytes, now)
        if repair is not None:
            self._stats.fec_packets_sent += 1
            self._repairs.append(repair)

    def _note_run(self, packets: Sequence[OutgoingPacket], header_bytes: int, payload_bytes: int, now: float) -> None:
        stream = packets[0].stream
        stream.header_bytes_sent += header_bytes
        stream.statistics.run_sent(len(packets), payload_bytes, packets[0].timestamp, packets[-1].timestamp, now)
        if stream.history is not None:
            stream.history.add_run(packets, payload_bytes, now)

    def _note(self, packet: OutgoingPacket, header_bytes: int, datagram: bytes, now: float) -> None:
        stream = packet.stream
        stream.header_bytes_sent += header_bytes
        # RFC 3550 6.4.1: padding does not count.
        stream.statistics.packet_sent(packet.timestamp, 0 if packet.is_padding else len(packet.payload), now)
        # A receiver sees no more than the number of padding that is lost: it waits for it as for any other packet.
        if stream.history is not None and (stream.keeps_protected or not packet.is_padding):
            if stream.keeps_protected:
                packet.protected = datagram
            stream.history.add(packet, now)

    def send_rtcp(self, datagrams: Sequence[bytes]) -> int:
        """Protect and send RTCP; returns the bytes of the largest datagram."""
        sizes = [0]
        for plain in datagrams:
            if self._srtp is None:
                break
            try:
                protected = self._srtp.protect_rtcp(plain)
            except LocalError:
                self._stats.discard(DiscardReason.SRTP_EXHAUSTED)
                continue
            sizes.append(len(protected))
            self._out.append(protected)
            self._stats.rtcp_sent += 1
        return max(sizes)

    # --- outputs ------------------------------------------------------------------------------------------------------

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self.control.handle_timer(now)
        self._on_control(now)
        self.pump(now)

    def take_datagrams(self) -> Sequence[bytes]:
        """Hand over what has been sent, in order."""
        return self._out.take()

    @property
    def deadline(self) -> float:
        """When `handle_timer` wants to run."""
        if self._srtp is None:
            return math.inf
        if self.control.mode is FeedbackMode.NONE:
            return self.pacer.deadline
        return min(self.pacer.deadline, self.control.deadline)
