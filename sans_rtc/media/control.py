"""How much to send: which feedback of the peer the estimate is made of, and what it says.

transport-wide feedback    numbers of the whole transport
RFC 8888                   numbers of each SSRC
REMB alone                 the receiver's own estimate, and the losses of its reports
none of them               nothing is estimated; bursts are bounded
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum

from sans_rtc.congestion.estimator import SendSideEstimator
from sans_rtc.congestion.events import EstimatorEvent
from sans_rtc.congestion.feedback import FeedbackAdapter
from sans_rtc.media.config import MediaConfig
from sans_rtc.rtcp.congestion_feedback import (
    ARRIVAL_OFFSET_OVER_RANGE,
    ARRIVAL_OFFSET_PER_S,
    CongestionControlFeedback,
)
from sans_rtc.rtcp.reports import ReportBlock
from sans_rtc.rtcp.transport_feedback import DELTA_S, TransportFeedback
from sans_rtc.rtp.ntp import seconds_from_short


class FeedbackMode(StrEnum):
    """What the peer tells of the arrival of packets."""

    NONE = "none"
    TRANSPORT_WIDE = "transport-cc"
    PER_STREAM = "ccfb"
    REMB = "goog-remb"


class SendControl:
    """The estimator and what it is fed with; a transform with a deadline.

    mode  which feedback was agreed
    """

    __slots__ = ("_adapter", "_config", "_estimator", "_lost", "mode")

    def __init__(self, config: MediaConfig) -> None:
        self._config = config
        self.mode = FeedbackMode.NONE
        self._begin()

    def _begin(self) -> None:
        self._adapter = FeedbackAdapter(self._config.feedback)
        self._estimator = SendSideEstimator(self._config.estimator)
        self._lost: dict[int, tuple[int, int]] = {}

    def set_mode(self, mode: FeedbackMode) -> None:
        """Take another kind of feedback; what was learned from one before does not carry over."""
        if mode is not self.mode:
            self.mode = mode
            self._begin()

    def path_changed(self, now: float) -> None:
        """Begin anew: this is another path."""
        self._adapter = FeedbackAdapter(self._config.feedback)
        if self.mode is not FeedbackMode.NONE:
            self._estimator.on_path_changed(now)

    def on_sent(self, number: int, ssrc: int, size_bytes: int, probe_id: int, now: float) -> None:
        """A packet goes out: its transport-wide number (SSRC 0), or that of its SSRC."""
        sequence = self._adapter.on_sent(number, size_bytes, now, ssrc=ssrc, probe_id=probe_id)
        self._estimator.on_sent(sequence, size_bytes, now)

    def on_sent_run(self, first: int, ssrc: int, sizes: Sequence[int], probe_id: int, now: float) -> None:
        """Packets go out together, numbered on from `first`."""
        sequence = self._adapter.on_sent_run(first, sizes, now, ssrc=ssrc, probe_id=probe_id)
        self._estimator.on_sent(sequence, sum(sizes), now)

    def on_transport_feedback(self, packet: TransportFeedback, now: float) -> None:
        """Take transport-wide feedback."""
        if self.mode is FeedbackMode.TRANSPORT_WIDE and packet.has_times:
            reports = [(number, None if at is None else at * DELTA_S) for number, at in packet.arrivals()]
            self._estimator.on_feedback(self._adapter.on_transport_feedback(reports, now), now)

    def on_ccfb(self, packet: CongestionControlFeedback, now: float) -> None:
        """Take the feedback of RFC 8888."""
        if self.mode is not FeedbackMode.PER_STREAM:
            return
        made_at = seconds_from_short(packet.report_timestamp)
        reports: list[tuple[int, int, float | None, int]] = []
        for stream in packet.streams:
            for number, metric in enumerate(stream.metrics, stream.begin_sequence):
                arrival, ecn = None, 0
                if metric is not None:
                    ecn, offset = metric
                    is_told = offset < ARRIVAL_OFFSET_OVER_RANGE
                    arrival = made_at - offset / ARRIVAL_OFFSET_PER_S if is_told else math.nan
                reports.append((stream.ssrc, number & 0xFFFF, arrival, ecn))
        self._estimator.on_feedback(self._adapter.on_ccfb(reports, now), now)

    def on_remb(self, bitrate_bps: int, now: float) -> None:
        """Take the peer's own estimate, which bounds ours."""
        if self.mode is not FeedbackMode.NONE:
            self._estimator.on_remb(bitrate_bps, now)

    def on_rtt(self, rtt_s: float, now: float) -> None:
        """Take a measured round trip."""
        if self.mode is not FeedbackMode.NONE:
            self._estimator.on_rtt(rtt_s, now)

    def on_report_block(self, block: ReportBlock, now: float) -> None:
        """Take the losses of one stream, where nothing tells of each packet."""
        if self.mode is not FeedbackMode.REMB:
            return
        before = self._lost.get(block.ssrc)
        self._lost[block.ssrc] = (block.packets_lost, block.highest_sequence)
        if before is None:
            return
        total = block.highest_sequence - before[1]
        if 0 < total < 1 << 16:
            lost = min(max(block.packets_lost - before[0], 0), total)
            self._estimator.on_loss_report(lost, total, now)

    def set_bitrate_max(self, bitrate_bps: int | None, now: float) -> None:
        """No more than this is of use: the encoders' own maxima."""
        config = self._config.estimator
        highest = config.max_bitrate_bps if bitrate_bps is None else min(bitrate_bps, config.max_bitrate_bps)
        if self.mode is not FeedbackMode.NONE:
            self._estimator.set_limits(config.min_bitrate_bps, max(highest, config.min_bitrate_bps), now)

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        if self.deadline <= now:
            self._estimator.handle_timer(now)

    def take_events(self) -> Sequence[EstimatorEvent]:
        """New targets, and probes to be sent."""
        return self._estimator.take_events()

    @property
    def is_started(self) -> bool:
        """Something was sent on this path: the first packet asks for probes."""
        return self._estimator.is_started

    @property
    def target_bitrate_bps(self) -> int | None:
        """What may be sent now; None where nothing is estimated."""
        return None if self.mode is FeedbackMode.NONE else self._estimator.target_bitrate_bps

    @property
    def deadline(self) -> float:
        """When `handle_timer` wants to run."""
        return math.inf if self.mode is FeedbackMode.NONE else self._estimator.deadline
