"""Congestion control for media: how much to send, and when (draft-ietf-rmcat-gcc-02).

pacer = Pacer(PacerConfig())                        # queues and deadlines
adapter = FeedbackAdapter(FeedbackConfig())         # the peer's feedback -> what became of each packet
estimator = SendSideEstimator(EstimatorConfig())    # any other `BandwidthEstimator` would do

for packet in pacer.take(now):
    number = adapter.on_sent(sequence_number, packet.size_bytes, now, probe_id=packet.probe_id)
    estimator.on_sent(number, packet.size_bytes, now)
estimator.on_feedback(adapter.on_transport_feedback(reports, now), now)
for event in estimator.take_events():
    match event:
        case TargetBitrate(): pacer.set_target(event.bitrate_bps)     # and tell the encoder
        case ProbeCluster(): pacer.probe(event, now)

`docs/congestion.md` shows how it behaves.
"""

from sans_rtc.congestion.config import EstimatorConfig, FeedbackConfig, PacerConfig
from sans_rtc.congestion.estimator import BandwidthEstimator, SendSideEstimator
from sans_rtc.congestion.events import Cause, EstimatorEvent, ProbeCluster, TargetBitrate
from sans_rtc.congestion.feedback import DiscardReason, FeedbackAdapter, FeedbackStats, PacketResult
from sans_rtc.congestion.pacer import Paced, Pacer, PacerStats, Priority
from sans_rtc.congestion.stats import EstimatorDiscardReason, EstimatorStats, Statistics
from sans_rtc.congestion.trendline import Usage

__all__ = [
    "BandwidthEstimator",
    "Cause",
    "DiscardReason",
    "EstimatorConfig",
    "EstimatorDiscardReason",
    "EstimatorEvent",
    "EstimatorStats",
    "FeedbackAdapter",
    "FeedbackConfig",
    "FeedbackStats",
    "Paced",
    "Pacer",
    "PacerConfig",
    "PacerStats",
    "PacketResult",
    "Priority",
    "ProbeCluster",
    "SendSideEstimator",
    "Statistics",
    "TargetBitrate",
    "Usage",
]
