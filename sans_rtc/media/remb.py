"""The receiver's own estimate, for senders that take nothing else (draft-alvestrand-rmcat-remb-03).

The delay-based estimator runs at this end: each packet tells when it was sent (abs-send-time), and its arrival is here.
"""

from __future__ import annotations

import math

from sans_rtc.congestion.config import EstimatorConfig
from sans_rtc.congestion.estimator import SendSideEstimator
from sans_rtc.congestion.feedback import PacketResult
from sans_rtc.rtp.sequence import Unwrapper

SEND_TIME_BITS = 24
SEND_TIMES_PER_S = 1 << 18
# Packets are looked at together this often, as feedback would tell of them.
_BATCH_S = 0.1
_BATCH_PACKETS_MAX = 4096
# Section 2.3 of the draft: without a change once a second; a fall by 3 % is told at once.
_AGAIN_S = 1.0
_FALL = 0.97


class ReceiverEstimate:
    """What may be sent to us; a transform with a deadline."""

    __slots__ = ("_arrived", "_batch_at", "_count", "_estimator", "_send_times", "_told_at", "_told_bps")

    def __init__(self, config: EstimatorConfig) -> None:
        self._estimator = SendSideEstimator(config)
        self._send_times = Unwrapper(SEND_TIME_BITS)
        self._arrived: list[PacketResult] = []
        self._batch_at = math.inf
        self._count = 0
        self._told_at = -math.inf
        self._told_bps = 0

    def note(self, send_time: int, size_bytes: int, now: float) -> None:
        """A packet has come that was sent then: 24 bits of abs-send-time."""
        if len(self._arrived) >= _BATCH_PACKETS_MAX:
            return
        sent_at = self._send_times.unwrap(send_time) / SEND_TIMES_PER_S
        self._count += 1
        self._estimator.on_sent(self._count, size_bytes, now)
        self._arrived.append(PacketResult(self._count, sent_at, size_bytes, now))
        if self._batch_at == math.inf:
            self._batch_at = now + _BATCH_S

    def take_bitrate(self, now: float) -> int | None:
        """The bitrate to tell the sender now, where it is time to."""
        if self._batch_at > now:
            return None
        arrived, self._arrived = self._arrived, []
        self._batch_at = math.inf
        self._estimator.on_feedback(arrived, now)
        self._estimator.take_events()  # probes are the sender's
        bitrate_bps = self._estimator.target_bitrate_bps
        if now - self._told_at < _AGAIN_S and bitrate_bps >= _FALL * self._told_bps:
            return None
        self._told_at, self._told_bps = now, bitrate_bps
        return bitrate_bps

    @property
    def deadline(self) -> float:
        """When `take_bitrate` may have something to say."""
        return self._batch_at
