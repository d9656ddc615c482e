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
from sans_rtc.rtp.recovery.flexfec import (
    FlexFecEncoder,
    FlexFecReceiver,
    ProtectionPattern,
    RepairRule,
    column_pattern,
    mask_pattern,
    row_and_column_pattern,
    row_pattern,
)
from sans_rtc.rtp.recovery.flexfec_wire import FlexFecRepair, parse_flexfec, serialize_flexfec
from sans_rtc.rtp.recovery.keyframe import KeyframeRequest, KeyframeRequester, KeyframeRequestKind
from sans_rtc.rtp.recovery.nack import NackGenerator
from sans_rtc.rtp.recovery.playout import PlayoutDelay
from sans_rtc.rtp.recovery.receive_buffer import (
    Frame,
    FrameBoundaries,
    ReceiveBuffer,
    marker_boundaries,
    packet_boundaries,
)
from sans_rtc.rtp.recovery.red import RedBlock, parse_red, serialize_red
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
from sans_rtc.rtp.recovery.ulpfec import RedPackets, RedUlpFecReceiver, UlpFecReceiver, UlpFecRepair, parse_ulpfec

__all__ = [
    "DiscardReason",
    "FecReceiverConfig",
    "FecStats",
    "FlexFecEncoder",
    "FlexFecReceiver",
    "FlexFecRepair",
    "Frame",
    "FrameBoundaries",
    "KeyframeConfig",
    "KeyframeRequest",
    "KeyframeRequestKind",
    "KeyframeRequester",
    "NackConfig",
    "NackGenerator",
    "NackStats",
    "PlayoutDelay",
    "ProtectionPattern",
    "ReceiveBuffer",
    "ReceiveBufferConfig",
    "ReceiveBufferStats",
    "RedBlock",
    "RedPackets",
    "RedUlpFecReceiver",
    "RepairRule",
    "RtxReceiver",
    "RtxSender",
    "RtxStats",
    "SendHistory",
    "SendHistoryConfig",
    "SendHistoryStats",
    "UlpFecReceiver",
    "UlpFecRepair",
    "column_pattern",
    "marker_boundaries",
    "mask_pattern",
    "packet_boundaries",
    "parse_flexfec",
    "parse_red",
    "parse_ulpfec",
    "row_and_column_pattern",
    "row_pattern",
    "serialize_flexfec",
    "serialize_red",
]
