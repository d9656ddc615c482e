"""The sending half of an association: messages in, packets out, SACKs in (RFC 9260 sections 6 and 7).

send -> Scheduler -> Packetizer -> Outstanding -> acknowledged
                                      |    ^
        SACK gaps, T3-rtx, probe      v    |
                                   Retransmission
"""

from __future__ import annotations

from collections.abc import Sequence

from sans_rtc.sctp.config import Reliability
from sans_rtc.sctp.events import SendFailed
from sans_rtc.sctp.flow import NONE_TSN, PACING_TICK_S, Flow
from sans_rtc.sctp.outstanding import ACKED, Range
from sans_rtc.sctp.packetizer import Packetizer
from sans_rtc.sctp.retransmission import Retransmission
from sans_rtc.sctp.scheduler import OutboundMessage, OutboundStream
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock
from sans_rtc.sctp.wire import DATA_HEADER_BYTES, PacketWriter

_TSN_MASK = 0xFFFFFFFF
_HALF = 1 << 31


class Outbound:
    """Everything that has to do with sending DATA."""

    __slots__ = ("_packetizer", "_retransmission", "_tcb", "flow")

    def __init__(self, tcb: TransmissionControlBlock, writer: PacketWriter) -> None:
        self._tcb = tcb
        self.flow = Flow(tcb, writer)
        self._packetizer = Packetizer(self.flow)
        self._retransmission = Retransmission(self.flow)

    def restart(self) -> None:
        """The peer has begun anew: everything queued and sent is void (5.2.4 action A)."""
        self.flow.restart()

    def open(self, initial_tsn: int, peer_window_bytes: int, *, supports_forward_tsn: bool) -> None:
        """Begin to send: the handshake has told where to start and what the peer can take."""
        self.flow.open(initial_tsn, peer_window_bytes)
        self.flow.partial.is_supported = supports_forward_tsn
        self._retransmission.reset()

    # the application's side

    def send(self, stream_id: int, ppid: int, data: bytes, reliability: Reliability, now: float) -> None:
        """Queue a message; the caller has checked it."""
        scheduler = self.flow.scheduler
        scheduler.enqueue(OutboundMessage(scheduler.stream(stream_id), ppid, data, reliability, now))

    def remove_where_expired(self, now: float) -> None:
        """Make room: drop what waits in vain because its lifetime is over."""
        self._fail_unsent(self.flow.scheduler.remove_where_expired(now))

    def remove_beyond(self, stream_count: int) -> None:
        """Drop what is queued on streams that the peer does not have."""
        self._fail_unsent(self.flow.scheduler.remove_beyond(stream_count))

    def _fail_unsent(self, messages: Sequence[OutboundMessage]) -> None:
        for message in messages:
            message.is_abandoned = True
            self.flow.note_sent(message, len(message.data))
            self._tcb.stats.messages_abandoned += 1
            self._tcb.events.append(SendFailed(message.stream.id, message.ppid, len(message.data), was_sent=False))

    def is_drained(self, stream: OutboundStream) -> bool:
        """True where all that was queued before a reset has been sent at least once."""
        current = self.flow.current
        return not stream.queue and (current is None or current.stream is not stream)

    @property
    def is_all_acknowledged(self) -> bool:
        """True where nothing is queued and nothing outstanding (9.2)."""
        return not self.flow.outstanding.chunks and not self.flow.scheduler.queued_bytes

    @property
    def unacknowledged_bytes(self) -> int:
        """User bytes accepted and not yet acknowledged. O(outstanding)."""
        total = self.flow.scheduler.queued_bytes
        for chunk in self.flow.outstanding.chunks:
            if not chunk.message.is_abandoned:
                total += int.from_bytes(chunk.body[2:4], "big") - DATA_HEADER_BYTES
        return total

    # packets

    def may_send(self) -> bool:
        """True where `transmit` would send DATA now, so that a SACK may ride along."""
        flow, outstanding = self.flow, self.flow.outstanding
        if self._retransmission.is_urgent or flow.window_probe_is_due:
            return True
        return flow.may_burst and (flow.burst_left > 0 or not outstanding.flight_bytes)

    def transmit(self, now: float) -> None:
        """Write what may be sent now: FORWARD-TSN, then what is lost (6.1 C), then new messages (6.1 E)."""
        flow = self.flow
        outstanding, writer = flow.outstanding, flow.writer
        sent_before, resent = outstanding.sent_bytes, self._tcb.stats.chunks_retransmitted
        if not outstanding.flight_bytes:
            flow.burst_left = flow.burst_packets
        self._send_forward_tsn(now)
        if self._retransmission.tail_probe_is_due:
            self._retransmission.send_tail_probe(now)
        if outstanding.lost_bytes:
            self._retransmission.send_lost(now)
        if flow.has_new and not outstanding.lost_bytes:
            packets_before = writer.number
            self._packetizer.send_new(packets_before, now)
            flow.burst_left -= writer.number - packets_before
            if outstanding.sent_bytes > sent_before:
                flow.arm_t3(now)
            elif not outstanding.flight_bytes and not flow.peer_window_bytes:
                self._arm_window_probe(now)
        elif outstanding.flight_bytes:
            flow.arm_t3(now)
        if outstanding.sent_bytes > sent_before or self._tcb.stats.chunks_retransmitted > resent:
            flow.arm_tail_probe(now)
            is_held_back = flow.burst_left <= 0 and flow.may_burst
            flow.congestion.on_sent(outstanding.flight_bytes, is_held_back=is_held_back)
            if is_held_back:
                self._arm_pacing(now)
        if flow.partial.is_due:
            # Messages were given up just now, while sending; DATA comes after control chunks (6.10).
            writer.flush()
            self._send_forward_tsn(now)

    def _send_forward_tsn(self, now: float) -> None:
        flow = self.flow
        if flow.partial.is_due and flow.partial.is_behind:
            flow.writer.add(flow.partial.forward_tsn(flow.writer.capacity, now))
            flow.arm_t3(now)

    def _arm_window_probe(self, now: float) -> None:
        """6.1 A: the first probe of a closed window comes after one RTO."""
        if not self._tcb.timers.is_armed(Timer.WINDOW_PROBE):
            self._tcb.timers.arm(Timer.WINDOW_PROBE, now + self._tcb.rto.rto_s)

    def _arm_pacing(self, now: float) -> None:
        """Go on with the next burst without waiting for a SACK: spread the window over half of a round trip.

        A receiver that answers a burst with one SACK would otherwise hold the flight at one burst for each round trip.
        """
        flow, timers = self.flow, self._tcb.timers
        if timers.is_armed(Timer.PACING) or not self._tcb.rto.is_measured:
            return
        burst_bytes = flow.burst_packets * flow.chunk_bytes_max
        interval_s = self._tcb.rto.srtt_s * burst_bytes / (2 * flow.congestion.cwnd)
        timers.arm(Timer.PACING, now + max(interval_s, PACING_TICK_S))

    # timers

    def on_t3(self, now: float) -> None:
        """T3-rtx has expired."""
        self._retransmission.on_t3(now)

    def on_loss_timer(self, now: float) -> None:
        """A chunk that later ones have overtaken is lost by time."""
        self._retransmission.take_losses(now)

    def on_tail_probe(self, now: float) -> None:
        """Two round trips of silence after the last chunk."""
        self._retransmission.tail_probe_is_due = self.flow.outstanding.flight_bytes > 0

    def on_window_probe(self, now: float) -> None:
        """The peer's window has been closed for an RTO."""
        self.flow.window_probe_is_due = not self.flow.peer_window_bytes

    def on_pacing(self, now: float) -> None:
        """The next burst may go."""
        self.flow.burst_left = self.flow.burst_packets

    # acknowledgements

    def on_sack(
        self,
        cumulative_tsn: int,
        window_bytes: int,
        gaps: Sequence[Range] | None,
        duplicates: Sequence[int],
        now: float,
    ) -> bool:
        """Take a SACK (6.2.1); False where it acknowledges what was never sent.

        cumulative_tsn  as on the wire
        gaps            as on the wire, offsets from it; None: a SHUTDOWN, which does not tell
        """
        flow = self.flow
        outstanding = flow.outstanding
        advance = (cumulative_tsn - outstanding.first_tsn + 1) & _TSN_MASK
        if advance >= _HALF:
            self._tcb.stats.discard(DiscardReason.OLD_SACK)  # 6.2.1 D i
            return True
        if advance > len(outstanding.chunks):
            return False
        cumulative = outstanding.first_tsn - 1 + advance
        ranges = self._absolute(cumulative, gaps) if gaps else gaps
        self._retransmission.on_sack(cumulative, duplicates, now)
        acked_bytes = outstanding.acknowledge(cumulative, ranges, now, self._tcb.rto.min_rtt_s)
        if acked_bytes or advance:
            self._tcb.error_count = 0
            flow.loss.on_progress()
            flow.burst_left = flow.burst_packets
        if flow.timed_tsn >= 0 and (acked_bytes or advance):
            self._measure(now)
        if advance:
            flow.congestion.on_cumulative_advance(acked_bytes)
            flow.congestion.on_cumulative(cumulative)
        self._take_window(window_bytes)
        if ranges or not outstanding.is_regular:
            self._retransmission.take_losses(now)
            flow.partial.on_sack(now)
        self._settle_timers(now, has_advanced=advance > 0, has_progress=acked_bytes > 0)
        return True

    def _absolute(self, cumulative: int, gaps: Sequence[Range]) -> list[Range]:
        """Gap blocks as TSNs; those that are out of order or beyond what was sent void the list."""
        previous = cumulative
        ranges = [(cumulative + first, cumulative + last) for first, last in gaps]
        for first, last in ranges:
            if first <= previous + 1 or last < first:
                previous = self.flow.outstanding.next_tsn
                break
            previous = last
        if previous >= self.flow.outstanding.next_tsn:
            self._tcb.stats.discard(DiscardReason.INVALID_GAP_BLOCK)
            return []
        return ranges

    def _measure(self, now: float) -> None:
        """Take the round trip of the chunk that is being timed, where it has arrived (6.3.1 C4)."""
        flow = self.flow
        tsn = flow.timed_tsn
        if tsn < flow.outstanding.first_tsn or flow.outstanding.at(tsn).status == ACKED:
            self._tcb.rto.measure(now - flow.timed_at)
            flow.timed_tsn = NONE_TSN

    def _take_window(self, window_bytes: int) -> None:
        flow = self.flow
        flow.peer_window_bytes = window_bytes
        if not window_bytes:
            return
        self._tcb.timers.cancel(Timer.WINDOW_PROBE)
        flow.window_probe_is_due = False
        if flow.is_window_probe:
            self._retransmission.on_window_opened()

    def _settle_timers(self, now: float, *, has_advanced: bool, has_progress: bool) -> None:
        flow, timers = self.flow, self._tcb.timers
        if not flow.outstanding.chunks:
            timers.cancel(Timer.T3_RTX)  # 6.3.2 R2
            timers.cancel(Timer.TAIL_PROBE)
            timers.cancel(Timer.LOSS)
            timers.cancel(Timer.PACING)
            flow.loss.forget()
            flow.congestion.on_all_acked()
            return
        if has_advanced:
            flow.arm_t3(now, restart=True)  # 6.3.2 R3
        if has_progress:
            flow.arm_tail_probe(now)
