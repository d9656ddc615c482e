"""Ending gracefully: SHUTDOWN, SHUTDOWN ACK, SHUTDOWN COMPLETE (RFC 9260 9.2).

A  close: SHUTDOWN_PENDING until all is acknowledged
A  --- SHUTDOWN ------------> B  SHUTDOWN_RECEIVED until all of its own is acknowledged
A <--- SHUTDOWN ACK --------- B  SHUTDOWN_ACK_SENT
A  --- SHUTDOWN COMPLETE ---> B
"""

from __future__ import annotations

from sans_rtc.sctp.chunks import Shutdown, ShutdownAck, ShutdownComplete
from sans_rtc.sctp.events import TerminationReason
from sans_rtc.sctp.params import CauseCode, text_cause
from sans_rtc.sctp.state import State
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock

_TSN_MASK = 0xFFFFFFFF


class ShutdownSequence:
    """Both ends of the SHUTDOWN sequence."""

    __slots__ = ("_retransmissions", "_tcb")

    def __init__(self, tcb: TransmissionControlBlock) -> None:
        self._tcb = tcb
        self._retransmissions = 0

    def begin(self, now: float) -> None:
        """The application closes: take no more messages, finish what there is."""
        self._tcb.enter(State.SHUTDOWN_PENDING, now)

    def progress(self, cumulative_tsn: int, now: float) -> None:
        """All data is acknowledged: go on where the sequence waits for that.

        cumulative_tsn  the last TSN received in sequence, for the SHUTDOWN
        """
        tcb = self._tcb
        self._retransmissions = 0
        if tcb.state is State.SHUTDOWN_PENDING:
            tcb.enter(State.SHUTDOWN_SENT, now)
            self._stop_data_timers()
            tcb.timers.arm(Timer.T5_SHUTDOWN_GUARD, now + tcb.config.shutdown_guard_s)
            self.send_shutdown(cumulative_tsn, now)
        elif tcb.state is State.SHUTDOWN_RECEIVED:
            tcb.enter(State.SHUTDOWN_ACK_SENT, now)
            self._stop_data_timers()
            self._send_shutdown_ack(now)

    def _stop_data_timers(self) -> None:
        for timer in (Timer.HEARTBEAT, Timer.RECONFIG, Timer.WINDOW_PROBE):
            self._tcb.timers.cancel(timer)

    def send_shutdown(self, cumulative_tsn: int, now: float) -> None:
        """Send SHUTDOWN, or send it again because DATA came in answer, and wait for SHUTDOWN ACK."""
        self._tcb.queue_chunk(Shutdown(cumulative_tsn & _TSN_MASK))
        self._tcb.timers.arm(Timer.T2_SHUTDOWN, now + self._tcb.rto.rto_s)

    def _send_shutdown_ack(self, now: float) -> None:
        self._tcb.queue_chunk(ShutdownAck())
        self._tcb.timers.arm(Timer.T2_SHUTDOWN, now + self._tcb.rto.rto_s)

    def on_data(self, cumulative_tsn: int, now: float) -> None:
        """DATA in SHUTDOWN_SENT: the peer is alive and still sending; answer with SHUTDOWN at once."""
        self._retransmissions = 0
        self.send_shutdown(cumulative_tsn, now)

    def on_shutdown(self, now: float) -> None:
        """The peer closes. Its cumulative TSN has been taken already, as that of a SACK."""
        tcb = self._tcb
        if tcb.state in (State.ESTABLISHED, State.SHUTDOWN_PENDING):
            tcb.enter(State.SHUTDOWN_RECEIVED, now)
        elif tcb.state is State.SHUTDOWN_SENT:
            # Both ends have sent SHUTDOWN.
            tcb.enter(State.SHUTDOWN_ACK_SENT, now)
            self._send_shutdown_ack(now)
        elif tcb.state is State.SHUTDOWN_ACK_SENT:
            self._send_shutdown_ack(now)

    def on_shutdown_ack(self, now: float) -> None:
        """The peer has everything and is done: confirm, and end."""
        tcb = self._tcb
        if tcb.state not in (State.SHUTDOWN_SENT, State.SHUTDOWN_ACK_SENT):
            tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            return
        tcb.queue_packet(ShutdownComplete())
        tcb.terminate(TerminationReason.CLOSED, "all data was acknowledged and both ends have shut down", now)

    def on_shutdown_complete(self, now: float) -> None:
        """The peer has our SHUTDOWN ACK."""
        tcb = self._tcb
        if tcb.state is not State.SHUTDOWN_ACK_SENT:
            tcb.stats.discard(DiscardReason.UNEXPECTED_CHUNK)
            return
        tcb.terminate(TerminationReason.CLOSED, "all data was acknowledged and both ends have shut down", now)

    def on_t2(self, cumulative_tsn: int, now: float) -> None:
        """No answer to SHUTDOWN or SHUTDOWN ACK: send it again, a few times."""
        tcb = self._tcb
        self._retransmissions += 1
        is_acking = tcb.state is State.SHUTDOWN_ACK_SENT
        if self._retransmissions > tcb.config.shutdown_retransmissions_max:
            if is_acking:
                # Its SHUTDOWN said that it has all our data, and we have all of its: what got lost is the last word.
                detail = "both ends have shut down; the peer's SHUTDOWN COMPLETE did not come"
                tcb.terminate(TerminationReason.CLOSED, detail, now)
            else:
                tcb.terminate(TerminationReason.PEER_UNREACHABLE, "the peer did not answer SHUTDOWN", now)
            return
        tcb.rto.back_off()
        if is_acking:
            self._send_shutdown_ack(now)
        else:
            self.send_shutdown(cumulative_tsn, now)

    def on_t5(self, now: float) -> None:
        """The whole sequence takes too long (T5-shutdown-guard)."""
        detail = "the SHUTDOWN sequence took too long"
        cause = text_cause(CauseCode.USER_INITIATED_ABORT, detail)
        self._tcb.abort(cause, TerminationReason.SHUTDOWN_TIMEOUT, detail, now)
