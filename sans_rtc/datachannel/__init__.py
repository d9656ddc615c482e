"""Data channels: RFC 8831 and RFC 8832 over an SCTP association."""

from sans_rtc.datachannel.carry import carry_event
from sans_rtc.datachannel.channel import ChannelInfo
from sans_rtc.datachannel.channels import ChannelStats, DataChannels
from sans_rtc.datachannel.config import ChannelConfig, ChannelOptions
from sans_rtc.datachannel.events import (
    ChannelBufferLow,
    ChannelClosed,
    ChannelEvent,
    ChannelMessage,
    ChannelOpened,
    ChannelState,
    DiscardReason,
)

__all__ = [
    "ChannelBufferLow",
    "ChannelClosed",
    "ChannelConfig",
    "ChannelEvent",
    "ChannelInfo",
    "ChannelMessage",
    "ChannelOpened",
    "ChannelOptions",
    "ChannelState",
    "ChannelStats",
    "DataChannels",
    "DiscardReason",
    "carry_event",
]
