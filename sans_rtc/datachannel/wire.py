"""DCEP, the Data Channel Establishment Protocol, and the payload protocol identifiers (RFC 8832 section 5, RFC 8831
section 8): pure functions between bytes and messages.

    DATA_CHANNEL_OPEN  (RFC 8832 section 5.1)
     0                   1                   2                   3
    |  type = 0x03  | channel type  |           priority            |
    |                     reliability parameter                     |
    |         label length          |        protocol length        |
    |                    label, then protocol, UTF-8                |

    DATA_CHANNEL_ACK   (RFC 8832 section 5.2)
    |  type = 0x02  |
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import TypeAlias

import attrs

from sans_rtc.errors import InvalidArgument, Malformed, Truncated, Unsupported
from sans_rtc.sctp.config import Reliability


class PayloadProtocol(IntEnum):
    """The SCTP payload protocol identifiers of WebRTC (RFC 8831 section 8); 52 and 54 are deprecated and refused."""

    DCEP = 50
    STRING = 51
    BINARY = 53
    STRING_EMPTY = 56
    BINARY_EMPTY = 57


class ChannelType(IntEnum):
    """What a channel promises (RFC 8832 section 5.1); 0x80 set: unordered."""

    RELIABLE = 0x00
    RELIABLE_UNORDERED = 0x80
    PARTIAL_RELIABLE_REXMIT = 0x01
    PARTIAL_RELIABLE_REXMIT_UNORDERED = 0x81
    PARTIAL_RELIABLE_TIMED = 0x02
    PARTIAL_RELIABLE_TIMED_UNORDERED = 0x82


UNORDERED = 0x80
TEXT_BYTES_MAX = 0xFFFF
PRIORITY_MAX = 0xFFFF
RELIABILITY_PARAMETER_MAX = 0xFFFFFFFF

_TYPE_ACK = 0x02
_TYPE_OPEN = 0x03
# type, channel type, priority, reliability parameter, label length, protocol length
_OPEN = struct.Struct("!BBHLHH")


@attrs.frozen(slots=True)
class OpenMessage:
    """DATA_CHANNEL_OPEN: the first message on a stream.

    reliability  what the channel promises; its lifetime travels in whole milliseconds
    priority     0 to 65535 (RFC 8831 section 6.4: 128 below normal, 256 normal, 512 high, 1024 extra high)
    """

    label: str
    protocol: str
    reliability: Reliability
    priority: int = 256


@attrs.frozen(slots=True)
class AckMessage:
    """DATA_CHANNEL_ACK: the other end knows the channel."""


DcepMessage: TypeAlias = OpenMessage | AckMessage


def parse_dcep(data: bytes) -> DcepMessage:
    """Parse one DCEP message; WireError where it is not one.

    Source  RFC 8832 section 5
    """
    if not data:
        raise Truncated("an empty DCEP message", field="message type", offset=0)
    if data[0] == _TYPE_ACK:
        return AckMessage()
    if data[0] != _TYPE_OPEN:
        raise Unsupported(f"DCEP message type {data[0]:#04x}", field="message type", offset=0)
    return _parse_open(data)


def serialize_dcep(message: DcepMessage) -> bytes:
    """Serialise one DCEP message; InvalidArgument where a text or a number is more than its field can say."""
    if isinstance(message, AckMessage):
        return bytes([_TYPE_ACK])
    label, protocol = message.label.encode(), message.protocol.encode()
    for name, text in (("label", label), ("protocol", protocol)):
        if len(text) > TEXT_BYTES_MAX:
            raise InvalidArgument(f"a {name} of {len(text)} bytes is over the limit of {TEXT_BYTES_MAX}")
    channel_type, parameter = _describe(message.reliability)
    if not 0 <= message.priority <= PRIORITY_MAX or parameter > RELIABILITY_PARAMETER_MAX:
        raise InvalidArgument(f"priority {message.priority} or reliability parameter {parameter} is out of its range")
    head = _OPEN.pack(_TYPE_OPEN, channel_type, message.priority, parameter, len(label), len(protocol))
    return head + label + protocol


def _parse_open(data: bytes) -> OpenMessage:
    if len(data) < _OPEN.size:
        raise Truncated(f"DATA_CHANNEL_OPEN of {len(data)} bytes", field="header", offset=len(data))
    _, channel_type, priority, parameter, label_length, protocol_length = _OPEN.unpack_from(data)
    end_of_label = _OPEN.size + label_length
    if len(data) < end_of_label + protocol_length:
        raise Truncated("DATA_CHANNEL_OPEN ends inside its texts", field="label", offset=len(data))
    try:
        label = data[_OPEN.size : end_of_label].decode()
        protocol = data[end_of_label : end_of_label + protocol_length].decode()
    except UnicodeDecodeError as error:
        raise Malformed("label or protocol is not UTF-8", field="label", offset=_OPEN.size) from error
    return OpenMessage(label, protocol, _understand(channel_type, parameter), priority)


def _describe(reliability: Reliability) -> tuple[int, int]:
    order = 0 if reliability.ordered else UNORDERED
    if reliability.max_retransmits is not None:
        return ChannelType.PARTIAL_RELIABLE_REXMIT | order, reliability.max_retransmits
    if reliability.lifetime_s is not None:
        return ChannelType.PARTIAL_RELIABLE_TIMED | order, round(reliability.lifetime_s * 1000)
    return ChannelType.RELIABLE | order, 0


def _understand(channel_type: int, parameter: int) -> Reliability:
    ordered = not channel_type & UNORDERED
    match channel_type & ~UNORDERED:
        case ChannelType.RELIABLE:
            return Reliability(ordered=ordered)  # RFC 8832 section 5.1: the parameter is ignored
        case ChannelType.PARTIAL_RELIABLE_REXMIT:
            return Reliability(ordered=ordered, max_retransmits=parameter)
        case ChannelType.PARTIAL_RELIABLE_TIMED:
            return Reliability(ordered=ordered, lifetime_s=parameter / 1000)
    raise Unsupported(f"channel type {channel_type:#04x}", field="channel type", offset=1)
