"""Sending lost chunks again: after SACKs, after T3-rtx, and the probe of the tail (RFC 9260 6.3.3, 7.2.4)."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

from sans_rtc.sctp.chunks import FLAG_IMMEDIATE
from sans_rtc.sctp.flow import NONE_TSN, Flow
from sans_rtc.sctp.outstanding import IN_FLIGHT, OutstandingChunk
from sans_rtc.sctp.tcb import Timer
from sans_rtc.serial import distance_32

# Chunks found lost by SACKs that are remembered, to notice that one was not lost at all.
REMEMBERED_MAX = 64


class Retransmission:
    """Decides what losing chunks does to the windows, and writes them again."""

    __slots__ = (
        "_flow",
        "_is_after_timeout",
        "_is_fast_retransmit",
        "_is_heard",
        "_is_probe_answered",
        "_probe_sent_at",
        "_probe_tsn",
        "_recovery_number",
        "_remembered",
        "_timeout_acked_at",
        "_timeout_sent_at",
        "_timeout_tsn",
        "tail_probe_is_due",
    )

    def __init__(self, flow: Flow) -> None:
        self._flow = flow
        self.reset()

    def reset(self) -> None:
        """Begin anew with the association."""
        self.tail_probe_is_due = False
        self._is_fast_retransmit = False
        self._is_after_timeout = False
        self._is_heard = False  # a SACK has come since T3-rtx expired last
        # The chunk that was sent again as a probe; remembered after its answer, for a duplicate that may be reported
        self._probe_tsn = NONE_TSN
        self._probe_sent_at = 0.0
        self._is_probe_answered = False
        # The chunk that T3-rtx expired for, when it had been sent before, and when it was acknowledged
        self._timeout_tsn = NONE_TSN
        self._timeout_sent_at = 0.0
        self._timeout_acked_at = 0.0
        self._recovery_number = 0  # packets below were sent before the window was last cut
        self._remembered: deque[int] = deque(maxlen=REMEMBERED_MAX)

    @property
    def is_urgent(self) -> bool:
        """True where a packet goes out whatever the congestion window says."""
        return self.tail_probe_is_due or self._is_fast_retransmit

    # what says that chunks are lost

    def take_losses(self, now: float) -> None:
        """Judge the outstanding chunks by what has arrived, and answer losses once per round trip (7.2.4)."""
        flow = self._flow
        lost = flow.loss.detect(now)
        if flow.loss.deadline < math.inf:
            flow.tcb.timers.arm(Timer.LOSS, flow.loss.deadline)
        else:
            flow.tcb.timers.cancel(Timer.LOSS)
        if not lost:
            return
        self._remembered.extend([chunk.tsn for chunk in lost])
        if max([chunk.packet_number for chunk in lost]) >= self._recovery_number:
            self._cut_window(now)
            self._is_fast_retransmit = True
        self._give_up(lost, now)

    def _cut_window(self, now: float) -> None:
        flow = self._flow
        flow.congestion.on_loss(flow.outstanding.next_tsn - 1)
        self._recovery_number = flow.writer.number
        flow.tcb.timers.cancel(Timer.TAIL_PROBE)
        flow.tcb.stats.loss_events += 1
        if flow.tcb.trace is not None:
            flow.tcb.note("loss", now, cwnd=flow.congestion.cwnd, lost_bytes=flow.outstanding.lost_bytes)

    def on_t3(self, now: float) -> None:
        """T3-rtx has expired: everything in flight counts as lost, one packet goes out (6.3.3)."""
        flow = self._flow
        tcb, outstanding = flow.tcb, flow.outstanding
        if not outstanding.chunks:
            return
        tcb.stats.timeouts += 1
        tcb.rto.back_off()
        # 6.1 A: a peer that answers probes of its closed window is reachable, however long it stays closed.
        is_excused = flow.is_window_probe and self._is_heard
        if not is_excused and tcb.count_error("DATA", now):
            return
        if not flow.is_window_probe:
            flow.congestion.on_timeout()
        self._is_heard = False
        lost = [chunk for chunk in outstanding.chunks if chunk.status == IN_FLIGHT]
        for chunk in lost:
            outstanding.mark_lost(chunk)
        self._timeout_tsn = outstanding.first_tsn
        self._timeout_sent_at = outstanding.chunks[0].sent_at
        self._timeout_acked_at = 0.0
        self._give_up(lost, now)
        flow.loss.forget()
        flow.partial.on_timeout()
        flow.timed_tsn = NONE_TSN
        flow.burst_left = flow.burst_packets
        self._recovery_number = flow.writer.number
        self._probe_tsn = NONE_TSN
        self.tail_probe_is_due = False
        self._is_after_timeout = True
        tcb.timers.cancel(Timer.TAIL_PROBE)
        tcb.timers.cancel(Timer.LOSS)
        flow.arm_t3(now, restart=True)
        if tcb.trace is not None:
            tcb.note("timeout", now, rto_s=tcb.rto.rto_s, lost_bytes=outstanding.lost_bytes)

    def on_window_opened(self) -> None:
        """The window that a probe was sent into is open: it was dropped for the window's sake, not the path's."""
        flow = self._flow
        flow.is_window_probe = False
        flow.tcb.rto.end_back_off()
        for chunk in flow.outstanding.chunks:
            if chunk.status == IN_FLIGHT:
                flow.outstanding.mark_lost(chunk)

    def _give_up(self, lost: Sequence[OutstandingChunk], now: float) -> None:
        partial = self._flow.partial
        for chunk in lost:
            if partial.is_over(chunk.message, chunk.transmit_count, now):
                self._flow.abandon(chunk.message)

    # sending again

    def send_lost(self, now: float) -> None:
        """Send lost chunks again, the lowest TSNs first, as cwnd and the burst allow; the first packet of a fast
        retransmit regardless (7.2.4 step 3)."""
        flow = self._flow
        outstanding, writer, cwnd = flow.outstanding, flow.writer, flow.congestion.cwnd
        packets_left = max(flow.burst_left, 1 if self._is_fast_retransmit else 0)
        flags = FLAG_IMMEDIATE if self._is_after_timeout else 0
        is_open = False
        while (chunk := outstanding.next_lost()) is not None:
            if flow.partial.is_over(chunk.message, chunk.transmit_count, now):
                flow.abandon(chunk.message)
                continue
            if not is_open or len(chunk.body) > writer.room:
                if not packets_left or (outstanding.flight_bytes >= cwnd and not self._is_fast_retransmit):
                    break
                is_open = True
                packets_left -= 1
                self._is_fast_retransmit = False
            self._resend(chunk, flags, now)
        self._is_fast_retransmit = False
        self._is_after_timeout = False
        flow.burst_left = packets_left

    def send_tail_probe(self, now: float) -> None:
        """Send the last chunk that may be sent again, asking for an immediate SACK (RFC 8985 7.3)."""
        flow = self._flow
        self.tail_probe_is_due = False
        for chunk in reversed(flow.outstanding.chunks):
            if chunk.status == IN_FLIGHT and not flow.partial.is_over(chunk.message, chunk.transmit_count, now):
                self._resend(chunk, FLAG_IMMEDIATE, now)
                self._probe_tsn = chunk.tsn
                self._is_probe_answered = False
                self._probe_sent_at = now
                flow.tcb.stats.probes_sent += 1
                if flow.loss.on_probe_sent():
                    flow.arm_t3(now, restart=True)  # RFC 8985 7.3: a whole timeout for its answer
                return

    def _resend(self, chunk: OutstandingChunk, flags: int, now: float) -> None:
        flow = self._flow
        if flags:
            chunk.body = bytes((0, chunk.body[1] | flags)) + chunk.body[2:]
        flow.outstanding.resend(chunk, flow.writer.add(chunk.body), now)
        flow.loss.on_resent(chunk)
        flow.tcb.stats.chunks_retransmitted += 1
        flow.last_sent_at = now
        if chunk.tsn <= flow.timed_tsn:
            flow.timed_tsn = NONE_TSN  # Karn (6.3.1 C5): nothing at or above a repeated TSN is measured
        if chunk.tsn == flow.outstanding.first_tsn:
            flow.arm_t3(now, restart=True)  # 6.1: the earliest outstanding chunk is being sent again

    # what says that they were not

    def on_sack(self, cumulative_tsn: int, duplicates: Sequence[int], now: float) -> None:
        """Learn from a SACK whether what was sent again had to be."""
        self._is_heard = True
        first_tsn = self._flow.outstanding.first_tsn
        for wire_tsn in duplicates[:REMEMBERED_MAX]:
            # Duplicates lie below or near the first outstanding TSN; the nearest TSN of these 32 bits is meant.
            self._on_duplicate(first_tsn + distance_32(first_tsn, wire_tsn))
        if 0 <= self._probe_tsn <= cumulative_tsn and not self._is_probe_answered:
            self._on_probe_answered(now)
        if 0 <= self._timeout_tsn <= cumulative_tsn and not self._timeout_acked_at:
            self._on_timeout_answered(now)

    def _on_duplicate(self, tsn: int) -> None:
        flow = self._flow
        if tsn == self._probe_tsn:
            self._probe_tsn = NONE_TSN
            flow.loss.on_spurious_probe()
        elif tsn == self._timeout_tsn and self._timeout_acked_at:
            self._timeout_tsn = NONE_TSN
            flow.tcb.rto.measure(self._timeout_acked_at - self._timeout_sent_at)
        elif tsn in self._remembered:
            self._remembered.remove(tsn)
            flow.loss.on_spurious()
        else:
            return
        flow.tcb.stats.spurious_retransmissions += 1

    def _on_timeout_answered(self, now: float) -> None:
        """The chunk that T3-rtx expired for has arrived: the path works, so the back-off ends.

        deviation: RFC 9260 6.3.3 keeps the back-off until a chunk that was sent once has been measured, so that a path
        whose round trip has grown beyond the RTO is not flooded with spurious repetitions. Here that case is noticed:
        the repetition was superfluous, the peer reports it as a duplicate, and then the first sending is measured.
        """
        self._timeout_acked_at = now
        self._flow.tcb.rto.end_back_off()

    def _on_probe_answered(self, now: float) -> None:
        """The probe repaired a loss that nothing else has shown: answer it as one (RFC 8985 7.4.2).

        An acknowledgement that came sooner than any round trip is to the chunk's first sending.
        """
        self._is_probe_answered = True
        flow = self._flow
        if now - self._probe_sent_at >= flow.tcb.rto.min_rtt_s and flow.congestion.recovery_exit_tsn is None:
            self._cut_window(now)
