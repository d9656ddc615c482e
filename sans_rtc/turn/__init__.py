"""TURN (RFC 8656): relays for those who cannot reach each other directly.

channel_data  the four-byte framing of data on a channel
framing       messages out of a TCP or TLS stream
"""

from sans_rtc.turn.channel_data import ChannelData, parse_channel_data, serialize_channel_data
from sans_rtc.turn.framing import TurnFramer

__all__ = ["ChannelData", "TurnFramer", "parse_channel_data", "serialize_channel_data"]
