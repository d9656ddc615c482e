"""TURN (RFC 8656): relays for those who cannot reach each other directly.

channel_data  the four-byte framing of data on a channel
framing       messages out of a TCP or TLS stream
rest          ephemeral credentials of the TURN REST API
config        what can be chosen about a client
events        what a client reports
requests      requests, signed and answered (RFC 8489)
lifecycle     the allocation, from Allocate to the end
relaying      permissions and channels, each peer for itself
connections   TCP through the relay (RFC 6062)
inbound       what the server sends
client        the machine
"""

from sans_rtc.turn.channel_data import ChannelData, parse_channel_data, serialize_channel_data
from sans_rtc.turn.client import Client
from sans_rtc.turn.config import TurnConfig
from sans_rtc.turn.connections import ConnectionState
from sans_rtc.turn.events import (
    Allocated,
    AllocationFailed,
    ChannelBound,
    ChannelRefused,
    ConnectionClosed,
    ConnectionFailed,
    ConnectionOpened,
    DataReceived,
    DiscardReason,
    FamilyRefused,
    IcmpReceived,
    PeerRefused,
    Redirected,
    TerminationReason,
    TurnEvent,
)
from sans_rtc.turn.explain import ConnectionExplanation, PeerExplanation, PermissionExplanation, TurnExplanation
from sans_rtc.turn.failure import Failure
from sans_rtc.turn.framing import TurnFramer
from sans_rtc.turn.lifecycle import ClientState
from sans_rtc.turn.peers import ChannelState, PermissionState
from sans_rtc.turn.rest import ephemeral_credentials
from sans_rtc.turn.stats import TurnStatistics

__all__ = [
    "Allocated",
    "AllocationFailed",
    "ChannelBound",
    "ChannelData",
    "ChannelRefused",
    "ChannelState",
    "Client",
    "ClientState",
    "ConnectionClosed",
    "ConnectionExplanation",
    "ConnectionFailed",
    "ConnectionOpened",
    "ConnectionState",
    "DataReceived",
    "DiscardReason",
    "Failure",
    "FamilyRefused",
    "IcmpReceived",
    "PeerExplanation",
    "PeerRefused",
    "PermissionExplanation",
    "PermissionState",
    "Redirected",
    "TerminationReason",
    "TurnConfig",
    "TurnEvent",
    "TurnExplanation",
    "TurnFramer",
    "TurnStatistics",
    "ephemeral_credentials",
    "parse_channel_data",
    "serialize_channel_data",
]
