"""RTCP (RFC 3550, 4585, 5104, 5506, 3611, 8888): packets, datagrams of them, and when they are sent.

wire                 the one table of packets; parse_compound, serialize_compound
reports              SR, RR, SDES, BYE, APP
feedback             NACK, PLI, SLI, RPSI, FIR, TMMBR, TMMBN, REMB
transport_feedback   transport-wide feedback: the arrival of each packet
congestion_feedback  the same of RFC 8888, for each stream, with ECN
extended             XR: RRTR and DLRR
compound             packets into datagrams, split where they are too large
scheduler            when reports, early feedback and BYE are due
"""

from sans_rtc.rtcp.compound import serialize_datagrams
from sans_rtc.rtcp.config import SchedulerConfig
from sans_rtc.rtcp.congestion_feedback import CongestionControlFeedback, StreamFeedback, arrival_offset
from sans_rtc.rtcp.events import (
    DiscardReason,
    FeedbackPlan,
    MembersTimedOut,
    ReportDue,
    ReportKind,
    SchedulerEvent,
    SchedulerStats,
    TerminationReason,
)
from sans_rtc.rtcp.extended import (
    DelaySinceLastReport,
    ExtendedReport,
    ReceiverDelay,
    ReceiverReferenceTime,
    UnknownBlock,
)
from sans_rtc.rtcp.feedback import (
    BitrateLimit,
    BitrateNotification,
    BitrateRequest,
    FirEntry,
    FullIntraRequest,
    Nack,
    PictureLossIndication,
    ReferencePictureSelection,
    Remb,
    SliceLoss,
    SliceLossIndication,
    UnknownFeedback,
    pack_lost,
    unpack_lost,
)
from sans_rtc.rtcp.reports import (
    App,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SdesChunk,
    SdesItem,
    SdesType,
    SenderReport,
    SourceDescription,
    private_item,
)
from sans_rtc.rtcp.scheduler import RtcpScheduler
from sans_rtc.rtcp.sources import source_ssrcs
from sans_rtc.rtcp.transport_feedback import TransportFeedback
from sans_rtc.rtcp.wire import (
    PacketRow,
    PacketType,
    RtcpPacket,
    UnknownPacket,
    parse_compound,
    serialize_compound,
    serialize_packet,
)

__all__ = [
    "App",
    "BitrateLimit",
    "BitrateNotification",
    "BitrateRequest",
    "CongestionControlFeedback",
    "DelaySinceLastReport",
    "DiscardReason",
    "ExtendedReport",
    "FeedbackPlan",
    "FirEntry",
    "FullIntraRequest",
    "Goodbye",
    "MembersTimedOut",
    "Nack",
    "PacketRow",
    "PacketType",
    "PictureLossIndication",
    "ReceiverDelay",
    "ReceiverReferenceTime",
    "ReceiverReport",
    "ReferencePictureSelection",
    "Remb",
    "ReportBlock",
    "ReportDue",
    "ReportKind",
    "RtcpPacket",
    "RtcpScheduler",
    "SchedulerConfig",
    "SchedulerEvent",
    "SchedulerStats",
    "SdesChunk",
    "SdesItem",
    "SdesType",
    "SenderReport",
    "SliceLoss",
    "SliceLossIndication",
    "SourceDescription",
    "StreamFeedback",
    "TerminationReason",
    "TransportFeedback",
    "UnknownBlock",
    "UnknownFeedback",
    "UnknownPacket",
    "arrival_offset",
    "pack_lost",
    "parse_compound",
    "private_item",
    "serialize_compound",
    "serialize_datagrams",
    "serialize_packet",
    "source_ssrcs",
    "unpack_lost",
]
