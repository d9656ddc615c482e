"""Media over one transport: SRTP, RTP and RTCP, loss recovery and congestion control as one session (RFC 3550, 8834).

session      the machine: bytes and frames in, bytes and events out
config       its bounds and settings
parameters   what negotiation says of it, as plain data
events       frames and what else it takes and tells
statistics   the W3C's statistics of RTP streams
stats        counters

sections     all m= sections; sender, receiver: the two sides of one; encoding, inbound: streams of media
routing      which stream a packet belongs to; repair: RTX and FEC; payloads: what payload types stand for
transmit     pacing, numbering, protecting; control: the estimate of how much to send; allocation: shares of it
reports      RTCP that is sent; rtcp_reader: that is received; arrivals: feedback on what came
layout       headers laid out before; forward: several sources as one
"""

from sans_rtc.media.config import MediaConfig
from sans_rtc.media.events import (
    DropReason,
    FrameReceived,
    FramesDropped,
    KeyframeRequested,
    MediaEvent,
    MediaFrame,
    OutgoingFrame,
    PacketReceived,
    SenderBitrateChanged,
    StreamEnded,
    StreamEndReason,
    StreamStarted,
    TargetBitrateChanged,
    TerminationReason,
)
from sans_rtc.media.parameters import (
    CodecParameters,
    Encoding,
    EncodingSettings,
    FecParameters,
    MediaSection,
    ReceiveParameters,
    RemoteSource,
    SendParameters,
)
from sans_rtc.media.session import RtpSession
from sans_rtc.media.statistics import (
    CodecStats,
    InboundRtpStats,
    OutboundRtpStats,
    RemoteInboundRtpStats,
    RemoteOutboundRtpStats,
    RtpStats,
    Stats,
)
from sans_rtc.media.stats import DiscardReason, MediaStats

__all__ = [
    "CodecParameters",
    "CodecStats",
    "DiscardReason",
    "DropReason",
    "Encoding",
    "EncodingSettings",
    "FecParameters",
    "FrameReceived",
    "FramesDropped",
    "InboundRtpStats",
    "KeyframeRequested",
    "MediaConfig",
    "MediaEvent",
    "MediaFrame",
    "MediaSection",
    "MediaStats",
    "OutboundRtpStats",
    "OutgoingFrame",
    "PacketReceived",
    "ReceiveParameters",
    "RemoteInboundRtpStats",
    "RemoteOutboundRtpStats",
    "RemoteSource",
    "RtpSession",
    "RtpStats",
    "SendParameters",
    "SenderBitrateChanged",
    "Stats",
    "StreamEndReason",
    "StreamEnded",
    "StreamStarted",
    "TargetBitrateChanged",
    "TerminationReason",
]
