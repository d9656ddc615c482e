"""HEARTBEAT on an idle path, and its RTT (RFC 9260 8.3)."""

from __future__ import annotations

import math
import struct

from sans_rtc.entropy import draw_fraction
from sans_rtc.sctp.chunks import Heartbeat
from sans_rtc.sctp.params import Parameter, serialize_parameter
from sans_rtc.sctp.state import SENDS_DATA
from sans_rtc.sctp.stats import DiscardReason
from sans_rtc.sctp.tcb import Timer, TransmissionControlBlock

# Heartbeat Info (type 1): a nonce, so that an answer is told from a guess, and when it was sent.
_INFO = struct.Struct(">8sd")
_INFO_TYPE = 1


class HeartbeatMonitor:
    """Asks whether the peer is still there when nothing else would tell."""

    __slots__ = ("_sent_value", "_tcb", "_unanswered")

    def __init__(self, tcb: TransmissionControlBlock) -> None:
        self._tcb = tcb
        self._sent_value = b""
        self._unanswered = 0

    def start(self, now: float) -> None:
        """Begin to watch for idleness: the interval and an RTO, with half an RTO of jitter and back-off (8.3)."""
        tcb = self._tcb
        if tcb.config.heartbeat_interval_s == math.inf:
            return
        rto_s = min(tcb.rto.rto_s * (1 << min(self._unanswered, 16)), tcb.config.rto_max_s)
        jitter_s = rto_s * (draw_fraction(tcb.entropy) - 0.5)
        tcb.timers.arm(Timer.HEARTBEAT, now + tcb.config.heartbeat_interval_s + rto_s + jitter_s)

    def on_timer(self, last_sent_at: float, now: float) -> None:
        """Send a HEARTBEAT where no DATA was sent for the interval.

        last_sent_at  when DATA was sent last
        """
        tcb = self._tcb
        if tcb.state not in SENDS_DATA:
            return  # 8.3: no more once SHUTDOWN or SHUTDOWN ACK has been sent
        if now - last_sent_at >= tcb.config.heartbeat_interval_s:
            # 8.3, implementation note: counted when sent, forgiven when answered
            if tcb.count_error("HEARTBEAT", now):
                return
            info = _INFO.pack(tcb.entropy(8), now)
            self._sent_value = serialize_parameter(Parameter(_INFO_TYPE, info))
            self._unanswered += 1
            tcb.stats.heartbeats_sent += 1
            tcb.queue_chunk(Heartbeat(self._sent_value))
        self.start(now)

    def on_heartbeat(self, chunk: Heartbeat) -> None:
        """Send it back as it came."""
        self._tcb.queue_chunk(Heartbeat(chunk.value, is_ack=True))

    def on_heartbeat_ack(self, chunk: Heartbeat, now: float) -> None:
        """The peer is there; measure how far away (8.3)."""
        tcb = self._tcb
        if not self._sent_value or chunk.value != self._sent_value:
            tcb.stats.discard(DiscardReason.HEARTBEAT_MISMATCH)
            return
        _, sent_at = _INFO.unpack_from(chunk.value, 4)
        self._sent_value = b""
        self._unanswered = 0
        tcb.error_count = 0
        tcb.rto.measure(now - sent_at)
