"""RTP (RFC 3550, 3551, 8285): packets, header extensions, counters, statistics and clocks.

wire                   packets: parse_rtp, serialize_rtp, and RTP from RTCP on one port
header_extension       the block of RFC 8285, in the one-byte and the two-byte form
extensions             the one table of header extensions, and the map of a session's ids
extension_values       what they hold, and how it is laid out
video_layers           video-layers-allocation
dependency_descriptor  the dependency descriptor of AV1's RTP specification, and its reader
sequence               counters that wrap, made to count on
statistics             what reports tell of a sender and a receiver
ntp                    NTP timestamps, the wall clock as an offset, the clock of a stream
payload_types          static payload types, and which numbers are free
"""

from sans_rtc.rtp.dependency_descriptor import (
    DependencyDescriptor,
    DependencyDescriptorReader,
    DependencyStructure,
    FrameTemplate,
    Indication,
    Resolution,
    parse_dependency_descriptor,
    serialize_dependency_descriptor,
)
from sans_rtc.rtp.extension_values import (
    AbsoluteCaptureTime,
    AudioLevel,
    Chromaticity,
    ColorSpace,
    FeedbackRequest,
    HdrMetadata,
    PlayoutDelay,
    TransportSequence,
    VideoOrientation,
    VideoTiming,
)
from sans_rtc.rtp.extensions import (
    Extension,
    ExtensionMap,
    ExtensionRow,
    parse_extension,
    serialize_extension,
)
from sans_rtc.rtp.ntp import (
    RtpClock,
    WallClock,
    abs_send_time,
    abs_send_time_s,
    ntp_from_unix,
    round_trip_s,
    seconds_from_short,
    short_from_seconds,
    short_ntp,
    unix_from_ntp,
)
from sans_rtc.rtp.payload_types import StaticPayload, is_usable_with_rtcp_mux
from sans_rtc.rtp.sequence import (
    ReferenceTimeUnwrapper,
    SequenceUnwrapper,
    TimestampUnwrapper,
    Unwrapper,
)
from sans_rtc.rtp.statistics import ReceiverStatistics, SenderStatistics
from sans_rtc.rtp.video_layers import LayerResolution, SpatialLayer, VideoLayersAllocation
from sans_rtc.rtp.wire import (
    RtpPacket,
    is_rtcp,
    parse_rtp,
    serialize_rtp,
)

__all__ = [
    "AbsoluteCaptureTime",
    "AudioLevel",
    "Chromaticity",
    "ColorSpace",
    "DependencyDescriptor",
    "DependencyDescriptorReader",
    "DependencyStructure",
    "Extension",
    "ExtensionMap",
    "ExtensionRow",
    "FeedbackRequest",
    "FrameTemplate",
    "HdrMetadata",
    "Indication",
    "LayerResolution",
    "PlayoutDelay",
    "ReceiverStatistics",
    "ReferenceTimeUnwrapper",
    "Resolution",
    "RtpClock",
    "RtpPacket",
    "SenderStatistics",
    "SequenceUnwrapper",
    "SpatialLayer",
    "StaticPayload",
    "TimestampUnwrapper",
    "TransportSequence",
    "Unwrapper",
    "VideoLayersAllocation",
    "VideoOrientation",
    "VideoTiming",
    "WallClock",
    "abs_send_time",
    "abs_send_time_s",
    "is_rtcp",
    "is_usable_with_rtcp_mux",
    "ntp_from_unix",
    "parse_dependency_descriptor",
    "parse_extension",
    "parse_rtp",
    "round_trip_s",
    "seconds_from_short",
    "serialize_dependency_descriptor",
    "serialize_extension",
    "serialize_rtp",
    "short_from_seconds",
    "short_ntp",
    "unix_from_ntp",
]
