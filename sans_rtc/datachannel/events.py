"""What the data channels tell the application."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import attrs


class ChannelState(StrEnum):
    """RTCDataChannelState (W3C WebRTC section 6.2)."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


@attrs.define(slots=True)
class ChannelOpened:
    """The channel can be used. For one that the peer opened (`is_incoming`) this is the first word of it."""

    channel: int
    label: str
    protocol: str
    is_incoming: bool


@attrs.define(slots=True)
class ChannelMessage:
    """One whole message: `str` for text, `bytes` for binary. Give its credit back with `consume`."""

    channel: int
    data: bytes | str
    byte_count: int


@attrs.define(slots=True)
class ChannelBufferLow:
    """The bytes that wait to be sent have fallen to the channel's low threshold or below."""

    channel: int


@attrs.define(slots=True)
class ChannelClosed:
    """The channel's last event: both directions are closed, or the connection under it is."""

    channel: int


ChannelEvent: TypeAlias = ChannelOpened | ChannelMessage | ChannelBufferLow | ChannelClosed


class DiscardReason(StrEnum):
    """Why something that the peer sent was dropped."""

    MALFORMED_DCEP = "malformed_dcep"
    UNEXPECTED_OPEN = "unexpected_open"
    WRONG_PARITY = "wrong_parity"
    TOO_MANY_CHANNELS = "too_many_channels"
    SEND_BUFFER_FULL = "send_buffer_full"
    SHUTTING_DOWN = "shutting_down"
    NO_CHANNEL = "no_channel"
    CHANNEL_CLOSING = "channel_closing"
    UNKNOWN_PPID = "unknown_ppid"
    NOT_UTF8 = "not_utf8"
