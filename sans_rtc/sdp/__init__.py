"""Session descriptions (RFC 8866) with the attributes that WebRTC needs (RFC 9429): parse, look at, serialise.

Codec: pure functions. Parsers raise `WireError` and nothing else, and its `offset` is the number of the line.
"""

from sans_rtc.sdp.attributes import ATTRIBUTES, AttributeSpec, Level
from sans_rtc.sdp.config import SdpLimits
from sans_rtc.sdp.description import Attribute, Field, Lines, MediaDescription, SessionDescription
from sans_rtc.sdp.parse import check_attributes, parse_description
from sans_rtc.sdp.serialize import serialize_description
from sans_rtc.sdp.values import (
    Bandwidth,
    Connection,
    Direction,
    Fingerprint,
    Group,
    Origin,
    RtcpDestination,
    SctpMap,
    Setup,
    Timing,
)

__all__ = [
    "ATTRIBUTES",
    "Attribute",
    "AttributeSpec",
    "Bandwidth",
    "Connection",
    "Direction",
    "Field",
    "Fingerprint",
    "Group",
    "Level",
    "Lines",
    "MediaDescription",
    "Origin",
    "RtcpDestination",
    "SctpMap",
    "SdpLimits",
    "SessionDescription",
    "Setup",
    "Timing",
    "check_attributes",
    "parse_description",
    "serialize_description",
]
