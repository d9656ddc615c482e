"""Loss recovery for one RTP stream: waiting, asking again, sending again, and error correction. All of it pure.

receiving   RtxReceiver / FlexFecReceiver / UlpFecReceiver -> NackGenerator, ReceiveBuffer -> frames
sending     SendHistory -> RtxSender ; FlexFecEncoder
"""

from sans_rtc.rtp.recovery.config import (
    FecReceiverConfig,
    KeyframeConfig,
    NackConfig,
    ReceiveBufferConfig,
    SendHistoryConfig,
)
from sans_rtc.rtp.recovery.keyframe import KeyframeRequest, KeyframeRequester, KeyframeRequestKind
from sans_rtc.rtp.recovery.nack import NackGenerator
from sans_rtc.rtp.recovery.receive_buffer import (
    Frame,
    FrameBoundaries,
    ReceiveBuffer,
    marker_boundaries,
    packet_boundaries,
)
from sans_rtc.rtp.recovery.rtx import RtxReceiver, RtxSender
from sans_rtc.rtp.recovery.send_history import SendHistory
from sans_rtc.rtp.recovery.stats import (
    DiscardReason,
    FecStats,
    NackStats,
    ReceiveBufferStats,
    RtxStats,
    SendHistoryStats,
)

__all__ = [
    "DiscardReason",
    "FecReceiverConfig",
    "FecStats",
    "Frame",
    "FrameBoundaries",
    "KeyframeConfig",
    "KeyframeRequest",
    "KeyframeRequestKind",
    "KeyframeRequester",
    "NackConfig",
    "NackGenerator",
    "NackStats",
    "ReceiveBuffer",
    "ReceiveBufferConfig",
    "ReceiveBufferStats",
    "RtxReceiver",
    "RtxSender",
    "RtxStats",
    "SendHistory",
    "SendHistoryConfig",
    "SendHistoryStats",
    "marker_boundaries",
    "packet_boundaries",
]
